//! One SFU node: its workers, its dispatcher, and ways to link it to signaling.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZero;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use patchbay_protocol::{Epoch, NodeName};
use patchbay_sfu_core::transport::Identity;
use rtc_crypto::{CryptoError, RTCCryptoProvider};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::dispatcher::{Dispatcher, DispatcherStart, ProcessFacts};
use crate::interface;
use crate::link::{self, Control, DialError, Dialer, FarEnd, NodeLink};
use crate::socket::{MediaSocket, SOCKET_BUFFER_BYTES};
use crate::worker::{FromWorker, WorkerHandle, WorkerIndex, WorkerStart};
use crate::{NodeConfig, StartError};

/// What workers may have said before the dispatcher has heard it.
const OUTBOUND: usize = 8_192;
/// Control messages on their way; they are rare.
const CONTROL: usize = 64;
/// How often to look for a number that is free in both families, when the system chooses the port.
const EPHEMERAL_ATTEMPTS: usize = 16;

/// A running node. Dropping it ends it; [`Node::shutdown`] also waits for that.
#[derive(Debug)]
pub struct Node {
    name: NodeName,
    epoch: Epoch,
    control: mpsc::Sender<Control>,
    dispatcher: JoinHandle<()>,
    local_addresses: Vec<SocketAddr>,
    candidates: Vec<SocketAddr>,
}

impl Node {
    /// Binds the sockets and starts the workers. Must be called within a tokio runtime, which carries the dispatcher.
    ///
    /// # Errors
    /// [`StartError`], whose text says what to do. Nothing keeps running then.
    pub fn start(config: NodeConfig) -> Result<Self, StartError> {
        Self::start_with(config, rtc_crypto::default_provider()?)
    }

    fn start_with(config: NodeConfig, crypto: Arc<dyn RTCCryptoProvider>) -> Result<Self, StartError> {
        let identity = Identity::generate(crypto.as_ref())?;
        let workers =
            config.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZero::get));
        let ports = ports(config.media_port, workers)?;
        let (wanted, is_everywhere) = if config.bind.is_empty() {
            (vec![IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()], true)
        } else {
            (config.bind.clone(), false)
        };
        let mut sockets = Vec::with_capacity(workers);
        for port in ports {
            sockets.push(bind(&wanted, port, workers, is_everywhere)?);
        }
        let facts = facts(&sockets);
        report_buffers(&facts);
        let bound: Vec<IpAddr> = sockets.iter().flatten().map(|s| s.local().ip()).collect();
        let local_addresses = sockets.iter().flatten().map(MediaSocket::local).collect();
        let announced = interface::choose(
            &interface::host_addresses(),
            &bound,
            &config.public_ips,
            config.announce_loopback,
        );

        let (outbound, from_workers) = mpsc::channel::<FromWorker>(OUTBOUND);
        let mut handles = Vec::with_capacity(workers);
        let mut all_candidates = Vec::new();
        for (index, (sockets, port)) in sockets.into_iter().zip(&facts.ports).enumerate() {
            let candidates: Vec<SocketAddr> =
                announced.iter().map(|ip| SocketAddr::new(*ip, *port)).collect();
            all_candidates.extend(candidates.iter().copied());
            handles.push(WorkerHandle::start(WorkerStart {
                node: config.name.clone(),
                index: WorkerIndex(index),
                sockets,
                candidates,
                crypto: crypto.clone(),
                identity: identity.clone(),
                seed: random_seed(crypto.as_ref())?,
                outbound: outbound.clone(),
            })?);
        }
        let (control, control_out) = mpsc::channel(CONTROL);
        let epoch = epoch_now();
        tracing::info!(
            node = %config.name, workers, ports = ?facts.ports, addresses = ?announced, gso = facts.has_gso,
            "SFU node runs"
        );
        let dispatcher = Dispatcher::new(DispatcherStart {
            name: config.name.clone(),
            epoch,
            workers: handles,
            from_workers,
            control: control_out,
            facts,
        });
        Ok(Self {
            name: config.name,
            epoch,
            control,
            dispatcher: tokio::spawn(dispatcher.run()),
            local_addresses,
            candidates: all_candidates,
        })
    }

    /// The node's name.
    pub fn name(&self) -> &NodeName {
        &self.name
    }

    /// This life of the node: milliseconds since 1970 at its start.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Where its sockets are bound, worker by worker.
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.local_addresses
    }

    /// The host candidates it announces, worker by worker.
    pub fn candidates(&self) -> &[SocketAddr] {
        &self.candidates
    }

    /// Links signaling in this process. Replaces any other link.
    pub fn link(&self) -> NodeLink {
        let (attachment, FarEnd { commands, events }) = link::pair(false);
        if self.control.try_send(Control::Attach { attachment, number: None }).is_err() {
            // The dispatcher is gone or swamped with links; either way this link shows as closed at once.
            tracing::error!(node = %self.name, "the node cannot take a link");
        }
        NodeLink { name: self.name.clone(), epoch: self.epoch, commands, events }
    }

    /// Links signaling in another process: dials `url` (`ws://host:port/v1/nodes`), introduces itself with `secret`, and
    /// comes back for ever, with exponential backoff and full jitter. Ends when `cancelled` does.
    ///
    /// # Errors
    /// [`DialError`] if no attempt could ever succeed, or if the node was shut down.
    pub async fn dial(
        &self,
        url: &str,
        secret: &str,
        cancelled: impl Future<Output = ()>,
    ) -> Result<(), DialError> {
        let dialer = Dialer::new(url, secret, self.control.clone())?;
        dialer.run(std::pin::pin!(cancelled)).await
    }

    /// Closes every room, tells the peers, and waits until all threads have ended (5 s at most).
    pub async fn shutdown(self) {
        let Self { name, control, dispatcher, .. } = self;
        // If it fails, the dispatcher has ended already.
        let _ = control.send(Control::Stop).await;
        drop(control);
        if dispatcher.await.is_err() {
            tracing::error!(node = %name, "the dispatcher ended in a panic");
        }
        tracing::info!(node = %name, "SFU node stopped");
    }
}

/// The port of each worker.
fn ports(media_port: u16, workers: usize) -> Result<Vec<u16>, StartError> {
    if workers == 0 {
        return Err(StartError::NoWorkers);
    }
    if media_port == 0 {
        return Ok(vec![0; workers]);
    }
    let range = || StartError::PortRange { media_port, workers };
    (0..workers)
        .map(|n| u16::try_from(n).ok().and_then(|n| media_port.checked_add(n)).ok_or_else(range))
        .collect()
}

/// One worker's sockets, all with the same port.
fn bind(
    wanted: &[IpAddr],
    port: u16,
    workers: usize,
    is_everywhere: bool,
) -> Result<Vec<MediaSocket>, StartError> {
    let mut attempts = if port == 0 { EPHEMERAL_ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        match bind_once(wanted, port, workers, is_everywhere) {
            Err(StartError::PortTaken { .. }) if attempts > 0 => {}
            outcome => return outcome,
        }
    }
}

fn bind_once(
    wanted: &[IpAddr],
    mut port: u16,
    workers: usize,
    is_everywhere: bool,
) -> Result<Vec<MediaSocket>, StartError> {
    let mut sockets: Vec<MediaSocket> = Vec::with_capacity(wanted.len());
    for ip in wanted {
        match MediaSocket::bind(SocketAddr::new(*ip, port), workers) {
            Ok(socket) => {
                port = socket.local().port();
                sockets.push(socket);
            }
            // A host without IPv6 (or without IPv4) has one family only; that is no fault.
            Err(StartError::Socket { source, .. }) if is_everywhere => {
                tracing::info!(family = if ip.is_ipv4() { "IPv4" } else { "IPv6" }, %source, "not available on this host");
            }
            Err(StartError::ForeignAddress { .. }) if is_everywhere => {}
            Err(error) => return Err(error),
        }
    }
    if sockets.is_empty() {
        let address = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
        let source =
            std::io::Error::new(std::io::ErrorKind::AddrNotAvailable, "neither IPv4 nor IPv6 is available");
        return Err(StartError::Socket { address, source });
    }
    Ok(sockets)
}

fn facts(sockets: &[Vec<MediaSocket>]) -> ProcessFacts {
    let all = || sockets.iter().flatten();
    ProcessFacts {
        ports: sockets.iter().filter_map(|s| s.first()).map(|s| s.local().port()).collect(),
        has_gso: all().all(MediaSocket::has_gso),
        buffers: (
            all().map(|s| s.buffers().0).min().unwrap_or_default(),
            all().map(|s| s.buffers().1).min().unwrap_or_default(),
        ),
    }
}

fn report_buffers(facts: &ProcessFacts) {
    for (granted, limit) in [(facts.buffers.0, "net.core.rmem_max"), (facts.buffers.1, "net.core.wmem_max")] {
        if granted < SOCKET_BUFFER_BYTES {
            tracing::warn!(
                granted,
                wanted = SOCKET_BUFFER_BYTES,
                "the kernel grants a small socket buffer, so bursts may be lost: raise {limit} (sysctl)"
            );
        }
    }
}

fn epoch_now() -> Epoch {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Epoch(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn random_seed(crypto: &dyn RTCCryptoProvider) -> Result<u64, CryptoError> {
    let mut bytes = [0; 8];
    crypto.random().fill(&mut bytes)?;
    Ok(u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use patchbay_protocol::node::{Command, CommandResult, NodeCommand, NodeEvent};
    use patchbay_protocol::{CommandId, ErrorCode, ParticipantNumber, RoomId, TransportId, TransportState};
    use patchbay_sansio_peer::{MediaKind, PeerSetup, SansIoPeer, Section, SrtpProfile, VideoCodec};
    use rtc_crypto::{RTCCrypto, RTCRandom};
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn ports_come_in_a_row_and_end_at_the_last() {
        assert_eq!(ports(7_000, 3).expect("in range"), [7_000, 7_001, 7_002]);
        assert_eq!(ports(0, 2).expect("any"), [0, 0]);
        assert!(matches!(ports(65_535, 2), Err(StartError::PortRange { .. })));
        assert!(matches!(ports(7_000, 0), Err(StartError::NoWorkers)));
    }

    #[test]
    fn families_share_a_port() {
        let wanted = [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()];
        let sockets = bind(&wanted, 0, 1, true).expect("bound");
        let ports: Vec<u16> = sockets.iter().map(|s| s.local().port()).collect();
        assert!(ports.iter().all(|p| *p == ports[0] && *p != 0), "{ports:?}");
    }

    /// Real cryptography that fails in the worst way when told to.
    struct Explosive {
        inner: Arc<dyn RTCCryptoProvider>,
        is_armed: AtomicBool,
    }

    impl Explosive {
        fn check(&self) {
            assert!(!self.is_armed.swap(false, Ordering::SeqCst), "the fault that this test injects");
        }
    }

    impl RTCCryptoProvider for Explosive {
        fn name(&self) -> &'static str {
            self.inner.name()
        }

        fn crypto(&self) -> &dyn RTCCrypto {
            self.check();
            self.inner.crypto()
        }

        fn random(&self) -> &dyn RTCRandom {
            self.check();
            self.inner.random()
        }
    }

    fn negotiate(transport: u64) -> NodeCommand {
        let crypto = rtc_crypto::default_provider().expect("cryptography");
        let setup = PeerSetup {
            address: "127.0.0.1:9".parse().expect("an address"),
            sections: vec![Section::receive("0", MediaKind::Video)],
            has_data: false,
            video_codecs: vec![VideoCodec::Vp8],
            has_retransmission: true,
            srtp_profiles: SrtpProfile::ALL.to_vec(),
            identity: Identity::generate(crypto.as_ref()).expect("a certificate"),
        };
        let mut peer = SansIoPeer::new(Instant::now(), setup, crypto).expect("a peer");
        NodeCommand::Negotiate {
            transport: TransportId(transport),
            room: RoomId(1),
            participant: ParticipantNumber(1),
            sdp: peer.offer(),
            publications: Vec::new(),
            slots: Vec::new(),
            data: false,
        }
    }

    #[tokio::test]
    async fn a_worker_that_panics_loses_its_transports_and_goes_on() {
        let inner = rtc_crypto::default_provider().expect("cryptography");
        let explosive = Arc::new(Explosive { inner, is_armed: AtomicBool::new(false) });
        let config = NodeConfig {
            workers: Some(1),
            bind: vec![Ipv4Addr::LOCALHOST.into()],
            ..NodeConfig::new(NodeName::new("node"), 0)
        };
        let node = Node::start_with(config, explosive.clone()).expect("started");
        let mut link = node.link();
        let send = |id: u64, command: NodeCommand| {
            let command = Command { id: CommandId(id), epoch: Epoch(1), command };
            link.commands.try_send(command).expect("the node is there");
        };

        send(1, negotiate(1));
        let first = timeout(PATIENCE, link.events.recv()).await.expect("in time").expect("an event").event;
        let NodeEvent::Done { result: CommandResult::Answered { .. }, .. } = first else {
            panic!("{first:?}")
        };

        explosive.is_armed.store(true, Ordering::SeqCst);
        send(2, negotiate(2));
        send(3, NodeCommand::Sync {});
        send(4, negotiate(3));
        let (mut failed, mut answers) = (Vec::new(), Vec::new());
        while answers.len() < 3 {
            match timeout(PATIENCE, link.events.recv()).await.expect("in time").expect("an event").event {
                NodeEvent::Transport { transport, state: TransportState::Failed { .. } } => {
                    failed.push(transport);
                }
                NodeEvent::Done { command, result } => answers.push((command.0, result)),
                _ => {}
            }
        }
        assert!(failed.contains(&TransportId(1)), "{failed:?}");
        let (id, result) = &answers[0];
        assert_eq!(*id, 2);
        assert!(
            matches!(result, CommandResult::Failed { error } if error.code == ErrorCode::Internal),
            "{result:?}"
        );
        let (id, result) = &answers[1];
        assert_eq!(*id, 3);
        assert!(
            matches!(result, CommandResult::Synced { state } if state.transports.is_empty()),
            "{result:?}"
        );
        let (id, result) = &answers[2];
        assert_eq!(*id, 4);
        assert!(matches!(result, CommandResult::Answered { .. }), "the worker goes on: {result:?}");
        node.shutdown().await;
    }
}
