//! Bounds of the data plane, in one place. Each says what raising it costs.

use std::time::{Duration, Instant};

/// Topics of one room. Cost of raising: about 400 bytes each, and one comparison of labels when a channel opens.
pub(crate) const TOPICS: usize = 256;
/// Channels of one transport. Cost of raising: about 400 bytes each before queues, 4 KiB on a topic full of values.
pub(crate) const CHANNELS: usize = 64;
/// Messages a participant may send in a second. Cost of raising: that many times as many deliveries as it has listeners.
pub(super) const PARTICIPANT_MESSAGES: u64 = 2_000;
/// Bytes a participant may send in a second. Cost of raising: that much more egress for each listener.
pub(super) const PARTICIPANT_BYTES: u64 = 4 * 1024 * 1024;
/// Messages that a room takes in a second. A worker has one core: this is to keep one room from starving the others.
pub(super) const ROOM_MESSAGES: u64 = 200_000;
/// What was not used may be used at once, for so long.
const BURST: Duration = Duration::from_secs(1);
/// Values of one topic that are kept. Cost of raising: about 150 bytes each before payloads, and 2 bits for each receiver.
pub(super) const VALUES: usize = 16_384;
/// Bytes of the values of one topic. Cost of raising: that much memory for each topic; a room may have 256.
pub(super) const VALUE_BYTES: usize = 8 * 1024 * 1024;
/// Values of one participant on one topic, so that one alone can't fill it.
pub(super) const PARTICIPANT_VALUES: usize = 4_096;
/// Values that have ended and wait until slow receivers know. Past it, receivers without room are cut off.
pub(super) const ENDED_VALUES: usize = 4_096;
/// Cells of one channel's rectangles that are looked up instead of compared. Cost of raising: about 60 bytes each.
pub(super) const INDEXED_CELLS: u64 = 2_048;
/// Bytes that wait for a reliable receiver above its rate, or without room, before it counts as slow.
pub(super) const BACKLOG_BYTES: usize = 256 * 1024;
/// Frames for one receiver share a message when they come within this.
pub(super) const BATCH_TIME: Duration = Duration::from_millis(5);
/// Bytes of such a message: with the headers of SCTP (28), DTLS (37) and below, one packet.
pub(super) const BATCH_BYTES: usize = 1_100;
/// The same on a path that is slow: 60 ms at 64 kbit/s.
pub(super) const MIN_BATCH_BYTES: usize = 500;
/// A receiver without room is asked again after this, should nobody say that it has some.
pub(super) const BLOCKED_RETRY: Duration = Duration::from_millis(250);
/// An error of one kind is said once in this time on one channel.
pub(super) const ERROR_INTERVAL: Duration = Duration::from_secs(1);

/// A rate with a burst, kept as the time at which all that was taken would be paid for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    per_second: u64,
    paid_at: Option<Instant>,
}

impl Bucket {
    pub(super) const fn new(per_second: u64) -> Self {
        Self { per_second, paid_at: None }
    }

    /// Takes an amount, if the rate allows it.
    pub(super) fn take(&mut self, now: Instant, amount: u64) -> bool {
        let cost = Duration::from_nanos(amount.saturating_mul(1_000_000_000) / self.per_second.max(1));
        let paid_at = self.paid_at.map_or(now, |at| at.max(now)) + cost;
        let is_allowed = paid_at <= now + BURST;
        if is_allowed {
            self.paid_at = Some(paid_at);
        }
        is_allowed
    }
}

/// The `rate` of a topic, for one receiver.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    next: Option<Instant>,
}

impl Pace {
    /// Whether a delivery is due, and if not, when. A rate of 0 is no limit.
    pub(super) fn check(&self, now: Instant, rate: u32) -> Result<(), Instant> {
        match self.next {
            Some(next) if rate > 0 && next > now => Err(next),
            _ => Ok(()),
        }
    }

    /// Notes a delivery.
    pub(super) fn note(&mut self, now: Instant, rate: u32) {
        /// A timer that is a little late must not lower the rate.
        const SLACK: Duration = Duration::from_millis(50);
        if rate > 0 {
            let interval = Duration::from_nanos(1_000_000_000 / u64::from(rate));
            let earliest = now.checked_sub(SLACK.min(interval)).unwrap_or(now);
            self.next = Some(self.next.map_or(now, |next| next.max(earliest)) + interval);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_allows_its_rate_and_one_second_of_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::new(100);
        assert_eq!((0..500).filter(|_| bucket.take(start, 1)).count(), 100);
        let later = start + Duration::from_millis(500);
        assert_eq!((0..500).filter(|_| bucket.take(later, 1)).count(), 50);
        assert!(!bucket.take(later + Duration::from_secs(60), 101), "more than a burst at once");
        assert!(bucket.take(later + Duration::from_secs(60), 100));
    }

    #[test]
    fn a_pace_holds_on_average() {
        let start = Instant::now();
        let mut pace = Pace::default();
        let mut count = 0;
        for ms in (0..10_000).step_by(7) {
            let now = start + Duration::from_millis(ms);
            if pace.check(now, 30).is_ok() {
                pace.note(now, 30);
                count += 1;
            }
        }
        assert!((299..=302).contains(&count), "{count} in ten seconds");
        assert_eq!(pace.check(start, 0), Ok(()));
    }
}
