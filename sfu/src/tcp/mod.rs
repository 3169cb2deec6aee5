//! TCP connections that carry datagrams, for peers whose network lets no UDP through (RFC 6544, passive side).
//!
//! In: connections from our listeners and from ports that are shared with others ([`TcpIntake`]); runs of datagrams to be
//! sent. Out: datagrams, each with its path, to the core, which sees no difference. A connection is a path of its own.
//!
//! Everything about a connection is bounded: how many there are ([`admission`]), how long one may wait to authenticate, how
//! long a frame is, how many bytes wait to be sent ([`connection`]). One that is too slow loses media, as UDP does, and
//! delays nobody.

mod admission;
mod connection;
mod counter;
mod deframer;
mod frame;
mod intake;
mod listener;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{SocketAddr, TcpStream as StdTcpStream};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use patchbay_sfu_core::{Path, Transmit, Worker};
use slab::Slab;
use socket2::SockRef;

use admission::{Admission, Entrant, Limits};
use connection::{Connection, End, Receipt, Receiver};

pub(crate) use counter::TcpCounters;
pub use intake::TcpIntake;
pub(crate) use intake::serve_shared;
pub(crate) use listener::listen;

/// Tokens from here on are ours: first the listeners, then the connections.
const FIRST_TOKEN: usize = 1 << 16;
const FIRST_CONNECTION_TOKEN: usize = FIRST_TOKEN + 256;
/// Connections accepted in one turn.
const ACCEPT_BUDGET: usize = 32;
/// After a failure to accept, how long to let it be: a file descriptor may come free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// One read: several frames of media, and room for the longest frame whose beginning was kept.
const SCRATCH_BYTES: usize = 64 * 1024;
/// Bytes that the kernel holds unsent, per connection. What waits there can't be dropped when it is late.
const UNSENT_BYTES: u32 = 64 * 1024;

/// All connections of one worker.
pub(crate) struct TcpPaths {
    registry: Registry,
    listeners: Vec<Listener>,
    connections: Slab<Connection>,
    by_path: HashMap<Path, usize>,
    admission: Admission,
    /// Connections that may have something to read.
    ready: VecDeque<usize>,
    /// Connections that may have something to write.
    dirty: Vec<usize>,
    /// Connections that were adopted, with a beginning that was read already.
    adopted: VecDeque<usize>,
    scratch: Box<[u8]>,
    paused_until: Option<Instant>,
    next_number: u64,
    counters: TcpCounters,
}

struct Listener {
    socket: TcpListener,
    is_ready: bool,
}

struct Core<'a> {
    worker: &'a mut Worker,
    now: Instant,
}

impl Receiver for Core<'_> {
    fn take(&mut self, path: Path, datagram: &mut [u8]) -> bool {
        self.worker.handle_datagram(self.now, path, datagram);
        self.worker.is_bound(path)
    }
}

impl TcpPaths {
    /// Takes listeners, which may be none, and has them watched.
    pub(crate) fn new(registry: &Registry, listeners: Vec<TcpListener>) -> io::Result<Self> {
        let registry = registry.try_clone()?;
        let mut watched = Vec::with_capacity(listeners.len());
        for (index, mut socket) in listeners.into_iter().enumerate() {
            registry.register(&mut socket, Token(FIRST_TOKEN + index), Interest::READABLE)?;
            watched.push(Listener { socket, is_ready: true });
        }
        Ok(Self {
            registry,
            listeners: watched,
            connections: Slab::new(),
            by_path: HashMap::new(),
            admission: Admission::new(Limits::default()),
            ready: VecDeque::new(),
            dirty: Vec::new(),
            adopted: VecDeque::new(),
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
            paused_until: None,
            next_number: 0,
            counters: TcpCounters::default(),
        })
    }

    /// Counters since the start, and the connections there are now.
    pub(crate) fn counters(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.counters.named().into_iter().chain([("tcp_connections", self.admission.connections() as u64)])
    }

    /// Whether an event with this token is for us.
    pub(crate) fn owns(token: Token) -> bool {
        (FIRST_TOKEN..usize::MAX).contains(&token.0)
    }

    /// Takes note of what the poll says.
    pub(crate) fn handle_event(&mut self, event: &Event) {
        let Token(token) = event.token();
        if let Some(key) = token.checked_sub(FIRST_CONNECTION_TOKEN) {
            if event.is_read_closed()
                && let Some(connection) = self.connections.get_mut(key)
            {
                connection.is_ending = true;
            }
            if event.is_readable() || event.is_error() || event.is_read_closed() {
                self.mark_ready(key);
            }
            if event.is_writable() {
                self.mark_dirty(key);
            }
        } else if let Some(listener) =
            token.checked_sub(FIRST_TOKEN).and_then(|it| self.listeners.get_mut(it))
        {
            listener.is_ready = true;
        }
    }

    /// Accepts some connections, or reads once from one. Returns whether there was anything to do.
    pub(crate) fn receive(&mut self, now: Instant, worker: &mut Worker) -> bool {
        if self.accept(now) {
            return true;
        }
        if let Some(key) = self.adopted.pop_front() {
            self.receive_from(now, worker, key, true);
            return true;
        }
        let Some(key) = self.ready.pop_front() else { return false };
        if let Some(connection) = self.connections.get_mut(key) {
            connection.is_ready = false;
            self.receive_from(now, worker, key, false);
        }
        true
    }

    /// Takes a connection that somebody else accepted, with what was read from it.
    pub(crate) fn adopt(&mut self, now: Instant, stream: StdTcpStream, read: Vec<u8>) {
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        if let Some(key) = self.admit(now, TcpStream::from_std(stream), read) {
            self.adopted.push_back(key);
        }
    }

    /// Queues a run of datagrams; [`flush`](Self::flush) sends it.
    pub(crate) fn send(&mut self, transmit: &Transmit<'_>) {
        let Some(&key) = self.by_path.get(&transmit.path) else {
            self.counters.unrouted += 1;
            return;
        };
        if let Some(connection) = self.connections.get_mut(key) {
            connection.queue(transmit.contents, transmit.segment_size, &mut self.counters);
            self.mark_dirty(key);
        }
    }

    /// Sends what waits, as far as the network takes it.
    pub(crate) fn flush(&mut self) {
        for index in 0..self.dirty.len() {
            let key = self.dirty[index];
            let Some(connection) = self.connections.get_mut(key) else { continue };
            connection.is_dirty = false;
            if connection.flush(&mut self.counters).is_err() {
                // Reading says the same, and whoever reads tells the core.
                self.mark_ready(key);
            }
        }
        self.dirty.clear();
    }

    /// Closes a connection that is of no more use.
    pub(crate) fn release(&mut self, path: Path) {
        if let Some(&key) = self.by_path.get(&path) {
            self.counters.released += 1;
            self.remove(key);
        }
    }

    /// Closes all connections, as when everything that they belonged to is lost.
    pub(crate) fn release_all(&mut self) {
        let keys: Vec<usize> = self.connections.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.counters.released += 1;
            self.remove(key);
        }
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.paused_until.is_some_and(|until| until <= now) {
            self.paused_until = None;
        }
        self.expire_strangers(now);
    }

    /// When `handle_timeout` wants to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        [self.admission.deadline(), self.paused_until].into_iter().flatten().min()
    }

    fn accept(&mut self, now: Instant) -> bool {
        if self.paused_until.is_some() {
            return false;
        }
        let mut accepted = 0;
        for index in 0..self.listeners.len() {
            while accepted < ACCEPT_BUDGET && self.listeners[index].is_ready {
                match self.listeners[index].socket.accept() {
                    Ok((stream, _)) => {
                        accepted += 1;
                        self.admit(now, stream, Vec::new());
                    }
                    Err(error) => match error.kind() {
                        io::ErrorKind::WouldBlock => self.listeners[index].is_ready = false,
                        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                        _ => {
                            self.counters.accept_errors += 1;
                            self.paused_until = Some(now + ACCEPT_PAUSE);
                            return accepted > 0;
                        }
                    },
                }
            }
        }
        accepted > 0
    }

    /// Lets a connection in, if there is room; else it is closed.
    fn admit(&mut self, now: Instant, stream: TcpStream, read: Vec<u8>) -> Option<usize> {
        let (Ok(local), Ok(remote)) = (stream.local_addr(), stream.peer_addr()) else { return None };
        let (local, remote) = (canonical(local), canonical(remote));
        if !self.admission.admit(remote.ip()) {
            self.counters.refused += 1;
            return None;
        }
        self.counters.accepted += 1;
        // Both only make it faster.
        let _ = stream.set_nodelay(true);
        let _ = limit_unsent(&stream);
        let number = self.next_number;
        self.next_number += 1;
        let key = self.connections.insert(Connection::new(stream, local, remote, number, read));
        let connection = &mut self.connections[key];
        let token = Token(FIRST_CONNECTION_TOKEN + key);
        let interest = Interest::READABLE | Interest::WRITABLE;
        let is_watched = self.registry.register(&mut connection.stream, token, interest).is_ok();
        // An earlier connection between the same addresses is gone, if the kernel gave them away again.
        if let Some(before) = self.by_path.insert(connection.path, key) {
            self.mark_ready(before);
        }
        if !is_watched {
            self.remove(key);
            return None;
        }
        self.admission.watch(now, Entrant { key, number });
        self.expire_strangers(now);
        self.mark_ready(key);
        Some(key)
    }

    fn expire_strangers(&mut self, now: Instant) {
        loop {
            let connections = &self.connections;
            let is_stranger = |entrant: Entrant| {
                connections.get(entrant.key).is_some_and(|it| it.number == entrant.number && it.is_stranger())
            };
            let Some(stranger) = self.admission.expire(now, is_stranger) else { return };
            self.counters.strangers_expired += 1;
            self.remove(stranger.key);
        }
    }

    fn receive_from(&mut self, now: Instant, worker: &mut Worker, key: usize, is_held: bool) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let was_stranger = connection.is_stranger();
        let (scratch, counters) = (&mut self.scratch, &mut self.counters);
        let mut core = Core { worker: &mut *worker, now };
        let outcome = if is_held {
            connection.receive_held(scratch, counters, &mut core).map(|()| Receipt::More)
        } else {
            connection.receive(scratch, counters, &mut core)
        };
        if was_stranger && !connection.is_stranger() {
            self.admission.recognise(connection.path.remote.ip());
        }
        match outcome {
            Ok(Receipt::Drained) => {}
            Ok(Receipt::More) => self.mark_ready(key),
            Err(end) => {
                match end {
                    End::Closed => self.counters.closed += 1,
                    End::Violation => self.counters.violations += 1,
                }
                let path = connection.path;
                self.remove(key);
                worker.handle_path_closed(now, path);
            }
        }
    }

    fn remove(&mut self, key: usize) {
        let Some(mut connection) = self.connections.try_remove(key) else { return };
        if self.by_path.get(&connection.path) == Some(&key) {
            self.by_path.remove(&connection.path);
        }
        self.admission.leave(connection.path.remote.ip(), connection.is_stranger());
        // It fails only if it was never registered; closing takes it off the poll as well.
        let _ = self.registry.deregister(&mut connection.stream);
    }

    fn mark_ready(&mut self, key: usize) {
        if let Some(connection) = self.connections.get_mut(key).filter(|it| !it.is_ready) {
            connection.is_ready = true;
            self.ready.push_back(key);
        }
    }

    fn mark_dirty(&mut self, key: usize) {
        if let Some(connection) = self.connections.get_mut(key).filter(|it| !it.is_dirty) {
            connection.is_dirty = true;
            self.dirty.push(key);
        }
    }
}

/// A listener for both families sees IPv4 as mapped IPv6 addresses.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(target_os = "linux")]
fn limit_unsent(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES)
}

#[cfg(not(target_os = "linux"))]
fn limit_unsent(_stream: &TcpStream) -> io::Result<()> {
    Ok(())
}
