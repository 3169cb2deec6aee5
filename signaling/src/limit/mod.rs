//! How much one client may ask, and how much all of them: rates, counts, and which address a request comes from.
//!
//! Goes in: addresses, times, sizes. Comes out: a place or a permission, or when to try again. What is counted here is
//! what a stranger can do; bounds on what members say are the room's (`crate::room`), and so are bounds on rooms.

mod address_rate;
mod caller;
mod crowd;
mod network;
mod proxy;
mod session_rate;
mod token_bucket;

pub(crate) use address_rate::AddressRate;
pub(crate) use caller::{Caller, identify};
pub(crate) use crowd::{Crowd, Place};
pub use network::{Network, NetworkError};
pub use proxy::{AddressHeader, TrustedProxies};
pub(crate) use session_rate::SessionRate;

use std::net::{IpAddr, Ipv6Addr};

/// Whose an address is, as far as can be told: an IPv4 address, or an IPv6 network of 64 bits, as one host has them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Household(IpAddr);

impl Household {
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
            v4 => v4,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_64_bits_is_one_household() {
        let of = |text: &str| Household::of(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"), "an IPv4 address in IPv6's dress is itself");
    }
}
