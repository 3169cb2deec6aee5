//! The clock that the SCTP machine lives by: it runs faster than ours.
//!
//! `rtc-sctp` 0.21.1 has its timers as private constants: RTO.Initial and RTO.Min of 1 s, SACKs delayed by 200 ms. A message
//! that is lost with nothing behind it stalls its channel for that second, and for two or four if it is lost again. RFC 9260
//! §16 recommends 1 s for paths of any kind and leaves the parameters to the implementation; `dcsctp`, which Chromium has,
//! takes 400 ms, TCP on Linux 200 ms. It has to exceed what a peer may delay its SACK by, which is 200 ms (§6.2).
//!
//! So every instant that goes into the machine is stretched by [`RATE`], and every deadline that comes out of it is
//! shrunk. Round trips are measured on the same clock, so the computed RTO stays true; what changes is what is fixed: RTO.Min
//! and RTO.Initial are 400 ms, RTO.Max 24 s, and our own SACKs are delayed by 80 ms.

use std::time::{Duration, Instant};

/// How much faster: 5/2.
const RATE: (u32, u32) = (5, 2);

/// Translates between our time and the machine's.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SctpClock {
    /// When both showed the same: the first time that anything was asked.
    origin: Option<Instant>,
}

impl SctpClock {
    /// What the machine takes for now.
    pub(super) fn machine_time(&mut self, now: Instant) -> Instant {
        let origin = *self.origin.get_or_insert(now);
        origin + now.saturating_duration_since(origin) * RATE.0 / RATE.1
    }

    /// When the machine's clock will show this: never early.
    pub(super) fn own_time(&self, due: Instant) -> Instant {
        let Some(origin) = self.origin else { return due };
        origin + due.saturating_duration_since(origin) * RATE.1 / RATE.0 + Duration::from_nanos(1)
    }

    /// So many of our milliseconds in the machine's.
    pub(super) fn machine_millis(millis: u64) -> u32 {
        let stretched = (millis.saturating_mul(u64::from(RATE.0))).div_ceil(u64::from(RATE.1));
        u32::try_from(stretched).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_reached_when_it_is_due() {
        let start = Instant::now();
        let mut clock = SctpClock::default();
        assert_eq!(clock.machine_time(start), start);
        for nanos in [1, 3, 7, 1_000_001, 400_000_003, 86_400_000_000_001] {
            let due = start + Duration::from_nanos(nanos);
            let own = clock.own_time(due);
            assert!(clock.machine_time(own) >= due, "{nanos}");
            assert!(own - start <= Duration::from_nanos(nanos * 2 / 5 + 2), "{nanos}");
        }
        assert_eq!(clock.machine_time(start + Duration::from_secs(4)), start + Duration::from_secs(10));
        assert_eq!(SctpClock::machine_millis(0), 0);
        assert_eq!(SctpClock::machine_millis(1), 3);
        assert_eq!(SctpClock::machine_millis(u64::MAX), u32::MAX);
    }
}
