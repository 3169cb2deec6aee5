//! One data channel: what waits in it, in both directions.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use patchbay_sctp::Limit;

use super::{ChannelInfo, QUEUE_BYTES, QUEUE_MESSAGES, Reliability};
use crate::transport::event::MessageKind;
use crate::transport::stats::{DropCounts, DropReason};

/// How long a message waits at most in the queue of a channel that limits retransmissions. Such a channel is for what is
/// soon replaced, and on a slow path a queue bounded by bytes alone would grow minutes of lag.
const MAX_LOSSY_WAIT: Duration = Duration::from_millis(400);

/// A channel and its queues.
pub(super) struct Channel {
    pub(super) info: ChannelInfo,
    /// Whether it is open both ways, and our owner knows.
    pub(super) is_open: bool,
    queue: VecDeque<Waiting>,
    /// Bytes in `queue`.
    pub(super) queued_bytes: usize,
    /// Bytes that SCTP has and that are neither acknowledged nor given up.
    pub(super) handed_bytes: usize,
    /// Whether the queue was above its high-water mark, or full, and nobody was told yet that it has room again.
    pub(super) is_over: bool,
    /// Whether it stands in the schedule.
    pub(super) is_scheduled: bool,
    /// Messages that came and can't be relayed yet.
    pub(super) held: VecDeque<(MessageKind, Bytes)>,
    /// Bytes of those.
    pub(super) held_bytes: usize,
}

/// A message in the queue.
pub(super) struct Waiting {
    /// What it is (RFC 8831 §8).
    pub(super) ppid: u32,
    pub(super) payload: Bytes,
    pub(super) since: Instant,
    /// Whether it is repeated until it arrives, whatever the channel promises.
    pub(super) is_kept: bool,
}

impl Channel {
    pub(super) fn new(info: ChannelInfo, is_open: bool) -> Self {
        Self {
            info,
            is_open,
            queue: VecDeque::new(),
            queued_bytes: 0,
            handed_bytes: 0,
            is_over: false,
            is_scheduled: false,
            held: VecDeque::new(),
            held_bytes: 0,
        }
    }

    /// Makes room for a message of `bytes`, with `limit` bytes at most in this queue for the sake of the other channels: by
    /// dropping the oldest, where that is allowed. Says whether there is room.
    pub(super) fn make_room(&mut self, bytes: usize, limit: usize, dropped: &mut DropCounts) -> bool {
        let limit = limit.min(QUEUE_BYTES);
        loop {
            if self.queue.len() < QUEUE_MESSAGES && self.queued_bytes + bytes <= limit {
                return true;
            }
            if self.info.reliability == Reliability::Reliable || self.pop().is_none() {
                return false;
            }
            dropped.count(DropReason::ChannelFull);
        }
    }

    /// Appends a message.
    pub(super) fn push(&mut self, waiting: Waiting) {
        self.queued_bytes += waiting.payload.len();
        self.queue.push_back(waiting);
    }

    /// How often, and until when, SCTP sends a message of this channel.
    pub(super) fn limit(&self, waiting: &Waiting) -> Limit {
        if waiting.is_kept {
            return Limit::default();
        }
        match self.info.reliability {
            Reliability::Reliable => Limit::default(),
            Reliability::MaxRetransmits(count) => Limit { max_retransmits: Some(count), expires: None },
            Reliability::MaxLifetimeMs(ms) => {
                let lifetime = Duration::from_millis(u64::from(ms));
                Limit { max_retransmits: None, expires: Some(waiting.since + lifetime) }
            }
        }
    }

    /// Whether there are as many messages as may be.
    pub(super) fn is_crowded(&self) -> bool {
        self.queue.len() >= QUEUE_MESSAGES
    }

    /// Length of the next message.
    pub(super) fn next_len(&self) -> Option<usize> {
        self.queue.front().map(|it| it.payload.len())
    }

    /// Takes the next message.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let waiting = self.queue.pop_front()?;
        self.queued_bytes -= waiting.payload.len();
        Some(waiting)
    }

    /// Drops what has waited too long.
    pub(super) fn expire(&mut self, now: Instant, dropped: &mut DropCounts) {
        let limit = match self.info.reliability {
            Reliability::Reliable => return,
            Reliability::MaxRetransmits(_) => MAX_LOSSY_WAIT,
            Reliability::MaxLifetimeMs(ms) => Duration::from_millis(u64::from(ms)),
        };
        while self
            .queue
            .front()
            .is_some_and(|it| !it.is_kept && now.saturating_duration_since(it.since) > limit)
        {
            self.pop();
            dropped.count(DropReason::ChannelFull);
        }
    }
}
