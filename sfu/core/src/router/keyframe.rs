//! When to ask a publisher for a keyframe: often enough that nobody waits, seldom enough that nobody can make it a storm.

use std::time::{Duration, Instant};

/// Between two requests of which the first was answered. A keyframe is several times the size of another frame, so a
/// subscriber with a bad path must not be able to make the publisher send little else.
const ANSWERED_INTERVAL: Duration = Duration::from_millis(500);
/// The same for somebody who has nothing to look at yet, or whose path changed.
const NEWCOMER_INTERVAL: Duration = Duration::from_millis(150);
/// Between two requests of which the first was not answered (yet): it or the keyframe was lost.
const RETRY_INTERVAL: Duration = Duration::from_millis(300);
/// After this many unanswered requests the publisher is taken for silent and asked less often.
const QUICK_TRIES: u32 = 6;
/// Between requests to a silent publisher.
const SLOW_INTERVAL: Duration = Duration::from_secs(2);

/// The keyframe requests of one track, coalesced over all who want one.
#[derive(Debug, Default)]
pub(crate) struct KeyframeRequests {
    is_wanted: bool,
    /// By a newcomer.
    is_wanted_soon: bool,
    last: Option<Instant>,
    /// Requests since the last keyframe.
    unanswered: u32,
}

impl KeyframeRequests {
    /// Somebody can't decode until the next keyframe.
    pub(crate) fn want(&mut self) {
        self.is_wanted = true;
    }

    /// The same for somebody who sees nothing until then.
    pub(crate) fn want_soon(&mut self) {
        self.is_wanted = true;
        self.is_wanted_soon = true;
    }

    /// A keyframe has begun to arrive: it serves all who have asked so far.
    pub(crate) fn handle_keyframe(&mut self) {
        self.cancel();
        self.unanswered = 0;
    }

    /// Nobody is left who would want one.
    pub(crate) fn cancel(&mut self) {
        self.is_wanted = false;
        self.is_wanted_soon = false;
    }

    /// Takes note of a change of path: what was asked before is likely lost, so it counts as little as if it had been
    /// answered. It still counts: a peer that changes its path all the time must not make a publisher send keyframes only.
    pub(crate) fn restart(&mut self) {
        self.unanswered = 0;
    }

    /// Whether to send a request now. If so, it is taken as sent.
    pub(crate) fn poll(&mut self, now: Instant, round_trip: Duration) -> bool {
        let is_due =
            self.deadline(round_trip).is_some_and(|due| due <= now) || self.is_wanted && self.last.is_none();
        if is_due {
            self.last = Some(now);
            self.unanswered = self.unanswered.saturating_add(1);
        }
        is_due
    }

    /// When `poll` would say yes. `None` also while a first request is due at once.
    pub(crate) fn deadline(&self, round_trip: Duration) -> Option<Instant> {
        let last = self.last.filter(|_| self.is_wanted)?;
        let interval = match self.unanswered {
            0 if self.is_wanted_soon => NEWCOMER_INTERVAL,
            0 => ANSWERED_INTERVAL,
            1..QUICK_TRIES => RETRY_INTERVAL.max(round_trip.min(SLOW_INTERVAL)),
            _ => SLOW_INTERVAL,
        };
        Some(last + interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(50);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn many_wishes_make_one_request() {
        let now = Instant::now();
        let mut requests = KeyframeRequests::default();
        assert!(!requests.poll(now, RTT));
        requests.want();
        requests.want();
        assert!(requests.poll(now, RTT));
        requests.want();
        assert!(!requests.poll(now + ms(299), RTT));
        assert!(requests.poll(now + ms(300), RTT), "unanswered");
        requests.handle_keyframe();
        assert!(!requests.poll(now + ms(900), RTT), "all are served");
    }

    #[test]
    fn an_answered_request_is_not_repeated_for_a_while() {
        let now = Instant::now();
        let mut requests = KeyframeRequests::default();
        requests.want();
        assert!(requests.poll(now, RTT));
        requests.handle_keyframe();
        requests.want();
        assert_eq!(requests.deadline(RTT), Some(now + ms(500)));
        assert!(!requests.poll(now + ms(499), RTT));
        assert!(requests.poll(now + ms(500), RTT));
    }

    #[test]
    fn newcomers_wait_less() {
        let now = Instant::now();
        let mut requests = KeyframeRequests::default();
        requests.want();
        assert!(requests.poll(now, RTT));
        requests.handle_keyframe();
        requests.want_soon();
        assert!(!requests.poll(now + ms(149), RTT));
        assert!(requests.poll(now + ms(150), RTT));
    }

    #[test]
    fn silent_publishers_are_asked_less_often() {
        let start = Instant::now();
        let mut requests = KeyframeRequests::default();
        requests.want();
        let sent = (0..20_000).filter(|at| requests.poll(start + ms(*at), RTT)).count();
        assert!((12..=16).contains(&sent), "{sent} in 20 s");
        requests.restart();
        assert!(requests.poll(start + ms(20_000), RTT), "at once on a new path");
    }

    #[test]
    fn changing_paths_all_the_time_makes_no_storm() {
        let start = Instant::now();
        let mut requests = KeyframeRequests::default();
        let sent = (0..3_000).filter(|at| {
            requests.restart();
            requests.want_soon();
            requests.poll(start + ms(*at), RTT)
        });
        assert_eq!(sent.count(), 20);
    }
}
