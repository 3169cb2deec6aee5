//! What of the bytes handed to SCTP has left, and what is on its way.

use crate::transport::sctp_guard::{is_ahead, word};

/// Counts what the machine does not tell, by the DATA chunks that leave it.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Bytes handed over that were not seen leaving, at most: those that wait for the congestion or the receive window.
    unsent: usize,
    /// Bytes handed over that are neither acknowledged nor given up.
    handed: usize,
    /// The highest TSN that has left.
    last: Option<u32>,
}

impl Flow {
    /// A message was handed over.
    pub(super) fn note_handed(&mut self, bytes: usize) {
        self.unsent += bytes;
        self.handed += bytes;
    }

    /// A DATA chunk leaves. Returns its TSN if it does so for the first time.
    pub(super) fn note_sent(&mut self, chunk: &[u8]) -> Option<u32> {
        const DATA_FIELDS_BYTES: usize = 12;
        let tsn = word(chunk, 0)?;
        if self.last.is_some_and(|last| !is_ahead(tsn, last)) {
            return None;
        }
        self.last = Some(tsn);
        self.unsent = self.unsent.saturating_sub(chunk.len().saturating_sub(DATA_FIELDS_BYTES));
        Some(tsn)
    }

    /// Bytes were acknowledged or given up. What was given up before it left is never seen leaving, so the rest is the bound.
    pub(super) fn note_released(&mut self, bytes: usize) {
        self.handed = self.handed.saturating_sub(bytes);
        self.unsent = self.unsent.min(self.handed);
    }

    /// Whether something waits for a window.
    pub(super) fn is_blocked(&self) -> bool {
        self.unsent > 0
    }

    /// Bytes under way.
    pub(super) fn in_flight(&self) -> usize {
        self.handed - self.unsent
    }
}
