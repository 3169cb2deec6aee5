//! One topic: its settings, who listens, who has sent, and what is kept.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use patchbay_frame::{Message, Mode, Publish, ServerFrame, Settings, SlowReceiver};

use super::channel::encoded;
use super::interest::Interest;
use super::store::Store;

/// What channels of one label and kind have in common.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) label: Box<str>,
    pub(super) is_framed: bool,
    pub(super) settings: Settings,
    /// Open channels.
    pub(super) channels: usize,
    /// Channels that may hear.
    pub(super) receivers: Receivers,
    /// Who has, or had, a channel here.
    pub(super) senders: BTreeMap<u32, Sender>,
    pub(super) store: Store,
    pub(super) interest: Interest,
    /// The next look for values that have expired.
    pub(super) sweep_at: Option<Instant>,
    /// Receivers for which senders wait.
    pub(super) stalled: u32,
    /// Channels whose messages wait for them.
    pub(super) held: Vec<u32>,
}

/// One participant on a topic.
#[derive(Debug, Default)]
pub(super) struct Sender {
    pub(super) channels: u32,
    pub(super) sequence: u32,
}

/// Participants and their channels, sorted.
#[derive(Debug, Default)]
pub(super) struct Receivers(Vec<(u32, u32)>);

impl Receivers {
    pub(super) fn add(&mut self, participant: u32, channel: u32) {
        if let Err(at) = self.0.binary_search(&(participant, channel)) {
            self.0.insert(at, (participant, channel));
        }
    }

    pub(super) fn remove(&mut self, participant: u32, channel: u32) {
        if let Ok(at) = self.0.binary_search(&(participant, channel)) {
            self.0.remove(at);
        }
    }

    /// The channels of everybody but one participant.
    pub(super) fn others(&self, participant: u32) -> impl Iterator<Item = u32> {
        self.0.iter().filter(move |(owner, _)| *owner != participant).map(|(_, channel)| *channel)
    }

    /// The channels of one participant.
    pub(super) fn of(&self, participant: u32) -> impl Iterator<Item = u32> {
        let at = self.0.partition_point(|(owner, _)| *owner < participant);
        let from = self.0.get(at..).unwrap_or_default();
        from.iter().take_while(move |(owner, _)| *owner == participant).map(|(_, channel)| *channel)
    }
}

impl Topic {
    pub(super) fn new(label: &str, is_framed: bool, settings: Settings) -> Self {
        Self {
            label: label.into(),
            is_framed,
            settings,
            channels: 0,
            receivers: Receivers::default(),
            senders: BTreeMap::new(),
            store: Store::default(),
            interest: Interest::default(),
            sweep_at: None,
            stalled: 0,
            held: Vec::new(),
        }
    }

    /// Whether values are kept.
    pub(super) fn keeps(&self) -> bool {
        self.settings.mode != Mode::Relay
    }

    /// Whether senders wait for slow receivers.
    pub(super) fn waits(&self) -> bool {
        self.settings.mode == Mode::Relay && self.settings.slow == SlowReceiver::Wait
    }

    /// The frame that tells what somebody published, encoded once for everybody, and its number.
    pub(super) fn encode(&mut self, sender: u32, time: u64, publish: &Publish<'_>) -> (Bytes, u32) {
        let count = &mut self.senders.entry(sender).or_default().sequence;
        *count = count.wrapping_add(1);
        let sequence = *count;
        let message = Message {
            is_text: publish.is_text,
            is_tombstone: publish.is_tombstone,
            is_targeted: publish.targets.is_some(),
            is_left: false,
            sender,
            sequence,
            time,
            key: publish.key,
            cell: publish.cell,
            payload: publish.payload,
        };
        (encoded(&ServerFrame::Message(message)), sequence)
    }

    /// The tombstone of a value that ends by itself.
    pub(super) fn tombstone(&self, id: u32, time: u64) -> Option<Bytes> {
        let value = self.store.get(id)?;
        let key = (!value.key.is_empty()).then_some(&*value.key);
        let (sender, sequence) = (value.sender, value.sequence);
        let message = Message { is_tombstone: true, sender, sequence, time, key, ..Message::default() };
        Some(encoded(&ServerFrame::Message(message)))
    }

    /// A participant has left the room. What is kept of it keeps its numbers.
    pub(super) fn forget_sender(&mut self, participant: u32) {
        let is_gone = self.senders.get(&participant).is_some_and(|sender| sender.channels == 0);
        if is_gone && !self.store.holds_of(participant) {
            self.senders.remove(&participant);
        }
    }

    /// Sees to it that values expire.
    pub(super) fn arm_sweep(&mut self, now: Instant) {
        if self.settings.ttl_ms > 0 && self.sweep_at.is_none() {
            self.sweep_at = Some(now + self.sweep_interval());
        }
    }

    /// Values that have expired, and when to look again.
    pub(super) fn sweep(&mut self, now: Instant) -> Vec<u32> {
        let ttl = Duration::from_millis(self.settings.ttl_ms.into());
        let expired: Vec<u32> =
            self.store.living().filter(|(_, value)| value.updated + ttl <= now).map(|(id, _)| id).collect();
        let is_any_left = self.store.living().count() > expired.len();
        self.sweep_at = is_any_left.then(|| now + self.sweep_interval());
        expired
    }

    /// A value may stay an eighth longer than it should.
    fn sweep_interval(&self) -> Duration {
        let eighth = Duration::from_millis(u64::from(self.settings.ttl_ms) / 8);
        eighth.clamp(Duration::from_millis(100), Duration::from_secs(5))
    }
}
