//! Sets of small numbers: which values a receiver knows, and which it is owed.

/// A set of indices into a topic's values.
#[derive(Debug, Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    #[inline]
    pub(super) fn contains(&self, index: u32) -> bool {
        self.0.get(index as usize / 64).is_some_and(|word| word & (1 << (index % 64)) != 0)
    }

    /// Says whether the index was not in it.
    #[inline]
    pub(super) fn insert(&mut self, index: u32) -> bool {
        let at = index as usize / 64;
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        let Some(word) = self.0.get_mut(at) else { return false };
        let is_new = *word & (1 << (index % 64)) == 0;
        *word |= 1 << (index % 64);
        is_new
    }

    /// Says whether the index was in it.
    #[inline]
    pub(super) fn remove(&mut self, index: u32) -> bool {
        let Some(word) = self.0.get_mut(index as usize / 64) else { return false };
        let was_there = *word & (1 << (index % 64)) != 0;
        *word &= !(1 << (index % 64));
        was_there
    }
}
