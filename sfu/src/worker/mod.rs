//! A worker's thread, seen from outside: its mailbox, its waker, and what it says.
//!
//! In: [`ToWorker`] through a bounded mailbox that never blocks its sender. Out: [`FromWorker`] through one bounded channel
//! that all workers share; a worker takes nothing from its mailbox, and no event from its core, unless there is room for
//! what comes of it.

mod event_loop;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use mio::{Poll, Token, Waker};
use patchbay_protocol::NodeName;
use patchbay_protocol::node::{CommandResult, NodeCommand, NodeEvent, NodeState};
use patchbay_sfu_core::transport::Identity;
use rtc_crypto::RTCCryptoProvider;
use tokio::sync::mpsc;

use crate::socket::MediaSocket;
use crate::tcp::TcpPaths;
use event_loop::EventLoop;

/// Messages in a worker's mailbox. A worker carries out a command in well under a millisecond, so a full mailbox means
/// seconds of work.
const MAILBOX: usize = 4_096;
/// Token of the mailbox's waker; the sockets have the tokens from 0.
const MAILBOX_TOKEN: Token = Token(usize::MAX);

/// A worker of this node: 0 for the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WorkerIndex(pub(crate) usize);

impl fmt::Display for WorkerIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Ties what comes back from a worker to what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(pub(crate) u64);

/// What a worker is asked.
#[derive(Debug)]
pub(crate) enum ToWorker {
    /// Carry out a command; answered by [`FromWorker::Result`].
    Command { ticket: Ticket, command: NodeCommand, span: tracing::Span },
    /// Answered by [`FromWorker::Snapshot`].
    Snapshot { ticket: Ticket },
    /// Answered by [`FromWorker::Counters`].
    Counters { ticket: Ticket },
    /// Take a connection that came in on a shared port, and what was read from it.
    Adopt { stream: TcpStream, read: Vec<u8> },
    /// Close every room, tell the peers, and end.
    Stop,
}

/// What a worker says.
#[derive(Debug)]
pub(crate) enum FromWorker {
    Event {
        event: NodeEvent,
    },
    Result {
        ticket: Ticket,
        result: CommandResult,
    },
    Snapshot {
        ticket: Ticket,
        state: NodeState,
    },
    Counters {
        ticket: Ticket,
        counters: Vec<(&'static str, u64)>,
    },
    /// The core panicked. Everything the worker held is gone; it has started afresh.
    Crashed {
        worker: WorkerIndex,
    },
}

/// What a worker's thread starts with.
pub(crate) struct WorkerStart {
    pub(crate) node: NodeName,
    pub(crate) index: WorkerIndex,
    pub(crate) sockets: Vec<MediaSocket>,
    pub(crate) listeners: Vec<TcpListener>,
    pub(crate) candidates: Vec<SocketAddr>,
    pub(crate) tcp_candidates: Vec<SocketAddr>,
    pub(crate) crypto: Arc<dyn RTCCryptoProvider>,
    pub(crate) identity: Identity,
    pub(crate) seed: u64,
    pub(crate) outbound: mpsc::Sender<FromWorker>,
}

/// There was no room in a mailbox, or its thread is gone. The message is gone, too.
#[derive(Debug)]
pub(crate) struct Untold;

/// The way into a worker. Clones are the same mailbox.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    sender: SyncSender<ToWorker>,
    waker: Arc<Waker>,
}

impl Mailbox {
    /// Puts a message into the mailbox.
    pub(crate) fn tell(&self, message: ToWorker) -> Result<(), Untold> {
        match self.sender.try_send(message) {
            Ok(()) => {
                // Waking writes to an eventfd, which fails only if it is closed; then the thread is gone too.
                let _ = self.waker.wake();
                Ok(())
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(Untold),
        }
    }
}

/// A running worker.
pub(crate) struct WorkerHandle {
    mailbox: Mailbox,
    thread: Option<JoinHandle<()>>,
}

impl WorkerHandle {
    /// Starts the thread.
    pub(crate) fn start(mut start: WorkerStart) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), MAILBOX_TOKEN)?);
        for (token, socket) in start.sockets.iter_mut().enumerate() {
            socket.register(poll.registry(), Token(token))?;
        }
        let listeners = std::mem::take(&mut start.listeners).into_iter().map(mio::net::TcpListener::from_std);
        let tcp = TcpPaths::new(poll.registry(), listeners.collect())?;
        let (sender, inbound) = sync_channel(MAILBOX);
        // The thread owns the waker too: if the last owner were the handle, dropping it would take back a wake-up that the
        // thread has not seen yet.
        let mailbox_waker = Arc::clone(&waker);
        let name = format!("patchbay-worker-{}", start.index);
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            let span = tracing::info_span!("worker", node = %start.node, worker = start.index.0);
            let _entered = span.enter();
            EventLoop::new(start, poll, tcp, inbound, mailbox_waker).run();
        })?;
        Ok(Self { mailbox: Mailbox { sender, waker }, thread: Some(thread) })
    }

    /// Puts a message into the mailbox.
    pub(crate) fn tell(&self, message: ToWorker) -> Result<(), Untold> {
        self.mailbox.tell(message)
    }

    /// The way in, for others than the dispatcher.
    pub(crate) fn mailbox(&self) -> Mailbox {
        self.mailbox.clone()
    }

    /// Takes the thread, to be joined.
    pub(crate) fn take_thread(&mut self) -> Option<JoinHandle<()>> {
        self.thread.take()
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        // A thread that sleeps would not notice that its mailbox is gone.
        let _ = self.tell(ToWorker::Stop);
    }
}
