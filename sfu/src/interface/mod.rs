//! Which addresses are announced as host candidates (RFC 8445 §5.1.1.1), and what is worth saying about them.
//!
//! In: the addresses of this host, what the sockets are bound to, what the operator says. Out: an ordered list, best first,
//! and a report of it. Where the operator does not know the public address, STUN servers are asked ([`detect`]).

mod detect;
mod public;
mod report;
mod rule;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use detect::{Detection, detect_public_ips};
pub use public::{PublicIp, PublicIpError, PublicMapping};
pub use report::{Finding, announcement_report};
pub use rule::{InterfaceRule, InterfaceRuleError, InterfaceRules};

use crate::NodeConfig;

/// More candidates than this only lengthen every answer and every peer's list of checks. A host with dozens of container
/// bridges has more.
const MAX_CANDIDATES: usize = 16;

/// An address of this host, and the interface that has it. The name is empty where the system does not tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostAddress {
    pub(crate) interface: String,
    pub(crate) ip: IpAddr,
}

/// An address that is announced, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// What peers are told.
    pub ip: IpAddr,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where an announced address comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The operator, or a STUN server.
    Public,
    /// The operator, in place of this address of the host.
    Mapped(IpAddr),
    /// An interface of this host; its name is empty where the system does not tell.
    Interface(String),
    /// A bridge to containers or virtual machines of this host. Only announced if there is nothing else or it is asked for.
    Bridge(String),
    /// This host, for itself.
    Loopback,
}

/// The addresses of this host's interfaces that are up, in the system's order. Empty if the system does not tell.
pub(crate) fn host_addresses() -> Vec<HostAddress> {
    match if_addrs::get_if_addrs() {
        Ok(interfaces) => interfaces
            .into_iter()
            .filter(|i| i.is_oper_up() || i.is_loopback())
            .map(|i| HostAddress { ip: i.ip(), interface: i.name })
            .collect(),
        Err(error) => {
            tracing::warn!(%error, "cannot list this host's addresses; use --public-ip to announce one");
            Vec::new()
        }
    }
}

/// Whether this process is in a container, as far as containers tell.
pub(crate) fn is_container() -> bool {
    ["/.dockerenv", "/run/.containerenv"].iter().any(|path| std::path::Path::new(path).exists())
        || std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
}

/// Chooses what to announce, best first.
///
/// Public addresses come first (1:1 NAT; the host's own addresses stay behind them, as peers on the same network may not get
/// through the NAT to it), then those that stand for a local address that a socket in `bound` receives on, which is then not
/// announced itself. Then the host's own addresses that a socket receives on, IPv4 before IPv6, as far as the interface
/// lists allow. Without a list, bridges to containers are left out unless they are all there is or a socket is bound to
/// them. Loopback comes last and only if it is all there is, if a socket is bound to it, or if the configuration says so:
/// Firefox and libnice ignore such a candidate, and to a peer elsewhere it means that peer's own host. Link-local addresses
/// are skipped: in SDP they lack the zone that would make them usable.
pub(crate) fn choose(host: &[HostAddress], bound: &[IpAddr], config: &NodeConfig) -> Vec<Announced> {
    let rules = &config.interfaces;
    let receives =
        |ip: &IpAddr| bound.iter().any(|b| b == ip || (b.is_unspecified() && b.is_ipv4() == ip.is_ipv4()));
    let mapping = |ip: &IpAddr| config.public_mappings.iter().find(|it| it.local == *ip);
    // An address that only the sockets know of has no interface's name.
    let unlisted = bound
        .iter()
        .filter(|b| !b.is_unspecified() && !host.iter().any(|it| it.ip == **b))
        .map(|b| HostAddress { interface: String::new(), ip: *b });
    let own: Vec<HostAddress> = host
        .iter()
        .cloned()
        .chain(unlisted)
        .filter(|it| receives(&it.ip) && is_usable(&it.ip) && !rules.denies(it))
        .collect();
    let (loopback, own): (Vec<_>, Vec<_>) =
        own.into_iter().partition(|it| it.ip.is_loopback() && mapping(&it.ip).is_none());

    let mut mapped = Vec::new();
    let mut interfaces = Vec::new();
    let mut bridges = Vec::new();
    for HostAddress { interface, ip } in own.into_iter().filter(|it| rules.allows(it)) {
        if let Some(mapping) = mapping(&ip) {
            mapped.push(Announced { ip: mapping.public, origin: Origin::Mapped(ip) });
        } else if rule::is_bridge(&interface) {
            let is_wanted = !rules.allow.is_empty() || bound.contains(&ip);
            let announced = Announced { ip, origin: Origin::Bridge(interface) };
            if is_wanted { interfaces.push(announced) } else { bridges.push(announced) }
        } else {
            interfaces.push(Announced { ip, origin: Origin::Interface(interface) });
        }
    }
    let public: Vec<Announced> =
        config.public_ips.iter().map(|&ip| Announced { ip, origin: Origin::Public }).collect();
    if public.is_empty() && mapped.is_empty() && interfaces.is_empty() {
        interfaces = bridges;
    }
    let (v4, v6): (Vec<_>, Vec<_>) = interfaces.into_iter().partition(|it| it.ip.is_ipv4());

    let mut chosen: Vec<Announced> = Vec::new();
    let mut announce = |more: Vec<Announced>| {
        for each in more {
            if chosen.len() < MAX_CANDIDATES && !chosen.iter().any(|it| it.ip == each.ip) {
                chosen.push(each);
            }
        }
        chosen.len()
    };
    announce(public);
    announce(mapped);
    announce(v4);
    let routable = announce(v6);
    let is_bound_to_loopback = bound.iter().any(IpAddr::is_loopback);
    if routable == 0 || config.announce_loopback || is_bound_to_loopback {
        let of =
            |ips: Vec<IpAddr>| ips.into_iter().map(|ip| Announced { ip, origin: Origin::Loopback }).collect();
        announce(of(loopback.into_iter().map(|it| it.ip).collect()));
        if routable == 0 && host.is_empty() {
            announce(of(well_known_loopback(bound)));
        }
    }
    chosen
}

/// Mappings whose local address nothing receives on, so that they change nothing.
pub(crate) fn unused_mappings(announced: &[Announced], config: &NodeConfig) -> Vec<PublicMapping> {
    let is_used = |local: IpAddr| announced.iter().any(|it| it.origin == Origin::Mapped(local));
    config.public_mappings.iter().copied().filter(|it| !is_used(it.local)).collect()
}

fn is_usable(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_link_local() && public::is_host(*address),
        IpAddr::V6(v6) => !v6.is_unicast_link_local() && public::is_host(*address),
    }
}

/// For a host that tells nothing about itself.
fn well_known_loopback(bound: &[IpAddr]) -> Vec<IpAddr> {
    bound
        .iter()
        .filter(|b| b.is_unspecified())
        .map(|b| if b.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() })
        .collect()
}

#[cfg(test)]
mod tests {
    use patchbay_protocol::NodeName;

    use super::*;

    const ALL: [&str; 2] = ["0.0.0.0", "::"];

    fn ips(list: &[&str]) -> Vec<IpAddr> {
        list.iter().map(|a| a.parse().expect("an address")).collect()
    }

    fn host() -> Vec<HostAddress> {
        addresses(&[
            ("lo", "127.0.0.1"),
            ("lo", "::1"),
            ("eth0", "fd00::2"),
            ("eth0", "192.0.2.2"),
            ("eth0", "fe80::1"),
            ("eth0", "169.254.3.4"),
        ])
    }

    fn docker() -> Vec<HostAddress> {
        let mut host =
            addresses(&[("docker0", "172.17.0.1"), ("br-1a2b", "172.18.0.1"), ("wg0", "10.8.0.1")]);
        host.extend(self::host());
        host
    }

    fn addresses(list: &[(&str, &str)]) -> Vec<HostAddress> {
        list.iter()
            .map(|(name, ip)| HostAddress { interface: (*name).into(), ip: ip.parse().expect("an address") })
            .collect()
    }

    fn chosen(host: &[HostAddress], bound: &[&str], adjust: impl FnOnce(&mut NodeConfig)) -> Vec<String> {
        let mut config = NodeConfig::new(NodeName::new("a"), 0);
        adjust(&mut config);
        choose(host, &ips(bound), &config).iter().map(|it| it.ip.to_string()).collect()
    }

    fn rules(list: &[&str]) -> Vec<InterfaceRule> {
        list.iter().map(|rule| rule.parse().expect("a rule")).collect()
    }

    fn mapping(text: &str) -> PublicMapping {
        let Ok(PublicIp::Mapped(mapping)) = text.parse() else { panic!("{text}") };
        mapping
    }

    #[test]
    fn own_addresses_without_loopback_and_link_local() {
        assert_eq!(chosen(&host(), &ALL, |_| ()), ["192.0.2.2", "fd00::2"]);
    }

    #[test]
    fn only_families_that_a_socket_receives() {
        assert_eq!(chosen(&host(), &["0.0.0.0"], |_| ()), ["192.0.2.2"]);
        assert_eq!(chosen(&host(), &["fd00::2"], |_| ()), ["fd00::2"]);
    }

    #[test]
    fn a_public_address_comes_first() {
        let list = chosen(&host(), &ALL, |it| it.public_ips = ips(&["203.0.113.9"]));
        assert_eq!(list, ["203.0.113.9", "192.0.2.2", "fd00::2"]);
        let list = chosen(&host(), &ALL, |it| it.public_ips = ips(&["192.0.2.2"]));
        assert_eq!(list, ["192.0.2.2", "fd00::2"], "once each");
    }

    #[test]
    fn a_mapped_address_stands_for_its_local_one_alone() {
        let with = |text: &'static str| move |it: &mut NodeConfig| it.public_mappings = vec![mapping(text)];
        let list = chosen(&host(), &ALL, with("203.0.113.9/192.0.2.2"));
        assert_eq!(list, ["203.0.113.9", "fd00::2"]);
        let list = chosen(&host(), &ALL, with("2001:db8::9/fd00::2"));
        assert_eq!(list, ["2001:db8::9", "192.0.2.2"]);
        let list = chosen(&host(), &["fd00::2"], with("203.0.113.9/192.0.2.2"));
        assert_eq!(list, ["fd00::2"], "no socket receives there");
        let list = chosen(&docker(), &ALL, with("203.0.113.9/172.17.0.1"));
        assert_eq!(list, ["203.0.113.9", "10.8.0.1", "192.0.2.2", "fd00::2"], "even of a bridge");
        let list = chosen(&host(), &["127.0.0.1"], with("203.0.113.9/127.0.0.1"));
        assert_eq!(list, ["203.0.113.9"]);

        let mut config = NodeConfig::new(NodeName::new("a"), 0);
        config.public_mappings = vec![mapping("203.0.113.9/192.0.2.2"), mapping("203.0.113.8/192.0.2.99")];
        let announced = choose(&host(), &ips(&ALL), &config);
        assert_eq!(unused_mappings(&announced, &config), [mapping("203.0.113.8/192.0.2.99")]);
    }

    #[test]
    fn interfaces_are_allowed_and_denied() {
        assert_eq!(
            chosen(&docker(), &ALL, |_| ()),
            ["10.8.0.1", "192.0.2.2", "fd00::2"],
            "no bridge by itself"
        );
        let allow = |list: &'static [&str]| move |it: &mut NodeConfig| it.interfaces.allow = rules(list);
        let deny = |list: &'static [&str]| move |it: &mut NodeConfig| it.interfaces.deny = rules(list);
        assert_eq!(chosen(&docker(), &ALL, allow(&["wg*", "docker0"])), ["172.17.0.1", "10.8.0.1"]);
        assert_eq!(chosen(&docker(), &ALL, allow(&["192.0.2.0/24"])), ["192.0.2.2"]);
        assert_eq!(chosen(&docker(), &ALL, deny(&["wg0", "fd00::/8"])), ["192.0.2.2"]);
        let list = chosen(&docker(), &ALL, |it| {
            it.interfaces = InterfaceRules { allow: rules(&["eth0", "wg0"]), deny: rules(&["wg0"]) };
        });
        assert_eq!(list, ["192.0.2.2", "fd00::2"], "what is denied stays so");
        let list = chosen(&docker(), &ALL, |it| {
            it.interfaces.allow = rules(&["eth0"]);
            it.public_ips = ips(&["203.0.113.9"]);
        });
        assert_eq!(list, ["203.0.113.9", "192.0.2.2", "fd00::2"], "the lists are about the host's own");
        assert_eq!(chosen(&docker(), &ALL, allow(&["eth7"])), ["127.0.0.1", "::1"]);
        assert!(chosen(&docker(), &ALL, deny(&["lo", "0.0.0.0/0", "::/0"])).is_empty());
    }

    #[test]
    fn bridges_when_they_are_all_there_is_or_bound() {
        let host = addresses(&[("lo", "127.0.0.1"), ("docker0", "172.17.0.1"), ("veth1a", "172.19.0.1")]);
        assert_eq!(chosen(&host, &ALL, |_| ()), ["172.17.0.1", "172.19.0.1"]);
        let list = chosen(&host, &ALL, |it| it.public_ips = ips(&["203.0.113.9"]));
        assert_eq!(list, ["203.0.113.9"]);
        assert_eq!(chosen(&docker(), &["172.17.0.1"], |_| ()), ["172.17.0.1"]);
    }

    #[test]
    fn loopback_when_it_is_all_there_is_or_asked_for() {
        let alone = addresses(&[("lo", "127.0.0.1"), ("lo", "::1")]);
        assert_eq!(chosen(&alone, &ALL, |_| ()), ["127.0.0.1", "::1"]);
        assert_eq!(chosen(&[], &ALL, |_| ()), ["127.0.0.1", "::1"]);
        assert_eq!(chosen(&host(), &["127.0.0.1"], |_| ()), ["127.0.0.1"]);
        let list = chosen(&host(), &ALL, |it| it.announce_loopback = true);
        assert_eq!(list, ["192.0.2.2", "fd00::2", "127.0.0.1", "::1"]);
    }

    #[test]
    fn the_list_is_bounded() {
        let host: Vec<HostAddress> = (0..100)
            .map(|i| HostAddress { interface: "eth0".into(), ip: IpAddr::from([10, 0, 0, i]) })
            .collect();
        assert_eq!(chosen(&host, &["0.0.0.0"], |_| ()).len(), MAX_CANDIDATES);
    }

    #[test]
    fn this_host_has_addresses() {
        assert!(!host_addresses().is_empty());
    }
}
