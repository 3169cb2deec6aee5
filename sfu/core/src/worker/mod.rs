//! What one thread runs: transports, routers, and the way between them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use patchbay_protocol::node::{CommandResult, NodeCommand, NodeEvent, NodeState};
use rtc_crypto::RTCCryptoProvider;

use crate::{Path, Transmit};

/// What a worker is told at its start.
pub struct WorkerConfig {
    /// Addresses announced as host candidates, with the port of this worker's socket.
    pub candidates: Vec<SocketAddr>,
    /// Cryptography and the source of every random number.
    pub crypto: Arc<dyn RTCCryptoProvider>,
    /// Wall time at `now`, as nanoseconds since the Unix epoch, for NTP timestamps in sender reports.
    pub unix_nanos: u64,
}

/// The media plane of one thread.
pub struct Worker {}

impl Worker {
    /// A worker without rooms.
    pub fn new(_now: Instant, _config: WorkerConfig) -> Self {
        Self {}
    }

    /// Takes one received datagram. It is decrypted in place.
    pub fn handle_datagram(&mut self, _now: Instant, _path: Path, _datagram: &mut [u8]) {}

    /// Carries out one command.
    pub fn handle_command(&mut self, _now: Instant, _command: NodeCommand) -> CommandResult {
        CommandResult::Done {}
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, _now: Instant) {}

    /// When `handle_timeout` wants to be called.
    pub fn deadline(&self) -> Option<Instant> {
        None
    }

    /// The next datagrams to send.
    pub fn poll_transmit(&mut self, _now: Instant) -> Option<Transmit<'_>> {
        None
    }

    /// The next event for signaling.
    pub fn poll_event(&mut self) -> Option<NodeEvent> {
        None
    }

    /// Everything this worker holds, for `sync`.
    pub fn snapshot(&self) -> NodeState {
        NodeState::default()
    }

    /// Counters since the start, sorted by name.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}
