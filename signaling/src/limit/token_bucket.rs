//! A token bucket: a rate in the long run, with room for bursts.

use std::time::{Duration, Instant};

use crate::config::Rate;

/// Tokens come at the rate and are kept up to the burst.
#[derive(Debug)]
pub(super) struct TokenBucket {
    rate: Rate,
    tokens: f64,
    filled: Instant,
}

impl TokenBucket {
    /// A full bucket.
    pub(super) fn new(now: Instant, rate: Rate) -> Self {
        Self { rate, tokens: f64::from(rate.burst.max(1)), filled: now }
    }

    /// Fills up, and says how long it takes until so many are there. More than the burst never are.
    pub(super) fn wait_for(&mut self, now: Instant, count: u32) -> Duration {
        let per_second = f64::from(self.rate.per_second.max(1));
        let gained = now.saturating_duration_since(self.filled).as_secs_f64() * per_second;
        self.tokens = (self.tokens + gained).min(f64::from(self.rate.burst.max(1)));
        self.filled = self.filled.max(now);
        let missing = f64::from(count) - self.tokens;
        // Rounded up to a whole millisecond: who waits so long finds them, whatever the arithmetic.
        if missing <= 1e-6 { Duration::ZERO } else { whole_ms(missing / per_second) }
    }

    /// Takes them out.
    pub(super) fn spend(&mut self, count: u32) {
        self.tokens -= f64::from(count);
    }
}

fn whole_ms(seconds: f64) -> Duration {
    Duration::from_millis((seconds * 1_000.0).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_pass_and_the_rate_holds() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(start, Rate { per_second: 10, burst: 3 });
        let mut take = |now| {
            let wait = bucket.wait_for(now, 1);
            if wait.is_zero() {
                bucket.spend(1);
                return Ok(());
            }
            Err(wait)
        };
        assert!((0..3).all(|_| take(start).is_ok()));
        assert_eq!(take(start), Err(Duration::from_millis(100)));
        assert!(take(start + Duration::from_millis(100)).is_ok());
        assert!(take(start + Duration::from_millis(100)).is_err());
        let rested = start + Duration::from_secs(60);
        assert!((0..3).all(|_| take(rested).is_ok()));
        assert!(take(rested).is_err());
        assert!(take(start).is_err(), "a clock that steps back gives nothing");
    }
}
