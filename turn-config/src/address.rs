//! What kind of address something is, where a relay is concerned.

use std::net::{IpAddr, Ipv6Addr};

/// Why no relay may ever have or reach an address, if so. Private addresses are another matter: see [`is_private`].
pub(crate) fn special(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) if ip.octets()[0] == 0 => Some("means \"this host\""),
        IpAddr::V4(ip) if ip.is_loopback() => Some("is loopback"),
        IpAddr::V4(ip) if ip.is_link_local() => Some("is link-local, where clouds keep their metadata"),
        IpAddr::V4(ip) if ip.is_multicast() => Some("is multicast"),
        IpAddr::V4(ip) if ip.octets()[0] >= 240 => Some("is reserved or broadcast"),
        IpAddr::V4(_) => None,
        IpAddr::V6(ip) if ip.is_unspecified() => Some("means \"any address\""),
        IpAddr::V6(ip) if ip.is_loopback() => Some("is loopback"),
        IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some() => {
            Some("is an IPv4 address in disguise; write that one")
        }
        IpAddr::V6(ip) if is_nat64(ip) => Some("is an IPv4 address behind NAT64; write that one"),
        IpAddr::V6(ip) if ip.is_unicast_link_local() => Some("is link-local"),
        IpAddr::V6(ip) if ip.is_multicast() => Some("is multicast"),
        IpAddr::V6(_) => None,
    }
}

/// RFC 1918, RFC 6598 (shared by carriers) and RFC 4193.
pub(crate) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || (ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64),
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

/// 64:ff9b::/96 and 64:ff9b:1::/48 (RFC 6052, RFC 8215).
fn is_nat64(ip: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, ..] = ip.segments();
    (a, b) == (0x64, 0xff9b) && (c == 1 || (c, d, e, f) == (0, 0, 0, 0))
}
