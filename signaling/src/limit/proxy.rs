//! Which address a request comes from, when it comes through proxies.
//!
//! A header is believed as far as those who wrote it are trusted: going from the right, where the nearest proxy wrote, the
//! first address that is no trusted proxy's is the client's. What stands left of it was written by whoever is not trusted.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderName, header};

use super::Network;

/// Addresses in one header that are looked at. More proxies than this stand in no row.
const HOPS: usize = 32;

/// The header in which proxies say whom they speak for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AddressHeader {
    /// `X-Forwarded-For`: addresses separated by commas, the nearest proxy's word last.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239), its `for` parameters.
    Forwarded,
    /// `X-Real-IP`: one address.
    XRealIp,
}

/// Whose word about addresses is believed. By default nobody's.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    /// Where the proxies are.
    pub networks: Vec<Network>,
    /// Where they write.
    pub header: AddressHeader,
}

impl TrustedProxies {
    /// Whether an address is a proxy's.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }

    /// The client's address: the peer's own, unless the peer is a proxy that says otherwise.
    pub(crate) fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.contains(peer) {
            return peer;
        }
        let words = headers.get_all(self.header.name());
        // Repeated fields are one list (RFC 9110 §5.3).
        let mut list: Vec<&str> = Vec::new();
        for value in &words {
            // What can't be read hides whoever stands left of it.
            let Ok(text) = value.to_str() else {
                list.clear();
                continue;
            };
            list.extend(self.header.split(text));
        }
        let mut client = peer;
        for word in list.into_iter().rev().take(HOPS) {
            // `unknown`, an obfuscated name or nonsense: the last one that is known speaks for it.
            let Some(address) = self.header.read(word) else { return client };
            client = address.to_canonical();
            if !self.contains(client) {
                return client;
            }
        }
        client
    }
}

impl AddressHeader {
    fn name(self) -> HeaderName {
        match self {
            Self::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            Self::Forwarded => header::FORWARDED,
            Self::XRealIp => HeaderName::from_static("x-real-ip"),
        }
    }

    fn split(self, text: &str) -> Vec<&str> {
        match self {
            Self::XRealIp => vec![text],
            Self::XForwardedFor => text.split(',').collect(),
            Self::Forwarded => split_unquoted(text, ','),
        }
    }

    fn read(self, word: &str) -> Option<IpAddr> {
        match self {
            Self::XForwardedFor | Self::XRealIp => read_address(word.trim()),
            Self::Forwarded => split_unquoted(word, ';').into_iter().find_map(|pair| {
                let (name, value) = pair.split_once('=')?;
                let is_for = name.trim().eq_ignore_ascii_case("for");
                is_for.then(|| read_address(value.trim().trim_matches('"'))).flatten()
            }),
        }
    }
}

/// An address, with a port or without, in brackets or without.
fn read_address(text: &str) -> Option<IpAddr> {
    let bare =
        || text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).and_then(|it| it.parse().ok());
    text.parse::<IpAddr>().ok().or_else(bare).or_else(|| text.parse::<SocketAddr>().ok().map(|it| it.ip()))
}

/// Parts between separators that stand in no quotation marks.
fn split_unquoted(text: &str, separator: char) -> Vec<&str> {
    let mut is_quoted = false;
    text.split(|c| {
        is_quoted ^= c == '"';
        c == separator && !is_quoted
    })
    .collect()
}

impl FromStr for AddressHeader {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::XForwardedFor, Self::Forwarded, Self::XRealIp]
            .into_iter()
            .find(|header| text.eq_ignore_ascii_case(header.name().as_str()))
            .ok_or_else(|| "one of x-forwarded-for, forwarded, x-real-ip".to_owned())
    }
}

impl fmt::Display for AddressHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(header: AddressHeader, trusted: &[&str], peer: &str, fields: &[&str]) -> String {
        let networks = trusted.iter().map(|text| text.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header.name(), field.parse().unwrap());
        }
        let proxies = TrustedProxies { networks, header };
        proxies.client_address(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_a_trusted_peer_is_believed() {
        let forged = ["198.51.100.1"];
        for header in [AddressHeader::XForwardedFor, AddressHeader::Forwarded, AddressHeader::XRealIp] {
            assert_eq!(client(header, &[], "192.0.2.9", &forged), "192.0.2.9");
            assert_eq!(client(header, &["10.0.0.0/8"], "192.0.2.9", &forged), "192.0.2.9");
            assert_eq!(client(header, &["10.0.0.0/8"], "10.0.0.1", &[]), "10.0.0.1");
        }
    }

    #[test]
    fn the_rightmost_that_is_no_proxy_is_the_client() {
        let of = |fields: &[&str]| client(AddressHeader::XForwardedFor, &["10.0.0.0/8"], "10.0.0.1", fields);
        assert_eq!(of(&["203.0.113.5"]), "203.0.113.5");
        assert_eq!(of(&["1.1.1.1, 203.0.113.5, 10.0.0.2"]), "203.0.113.5", "what a client wrote is ignored");
        assert_eq!(of(&["1.1.1.1", "203.0.113.5", "10.0.0.2"]), "203.0.113.5", "also in fields of its own");
        assert_eq!(of(&["10.0.0.7, 10.0.0.2"]), "10.0.0.7", "a proxy's own request");
        assert_eq!(of(&["203.0.113.5, unknown, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(of(&["[2001:db8::1]:4711, 10.0.0.2"]), "2001:db8::1");
        assert_eq!(of(&["203.0.113.5:80"]), "203.0.113.5");
        assert_eq!(of(&[""]), "10.0.0.1");
        assert_eq!(of(&["203.0.113.5,"]), "10.0.0.1", "nonsense at the right end is the proxy's own");
        assert_eq!(of(&[&"10.0.0.3,".repeat(100_000)]), "10.0.0.1");
    }

    #[test]
    fn forwarded_is_read_as_its_specification_says() {
        let of = |fields: &[&str]| client(AddressHeader::Forwarded, &["10.0.0.0/8"], "10.0.0.1", fields);
        assert_eq!(of(&["for=203.0.113.5;proto=https, for=10.0.0.2"]), "203.0.113.5");
        assert_eq!(of(&["proto=https;For=\"[2001:db8::1]:4711\""]), "2001:db8::1");
        assert_eq!(of(&["for=203.0.113.5;by=\"a,for=1.1.1.1\""]), "203.0.113.5");
        assert_eq!(of(&["for=203.0.113.5, for=_hidden"]), "10.0.0.1");
        assert_eq!(of(&["by=10.0.0.2"]), "10.0.0.1");
    }

    #[test]
    fn one_address_is_one_address() {
        let of = |fields: &[&str]| client(AddressHeader::XRealIp, &["::1"], "::1", fields);
        assert_eq!(of(&["203.0.113.5"]), "203.0.113.5");
        assert_eq!(of(&["1.1.1.1", "203.0.113.5"]), "203.0.113.5");
        assert_eq!(of(&["1.1.1.1, 203.0.113.5"]), "::1");
    }
}
