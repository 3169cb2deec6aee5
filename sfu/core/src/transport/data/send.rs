//! From the queues into SCTP, and from SCTP to be encrypted.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use rtc_sctp::{Payload, PayloadProtocolIdentifier, StreamId};

use super::channel::Channel;
use super::establish::stream_reliability;
use super::{
    ChannelKey, DataChannels, HIGH_WATER_BYTES, MIN_HIGH_WATER_BYTES, Reliability, TRANSPORT_QUEUE_BYTES,
};
use crate::transport::event::TransportEvent;
use crate::transport::sctp_guard::{DATA, SACK, chunks, word};
use crate::transport::stats::{DropCounts, DropReason};
use crate::{DataMessage, SendOutcome};

/// Bytes handed over at first, to find out whether the window is open: one packet. Twice as much with each answer.
const FIRST_BATCH_BYTES: usize = 1152;
/// Bytes handed over between two looks at what has left.
const MAX_BATCH_BYTES: usize = 64 * 1024;

impl DataChannels {
    /// Queues a message. An unreliable channel drops its oldest for it if it must.
    pub fn send(
        &mut self,
        now: Instant,
        key: ChannelKey,
        message: DataMessage<'_>,
        dropped: &mut DropCounts,
    ) -> SendOutcome {
        // SCTP has no empty message: one byte and a type that says so stand for it (RFC 8831 §6.6).
        const EMPTY: Bytes = Bytes::from_static(&[0]);
        let (kind, payload) = match message {
            DataMessage::Text(payload) if payload.is_empty() => {
                (PayloadProtocolIdentifier::StringEmpty, EMPTY)
            }
            DataMessage::Binary(payload) if payload.is_empty() => {
                (PayloadProtocolIdentifier::BinaryEmpty, EMPTY)
            }
            DataMessage::Text(payload) => (PayloadProtocolIdentifier::String, payload.clone()),
            DataMessage::Binary(payload) => (PayloadProtocolIdentifier::Binary, payload.clone()),
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
        channel.push(now, kind, payload);
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
        if self.outgoing.is_empty() && std::mem::take(&mut self.is_flush_due) {
            self.feed(now, dropped);
        }
        self.outgoing.pop_front()
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) may have something.
    pub fn has_transmit(&self) -> bool {
        self.is_flush_due || !self.outgoing.is_empty()
    }

    /// Hands messages over for as long as they leave at once. What stays behind in SCTP is the rest of one message or of a few
    /// packets: enough for its congestion window to grow (RFC 9260 §7.2.1 lets only a window grow that is in use), and
    /// hardly more that could be neither dropped nor overtaken.
    pub(super) fn feed(&mut self, now: Instant, dropped: &mut DropCounts) {
        self.collect(now);
        if !self.is_up() {
            return;
        }
        let mut batch = FIRST_BATCH_BYTES;
        while !self.flow.is_blocked() && !self.schedule.is_empty() {
            let mut handed = 0;
            while handed < batch
                && let Some(bytes) = self.hand_over(now, dropped)
            {
                handed += bytes;
            }
            self.collect(now);
            batch = (2 * batch).min(MAX_BATCH_BYTES);
        }
        if self.flow.is_blocked() {
            self.window.note_limiting();
        }
    }

    /// Gives SCTP the next message. Returns its length in bytes.
    fn hand_over(&mut self, now: Instant, dropped: &mut DropCounts) -> Option<usize> {
        let (channels, queued_bytes) = (&mut self.channels, &mut self.queued_bytes);
        let id = self.schedule.choose(|id| {
            let channel = channels.get_mut(&id)?;
            let before = channel.queued_bytes;
            channel.expire(now, dropped);
            *queued_bytes -= before - channel.queued_bytes;
            channel.is_scheduled = channel.next_len().is_some();
            channel.next_len()
        })?;
        let channel = self.channels.get_mut(&id)?;
        let waiting = channel.pop()?;
        let bytes = waiting.payload.len();
        self.queued_bytes -= bytes;
        let (_, association) = self.association.as_mut()?;
        let Ok(mut stream) = association.stream(id) else { return Some(bytes) };
        let waited = now.saturating_duration_since(waiting.since).as_millis() as u64;
        if waited > 0 && matches!(channel.info.reliability, Reliability::MaxLifetimeMs(_)) {
            let (kind, value) = stream_reliability(&channel.info, waited);
            let _ = stream.set_reliability_params(!channel.info.is_ordered, kind, value);
            channel.is_aged = true;
        } else if std::mem::take(&mut channel.is_aged) {
            let (kind, value) = stream_reliability(&channel.info, 0);
            let _ = stream.set_reliability_params(!channel.info.is_ordered, kind, value);
        }
        if stream.write_chunk_with_ppi(self.clock.machine_time(now), &waiting.payload, waiting.kind).is_ok() {
            channel.handed_bytes += bytes;
            self.flow.note_handed(bytes);
        }
        Some(bytes)
    }

    /// Takes the packets that SCTP has ready.
    pub(super) fn collect(&mut self, now: Instant) {
        let machine_time = self.clock.machine_time(now);
        let Some((_, association)) = &mut self.association else { return };
        // After a time-out the machine repeats what its window allows with each call, without counting what it repeated in the
        // call before: all at once, into the queue that may have lost it. Half of our window is enough between two SACKs.
        let mut repeatable = self.window.bytes() as usize / 2;
        while repeatable > 0
            && let Some(transmit) = association.poll_transmit(machine_time)
        {
            let Payload::RawEncode(packets) = transmit.message else { continue };
            for packet in &packets {
                let (mut last, mut repeated) = (None, None);
                let mut is_reliable = true;
                for (kind, _, value) in chunks(packet).flatten() {
                    match kind {
                        DATA => {
                            match self.flow.note_sent(value) {
                                Some(tsn) => last = Some(tsn),
                                None => repeated = word(value, 0),
                            }
                            is_reliable &= is_on_reliable(&self.channels, value);
                        }
                        SACK => self.guard.note_sack_sent(value),
                        _ => {}
                    }
                }
                if let Some(tsn) = last {
                    self.window.note_sent(now, tsn, packet.len());
                }
                if let Some(last) = last.or(repeated) {
                    self.probe.note_sent(now, last, Some(packet).filter(|_| is_reliable));
                }
                if let Some(tsn) = repeated {
                    self.window.note_repeated(tsn);
                    repeatable = repeatable.saturating_sub(packet.len());
                }
            }
            self.outgoing.extend(packets);
        }
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
        (self.flow.in_flight() / 5).clamp(MIN_HIGH_WATER_BYTES, HIGH_WATER_BYTES)
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

/// Whether what a DATA chunk carries may be repeated at will.
fn is_on_reliable(channels: &BTreeMap<StreamId, Channel>, chunk: &[u8]) -> bool {
    const STREAM_AT: usize = 4;
    let stream = chunk.get(STREAM_AT..).and_then(|it| it.first_chunk()).map(|it| u16::from_be_bytes(*it));
    stream.and_then(|id| channels.get(&id)).is_none_or(|it| it.info.reliability == Reliability::Reliable)
}
