//! A worker's event loop.
//!
//! Its order is fixed, and each step starts over at the first as soon as it has done something:
//!
//! 1. what is due;
//! 2. outputs: datagrams to the sockets, events to the dispatcher;
//! 3. one batch of datagrams from a socket, or one read from a connection;
//! 4. one message from the mailbox;
//! 5. sleep until a socket, the mailbox or a deadline wants something; with more to do, only look what sockets want.
//!
//! Outputs are flushed once per received batch, so that a publisher's frame leaves as one run per subscriber. A packet
//! never waits for company beyond its own batch. So that a flood of datagrams cannot starve the mailbox, a message is
//! taken after [`RECEIVE_BUDGET`] batches in a row at the latest.
//!
//! A panic in the core costs the rooms of this worker and nothing else: it is logged, counted and reported, and the loop
//! goes on with a new core on the same sockets.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::{Events, Poll, Token, Waker};
use patchbay_protocol::ErrorCode;
use patchbay_protocol::node::{CommandResult, NodeCommand};
use patchbay_sfu_core::{Protocol, Worker, WorkerConfig};
use tokio::sync::mpsc;

use super::{FromWorker, MAILBOX_TOKEN, Ticket, ToWorker, WorkerStart};
use crate::socket::{MediaSocket, ReceiveBatch, Received, SocketCounters};
use crate::tcp::TcpPaths;

/// Batches received in a row before the mailbox has its turn: at most 512 datagrams, about a millisecond of work.
const RECEIVE_BUDGET: usize = 16;
/// How soon to look again when the dispatcher has no room for an event.
const CONGESTED_RETRY: Duration = Duration::from_millis(5);

pub(super) struct EventLoop {
    start: WorkerStart,
    core: Worker,
    tcp: TcpPaths,
    poll: Poll,
    events: Events,
    inbound: Receiver<ToWorker>,
    /// Only kept alive: see where the thread is started.
    _waker: Arc<Waker>,
    batch: ReceiveBatch,
    /// Per socket: whether a receive may bring something.
    readable: Vec<bool>,
    /// Per socket: whether we asked to be told when it is writable.
    watched: Vec<bool>,
    /// The socket to receive from first next time.
    next_socket: usize,
    batches_in_a_row: usize,
    /// The command in execution, so that it is answered even if the core panics.
    in_hand: Option<Ticket>,
    is_congested: bool,
    is_stopping: bool,
    counters: LoopCounters,
}

#[derive(Default)]
struct LoopCounters {
    panics: u64,
    unrouted: u64,
    wakeups: u64,
    congested: u64,
}

impl EventLoop {
    pub(super) fn new(
        start: WorkerStart,
        poll: Poll,
        tcp: TcpPaths,
        inbound: Receiver<ToWorker>,
        waker: Arc<Waker>,
    ) -> Self {
        let core = new_core(&start);
        let sockets = start.sockets.len();
        Self {
            start,
            core,
            tcp,
            poll,
            events: Events::with_capacity(16),
            inbound,
            _waker: waker,
            batch: ReceiveBatch::new(),
            readable: vec![true; sockets],
            watched: vec![false; sockets],
            next_socket: 0,
            batches_in_a_row: 0,
            in_hand: None,
            is_congested: false,
            is_stopping: false,
            counters: LoopCounters::default(),
        }
    }

    /// Runs until told to stop, or until nobody is left to tell.
    pub(super) fn run(mut self) {
        tracing::debug!(candidates = ?self.start.candidates, "worker runs");
        while !self.is_stopping {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| while self.turn() {})) {
                self.recover(panic.as_ref());
            }
        }
        tracing::debug!("worker ends");
    }

    /// One turn. Returns false when it is time to end.
    fn turn(&mut self) -> bool {
        let now = Instant::now();
        if self.core.deadline().is_some_and(|deadline| deadline <= now) {
            self.core.handle_timeout(now);
        }
        if self.tcp.deadline().is_some_and(|deadline| deadline <= now) {
            self.tcp.handle_timeout(now);
        }
        self.flush_transmits(now);
        self.flush_events();
        if self.batches_in_a_row < RECEIVE_BUDGET && self.receive(now) {
            self.batches_in_a_row += 1;
            return true;
        }
        let has_more = std::mem::take(&mut self.batches_in_a_row) >= RECEIVE_BUDGET;
        let has_message = self.take_message(now);
        if self.is_stopping {
            return false;
        }
        // With work left it only looks: a flood on one socket, or a mailbox full of joins, must hide no other socket.
        self.sleep(now, !has_more && !has_message);
        true
    }

    fn flush_transmits(&mut self, now: Instant) {
        let sockets = &mut self.start.sockets;
        while let Some(transmit) = self.core.poll_transmit(now) {
            if transmit.path.protocol == Protocol::Tcp {
                self.tcp.send(&transmit);
                continue;
            }
            match sockets.iter_mut().find(|s| s.carries(&transmit.path.local)) {
                Some(socket) => socket.send(now, &transmit),
                None => self.counters.unrouted += 1,
            }
        }
        for (token, socket) in sockets.iter_mut().enumerate() {
            watch_if_blocked(&self.poll, token, socket, &mut self.watched);
        }
        self.tcp.flush();
        while let Some(path) = self.core.poll_released() {
            self.tcp.release(path);
        }
    }

    fn flush_events(&mut self) {
        self.is_congested = false;
        loop {
            let Ok(permit) = self.start.outbound.try_reserve() else {
                // Full or gone. The core keeps what it has; its queue is bounded.
                self.is_congested = !self.start.outbound.is_closed();
                self.counters.congested += u64::from(self.is_congested);
                return;
            };
            let Some(event) = self.core.poll_event() else { return };
            permit.send(FromWorker::Event { event });
        }
    }

    /// Receives one batch from one of the sockets or the TCP connections, in turn. Returns whether anything came.
    fn receive(&mut self, now: Instant) -> bool {
        let sockets = self.start.sockets.len();
        let sources = sockets + 1;
        for offset in 0..sources {
            let index = (self.next_socket + offset) % sources;
            if index == sockets {
                if self.tcp.receive(now, &mut self.core) {
                    self.next_socket = 0;
                    return true;
                }
                continue;
            }
            if !self.readable[index] {
                continue;
            }
            let core = &mut self.core;
            let outcome = self.start.sockets[index]
                .receive(&mut self.batch, |path, datagram| core.handle_datagram(now, path, datagram));
            self.readable[index] = outcome == Received::More;
            if outcome != (Received::Drained { any: false }) {
                self.next_socket = index + 1;
                return true;
            }
        }
        false
    }

    /// Takes one message from the mailbox, if there is room for its answer. Returns whether there was one.
    fn take_message(&mut self, now: Instant) -> bool {
        let outbound = self.start.outbound.clone();
        let permit = match outbound.try_reserve() {
            Ok(permit) => permit,
            Err(mpsc::error::TrySendError::Full(())) => {
                self.is_congested = true;
                return false;
            }
            Err(mpsc::error::TrySendError::Closed(())) => {
                self.stop(now);
                return true;
            }
        };
        match self.inbound.try_recv() {
            Ok(ToWorker::Command { ticket, command, span }) => {
                self.in_hand = Some(ticket);
                let negotiate = if span.is_none() {
                    span
                } else {
                    tracing::info_span!(target: patchbay_trace::TARGET, parent: &span, "negotiate")
                };
                let result = negotiate.in_scope(|| self.core.handle_command(now, command));
                drop(negotiate);
                self.in_hand = None;
                permit.send(FromWorker::Result { ticket, result });
            }
            Ok(ToWorker::Snapshot { ticket }) => {
                permit.send(FromWorker::Snapshot { ticket, state: self.core.sync() });
            }
            Ok(ToWorker::Counters { ticket }) => {
                permit.send(FromWorker::Counters { ticket, counters: self.counters() });
            }
            Ok(ToWorker::Adopt { stream, read }) => self.tcp.adopt(now, stream, read),
            Ok(ToWorker::Stop) | Err(TryRecvError::Disconnected) => self.stop(now),
            Err(TryRecvError::Empty) => return false,
        }
        true
    }

    /// Hears from the poll what sockets want; waits for something to do if it may.
    fn sleep(&mut self, now: Instant, may_wait: bool) {
        let deadline = [self.core.deadline(), self.tcp.deadline()].into_iter().flatten().min();
        let mut timeout = deadline.map(|deadline| deadline.saturating_duration_since(now));
        if self.is_congested {
            timeout = Some(timeout.map_or(CONGESTED_RETRY, |t| t.min(CONGESTED_RETRY)));
        }
        if !may_wait {
            timeout = Some(Duration::ZERO);
        }
        match self.poll.poll(&mut self.events, timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return,
            Err(error) => {
                // Nothing can be received without it; going round at full speed helps nobody.
                tracing::error!(%error, "polling failed");
                std::thread::park_timeout(CONGESTED_RETRY);
                return;
            }
        }
        self.counters.wakeups += u64::from(may_wait);
        for event in &self.events {
            let Token(index) = event.token();
            if event.token() == MAILBOX_TOKEN {
                continue;
            }
            if TcpPaths::owns(event.token()) {
                self.tcp.handle_event(event);
                continue;
            }
            if event.is_readable() || event.is_error() {
                self.readable[index] = true;
            }
            if event.is_writable() {
                self.start.sockets[index].flush(Instant::now());
            }
        }
        for (token, socket) in self.start.sockets.iter_mut().enumerate() {
            watch_if_blocked(&self.poll, token, socket, &mut self.watched);
        }
    }

    /// Closes every room, so that peers are told, and ends the loop.
    fn stop(&mut self, now: Instant) {
        self.is_stopping = true;
        for room in self.core.snapshot().rooms {
            self.core.handle_command(now, NodeCommand::CloseRoom { room: room.room });
        }
        self.flush_transmits(now);
        self.flush_events();
    }

    fn recover(&mut self, panic: &(dyn Any + Send)) {
        self.counters.panics += 1;
        let text = panic
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no text".into());
        tracing::error!(panic = text, "the worker panicked: its rooms are lost and it starts afresh");
        // A new life, with other hashes and numbers (Knuth's multiplier for a linear congruence).
        self.start.seed = self.start.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.core = new_core(&self.start);
        self.tcp.release_all();
        // These two must not be lost. The thread may wait here: it has nothing else to do.
        let crashed = FromWorker::Crashed { worker: self.start.index };
        let mut is_gone = self.start.outbound.blocking_send(crashed).is_err();
        if let Some(ticket) = self.in_hand.take() {
            let result =
                CommandResult::failed(ErrorCode::Internal, "the worker failed while it carried this out");
            is_gone |= self.start.outbound.blocking_send(FromWorker::Result { ticket, result }).is_err();
        }
        self.is_stopping |= is_gone;
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut counters = self.core.counters();
        let mut total = SocketCounters::default();
        for socket in &self.start.sockets {
            total += socket.counters();
        }
        counters.extend(total.named());
        counters.extend(self.tcp.counters());
        counters.extend([
            ("worker_congested_total", self.counters.congested),
            ("worker_panics_total", self.counters.panics),
            ("worker_unrouted_total", self.counters.unrouted),
            ("worker_wakeups_total", self.counters.wakeups),
        ]);
        counters
    }
}

fn watch_if_blocked(poll: &Poll, token: usize, socket: &mut MediaSocket, watched: &mut [bool]) {
    let wanted = socket.is_blocked();
    if watched[token] != wanted && socket.watch_writable(poll.registry(), Token(token), wanted).is_ok() {
        watched[token] = wanted;
    }
}

fn new_core(start: &WorkerStart) -> Worker {
    // This thread is where clocks live; the core only ever sees what it is given.
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let config = WorkerConfig {
        candidates: start.candidates.clone(),
        tcp_candidates: start.tcp_candidates.clone(),
        number: u16::try_from(start.index.0).unwrap_or_default(),
        crypto: start.crypto.clone(),
        identity: start.identity.clone(),
        seed: start.seed,
        unix_nanos: u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX),
    };
    Worker::new(Instant::now(), config)
}
