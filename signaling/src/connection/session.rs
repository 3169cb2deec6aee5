//! A session: what a client has been told and has not read yet, the replies it has had, and the room it is in.
//!
//! It is shared by the connection that drains it and by the room that fills it. Filling never waits: a client that does
//! not drain its outbox is cut off. Messages are numbered from 1 without gaps, so that a later connection can resume.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use patchbay_protocol::{CloseCode, ErrorCode, ProtocolError, Reply, RequestId, ServerEvent};
use serde::Serialize;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::reply_log::ReplyLog;
use crate::metric::Metrics;
use crate::room::MemberId;
use crate::rooms::Mailbox;

/// Bounds of one outbox.
#[derive(Debug, Clone, Copy)]
pub struct OutboxLimit {
    /// Messages that may wait. Cost of raising: memory per slow client.
    pub messages: usize,
    /// Bytes that may wait. It must hold a join reply of a full room with full metadata.
    pub bytes: usize,
}

impl Default for OutboxLimit {
    fn default() -> Self {
        Self { messages: 4_096, bytes: 16 * 1024 * 1024 }
    }
}

/// A server message without its number, encoded once for everybody who gets it.
#[derive(Debug, Clone)]
pub(crate) struct Body(Arc<str>);

impl Body {
    /// Encodes an event.
    pub(crate) fn event(event: &impl Serialize) -> Self {
        Self(serde_json::to_string(event).unwrap_or_else(|_| String::from("{}")).into())
    }

    /// Its length in bytes, without a number.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The whole message: `{"seq":1,` and the event's own fields.
    fn numbered(&self, seq: u64) -> String {
        let rest = self.0.strip_prefix('{').unwrap_or("}");
        format!("{{\"seq\":{seq},{rest}")
    }
}

/// Where a session stands with a room.
#[derive(Debug, Clone)]
pub(crate) struct Membership {
    pub(crate) member: MemberId,
    pub(crate) mailbox: Mailbox,
}

/// What a repeated request id means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nothing: the id is new, and is taken now.
    New,
    /// Answered already; the first reply was sent once more.
    Answered,
    /// Still being worked on; its one reply will come.
    Pending,
}

/// The state of one client.
#[derive(Debug)]
pub(crate) struct Session {
    state: Mutex<State>,
    wake: Notify,
    limit: OutboxLimit,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct State {
    outbox: VecDeque<String>,
    outbox_bytes: usize,
    last_seq: u64,
    replies: ReplyLog,
    membership: Option<Membership>,
    close: Option<CloseCode>,
}

impl Session {
    pub(crate) fn new(limit: OutboxLimit, metrics: Arc<Metrics>) -> Self {
        Self { state: Mutex::default(), wake: Notify::new(), limit, metrics }
    }

    /// Puts an event into the outbox.
    pub(crate) fn push(&self, body: &Body) {
        self.push_locked(&mut self.state(), body);
        self.wake.notify_one();
    }

    /// The one reply to a request.
    pub(crate) fn reply(&self, id: RequestId, result: Result<Reply, ProtocolError>) {
        let body = Body::event(&match result {
            Ok(result) => ServerEvent::Ok { id, result },
            Err(error) => {
                self.metrics.error(error.code);
                ServerEvent::Error { id: Some(id), error }
            }
        });
        let mut state = self.state();
        state.replies.keep(id, &body);
        self.push_locked(&mut state, &body);
        drop(state);
        self.wake.notify_one();
    }

    /// A refusal that stands for itself: nothing was looked at, and the id, if known, may be used again.
    pub(crate) fn refuse(&self, id: Option<RequestId>, error: ProtocolError) {
        self.metrics.error(error.code);
        self.push(&Body::event(&ServerEvent::Error { id, error }));
    }

    /// Takes a request's id, or repeats its first reply.
    pub(crate) fn take_id(&self, id: RequestId) -> Seen {
        let mut state = self.state();
        let (seen, first) = state.replies.take(id);
        if let Some(body) = first {
            self.push_locked(&mut state, &body);
        }
        drop(state);
        self.wake.notify_one();
        seen
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
        let mailbox = join()?;
        state.membership = Some(Membership { member, mailbox });
        Ok(())
    }

    /// The member is no longer in its room; the session may join again.
    pub(crate) fn release(&self, member: MemberId) {
        let mut state = self.state();
        if state.membership.as_ref().is_some_and(|membership| membership.member == member) {
            state.membership = None;
        }
    }

    /// Ends the connection once the outbox is drained.
    pub(crate) fn close(&self, code: CloseCode) {
        self.state().close.get_or_insert(code);
        self.wake.notify_one();
    }

    /// Whether the connection is about to end; nothing more is read from it then.
    pub(crate) fn closing(&self) -> Option<CloseCode> {
        self.state().close
    }

    /// The next message to send, or how the connection ends.
    pub(crate) async fn next(&self) -> Result<String, CloseCode> {
        loop {
            {
                let mut state = self.state();
                if let Some(message) = state.outbox.pop_front() {
                    state.outbox_bytes -= message.len();
                    return Ok(message);
                }
                if let Some(code) = state.close {
                    return Err(code);
                }
            }
            self.wake.notified().await;
        }
    }

    /// Waits until the connection has to end even though a write is under way: at once for a client that does not drain
    /// its outbox, else after `grace`.
    pub(crate) async fn cut_off(&self, grace: Duration) -> CloseCode {
        loop {
            match self.closing() {
                Some(CloseCode::SlowConsumer) => return CloseCode::SlowConsumer,
                Some(code) => {
                    sleep(grace).await;
                    return code;
                }
                None => self.wake.notified().await,
            }
        }
    }

    fn push_locked(&self, state: &mut State, body: &Body) {
        if state.close.is_some() {
            return;
        }
        let message = body.numbered(state.last_seq + 1);
        let full = state.outbox.len() >= self.limit.messages
            || state.outbox_bytes + message.len() > self.limit.bytes;
        if full {
            self.metrics.slow_consumers.add(1);
            state.outbox.clear();
            state.outbox_bytes = 0;
            state.close = Some(CloseCode::SlowConsumer);
            return;
        }
        state.last_seq += 1;
        state.outbox_bytes += message.len();
        state.outbox.push_back(message);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A refusal for a request that needs a room.
pub(crate) fn not_joined() -> ProtocolError {
    ProtocolError::new(ErrorCode::NotJoined, "join a room first")
}
