//! The server's clock, as seen from here.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many of the last measurements are looked at: clocks drift apart by about a millisecond a minute.
const KEPT: usize = 8;

/// Server time, by the shortest round trip of late: whatever makes one longer is rarely the same both ways.
#[derive(Debug)]
pub struct ServerClock {
    /// Offsets are relative to this.
    started: Instant,
    samples: Mutex<VecDeque<Sample>>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    /// None: told without a question.
    round_trip: Option<Duration>,
    /// Server time at `started`, in µs since the Unix epoch.
    origin: i128,
}

impl ServerClock {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), samples: Mutex::default() }
    }

    /// Server time in µs since the Unix epoch. None before anything is known.
    pub fn now(&self) -> Option<u64> {
        let origin = self.best()?.origin;
        u64::try_from(origin + self.started.elapsed().as_micros() as i128).ok()
    }

    /// The shortest round trip of late.
    pub fn round_trip(&self) -> Option<Duration> {
        self.best()?.round_trip
    }

    pub(crate) fn add(&self, asked: Instant, server_micros: u64) {
        let now = Instant::now();
        let round_trip = now.saturating_duration_since(asked);
        let middle = asked + round_trip / 2;
        let origin =
            i128::from(server_micros) - middle.saturating_duration_since(self.started).as_micros() as i128;
        let mut samples = self.samples();
        samples.push_back(Sample { round_trip: Some(round_trip), origin });
        if samples.len() > KEPT {
            samples.pop_front();
        }
    }

    /// A time that was told without a question: of worth until there is a measurement.
    pub(crate) fn hint(&self, server_micros: u64) {
        let mut samples = self.samples();
        if samples.is_empty() {
            let origin = i128::from(server_micros) - self.started.elapsed().as_micros() as i128;
            samples.push_back(Sample { round_trip: None, origin });
        }
    }

    fn best(&self) -> Option<Sample> {
        let samples = self.samples();
        samples.iter().min_by_key(|sample| sample.round_trip.unwrap_or(Duration::MAX)).copied()
    }

    fn samples(&self) -> MutexGuard<'_, VecDeque<Sample>> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_round_trip_wins() {
        let clock = ServerClock::new();
        assert_eq!(clock.now(), None);
        clock.hint(1_000_000);
        assert!(clock.now().is_some_and(|now| (1_000_000..2_000_000).contains(&now)));
        assert_eq!(clock.round_trip(), None);
        let now = Instant::now();
        let ago = |ms| now.checked_sub(Duration::from_millis(ms)).unwrap();
        clock.add(ago(2_000), 50_000_000);
        clock.add(ago(20), 70_000_000);
        clock.add(ago(1_000), 90_000_000);
        assert!(clock.round_trip().is_some_and(|it| it < Duration::from_millis(500)));
        assert!(clock.now().is_some_and(|now| (70_000_000..71_000_000).contains(&now)));
    }
}
