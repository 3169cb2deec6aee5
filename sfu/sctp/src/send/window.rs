//! How much may be under way: a window that keeps queues in the network short.
//!
//! A window that grows until something is lost fills every queue on its way first, and a message waits as long as the queue
//! is (RFC 9260 §7.2). So this one is closed before that: when the shortest round trip of a round is longer than the shortest
//! of the last half minute by more than [`TARGET_DELAY`], what is under way lies in a queue. The idea is that of TCP Vegas and
//! LEDBAT (RFC 6817).
//!
//! A loss alone says little: radio loses packets with no queue in sight, and a window that is halved for each of them makes
//! messages wait that the path would have carried. Losses count when they are many ([`MANY_LOSSES`]), as they are where a short
//! queue overflows: BBR draws that line, too.

use std::time::{Duration, Instant};

use crate::packet::MAX_PACKET_BYTES;
use crate::tsn::Tsn;

/// Delay in queues that is aimed at: enough that a path is never idle, and less than what a person notices.
const TARGET_DELAY: Duration = Duration::from_millis(30);
/// At first, in bytes: 28 packets. Google's QUIC begins with 32, RFC 6928 with 10; it is what brings somebody who comes late
/// into the picture in one round trip.
const FIRST_BYTES: u32 = 32 * 1024;
/// At least two packets of the length that they have, here the longest: 0.3 s at 64 kbit/s. Of short ones it is four, as long as
/// they are no more than a long one: an answer that waits for a second packet must not stop them.
const MIN_BYTES: u32 = 2 * MAX_PACKET_BYTES as u32;
/// What a receive window is at most, in practice. Cost of raising: as much memory for a transport that is fast and far away.
const MAX_BYTES: u32 = 4 * 1024 * 1024;
/// For so long the shortest round trip counts; then the window is halved for a round, so that the queue drains and a new one
/// can be seen.
const BASE_AGE: Duration = Duration::from_secs(15);
/// So many late packets in a row are a queue; fewer may be chance.
const LATE_SAMPLES: u8 = 8;
/// After so many rounds with a smaller window the queue is shorter, if it is ours.
const FOREIGN_ROUNDS: u8 = 3;
/// Losses are counted over so many packets at least.
const LOSS_PACKETS: u32 = 64;
/// More than one in so many are many: the window becomes smaller. With half as many it no longer grows.
const MANY_LOSSES: u32 = 10;
/// So many lost packets, and more than one in four, are a queue that has just overflowed: that is not looked at in peace.
const BURST_PACKETS: u32 = 8;
/// Such losses make the window no smaller than this, in bytes.
const LEAST_FOR_BURSTS: u32 = 4 * MAX_PACKET_BYTES as u32;
/// Other losses make the window no smaller than this, in bytes.
const LEAST_FOR_LOSSES: u32 = 8 * MAX_PACKET_BYTES as u32;

/// The window and what it is computed from.
#[derive(Debug)]
pub(crate) struct Window {
    bytes: u32,
    /// Doubling each round, as no queue was seen yet.
    is_starting: bool,
    /// Samples in a row that were longer than the shortest by half the target.
    late: u8,
    /// The last TSN that was sent.
    last: Tsn,
    /// The round ends when this one arrives.
    round_end: Option<Tsn>,
    /// Packets sent and lost since they were looked at.
    sent: u32,
    lost: u32,
    /// Whether so many were lost that the window should not grow.
    is_lossy: bool,
    /// Shortest round trip in this round.
    round: Option<Duration>,
    /// The longest packet of the last round, and of this one.
    packet: u32,
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
            late: 0,
            last: 0,
            round_end: None,
            sent: 0,
            lost: 0,
            is_lossy: false,
            round: None,
            packet: MAX_PACKET_BYTES as u32,
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
    /// A packet left whose last new TSN this is; `None` if it only repeats.
    pub(crate) fn note_sent(&mut self, tsn: Option<Tsn>, bytes: usize) {
        self.round_packet = self.round_packet.max(bytes);
        self.sent += 1;
        if let Some(tsn) = tsn {
            self.last = tsn;
            self.round_end.get_or_insert(tsn);
        }
    }

    /// Something waits for the window.
    pub(crate) fn note_limiting(&mut self) {
        self.is_limiting = true;
    }

    /// So many packets were lost.
    pub(crate) fn note_lost(&mut self, packets: u32) {
        self.lost += packets;
        if self.lost >= BURST_PACKETS && self.lost > self.sent / 4 {
            self.is_starting = false;
            self.bytes = self.bytes.min((self.bytes / 2).max(LEAST_FOR_BURSTS));
            (self.sent, self.lost) = (0, 0);
        }
    }

    /// Nothing has been heard for long: whatever was known of the path is void.
    pub(crate) fn collapse(&mut self) {
        self.bytes = self.least;
        self.is_starting = true;
        (self.cut, self.probe, self.round, self.base) = (None, None, None, [None; 2]);
        (self.sent, self.lost) = (0, 0);
    }

    /// A SACK came. `highest` is the last TSN that it acknowledges for the first time, `sample` a round trip if it tells of one;
    /// `in_flight` so many bytes were under way until now.
    pub(crate) fn handle_sack(
        &mut self,
        now: Instant,
        highest: Tsn,
        sample: Option<Duration>,
        in_flight: usize,
    ) {
        self.round_flight = self.round_flight.max(in_flight);
        if let Some(sample) = sample {
            self.round = Some(self.round.map_or(sample, |it| it.min(sample)));
            self.sum = (self.sum.0 + sample, self.sum.1 + 1);
            self.note_base(now, sample);
            self.end_start(sample, in_flight);
        }
        if self.round_end.is_some_and(|end| highest >= end) {
            self.round_end = (self.last > highest).then_some(self.last);
            self.weigh_losses();
            self.end_round();
        }
    }

    /// How long packets are of late, in bytes: with less room than this in the window, another one would exceed it.
    pub(crate) fn packet_bytes(&self) -> u32 {
        self.packet
    }

    /// The window in bytes.
    pub(crate) fn bytes(&self) -> u32 {
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

    /// Looks at what was lost, when enough was sent to tell chance from a queue that overflows.
    fn weigh_losses(&mut self) {
        if self.sent < LOSS_PACKETS {
            return;
        }
        self.is_lossy = self.lost > self.sent / (2 * MANY_LOSSES);
        if self.lost > self.sent / MANY_LOSSES {
            self.is_starting = false;
            self.bytes = self.bytes.min((self.bytes / 8 * 7).max(LEAST_FOR_LOSSES));
        }
        (self.sent, self.lost) = (0, 0);
    }

    /// Ends the doubling as soon as a queue is seen, and not with the round, at whose end it may have overflowed.
    fn end_start(&mut self, sample: Duration, in_flight: usize) {
        let base = self.base.into_iter().flatten().min().unwrap_or_default();
        self.late = if sample > base + TARGET_DELAY / 2 { self.late.saturating_add(1) } else { 0 };
        // Late answers to a trickle are the peer's delay of its SACKs, and what happens to be in flight says nothing.
        let is_used = in_flight >= self.bytes as usize / 2;
        if self.is_starting && is_used && self.late >= LATE_SAMPLES {
            self.is_starting = false;
            let share = ((base + TARGET_DELAY).as_secs_f64() / sample.as_secs_f64()).min(1.0);
            let in_flight = u32::try_from(in_flight).unwrap_or(MAX_BYTES);
            self.bytes = (f64::from(self.bytes.min(in_flight)) * share) as u32;
            self.bytes = self.bytes.clamp(self.least, MAX_BYTES);
        }
    }

    fn end_round(&mut self) {
        let is_limiting = std::mem::take(&mut self.is_limiting);
        if let Some(longest) = u32::try_from(std::mem::take(&mut self.round_packet)).ok().filter(|it| *it > 0)
        {
            self.packet = longest;
        }
        self.least = (4 * self.packet).min(MIN_BYTES / 2).max(2 * self.packet);
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
        let is_used = is_used && mean < TARGET_DELAY && !self.is_lossy;
        if is_limiting && is_used && self.is_starting && delay < TARGET_DELAY / 2 {
            self.bytes = self.bytes.saturating_mul(2);
        } else if is_limiting && is_used && delay < TARGET_DELAY / 2 {
            self.is_starting = false;
            self.bytes = self.bytes.saturating_add(self.bytes / 8);
        }
        self.bytes = self.bytes.clamp(self.least, MAX_BYTES);
    }
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
        let (mut tsn, mut delay) = (1, Duration::ZERO);
        for round in 0..rounds {
            let bytes = window.bytes();
            let serialized = Duration::from_millis(u64::from(bytes / bytes_per_ms));
            delay = serialized.saturating_sub(base);
            if round == 0 {
                // The first packet comes upon an empty path.
                window.note_sent(Some(tsn), 1_000);
                window.handle_sack(now + base, tsn, Some(base), bytes as usize);
            }
            for _ in 0..4 {
                tsn += 1;
                window.note_sent(Some(tsn), 1_000);
            }
            window.note_limiting();
            now += base + delay;
            window.handle_sack(now, tsn, Some(base + delay), bytes as usize);
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
                window.note_sent(Some(round * 4 + tsn), 1_000);
            }
            window.note_limiting();
            now += Duration::from_millis(20 + foreign);
            let sample = Duration::from_millis(20 + foreign);
            window.handle_sack(now, round * 4 + 3, Some(sample), window.bytes() as usize);
            if round > 60 {
                smallest = smallest.min(window.bytes());
            }
        }
        assert!(smallest > 1024 * 1024, "{smallest}");
    }

    #[test]
    fn late_answers_to_a_trickle_change_nothing() {
        let mut window = Window::default();
        let now = Instant::now();
        for tsn in 1..1_000 {
            window.note_sent(Some(tsn), 150);
            let millis = if tsn % 100 == 0 { 100 } else { 150 };
            window.handle_sack(now, tsn, Some(Duration::from_millis(millis)), 500);
        }
        assert_eq!(window.bytes(), FIRST_BYTES);
    }

    #[test]
    fn a_window_that_nobody_waits_for_stays() {
        let mut window = Window::default();
        let now = Instant::now();
        for tsn in 1..1_000 {
            window.note_sent(Some(tsn), 1_000);
            window.handle_sack(now, tsn, Some(Duration::from_millis(20)), 1_000);
        }
        assert_eq!(window.bytes(), FIRST_BYTES);
    }

    /// Rounds of 20 packets on a path without a queue, of which so many of a hundred are lost.
    fn lossy(percent: u64, rounds: u64) -> u32 {
        let mut window = Window::default();
        let mut now = Instant::now();
        for round in 0..rounds {
            for tsn in round * 20..round * 20 + 20 {
                window.note_sent(Some(tsn), 1_000);
                window.note_lost(u32::from(tsn * 37 % 100 < percent));
            }
            window.note_limiting();
            now += Duration::from_millis(50);
            window.handle_sack(
                now,
                round * 20 + 19,
                Some(Duration::from_millis(50)),
                window.bytes() as usize,
            );
        }
        window.bytes()
    }

    #[test]
    fn chance_makes_it_no_smaller_and_an_overflow_does() {
        assert_eq!(lossy(2, 100), MAX_BYTES);
        assert!(lossy(20, 100) < FIRST_BYTES / 2, "{}", lossy(20, 100));
        assert!(lossy(20, 1_000) >= LEAST_FOR_LOSSES);
    }
}
