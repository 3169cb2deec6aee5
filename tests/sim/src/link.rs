//! One direction of a path between two addresses: loss, delay, jitter, reordering, duplication, rate.

use std::time::{Duration, Instant};

use rand::Rng;

/// What a path does to datagrams, in one direction. The default is perfect and takes no time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Condition {
    /// Probability that a datagram is lost, 0 to 1.
    pub loss: f64,
    /// Probability that a datagram arrives twice, 0 to 1.
    pub duplicate: f64,
    /// Time every datagram takes.
    pub delay: Duration,
    /// Added to `delay`, uniformly from nothing to this much. As in a queue, a datagram waits for those before it.
    pub jitter: Duration,
    /// Probability that a datagram does not wait for those before it, 0 to 1: it overtakes them.
    pub reorder: f64,
    /// Bits per second that pass; more waits in a queue. `None`: no limit.
    pub rate_bps: Option<u64>,
    /// Longest wait in that queue; what would wait longer is lost.
    pub queue: Duration,
    /// Nothing passes at all.
    pub is_down: bool,
}

/// A path in one direction and the state of its queue.
#[derive(Debug)]
pub struct Link {
    condition: Condition,
    free_at: Option<Instant>,
    /// When the last datagram that keeps to the order arrives.
    arrived: Option<Instant>,
}

impl Link {
    /// A path that behaves as `condition` says.
    pub fn new(condition: Condition) -> Self {
        Self { condition, free_at: None, arrived: None }
    }

    /// When the copies of a datagram of `bytes` bytes, sent at `now`, arrive: none, one or two times.
    pub fn carry(&mut self, now: Instant, bytes: usize, rng: &mut impl Rng) -> [Option<Instant>; 2] {
        let condition = self.condition;
        if condition.is_down || rng.random_bool(condition.loss) {
            return [None, None];
        }
        let Some(sent) = self.transmit(now, bytes) else { return [None, None] };
        let mut first = sent + condition.delay + jitter(condition.jitter, rng);
        if !rng.random_bool(condition.reorder) {
            first = self.arrived.map_or(first, |before| before.max(first));
            self.arrived = Some(first);
        }
        let second = rng
            .random_bool(condition.duplicate)
            .then(|| sent + condition.delay + jitter(condition.jitter, rng));
        [Some(first), second]
    }

    /// When the last bit of a datagram has left the queue, or `None` if the queue is too long.
    fn transmit(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        let Some(rate) = self.condition.rate_bps else { return Some(now) };
        let start = self.free_at.map_or(now, |free| free.max(now));
        if start - now > self.condition.queue {
            return None;
        }
        let done = start + Duration::from_nanos(bytes as u64 * 8 * 1_000_000_000 / rate.max(1));
        self.free_at = Some(done);
        Some(done)
    }
}

fn jitter(most: Duration, rng: &mut impl Rng) -> Duration {
    if most.is_zero() { Duration::ZERO } else { rng.random_range(Duration::ZERO..=most) }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn loses_as_often_as_told() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut link = Link::new(Condition { loss: 0.05, ..Condition::default() });
        let now = Instant::now();
        let arrived = (0..10_000).filter(|_| link.carry(now, 100, &mut rng)[0].is_some()).count();
        assert!((9_400..9_600).contains(&arrived), "{arrived} of 10,000 arrived at 5 % loss");
    }

    #[test]
    fn a_rate_spaces_datagrams_and_a_full_queue_drops() {
        let mut rng = StdRng::seed_from_u64(2);
        let rate =
            Condition { rate_bps: Some(8_000), queue: Duration::from_millis(150), ..Condition::default() };
        let mut link = Link::new(rate);
        let now = Instant::now();
        let arrivals: Vec<_> = (0..4).map(|_| link.carry(now, 100, &mut rng)[0]).collect();
        let at = |ms| Some(now + Duration::from_millis(ms));
        assert_eq!(arrivals, [at(100), at(200), None, None], "100 bytes take 100 ms at 8 kbit/s");
    }
}
