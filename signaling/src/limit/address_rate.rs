//! How often one household may do something that costs the server: joins, and whatever else is counted by address.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::Household;
use crate::config::Rate;

/// Households that are remembered. Cost of raising: about 100 bytes each. Those beyond share one rate.
const HOUSEHOLDS: usize = 65_536;
/// While all places are taken, every so many calls look for some to give back: a look goes through all of them.
const LOOK_EVERY: usize = 256;

/// A rate for each household. `None` stands for all those for whom there was no place left.
type Limiter<C> = RateLimiter<
    Option<Household>,
    HashMapStateStore<Option<Household>>,
    C,
    NoOpMiddleware<<C as Clock>::Instant>,
>;

/// Counts by household.
#[derive(Debug)]
pub(crate) struct AddressRate<C: Clock = MonotonicClock> {
    limiter: Limiter<C>,
    clock: C,
    households: usize,
    calls_when_full: AtomicUsize,
}

impl AddressRate {
    pub(crate) fn new(rate: Rate) -> Self {
        Self::with_clock(rate, MonotonicClock, HOUSEHOLDS)
    }
}

impl<C: Clock + Clone> AddressRate<C> {
    fn with_clock(rate: Rate, clock: C, households: usize) -> Self {
        let at_least_one = |count: u32| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(at_least_one(rate.per_second)).allow_burst(at_least_one(rate.burst));
        let limiter = RateLimiter::new(quota, HashMapStateStore::default(), clock.clone());
        Self { limiter, clock, households, calls_when_full: AtomicUsize::new(0) }
    }

    /// Counts one, or says when the next may come.
    pub(crate) fn take(&self, from: IpAddr) -> Result<(), Duration> {
        let is_full = self.limiter.len() >= self.households;
        if is_full && self.calls_when_full.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOOK_EVERY) {
            // Whoever has rested long enough is as good as new.
            self.limiter.retain_recent();
        }
        let household = Some(Household::of(from)).filter(|_| self.limiter.len() < self.households);
        match self.limiter.check_key(&household) {
            Ok(()) => Ok(()),
            Err(refused) => Err(refused.wait_time_from(self.clock.now())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use governor::clock::FakeRelativeClock;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    const RATE: Rate = Rate { per_second: 10, burst: 25 };

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    /// Random arrivals from several households: each gets its own rate, no more in any span and no less for the others' sake.
    #[test]
    fn each_household_gets_its_rate_and_not_more() {
        for seed in 0..100 {
            let mut random = StdRng::seed_from_u64(seed);
            let clock = FakeRelativeClock::default();
            let rate = AddressRate::with_clock(RATE, clock.clone(), HOUSEHOLDS);
            let mut now = Duration::ZERO;
            let mut passed: HashMap<u8, Vec<Duration>> = HashMap::new();
            for _ in 0..3_000 {
                let step = Duration::from_micros(random.random_range(0..20_000));
                clock.advance(step);
                now += step;
                // One of them asks far more often than the others.
                let who = if random.random_bool(0.7) { 0 } else { random.random_range(1..6) };
                match rate.take(address(who)) {
                    Ok(()) => passed.entry(who).or_default().push(now),
                    Err(wait) => {
                        assert!(wait > Duration::ZERO && wait <= Duration::from_millis(100), "seed {seed}");
                        if random.random_bool(0.05) {
                            clock.advance(wait);
                            now += wait;
                            assert_eq!(rate.take(address(who)), Ok(()), "seed {seed}: waited as told");
                            passed.entry(who).or_default().push(now);
                        }
                    }
                }
            }
            for (who, times) in passed {
                for from in 0..times.len() {
                    for (count, at) in times[from..].iter().enumerate() {
                        let seconds = (*at - times[from]).as_secs_f64();
                        let allowed = f64::from(RATE.burst) + seconds * f64::from(RATE.per_second);
                        assert!((count + 1) as f64 <= allowed + 0.01, "seed {seed}: {who}");
                    }
                }
            }
        }
    }

    #[test]
    fn memory_is_bounded_and_nobody_is_let_through_for_it() {
        let clock = FakeRelativeClock::default();
        let rate = AddressRate::with_clock(RATE, clock.clone(), 100);
        let stranger = |n: u32| IpAddr::from((0x0a00_0000u32 + n).to_be_bytes());
        let passed = (0..10_000).filter(|n| rate.take(stranger(*n)).is_ok()).count();
        assert!((100..=100 + RATE.burst as usize).contains(&passed), "{passed}");
        assert!(rate.limiter.len() <= 101);
        clock.advance(Duration::from_secs(10));
        let served = (0..LOOK_EVERY).filter(|_| rate.take(stranger(20_000)).is_ok()).count();
        assert!(served >= RATE.burst as usize, "{served}");
        let again = (0..50).filter(|n| rate.take(stranger(30_000 + n)).is_ok()).count();
        assert!(again >= 50, "who has rested is forgotten: {again}");
    }
}
