//! How fast one session may speak: messages and bytes.

use std::time::{Duration, Instant};

use super::token_bucket::TokenBucket;
use crate::config::Rate;

/// The rates of one session. They belong to the session, so that a new connection does not bring new ones.
#[derive(Debug)]
pub(crate) struct SessionRate {
    messages: TokenBucket,
    bytes: TokenBucket,
}

impl SessionRate {
    /// Rested.
    pub(crate) fn new(now: Instant, messages: Rate, bytes: Rate) -> Self {
        Self { messages: TokenBucket::new(now, messages), bytes: TokenBucket::new(now, bytes) }
    }

    /// Takes one message of so many bytes, or says when it may come again. What is refused costs nothing.
    pub(crate) fn take(&mut self, now: Instant, bytes: usize) -> Result<(), Duration> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let wait = self.messages.wait_for(now, 1).max(self.bytes.wait_for(now, bytes));
        if !wait.is_zero() {
            return Err(wait);
        }
        self.messages.spend(1);
        self.bytes.spend(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    const MESSAGES: Rate = Rate { per_second: 100, burst: 200 };
    const BYTES: Rate = Rate { per_second: 10_000, burst: 40_000 };

    #[test]
    fn bytes_count_as_well_as_messages() {
        let start = Instant::now();
        let mut rate = SessionRate::new(start, MESSAGES, BYTES);
        assert_eq!(rate.take(start, 40_000), Ok(()));
        assert_eq!(rate.take(start, 100), Err(Duration::from_millis(10)));
        assert_eq!(rate.take(start + Duration::from_millis(10), 100), Ok(()));
        let rested = start + Duration::from_secs(60);
        assert_eq!((0..300).filter(|_| rate.take(rested, 1).is_ok()).count(), 200);
    }

    /// Whatever comes when: in no span of time more passes than burst and rate allow, and who waits as told gets in.
    #[test]
    fn no_schedule_gets_more_than_the_rate() {
        for seed in 0..200 {
            let mut random = StdRng::seed_from_u64(seed);
            let start = Instant::now();
            let mut rate = SessionRate::new(start, MESSAGES, BYTES);
            let (mut now, mut passed) = (start, Vec::new());
            for _ in 0..2_000 {
                now += Duration::from_micros(random.random_range(0..30_000) * random.random_range(0..2));
                let bytes = random.random_range(1..1_000);
                match rate.take(now, bytes) {
                    Ok(()) => passed.push((now, bytes)),
                    Err(wait) if random.random_bool(0.2) => {
                        now += wait;
                        assert_eq!(rate.take(now, bytes), Ok(()), "seed {seed}: waited as told");
                        passed.push((now, bytes));
                    }
                    Err(wait) => assert!(!wait.is_zero(), "seed {seed}"),
                }
            }
            for from in (0..passed.len()).step_by(17) {
                let mut sum = 0;
                for (count, (at, bytes)) in passed[from..].iter().enumerate() {
                    sum += bytes;
                    let seconds = at.duration_since(passed[from].0).as_secs_f64();
                    let allowed = |rate: Rate| f64::from(rate.burst) + seconds * f64::from(rate.per_second);
                    assert!((count + 1) as f64 <= allowed(MESSAGES) + 0.01, "seed {seed}: messages");
                    assert!(sum as f64 <= allowed(BYTES) + 0.01, "seed {seed}: bytes");
                }
            }
        }
    }
}
