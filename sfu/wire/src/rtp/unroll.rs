//! Extends 16-bit sequence numbers to 48 bits by guessing the roll-over counter (RFC 3711 §3.3.1, appendix A).
use super::{ExtendedSequence, SequenceNumber};

/// Follows one stream's sequence numbers and says which roll-over each belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SequenceUnroller {
    highest: Option<ExtendedSequence>,
}

impl SequenceUnroller {
    /// An unroller that has seen nothing; the first number is taken to belong to roll-over 0.
    #[must_use]
    pub const fn new() -> Self {
        Self { highest: None }
    }

    /// The index that `sequence` most likely has: the one closest to the highest seen. Changes nothing, so it may be
    /// asked about packets that are not authenticated yet.
    #[inline]
    #[must_use]
    pub fn guess(&self, sequence: SequenceNumber) -> ExtendedSequence {
        let Some(highest) = self.highest else {
            return ExtendedSequence::new(0, sequence);
        };
        guess_index(highest, sequence)
    }

    /// Notes that the packet with this index was real. Only a higher index than before moves the unroller.
    #[inline]
    pub fn accept(&mut self, index: ExtendedSequence) {
        if self.highest.is_none_or(|highest| index > highest) {
            self.highest = Some(index);
        }
    }

    /// [`guess`](Self::guess) and [`accept`](Self::accept) in one step, for streams that are already authenticated.
    #[inline]
    pub fn unroll(&mut self, sequence: SequenceNumber) -> ExtendedSequence {
        let index = self.guess(sequence);
        self.accept(index);
        index
    }

    /// The highest index accepted so far.
    #[inline]
    #[must_use]
    pub const fn highest(&self) -> Option<ExtendedSequence> {
        self.highest
    }
}

/// RFC 3711 appendix A, except that a number which would belong to roll-over −1 is put in roll-over 0: the first
/// roll-over has no predecessor.
#[inline]
pub(crate) fn guess_index(highest: ExtendedSequence, sequence: SequenceNumber) -> ExtendedSequence {
    const HALF: u16 = 1 << 15;
    let rollover = highest.rollover();
    let last = highest.sequence().0;
    let guessed = if last < HALF {
        if sequence.0.saturating_sub(last) > HALF { rollover.saturating_sub(1) } else { rollover }
    } else if last - HALF > sequence.0 {
        rollover.wrapping_add(1)
    } else {
        rollover
    };
    ExtendedSequence::new(guessed, sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_many_wraps() {
        let mut unroller = SequenceUnroller::new();
        let mut expected = 65_000u64;
        while expected < 400_000 {
            assert_eq!(unroller.unroll(SequenceNumber(expected as u16)).0, expected);
            expected += 1_237;
        }
    }

    #[test]
    fn old_packets_belong_to_the_roll_over_before() {
        let mut unroller = SequenceUnroller::new();
        unroller.unroll(SequenceNumber(65_534));
        assert_eq!(unroller.unroll(SequenceNumber(1)), ExtendedSequence::new(1, SequenceNumber(1)));
        assert_eq!(unroller.guess(SequenceNumber(65_535)), ExtendedSequence::new(0, SequenceNumber(65_535)));
        assert_eq!(unroller.highest(), Some(ExtendedSequence::new(1, SequenceNumber(1))));
    }

    #[test]
    fn there_is_nothing_before_roll_over_zero() {
        let mut unroller = SequenceUnroller::new();
        unroller.unroll(SequenceNumber(5));
        assert_eq!(unroller.guess(SequenceNumber(65_530)), ExtendedSequence::new(0, SequenceNumber(65_530)));
    }

    #[test]
    fn ties_go_as_in_appendix_a() {
        let low = ExtendedSequence::new(3, SequenceNumber(100));
        assert_eq!(guess_index(low, SequenceNumber(100 + 32_768)).rollover(), 3);
        assert_eq!(guess_index(low, SequenceNumber(101 + 32_768)).rollover(), 2);
        let high = ExtendedSequence::new(3, SequenceNumber(40_000));
        assert_eq!(guess_index(high, SequenceNumber(40_000 - 32_768)).rollover(), 3);
        assert_eq!(guess_index(high, SequenceNumber(40_000 - 32_769)).rollover(), 4);
    }
}
