//! Which packets to ask a publisher for again (RFC 4585 §6.2.1).

use std::time::{Duration, Instant};

/// Packets waited for at once. More missing than that is an outage, and only a keyframe helps.
const MAX_MISSING: usize = 256;
/// A gap wider than this is not asked for.
const MAX_GAP: u64 = 128;
/// How long a packet may be late before it is asked for: reordering on real paths is mostly shorter.
const REORDERING: Duration = Duration::from_millis(5);
/// Requests for one packet.
const MAX_TRIES: u8 = 10;
/// A packet later than this is of no use to a call.
const MAX_AGE: Duration = Duration::from_secs(1);
/// Between two requests for the same packet, whatever the path claims.
const MIN_INTERVAL: Duration = Duration::from_millis(20);

/// The missing packets of one track.
#[derive(Debug, Default)]
pub(crate) struct NackGenerator {
    /// In ascending order.
    missing: Vec<Missing>,
    /// No request is due before.
    next: Option<Instant>,
    /// What is missing before the next packet is not asked for.
    is_new_path: bool,
}

#[derive(Debug)]
struct Missing {
    sequence: u64,
    since: Instant,
    due: Instant,
    tries: u8,
}

impl NackGenerator {
    /// `sequence` arrived, and `after` was the highest before: what lies between is missing. Returns false if it is too
    /// much to ask for.
    pub(crate) fn handle_gap(&mut self, now: Instant, after: u64, sequence: u64) -> bool {
        let gap = sequence.saturating_sub(after).saturating_sub(1);
        let is_new_path = std::mem::take(&mut self.is_new_path);
        if gap == 0 {
            return true;
        }
        if is_new_path || gap > MAX_GAP || self.missing.len() + gap as usize > MAX_MISSING {
            self.clear();
            return false;
        }
        let due = now + REORDERING;
        if self.missing.capacity() == 0 {
            self.missing.reserve_exact(MAX_MISSING);
        }
        self.missing.extend((after + 1..sequence).map(|sequence| Missing {
            sequence,
            since: now,
            due,
            tries: 0,
        }));
        self.next = Some(self.next.map_or(due, |next| next.min(due)));
        true
    }

    /// A packet that is no duplicate arrived. If it was asked for exactly once, returns how long ago: a round trip.
    pub(crate) fn handle_arrival(&mut self, now: Instant, sequence: u64) -> Option<Duration> {
        if self.missing.is_empty() {
            return None;
        }
        let at = self.missing.binary_search_by_key(&sequence, |missing| missing.sequence).ok()?;
        let missing = self.missing.remove(at);
        if self.missing.is_empty() {
            self.next = None;
        }
        // It was asked for as soon as it could no longer be taken for late.
        (missing.tries == 1).then(|| now.saturating_duration_since(missing.since + REORDERING))
    }

    /// Calls `ask` for every packet that is due, in ascending order, and gives up on what is too old. Returns how many
    /// were given up.
    pub(crate) fn poll(&mut self, now: Instant, round_trip: Duration, mut ask: impl FnMut(u64)) -> usize {
        if self.next.is_none_or(|next| next > now) {
            return 0;
        }
        let before = self.missing.len();
        self.missing.retain(|missing| {
            missing.due > now
                || missing.tries < MAX_TRIES && now.saturating_duration_since(missing.since) < MAX_AGE
        });
        let interval = MIN_INTERVAL.max(round_trip + round_trip / 4);
        for missing in self.missing.iter_mut().filter(|missing| missing.due <= now) {
            ask(missing.sequence);
            missing.tries += 1;
            missing.due = now + interval;
        }
        self.next = self.missing.iter().map(|missing| missing.due).min();
        before - self.missing.len()
    }

    /// When `poll` has something to say.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// The packets take another path: what did not come on the old one is not asked for.
    pub(crate) fn handle_path_changed(&mut self) {
        self.clear();
        self.is_new_path = true;
    }

    /// Asks for nothing any more.
    pub(crate) fn clear(&mut self) {
        self.missing.clear();
        self.next = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(100);

    fn ask(nacks: &mut NackGenerator, now: Instant) -> Vec<u64> {
        let mut asked = Vec::new();
        nacks.poll(now, RTT, |sequence| asked.push(sequence));
        asked
    }

    #[test]
    fn asks_after_the_reordering_time_and_again_after_a_round_trip() {
        let start = Instant::now();
        let mut nacks = NackGenerator::default();
        assert!(nacks.handle_gap(start, 10, 14));
        assert!(ask(&mut nacks, start).is_empty());
        assert_eq!(nacks.handle_arrival(start, 12), None, "was only late");
        let due = nacks.deadline().unwrap();
        assert_eq!(ask(&mut nacks, due), [11, 13]);
        assert!(ask(&mut nacks, due + RTT).is_empty());
        assert_eq!(
            nacks.handle_arrival(due + Duration::from_millis(80), 11),
            Some(Duration::from_millis(80))
        );
        assert_eq!(ask(&mut nacks, due + RTT * 5 / 4), [13]);
        assert_eq!(
            nacks.handle_arrival(due + RTT * 2, 13),
            None,
            "asked for twice: no telling which was answered"
        );
        assert_eq!(nacks.deadline(), None);
    }

    #[test]
    fn gives_up_in_the_end() {
        let start = Instant::now();
        let mut nacks = NackGenerator::default();
        nacks.handle_gap(start, 1, 3);
        let mut asked = 0;
        let mut last = start;
        while let Some(due) = nacks.deadline() {
            asked += ask(&mut nacks, due).len();
            last = due;
        }
        assert!((5..=10).contains(&asked), "{asked}");
        assert!(last - start <= MAX_AGE + RTT * 2);
    }

    #[test]
    fn what_an_old_path_lost_is_not_asked_for() {
        let now = Instant::now();
        let mut nacks = NackGenerator::default();
        nacks.handle_gap(now, 10, 12);
        nacks.handle_path_changed();
        assert_eq!(nacks.deadline(), None);
        assert!(!nacks.handle_gap(now, 12, 20));
        assert_eq!(nacks.deadline(), None);
        assert!(nacks.handle_gap(now, 20, 22), "the new path's losses are");
        let due = nacks.deadline().unwrap();
        assert_eq!(ask(&mut nacks, due), [21]);
    }

    #[test]
    fn an_outage_is_not_asked_for() {
        let now = Instant::now();
        let mut nacks = NackGenerator::default();
        assert!(!nacks.handle_gap(now, 10, 1_000));
        assert_eq!(nacks.deadline(), None);
        for burst in 0..100 {
            nacks.handle_gap(now, burst * 1_000, burst * 1_000 + 100);
            assert!(nacks.missing.len() <= MAX_MISSING);
        }
    }
}
