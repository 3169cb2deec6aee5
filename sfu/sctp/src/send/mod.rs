//! What goes out: messages become DATA chunks, which are repeated until they have arrived or are given up.

mod chunk;
mod outstanding;
mod round_trip;
mod window;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes};

use self::chunk::Chunk;
pub use self::chunk::Limit;
use self::outstanding::Outstanding;
use self::round_trip::RoundTrip;
use self::window::Window;
use crate::packet::{
    BEGINS, Builder, CHUNK_HEADER_BYTES, DATA, DATA_HEADER_BYTES, ENDS, FORWARD_TSN, IMMEDIATE, UNORDERED,
    half, word,
};
use crate::receive::TSN_WINDOW;
use crate::tsn::{Tsn, extend, first};

/// A message that does not fit into what is left of a packet is only split there if this much of it fits, in bytes.
const MIN_FRAGMENT_BYTES: usize = 256;
/// Probes without an answer before everything in flight counts as lost (RFC 9002 §7.6).
const PROBES: u32 = 2;
/// Longest time between two of them. A path that is back should not wait for long.
const MAX_PROBE_DELAY: Duration = Duration::from_secs(3);
/// What a peer may delay a SACK by that it was not asked to hurry with. RFC 9260 §6.2 allows 200 ms; most of it is in what was
/// measured, if it happens often.
const SACK_DELAY: Duration = Duration::from_millis(100);

/// A message that is to leave.
#[derive(Debug, Clone)]
pub struct Message {
    /// The stream that it is sent on.
    pub stream: u16,
    /// What its payload is: see [`ppid`](crate::ppid).
    pub ppid: u32,
    /// Its bytes, at least one.
    pub payload: Bytes,
    /// Whether it comes after what was sent on the stream before.
    pub is_ordered: bool,
    /// How often, and until when, it is sent.
    pub limit: Limit,
}

/// The rest of a message that is being sent.
#[derive(Debug)]
struct Pending {
    number: u64,
    ssn: Option<u16>,
    /// Whether nothing of it was sent.
    is_whole: bool,
    message: Message,
}

/// The sending half of an association.
#[derive(Debug)]
pub(crate) struct Sender {
    outstanding: Outstanding,
    pending: VecDeque<Pending>,
    pending_bytes: usize,
    /// The next number in each stream.
    streams: BTreeMap<u16, u16>,
    messages: u64,
    packets: u64,
    window: Window,
    round_trip: RoundTrip,
    /// What the peer has room for beyond what it has acknowledged.
    peer_window: usize,
    /// When something that waits for an answer left last, and whether the peer was asked to hurry.
    sent_at: Option<(Instant, bool)>,
    probes: u32,
    /// To be sent whatever the window says.
    probe: Option<Tsn>,
    /// When the peer was told last of what was given up.
    forward_at: Option<Instant>,
    /// While the peer has no room.
    closed: Option<Closed>,
}

/// A peer's window that is closed. It may open without a word that arrives, so a packet asks from time to time (RFC 9260 §6.1).
#[derive(Debug)]
struct Closed {
    since: Instant,
    asked: u32,
    may_ask: bool,
}

impl Sender {
    /// `initial` is our first TSN, `peer_window` what the peer has room for in bytes.
    pub(crate) fn new(initial: u32, peer_window: u32) -> Self {
        Self {
            outstanding: Outstanding::new(first(initial)),
            pending: VecDeque::new(),
            pending_bytes: 0,
            streams: BTreeMap::new(),
            messages: 0,
            packets: 0,
            window: Window::default(),
            round_trip: RoundTrip::default(),
            // One that has no room is asked with a packet (RFC 9260 §6.1).
            peer_window: peer_window.max(1) as usize,
            sent_at: None,
            probes: 0,
            probe: None,
            forward_at: None,
            closed: None,
        }
    }

    /// Whether a message would leave at once, or begin to, behind so many bytes that have to leave before it.
    pub(crate) fn has_room(&self, before: usize) -> bool {
        let pending = self.pending_bytes + self.pending.len() * DATA_HEADER_BYTES;
        !self.outstanding.has_lost() && self.is_open(self.outstanding.in_flight() + pending + before)
    }

    /// Bytes in flight, headers included.
    pub(crate) fn in_flight(&self) -> usize {
        self.outstanding.in_flight()
    }

    /// Bytes of payload that were taken and have not left.
    pub(crate) fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// Something waits for room.
    pub(crate) fn note_limiting(&mut self) {
        self.window.note_limiting();
    }

    /// Payload that arrived or was given up since this was last asked, by stream.
    pub(crate) fn take_released(&mut self) -> Vec<(u16, usize)> {
        self.outstanding.take_released()
    }

    /// TSN of what was sent last.
    pub(crate) fn last_tsn(&self) -> u32 {
        (self.outstanding.next() - 1) as u32
    }

    /// Streams begin anew.
    pub(crate) fn reset(&mut self, streams: &[u16]) {
        streams.iter().for_each(|stream| {
            self.streams.remove(stream);
        });
    }

    /// The peer knows that streams have begun anew behind a TSN.
    pub(crate) fn note_reset(&mut self, streams: &[u16], last_tsn: u32) {
        self.outstanding.forget_numbers(streams, extend(last_tsn, self.outstanding.next()));
    }

    /// Whether something of a stream has not left.
    pub(crate) fn has_pending(&self, stream: u16) -> bool {
        self.pending.iter().any(|it| it.message.stream == stream)
    }

    /// Takes a message.
    pub(crate) fn push(&mut self, message: Message) {
        if message.payload.is_empty() {
            return;
        }
        let ssn = message.is_ordered.then(|| {
            let next = self.streams.entry(message.stream).or_insert(0);
            std::mem::replace(next, next.wrapping_add(1))
        });
        self.messages += 1;
        self.pending_bytes += message.payload.len();
        self.pending.push_back(Pending { number: self.messages, ssn, is_whole: true, message });
    }

    /// A SACK chunk (RFC 9260 §3.3.4).
    pub(crate) fn handle_sack(&mut self, now: Instant, value: &[u8]) {
        let (Some(cumulative), Some(peer_window), Some(count)) =
            (word(value, 0), word(value, 4), half(value, 8))
        else {
            return;
        };
        let Some(gaps) = value.get(12..12 + 4 * usize::from(count)).filter(|it| are_rising(it)) else {
            return;
        };
        let cumulative = extend(cumulative, self.outstanding.next());
        let gaps =
            gaps.chunks_exact(4).filter_map(|it| Some((u64::from(half(it, 0)?), u64::from(half(it, 2)?))));
        // It was overtaken by a later one: what it says of arrivals is true, and what it says of room was.
        let is_old = cumulative + 1 < self.outstanding.base();
        let in_flight = self.outstanding.in_flight();
        let was_forward_due = self.outstanding.forward_to();
        let Some(told) = self.outstanding.acknowledge(now, cumulative, gaps, self.round_trip.smooth()) else {
            return;
        };
        if !is_old {
            self.note_peer_window(now, peer_window);
        }
        if let Some(sample) = told.sample {
            self.round_trip.note(sample);
        }
        let is_forwarded = was_forward_due.is_some_and(|it| cumulative >= it);
        if told.highest.is_some() || is_forwarded {
            self.probes = 0;
            self.sent_at = self.outstanding.is_waiting().then_some((now, false));
        }
        let lost = self.outstanding.detect_losses(now, self.round_trip.loss_delay());
        self.window.note_lost(lost);
        if let Some(highest) = told.highest {
            self.window.handle_sack(now, highest, told.sample, in_flight);
        }
    }

    /// When something is to be done.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let own = [self.outstanding.loss_deadline(), self.probe_deadline(), self.ask_deadline()];
        own.into_iter().flatten().min()
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.outstanding.loss_deadline().is_some_and(|due| due <= now) {
            let lost = self.outstanding.detect_losses(now, self.round_trip.loss_delay());
            self.window.note_lost(lost);
        }
        if self.ask_deadline().is_some_and(|due| due <= now)
            && let Some(closed) = &mut self.closed
        {
            (closed.asked, closed.may_ask) = (closed.asked + 1, true);
        }
        if self.probe_deadline().is_none_or(|due| now < due) {
            return;
        }
        self.probes += 1;
        self.sent_at = Some((now, true));
        self.forward_at = None;
        self.probe = self.outstanding.probe(now);
        if self.probe.is_none() || self.probes > PROBES {
            // Nothing of it may be repeated, or nothing has helped.
            let lost = self.outstanding.lose_all(now);
            self.window.note_lost(lost);
            self.probe = self.outstanding.first_lost(now);
        }
        // A peer that has no room answers nothing, and says nothing of the path.
        if self.probes > PROBES && self.peer_window > 0 {
            self.window.collapse();
        }
    }

    /// Whether [`write`](Self::write) has something for a packet.
    pub(crate) fn has_something(&self, now: Instant) -> bool {
        self.probe.is_some()
            || self.is_forward_due(now)
            || self.may_repeat() && self.outstanding.has_lost()
            || self.is_open(self.outstanding.in_flight()) && !self.pending.is_empty()
    }

    /// Writes what goes out next into a packet.
    pub(crate) fn write(&mut self, now: Instant, packet: &mut Builder) {
        self.packets += 1;
        // Before the peer is told, so that it is told of the rest, too: it would not know what to do with that.
        self.outstanding.first_lost(now);
        self.expire_pending(now);
        if let Some(to) = self.outstanding.forward_to().filter(|_| self.is_forward_due(now)) {
            self.write_forward(now, packet, to);
        }
        let (before, is_fresh) = (packet.room(), packet.is_empty());
        let (mut last, mut count) = (None, 0);
        if let Some(tsn) = self.probe.take() {
            let is_written = self.write_again(now, packet, tsn, true);
            count += usize::from(is_written);
            // What else is in this packet may have left no room.
            self.probe = Some(tsn).filter(|_| !is_written && !is_fresh);
        }
        while self.may_repeat()
            && let Some(tsn) = self.outstanding.first_lost(now)
        {
            if !self.write_again(now, packet, tsn, true) {
                break;
            }
            count += 1;
        }
        while !self.outstanding.has_lost()
            && self.is_open(self.outstanding.in_flight())
            && let Some(tsn) = self.write_next(now, packet)
        {
            last = Some(tsn);
            count += 1;
        }
        if count > 0 {
            self.window.note_sent(last, before - packet.room());
        }
    }

    /// Whether a message that is being sent is not worth it any more; its rest is dropped.
    fn expire_pending(&mut self, now: Instant) {
        while let Some(front) = self.pending.front() {
            let is_over = front.message.limit.expires.is_some_and(|at| at <= now);
            let number = front.number;
            if front.is_whole {
                // Whoever handed it over has looked at its time.
                return;
            }
            if is_over {
                self.outstanding.abandon_last(number);
            }
            if !self.outstanding.close_abandoned(now, number) {
                return;
            }
            if let Some(rest) = self.pending.pop_front() {
                self.pending_bytes -= rest.message.payload.len();
                self.outstanding.release(rest.message.stream, rest.message.payload.len());
            }
        }
    }

    /// Writes the next chunk of what is pending, as much as fits. Returns its TSN.
    fn write_next(&mut self, now: Instant, packet: &mut Builder) -> Option<Tsn> {
        self.expire_pending(now);
        let room = packet.room().checked_sub(DATA_HEADER_BYTES).filter(|it| *it > 0)? & !3;
        let is_fresh = packet.is_empty();
        let front = self.pending.front_mut()?;
        let left = front.message.payload.len();
        if left > room && room < MIN_FRAGMENT_BYTES && !is_fresh {
            return None;
        }
        // A short message is not split for the sake of a packet that is nearly full.
        if left > room && !is_fresh && left <= crate::packet::MAX_PACKET_BYTES / 2 {
            return None;
        }
        let payload = front.message.payload.split_to(left.min(room));
        let is_end = front.message.payload.is_empty();
        let begins = if std::mem::take(&mut front.is_whole) { BEGINS } else { 0 };
        let flags = begins | if is_end { ENDS } else { 0 } | if front.ssn.is_none() { UNORDERED } else { 0 };
        let chunk = Chunk {
            message: front.number,
            stream: front.message.stream,
            ssn: front.ssn,
            ppid: front.message.ppid,
            flags,
            payload: payload.clone(),
            limit: front.message.limit,
        };
        self.pending_bytes -= payload.len();
        let header = (front.message.stream, front.ssn.unwrap_or(0), front.message.ppid);
        let is_repeatable = front.message.limit.max_retransmits != Some(0);
        if is_end {
            self.pending.pop_front();
        }
        let tsn = self.outstanding.push(now, self.packets, chunk);
        // An answer is worth a packet of its own if it makes room, or if something can be done about a loss and nothing that follows
        // tells of it.
        let is_full = !self.is_open(self.outstanding.in_flight());
        let is_urgent = is_full || is_repeatable && self.pending.is_empty();
        self.sent_at = Some((now, is_urgent));
        let flags = if is_urgent { flags | IMMEDIATE } else { flags };
        put_data(packet, flags, tsn, header, &payload);
        Some(tsn)
    }

    /// Writes a chunk once more. Says whether there was room.
    fn write_again(&mut self, now: Instant, packet: &mut Builder, tsn: Tsn, is_urgent: bool) -> bool {
        let room = packet.room().saturating_sub(DATA_HEADER_BYTES);
        let Some(sent) = self.outstanding.repeat(now, self.packets, tsn, room) else { return false };
        let Chunk { stream, ssn, ppid, flags, payload, .. } = &sent.chunk;
        put_data(packet, flags | IMMEDIATE, tsn, (*stream, ssn.unwrap_or(0), *ppid), payload);
        self.sent_at = Some((now, is_urgent));
        true
    }

    /// FORWARD-TSN (RFC 3758 §3.2).
    fn write_forward(&mut self, now: Instant, packet: &mut Builder, to: Tsn) {
        let most = packet.room().saturating_sub(CHUNK_HEADER_BYTES + 4) / 4;
        let skipped = self.outstanding.skipped();
        packet.chunk(FORWARD_TSN, 0, |bytes| {
            bytes.put_u32(to as u32);
            for (stream, ssn) in skipped.iter().take(most) {
                bytes.put_u16(*stream);
                bytes.put_u16(*ssn);
            }
        });
        self.forward_at = Some(now);
        self.sent_at.get_or_insert((now, true));
    }

    /// Once per round trip (RFC 3758 §3.5).
    fn is_forward_due(&self, now: Instant) -> bool {
        let pause = self.round_trip.smooth().max(Duration::from_millis(1));
        self.outstanding.forward_to().is_some()
            && self.forward_at.is_none_or(|at| now.saturating_duration_since(at) >= pause)
    }

    fn probe_deadline(&self) -> Option<Instant> {
        let (sent_at, is_urgent) = self.sent_at.filter(|_| self.outstanding.is_waiting())?;
        let delay = self.round_trip.probe_delay() + if is_urgent { Duration::ZERO } else { SACK_DELAY };
        Some(sent_at + (delay * (1 << self.probes.min(8))).min(MAX_PROBE_DELAY))
    }

    fn ask_deadline(&self) -> Option<Instant> {
        let closed = self.closed.as_ref().filter(|it| !it.may_ask && !self.outstanding.is_waiting())?;
        Some(closed.since + (self.round_trip.probe_delay() * (1 << closed.asked.min(8))).min(MAX_PROBE_DELAY))
    }

    fn note_peer_window(&mut self, now: Instant, bytes: u32) {
        self.peer_window = bytes as usize;
        let asked = self.closed.take().map_or(0, |it| it.asked);
        self.closed = (bytes == 0).then_some(Closed { since: now, asked, may_ask: false });
    }

    /// Whether another packet with something new may leave while so many bytes are in flight.
    fn is_open(&self, in_flight: usize) -> bool {
        let may_ask = self.closed.as_ref().is_some_and(|it| it.may_ask);
        self.outstanding.next() - self.outstanding.base() < TSN_WINDOW
            && self.has_room_for_packet(in_flight, self.peer_window.max(usize::from(may_ask)))
    }

    /// Whether something may be sent again. The peer has kept room for it (RFC 9260 §6.1), and may have none until it comes.
    fn may_repeat(&self) -> bool {
        self.has_room_for_packet(self.outstanding.in_flight(), usize::MAX)
    }

    /// One may leave in any case, where the peer has any room.
    fn has_room_for_packet(&self, in_flight: usize, peer_window: usize) -> bool {
        let allowed = peer_window.min(self.window.bytes() as usize);
        if in_flight == 0 { allowed > 0 } else { in_flight + self.window.packet_bytes() as usize <= allowed }
    }
}

/// DATA (RFC 9260 §3.3.1), with stream, number in the stream and kind of payload.
fn put_data(packet: &mut Builder, flags: u8, tsn: Tsn, header: (u16, u16, u32), payload: &[u8]) {
    packet.chunk(DATA, flags, |bytes| {
        bytes.put_u32(tsn as u32);
        bytes.put_u16(header.0);
        bytes.put_u16(header.1);
        bytes.put_u32(header.2);
        bytes.put_slice(payload);
    });
}

/// Gap blocks rise and do not overlap (RFC 9260 §3.3.4): walking them is bounded by what was sent.
fn are_rising(gaps: &[u8]) -> bool {
    let mut before = 0;
    gaps.chunks_exact(4).all(|gap| {
        let (Some(first), Some(last)) = (half(gap, 0), half(gap, 2)) else { return false };
        let is_sound = first > before && last >= first;
        before = last;
        is_sound
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Header, parse};

    const NOBODY: Header = Header { source_port: 1, destination_port: 2, tag: 3 };

    fn sender(messages: u16) -> (Sender, Instant) {
        let (mut sender, now) = (Sender::new(100, 10_000), Instant::now());
        for stream in 0..messages {
            let limit = Limit { max_retransmits: Some(0), expires: None };
            let payload = Bytes::from_static(&[1; 1_000]);
            sender.push(Message { stream, ppid: 53, payload, is_ordered: true, limit });
            sender.write(now, &mut Builder::new(NOBODY));
        }
        (sender, now)
    }

    /// What a SACK says: up to where all has arrived, room, and a gap.
    fn sack(cumulative: u32, window: u32, gap: Option<(u16, u16)>) -> Vec<u8> {
        let mut value = Vec::new();
        value.put_u32(cumulative);
        value.put_u32(window);
        value.put_u16(u16::from(gap.is_some()));
        value.put_u16(0);
        if let Some((first, last)) = gap {
            value.put_u16(first);
            value.put_u16(last);
        }
        value
    }

    #[test]
    fn what_was_overtaken_says_nothing_of_room() {
        let (mut sender, now) = sender(4);
        sender.handle_sack(now, &sack(102, 5_000, None));
        sender.handle_sack(now, &sack(100, 0, Some((3, 3))));
        assert!(sender.in_flight() == 0 && sender.has_room(0));
        sender.handle_sack(now, &sack(103, 0, None));
        assert!(!sender.has_room(0));
    }

    #[test]
    fn numbers_from_before_a_reset_are_skipped_no_more() {
        let (mut sender, now) = sender(5);
        // The first is lost, and given up. That this was heard is lost, too.
        sender.handle_sack(now, &sack(99, 5_000, Some((2, 5))));
        let skipped = |sender: &mut Sender| {
            let mut packet = Builder::new(NOBODY);
            sender.forward_at = None;
            sender.write(now, &mut packet);
            let packet = packet.finish();
            let (_, mut chunks) = parse(&packet)?;
            Some(chunks.next()?.value.len() - 4)
        };
        assert_eq!(skipped(&mut sender), Some(4), "stream 0");
        sender.reset(&[0]);
        assert_eq!(skipped(&mut sender), Some(4), "the peer may not know");
        sender.note_reset(&[0], 104);
        assert_eq!(skipped(&mut sender), Some(0));
    }
}
