//! Topics: small messages to everybody in the room who opened the same label, in framed mode.

mod carrier;
mod options;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use patchbay_frame::{Cell, ClientFrame, Mode, Publish, Settings, Targets, limit};
use tokio::sync::Notify;

pub(crate) use carrier::Carrier;
pub use options::{Outgoing, TopicOptions, Want};
pub use state::Sent;
use state::State;

use crate::{ClientError, ServerClock};

/// Something that somebody published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The sender's number in the roster; 0 is the server itself.
    pub sender: u32,
    /// Counts what this sender published on this topic, from 1, wrapping.
    pub sequence: u32,
    /// When the server took it: µs since the Unix epoch, by its clock.
    pub time: u64,
    /// What it is about.
    pub key: Option<String>,
    /// Where it is.
    pub cell: Option<Cell>,
    /// The application's own.
    pub payload: Vec<u8>,
    /// Whether the payload was sent as text.
    pub is_text: bool,
    /// Whether the value with this key ended.
    pub is_deleted: bool,
    /// Whether the value went out of what is wanted here.
    pub has_left: bool,
    /// Whether it was addressed to some, this client among them.
    pub is_targeted: bool,
}

impl Message {
    /// The payload as text, if it is.
    pub fn text(&self) -> Option<&str> {
        self.is_text.then(|| std::str::from_utf8(&self.payload).ok()).flatten()
    }
}

impl From<patchbay_frame::Message<'_>> for Message {
    fn from(frame: patchbay_frame::Message<'_>) -> Self {
        Self {
            sender: frame.sender,
            sequence: frame.sequence,
            time: frame.time,
            key: frame.key.map(str::to_owned),
            cell: frame.cell,
            payload: frame.payload.to_vec(),
            is_text: frame.is_text,
            is_deleted: frame.is_tombstone,
            has_left: frame.is_left,
            is_targeted: frame.is_targeted,
        }
    }
}

/// What happened on a topic so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TopicCounters {
    /// Messages handed to a carrier.
    pub sent: u64,
    /// Messages received.
    pub received: u64,
    /// Values that a newer one replaced before they left.
    pub conflated: u64,
    /// Messages that were dropped here, for want of room or of a reader.
    pub dropped: u64,
    /// Errors that the server told.
    pub errors: u64,
}

/// A topic. Clones share it; the room forgets it with [`Topic::close`].
#[derive(Debug, Clone)]
pub struct Topic {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    label: String,
    options: TopicOptions,
    clock: Arc<ServerClock>,
    state: Mutex<State>,
    /// Something came.
    arrived: Notify,
    /// Something waits to be sent.
    waiting: Notify,
    /// There may be room, the topic may have opened, closed, or changed its carrier.
    changed: Notify,
}

impl Topic {
    pub(crate) fn new(label: &str, options: TopicOptions, clock: Arc<ServerClock>) -> Self {
        let shared = Shared {
            label: label.to_owned(),
            options,
            clock,
            state: Mutex::default(),
            arrived: Notify::new(),
            waiting: Notify::new(),
            changed: Notify::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Its label.
    pub fn label(&self) -> &str {
        &self.shared.label
    }

    /// How it was opened here.
    pub fn options(&self) -> &TopicOptions {
        &self.shared.options
    }

    /// The settings it lives with, once open.
    pub fn settings(&self) -> Option<Settings> {
        self.state().welcome.map(|welcome| welcome.settings)
    }

    /// Whether messages flow.
    pub fn is_open(&self) -> bool {
        let state = self.state();
        state.is_carried && state.welcome.is_some()
    }

    /// Whether messages go over the signaling connection now.
    pub fn is_fallback(&self) -> bool {
        let state = self.state();
        state.is_carried && state.is_fallback
    }

    /// What happened so far.
    pub fn counters(&self) -> TopicCounters {
        self.state().counters
    }

    /// Publishes. It never waits: without room, topics that keep values keep the newest of each key, unreliable ones drop the
    /// oldest, and a reliable relay says [`ClientError::NoRoom`] when 1,024 messages wait.
    pub fn send(&self, message: Outgoing) -> Result<Sent, ClientError> {
        let Outgoing { payload, is_text, key, cell, targets } = message;
        let too_long = |what, most| Err(ClientError::TooLong { what, most });
        if payload.len() > limit::PAYLOAD_BYTES {
            return too_long("the payload", limit::PAYLOAD_BYTES);
        }
        if key.as_ref().is_some_and(|key| key.len() > limit::KEY_BYTES) {
            return too_long("the key", limit::KEY_BYTES);
        }
        if targets.as_ref().is_some_and(|targets| targets.is_empty() || targets.len() > limit::TARGETS) {
            return too_long("the list of targets", limit::TARGETS);
        }
        let frame = Publish {
            is_text,
            is_tombstone: false,
            targets: targets.as_deref().map(Targets::List),
            key: key.as_deref(),
            cell,
            payload: &payload,
        };
        self.publish(frame)
    }

    /// Ends a value of the own, for everybody.
    pub fn delete(&self, key: Option<&str>) -> Result<Sent, ClientError> {
        self.publish(Publish { is_tombstone: true, key, ..Publish::default() })
    }

    /// Says what is wanted, in *interest* mode: at most 64 things. What was wanted before no longer is.
    pub fn want(&self, wants: Vec<Want>) -> Result<(), ClientError> {
        if wants.len() > limit::FILTERS {
            return Err(ClientError::TooLong { what: "the list of wants", most: limit::FILTERS });
        }
        {
            let mut state = self.state();
            let message = state.set_wants(wants);
            // Otherwise it is said when there is a carrier.
            if state.is_carried {
                state.offer(message, None, true).ok_or(ClientError::NoRoom)?;
            }
        }
        self.shared.waiting.notify_one();
        Ok(())
    }

    /// The next message. `None` once the topic is closed and everything was read.
    pub async fn next(&self) -> Option<Message> {
        loop {
            let arrived = self.shared.arrived.notified();
            {
                let mut state = self.state();
                if let Some(message) = state.unread.pop_front() {
                    if !state.unread.is_empty() {
                        self.shared.arrived.notify_one();
                    }
                    return Some(message);
                }
                if state.is_closed {
                    self.shared.arrived.notify_one();
                    return None;
                }
            }
            arrived.await;
        }
    }

    /// The next message, if one is there.
    pub fn try_next(&self) -> Option<Message> {
        self.state().unread.pop_front()
    }

    /// The oldest error that the server told and nobody has read: its name and words.
    pub fn take_error(&self) -> Option<(String, String)> {
        self.state().errors.pop_front()
    }

    /// The newest of each sender and key, in topics that keep values.
    pub fn values(&self) -> Vec<Message> {
        self.state().values().cloned().collect()
    }

    /// Waits until messages flow.
    pub async fn opened(&self) -> Result<(), ClientError> {
        self.wait_until(|state| state.is_carried && state.welcome.is_some()).await
    }

    /// Waits until there is room. Await it between the messages of a long row.
    pub async fn ready(&self) -> Result<(), ClientError> {
        self.wait_until(State::has_room).await
    }

    /// Leaves the topic.
    pub fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.end_carrier();
        drop(state);
        self.shared.arrived.notify_one();
        self.shared.waiting.notify_one();
        self.shared.changed.notify_waiters();
    }

    /// Its carrier is gone.
    pub(crate) fn lose(&self) {
        self.state().end_carrier();
        self.shared.changed.notify_waiters();
    }

    pub(crate) fn has_unsent(&self) -> bool {
        self.state().has_unsent()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    /// Says again what is wanted, if it seems to be lost.
    pub(crate) fn subscribe_again(&self) {
        {
            let mut state = self.state();
            let again = state.subscribe_again(Instant::now()).filter(|_| !self.shared.options.is_reliable());
            let Some(message) = again else { return };
            state.offer(message, None, false);
        }
        self.shared.waiting.notify_one();
    }

    /// Asks for the server's time.
    pub(crate) fn ping(&self) {
        {
            let mut state = self.state();
            let Some(message) = state.ping(Instant::now()) else { return };
            state.offer(message, None, true);
        }
        self.shared.waiting.notify_one();
    }

    fn publish(&self, frame: Publish<'_>) -> Result<Sent, ClientError> {
        let mut message = Vec::new();
        ClientFrame::Publish(frame).write(&mut message);
        let asked = self.shared.options.settings.unwrap_or_default().mode;
        let sent = {
            let mut state = self.state();
            if state.is_closed {
                return Err(ClientError::Closed("the topic"));
            }
            let is_value = state.mode(asked) != Mode::Relay && frame.targets.is_none();
            let key = is_value.then(|| frame.key.unwrap_or_default().to_owned());
            state.offer(message, key, self.shared.options.is_reliable()).ok_or(ClientError::NoRoom)?
        };
        self.shared.waiting.notify_one();
        Ok(sent)
    }

    async fn wait_until(&self, condition: impl Fn(&State) -> bool) -> Result<(), ClientError> {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let state = self.state();
                if state.is_closed {
                    return Err(ClientError::Closed("the topic"));
                }
                if condition(&state) {
                    return Ok(());
                }
            }
            changed.await;
        }
    }

    fn receive(&self, bytes: &[u8]) {
        let was_open = self.is_open();
        self.state().receive(bytes, &self.shared.clock);
        self.shared.arrived.notify_one();
        if !was_open {
            self.shared.changed.notify_waiters();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
