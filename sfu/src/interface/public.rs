//! Addresses that the operator says peers reach this host by.

use std::net::IpAddr;
use std::str::FromStr;

/// What `--public-ip` may say. Written `203.0.113.7`, `203.0.113.7/10.0.0.5` (public, then local) or `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublicIp {
    /// Announced before the host's own addresses.
    Address(IpAddr),
    /// Announced in place of one of them.
    Mapped(PublicMapping),
    /// STUN servers know.
    Auto,
}

/// A public address that a NAT translates to one of this host's, port for port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicMapping {
    /// As peers see it.
    pub public: IpAddr,
    /// As this host has it.
    pub local: IpAddr,
}

/// What is no [`PublicIp`], or makes no sense beside the others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublicIpError {
    /// Neither of the three forms.
    #[error("{0:?}: written as 203.0.113.7, as PUBLIC/LOCAL such as 203.0.113.7/10.0.0.5, or auto")]
    Form(String),
    /// IPv4 on one side of the NAT and IPv6 on the other.
    #[error("{0}/{1}: one is IPv4 and the other IPv6, between which no NAT maps addresses")]
    MixedFamilies(IpAddr, IpAddr),
    /// An address that no single host has.
    #[error("{0} is no address of a single host")]
    NoHost(IpAddr),
    /// Given twice.
    #[error("{0} is given twice")]
    Twice(IpAddr),
    /// Several public addresses in place of one.
    #[error("the local address {0} stands for two public ones; give one of them without /{0}")]
    SharedLocal(IpAddr),
}

impl FromStr for PublicIp {
    type Err = PublicIpError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = |part: &str| -> Result<IpAddr, PublicIpError> {
            let ip: IpAddr = part.parse().map_err(|_| PublicIpError::Form(text.to_owned()))?;
            if is_host(ip) { Ok(ip) } else { Err(PublicIpError::NoHost(ip)) }
        };
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let Some((public, local)) = text.split_once('/') else { return Ok(Self::Address(parse(text)?)) };
        let (public, local) = (parse(public)?, parse(local)?);
        if public.is_ipv4() != local.is_ipv4() {
            return Err(PublicIpError::MixedFamilies(public, local));
        }
        Ok(Self::Mapped(PublicMapping { public, local }))
    }
}

impl PublicIp {
    /// Whether these make sense together.
    ///
    /// # Errors
    /// An address that is public twice, or local twice.
    pub fn check(all: &[Self]) -> Result<(), PublicIpError> {
        let (mut publics, mut locals) = (Vec::new(), Vec::new());
        for each in all {
            let public = match each {
                Self::Auto => continue,
                Self::Address(public) => public,
                Self::Mapped(PublicMapping { public, local }) => {
                    if locals.contains(local) {
                        return Err(PublicIpError::SharedLocal(*local));
                    }
                    locals.push(*local);
                    public
                }
            };
            if publics.contains(public) {
                return Err(PublicIpError::Twice(*public));
            }
            publics.push(*public);
        }
        Ok(())
    }
}

/// Whether a single host can have this address.
pub(super) fn is_host(ip: IpAddr) -> bool {
    let is_broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !(ip.is_unspecified() || ip.is_multicast() || is_broadcast)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(texts: &[&str]) -> Result<(), PublicIpError> {
        let all: Result<Vec<PublicIp>, _> = texts.iter().map(|text| text.parse()).collect();
        PublicIp::check(&all?)
    }

    #[test]
    fn three_forms_in_two_families() {
        check(&["203.0.113.7", "203.0.113.8/10.0.0.5", "2001:db8::7/fd00::5", "2001:db8::8", "auto"])
            .expect("good");
        let mapping = PublicMapping {
            public: "203.0.113.7".parse().expect("ip"),
            local: "10.0.0.5".parse().expect("ip"),
        };
        assert_eq!("203.0.113.7/10.0.0.5".parse(), Ok(PublicIp::Mapped(mapping)));
    }

    #[test]
    fn what_makes_no_sense_is_refused_in_words() {
        for (texts, words) in [
            (&["203.0.113"][..], "written as"),
            (&["203.0.113.7/"], "written as"),
            (&["203.0.113.7/24"], "written as"),
            (&["203.0.113.7/10.0.0.5/10.0.0.6"], "written as"),
            (&["example.org"], "written as"),
            (&["203.0.113.7/fd00::5"], "one is IPv4"),
            (&["0.0.0.0"], "no address of a single host"),
            (&["ff02::1"], "no address of a single host"),
            (&["203.0.113.7", "203.0.113.7"], "given twice"),
            (&["203.0.113.7", "203.0.113.7/10.0.0.5"], "given twice"),
            (&["203.0.113.7/10.0.0.5", "203.0.113.8/10.0.0.5"], "stands for two"),
        ] {
            let error = check(texts).expect_err(words).to_string();
            assert!(error.contains(words), "{texts:?}: {error}");
        }
    }
}
