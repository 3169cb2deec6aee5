//! One SFU node: its workers, its dispatcher, and ways to link it to signaling.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::num::NonZero;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use patchbay_protocol::{Epoch, NodeName};
use patchbay_sfu_core::MAX_WORKERS;
use patchbay_sfu_core::transport::Identity;
use rtc_crypto::{CryptoError, RTCCryptoProvider};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::dispatcher::{Dispatcher, DispatcherStart, ProcessFacts};
use crate::interface::{self, Announced, PublicMapping};
use crate::link::{self, Control, DialError, Dialer, FarEnd, NodeLink};
use crate::socket::{MediaSocket, SOCKET_BUFFER_BYTES};
use crate::tcp::{self, TcpIntake};
use crate::worker::{FromWorker, WorkerHandle, WorkerIndex, WorkerStart};
use crate::{NodeConfig, StartError};

/// What workers may have said before the dispatcher has heard it.
const OUTBOUND: usize = 8_192;
/// Control messages on their way; they are rare.
const CONTROL: usize = 64;
/// How often to look for a number that is free in both families, when the system chooses the port.
const EPHEMERAL_ATTEMPTS: usize = 16;
/// Addresses announced for TCP: the best of those for UDP. Browsers connect to every one of them at once.
const MAX_TCP_ADDRESSES: usize = 4;

/// A running node. Dropping it ends it; [`Node::shutdown`] also waits for that.
#[derive(Debug)]
pub struct Node {
    name: NodeName,
    epoch: Epoch,
    control: mpsc::Sender<Control>,
    dispatcher: JoinHandle<()>,
    local_addresses: Vec<SocketAddr>,
    candidates: Vec<SocketAddr>,
    tcp_candidates: Vec<SocketAddr>,
    intake: TcpIntake,
    shared: Vec<SharedPort>,
}

/// A task that accepts on a port that the workers share, for as long as this is kept.
#[derive(Debug)]
struct SharedPort(JoinHandle<()>);

impl Drop for SharedPort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What one worker receives on.
pub(crate) struct Bound {
    pub(crate) sockets: Vec<MediaSocket>,
    listeners: Vec<TcpListener>,
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
        let bound = bind_all(&config, workers)?;
        let facts = facts(&bound);
        report_buffers(&facts);
        let local_addresses: Vec<SocketAddr> =
            bound.iter().flat_map(|it| &it.sockets).map(MediaSocket::local).collect();
        let bound_ips: Vec<IpAddr> = local_addresses.iter().map(SocketAddr::ip).collect();
        let shared =
            config.tcp_port.map(|port| listen_shared(&bound_ips, port)).transpose()?.unwrap_or_default();
        let host = interface::host_addresses();
        let announced_as = interface::choose(&host, &bound_ips, &config);
        report_announcement(&announced_as, &config);
        let announced = addresses(&announced_as);
        let choose = |bound: &[IpAddr]| addresses(&interface::choose(&host, bound, &config));
        let shared_candidates = shared_candidates(&config, &announced, choose);

        let (outbound, from_workers) = mpsc::channel::<FromWorker>(OUTBOUND);
        let mut handles = Vec::with_capacity(workers);
        let mut all_candidates = Vec::new();
        let mut all_tcp_candidates = Vec::new();
        for (index, (Bound { sockets, listeners }, port)) in bound.into_iter().zip(&facts.ports).enumerate() {
            let candidates: Vec<SocketAddr> =
                announced.iter().map(|ip| SocketAddr::new(*ip, *port)).collect();
            let tcp_candidates: Vec<SocketAddr> =
                candidates.iter().take(MAX_TCP_ADDRESSES).chain(&shared_candidates).copied().collect();
            all_candidates.extend(candidates.iter().copied());
            all_tcp_candidates.extend(tcp_candidates.iter().copied());
            handles.push(WorkerHandle::start(WorkerStart {
                node: config.name.clone(),
                index: WorkerIndex(index),
                sockets,
                listeners,
                candidates,
                tcp_candidates,
                crypto: crypto.clone(),
                identity: identity.clone(),
                seed: random_seed(crypto.as_ref())?,
                outbound: outbound.clone(),
            })?);
        }
        let intake = TcpIntake::new(handles.iter().map(WorkerHandle::mailbox).collect());
        let accept = |listener| SharedPort(tokio::spawn(tcp::serve_shared(listener, intake.clone())));
        let shared = shared.into_iter().map(accept).collect();
        let (control, control_out) = mpsc::channel(CONTROL);
        let epoch = epoch_now();
        tracing::info!(
            node = %config.name, workers, ports = ?facts.ports, addresses = ?announced,
            shared_tcp = ?shared_candidates, gso = facts.has_gso,
            "SFU node runs"
        );
        let dispatcher = Dispatcher::new(DispatcherStart {
            name: config.name.clone(),
            epoch,
            workers: handles,
            from_workers,
            control: control_out,
            facts,
            intake: intake.clone(),
        });
        Ok(Self {
            name: config.name,
            epoch,
            control,
            dispatcher: tokio::spawn(dispatcher.run()),
            local_addresses,
            candidates: all_candidates,
            tcp_candidates: all_tcp_candidates,
            intake,
            shared,
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

    /// The candidates it announces for TCP, worker by worker.
    pub fn tcp_candidates(&self) -> &[SocketAddr] {
        &self.tcp_candidates
    }

    /// Where connections go that somebody else accepted for this node.
    pub fn tcp_intake(&self) -> TcpIntake {
        self.intake.clone()
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

    /// Links signaling in another process: dials `url` (`ws://host:port/v1/nodes`, or `wss`), introduces itself with
    /// `secret`, and comes back for ever, with exponential backoff and full jitter. Ends when `cancelled` does. With `wss`,
    /// one of `authorities` (PEM) must vouch for signaling's certificate or be it; without them, one of the web's.
    ///
    /// # Errors
    /// [`DialError`] if no attempt could ever succeed, or if the node was shut down.
    pub async fn dial(
        &self,
        url: &str,
        authorities: Option<&[u8]>,
        secret: &str,
        cancelled: impl Future<Output = ()>,
    ) -> Result<(), DialError> {
        let dialer = Dialer::new(url, authorities, secret, self.control.clone())?;
        dialer.run(std::pin::pin!(cancelled)).await
    }

    /// Has nothing new placed here, and returns once no transport is left. Media goes on meanwhile.
    pub async fn drain(&self) {
        let (drained, is_drained) = oneshot::channel();
        if self.control.send(Control::Drain(drained)).await.is_ok() {
            // If it fails, the node has ended.
            let _ = is_drained.await;
        }
    }

    /// Closes every room, tells the peers, and waits until all threads have ended (5 s at most).
    pub async fn shutdown(self) {
        let Self { name, control, dispatcher, shared, .. } = self;
        for mut port in shared {
            port.0.abort();
            // Only so that the port is free when this is over.
            let _ = (&mut port.0).await;
        }
        // If it fails, the dispatcher has ended already.
        let _ = control.send(Control::Stop).await;
        drop(control);
        if dispatcher.await.is_err() {
            tracing::error!(node = %name, "the dispatcher ended in a panic");
        }
        tracing::info!(node = %name, "SFU node stopped");
    }
}

/// The sockets and listeners of every worker.
pub(crate) fn bind_all(config: &NodeConfig, workers: usize) -> Result<Vec<Bound>, StartError> {
    let ports = ports(config.media_port, workers)?;
    let (wanted, is_everywhere) = if config.bind.is_empty() {
        (vec![IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()], true)
    } else {
        (config.bind.clone(), false)
    };
    ports.into_iter().map(|port| bind(&wanted, port, workers, is_everywhere)).collect()
}

/// The port of each worker.
fn ports(media_port: u16, workers: usize) -> Result<Vec<u16>, StartError> {
    if workers == 0 {
        return Err(StartError::NoWorkers);
    }
    if workers > MAX_WORKERS {
        return Err(StartError::TooManyWorkers);
    }
    if media_port == 0 {
        return Ok(vec![0; workers]);
    }
    let range = || StartError::PortRange { media_port, workers };
    (0..workers)
        .map(|n| u16::try_from(n).ok().and_then(|n| media_port.checked_add(n)).ok_or_else(range))
        .collect()
}

/// Listens on the port that all workers share, on every address that media is received on.
pub(crate) fn listen_shared(bound: &[IpAddr], port: u16) -> Result<Vec<TcpListener>, StartError> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut seen = Vec::new();
    for &ip in bound {
        if !seen.contains(&ip) {
            seen.push(ip);
            listeners.push(tcp::listen(SocketAddr::new(ip, port), 1).map_err(|error| match error {
                StartError::PortTaken { address, .. } => StartError::SharedPortTaken { address },
                other => other,
            })?);
        }
    }
    Ok(listeners)
}

/// What all workers announce beside their own ports.
fn shared_candidates(
    config: &NodeConfig,
    announced: &[IpAddr],
    choose: impl Fn(&[IpAddr]) -> Vec<IpAddr>,
) -> Vec<SocketAddr> {
    let at = |ips: &[IpAddr], port| -> Vec<SocketAddr> {
        ips.iter().take(MAX_TCP_ADDRESSES).map(|&ip| SocketAddr::new(ip, port)).collect()
    };
    let mut candidates = config.tcp_port.map(|port| at(announced, port)).unwrap_or_default();
    if let Some(elsewhere) = config.tcp_elsewhere {
        let mut bound = vec![elsewhere.ip()];
        // A socket on all IPv6 addresses takes IPv4 as well, unless the host says otherwise.
        if elsewhere.ip() == IpAddr::from(Ipv6Addr::UNSPECIFIED) {
            bound.push(Ipv4Addr::UNSPECIFIED.into());
        }
        candidates.extend(at(&choose(&bound), elsewhere.port()));
    }
    candidates
}

/// One worker's sockets and listeners, all with the same port.
fn bind(wanted: &[IpAddr], port: u16, workers: usize, is_everywhere: bool) -> Result<Bound, StartError> {
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
) -> Result<Bound, StartError> {
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
    let listeners = sockets.iter().map(|it| tcp::listen(it.local(), workers)).collect::<Result<_, _>>()?;
    Ok(Bound { sockets, listeners })
}

pub(crate) fn facts(bound: &[Bound]) -> ProcessFacts {
    let all = || bound.iter().flat_map(|it| &it.sockets);
    ProcessFacts {
        ports: bound.iter().filter_map(|it| it.sockets.first()).map(|s| s.local().port()).collect(),
        has_gso: all().all(MediaSocket::has_gso),
        buffers: (
            all().map(|s| s.buffers().0).min().unwrap_or_default(),
            all().map(|s| s.buffers().1).min().unwrap_or_default(),
        ),
    }
}

pub(crate) fn addresses(announced: &[Announced]) -> Vec<IpAddr> {
    announced.iter().map(|it| it.ip).collect()
}

/// Says what peers will be told, and which of them can't use it.
fn report_announcement(announced: &[Announced], config: &NodeConfig) {
    let node = &config.name;
    for finding in interface::announcement_report(announced, interface::is_container()) {
        if finding.is_warning() {
            tracing::warn!(%node, "{finding}");
        } else {
            tracing::info!(%node, "{finding}");
        }
    }
    for PublicMapping { public, local } in interface::unused_mappings(announced, config) {
        tracing::warn!(
            %node,
            "--public-ip {public}/{local} is without effect: no media is received on {local}, or the interface lists leave it \
             out"
        );
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
        let bound = bind(&wanted, 0, 1, true).expect("bound");
        let listening = bound.listeners.iter().map(|it| it.local_addr().expect("bound").port());
        let ports: Vec<u16> = bound.sockets.iter().map(|s| s.local().port()).chain(listening).collect();
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
            topics: Vec::new(),
            channels: Vec::new(),
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
            let command = Command { id: CommandId(id), epoch: Epoch(1), traceparent: None, command };
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
