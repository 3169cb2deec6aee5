//! One channel on a topic: what it may do, and what it is owed.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use patchbay_frame::{Message, Mode, ServerFrame, TopicError};

use super::batch::Batch;
use super::bits::Bits;
use super::interest::Wants;
use super::limit::{
    BACKLOG_BYTES, BATCH_BYTES, BATCH_TIME, BLOCKED_RETRY, ERROR_INTERVAL, MIN_BATCH_BYTES, Pace,
};
use super::store::{Store, Value};
use crate::router::Counters;
use crate::{ChannelKey, DataMessage, Egress, Repetition, SendOutcome, TransportKey};

/// A data channel, as a topic sees it.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) transport: TransportKey,
    pub(super) key: ChannelKey,
    pub(super) participant: u32,
    pub(super) topic: usize,
    pub(super) is_framed: bool,
    pub(super) is_reliable: bool,
    pub(super) may_publish: bool,
    pub(super) may_subscribe: bool,
    pub(super) wants: Wants,
    batch: Batch,
    /// Frames that wait for room or for their rate, of a reliable channel.
    backlog: VecDeque<Bytes>,
    backlog_bytes: usize,
    /// What is to be told of values, oldest update first.
    owed: VecDeque<Owed>,
    /// Values on that list.
    is_owed: Bits,
    /// Values that the receiver has.
    shown: Bits,
    pace: Pace,
    sent_at: Option<Instant>,
    /// There was no room when last tried.
    pub(super) is_blocked: bool,
    /// It holds up the senders of its topic.
    pub(super) is_stalled: bool,
    /// It is on the list of those that are drained by the timer.
    pub(super) is_pending: bool,
    /// It was given something by what is being handled.
    pub(super) is_touched: bool,
    errors_since: Option<Instant>,
    errors_said: u16,
    /// How long a batch may be, in bytes.
    batch_bytes: usize,
    /// What it is owed is of a snapshot.
    is_in_snapshot: bool,
}

#[derive(Debug, Clone, Copy)]
enum Owed {
    Value(u32),
    SnapshotBegin(u32),
    SnapshotEnd,
}

/// How far a channel got with what it is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// All is sent.
    Done,
    /// The rest has to wait, for its rate or for room.
    Until(Instant),
}

impl Channel {
    pub(super) fn new(transport: TransportKey, key: ChannelKey, participant: u32, topic: usize) -> Self {
        Self {
            transport,
            key,
            participant,
            topic,
            is_framed: false,
            is_reliable: true,
            may_publish: false,
            may_subscribe: false,
            wants: Wants::default(),
            batch: Batch::default(),
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            owed: VecDeque::new(),
            is_owed: Bits::default(),
            shown: Bits::default(),
            pace: Pace::default(),
            sent_at: None,
            is_blocked: false,
            is_stalled: false,
            is_pending: false,
            is_touched: false,
            errors_since: None,
            errors_said: 0,
            batch_bytes: BATCH_BYTES,
            is_in_snapshot: false,
        }
    }

    /// Whether nothing was sent for so long that the next frame need not wait for company.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        self.sent_at.is_none_or(|at| at + BATCH_TIME <= now)
    }

    pub(super) fn is_shown(&self, id: u32) -> bool {
        self.shown.contains(id)
    }

    /// Whether it has ended values to tell of and no room to do so.
    pub(super) fn holds_up_the_ended(&self, store: &Store) -> bool {
        let mut owed = self.owed.iter().filter(|_| self.is_blocked);
        owed.any(|owed| match owed {
            Owed::Value(id) => store.get(*id).is_some_and(|value| value.has_ended),
            _ => false,
        })
    }

    /// Whether a value is on the list.
    #[inline]
    pub(super) fn is_owed(&self, id: u32) -> bool {
        self.is_owed.contains(id)
    }

    /// Puts a value on the list, which must not be there yet. The store counts it.
    #[inline]
    pub(super) fn owe(&mut self, id: u32) {
        self.is_owed.insert(id);
        self.owed.push_back(Owed::Value(id));
    }

    /// Puts those values on the list that are wanted and that the receiver does not have, between the marks of a snapshot.
    pub(super) fn owe_snapshot(&mut self, mode: Mode, store: &mut Store) {
        let wanted: Vec<u32> = store
            .living()
            .filter(|(id, _)| !self.shown.contains(*id) && !self.is_owed.contains(*id))
            .filter(|(_, value)| self.wants_value(mode, value))
            .map(|(id, _)| id)
            .collect();
        self.owed.push_back(Owed::SnapshotBegin(wanted.len() as u32));
        for id in wanted {
            self.owe(id);
            store.owe(id, 1);
        }
        self.owed.push_back(Owed::SnapshotEnd);
    }

    /// What the receiver no longer wants is as if it had never had it.
    pub(super) fn forget_unwanted(&mut self, mode: Mode, store: &Store) {
        for (id, value) in store.living() {
            if self.shown.contains(id) && !self.wants_value(mode, value) {
                self.shown.remove(id);
            }
        }
    }

    /// Takes everything off the list, as the channel is gone.
    pub(super) fn settle(&mut self, store: &mut Store) {
        for owed in std::mem::take(&mut self.owed) {
            if let Owed::Value(id) = owed
                && self.is_owed.remove(id)
            {
                store.settle(id);
            }
        }
    }

    /// Gives it a frame that is not kept. Says false if it was dropped, as more than `bound` bytes wait already for a
    /// reliable receiver.
    #[inline]
    pub(super) fn give(
        &mut self,
        now: Instant,
        rate: u32,
        bound: usize,
        frame: &Bytes,
        out: &mut impl Egress,
        counters: &mut Counters,
    ) -> bool {
        let pace = if self.backlog.is_empty() { self.pace.check(now, rate) } else { Err(now) };
        if self.is_blocked || pace.is_err() {
            if !self.is_reliable {
                counters.data_dropped += 1;
                return true;
            }
            if self.backlog_bytes > bound {
                counters.data_dropped += 1;
                return false;
            }
            self.backlog_bytes += frame.len();
            self.backlog.push_back(frame.clone());
            return true;
        }
        self.pace.note(now, rate);
        self.push(now, frame, Repetition::OfChannel, out, counters);
        true
    }

    /// Whether it holds up whoever waits for slow receivers.
    pub(super) fn is_behind(&self) -> bool {
        self.is_blocked || self.backlog_bytes > BACKLOG_BYTES
    }

    /// Sends what it is owed, as far as there is room and its rate allows.
    pub(super) fn drain(
        &mut self,
        now: Instant,
        mode: Mode,
        rate: u32,
        store: &mut Store,
        out: &mut impl Egress,
        counters: &mut Counters,
    ) -> Progress {
        // On a path that is slow, what shares a message waits for the rest of it.
        let was_blocked = std::mem::replace(&mut self.is_blocked, false);
        self.batch_bytes = if was_blocked { MIN_BATCH_BYTES } else { BATCH_BYTES };
        while !self.backlog.is_empty() {
            if let Err(due) = self.pace.check(now, rate) {
                return self.flush_until(now, Progress::Until(due), out, counters);
            }
            let Some(frame) = self.backlog.pop_front() else { break };
            self.backlog_bytes -= frame.len();
            self.pace.note(now, rate);
            if !self.push(now, &frame, Repetition::OfChannel, out, counters) {
                return self.blocked(now);
            }
        }
        if self.owed.is_empty() {
            return self.flush_until(now, Progress::Done, out, counters);
        }
        if let Err(due) = self.pace.check(now, rate) {
            return self.flush_until(now, Progress::Until(due), out, counters);
        }
        self.pace.note(now, rate);
        self.drain_owed(now, mode, store, out, counters)
    }

    fn flush_until(
        &mut self,
        now: Instant,
        progress: Progress,
        out: &mut impl Egress,
        counters: &mut Counters,
    ) -> Progress {
        if self.flush(now, out, counters) { progress } else { self.blocked(now) }
    }

    fn drain_owed(
        &mut self,
        now: Instant,
        mode: Mode,
        store: &mut Store,
        out: &mut impl Egress,
        counters: &mut Counters,
    ) -> Progress {
        let mut has_room = out.channel_room(self.transport, self.key) > 0;
        while let Some(owed) = self.owed.front().copied() {
            if !has_room {
                break;
            }
            let messages = counters.data_sent;
            self.owed.pop_front();
            let is_sent = match owed {
                Owed::SnapshotBegin(count) => {
                    counters.data_snapshots += 1;
                    self.is_in_snapshot = true;
                    let frame = encoded(&ServerFrame::SnapshotBegin { count });
                    self.push(now, &frame, Repetition::UntilItArrives, out, counters)
                }
                Owed::SnapshotEnd => {
                    self.is_in_snapshot = false;
                    let frame = encoded(&ServerFrame::SnapshotEnd);
                    self.push(now, &frame, Repetition::UntilItArrives, out, counters)
                }
                Owed::Value(id) => {
                    self.is_owed.remove(id);
                    let is_sent = match store.get(id) {
                        Some(value) if value.has_ended => {
                            !self.shown.remove(id)
                                || self.push(now, &value.frame, Repetition::UntilItArrives, out, counters)
                        }
                        Some(value) if self.wants_value(mode, value) => {
                            self.shown.insert(id);
                            // Its sender may not move for long, and nothing would make up for it.
                            let repetition = if self.is_in_snapshot {
                                Repetition::UntilItArrives
                            } else {
                                Repetition::OfChannel
                            };
                            self.push(now, &value.frame, repetition, out, counters)
                        }
                        Some(value) if self.shown.remove(id) => {
                            self.push(now, &left_frame(value), Repetition::UntilItArrives, out, counters)
                        }
                        _ => true,
                    };
                    store.settle(id);
                    is_sent
                }
            };
            if !is_sent {
                return self.blocked(now);
            }
            if counters.data_sent != messages {
                has_room = out.channel_room(self.transport, self.key) > 0;
            }
        }
        if !self.flush(now, out, counters) || !self.owed.is_empty() {
            return self.blocked(now);
        }
        Progress::Done
    }

    /// Sends a frame at once, beside all that waits. One that finds no room is dropped.
    pub(super) fn say(&mut self, frame: &ServerFrame<'_>, out: &mut impl Egress, counters: &mut Counters) {
        let repetition = match frame {
            // Late, it would tell the wrong time.
            ServerFrame::Pong { .. } => Repetition::OfChannel,
            _ => Repetition::UntilItArrives,
        };
        let message = encoded(frame);
        let outcome = out.send_message(self.transport, self.key, DataMessage::Binary(&message), repetition);
        match outcome {
            SendOutcome::Queued => counters.data_sent += 1,
            SendOutcome::Full | SendOutcome::Gone => counters.data_dropped += 1,
        }
    }

    /// Says what is wrong, each kind once in a while.
    pub(super) fn complain(
        &mut self,
        now: Instant,
        error: TopicError,
        text: &str,
        out: &mut impl Egress,
        counters: &mut Counters,
    ) {
        if self.errors_since.is_none_or(|since| since + ERROR_INTERVAL <= now) {
            (self.errors_since, self.errors_said) = (Some(now), 0);
        }
        let bit = 1 << error.code().min(15);
        if self.is_framed && self.errors_said & bit == 0 {
            self.errors_said |= bit;
            self.say(&error.frame(text), out, counters);
        }
    }

    fn wants_value(&self, mode: Mode, value: &Value) -> bool {
        value.sender != self.participant
            && (mode != Mode::Interest || self.wants.matches(&value.key, value.cell))
    }

    /// Adds to the batch, sending it when it is full. Says false if there was no room: the frame waits then, before others.
    fn push(
        &mut self,
        now: Instant,
        frame: &Bytes,
        repetition: Repetition,
        out: &mut impl Egress,
        counters: &mut Counters,
    ) -> bool {
        if self.batch.is_full_for(frame, self.batch_bytes) && !self.flush(now, out, counters) {
            self.backlog_bytes += frame.len();
            self.backlog.push_front(frame.clone());
            return false;
        }
        self.batch.push(frame, repetition);
        !self.batch.is_full(self.batch_bytes) || self.flush(now, out, counters)
    }

    /// Sends the batch. Says false if there was no room: it waits then.
    fn flush(&mut self, now: Instant, out: &mut impl Egress, counters: &mut Counters) -> bool {
        if self.batch.is_empty() {
            return true;
        }
        let (message, frames, repetition) = self.batch.take();
        match out.send_message(self.transport, self.key, DataMessage::Binary(&message), repetition) {
            SendOutcome::Queued => {
                self.sent_at = Some(now);
                counters.data_forwarded += u64::from(frames);
                counters.data_sent += 1;
            }
            SendOutcome::Gone => counters.data_dropped += u64::from(frames),
            SendOutcome::Full => {
                self.batch.restore(message, frames, repetition);
                self.is_blocked = true;
                return false;
            }
        }
        true
    }

    fn blocked(&mut self, now: Instant) -> Progress {
        self.is_blocked = true;
        Progress::Until(now + BLOCKED_RETRY)
    }
}

/// A message that is one frame.
pub(super) fn encoded(frame: &ServerFrame<'_>) -> Bytes {
    let mut message = Vec::with_capacity(match frame {
        ServerFrame::Message(message) => message.encoded_len(),
        _ => 64,
    });
    frame.write(&mut message);
    Bytes::from(message)
}

/// Says that a value went out of sight: its last message without a payload.
fn left_frame(value: &Value) -> Bytes {
    encoded(&ServerFrame::Message(Message {
        is_left: true,
        sender: value.sender,
        sequence: value.sequence,
        time: frame_time(&value.frame),
        key: (!value.key.is_empty()).then_some(&*value.key),
        cell: value.cell,
        ..Message::default()
    }))
}

fn frame_time(frame: &Bytes) -> u64 {
    match patchbay_frame::server_frames(frame).next() {
        Some(Ok(ServerFrame::Message(message))) => message.time,
        _ => 0,
    }
}
