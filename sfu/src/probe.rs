//! What a node would get from this host, without running one: for a person who asks whether it would work.

use std::net::IpAddr;
use std::num::NonZero;

use crate::node::{addresses, bind_all, facts, listen_shared};
use crate::socket::{MediaSocket, SOCKET_BUFFER_BYTES};
use crate::{NodeConfig, StartError, interface};

/// What a node would get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeProbe {
    /// The port of each worker.
    pub ports: Vec<u16>,
    /// Addresses that media would be received on.
    pub bound: Vec<IpAddr>,
    /// Addresses that would be announced, best first.
    pub announced: Vec<IpAddr>,
    /// Bytes of buffer that are asked of the kernel, for each direction of a socket.
    pub wanted_buffer: usize,
    /// Bytes that it grants for receiving and for sending.
    pub granted_buffers: (usize, usize),
    /// Whether the kernel segments runs of datagrams.
    pub has_gso: bool,
}

/// Binds what a node would bind, looks, and lets go of it.
///
/// # Errors
/// [`StartError`], as the node would have it.
pub fn probe(config: &NodeConfig) -> Result<NodeProbe, StartError> {
    let workers =
        config.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZero::get));
    let workers_bound = bind_all(config, workers)?;
    let facts = facts(&workers_bound);
    let mut bound: Vec<IpAddr> =
        workers_bound.iter().flat_map(|it| &it.sockets).map(MediaSocket::local).map(|it| it.ip()).collect();
    bound.sort();
    bound.dedup();
    if let Some(port) = config.tcp_port {
        listen_shared(&bound, port)?;
    }
    let announced = addresses(&interface::choose(&interface::host_addresses(), &bound, config));
    Ok(NodeProbe {
        ports: facts.ports,
        bound,
        announced,
        wanted_buffer: SOCKET_BUFFER_BYTES,
        granted_buffers: facts.buffers,
        has_gso: facts.has_gso,
    })
}

#[cfg(test)]
mod tests {
    use patchbay_protocol::NodeName;

    use super::*;

    #[test]
    fn ports_are_free_again_afterwards() {
        let mut config = NodeConfig::new(NodeName::new("a"), 0);
        config.workers = Some(1);
        let first = probe(&config).expect("a probe");
        config.media_port = first.ports.first().copied().expect("a port");
        assert_eq!(probe(&config).expect("the same port").ports, first.ports);
        let held = bind_all(&config, 1).expect("the port");
        assert!(matches!(probe(&config), Err(StartError::PortTaken { .. })));
        drop(held);
    }
}
