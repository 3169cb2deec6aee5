//! A sliding window over packet indices: which of the most recent ones were seen.

const WORDS: usize = 16;
const WORD_BITS: u64 = 64;

/// How far behind the highest index a packet may lie and still be told from a replay. The bits are a ring of whole
/// words (RFC 6479), so up to one word less than their number is of use. At 1,000 packets/s this is about a second:
/// enough for reordering and for a retransmission without RTX.
pub(super) const WINDOW: u64 = WORDS as u64 * WORD_BITS - WORD_BITS;

/// The indices seen of one stream. Starts out empty; moves only forwards.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    highest: Option<u64>,
    seen: [u64; WORDS],
}

impl Window {
    /// The highest index accepted so far.
    #[inline]
    pub(super) fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// True if `index` was not accepted before and is not too old to tell. Changes nothing.
    #[inline]
    pub(super) fn is_fresh(&self, index: u64) -> bool {
        let Some(highest) = self.highest else { return true };
        if index > highest {
            return true;
        }
        highest - index < WINDOW && self.word(index) & bit(index) == 0
    }

    /// Marks `index` as seen, moving the window if it is the highest so far. Indices that are too old are ignored.
    #[inline]
    pub(super) fn accept(&mut self, index: u64) {
        match self.highest {
            Some(highest) if index <= highest => {
                if highest - index >= WINDOW {
                    return;
                }
            }
            Some(highest) => {
                // Clear the words that the window enters; at most all of them.
                let steps = (index / WORD_BITS - highest / WORD_BITS).min(WORDS as u64);
                for step in 0..steps {
                    *self.word_mut((index / WORD_BITS - step) * WORD_BITS) = 0;
                }
                self.highest = Some(index);
            }
            None => self.highest = Some(index),
        }
        *self.word_mut(index) |= bit(index);
    }

    #[inline]
    fn word(&self, index: u64) -> u64 {
        self.seen.get(word_at(index)).copied().unwrap_or(0)
    }

    #[inline]
    #[allow(clippy::indexing_slicing)] // `word_at` is a remainder by the number of words.
    fn word_mut(&mut self, index: u64) -> &mut u64 {
        &mut self.seen[word_at(index)]
    }
}

#[inline]
const fn word_at(index: u64) -> usize {
    (index / WORD_BITS) as usize % WORDS
}

#[inline]
const fn bit(index: u64) -> u64 {
    1 << (index % WORD_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};
    use std::collections::HashSet;

    #[test]
    fn agrees_with_a_set_of_everything_seen() {
        let mut rng = StdRng::seed_from_u64(2);
        for _ in 0..50 {
            let mut window = Window::default();
            let mut seen = HashSet::new();
            let mut highest = rng.random_range(0..200_000u64);
            for _ in 0..5_000 {
                let index = match rng.random_range(0..10) {
                    0 => highest + rng.random_range(0..3_000),
                    1 => highest.saturating_sub(rng.random_range(0..2_000)),
                    _ => (highest + 3).saturating_sub(rng.random_range(0..12)),
                };
                let too_old = window.highest().is_some_and(|top| index <= top && top - index >= WINDOW);
                assert_eq!(window.is_fresh(index), !too_old && !seen.contains(&index), "{index}");
                if window.is_fresh(index) && rng.random_bool(0.9) {
                    window.accept(index);
                    seen.insert(index);
                    highest = highest.max(index);
                    assert!(!window.is_fresh(index));
                }
            }
        }
    }

    #[test]
    fn is_at_least_as_wide_as_rfc3711_asks() {
        const { assert!(WINDOW >= 128) };
        let mut window = Window::default();
        window.accept(10_000);
        assert!(window.is_fresh(10_000 - WINDOW + 1));
        assert!(!window.is_fresh(10_000 - WINDOW));
        window.accept(10_000 - WINDOW);
        assert_eq!(window.highest(), Some(10_000));
        window.accept(u64::MAX);
        assert!(window.is_fresh(u64::MAX - 1) && !window.is_fresh(u64::MAX) && !window.is_fresh(10_000));
    }
}
