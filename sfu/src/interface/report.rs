//! What is worth saying about the announced addresses: which they are, and who can't reach them.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::{Announced, Origin};

/// One thing about the announced addresses. Its text is for people and names the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Announced as the host's public addresses.
    Public(Vec<IpAddr>),
    /// Announced in place of local ones: public, local.
    Mapped(Vec<(IpAddr, IpAddr)>),
    /// The host's own, each with its interface.
    Own(Vec<(IpAddr, String)>),
    /// For peers on this host.
    Loopback(Vec<IpAddr>),
    /// Nothing is announced: no peer gets media, not even on this host.
    Nothing,
    /// Only peers on this host get media.
    LoopbackOnly,
    /// Only bridges to containers or virtual machines of this host.
    BridgeOnly(Vec<String>),
    /// This is a container, and the addresses are its own.
    ContainerOnly(Vec<IpAddr>),
    /// All addresses are private and none stands for one.
    PrivateOnly(Vec<IpAddr>),
    /// Addresses are announced as public that are private.
    PublicIsPrivate(Vec<IpAddr>),
    /// These are all there are of their family, and private; the other family has public ones.
    PrivateFamily(Vec<IpAddr>),
    /// No IPv4 address.
    NoIpv4,
    /// No IPv6 address.
    NoIpv6,
}

impl Finding {
    /// Whether a person should look at it. The others say what is as it is.
    pub fn is_warning(&self) -> bool {
        !matches!(self, Self::Public(_) | Self::Mapped(_) | Self::Own(_) | Self::Loopback(_))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public(ips) => write!(f, "announces the public address {}", list(ips)),
            Self::Mapped(pairs) => {
                let words = |(public, local): &(IpAddr, IpAddr)| format!("{public} in place of {local}");
                write!(f, "announces {}", pairs.iter().map(words).collect::<Vec<_>>().join(", "))
            }
            Self::Own(pairs) => {
                let words = |(ip, name): &(IpAddr, String)| match name.as_str() {
                    "" => ip.to_string(),
                    name => format!("{ip} ({name})"),
                };
                let words: Vec<String> = pairs.iter().map(words).collect();
                write!(f, "announces this host's own {}", words.join(", "))
            }
            Self::Loopback(ips) => write!(f, "announces {} to peers on this host", list(ips)),
            Self::Nothing => f.write_str(
                "announces no address, so nobody gets media: give the host a network, tell its address with --public-ip, or \
                 loosen --interface and --no-interface",
            ),
            Self::LoopbackOnly => f.write_str(
                "announces loopback only: reachable from this host alone. Give the host a network, tell its address with --public-ip, or \
                 loosen --interface and --no-interface",
            ),
            Self::BridgeOnly(names) => write!(
                f,
                "announces only bridges to containers or virtual machines ({}): nobody outside of this machine reaches them. Give the \
                 host a network, or tell its address with --public-ip",
                names.join(", ")
            ),
            Self::ContainerOnly(ips) => write!(
                f,
                "announces addresses of this container's own network only ({}): nobody outside of this machine reaches them. Use host networking, \
                 or publish the media ports unchanged and give the machine's address with --public-ip",
                list(ips)
            ),
            Self::PrivateOnly(ips) => write!(
                f,
                "announces private addresses only ({}): reachable from this network only. For peers elsewhere forward the media ports and give \
                 --public-ip, or --public-ip auto",
                list(ips)
            ),
            Self::PublicIsPrivate(ips) => write!(
                f,
                "what is announced as public is private ({}): reachable from that network only; outside, the NAT's own address is needed",
                list(ips)
            ),
            Self::PrivateFamily(ips) => write!(
                f,
                "announces private addresses only for one family ({}): peers elsewhere that have only {} don't get through. Forward the media ports and give \
                 --public-ip, or --public-ip auto",
                list(ips),
                if ips.iter().any(IpAddr::is_ipv4) { "IPv4" } else { "IPv6" }
            ),
            Self::NoIpv4 => f.write_str(
                "announces no IPv4 address: peers that have only IPv4 need a TURN server that has both",
            ),
            Self::NoIpv6 => f.write_str(
                "announces no IPv6 address: peers that have only IPv6 need a TURN server that has both",
            ),
        }
    }
}

/// What to say about these addresses: first what is announced, kind by kind, then what a person should look at.
///
/// Knows nothing but its input, so that a node at its start and a program that only examines the host can say the same.
/// `is_container`: whether this process is in one, where private addresses lead no further than the machine.
pub fn announcement_report(announced: &[Announced], is_container: bool) -> Vec<Finding> {
    if announced.is_empty() {
        return vec![Finding::Nothing];
    }
    let mut findings = kinds(announced);
    let routable: Vec<&Announced> =
        announced.iter().filter(|it| it.origin != Origin::Loopback && !it.ip.is_loopback()).collect();
    if routable.is_empty() {
        findings.push(Finding::LoopbackOnly);
        return findings;
    }
    let ips = || routable.iter().map(|it| it.ip);
    let bridge = |it: &&Announced| match &it.origin {
        Origin::Bridge(name) => Some(name.clone()),
        _ => None,
    };
    let is_told = |it: &&Announced| matches!(it.origin, Origin::Public | Origin::Mapped(_));
    if ips().all(is_private) {
        let told: Vec<IpAddr> = routable.iter().copied().filter(is_told).map(|it| it.ip).collect();
        let mut bridges: Vec<String> = routable.iter().filter_map(bridge).collect();
        findings.push(if !told.is_empty() {
            Finding::PublicIsPrivate(told)
        } else if bridges.len() == routable.len() {
            bridges.dedup();
            Finding::BridgeOnly(bridges)
        } else if is_container {
            Finding::ContainerOnly(ips().collect())
        } else {
            Finding::PrivateOnly(ips().collect())
        });
    } else {
        let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = ips().partition(IpAddr::is_ipv4);
        let is_lost = |family: &Vec<IpAddr>| !family.is_empty() && family.iter().copied().all(is_private);
        findings.extend([v4, v6].into_iter().filter(is_lost).map(Finding::PrivateFamily));
    }
    if !ips().any(|ip| ip.is_ipv4()) {
        findings.push(Finding::NoIpv4);
    }
    if !ips().any(|ip| ip.is_ipv6()) {
        findings.push(Finding::NoIpv6);
    }
    findings
}

/// One finding for each kind of address there is.
fn kinds(announced: &[Announced]) -> Vec<Finding> {
    let (mut public, mut mapped, mut own, mut loopback) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for Announced { ip, origin } in announced {
        match origin {
            Origin::Public => public.push(*ip),
            Origin::Mapped(local) => mapped.push((*ip, *local)),
            Origin::Interface(name) | Origin::Bridge(name) => own.push((*ip, name.clone())),
            Origin::Loopback => loopback.push(*ip),
        }
    }
    [
        (!public.is_empty()).then_some(Finding::Public(public)),
        (!mapped.is_empty()).then_some(Finding::Mapped(mapped)),
        (!own.is_empty()).then_some(Finding::Own(own)),
        (!loopback.is_empty()).then_some(Finding::Loopback(loopback)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Whether nobody outside of some private network can have this as a destination: RFC 1918, RFC 6598, RFC 3927, RFC 4193.
fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || is_shared
        }
        IpAddr::V6(ip) => ip == Ipv6Addr::LOCALHOST || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn list(ips: &[IpAddr]) -> String {
    ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn own(text: &str) -> Announced {
        Announced { ip: ip(text), origin: Origin::Interface("eth0".into()) }
    }

    fn bridge(text: &str) -> Announced {
        Announced { ip: ip(text), origin: Origin::Bridge("docker0".into()) }
    }

    fn loopback() -> Announced {
        Announced { ip: ip("127.0.0.1"), origin: Origin::Loopback }
    }

    fn public(text: &str) -> Announced {
        Announced { ip: ip(text), origin: Origin::Public }
    }

    fn mapped(text: &str) -> Announced {
        Announced { ip: ip(text), origin: Origin::Mapped(ip("10.0.0.5")) }
    }

    fn warnings(announced: &[Announced], is_container: bool) -> Vec<Finding> {
        announcement_report(announced, is_container).into_iter().filter(Finding::is_warning).collect()
    }

    #[test]
    fn each_kind_is_told_once() {
        let announced =
            [public("203.0.113.7"), mapped("203.0.113.8"), own("10.0.0.6"), own("2001:db8::6"), loopback()];
        let words: Vec<String> =
            announcement_report(&announced, false).iter().map(ToString::to_string).collect();
        assert_eq!(
            words,
            [
                "announces the public address 203.0.113.7",
                "announces 203.0.113.8 in place of 10.0.0.5",
                "announces this host's own 10.0.0.6 (eth0), 2001:db8::6 (eth0)",
                "announces 127.0.0.1 to peers on this host",
            ]
        );
    }

    #[test]
    fn what_nobody_outside_reaches_is_warned_of() {
        use Finding::*;
        assert_eq!(warnings(&[], false), [Nothing]);
        assert_eq!(warnings(&[loopback()], false), [LoopbackOnly]);
        let private = [own("10.0.0.5"), own("fd00::5")];
        assert_eq!(warnings(&private, false), [PrivateOnly(vec![ip("10.0.0.5"), ip("fd00::5")])]);
        assert!(PrivateOnly(vec![ip("10.0.0.5")]).to_string().contains("reachable from this network only"));
        assert_eq!(warnings(&private, true), [ContainerOnly(vec![ip("10.0.0.5"), ip("fd00::5")])]);
        assert_eq!(
            warnings(&[own("100.64.0.1"), loopback()], false),
            [PrivateOnly(vec![ip("100.64.0.1")]), NoIpv6]
        );
        let bridges = [bridge("172.17.0.1"), bridge("172.17.0.2")];
        assert_eq!(warnings(&bridges, false), [BridgeOnly(vec!["docker0".into()]), NoIpv6]);
        assert_eq!(warnings(&[bridge("172.17.0.1"), own("203.0.113.1")], false), [NoIpv6]);
        assert_eq!(
            warnings(&[mapped("192.168.1.1")], false),
            [PublicIsPrivate(vec![ip("192.168.1.1")]), NoIpv6]
        );
        assert_eq!(warnings(&[own("2001:db8::1")], false), [NoIpv4]);
        let half = [own("10.0.0.5"), own("2001:db8::1")];
        assert_eq!(
            warnings(&half, false),
            [PrivateFamily(vec![ip("10.0.0.5")])],
            "IPv6 helps nobody without it"
        );
    }

    #[test]
    fn what_is_reachable_is_not() {
        assert_eq!(warnings(&[own("203.0.113.7"), own("2001:db8::1")], true), []);
        assert_eq!(warnings(&[public("203.0.113.7"), own("10.0.0.5"), own("2001:db8::1")], true), []);
        assert_eq!(warnings(&[mapped("203.0.113.7"), own("2001:db8::1"), loopback()], false), []);
    }
}
