//! Which addresses are announced as host candidates (RFC 8445 §5.1.1.1).
//!
//! In: the addresses of this host, what the sockets are bound to, what the operator says. Out: an ordered list, best first.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// More candidates than this only lengthen every answer and every peer's list of checks. A host with dozens of container
/// bridges has more.
const MAX_CANDIDATES: usize = 16;

/// The addresses of this host's interfaces that are up, in the system's order. Empty if the system does not tell.
pub(crate) fn host_addresses() -> Vec<IpAddr> {
    match if_addrs::get_if_addrs() {
        Ok(interfaces) => {
            interfaces.iter().filter(|i| i.is_oper_up() || i.is_loopback()).map(|i| i.ip()).collect()
        }
        Err(error) => {
            tracing::warn!(%error, "cannot list this host's addresses; use --public-ip to announce one");
            Vec::new()
        }
    }
}

/// Chooses what to announce, best first.
///
/// `public` comes first (1:1 NAT; the host's own addresses stay behind it, as peers on the same network may not get through
/// the NAT to it). Then the host's own addresses that a socket in `bound` receives on, IPv4 before IPv6. Loopback comes last
/// and only if it is all there is, if a socket is bound to it, or if `announce_loopback` says so: Firefox and libnice ignore
/// such a candidate, and to a peer elsewhere it means that peer's own host. Link-local addresses are skipped: in SDP they
/// lack the zone that would make them usable.
pub(crate) fn choose(
    host: &[IpAddr],
    bound: &[IpAddr],
    public: &[IpAddr],
    announce_loopback: bool,
) -> Vec<IpAddr> {
    let receives = |address: &IpAddr| {
        bound.iter().any(|b| b == address || (b.is_unspecified() && b.is_ipv4() == address.is_ipv4()))
    };
    let own = host
        .iter()
        .copied()
        .chain(bound.iter().copied().filter(|b| !b.is_unspecified()))
        .filter(|a| receives(a) && is_usable(a));
    let (loopback, own): (Vec<IpAddr>, Vec<IpAddr>) = own.partition(IpAddr::is_loopback);
    let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = own.into_iter().partition(IpAddr::is_ipv4);

    let mut chosen = Vec::new();
    let mut announce = |addresses: &mut dyn Iterator<Item = IpAddr>| {
        for address in addresses {
            if !chosen.contains(&address) && chosen.len() < MAX_CANDIDATES {
                chosen.push(address);
            }
        }
        chosen.len()
    };
    announce(&mut public.iter().copied());
    announce(&mut v4.into_iter());
    let routable = announce(&mut v6.into_iter());
    if routable == 0 || announce_loopback || bound.iter().any(IpAddr::is_loopback) {
        announce(&mut loopback.into_iter());
        if routable == 0 {
            announce(&mut well_known_loopback(bound).into_iter());
        }
    }
    chosen
}

fn is_usable(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !v4.is_unspecified() && !v4.is_link_local() && !v4.is_multicast() && !v4.is_broadcast()
        }
        IpAddr::V6(v6) => !v6.is_unspecified() && !v6.is_unicast_link_local() && !v6.is_multicast(),
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
    use super::*;

    fn ips(list: &[&str]) -> Vec<IpAddr> {
        list.iter().map(|a| a.parse().expect("an address")).collect()
    }

    fn host() -> Vec<IpAddr> {
        ips(&["127.0.0.1", "::1", "fd00::2", "192.0.2.2", "fe80::1", "169.254.3.4"])
    }

    #[test]
    fn own_addresses_without_loopback_and_link_local() {
        let all = ips(&["0.0.0.0", "::"]);
        assert_eq!(choose(&host(), &all, &[], false), ips(&["192.0.2.2", "fd00::2"]));
    }

    #[test]
    fn only_families_that_a_socket_receives() {
        assert_eq!(choose(&host(), &ips(&["0.0.0.0"]), &[], false), ips(&["192.0.2.2"]));
        assert_eq!(choose(&host(), &ips(&["fd00::2"]), &[], false), ips(&["fd00::2"]));
    }

    #[test]
    fn a_public_address_comes_first() {
        let all = ips(&["0.0.0.0", "::"]);
        let public = ips(&["203.0.113.9"]);
        assert_eq!(choose(&host(), &all, &public, false), ips(&["203.0.113.9", "192.0.2.2", "fd00::2"]));
        let public = ips(&["192.0.2.2"]);
        assert_eq!(choose(&host(), &all, &public, false), ips(&["192.0.2.2", "fd00::2"]), "once each");
    }

    #[test]
    fn loopback_when_it_is_all_there_is_or_asked_for() {
        let all = ips(&["0.0.0.0", "::"]);
        assert_eq!(choose(&ips(&["127.0.0.1", "::1"]), &all, &[], false), ips(&["127.0.0.1", "::1"]));
        assert_eq!(choose(&[], &all, &[], false), ips(&["127.0.0.1", "::1"]));
        assert_eq!(choose(&host(), &ips(&["127.0.0.1"]), &[], false), ips(&["127.0.0.1"]));
        assert_eq!(choose(&host(), &all, &[], true), ips(&["192.0.2.2", "fd00::2", "127.0.0.1", "::1"]));
    }

    #[test]
    fn the_list_is_bounded() {
        let host: Vec<IpAddr> = (0..100).map(|i| IpAddr::from([10, 0, 0, i])).collect();
        assert_eq!(choose(&host, &ips(&["0.0.0.0"]), &[], false).len(), MAX_CANDIDATES);
    }

    #[test]
    fn this_host_has_addresses() {
        assert!(!host_addresses().is_empty());
    }
}
