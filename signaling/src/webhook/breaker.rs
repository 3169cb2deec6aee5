//! When a target that fails is called again.

use std::time::Duration;

/// The pause after the first failure. It doubles with each.
const FIRST: Duration = Duration::from_millis(500);
/// Failures in a row after which a target is left alone, but for one call after each pause.
const ENOUGH: u32 = 5;
/// For how long at first; it doubles, too.
const BREAK: Duration = Duration::from_secs(10);
/// And at most.
const LONGEST: Duration = Duration::from_secs(300);

/// How a target does.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// In a row.
    failures: u32,
}

impl Breaker {
    /// A call failed: how long to wait, and whether a break begins. `random` is from 0 to 1, and spreads the targets of many
    /// servers.
    pub(super) fn fail(&mut self, random: f64) -> (Duration, bool) {
        self.failures = self.failures.saturating_add(1);
        let pause = match self.failures.checked_sub(ENOUGH) {
            // Half of it at least, so that it does grow.
            None => doubled(FIRST, self.failures - 1).mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0),
            Some(more) => doubled(BREAK, more).min(LONGEST).mul_f64(1.0 + random.clamp(0.0, 1.0) / 10.0),
        };
        (pause, self.failures == ENOUGH)
    }

    /// A call was taken. True if a break ends.
    pub(super) fn succeed(&mut self) -> bool {
        std::mem::take(&mut self.failures) >= ENOUGH
    }
}

fn doubled(time: Duration, times: u32) -> Duration {
    time.saturating_mul(2u32.saturating_pow(times.min(16)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_a_break_begins_and_one_success_ends_it() {
        let mut breaker = Breaker::default();
        let pauses: Vec<(Duration, bool)> = (0..12).map(|_| breaker.fail(0.0)).collect();
        let ms: Vec<u128> = pauses.iter().map(|(pause, _)| pause.as_millis()).collect();
        assert_eq!(ms[..8], [250, 500, 1_000, 2_000, 10_000, 20_000, 40_000, 80_000]);
        assert_eq!(ms[11], 300_000);
        assert_eq!(pauses.iter().filter(|(_, begins)| *begins).count(), 1);
        assert!(breaker.succeed() && !breaker.succeed());
        assert_eq!(breaker.fail(1.0), (FIRST, false), "it starts over");
        for _ in 0..100_000 {
            assert!(breaker.fail(1.0).0 <= LONGEST.mul_f64(1.1));
        }
    }
}
