//! Newtypes for the numbers an RTP header carries, with the arithmetic that belongs to each.
use std::fmt;

/// Synchronisation source: names one RTP stream within one transport (RFC 3550 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ssrc(pub u32);

impl fmt::Display for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// RTP payload type, 0..=127.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PayloadType(pub u8);

/// Local identifier of a header extension: 1..=14 in the one-byte form, 1..=255 in the two-byte form (RFC 8285).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ExtensionId(pub u8);

/// 16-bit RTP sequence number with serial number arithmetic (RFC 1982).
///
/// Deliberately without `Ord`: order is only defined between numbers less than 2^15 apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct SequenceNumber(pub u16);

impl SequenceNumber {
    /// The number after this one, wrapping at 2^16.
    #[inline]
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// This number advanced by `count`, wrapping at 2^16.
    #[inline]
    #[must_use]
    pub const fn wrapping_add(self, count: u16) -> Self {
        Self(self.0.wrapping_add(count))
    }

    /// This number moved back by `count`, wrapping at 2^16.
    #[inline]
    #[must_use]
    pub const fn wrapping_sub(self, count: u16) -> Self {
        Self(self.0.wrapping_sub(count))
    }

    /// How far this number lies ahead of `earlier`: negative when it lies behind.
    #[inline]
    #[must_use]
    pub const fn distance_from(self, earlier: Self) -> i16 {
        self.0.wrapping_sub(earlier.0) as i16
    }

    /// True when this number comes after `other` (RFC 1982 §3.2); numbers exactly 2^15 apart are not ordered and
    /// give false both ways.
    #[inline]
    #[must_use]
    pub const fn is_newer_than(self, other: Self) -> bool {
        self.distance_from(other) > 0
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// 32-bit RTP timestamp in ticks of the codec's clock, with serial number arithmetic (RFC 1982).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct RtpTimestamp(pub u32);

impl RtpTimestamp {
    /// This timestamp advanced by `ticks`, wrapping at 2^32.
    #[inline]
    #[must_use]
    pub const fn wrapping_add(self, ticks: u32) -> Self {
        Self(self.0.wrapping_add(ticks))
    }

    /// Ticks by which this timestamp lies ahead of `earlier`: negative when it lies behind.
    #[inline]
    #[must_use]
    pub const fn distance_from(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0) as i32
    }

    /// True when this timestamp comes after `other`.
    #[inline]
    #[must_use]
    pub const fn is_newer_than(self, other: Self) -> bool {
        self.distance_from(other) > 0
    }
}

/// Sequence number extended by its roll-over counter: `roll-over << 16 | sequence`, 48 bits used.
///
/// This is the SRTP packet index of RFC 3711 §3.3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ExtendedSequence(pub u64);

impl ExtendedSequence {
    /// Builds the index from its two halves.
    #[inline]
    #[must_use]
    pub const fn new(rollover: u32, sequence: SequenceNumber) -> Self {
        Self((rollover as u64) << 16 | sequence.0 as u64)
    }

    /// The low 16 bits: what stands in the RTP header.
    #[inline]
    #[must_use]
    pub const fn sequence(self) -> SequenceNumber {
        SequenceNumber(self.0 as u16)
    }

    /// The roll-over counter: how often the sequence number wrapped.
    #[inline]
    #[must_use]
    pub const fn rollover(self) -> u32 {
        (self.0 >> 16) as u32
    }

    /// The index after this one.
    #[inline]
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_compare_across_the_wrap() {
        assert!(SequenceNumber(0).is_newer_than(SequenceNumber(65_535)));
        assert!(!SequenceNumber(65_535).is_newer_than(SequenceNumber(0)));
        assert!(SequenceNumber(32_767).is_newer_than(SequenceNumber(0)));
        assert!(!SequenceNumber(32_768).is_newer_than(SequenceNumber(0)));
        assert!(!SequenceNumber(0).is_newer_than(SequenceNumber(32_768)));
        assert!(!SequenceNumber(7).is_newer_than(SequenceNumber(7)));
        assert_eq!(SequenceNumber(3).distance_from(SequenceNumber(65_534)), 5);
        assert_eq!(SequenceNumber(65_534).distance_from(SequenceNumber(3)), -5);
        assert_eq!(SequenceNumber(65_535).next(), SequenceNumber(0));
    }

    #[test]
    fn timestamps_compare_across_the_wrap() {
        assert!(RtpTimestamp(10).is_newer_than(RtpTimestamp(u32::MAX)));
        assert_eq!(RtpTimestamp(10).distance_from(RtpTimestamp(u32::MAX)), 11);
        assert_eq!(RtpTimestamp(u32::MAX).wrapping_add(960), RtpTimestamp(959));
    }

    #[test]
    fn extended_sequence_splits_into_its_halves() {
        let index = ExtendedSequence::new(0x1234_5678, SequenceNumber(0x9abc));
        assert_eq!(index.0, 0x1234_5678_9abc);
        assert_eq!(index.rollover(), 0x1234_5678);
        assert_eq!(index.sequence(), SequenceNumber(0x9abc));
    }
}
