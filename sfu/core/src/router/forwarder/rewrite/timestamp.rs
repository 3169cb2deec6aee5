//! Timestamps that go on with wall time when the source changes.

use std::time::{Duration, Instant};

use patchbay_wire::rtp::RtpTimestamp;

/// Longest pause that is counted tick by tick; what a player makes of an hour's leap is the same as of a longer one.
const MAX_PAUSE: Duration = Duration::from_secs(3_600);

/// How far a source's timestamps may leave wall time. A browser's stay within a second, and a packet that is sent again is
/// at most a few seconds old. What goes further is faulty or hostile: passed on, it would stop a player for as long, and
/// every later source of the slot with it.
const MAX_DRIFT: Duration = Duration::from_secs(10);

/// How timestamps advance over a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cadence {
    /// RTP clock rate in hertz.
    pub(crate) clock_rate: u32,
    /// The advance is a multiple of this many ticks, and at least one such step.
    pub(crate) step: u32,
}

impl Cadence {
    /// Sound comes in packets of 20 ms; an advance that isn't a multiple of it makes the player conceal samples. Two
    /// packets can't lie on the same place either, so one that comes too early for a place of its own is left out.
    pub(crate) fn audio(clock_rate: u32) -> Self {
        Self { clock_rate, step: (clock_rate / 50).max(1) }
    }

    /// A frame may come at any time, but never with the timestamp of the one before.
    pub(crate) fn video(clock_rate: u32) -> Self {
        Self { clock_rate, step: 1 }
    }

    /// Ticks to advance after so much time and what was owed before, and what is owed then. `None`: it rounds to nothing,
    /// and there are several ticks to a step.
    fn advance(self, elapsed: Duration, owed: i64) -> Option<(u32, i64)> {
        let ticks = elapsed.min(MAX_PAUSE).as_nanos() * u128::from(self.clock_rate) / 1_000_000_000;
        let ticks = ticks as i64 + owed;
        let step = i64::from(self.step.max(1));
        let steps = (ticks + step / 2).div_euclid(step);
        if steps < 1 && step > 1 {
            return None;
        }
        let advance = steps.max(1) * step;
        Some((advance as u32, ticks - advance))
    }
}

/// Maps timestamps of the current source to those of the outgoing stream.
#[derive(Debug)]
pub(crate) struct TimestampRewriter {
    offset: u32,
    /// Of the current source, in hertz.
    clock_rate: u32,
    /// The highest timestamp sent and when its first packet was; before the first packet, where to begin.
    highest: RtpTimestamp,
    sent_at: Option<Instant>,
    /// Ticks by which the stream lags behind wall time since switches were rounded; negative if it is ahead. Without
    /// it every switch would put sound half a packet further ahead on average, and players would add that as delay.
    owed: i64,
}

impl TimestampRewriter {
    /// A stream whose first packet will have this timestamp.
    pub(crate) fn new(first: RtpTimestamp) -> Self {
        Self { offset: 0, clock_rate: 0, highest: first, sent_at: None, owed: 0 }
    }

    /// Begins a source whose first packet has the timestamp `first_in`. Returns false if there is no place for that packet
    /// yet: then the source has not begun, and its next packet is to be tried.
    #[must_use]
    pub(crate) fn switch(&mut self, now: Instant, first_in: RtpTimestamp, cadence: Cadence) -> bool {
        let mut advance = 0;
        if let Some(sent_at) = self.sent_at {
            let elapsed = now.saturating_duration_since(sent_at);
            let Some(next) = cadence.advance(elapsed, self.owed) else { return false };
            (advance, self.owed) = next;
        }
        self.offset = self.highest.wrapping_add(advance).0.wrapping_sub(first_in.0);
        self.clock_rate = cadence.clock_rate;
        true
    }

    /// The outgoing timestamp of a packet of the current source.
    pub(crate) fn rewrite(&mut self, now: Instant, timestamp: RtpTimestamp) -> RtpTimestamp {
        let mut out = self.map(timestamp);
        if let Some(expected) = self.expected(now)
            && out.distance_from(expected).unsigned_abs() > ticks(MAX_DRIFT, self.clock_rate)
        {
            self.offset = expected.0.wrapping_sub(timestamp.0);
            out = expected;
        }
        if self.sent_at.is_none() || out.is_newer_than(self.highest) {
            self.highest = out;
            self.sent_at = Some(now);
        }
        out
    }

    /// Where the stream stands by wall time. `None` before the first packet and after a pause too long to count by.
    fn expected(&self, now: Instant) -> Option<RtpTimestamp> {
        let elapsed = now.saturating_duration_since(self.sent_at?);
        (elapsed < MAX_PAUSE).then(|| self.highest.wrapping_add(ticks(elapsed, self.clock_rate)))
    }

    /// The same for a timestamp that is not sent, as in a sender report.
    pub(crate) fn map(&self, timestamp: RtpTimestamp) -> RtpTimestamp {
        timestamp.wrapping_add(self.offset)
    }
}

/// A time of at most [`MAX_PAUSE`] in ticks of a clock.
fn ticks(time: Duration, clock_rate: u32) -> u32 {
    (time.min(MAX_PAUSE).as_nanos() * u128::from(clock_rate) / 1_000_000_000) as u32
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn sound_advances_by_whole_packets() {
        let cadence = Cadence::audio(48_000);
        assert_eq!(cadence.advance(Duration::from_millis(9), 0), None);
        assert_eq!(cadence.advance(Duration::from_millis(9), 48), Some((960, -480)));
        assert_eq!(cadence.advance(Duration::from_millis(29), 0), Some((960, 432)));
        assert_eq!(cadence.advance(Duration::from_millis(29), 432), Some((1_920, -96)));
        assert_eq!(cadence.advance(Duration::from_secs(10), 0), Some((480_000, 0)));
        assert_eq!(Cadence::video(90_000).advance(Duration::ZERO, 0), Some((1, -1)));
        assert_eq!(Cadence::video(90_000).advance(Duration::from_millis(40), 0), Some((3_600, 0)));
    }

    #[test]
    fn sound_does_not_run_ahead_over_many_switches() {
        let mut rng = StdRng::seed_from_u64(1);
        let start = Instant::now();
        let mut now = start;
        let mut rewriter = TimestampRewriter::new(RtpTimestamp(7));
        let mut out = RtpTimestamp(7);
        for _ in 0..1_000 {
            // The new source's packets fall anywhere between those of the old one.
            let mut timestamp = RtpTimestamp(rng.random());
            now += Duration::from_micros(rng.random_range(0..20_000));
            while !rewriter.switch(now, timestamp, Cadence::audio(48_000)) {
                now += Duration::from_millis(20);
                timestamp = timestamp.wrapping_add(960);
            }
            out = rewriter.rewrite(now, timestamp);
        }
        let error = i64::from(out.0) - 7 - (now - start).as_micros() as i64 * 48 / 1_000;
        assert!(error.abs() <= 2 * 960, "{error} ticks off after 1,000 switches");
    }

    #[test]
    fn a_switch_goes_on_with_wall_time() {
        let start = Instant::now();
        let mut rewriter = TimestampRewriter::new(RtpTimestamp(u32::MAX - 100));
        assert!(rewriter.switch(start, RtpTimestamp(5), Cadence::video(90_000)));
        assert_eq!(rewriter.rewrite(start, RtpTimestamp(5)), RtpTimestamp(u32::MAX - 100));
        assert_eq!(rewriter.rewrite(start, RtpTimestamp(3_005)), RtpTimestamp(2_899));
        let later = start + Duration::from_secs(1);
        assert!(rewriter.switch(later, RtpTimestamp(777_777), Cadence::video(90_000)));
        assert_eq!(rewriter.rewrite(later, RtpTimestamp(777_777)), RtpTimestamp(92_899));
    }

    #[test]
    fn a_leap_of_the_source_is_taken_back_to_wall_time() {
        let mut now = Instant::now();
        let mut rewriter = TimestampRewriter::new(RtpTimestamp(1_000));
        assert!(rewriter.switch(now, RtpTimestamp(0), Cadence::video(90_000)));
        assert_eq!(rewriter.rewrite(now, RtpTimestamp(0)), RtpTimestamp(1_000));
        let mut source = RtpTimestamp(0);
        for leap in [i32::MAX as u32, 1 << 31, 20 * 90_000, u32::MAX - 20 * 90_000] {
            now += Duration::from_millis(100);
            source = source.wrapping_add(leap);
            let expected = rewriter.highest.wrapping_add(9_000);
            assert_eq!(rewriter.rewrite(now, source), expected, "leap by {leap}");
            // The rest of the frame, and the next one, go on from there.
            assert_eq!(rewriter.rewrite(now, source), expected);
            source = source.wrapping_add(3_000);
            assert_eq!(rewriter.rewrite(now, source), expected.wrapping_add(3_000));
        }
        let old = RtpTimestamp(rewriter.highest.0.wrapping_sub(5 * 90_000).wrapping_sub(rewriter.offset));
        assert!(
            rewriter.highest.is_newer_than(rewriter.rewrite(now, old)),
            "a packet sent again keeps its place"
        );
    }

    #[test]
    fn frames_keep_their_order_over_random_switches() {
        for seed in 0..100 {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut now = Instant::now();
            let start = now;
            let mut rewriter = TimestampRewriter::new(RtpTimestamp(rng.random()));
            let mut first = None;
            let mut last: Option<RtpTimestamp> = None;
            for _ in 0..rng.random_range(2..6) {
                let mut timestamp = RtpTimestamp(rng.random());
                assert!(rewriter.switch(now, timestamp, Cadence::video(90_000)));
                for _ in 0..rng.random_range(1..100) {
                    for _ in 0..3 {
                        let out = rewriter.rewrite(now, timestamp);
                        first.get_or_insert((now, out));
                        assert!(last.is_none_or(|last| !last.is_newer_than(out)), "seed {seed}");
                        last = Some(out);
                    }
                    now += Duration::from_millis(33);
                    timestamp = timestamp.wrapping_add(90 * 33);
                }
                if rng.random_bool(0.3) {
                    now += Duration::from_millis(rng.random_range(0..5_000));
                }
            }
            let (_, first) = first.unwrap();
            let ticks = last.unwrap().distance_from(first);
            let elapsed = (now - start).as_millis() as i32 * 90;
            assert!(ticks <= elapsed, "seed {seed}: ran ahead of wall time");
        }
    }
}
