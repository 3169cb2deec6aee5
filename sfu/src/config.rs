//! What a node is told at its start, and why it may not start.

use std::io;
use std::net::{IpAddr, SocketAddr};

use patchbay_protocol::NodeName;

/// What a node is told at its start.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// The node's name, as signaling and logs call it.
    pub name: NodeName,
    /// UDP port of the first worker; worker n has this plus n. 0: the system chooses a port for each.
    pub media_port: u16,
    /// Threads that carry media. `None`: one per core. Cost of raising: about 3 MiB and one port each; more than the machine
    /// has cores gains nothing.
    pub workers: Option<usize>,
    /// Addresses under which peers reach this host, if they are not its own (1:1 NAT). Announced first, with the worker's
    /// port, which must therefore be forwarded unchanged.
    pub public_ips: Vec<IpAddr>,
    /// Addresses to receive media on. Empty: all, IPv4 and, where the host has it, IPv6.
    pub bind: Vec<IpAddr>,
    /// Announces loopback addresses too, last, for peers on this host while it has no other network.
    pub announce_loopback: bool,
}

impl NodeConfig {
    /// All interfaces, one worker per core, nothing announced but the host's own addresses.
    pub fn new(name: NodeName, media_port: u16) -> Self {
        Self {
            name,
            media_port,
            workers: None,
            public_ips: Vec::new(),
            bind: Vec::new(),
            announce_loopback: false,
        }
    }
}

/// Why a node did not start. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another program has one of the ports.
    #[error(
        "UDP port {} on {} is taken, perhaps by another patchbay. Stop that program, or choose another first port with \
         --media-port: {workers} worker(s) take that many ports in a row",
        .address.port(), .address.ip()
    )]
    PortTaken {
        /// What is taken.
        address: SocketAddr,
        /// How many ports in a row are needed.
        workers: usize,
    },
    /// The port needs rights that the process lacks.
    #[error("UDP port {} may not be bound by this user; choose one above 1023 with --media-port", .address.port())]
    PortForbidden {
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
