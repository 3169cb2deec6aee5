//! ICE candidates as text (RFC 8839, section 5.1; TCP: RFC 6544).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::error::SdpError;
use crate::text::{is_ice_text, is_word};

/// One candidate. Extension attributes other than the TCP type (generation, ufrag, network cost) are dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Equal for candidates of the same kind, base and server; 1 to 32 ice-chars.
    pub foundation: String,
    /// 1 is RTP (and RTCP, multiplexed), 2 is RTCP on its own.
    pub component: u16,
    /// UDP or TCP.
    pub transport: CandidateTransport,
    /// Priority, RFC 8445, section 5.1.2.
    pub priority: u32,
    /// Where it is.
    pub address: CandidateAddress,
    /// Port; 9 for an active TCP candidate.
    pub port: u16,
    /// How it was found.
    pub kind: CandidateKind,
    /// Base of a reflexive or relayed candidate, when told.
    pub related: Option<SocketAddr>,
}

/// Transport protocol of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CandidateTransport {
    /// UDP.
    Udp,
    /// TCP, with who connects.
    Tcp(TcpType),
}

/// Who connects (RFC 6544, section 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpType {
    /// Opens connections; its port means nothing.
    Active,
    /// Accepts connections.
    Passive,
    /// Both at once.
    SimultaneousOpen,
}

/// Address of a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CandidateAddress {
    /// An IP address.
    Ip(IpAddr),
    /// A name, in practice an mDNS one ending in `.local`. Never resolved here: the peer's checks reveal its address.
    Hostname(String),
}

/// How a candidate was found (RFC 8445, section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CandidateKind {
    /// An interface of the peer.
    Host,
    /// Seen by a STUN server.
    ServerReflexive,
    /// Seen by the other peer.
    PeerReflexive,
    /// At a TURN server.
    Relay,
}

impl Candidate {
    /// A host candidate for component 1, with priority and foundation by the recipes of RFC 8445 and RFC 6544.
    ///
    /// `local_preference` ranks addresses among each other, higher is better. For TCP only its lower 13 bits count.
    pub fn host(transport: CandidateTransport, address: SocketAddr, local_preference: u16) -> Self {
        const HOST_TYPE_PREFERENCE: u32 = 126;
        // RFC 6544, section 4.2: direction preference for host candidates, in the top three bits.
        let local_preference = match transport {
            CandidateTransport::Udp => u32::from(local_preference),
            CandidateTransport::Tcp(tcp_type) => {
                let direction: u32 = match tcp_type {
                    TcpType::Active => 6,
                    TcpType::Passive => 4,
                    TcpType::SimultaneousOpen => 2,
                };
                (direction << 13) | u32::from(local_preference & 0x1fff)
            }
        };
        // TCP gets a lower type preference than any UDP host candidate, so that UDP wins where both work.
        let type_preference = match transport {
            CandidateTransport::Udp => HOST_TYPE_PREFERENCE,
            CandidateTransport::Tcp(_) => HOST_TYPE_PREFERENCE - 36,
        };
        let component = 1;
        Self {
            foundation: foundation(transport, address.ip()),
            component,
            transport,
            priority: (type_preference << 24) | (local_preference << 8) | (256 - u32::from(component)),
            address: CandidateAddress::Ip(address.ip()),
            port: address.port(),
            kind: CandidateKind::Host,
            related: None,
        }
    }

    /// Reads a candidate, with or without `a=` and `candidate:` before it.
    ///
    /// # Errors
    /// [`SdpError::MalformedCandidate`], also for transports other than UDP and TCP.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        let bad = SdpError::MalformedCandidate;
        let text = text.trim();
        let text = text.strip_prefix("a=").unwrap_or(text);
        let text = text.strip_prefix("candidate:").unwrap_or(text);
        if text.len() > 1024 {
            return Err(bad("too long"));
        }
        let mut words = text.split_ascii_whitespace();
        let mut next = |what| words.next().ok_or(bad(what));

        let foundation = next("no foundation")?;
        if !is_ice_text(foundation, 1, 32) {
            return Err(bad("foundation"));
        }
        let component = next("no component")?.parse().map_err(|_| bad("component"))?;
        let transport = next("no transport")?;
        let is_tcp = match transport {
            _ if transport.eq_ignore_ascii_case("udp") => false,
            _ if transport.eq_ignore_ascii_case("tcp") => true,
            _ => return Err(bad("transport is neither UDP nor TCP")),
        };
        let priority = next("no priority")?.parse().map_err(|_| bad("priority"))?;
        let address = next("no address")?;
        let address = match address.parse() {
            Ok(ip) => CandidateAddress::Ip(ip),
            Err(_) if is_word(address, 253) && !address.contains(':') => {
                CandidateAddress::Hostname(address.to_owned())
            }
            Err(_) => return Err(bad("address")),
        };
        let port = next("no port")?.parse().map_err(|_| bad("port"))?;
        if next("no type")? != "typ" {
            return Err(bad("no type"));
        }
        let kind = match next("no type")? {
            "host" => CandidateKind::Host,
            "srflx" => CandidateKind::ServerReflexive,
            "prflx" => CandidateKind::PeerReflexive,
            "relay" => CandidateKind::Relay,
            _ => return Err(bad("type")),
        };

        let (mut related_address, mut related_port, mut tcp_type) = (None, None, None);
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            match name {
                "raddr" => related_address = value.parse::<IpAddr>().ok(),
                "rport" => related_port = value.parse::<u16>().ok(),
                "tcptype" => {
                    tcp_type = Some(match value {
                        "active" => TcpType::Active,
                        "passive" => TcpType::Passive,
                        "so" => TcpType::SimultaneousOpen,
                        _ => return Err(bad("tcptype")),
                    });
                }
                _ => {}
            }
        }
        let transport = match (is_tcp, tcp_type) {
            (false, _) => CandidateTransport::Udp,
            (true, Some(tcp_type)) => CandidateTransport::Tcp(tcp_type),
            (true, None) => return Err(bad("TCP without tcptype")),
        };
        let related = related_address.zip(related_port).map(|(ip, port)| SocketAddr::new(ip, port));
        Ok(Self {
            foundation: foundation.to_owned(),
            component,
            transport,
            priority,
            address,
            port,
            kind,
            related,
        })
    }

    /// Where it is, unless that is a name.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self.address {
            CandidateAddress::Ip(ip) => Some(SocketAddr::new(ip, self.port)),
            CandidateAddress::Hostname(_) => None,
        }
    }
}

impl fmt::Display for Candidate {
    /// As it stands after `a=`, beginning with `candidate:`; also the form that `RTCIceCandidate.candidate` has.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.transport {
            CandidateTransport::Udp => "udp",
            CandidateTransport::Tcp(_) => "tcp",
        };
        write!(f, "candidate:{} {} {transport} {} ", self.foundation, self.component, self.priority)?;
        match &self.address {
            CandidateAddress::Ip(ip) => write!(f, "{ip}")?,
            CandidateAddress::Hostname(name) => f.write_str(name)?,
        }
        let kind = match self.kind {
            CandidateKind::Host => "host",
            CandidateKind::ServerReflexive => "srflx",
            CandidateKind::PeerReflexive => "prflx",
            CandidateKind::Relay => "relay",
        };
        write!(f, " {} typ {kind}", self.port)?;
        if let Some(related) = self.related {
            write!(f, " raddr {} rport {}", related.ip(), related.port())?;
        }
        match self.transport {
            CandidateTransport::Udp => Ok(()),
            CandidateTransport::Tcp(TcpType::Active) => f.write_str(" tcptype active"),
            CandidateTransport::Tcp(TcpType::Passive) => f.write_str(" tcptype passive"),
            CandidateTransport::Tcp(TcpType::SimultaneousOpen) => f.write_str(" tcptype so"),
        }
    }
}

/// The same for the same address and transport, different (all but surely) otherwise: FNV-1a over both.
fn foundation(transport: CandidateTransport, ip: IpAddr) -> String {
    let mut hash: u32 = 0x811c_9dc5;
    let mut mix = |byte: u8| hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    mix(match transport {
        CandidateTransport::Udp => 0,
        CandidateTransport::Tcp(_) => 1,
    });
    match ip {
        IpAddr::V4(ip) => ip.octets().into_iter().for_each(&mut mix),
        IpAddr::V6(ip) => ip.octets().into_iter().for_each(&mut mix),
    }
    hash.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_browsers_send() {
        let udp = Candidate::parse(
            "candidate:842163049 1 udp 1677729535 203.0.113.7 54321 typ srflx raddr 10.0.0.2 rport 54321 \
             generation 0 ufrag sXP5 network-cost 999",
        )
        .unwrap();
        assert_eq!(udp.kind, CandidateKind::ServerReflexive);
        assert_eq!(udp.related, Some("10.0.0.2:54321".parse().unwrap()));
        assert_eq!(udp.socket_addr(), Some("203.0.113.7:54321".parse().unwrap()));

        let mdns =
            Candidate::parse("a=candidate:0 1 UDP 2122252543 4b7d54a3-96cd.local 40678 typ host").unwrap();
        assert_eq!(mdns.address, CandidateAddress::Hostname("4b7d54a3-96cd.local".into()));
        assert_eq!(mdns.socket_addr(), None);

        let tcp = Candidate::parse("1 1 tcp 1518214911 2001:db8::1 9 typ host tcptype active generation 0")
            .unwrap();
        assert_eq!(tcp.transport, CandidateTransport::Tcp(TcpType::Active));
        assert_eq!(Candidate::parse(&tcp.to_string()).unwrap(), tcp);
    }

    #[test]
    fn refuses_what_is_not_a_candidate() {
        for text in [
            "",
            "candidate:",
            "candidate:1 1 udp",
            "candidate:1 1 ssltcp 1 10.0.0.1 443 typ host",
            "candidate:1 1 tcp 1 10.0.0.1 443 typ host",
            "candidate:1 1 udp 99999999999 10.0.0.1 1 typ host",
            "candidate:1 1 udp 1 10.0.0.1 70000 typ host",
            "candidate:1 1 udp 1 fe80::zz 7 typ host",
            "candidate:1 1 udp 1 10.0.0.1 7 typ guest",
        ] {
            assert!(Candidate::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn udp_ranks_before_tcp() {
        let address = "192.0.2.1:4000".parse().unwrap();
        let udp = Candidate::host(CandidateTransport::Udp, address, 1);
        let tcp = Candidate::host(CandidateTransport::Tcp(TcpType::Passive), address, u16::MAX);
        assert!(udp.priority > tcp.priority);
        assert_ne!(udp.foundation, tcp.foundation);
        assert_eq!(
            tcp.to_string(),
            format!(
                "candidate:{} 1 tcp {} 192.0.2.1 4000 typ host tcptype passive",
                tcp.foundation, tcp.priority
            )
        );
    }
}
