//! DATA chunks that were sent and are not acknowledged in sequence: which of them arrived, which are lost, which are given up.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::chunk::Chunk;
use crate::packet::{DATA_HEADER_BYTES, ENDS};
use crate::tsn::Tsn;

/// So many packets sent later have arrived: it is lost (RFC 9260 §7.2.4, RFC 9002 §6.1.1).
const PACKET_THRESHOLD: u64 = 3;
/// The same on a path that is seen to change the sequence.
const MAX_PACKET_THRESHOLD: u64 = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    InFlight,
    /// To be sent again.
    Lost,
    Acknowledged,
    Abandoned,
}

/// A chunk and what became of it.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) chunk: Chunk,
    state: State,
    bytes: usize,
    transmissions: u32,
    /// Number of the packet that carried it last, and when that left.
    packet: u64,
    sent_at: Instant,
}

/// What a SACK told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// The highest TSN that is acknowledged for the first time.
    pub(crate) highest: Option<Tsn>,
    /// How long the latest packet took, if that is certain (Karn).
    pub(crate) sample: Option<Duration>,
}

/// Chunks from the first that is not acknowledged in sequence.
#[derive(Debug)]
pub(crate) struct Outstanding {
    chunks: VecDeque<Sent>,
    /// TSN of the first of them.
    base: Tsn,
    /// What has left, by packet: each TSN with the packet that carried it, until it is at the front and no longer in flight.
    flight: VecDeque<(u64, Tsn)>,
    books: Books,
    /// The latest packet that has arrived.
    arrived: Option<u64>,
    /// When the next of them is lost by time.
    loss_at: Option<Instant>,
    /// Everything below was given up or acknowledged.
    forward: Tsn,
}

/// What is counted over all chunks.
#[derive(Debug)]
struct Books {
    /// Bytes in flight, headers included.
    in_flight: usize,
    /// What is to be sent again.
    lost: BTreeSet<Tsn>,
    /// So many packets later have to arrive before something counts as lost.
    threshold: u64,
    /// Payload that arrived or was given up, by stream.
    released: Vec<(u16, usize)>,
}

impl Outstanding {
    pub(crate) fn new(first: Tsn) -> Self {
        Self {
            chunks: VecDeque::new(),
            base: first,
            flight: VecDeque::new(),
            books: Books {
                in_flight: 0,
                lost: BTreeSet::new(),
                threshold: PACKET_THRESHOLD,
                released: Vec::new(),
            },
            arrived: None,
            loss_at: None,
            forward: first,
        }
    }

    /// TSN of the first chunk that is not acknowledged in sequence.
    pub(crate) fn base(&self) -> Tsn {
        self.base
    }

    /// TSN of the next chunk.
    pub(crate) fn next(&self) -> Tsn {
        self.base + self.chunks.len() as u64
    }

    /// Bytes in flight, headers included.
    pub(crate) fn in_flight(&self) -> usize {
        self.books.in_flight
    }

    /// Whether something is to be sent again.
    pub(crate) fn has_lost(&self) -> bool {
        !self.books.lost.is_empty()
    }

    /// Whether an answer is waited for.
    pub(crate) fn is_waiting(&self) -> bool {
        self.books.in_flight > 0 || self.has_lost() || self.forward_to().is_some()
    }

    /// When [`detect_losses`](Self::detect_losses) finds more.
    pub(crate) fn loss_deadline(&self) -> Option<Instant> {
        self.loss_at
    }

    /// Payload that arrived or was given up since this was last asked.
    pub(crate) fn take_released(&mut self) -> Vec<(u16, usize)> {
        std::mem::take(&mut self.books.released)
    }

    /// Payload that never left is given up.
    pub(crate) fn release(&mut self, stream: u16, bytes: usize) {
        self.books.released.push((stream, bytes));
    }

    /// A chunk leaves for the first time.
    pub(crate) fn push(&mut self, now: Instant, packet: u64, chunk: Chunk) -> Tsn {
        let tsn = self.next();
        let bytes = chunk.payload.len() + DATA_HEADER_BYTES;
        self.books.in_flight += bytes;
        self.flight.push_back((packet, tsn));
        self.chunks.push_back(Sent {
            chunk,
            state: State::InFlight,
            bytes,
            transmissions: 1,
            packet,
            sent_at: now,
        });
        tsn
    }

    /// A SACK (RFC 9260 §6.2.1): everything below `cumulative` has arrived, and the ranges above. `None` if it tells of what was
    /// never sent.
    pub(crate) fn acknowledge(
        &mut self,
        now: Instant,
        cumulative: Tsn,
        gaps: impl Iterator<Item = (u64, u64)>,
        round_trip: Duration,
    ) -> Option<Told> {
        if cumulative >= self.next() {
            return None;
        }
        let mut told = Told::default();
        let mut latest: Option<(u64, Instant, u32)> = None;
        let mut see = |it: &Sent| {
            if latest.is_none_or(|(packet, ..)| it.packet >= packet) {
                latest = Some((it.packet, it.sent_at, it.transmissions));
            }
        };
        while self.base <= cumulative
            && let Some(mut chunk) = self.chunks.pop_front()
        {
            if matches!(chunk.state, State::InFlight | State::Lost) {
                see(&chunk);
                told.highest = Some(self.base);
                self.books.note_arrived(&mut chunk, self.base, now, round_trip);
            }
            self.base += 1;
        }
        for (first, last) in gaps {
            for tsn in (cumulative + first).max(self.base)..=(cumulative + last).min(self.next() - 1) {
                let at = (tsn - self.base) as usize;
                let Some(chunk) = self.chunks.get_mut(at) else { break };
                if matches!(chunk.state, State::InFlight | State::Lost) {
                    see(chunk);
                    told.highest = Some(told.highest.map_or(tsn, |it| it.max(tsn)));
                    self.books.note_arrived(chunk, tsn, now, round_trip);
                }
            }
        }
        self.advance();
        if let Some((packet, sent_at, transmissions)) = latest {
            self.arrived = self.arrived.max(Some(packet));
            told.sample = (transmissions == 1).then(|| now.saturating_duration_since(sent_at));
        }
        Some(told)
    }

    /// Finds what is lost: something sent later has arrived, and either that was enough later, or time enough has passed. Returns in
    /// how many packets it was.
    pub(crate) fn detect_losses(&mut self, now: Instant, delay: Duration) -> u32 {
        self.loss_at = None;
        let Some(arrived) = self.arrived else { return 0 };
        let (mut packets, mut last_packet) = (0, None);
        while let Some((packet, tsn, sent_at)) = self.first_in_flight().filter(|it| it.0 < arrived) {
            let due = sent_at + delay;
            if arrived - packet < self.books.threshold && now < due {
                // Those behind it left later.
                self.loss_at = Some(due);
                break;
            }
            packets += u32::from(last_packet != Some(packet));
            last_packet = Some(packet);
            self.lose(now, tsn);
        }
        packets
    }

    /// Everything in flight is lost. Returns in how many packets it was.
    pub(crate) fn lose_all(&mut self, now: Instant) -> u32 {
        self.loss_at = None;
        let (mut packets, mut last_packet) = (0, None);
        while let Some((packet, tsn, _)) = self.first_in_flight() {
            packets += u32::from(last_packet != Some(packet));
            last_packet = Some(packet);
            self.lose(now, tsn);
        }
        packets
    }

    /// The last chunk in flight that may be sent once more, to find out what of the others has arrived.
    pub(crate) fn probe(&self, now: Instant) -> Option<Tsn> {
        let may = |it: &Sent| it.chunk.limit.allows(now, it.transmissions);
        let mut latest = self.flight.iter().rev();
        latest.find(|it| self.in_flight_as(**it).is_some_and(may)).map(|(_, tsn)| *tsn)
    }

    /// What is in flight for longest: packet, TSN and since when.
    fn first_in_flight(&mut self) -> Option<(u64, Tsn, Instant)> {
        loop {
            let first @ (packet, tsn) = *self.flight.front()?;
            if let Some(chunk) = self.in_flight_as(first) {
                return Some((packet, tsn, chunk.sent_at));
            }
            self.flight.pop_front();
        }
    }

    /// The chunk that a packet carried, if it is in flight with that one.
    fn in_flight_as(&self, (packet, tsn): (u64, Tsn)) -> Option<&Sent> {
        let chunk = self.chunks.get(usize::try_from(tsn.checked_sub(self.base)?).ok()?)?;
        (chunk.state == State::InFlight && chunk.packet == packet).then_some(chunk)
    }

    /// A chunk that is sent once more, in packet `packet`: its payload must not exceed `room`.
    pub(crate) fn repeat(&mut self, now: Instant, packet: u64, tsn: Tsn, room: usize) -> Option<&Sent> {
        let at = usize::try_from(tsn.checked_sub(self.base)?).ok()?;
        let chunk = self.chunks.get_mut(at).filter(|it| it.chunk.payload.len() <= room)?;
        if matches!(chunk.state, State::Acknowledged | State::Abandoned) {
            return None;
        }
        self.books.strike(chunk, tsn);
        self.books.in_flight += chunk.bytes;
        self.flight.push_back((packet, tsn));
        chunk.state = State::InFlight;
        chunk.transmissions += 1;
        (chunk.packet, chunk.sent_at) = (packet, now);
        Some(chunk)
    }

    /// The first chunk that is to be sent again. Whatever is not worth it any more is given up.
    pub(crate) fn first_lost(&mut self, now: Instant) -> Option<Tsn> {
        while let Some(tsn) = self.books.lost.first().copied() {
            let at = (tsn - self.base) as usize;
            let chunk = self.chunks.get(at)?;
            if chunk.chunk.limit.expires.is_none_or(|expires| now < expires) {
                return Some(tsn);
            }
            self.abandon(at);
        }
        None
    }

    /// Gives up all chunks of the message that the chunk at a place is of.
    fn abandon(&mut self, at: usize) {
        let Some(message) = self.chunks.get(at).map(|it| it.chunk.message) else { return };
        let before = self.chunks.iter().take(at).rev().take_while(|it| it.chunk.message == message).count();
        let tsns = self.base + (at - before) as u64..;
        let chunks = self.chunks.iter_mut().skip(at - before).take_while(|it| it.chunk.message == message);
        for (tsn, chunk) in tsns.zip(chunks) {
            self.books.strike(chunk, tsn);
            if matches!(chunk.state, State::InFlight | State::Lost) {
                self.books.released.push((chunk.chunk.stream, chunk.chunk.payload.len()));
            }
            chunk.chunk.payload = Bytes::new();
            chunk.state = State::Abandoned;
        }
        self.advance();
    }

    /// Whether a message is given up, of which not everything was sent; takes a number for its end then, so that the peer can be
    /// told even if everything before has arrived.
    pub(crate) fn close_abandoned(&mut self, now: Instant, message: u64) -> bool {
        let Some(last) =
            self.chunks.back().filter(|it| it.chunk.message == message && it.state == State::Abandoned)
        else {
            return false;
        };
        let end = Sent {
            chunk: Chunk {
                message,
                stream: last.chunk.stream,
                ssn: last.chunk.ssn,
                ppid: last.chunk.ppid,
                flags: last.chunk.flags | ENDS,
                payload: Bytes::new(),
                limit: last.chunk.limit,
            },
            state: State::Abandoned,
            bytes: 0,
            transmissions: 0,
            packet: last.packet,
            sent_at: now,
        };
        self.chunks.push_back(end);
        self.advance();
        true
    }

    /// Gives up a message of which not everything was sent.
    pub(crate) fn abandon_last(&mut self, message: u64) {
        if let Some(at) = self.chunks.len().checked_sub(1)
            && self.chunks.get(at).is_some_and(|it| it.chunk.message == message)
        {
            self.abandon(at);
        }
    }

    /// Up to where the peer is to be told that nothing comes, if it has not heard so (RFC 3758 §3.5).
    pub(crate) fn forward_to(&self) -> Option<Tsn> {
        (self.forward > self.base).then(|| self.forward - 1)
    }

    /// Ordered streams of what was given up, and the last number in each.
    pub(crate) fn skipped(&self) -> BTreeMap<u16, u16> {
        let given_up = self.chunks.iter().take((self.forward - self.base) as usize);
        given_up.filter_map(|it| Some((it.chunk.stream, it.chunk.ssn?))).collect()
    }

    /// Streams have begun anew behind a TSN: of what was given up before it, the peer must not skip those numbers once more.
    pub(crate) fn forget_numbers(&mut self, streams: &[u16], last: Tsn) {
        for chunk in self.chunks.iter_mut().take((last + 1).saturating_sub(self.base) as usize) {
            if streams.contains(&chunk.chunk.stream) {
                chunk.chunk.ssn = None;
            }
        }
    }

    fn advance(&mut self) {
        self.forward = self.forward.max(self.base);
        while self
            .chunks
            .get((self.forward - self.base) as usize)
            .is_some_and(|it| it.state == State::Abandoned)
        {
            self.forward += 1;
        }
    }

    fn lose(&mut self, now: Instant, tsn: Tsn) {
        let at = (tsn - self.base) as usize;
        let Some(chunk) = self.chunks.get_mut(at) else { return };
        if chunk.chunk.limit.allows(now, chunk.transmissions) {
            self.books.strike(chunk, tsn);
            self.books.lost.insert(tsn);
            chunk.state = State::Lost;
        } else {
            self.abandon(at);
        }
    }
}

impl Books {
    fn note_arrived(&mut self, chunk: &mut Sent, tsn: Tsn, now: Instant, round_trip: Duration) {
        self.released.push((chunk.chunk.stream, chunk.chunk.payload.len()));
        let is_repeated_late =
            chunk.transmissions > 1 && now.saturating_duration_since(chunk.sent_at) < round_trip / 2;
        if chunk.state == State::Lost || is_repeated_late {
            // It was not lost, but overtaken.
            self.threshold = (self.threshold * 2).min(MAX_PACKET_THRESHOLD);
        }
        self.strike(chunk, tsn);
        chunk.chunk.payload = Bytes::new();
        chunk.state = State::Acknowledged;
    }

    /// A chunk will no longer be what it is: in flight, or lost.
    fn strike(&mut self, chunk: &Sent, tsn: Tsn) {
        match chunk.state {
            State::InFlight => self.in_flight -= chunk.bytes,
            State::Lost => {
                self.lost.remove(&tsn);
            }
            State::Acknowledged | State::Abandoned => {}
        }
    }
}
