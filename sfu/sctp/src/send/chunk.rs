//! A DATA chunk, and for how long it is worth sending.

use std::time::Instant;

use bytes::Bytes;

/// How often, and until when, a message is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limit {
    /// At most so many times more than once.
    pub max_retransmits: Option<u32>,
    /// Not after this.
    pub expires: Option<Instant>,
}

impl Limit {
    /// Whether what was sent so often may be sent again.
    pub(crate) fn allows(&self, now: Instant, transmissions: u32) -> bool {
        self.max_retransmits.is_none_or(|most| transmissions <= most)
            && self.expires.is_none_or(|at| now < at)
    }
}

/// What a DATA chunk carries, and of what.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// Counts messages: all chunks of one are given up together.
    pub(crate) message: u64,
    pub(crate) stream: u16,
    /// Number of the message in its stream, if it is ordered.
    pub(crate) ssn: Option<u16>,
    pub(crate) ppid: u32,
    pub(crate) flags: u8,
    pub(crate) payload: Bytes,
    pub(crate) limit: Limit,
}
