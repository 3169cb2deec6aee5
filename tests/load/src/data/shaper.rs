//! A narrow path to one receiver: datagrams take their time on it, and a queue before it holds only so many.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// IPv4 and UDP.
const HEADER_BYTES: usize = 28;

/// One direction of a path.
#[derive(Debug)]
pub(crate) struct Shaper {
    bits_per_second: f64,
    /// As much as leaves in this time fits into the queue.
    queue: Duration,
    delay: Duration,
    free_at: Option<Instant>,
    under_way: VecDeque<(Instant, Vec<u8>)>,
    overflowed: u64,
}

impl Shaper {
    pub(crate) fn new(bits_per_second: u32, queue: Duration, delay: Duration) -> Self {
        Self {
            bits_per_second: f64::from(bits_per_second),
            queue,
            delay,
            free_at: None,
            under_way: VecDeque::new(),
            overflowed: 0,
        }
    }

    /// A datagram enters the path, or is lost.
    pub(crate) fn push(&mut self, now: Instant, datagram: &[u8]) {
        let free_at = self.free_at.map_or(now, |at| at.max(now));
        if free_at - now > self.queue {
            self.overflowed += 1;
            return;
        }
        let takes = ((datagram.len() + HEADER_BYTES) * 8) as f64 / self.bits_per_second;
        let free_at = free_at + Duration::from_secs_f64(takes);
        self.free_at = Some(free_at);
        self.under_way.push_back((free_at + self.delay, datagram.to_vec()));
    }

    /// The next datagram that has arrived by now.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.deadline().filter(|due| *due <= now)?;
        self.under_way.pop_front().map(|(_, datagram)| datagram)
    }

    /// When the next one arrives.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.under_way.front().map(|(due, _)| *due)
    }

    /// Datagrams that found the queue full.
    pub(crate) fn overflowed(&self) -> u64 {
        self.overflowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_leave_at_the_rate_and_the_queue_is_bounded() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let mut shaper = Shaper::new(64_000, ms(200), ms(20));
        // Each takes 100 ms.
        (0..5).for_each(|_| shaper.push(start, &[0; 772]));
        assert_eq!((shaper.overflowed(), shaper.deadline()), (2, Some(start + ms(120))));
        assert!(shaper.pop(start + ms(119)).is_none());
        for due in [120, 220, 320] {
            assert!(shaper.pop(start + ms(due)).is_some() && shaper.pop(start + ms(due)).is_none());
        }
        assert_eq!(shaper.deadline(), None);
        shaper.push(start + ms(1_000), &[0; 772]);
        assert_eq!(shaper.deadline(), Some(start + ms(1_120)), "an idle path has nothing saved up");
    }
}
