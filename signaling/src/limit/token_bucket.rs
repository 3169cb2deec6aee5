//! A token bucket: a rate in the long run, with room for bursts.

use std::time::{Duration, Instant};

use crate::config::Rate;

/// Tokens come at the rate and are kept up to the burst.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    rate: Rate,
    tokens: f64,
    filled: Instant,
}

impl TokenBucket {
    /// A full bucket.
    pub(crate) fn new(now: Instant, rate: Rate) -> Self {
        Self { rate, tokens: f64::from(rate.burst), filled: now }
    }

    /// Takes one token, or says when there will be one.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let per_second = f64::from(self.rate.per_second.max(1));
        let gained = now.saturating_duration_since(self.filled).as_secs_f64() * per_second;
        self.tokens = (self.tokens + gained).min(f64::from(self.rate.burst.max(1)));
        self.filled = self.filled.max(now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.tokens) / per_second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_pass_and_the_rate_holds() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(start, Rate { per_second: 10, burst: 3 });
        assert!((0..3).all(|_| bucket.take(start).is_ok()));
        assert_eq!(bucket.take(start), Err(Duration::from_millis(100)));
        assert!(bucket.take(start + Duration::from_millis(100)).is_ok());
        assert!(bucket.take(start + Duration::from_millis(100)).is_err());
        let rested = start + Duration::from_secs(60);
        assert!((0..3).all(|_| bucket.take(rested).is_ok()));
        assert!(bucket.take(rested).is_err());
        assert!(bucket.take(start).is_err(), "a clock that steps back gives nothing");
    }
}
