//! Which interfaces' addresses are announced, as the operator says and by default.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::HostAddress;

/// Beginnings of the names of interfaces that lead to containers and virtual machines of this host, and to nobody else.
const BRIDGES: [&str; 10] =
    ["docker", "br-", "veth", "virbr", "cni", "podman", "lxcbr", "lxdbr", "flannel", "cali"];
/// Bytes of an interface's name, in Linux.
const NAME_BYTES: usize = 15;

/// Interfaces by name or by address. Written `eth0`, `wg*` (all that begin so), `10.0.0.0/8`, `2001:db8::/32` or a single
/// address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InterfaceRule {
    /// The interface of this name.
    Name(String),
    /// Interfaces whose names begin so.
    Prefix(String),
    /// Addresses of this network.
    Network {
        /// Any address of it.
        ip: IpAddr,
        /// How many of its leading bits count.
        bits: u8,
    },
}

/// What is no [`InterfaceRule`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InterfaceRuleError {
    /// The part before the slash is no address.
    #[error("{0:?} is no network: written as 10.0.0.0/8 or 2001:db8::/32")]
    Network(String),
    /// The part after the slash is no number of bits.
    #[error("{0:?} has no number of bits after the slash: 0 to 32 for IPv4, 0 to 128 for IPv6")]
    Bits(String),
    /// Neither an address nor a name that an interface can have.
    #[error(
        "{0:?} is neither an interface's name (15 bytes at most, such as eth0 or wg*) nor a network such as 10.0.0.0/8"
    )]
    Name(String),
}

impl FromStr for InterfaceRule {
    type Err = InterfaceRuleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let widest = |ip: &IpAddr| if ip.is_ipv4() { 32 } else { 128 };
        if let Some((ip, bits)) = text.split_once('/') {
            let ip: IpAddr = ip.parse().map_err(|_| InterfaceRuleError::Network(text.to_owned()))?;
            let bits = bits.parse().ok().filter(|bits| *bits <= widest(&ip));
            return Ok(Self::Network {
                ip,
                bits: bits.ok_or_else(|| InterfaceRuleError::Bits(text.to_owned()))?,
            });
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::Network { ip, bits: widest(&ip) });
        }
        let (name, is_prefix) = text.strip_suffix('*').map_or((text, false), |name| (name, true));
        let is_name = name.len() <= NAME_BYTES
            && !name.contains(|c: char| c.is_whitespace() || c.is_control() || "/:*".contains(c));
        match (is_name, is_prefix) {
            (true, true) => Ok(Self::Prefix(name.to_owned())),
            (true, false) if !name.is_empty() => Ok(Self::Name(name.to_owned())),
            _ => Err(InterfaceRuleError::Name(text.to_owned())),
        }
    }
}

impl fmt::Display for InterfaceRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Prefix(name) => write!(f, "{name}*"),
            Self::Network { ip, bits } => write!(f, "{ip}/{bits}"),
        }
    }
}

impl InterfaceRule {
    fn covers(&self, address: &HostAddress) -> bool {
        match self {
            Self::Name(name) => address.interface == *name,
            Self::Prefix(name) => address.interface.starts_with(name),
            Self::Network { ip, bits } => is_within(address.ip, *ip, *bits),
        }
    }
}

/// Which of the host's own addresses may be announced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InterfaceRules {
    /// Only these. Empty: all but bridges to containers and virtual machines.
    pub allow: Vec<InterfaceRule>,
    /// Not these, not even if they are allowed.
    pub deny: Vec<InterfaceRule>,
}

impl InterfaceRules {
    /// Whether the lists let this address be announced.
    pub(super) fn allows(&self, address: &HostAddress) -> bool {
        (self.allow.is_empty() || self.allow.iter().any(|rule| rule.covers(address))) && !self.denies(address)
    }

    /// Whether the address was named as one not to announce.
    pub(super) fn denies(&self, address: &HostAddress) -> bool {
        self.deny.iter().any(|rule| rule.covers(address))
    }
}

/// Whether an interface of this name leads to containers or virtual machines of this host only.
pub(super) fn is_bridge(interface: &str) -> bool {
    BRIDGES.iter().any(|beginning| interface.starts_with(beginning))
}

fn is_within(ip: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            (ip.to_bits() ^ network.to_bits()).leading_zeros() >= u32::from(bits)
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            (ip.to_bits() ^ network.to_bits()).leading_zeros() >= u32::from(bits)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(rule: &str, interface: &str, ip: &str) -> bool {
        let address = HostAddress { interface: interface.to_owned(), ip: ip.parse().expect("an address") };
        rule.parse::<InterfaceRule>().expect("a rule").covers(&address)
    }

    #[test]
    fn by_name_or_by_network() {
        assert!(covers("eth0", "eth0", "10.0.0.1") && !covers("eth0", "eth01", "10.0.0.1"));
        assert!(covers("wg*", "wg7", "10.0.0.1") && !covers("wg*", "eth0", "10.0.0.1"));
        assert!(covers("10.0.0.0/8", "a", "10.255.0.1") && !covers("10.0.0.0/8", "a", "11.0.0.1"));
        assert!(covers("10.0.0.5", "a", "10.0.0.5") && !covers("10.0.0.5", "a", "10.0.0.6"));
        assert!(
            covers("2001:db8::/32", "a", "2001:db8:1::1") && !covers("2001:db8::/32", "a", "2001:db9::1")
        );
        assert!(covers("0.0.0.0/0", "a", "192.0.2.1") && !covers("0.0.0.0/0", "a", "::1"), "one family");
    }

    #[test]
    fn what_is_no_rule_is_refused_in_words() {
        for (text, words) in [
            ("10.0.0/8", "no network"),
            ("10.0.0.0/33", "number of bits"),
            ("::/129", "number of bits"),
            ("::/", "number of bits"),
            ("", "neither"),
            ("a b", "neither"),
            ("an-interface-with-a-long-name", "neither"),
            ("e*h0", "neither"),
        ] {
            let error = text.parse::<InterfaceRule>().expect_err(text).to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
