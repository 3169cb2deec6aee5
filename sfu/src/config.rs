//! What a node is told at its start, and why it may not start.

use std::io;
use std::net::{IpAddr, SocketAddr};

use patchbay_protocol::NodeName;

use crate::interface::{Detection, InterfaceRules, PublicMapping, detect_public_ips};

/// What a node is told at its start.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// The node's name, as signaling and logs call it.
    pub name: NodeName,
    /// UDP and TCP port of the first worker; worker n has this plus n. 0: the system chooses a port for each.
    pub media_port: u16,
    /// Threads that carry media. `None`: one per core. Cost of raising: about 3 MiB and one port each; more than the machine
    /// has cores gains nothing.
    pub workers: Option<usize>,
    /// Addresses under which peers reach this host, if they are not its own (1:1 NAT). Announced first, with the worker's
    /// port, which must therefore be forwarded unchanged.
    pub public_ips: Vec<IpAddr>,
    /// Addresses announced in place of the host's own, port for port, as far as media is received on the latter.
    pub public_mappings: Vec<PublicMapping>,
    /// Which of the host's own addresses are announced.
    pub interfaces: InterfaceRules,
    /// STUN servers (`stun:HOST:PORT`) that know this host's public address, if it is to be detected; see
    /// [`NodeConfig::detect_public_ips`].
    pub detect_from: Vec<String>,
    /// Addresses to receive media on. Empty: all, IPv4 and, where the host has it, IPv6.
    pub bind: Vec<IpAddr>,
    /// Announces loopback addresses too, last, for peers on this host while it has no other network.
    pub announce_loopback: bool,
    /// A TCP port that all workers share, for peers whose network lets nothing else through, such as 443. Each worker also
    /// takes connections on the number of its UDP port.
    pub tcp_port: Option<u16>,
    /// Where somebody else takes connections for this node and hands them over ([`Node::tcp_intake`](crate::Node::tcp_intake)),
    /// such as a web server. Announced like a port of the node's own, as far as it can be reached there.
    pub tcp_elsewhere: Option<SocketAddr>,
}

impl NodeConfig {
    /// All interfaces, one worker per core, nothing announced but the host's own addresses.
    pub fn new(name: NodeName, media_port: u16) -> Self {
        Self {
            name,
            media_port,
            workers: None,
            public_ips: Vec::new(),
            public_mappings: Vec::new(),
            interfaces: InterfaceRules::default(),
            detect_from: Vec::new(),
            bind: Vec::new(),
            announce_loopback: false,
            tcp_port: None,
            tcp_elsewhere: None,
        }
    }

    /// Asks the servers in `detect_from`, if any, adds what they say to `public_ips`, and logs it; warns if they say
    /// nothing. Blocks for 3 s at most.
    pub fn detect_public_ips(&mut self) {
        if self.detect_from.is_empty() {
            return;
        }
        let Detection { public, unchanged, silent } = detect_public_ips(&self.detect_from, &self.bind);
        for ip in &public {
            tracing::info!(
                "STUN sees this host at {ip}, behind a NAT: the media ports must be forwarded to it unchanged"
            );
        }
        for ip in &unchanged {
            tracing::info!("STUN sees this host at {ip}, its own address");
        }
        if public.is_empty() && unchanged.is_empty() {
            let reasons: Vec<String> =
                silent.iter().map(|(server, why)| format!("{server}: {why}")).collect();
            tracing::warn!(
                "--public-ip auto found no address ({}): let UDP through to a STUN server, or give the address itself",
                reasons.join("; ")
            );
        }
        for ip in public {
            if !self.public_ips.contains(&ip) && !self.public_mappings.iter().any(|it| it.public == ip) {
                self.public_ips.push(ip);
            }
        }
    }
}

/// Why a node did not start. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another program has one of the ports.
    #[error(
        "{protocol} port {} on {} is taken, perhaps by another patchbay. Stop that program, or choose another first port with \
         --media-port: {workers} worker(s) take that many ports in a row",
        .address.port(), .address.ip()
    )]
    PortTaken {
        /// UDP or TCP.
        protocol: &'static str,
        /// What is taken.
        address: SocketAddr,
        /// How many ports in a row are needed.
        workers: usize,
    },
    /// The port needs rights that the process lacks.
    #[error(
        "{protocol} port {} may not be bound by this user: choose one above 1023 with --media-port or --media-tcp-port, or \
         give the program the capability CAP_NET_BIND_SERVICE", .address.port()
    )]
    PortForbidden {
        /// UDP or TCP.
        protocol: &'static str,
        /// What was asked for.
        address: SocketAddr,
    },
    /// An address to bind is not this host's.
    #[error(
        "{ip} is not an address of this host, so no media can be received on it. To announce an address that a NAT \
             translates, use --public-ip"
    )]
    ForeignAddress {
        /// The address.
        ip: IpAddr,
    },
    /// The ports would go past the last one.
    #[error("{workers} workers from port {media_port} on go past port 65535; choose a lower --media-port")]
    PortRange {
        /// The first port.
        media_port: u16,
        /// How many ports in a row are needed.
        workers: usize,
    },
    /// The shared TCP port is taken.
    #[error(
        "TCP port {} on {} is taken; choose another with --media-tcp-port. Where a patchbay of this host serves HTTP on it, \
         that one can take the connections, too: --ice-tcp-http", .address.port(), .address.ip()
    )]
    SharedPortTaken {
        /// What is taken.
        address: SocketAddr,
    },
    /// More workers than can be told apart.
    #[error("a node has {} workers at most", patchbay_sfu_core::MAX_WORKERS)]
    TooManyWorkers,
    /// No worker at all.
    #[error("a node needs at least one worker")]
    NoWorkers,
    /// The system refused a socket for another reason.
    #[error("cannot open the media socket on {address}: {source}")]
    Socket {
        /// What was asked for.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The system refused something else that a worker needs.
    #[error("cannot start a worker: {0}")]
    Worker(#[from] io::Error),
    /// No cryptography was built in.
    #[error("no cryptography is available: {0}")]
    Crypto(#[from] rtc_crypto::CryptoError),
    /// No certificate for DTLS could be made.
    #[error("no DTLS certificate could be made: {0}")]
    Identity(#[from] patchbay_sfu_core::transport::TransportError),
}

impl StartError {
    /// For a UDP socket that could not be had.
    pub(crate) fn from_udp(address: SocketAddr, workers: usize, source: io::Error) -> Self {
        Self::of("UDP", address, workers, source)
    }

    /// For a TCP socket that could not be had.
    pub(crate) fn from_tcp(address: SocketAddr, workers: usize, source: io::Error) -> Self {
        Self::of("TCP", address, workers, source)
    }

    fn of(protocol: &'static str, address: SocketAddr, workers: usize, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::PortTaken { protocol, address, workers },
            io::ErrorKind::PermissionDenied => Self::PortForbidden { protocol, address },
            io::ErrorKind::AddrNotAvailable => Self::ForeignAddress { ip: address.ip() },
            _ => Self::Socket { address, source },
        }
    }
}
