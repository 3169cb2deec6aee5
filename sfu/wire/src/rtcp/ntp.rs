//! NTP timestamps as RTCP carries them (RFC 3550 §4).
use std::time::Duration;

/// Seconds since 1900-01-01 as 32.32 fixed point, wrapping in 2036.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// From 1900-01-01 to 1970-01-01: 70 years, 17 of them leap years.
    pub const UNIX_EPOCH: Duration = Duration::from_secs(2_208_988_800);

    /// The time this long after 1900-01-01.
    #[must_use]
    pub const fn from_since_1900(elapsed: Duration) -> Self {
        let fraction = ((elapsed.subsec_nanos() as u64) << 32) / 1_000_000_000;
        Self(elapsed.as_secs() << 32 | fraction)
    }

    /// The time this long after 1970-01-01.
    #[must_use]
    pub const fn from_unix(elapsed: Duration) -> Self {
        Self::from_since_1900(elapsed.saturating_add(Self::UNIX_EPOCH))
    }

    /// How long after 1900-01-01 this is, rounded down to a nanosecond.
    #[must_use]
    pub const fn since_1900(self) -> Duration {
        let nanos = ((self.0 & 0xffff_ffff) * 1_000_000_000) >> 32;
        Duration::new(self.0 >> 32, nanos as u32)
    }

    /// The middle 32 bits, seconds as 16.16 fixed point: what a report block's LSR field repeats.
    #[must_use]
    pub const fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        assert_eq!(NtpTime::from_unix(Duration::ZERO).0, 2_208_988_800 << 32);
        let half = NtpTime::from_since_1900(Duration::from_millis(1_500));
        assert_eq!(half.0, 0x1_8000_0000);
        assert_eq!(half.middle(), 0x1_8000);
        assert_eq!(half.since_1900(), Duration::from_millis(1_500));
        // RFC 3550, figure 2: SR sent at 0xb44db705 seconds and 0x20000000, LSR 0xb7052000.
        assert_eq!(NtpTime(0xb44d_b705_2000_0000).middle(), 0xb705_2000);
        assert_eq!(NtpTime::from_since_1900(Duration::MAX).0 >> 32, u64::from(u32::MAX));
    }
}
