//! Wall time in the SFU's own clock: the one clock all sender reports speak in.

use std::time::{Duration, Instant};

use patchbay_wire::rtcp::NtpTime;

/// Nanoseconds since 1900, where NTP counts from: a peer's clock may show a time before 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WallNanos(pub(crate) u64);

impl WallNanos {
    /// Nanoseconds by which this time lies after another: negative if before.
    pub(crate) fn since(self, earlier: Self) -> i64 {
        self.0.wrapping_sub(earlier.0) as i64
    }

    /// As it stands in a sender report.
    pub(crate) fn ntp(self) -> NtpTime {
        NtpTime::from_since_1900(Duration::from_nanos(self.0))
    }
}

impl From<NtpTime> for WallNanos {
    fn from(ntp: NtpTime) -> Self {
        Self(ntp.since_1900().as_nanos() as u64)
    }
}

/// Turns monotonic instants into wall time that never jumps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WallClock {
    start: Instant,
    wall: WallNanos,
}

impl WallClock {
    /// A clock that shows so many nanoseconds since 1970 at `start`.
    pub(crate) fn new(start: Instant, unix_nanos: u64) -> Self {
        let wall = NtpTime::UNIX_EPOCH.as_nanos() as u64;
        Self { start, wall: WallNanos(wall.wrapping_add(unix_nanos)) }
    }

    /// The wall time of an instant.
    pub(crate) fn wall(&self, now: Instant) -> WallNanos {
        WallNanos(self.wall.0.wrapping_add(self.elapsed(now).as_nanos() as u64))
    }

    /// Microseconds since 1970.
    pub(crate) fn unix_micros(&self, now: Instant) -> u64 {
        let unix = self.wall(now).0.wrapping_sub(NtpTime::UNIX_EPOCH.as_nanos() as u64);
        unix / 1_000
    }

    /// Time since the clock was started.
    pub(crate) fn elapsed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.start)
    }

    /// The same in ticks of a media clock, wrapping.
    pub(crate) fn ticks(&self, now: Instant, clock_rate: u32) -> u32 {
        (self.elapsed(now).as_nanos() * u128::from(clock_rate) / 1_000_000_000) as u32
    }
}

/// Ticks of a media clock in a signed span of nanoseconds, wrapping as RTP timestamps do.
pub(crate) fn ticks_in(nanos: i64, clock_rate: u32) -> u32 {
    (i128::from(nanos) * i128::from(clock_rate)).div_euclid(1_000_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_wrap_and_go_back() {
        assert_eq!(ticks_in(1_000_000_000, 48_000), 48_000);
        assert_eq!(ticks_in(-1_000_000_000, 90_000), 0u32.wrapping_sub(90_000));
        let start = Instant::now();
        let clock = WallClock::new(start, 5_000_000_000);
        let later = clock.wall(start + Duration::from_secs(2));
        assert_eq!(later.ntp(), NtpTime::from_unix(Duration::from_secs(7)));
        assert_eq!(WallNanos::from(later.ntp()), later);
        assert_eq!(clock.ticks(start + Duration::from_millis(20), 48_000), 960);
    }
}
