//! Reads transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).
use super::feedback::split_feedback;
use crate::rtp::{Ssrc, TransportSequence};

/// A moment on the feedback sender's clock in microseconds, from an arbitrary start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Micros(pub i64);

/// The unit of the reference time: 64 ms.
pub(super) const REFERENCE_UNIT_MICROS: i64 = 64_000;
/// The unit of a delta: 250 µs.
pub(super) const DELTA_UNIT_MICROS: i64 = 250;

/// How a packet's arrival is coded in a status chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    NotReceived,
    /// Delta of one byte, unsigned.
    SmallDelta,
    /// Delta of two bytes, signed.
    LargeDelta,
}

impl Symbol {
    const fn delta_len(self) -> usize {
        match self {
            Self::NotReceived => 0,
            Self::SmallDelta => 1,
            Self::LargeDelta => 2,
        }
    }

    pub(super) const fn bits(self) -> u16 {
        match self {
            Self::NotReceived => 0,
            Self::SmallDelta => 1,
            Self::LargeDelta => 2,
        }
    }

    const fn from_bits(bits: u16) -> Option<Self> {
        match bits {
            0 => Some(Self::NotReceived),
            1 => Some(Self::SmallDelta),
            2 => Some(Self::LargeDelta),
            _ => None,
        }
    }
}

/// One feedback packet: which of a range of transport-wide sequence numbers arrived, and when.
#[derive(Clone, Debug)]
pub struct TwccFeedback<'a> {
    /// Who received the packets.
    pub sender: Ssrc,
    /// A stream of the transport reported on; of no further meaning.
    pub media: Ssrc,
    /// The first sequence number reported on.
    pub base: TransportSequence,
    /// How many sequence numbers are reported on.
    pub status_count: u16,
    /// Running number of the feedback packet, which tells if one was lost.
    pub feedback_count: u8,
    /// Reference time: 24 bits in units of 64 ms, wrapping about every twelve days.
    reference: u32,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

impl<'a> TwccFeedback<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let (sender, media, rest) = split_feedback(body)?;
        let (&[b0, b1, c0, c1, r0, r1, r2, feedback_count], rest) = rest.split_first_chunk()?;
        let status_count = u16::from_be_bytes([c0, c1]);

        // Walk the chunks once to find where the deltas begin and to make sure that all are there.
        let (mut chunks_len, mut deltas_len, mut left) = (0, 0, status_count);
        while left > 0 {
            let chunk = Chunk::parse(rest.get(chunks_len..)?)?;
            let count = chunk.len().min(left);
            for at in 0..count {
                deltas_len += chunk.symbol(at)?.delta_len();
            }
            left -= count;
            chunks_len += 2;
        }
        let (chunks, deltas) = rest.split_at_checked(chunks_len)?;
        let deltas = deltas.get(..deltas_len)?;
        Some(Self {
            sender,
            media,
            base: TransportSequence(u16::from_be_bytes([b0, b1])),
            status_count,
            feedback_count,
            reference: u32::from_be_bytes([0, r0, r1, r2]),
            chunks,
            deltas,
        })
    }

    /// The reference time on the receiver's clock, which wraps at 2^24 times 64 ms.
    #[must_use]
    pub const fn reference(&self) -> Micros {
        Micros(self.reference as i64 * REFERENCE_UNIT_MICROS)
    }

    /// Every sequence number reported on, in order, with the time of its arrival, or `None` if it has not arrived.
    #[must_use]
    pub fn statuses(&self) -> TwccStatuses<'a> {
        TwccStatuses {
            next: self.base,
            left: self.status_count,
            chunks: self.chunks,
            chunk: None,
            deltas: self.deltas,
            time: self.reference(),
        }
    }
}

/// Iterator over the statuses of a feedback packet.
#[derive(Clone, Debug)]
pub struct TwccStatuses<'a> {
    next: TransportSequence,
    left: u16,
    chunks: &'a [u8],
    /// The chunk being read, and how many of its symbols are done.
    chunk: Option<(Chunk, u16)>,
    deltas: &'a [u8],
    time: Micros,
}

impl Iterator for TwccStatuses<'_> {
    type Item = (TransportSequence, Option<Micros>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (chunk, done) = match self.chunk {
            Some((chunk, done)) if done < chunk.len() => (chunk, done),
            _ => {
                let chunk = Chunk::parse(self.chunks)?;
                self.chunks = self.chunks.get(2..)?;
                (chunk, 0)
            }
        };
        self.chunk = Some((chunk, done + 1));
        let ticks = match chunk.symbol(done)? {
            Symbol::NotReceived => None,
            Symbol::SmallDelta => {
                let (&delta, rest) = self.deltas.split_first()?;
                self.deltas = rest;
                Some(i64::from(delta))
            }
            Symbol::LargeDelta => {
                let (delta, rest) = self.deltas.split_first_chunk()?;
                self.deltas = rest;
                Some(i64::from(i16::from_be_bytes(*delta)))
            }
        };
        let sequence = self.next;
        self.next = TransportSequence(sequence.0.wrapping_add(1));
        let arrival = ticks.map(|ticks| {
            self.time = Micros(self.time.0 + ticks * DELTA_UNIT_MICROS);
            self.time
        });
        Some((sequence, arrival))
    }
}

/// One 16-bit status chunk.
#[derive(Clone, Copy, Debug)]
enum Chunk {
    Run {
        symbol: Symbol,
        len: u16,
    },
    /// 14 symbols of one bit.
    OneBit(u16),
    /// 7 symbols of two bits.
    TwoBit(u16),
}

impl Chunk {
    /// Reads the chunk at the start of `bytes`; `None` if it is cut off, or an empty run (which no sender writes and
    /// which would let a packet of any length say nothing).
    fn parse(bytes: &[u8]) -> Option<Self> {
        let bits = u16::from_be_bytes(*bytes.first_chunk()?);
        Some(match bits >> 14 {
            0b10 => Self::OneBit(bits),
            0b11 => Self::TwoBit(bits),
            _ => {
                let len = bits & 0x1fff;
                if len == 0 {
                    return None;
                }
                Self::Run { symbol: Symbol::from_bits(bits >> 13 & 0b11)?, len }
            }
        })
    }

    const fn len(self) -> u16 {
        match self {
            Self::Run { len, .. } => len,
            Self::OneBit(_) => 14,
            Self::TwoBit(_) => 7,
        }
    }

    /// The symbol at this place, which is less than `len`; `None` for the reserved symbol.
    const fn symbol(self, at: u16) -> Option<Symbol> {
        match self {
            Self::Run { symbol, .. } => Some(symbol),
            Self::OneBit(bits) => Symbol::from_bits(bits >> (13 - at) & 0b1),
            Self::TwoBit(bits) => Symbol::from_bits(bits >> (12 - 2 * at) & 0b11),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drafts_chunk_examples() {
        let symbols = |bits: u16| {
            let chunk = Chunk::parse(&bits.to_be_bytes()).unwrap();
            (0..chunk.len()).map(|at| chunk.symbol(at).unwrap().bits()).collect::<Vec<_>>()
        };
        assert_eq!(symbols(0b0000_0000_1101_1101), vec![0; 221]);
        assert_eq!(symbols(0b0010_0000_0001_1000), vec![1; 24]);
        assert_eq!(symbols(0b1001_1111_0001_1100), [0, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0]);
        assert_eq!(symbols(0b1100_1001_0101_0000), [0, 2, 1, 1, 1, 0, 0]);
    }
}
