//! From the queues into SCTP.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use patchbay_sctp::{Message, ppid};

use super::channel::Waiting;
use super::{
    ChannelKey, DataChannels, HIGH_WATER_BYTES, MIN_HIGH_WATER_BYTES, Reliability, TRANSPORT_QUEUE_BYTES,
};
use crate::transport::event::TransportEvent;
use crate::transport::stats::{DropCounts, DropReason};
use crate::{DataMessage, Repetition, SendOutcome};

impl DataChannels {
    /// Queues a message. An unreliable channel drops its oldest for it if it must.
    pub fn send(
        &mut self,
        now: Instant,
        key: ChannelKey,
        message: DataMessage<'_>,
        repetition: Repetition,
        dropped: &mut DropCounts,
    ) -> SendOutcome {
        // SCTP has no empty message: one byte and a type that says so stand for it (RFC 8831 §6.6).
        const EMPTY: Bytes = Bytes::from_static(&[0]);
        let (ppid, payload) = match message {
            DataMessage::Text(payload) if payload.is_empty() => (ppid::STRING_EMPTY, EMPTY),
            DataMessage::Binary(payload) if payload.is_empty() => (ppid::BINARY_EMPTY, EMPTY),
            DataMessage::Text(payload) => (ppid::STRING, payload.clone()),
            DataMessage::Binary(payload) => (ppid::BINARY, payload.clone()),
        };
        if !self.channels.contains_key(&key.0) {
            return SendOutcome::Gone;
        }
        let bytes = payload.len();
        if bytes > self.max_outgoing_bytes {
            dropped.count(DropReason::ChannelFull);
            return SendOutcome::Gone;
        }
        if !self.make_room(key, bytes, dropped) {
            // Perhaps only because nobody has looked at the window yet.
            self.feed(now, dropped);
            if !self.make_room(key, bytes, dropped) {
                dropped.count(DropReason::ChannelFull);
                let channel = self.channels.get_mut(&key.0);
                return match channel {
                    Some(channel) if channel.info.reliability == Reliability::Reliable => {
                        (channel.is_over, self.has_over) = (true, true);
                        SendOutcome::Full
                    }
                    // Others have taken all the room. It is lost, as any message on such a channel may be.
                    _ => SendOutcome::Queued,
                };
            }
        }
        let high_water = self.high_water_bytes();
        let Some(channel) = self.channels.get_mut(&key.0) else { return SendOutcome::Gone };
        let is_kept = repetition == Repetition::UntilItArrives;
        channel.push(Waiting { ppid, payload, since: now, is_kept });
        self.queued_bytes += bytes;
        if !channel.is_scheduled {
            channel.is_scheduled = true;
            self.schedule.add(key.0);
        }
        self.is_flush_due = true;
        if channel.queued_bytes >= high_water || channel.is_crowded() {
            self.feed(now, dropped);
            self.mark_over();
        }
        SendOutcome::Queued
    }

    /// Bytes that a channel would take now before it is above its high-water mark; 0 if it is, or is not there.
    pub fn room(&self, key: ChannelKey) -> usize {
        let Some(channel) = self.channels.get(&key.0).filter(|it| !it.is_over) else { return 0 };
        let of_channel = self.high_water_bytes().saturating_sub(channel.queued_bytes);
        of_channel.min(TRANSPORT_QUEUE_BYTES.saturating_sub(self.queued_bytes)).max(1)
    }

    /// Bytes that wait in a channel: in our queue and in SCTP's buffer.
    pub fn buffered_bytes(&self, key: ChannelKey) -> usize {
        self.channels.get(&key.0).map_or(0, |it| it.queued_bytes + it.handed_bytes)
    }

    /// The next SCTP packet, to be encrypted. Messages that were queued since the last call share packets.
    pub fn poll_transmit(&mut self, now: Instant, dropped: &mut DropCounts) -> Option<Bytes> {
        if !self.is_flush_due {
            return None;
        }
        self.feed(now, dropped);
        let packet = self.last_words.pop_front().or_else(|| self.association.poll_transmit(now));
        self.is_flush_due = packet.is_some();
        packet
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) may have something.
    pub fn has_transmit(&self) -> bool {
        self.is_flush_due
    }

    /// Hands messages over for as long as they leave at once. What stays behind in SCTP is the rest of one message: nothing that
    /// could still be dropped or overtaken.
    pub(super) fn feed(&mut self, now: Instant, dropped: &mut DropCounts) {
        if !self.is_up() {
            return;
        }
        while self.association.has_room() && self.hand_over(now, dropped) {}
        if !self.schedule.is_empty() {
            self.association.note_limiting();
        }
    }

    /// Gives SCTP the next message, if there is one.
    fn hand_over(&mut self, now: Instant, dropped: &mut DropCounts) -> bool {
        let (channels, queued_bytes) = (&mut self.channels, &mut self.queued_bytes);
        let chosen = self.schedule.choose(|id| {
            let channel = channels.get_mut(&id)?;
            let before = channel.queued_bytes;
            channel.expire(now, dropped);
            *queued_bytes -= before - channel.queued_bytes;
            channel.is_scheduled = channel.next_len().is_some();
            channel.next_len()
        });
        let Some(id) = chosen else { return false };
        let Some(channel) = self.channels.get_mut(&id) else { return false };
        let Some(waiting) = channel.pop() else { return false };
        let limit = channel.limit(&waiting);
        let Waiting { ppid, payload, .. } = waiting;
        self.queued_bytes -= payload.len();
        channel.handed_bytes += payload.len();
        self.association.send(Message {
            stream: id,
            ppid,
            payload,
            is_ordered: channel.info.is_ordered,
            limit,
        })
    }

    /// Tells of channels that have room again.
    pub(super) fn tell_writable(&mut self, events: &mut VecDeque<TransportEvent>) {
        self.mark_over();
        let low_water = self.high_water_bytes() / 2;
        if !self.has_over || self.queued_bytes > TRANSPORT_QUEUE_BYTES / 2 {
            return;
        }
        self.has_over = false;
        for (id, channel) in &mut self.channels {
            if channel.is_over && channel.queued_bytes <= low_water && !channel.is_crowded() {
                channel.is_over = false;
                events.push_back(TransportEvent::Writable { channel: ChannelKey(*id) });
            }
            self.has_over |= channel.is_over;
        }
    }

    fn make_room(&mut self, key: ChannelKey, bytes: usize, dropped: &mut DropCounts) -> bool {
        let Some(channel) = self.channels.get_mut(&key.0) else { return false };
        let before = channel.queued_bytes;
        let of_others = self.queued_bytes - before;
        let has_room = channel.make_room(bytes, TRANSPORT_QUEUE_BYTES.saturating_sub(of_others), dropped);
        self.queued_bytes -= before - channel.queued_bytes;
        has_room
    }

    /// Bytes in the queue of a channel above which it has no room: a fifth of what is under way. Each SACK makes room and tells
    /// of it, so the path never runs dry, and what waits is a fifth of a round trip old: fresh on a slow path, too.
    fn high_water_bytes(&self) -> usize {
        (self.association.in_flight_bytes() / 5).clamp(MIN_HIGH_WATER_BYTES, HIGH_WATER_BYTES)
    }

    /// Notes which channels are above their high-water mark: they are to be told of when they no longer are.
    fn mark_over(&mut self) {
        let high_water = self.high_water_bytes();
        if self.queued_bytes >= TRANSPORT_QUEUE_BYTES {
            self.channels.values_mut().for_each(|channel| channel.is_over = true);
            self.has_over = true;
            return;
        }
        for id in self.schedule.ids() {
            if let Some(channel) = self.channels.get_mut(&id) {
                channel.is_over |= channel.queued_bytes >= high_water || channel.is_crowded();
                self.has_over |= channel.is_over;
            }
        }
    }
}
