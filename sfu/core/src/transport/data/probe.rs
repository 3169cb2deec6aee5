//! Repeats the packet that is missing when nothing else will tell of it soon: a tail-loss probe (RFC 8985 §7).
//!
//! A packet that is lost with nothing behind it is noticed by SCTP's T3 timer alone, after 400 ms at least, and after twice as
//! long each time that its repetition is lost. A probe goes out as soon as an answer is overdue by what round trips vary.
//! It is the same packet again, so the peer answers it at once (RFC 9260 §6.2), and the machine sees no more than a SACK.
//!
//! Only what is reliable is repeated. The rest is promised to be sent so many times, or for so long.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::transport::sctp_guard::is_ahead;

/// Packets that are kept: of more under way, the later ones tell of the loss of the earlier.
const MAX_KEPT: usize = 8;
/// Probes without an answer. Each waits twice as long as the one before it.
const MAX_PROBES: u32 = 3;
/// An answer is overdue after at least this much more than what round trips take.
const MARGIN: Duration = Duration::from_millis(20);

/// Packets whose SACK has not come, and when one of them is to be sent again.
#[derive(Debug, Default)]
pub(super) struct TailProbe {
    /// With the last TSN of each.
    kept: VecDeque<(u32, Bytes)>,
    /// Round trip and how much it varies (RFC 6298), the peer's delay of its SACKs included.
    round_trip: Option<(Duration, Duration)>,
    due: Option<Instant>,
    probes: u32,
}

impl TailProbe {
    /// A packet left whose last TSN this is, and that is `None` if it may not be sent more often than it is.
    pub(super) fn note_sent(&mut self, now: Instant, last: u32, packet: Option<&Bytes>) {
        if let Some(packet) = packet
            && self.kept.back().is_none_or(|(before, _)| is_ahead(last, *before))
        {
            if self.kept.len() >= MAX_KEPT {
                self.kept.pop_front();
            }
            self.kept.push_back((last, packet.clone()));
        }
        self.arm(now);
    }

    /// A SACK came that acknowledges everything up to `cumulative`, and perhaps some of what comes later.
    pub(super) fn handle_sack(&mut self, now: Instant, cumulative: u32, sample: Option<Duration>) {
        if let Some(sample) = sample {
            self.round_trip = Some(match self.round_trip {
                None => (sample, sample / 2),
                Some((smooth, varies)) => {
                    ((smooth * 7 + sample) / 8, (varies * 3 + smooth.abs_diff(sample)) / 4)
                }
            });
        }
        let before = self.kept.len();
        while self.kept.front().is_some_and(|(last, _)| !is_ahead(*last, cumulative)) {
            self.kept.pop_front();
        }
        if self.kept.is_empty() || self.kept.len() < before {
            self.probes = 0;
            self.arm(now);
        }
    }

    /// When [`take_due`](Self::take_due) has something.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// The packet that is to be sent again now, the first that is not acknowledged, and its last TSN.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(u32, Bytes)> {
        self.due.filter(|due| *due <= now)?;
        self.probes += 1;
        self.arm(now);
        self.kept.front().map(|(last, packet)| (*last, packet.clone()))
    }

    fn arm(&mut self, now: Instant) {
        self.due = self.round_trip.filter(|_| !self.kept.is_empty() && self.probes < MAX_PROBES).map(
            |(smooth, varies)| now + (smooth + (varies * 4).max(smooth / 4).max(MARGIN)) * (1 << self.probes),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn what_nobody_answers_is_repeated_ever_more_rarely_and_not_for_ever() {
        let (mut probe, start) = (TailProbe::default(), Instant::now());
        let packet = Bytes::from_static(b"seven");
        probe.note_sent(start, 8, Some(&packet));
        assert_eq!(probe.deadline(), None, "no round trip is known");
        for _ in 0..40 {
            probe.handle_sack(start, 6, Some(ms(100)));
        }
        probe.note_sent(start, 9, Some(&Bytes::from_static(b"nine")));
        let mut now = start;
        for wait in [125, 250, 500] {
            assert_eq!(probe.take_due(now), None);
            let due = probe.deadline().unwrap();
            assert!(due - now >= ms(wait - 1) && due - now <= ms(wait + 5), "{:?} for {wait}", due - now);
            now = due;
            assert_eq!(probe.take_due(now), Some((8, packet.clone())));
        }
        assert_eq!(probe.deadline(), None);
        // What is acknowledged is not repeated, and the next has its own turn.
        probe.handle_sack(now, 8, None);
        assert_eq!(probe.take_due(now + ms(200)), Some((9, Bytes::from_static(b"nine"))));
        probe.handle_sack(now, 9, None);
        assert_eq!(probe.deadline(), None);
    }

    #[test]
    fn what_is_not_reliable_is_not_repeated() {
        let (mut probe, start) = (TailProbe::default(), Instant::now());
        probe.handle_sack(start, 0, Some(ms(100)));
        probe.note_sent(start, 1, None);
        assert_eq!(probe.deadline(), None);
    }
}
