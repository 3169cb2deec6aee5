//! Sessions: the signaling state of one client, which outlives its connections.
//!
//! A [`Session`] holds what the client was told and has not acknowledged, what it has asked, and the room it is in. The
//! room fills it and never waits; a connection ([`Attachment`]) drains it. A connection that breaks leaves the session
//! behind for the resume window, in which a later one, whatever carries it, goes on where the client stands.
//! [`Sessions`] finds them by id and ends those whose time is over.

mod attachment;
mod body;
mod due;
mod key;
mod outbox;
mod registry;
mod request_log;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use patchbay_protocol::{
    CloseCode, ErrorCode, LeaveReason, ProtocolError, Reply, RequestId, ServerEvent, SessionId,
};
use tokio::sync::{Notify, OwnedSemaphorePermit};

pub(crate) use attachment::{Attachment, Carrier, DownKind, Entry, NoDown, Stop};
pub(crate) use body::Body;
pub(crate) use due::sweep;
pub(crate) use key::SessionKey;
pub use key::{SESSION_KEY_FILE, SessionKeyError};
pub(crate) use outbox::Gap;
pub use outbox::OutboxLimit;
pub(crate) use registry::{SessionConfig, Sessions};

use self::due::Timers;
use self::outbox::{Outbox, Pushed};
use self::request_log::RequestLog;
use crate::connection::Requests;
use crate::metric::Metrics;
use crate::room::MemberId;
use crate::rooms::Mailbox;

/// What all sessions have in common.
#[derive(Debug)]
pub(crate) struct Terms {
    limit: OutboxLimit,
    /// How long a session waits for a connection.
    window: Duration,
    /// How long a connection over HTTP may go without a sign of its client.
    silence: Duration,
    metrics: Arc<Metrics>,
    timers: Timers,
}

/// Where a session stands with a room.
#[derive(Debug, Clone)]
pub(crate) struct Membership {
    pub(crate) member: MemberId,
    pub(crate) mailbox: Mailbox,
}

/// The state of one client.
#[derive(Debug)]
pub(crate) struct Session {
    id: SessionId,
    terms: Arc<Terms>,
    state: Mutex<State>,
    /// What it may still ask, and with which token. Held while a request is taken, so that requests keep their order
    /// whatever brings them.
    pub(crate) requests: tokio::sync::Mutex<Requests>,
}

#[derive(Debug)]
struct State {
    outbox: Outbox,
    asked: RequestLog,
    membership: Option<Membership>,
    /// The last member that is out again: a membership that is told of late is over already.
    released: Option<MemberId>,
    line: Line,
    /// Counts connections: an older one finds that it is not the last.
    connection: u64,
    /// Counts what drains the outbox: requests of one connection over HTTP take turns.
    down: u64,
    /// Wakes whatever drains the outbox.
    wake: Arc<Notify>,
    /// Why the server ended the last connection.
    cut: Option<CloseCode>,
    /// The session is over as soon as its client has been told.
    end: Option<CloseCode>,
    /// The client has left its room: nothing is worth waiting for.
    has_left: bool,
    is_over: bool,
    /// When the sweeper looks at it.
    armed: Option<Instant>,
}

/// What a session is connected with.
#[derive(Debug)]
enum Line {
    /// Nothing, since then.
    Away(Instant),
    /// A WebSocket, which watches over itself.
    Socket,
    /// HTTP requests, one after the other.
    Http(HttpLine),
}

#[derive(Debug)]
struct HttpLine {
    /// Its place among all connections.
    _place: OwnedSemaphorePermit,
    kind: Option<DownKind>,
    is_down_open: bool,
    /// When the client was last heard: the latest begin of a request.
    heard: Instant,
    /// When the last request that drained the outbox ended.
    drained: Instant,
    /// The client pings, so that its silence says something.
    pings: bool,
}

impl Session {
    fn new(id: SessionId, terms: Arc<Terms>, requests: Requests, now: Instant) -> Self {
        let state = State {
            outbox: Outbox::default(),
            asked: RequestLog::default(),
            membership: None,
            released: None,
            line: Line::Away(now),
            connection: 0,
            down: 0,
            wake: Arc::default(),
            cut: None,
            end: None,
            has_left: false,
            is_over: false,
            armed: None,
        };
        Self { id, terms, state: Mutex::new(state), requests: tokio::sync::Mutex::new(requests) }
    }

    /// Its id.
    pub(crate) fn id(&self) -> &SessionId {
        &self.id
    }

    /// Puts an event into the outbox.
    pub(crate) fn push(self: &Arc<Self>, body: &Body) {
        self.push_locked(&mut self.state(), body);
    }

    /// The one reply to a request.
    pub(crate) fn reply(self: &Arc<Self>, id: RequestId, result: Result<Reply, ProtocolError>) {
        let body = Body::event(&match result {
            Ok(result) => ServerEvent::Ok { id, result },
            Err(error) => {
                self.terms.metrics.error(error.code);
                ServerEvent::Error { id: Some(id), error }
            }
        });
        let mut state = self.state();
        if let Some((kind, after)) = state.asked.answer(Instant::now(), id) {
            self.terms.metrics.replied(kind, after);
        }
        self.push_locked(&mut state, &body);
    }

    /// A refusal that stands for itself: nothing was looked at, and the id, if known, may be used again.
    pub(crate) fn refuse(self: &Arc<Self>, id: Option<RequestId>, error: ProtocolError) {
        self.terms.metrics.error(error.code);
        self.push(&Body::event(&ServerEvent::Error { id, error }));
    }

    /// Takes a request's id. False if it was taken before: its one reply was given, or will be.
    pub(crate) fn take_id(&self, id: RequestId, kind: &'static str) -> bool {
        self.state().asked.take(Instant::now(), id, kind)
    }

    /// Whether it has a connection.
    pub(crate) fn is_connected(&self) -> bool {
        !matches!(self.state().line, Line::Away(_))
    }

    /// Whether a request was taken that has no reply yet.
    pub(crate) fn owes_replies(&self) -> bool {
        self.state().asked.is_waiting()
    }

    /// The client has everything up to a number.
    pub(crate) fn ack(&self, seq: u64) {
        self.state().outbox.ack(seq);
    }

    /// The room the session is in, or on its way into.
    pub(crate) fn membership(&self) -> Option<Membership> {
        self.state().membership.clone()
    }

    /// Puts the session into a room.
    ///
    /// `join` runs while the session is held, so that a room that refuses at once can't be overtaken.
    pub(crate) fn attach(
        &self,
        member: MemberId,
        join: impl FnOnce() -> Result<Mailbox, ProtocolError>,
    ) -> Result<(), ProtocolError> {
        let mut state = self.state();
        if state.is_over || state.end.is_some() {
            return Err(not_joined());
        }
        let mailbox = join()?;
        state.membership = Some(Membership { member, mailbox });
        state.has_left = false;
        Ok(())
    }

    /// Takes over the place of a session that an earlier life of the server had in a room.
    pub(crate) fn reclaim(&self, membership: Membership) {
        let mut state = self.state();
        if state.released != Some(membership.member) {
            state.membership = Some(membership);
        }
    }

    /// The member is no longer in its room; the session may join again.
    pub(crate) fn release(&self, member: MemberId) {
        let mut state = self.state();
        state.released = Some(member);
        if state.membership.as_ref().is_some_and(|membership| membership.member == member) {
            state.membership = None;
        }
    }

    /// The client leaves of its own will: once its connection ends, the session does.
    pub(crate) fn leave(&self) {
        self.state().has_left = true;
    }

    /// Ends the session once the outbox is drained.
    pub(crate) fn close(&self, code: CloseCode) {
        let mut state = self.state();
        state.end.get_or_insert(code);
        state.wake.notify_one();
    }

    /// Whether the session is about to end; nothing more is read from it then.
    pub(crate) fn closing(&self) -> Option<CloseCode> {
        self.state().end
    }

    /// True if the message was taken in.
    fn push_locked(self: &Arc<Self>, state: &mut State, body: &Body) -> bool {
        if state.end.is_some() || state.is_over {
            return false;
        }
        self.terms.metrics.sent(body.kind());
        let is_away = matches!(state.line, Line::Away(_));
        match state.outbox.push(body.clone(), self.terms.limit) {
            Pushed::Kept => {}
            Pushed::TooSlow if is_away => {}
            Pushed::TooSlow => self.cut(state, CloseCode::SlowConsumer),
            Pushed::Lost => {
                // Nobody can make up for what is missing now.
                state.outbox.clear();
                state.is_over = true;
                self.terms.metrics.sessions_lost.add(1);
                if !is_away {
                    self.cut(state, CloseCode::SlowConsumer);
                }
                self.arm(state, Instant::now());
            }
        }
        state.wake.notify_one();
        !state.is_over
    }

    /// Ends the connection, not the session.
    fn cut(self: &Arc<Self>, state: &mut State, code: CloseCode) {
        if code == CloseCode::SlowConsumer && state.cut.is_none() {
            self.terms.metrics.slow_consumers.add(1);
        }
        if code == CloseCode::HeartbeatTimeout {
            self.terms.metrics.heartbeat_timeouts.add(1);
        }
        state.cut.get_or_insert(code);
        if matches!(state.line, Line::Http(_)) {
            self.go_away(state, Instant::now());
        }
        state.wake.notify_one();
    }

    fn go_away(self: &Arc<Self>, state: &mut State, now: Instant) {
        state.line = Line::Away(now);
        let window = if state.has_left { Duration::ZERO } else { self.terms.window };
        self.arm(state, now + window);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Who is out of a room because its session is over.
pub(crate) struct Departure {
    pub(crate) membership: Membership,
    pub(crate) reason: LeaveReason,
}

/// A refusal for a request that needs a room.
pub(crate) fn not_joined() -> ProtocolError {
    ProtocolError::new(ErrorCode::NotJoined, "join a room first")
}
