//! How much may be under way: a window that keeps queues in the network short.
//!
//! `rtc-sctp`'s own congestion window grows until something is lost, and its recovery repeats one lost packet per round trip
//! (RFC 9260 §7.2.4 as it stands): where a queue overflows and a hundred packets are lost at once, everything stands still
//! for seconds, small messages on other channels included. So the window is closed before that: when the shortest round
//! trip of a round is longer than the shortest of the last half minute by more than [`TARGET_DELAY`], what is under way lies
//! in a queue. The idea is that of TCP Vegas and LEDBAT (RFC 6817); the machine's window stays as a second bound, for losses.
//!
//! The machine has no knob for it. It minds what its peer says it has room for, though, so this window is written into the
//! SACKs that come in ([`limit_sack`]).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use crate::transport::sctp_guard::{SACK, chunks, is_ahead, word};

/// Delay in queues that is aimed at: enough that a path is never idle, and less than what a person notices.
const TARGET_DELAY: Duration = Duration::from_millis(30);
/// At first, in bytes. The machine's own window begins with 4,380.
const FIRST_BYTES: u32 = 32 * 1024;
/// Two packets of the length that they have, here the longest: 0.3 s at 64 kbit/s. One that is lost is still noticed without a
/// time-out, as each that comes after it makes room for another, until there are three.
const MIN_BYTES: u32 = 2 * 1191;
/// What a receive window is at most, in practice. Cost of raising: as much memory for a transport that is fast and far away.
const MAX_BYTES: u32 = 4 * 1024 * 1024;
/// For so long the shortest round trip counts; then the window is halved for a round, so that the queue drains and a new one
/// can be seen.
const BASE_AGE: Duration = Duration::from_secs(15);
/// So many late packets in a row are a queue; fewer may be chance.
const LATE_SAMPLES: u8 = 8;
/// After so many rounds with a smaller window the queue is shorter, if it is ours.
const FOREIGN_ROUNDS: u8 = 3;
/// Packets whose time of departure is remembered.
const MAX_REMEMBERED: usize = 4096;

/// The window and what it is computed from.
#[derive(Debug)]
pub(super) struct Window {
    bytes: u32,
    /// Doubling each round, as no queue was seen yet.
    is_starting: bool,
    /// Packets under way: their last new TSN and when they left.
    sent: VecDeque<(u32, Instant)>,
    /// Samples in a row that were longer than the shortest by half the target.
    late: u8,
    /// The highest TSN that has arrived.
    arrived: Option<u32>,
    /// The round ends when this one arrives.
    round_end: Option<u32>,
    /// Shortest round trip in this round.
    round: Option<Duration>,
    /// The longest packet of this round.
    round_packet: usize,
    /// The least that the window may be.
    least: u32,
    /// The most bytes that were under way in this round.
    round_flight: usize,
    /// All round trips in this round, and how many.
    sum: (Duration, u32),
    /// Whether something waited for the window in this round.
    is_limiting: bool,
    /// Shortest round trip in this half of the time that counts, and in the one before.
    base: [Option<Duration>; 2],
    base_since: Option<Instant>,
    /// What the window was before it was made smaller, the longest delay since, and for how many rounds that has been.
    cut: Option<(u32, Duration, u8)>,
    /// What the window was before it was halved to see the path without a queue, and for how many ends of rounds that holds.
    probe: Option<(u32, u8)>,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            bytes: FIRST_BYTES,
            is_starting: true,
            sent: VecDeque::new(),
            late: 0,
            arrived: None,
            round_end: None,
            round: None,
            round_packet: 0,
            least: MIN_BYTES,
            round_flight: 0,
            sum: (Duration::ZERO, 0),
            is_limiting: false,
            base: [None; 2],
            base_since: None,
            cut: None,
            probe: None,
        }
    }
}

impl Window {
    /// A packet left whose last new TSN this is.
    pub(super) fn note_sent(&mut self, now: Instant, tsn: u32, bytes: usize) {
        self.round_packet = self.round_packet.max(bytes);
        if self.sent.len() < MAX_REMEMBERED {
            self.sent.push_back((tsn, now));
        }
        self.round_end.get_or_insert(tsn);
    }

    /// A TSN was repeated: when it arrives says nothing of the path (Karn).
    pub(super) fn note_repeated(&mut self, tsn: u32) {
        let before = self.sent.partition_point(|(last, _)| is_ahead(tsn, *last));
        self.sent.remove(before);
    }

    /// Something waits for the window.
    pub(super) fn note_limiting(&mut self) {
        self.is_limiting = true;
    }

    /// A SACK came. `highest` is the last TSN that it acknowledges, `in_flight` so many bytes were under way until now.
    /// Returns the round trip if it tells of one.
    pub(super) fn handle_sack(&mut self, now: Instant, highest: u32, in_flight: usize) -> Option<Duration> {
        if self.arrived.is_some_and(|arrived| !is_ahead(highest, arrived)) {
            return None;
        }
        self.round_flight = self.round_flight.max(in_flight);
        self.arrived = Some(highest);
        let mut last = None;
        while let Some(&(tsn, at)) = self.sent.front().filter(|(tsn, _)| !is_ahead(*tsn, highest)) {
            self.sent.pop_front();
            last = Some((tsn, at));
        }
        let sample = last.filter(|(tsn, _)| *tsn == highest).map(|(_, at)| now.saturating_duration_since(at));
        if let Some(sample) = sample {
            self.round = Some(self.round.map_or(sample, |it| it.min(sample)));
            self.sum = (self.sum.0 + sample, self.sum.1 + 1);
            self.note_base(now, sample);
            self.end_start(sample, in_flight);
        }
        if self.round_end.is_some_and(|end| !is_ahead(end, highest)) {
            self.round_end = self.sent.back().map(|(tsn, _)| *tsn);
            self.end_round();
        }
        sample
    }

    /// The window in bytes.
    pub(super) fn bytes(&self) -> u32 {
        self.bytes
    }

    fn note_base(&mut self, now: Instant, sample: Duration) {
        let since = *self.base_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= BASE_AGE {
            self.base = [None, self.base[0]];
            self.base_since = Some(now);
            if self.is_limiting && self.probe.is_none() {
                // To the end of this round, and a whole one.
                self.probe = Some((self.bytes, 2));
                self.bytes = (self.bytes / 2).max(self.least);
            }
        }
        let [current, _] = &mut self.base;
        *current = Some(current.map_or(sample, |it| it.min(sample)));
    }

    /// Ends the doubling as soon as a queue is seen, and not with the round, at whose end it may have overflowed.
    fn end_start(&mut self, sample: Duration, in_flight: usize) {
        let base = self.base.into_iter().flatten().min().unwrap_or_default();
        self.late = if sample > base + TARGET_DELAY / 2 { self.late.saturating_add(1) } else { 0 };
        if self.is_starting && self.late >= LATE_SAMPLES {
            self.is_starting = false;
            let in_flight = u32::try_from(in_flight).unwrap_or(MAX_BYTES);
            self.bytes = self.bytes.min(in_flight).clamp(self.least, MAX_BYTES);
        }
    }

    fn end_round(&mut self) {
        let is_limiting = std::mem::take(&mut self.is_limiting);
        let longest = u32::try_from(std::mem::take(&mut self.round_packet)).unwrap_or(MIN_BYTES);
        self.least = (2 * longest).clamp(MIN_BYTES / 4, MIN_BYTES);
        // What waits may wait for the machine's window, and not for this one. A window that was not used says nothing.
        let flight = u32::try_from(std::mem::take(&mut self.round_flight)).unwrap_or(MAX_BYTES);
        let is_used = flight >= self.bytes / 2;
        let (sum, count) = std::mem::take(&mut self.sum);
        let (Some(round), Some(base)) = (self.round.take(), self.base.into_iter().flatten().min()) else {
            return;
        };
        match self.probe.take() {
            Some((before, 1)) => return self.bytes = before,
            Some((before, rounds)) => return self.probe = Some((before, rounds - 1)),
            None => {}
        }
        let delay = round.saturating_sub(base);
        if is_limiting && delay > TARGET_DELAY {
            // What of it would not lie in a queue beyond the target; at most half at a time, as one round may be an exception.
            self.is_starting = false;
            let (before, longest, rounds) = self.cut.unwrap_or((self.bytes.min(flight), delay, 0));
            let longest = longest.max(delay);
            self.cut = Some((before, longest, rounds.saturating_add(1)));
            let is_shorter = self.bytes <= before / 2 && self.bytes > self.least;
            if rounds >= FOREIGN_ROUNDS && is_shorter && delay > longest / 8 * 7 {
                // The queue does not become shorter, so it is not ours: somebody else fills it, and it is part of the path.
                (self.bytes, self.cut) = (before, None);
                self.base = [Some(round.saturating_sub(TARGET_DELAY / 2)), None];
                return;
            }
            let share = (base + TARGET_DELAY).as_secs_f64() / round.as_secs_f64();
            self.bytes = (f64::from(self.bytes.min(flight)) * share.max(0.5)) as u32;
            self.bytes = self.bytes.clamp(self.least, MAX_BYTES);
            return;
        }
        if delay <= TARGET_DELAY {
            self.cut = None;
        }
        // The shortest round trip may be that of a packet that came upon an idle path, with a queue behind it.
        let mean = (sum / count.max(1)).saturating_sub(base);
        let is_used = is_used && mean < TARGET_DELAY;
        if is_limiting && is_used && self.is_starting && delay < TARGET_DELAY / 2 {
            self.bytes = self.bytes.saturating_mul(2);
        } else if is_limiting && is_used && delay < TARGET_DELAY / 2 {
            self.is_starting = false;
            self.bytes = self.bytes.saturating_add(self.bytes / 8);
        }
        self.bytes = self.bytes.clamp(self.least, MAX_BYTES);
    }
}

/// What a packet's SACK acknowledges: everything up to the first TSN, and nothing after the second (RFC 9260 §3.3.4); `None`
/// without a SACK.
pub(super) fn acknowledged(packet: &[u8]) -> Option<(u32, u32)> {
    const GAPS_AT: usize = 12;
    let (_, _, value) = chunks(packet).flatten().find(|(kind, _, _)| *kind == SACK)?;
    let acknowledged = word(value, 0)?;
    let gaps =
        value.get(8..).and_then(|it| it.first_chunk()).map_or(0, |it| usize::from(u16::from_be_bytes(*it)));
    let end = gaps.checked_sub(1).and_then(|last| value.get(GAPS_AT + 4 * last + 2..)?.first_chunk());
    let beyond = end.map_or(0, |it| u32::from(u16::from_be_bytes(*it)));
    Some((acknowledged, acknowledged.wrapping_add(beyond)))
}

/// The packet with no more room in its SACKs than this, and its checksum made right again.
pub(super) fn limit_sack(packet: Bytes, limit: u32) -> Bytes {
    const CHECKSUM: std::ops::Range<usize> = 8..12;
    const WINDOW_IN_VALUE: usize = 4;
    let mut places = Vec::new();
    let start = packet.as_ptr() as usize;
    for (_, _, value) in chunks(&packet).flatten().filter(|(kind, _, _)| *kind == SACK) {
        if word(value, WINDOW_IN_VALUE).is_some_and(|it| it > limit) {
            places.push(value.as_ptr() as usize - start + WINDOW_IN_VALUE);
        }
    }
    if places.is_empty() {
        return packet;
    }
    let mut packet = BytesMut::from(packet.as_ref());
    for at in places {
        if let Some(window) = packet.get_mut(at..at + 4) {
            window.copy_from_slice(&limit.to_be_bytes());
        }
    }
    if let Some(checksum) = packet.get_mut(CHECKSUM) {
        checksum.fill(0);
    }
    let sum = crc32c::crc32c(&packet).to_le_bytes();
    if let Some(checksum) = packet.get_mut(CHECKSUM) {
        checksum.copy_from_slice(&sum);
    }
    packet.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path of so many bytes per millisecond, with an endless queue, filled up to the window each round. Returns the window
    /// and the delay in the queue after so many rounds.
    fn run(rounds: u32, bytes_per_ms: u32, base_ms: u64) -> (u32, Duration) {
        let mut window = Window::default();
        let mut now = Instant::now();
        let base = Duration::from_millis(base_ms);
        let (mut tsn, mut delay) = (u32::MAX - 100, Duration::ZERO);
        for round in 0..rounds {
            // The machine's own window grows from three packets.
            let bytes = window.bytes().min(4_380 << round.min(10));
            let serialized = Duration::from_millis(u64::from(bytes / bytes_per_ms));
            delay = serialized.saturating_sub(base);
            for _ in 0..4 {
                tsn = tsn.wrapping_add(1);
                window.note_sent(now, tsn, 1_000);
            }
            window.note_limiting();
            now += base + delay;
            window.handle_sack(now, tsn, bytes as usize);
        }
        (window.bytes(), delay)
    }

    #[test]
    fn a_path_is_filled_and_its_queue_is_short() {
        for (bytes_per_ms, base_ms) in [(2_500, 100), (125, 40), (8, 40), (12_500, 20)] {
            for rounds in [40, 400, 4_000] {
                let (bytes, delay) = run(rounds, bytes_per_ms, base_ms);
                let product = bytes_per_ms * base_ms as u32;
                assert!(bytes >= product / 2, "{bytes} of {product}");
                assert!(delay <= Duration::from_millis(600), "{delay:?} at {bytes_per_ms}, {rounds}");
                if bytes > 2 * MIN_BYTES {
                    assert!(delay <= 2 * TARGET_DELAY, "{delay:?} at {bytes_per_ms}, {rounds}");
                }
            }
        }
    }

    #[test]
    fn a_queue_that_others_fill_is_part_of_the_path() {
        let mut window = Window::default();
        let mut now = Instant::now();
        let mut smallest = u32::MAX;
        for round in 0..200 {
            let foreign = if round < 50 { 0 } else { 150 };
            for tsn in 0..4 {
                window.note_sent(now, round * 4 + tsn, 1_000);
            }
            window.note_limiting();
            now += Duration::from_millis(20 + foreign);
            window.handle_sack(now, round * 4 + 3, window.bytes() as usize);
            if round > 60 {
                smallest = smallest.min(window.bytes());
            }
        }
        assert!(smallest > 1024 * 1024, "{smallest}");
    }

    #[test]
    fn a_window_that_nobody_waits_for_stays() {
        let mut window = Window::default();
        let now = Instant::now();
        for tsn in 1..1_000 {
            window.note_sent(now, tsn, 1_000);
            window.handle_sack(now + Duration::from_millis(20), tsn, 1_000);
        }
        assert_eq!(window.bytes(), FIRST_BYTES);
    }

    #[test]
    fn a_sack_is_limited() {
        let mut packet = vec![0; 12];
        packet.extend([3, 0, 0, 20, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 5]);
        let packet = Bytes::from(packet);
        assert_eq!(acknowledged(&packet), Some((0x100, 0x105)));
        assert_eq!(limit_sack(packet.clone(), 0x10000), packet);
        let limited = limit_sack(packet.clone(), 0xffff);
        assert_eq!(limited[..8], packet[..8]);
        assert_eq!(limited[12..20], packet[12..20]);
        assert_eq!(limited[20..24], [0, 0, 0xff, 0xff]);
        assert_eq!(limited[24..], packet[24..]);
        let mut unsummed = limited.to_vec();
        unsummed[8..12].fill(0);
        assert_eq!(limited[8..12], crc32c::crc32c(&unsummed).to_le_bytes());
    }
}
