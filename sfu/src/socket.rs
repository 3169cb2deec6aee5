//! A UDP socket that receives in batches (`recvmmsg`, GRO) and sends runs of datagrams in one system call (GSO).
//!
//! In: runs of datagrams for one destination. Out: datagrams, each with the concrete addresses it travelled between.
//! What the kernel cannot take at once waits in a bounded queue; what does not fit there is dropped and counted.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket as StdUdpSocket};
use std::ops::AddAssign;
use std::time::{Duration, Instant};

use mio::{Interest, Registry, Token};
use patchbay_sfu_core::{Path, Transmit};
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};

use crate::StartError;

/// Asked of the kernel for each direction. The default of 208 KiB holds 256 small datagrams, less than a burst of keyframes.
pub(crate) const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// Datagrams that wait for the kernel, per socket, on top of its own buffer. At 1 Gbit/s this is 8 ms; more would only be late.
const RETRY_BYTES: usize = 1024 * 1024;
/// Segments that every kernel since 4.18 takes in one call (`UDP_MAX_SEGMENTS` was 64 before 6.9).
const MAX_SEGMENTS: usize = 64;
/// Largest UDP payload over IPv4, which bounds a GSO run too.
const MAX_RUN_BYTES: usize = 65_507;
/// A receive buffer must hold the longest list that GRO may hand over.
const RECEIVE_BUFFER_BYTES: usize = 65_536;
/// After a network card refused segmentation (EIO), runs are split here for so long before it is tried again.
const GSO_PAUSE: Duration = Duration::from_secs(30);

/// Buffers for one batch, shared by all sockets of a worker.
pub(crate) struct ReceiveBatch {
    storage: Box<[u8]>,
    meta: [RecvMeta; BATCH_SIZE],
}

impl ReceiveBatch {
    pub(crate) fn new() -> Self {
        Self {
            storage: vec![0; RECEIVE_BUFFER_BYTES * BATCH_SIZE].into_boxed_slice(),
            meta: [RecvMeta::default(); BATCH_SIZE],
        }
    }
}

/// What happened on a socket since its start.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SocketCounters {
    /// Datagrams received, after GRO lists were split.
    pub(crate) received: u64,
    /// Their bytes.
    pub(crate) received_bytes: u64,
    /// System calls that received at least one datagram.
    pub(crate) receive_calls: u64,
    /// Datagrams that nobody could answer: source port 0, or no destination address known.
    pub(crate) unanswerable: u64,
    /// System calls that failed to receive other than by having nothing.
    pub(crate) receive_errors: u64,
    /// Datagrams that the kernel took.
    pub(crate) sent: u64,
    /// Their bytes.
    pub(crate) sent_bytes: u64,
    /// System calls that sent something.
    pub(crate) send_calls: u64,
    /// Datagrams that waited because the kernel's buffer was full.
    pub(crate) delayed: u64,
    /// Datagrams dropped because the queue of waiting ones was full too.
    pub(crate) dropped: u64,
    /// Datagrams the kernel refused: unreachable, too large, no such source address.
    pub(crate) refused: u64,
    /// Runs that had to be split after the kernel refused them whole.
    pub(crate) split: u64,
}

impl AddAssign for SocketCounters {
    fn add_assign(&mut self, other: Self) {
        self.received += other.received;
        self.received_bytes += other.received_bytes;
        self.receive_calls += other.receive_calls;
        self.unanswerable += other.unanswerable;
        self.receive_errors += other.receive_errors;
        self.sent += other.sent;
        self.sent_bytes += other.sent_bytes;
        self.send_calls += other.send_calls;
        self.delayed += other.delayed;
        self.dropped += other.dropped;
        self.refused += other.refused;
        self.split += other.split;
    }
}

impl SocketCounters {
    /// With the names that they have in reports.
    pub(crate) fn named(&self) -> [(&'static str, u64); 12] {
        [
            ("udp_received_total", self.received),
            ("udp_received_bytes_total", self.received_bytes),
            ("udp_receive_calls_total", self.receive_calls),
            ("udp_unanswerable_total", self.unanswerable),
            ("udp_receive_errors_total", self.receive_errors),
            ("udp_sent_total", self.sent),
            ("udp_sent_bytes_total", self.sent_bytes),
            ("udp_send_calls_total", self.send_calls),
            ("udp_send_delayed_total", self.delayed),
            ("udp_send_dropped_total", self.dropped),
            ("udp_send_refused_total", self.refused),
            ("udp_send_split_total", self.split),
        ]
    }
}

/// How one receive call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// A full batch: there may be more.
    More,
    /// All there was; the poll will tell when there is more. Whether anything came is said here.
    Drained { any: bool },
}

/// One bound UDP socket of a worker.
pub(crate) struct MediaSocket {
    socket: mio::net::UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    has_gso: bool,
    gso_paused_until: Option<Instant>,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    buffers: (usize, usize),
    counters: SocketCounters,
}

struct Waiting {
    path: Path,
    contents: Vec<u8>,
    segment_size: Option<usize>,
}

impl Waiting {
    fn transmit(&self) -> Transmit<'_> {
        Transmit { path: self.path, contents: &self.contents, segment_size: self.segment_size }
    }
}

impl MediaSocket {
    /// Binds a socket. `workers` is only for the error text.
    pub(crate) fn bind(address: SocketAddr, workers: usize) -> Result<Self, StartError> {
        Self::open(address).map_err(|source| StartError::from_udp(address, workers, source))
    }

    fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // Best effort: what was granted is read back and reported.
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
        socket.bind(&address.into())?;
        // Linux reports twice what it grants, the other half being its own bookkeeping.
        let buffers = (socket.recv_buffer_size()? / 2, socket.send_buffer_size()? / 2);
        let socket = StdUdpSocket::from(socket);
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        Ok(Self {
            local: socket.local_addr()?,
            has_gso: state.max_gso_segments() > 1,
            state,
            socket: mio::net::UdpSocket::from_std(socket),
            gso_paused_until: None,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            buffers,
            counters: SocketCounters::default(),
        })
    }

    /// Where it is bound.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Bytes that the kernel granted for receiving and for sending.
    pub(crate) fn buffers(&self) -> (usize, usize) {
        self.buffers
    }

    /// Whether the kernel segments runs.
    pub(crate) fn has_gso(&self) -> bool {
        self.has_gso
    }

    pub(crate) fn counters(&self) -> SocketCounters {
        self.counters
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.socket, token, Interest::READABLE)
    }

    /// Whether datagrams sent from `local` leave through this socket.
    pub(crate) fn carries(&self, local: &SocketAddr) -> bool {
        local.port() == self.local.port()
            && local.is_ipv4() == self.local.is_ipv4()
            && (self.local.ip().is_unspecified() || self.local.ip() == local.ip())
    }

    /// Receives one batch and hands over each datagram with the addresses it travelled between.
    pub(crate) fn receive(
        &mut self,
        batch: &mut ReceiveBatch,
        mut handle: impl FnMut(Path, &mut [u8]),
    ) -> Received {
        let mut slices = {
            let mut chunks = batch.storage.chunks_exact_mut(RECEIVE_BUFFER_BYTES);
            std::array::from_fn::<_, BATCH_SIZE, _>(|_| IoSliceMut::new(chunks.next().unwrap_or_default()))
        };
        let received = match self.state.recv(UdpSockRef::from(&self.socket), &mut slices, &mut batch.meta) {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Received::Drained { any: false };
            }
            Err(_) => {
                // Consumed by being reported. Whatever else is there shows with the next datagram.
                self.counters.receive_errors += 1;
                return Received::Drained { any: false };
            }
        };
        self.counters.receive_calls += 1;
        for (slice, meta) in slices.iter_mut().zip(&batch.meta).take(received) {
            let Some(path) = self.path(meta) else {
                self.counters.unanswerable += 1;
                continue;
            };
            let filled = meta.len.min(slice.len());
            // An empty datagram is one, though nobody has a use for it.
            self.counters.received += u64::from(filled == 0);
            for datagram in slice[..filled].chunks_mut(meta.stride.max(1)) {
                self.counters.received += 1;
                self.counters.received_bytes += datagram.len() as u64;
                handle(path, datagram);
            }
        }
        if received == BATCH_SIZE { Received::More } else { Received::Drained { any: received > 0 } }
    }

    /// Sends a run of datagrams, now or when the kernel has room again.
    pub(crate) fn send(&mut self, now: Instant, transmit: &Transmit<'_>) {
        if self.waiting.is_empty() && self.try_send(now, transmit) {
            return;
        }
        let datagrams = count(transmit);
        if self.waiting_bytes + transmit.contents.len() > RETRY_BYTES {
            self.counters.dropped += datagrams;
            return;
        }
        self.counters.delayed += datagrams;
        self.waiting_bytes += transmit.contents.len();
        self.waiting.push_back(Waiting {
            path: transmit.path,
            contents: transmit.contents.to_vec(),
            segment_size: transmit.segment_size,
        });
    }

    /// Whether datagrams wait for the kernel.
    pub(crate) fn is_blocked(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Sends what waits, as far as the kernel has room.
    pub(crate) fn flush(&mut self, now: Instant) {
        while let Some(waiting) = self.waiting.pop_front() {
            if !self.try_send(now, &waiting.transmit()) {
                self.waiting.push_front(waiting);
                return;
            }
            self.waiting_bytes -= waiting.contents.len();
        }
    }

    /// Asks to be told when there is room, or no longer.
    ///
    /// Only while blocked: a UDP socket becomes writable again after nearly every send, which would wake the worker for nothing.
    pub(crate) fn watch_writable(
        &mut self,
        registry: &Registry,
        token: Token,
        wanted: bool,
    ) -> io::Result<()> {
        let interest = if wanted { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        registry.reregister(&mut self.socket, token, interest)
    }

    fn path(&self, meta: &RecvMeta) -> Option<Path> {
        // Answering port 0 fails with EINVAL, which looks like a card without segmentation.
        if meta.addr.port() == 0 {
            return None;
        }
        let ip = match meta.dst_ip {
            Some(ip) => ip,
            None if !self.local.ip().is_unspecified() => self.local.ip(),
            None => return None,
        };
        Some(Path::udp(SocketAddr::new(ip, self.local.port()), meta.addr))
    }

    /// Returns false if the kernel has no room. What it refuses for good is counted and done with.
    fn try_send(&mut self, now: Instant, transmit: &Transmit<'_>) -> bool {
        let length = transmit.contents.len();
        let segment = transmit.segment_size.filter(|s| (1..length).contains(s));
        let Some(segment) = segment else {
            return self.send_once(transmit.path, transmit.contents, None) != Outcome::Blocked;
        };
        let has_gso = self.has_gso && self.gso_paused_until.is_none_or(|until| now >= until);
        let per_call = if has_gso { MAX_SEGMENTS.min(MAX_RUN_BYTES / segment).max(1) } else { 1 };
        let mut sent_any = false;
        for run in transmit.contents.chunks(per_call * segment) {
            match self.send_once(transmit.path, run, Some(segment)) {
                Outcome::Sent | Outcome::Refused => sent_any = true,
                // A run that is cut here is not repeated from its start: what was sent must not go out twice.
                Outcome::Blocked if sent_any => {
                    self.counters.dropped += run.len().div_ceil(segment) as u64;
                }
                Outcome::Blocked => return false,
                Outcome::Unsegmentable(pause) => {
                    sent_any = true;
                    self.counters.split += 1;
                    if pause {
                        self.gso_paused_until = Some(now + GSO_PAUSE);
                    }
                    for datagram in run.chunks(segment) {
                        if self.send_once(transmit.path, datagram, None) == Outcome::Blocked {
                            self.counters.dropped += 1;
                        }
                    }
                }
            }
        }
        true
    }

    fn send_once(&mut self, path: Path, contents: &[u8], segment_size: Option<usize>) -> Outcome {
        let segments = segment_size.map_or(1, |s| contents.len().div_ceil(s)) as u64;
        let source: IpAddr = path.local.ip();
        let transmit = quinn_udp::Transmit {
            destination: path.remote,
            ecn: None,
            contents,
            segment_size: segment_size.filter(|s| *s < contents.len()),
            src_ip: (!source.is_unspecified()).then_some(source),
        };
        match self.state.try_send(UdpSockRef::from(&self.socket), &transmit) {
            Ok(()) => {
                self.counters.send_calls += 1;
                self.counters.sent += segments;
                self.counters.sent_bytes += contents.len() as u64;
                Outcome::Sent
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Outcome::Blocked,
            // EIO: the card cannot do it. EINVAL and EMSGSIZE: a segment does not fit this path's MTU, or the source
            // address is gone; sending one by one tells.
            Err(error) if segments > 1 && is_segmentation_error(&error) => {
                Outcome::Unsegmentable(error.raw_os_error() == Some(EIO))
            }
            Err(_) => {
                self.counters.refused += segments;
                Outcome::Refused
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Sent,
    /// No room now.
    Blocked,
    /// Gone for good.
    Refused,
    /// Not as one run; with `true`, no run for a while.
    Unsegmentable(bool),
}

const EIO: i32 = 5;
const EINVAL: i32 = 22;

fn is_segmentation_error(error: &io::Error) -> bool {
    // 90 is EMSGSIZE on Linux; other systems have no segmentation offload.
    matches!(error.raw_os_error(), Some(EIO | EINVAL | 90))
}

fn count(transmit: &Transmit<'_>) -> u64 {
    transmit.segment_size.map_or(1, |s| transmit.contents.len().div_ceil(s.max(1))) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback() -> MediaSocket {
        MediaSocket::bind("127.0.0.1:0".parse().expect("an address"), 1).expect("a socket")
    }

    fn run(lengths: &[usize]) -> Vec<u8> {
        lengths.iter().enumerate().flat_map(|(i, length)| vec![i as u8; *length]).collect()
    }

    /// Receives until `count` datagrams are there. Loopback delivers before the send returns, so nothing waits.
    fn receive(socket: &mut MediaSocket, count: usize) -> Vec<(Path, Vec<u8>)> {
        let mut batch = ReceiveBatch::new();
        let mut received = Vec::new();
        while received.len() < count {
            let outcome =
                socket.receive(&mut batch, |path, datagram| received.push((path, datagram.to_vec())));
            assert_ne!(outcome, Received::Drained { any: false }, "{} of {count}", received.len());
        }
        received
    }

    fn exchange(sender: &mut MediaSocket, lengths: &[usize], segment_size: Option<usize>) -> Vec<Vec<u8>> {
        let mut receiver = loopback();
        let path = Path::udp(sender.local(), receiver.local());
        sender.send(Instant::now(), &Transmit { path, contents: &run(lengths), segment_size });
        let received = receive(&mut receiver, lengths.len());
        for (got, _) in &received {
            assert_eq!(*got, Path::udp(receiver.local(), sender.local()));
        }
        received.into_iter().map(|(_, datagram)| datagram).collect()
    }

    #[test]
    fn a_run_arrives_as_the_datagrams_it_is_made_of() {
        let mut sender = loopback();
        let lengths = [1_100, 1_100, 1_100, 1_100, 1_100, 700];
        let received = exchange(&mut sender, &lengths, Some(1_100));
        assert_eq!(received.iter().map(Vec::len).collect::<Vec<_>>(), lengths);
        for (i, datagram) in received.iter().enumerate() {
            assert!(datagram.iter().all(|b| usize::from(*b) == i), "datagram {i} is whole and in order");
        }
        if sender.has_gso() {
            assert_eq!(sender.counters().send_calls, 1);
        }
        assert_eq!(sender.counters().sent, 6);
        assert_eq!(sender.counters().sent_bytes, 6_200);
    }

    #[test]
    fn without_segmentation_offload_a_run_is_split_here() {
        let mut sender = loopback();
        sender.has_gso = false;
        let received = exchange(&mut sender, &[900, 900, 100], Some(900));
        assert_eq!(received.iter().map(Vec::len).collect::<Vec<_>>(), [900, 900, 100]);
        assert_eq!(sender.counters().send_calls, 3);
    }

    #[test]
    fn a_run_longer_than_the_kernel_takes_is_split_into_several() {
        let mut sender = loopback();
        let lengths = [1_200; 150];
        let received = exchange(&mut sender, &lengths, Some(1_200));
        assert_eq!(received.len(), 150);
        assert_eq!(sender.counters().sent, 150);
        assert_eq!(sender.counters().dropped, 0);
    }

    #[test]
    fn one_datagram_needs_no_segment_size() {
        let mut sender = loopback();
        assert_eq!(exchange(&mut sender, &[77], None).len(), 1);
        assert_eq!(exchange(&mut sender, &[77], Some(77)).len(), 1);
    }

    #[test]
    fn the_wildcard_socket_knows_which_address_was_meant() {
        let mut receiver = MediaSocket::bind("0.0.0.0:0".parse().expect("an address"), 1).expect("a socket");
        let mut sender = loopback();
        let target = SocketAddr::new("127.0.0.5".parse().expect("an address"), receiver.local().port());
        let path = Path::udp(sender.local(), target);
        sender.send(Instant::now(), &Transmit { path, contents: b"hello", segment_size: None });
        let (path, _) = receive(&mut receiver, 1).remove(0);
        assert_eq!(path.local, target);
        assert!(receiver.carries(&path.local));

        // The answer comes from the address that was addressed.
        receiver.send(Instant::now(), &Transmit { path, contents: b"world", segment_size: None });
        let (back, datagram) = receive(&mut sender, 1).remove(0);
        assert_eq!(back.remote, target);
        assert_eq!(datagram, b"world");
    }

    #[test]
    fn an_impossible_source_is_counted_and_costs_no_segmentation() {
        let mut sender = MediaSocket::bind("0.0.0.0:0".parse().expect("an address"), 1).expect("a socket");
        let receiver = loopback();
        let local = SocketAddr::new("198.51.100.77".parse().expect("an address"), sender.local().port());
        let path = Path::udp(local, receiver.local());
        sender.send(Instant::now(), &Transmit { path, contents: &run(&[500; 4]), segment_size: Some(500) });
        assert_eq!(sender.counters().refused, 4);
        assert_eq!(sender.counters().sent, 0);

        let path = Path::udp(
            SocketAddr::new("127.0.0.1".parse().expect("an address"), local.port()),
            receiver.local(),
        );
        sender.send(Instant::now(), &Transmit { path, contents: &run(&[500; 4]), segment_size: Some(500) });
        assert_eq!(sender.counters().sent, 4);
        if sender.has_gso() {
            assert_eq!(sender.counters().send_calls, 1);
        }
    }

    #[test]
    fn a_taken_port_is_named() {
        let first = loopback();
        let Err(error) = MediaSocket::bind(first.local(), 3) else { panic!("bound twice") };
        assert!(matches!(error, StartError::PortTaken { workers: 3, .. }), "{error:?}");
        assert!(error.to_string().contains(&first.local().port().to_string()));
        assert!(error.to_string().contains("--media-port"));
    }

    #[test]
    fn a_foreign_address_is_named() {
        let Err(error) = MediaSocket::bind("198.51.100.77:0".parse().expect("an address"), 1) else {
            panic!("bound a foreign address")
        };
        assert!(matches!(error, StartError::ForeignAddress { .. }), "{error:?}");
    }
}
