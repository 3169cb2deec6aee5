//! How long to wait before the next attempt: exponential, with full jitter, so that many nodes don't come back at once.

use std::time::Duration;

/// The longest wait before the second attempt.
const BASE: Duration = Duration::from_millis(250);
/// The longest wait at all: nobody can join while a signaling server that is back has no nodes, and nodes are few.
const CAP: Duration = Duration::from_secs(2);

/// Attempts since the last success.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Forgets all failures.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Counts a failure and says how long to wait. `random` is uniform in 0.0..1.0.
    pub(super) fn next(&mut self, random: f64) -> Duration {
        let longest = BASE.saturating_mul(1 << self.failures.min(16)).min(CAP);
        self.failures = self.failures.saturating_add(1);
        longest.mul_f64(random.clamp(0.0, 1.0))
    }

    /// Failures in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_a_cap_and_starts_anew_after_success() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..8).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1_000, 2_000, 2_000, 2_000, 2_000, 2_000]);
        assert_eq!(backoff.failures(), 8);
        backoff.reset();
        assert_eq!(backoff.next(0.5), BASE / 2);
    }

    #[test]
    fn never_overflows() {
        let mut backoff = Backoff { failures: u32::MAX };
        assert_eq!(backoff.next(1.0), CAP);
        assert_eq!(backoff.next(0.0), Duration::ZERO);
    }
}
