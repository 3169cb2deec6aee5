//! Puts packets together to frames: what arrived whole, in what order, and whether it could be decoded.

use std::collections::VecDeque;

/// Frames that may be incomplete at a time; older ones are given up.
const PENDING_FRAMES: usize = 64;
/// Sequence numbers remembered to tell a late packet from a repeated one.
const REMEMBERED: usize = 2_048;

/// What one packet brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Frames that became decodable by it.
    pub(crate) frames: u64,
    /// How many of those are keyframes.
    pub(crate) keyframes: u64,
    /// The packet had been seen before.
    pub(crate) is_duplicate: bool,
}

#[derive(Debug)]
struct Frame {
    timestamp: u32,
    /// Extended sequence numbers of the packets that are there, in no order.
    packets: Vec<u64>,
    last: Option<u64>,
    is_keyframe: bool,
}

impl Frame {
    /// The frame's first sequence number, if all packets from it to the marker are there.
    fn span(&self, follows: Option<u64>) -> Option<(u64, u64)> {
        let (last, lowest) = (self.last?, *self.packets.iter().min()?);
        let whole = (last - lowest + 1) as usize == self.packets.len();
        // A keyframe says itself where it begins; any other frame must follow the one before.
        (whole && (self.is_keyframe || follows == Some(lowest))).then_some((lowest, last))
    }
}

/// Follows one RTP stream.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    highest: Option<u64>,
    first: u64,
    received: u64,
    /// The sequence number after the last decodable frame.
    next: Option<u64>,
    pending: VecDeque<Frame>,
    seen: Vec<u64>,
}

impl Assembler {
    /// Takes a packet in order of arrival. `starts_keyframe`: it is the first of a keyframe.
    pub(crate) fn push(
        &mut self,
        sequence: u16,
        timestamp: u32,
        marker: bool,
        starts_keyframe: bool,
    ) -> Progress {
        let extended = self.extend(sequence);
        if self.remember(extended) {
            return Progress { is_duplicate: true, ..Progress::default() };
        }
        self.received += 1;
        if self.next.is_some_and(|next| extended < next) {
            return Progress::default();
        }
        if !self.pending.iter().any(|frame| frame.timestamp == timestamp) {
            if self.pending.len() == PENDING_FRAMES {
                self.pending.pop_front();
            }
            self.pending.push_back(Frame { timestamp, packets: Vec::new(), last: None, is_keyframe: false });
        }
        let Some(frame) = self.pending.iter_mut().find(|frame| frame.timestamp == timestamp) else {
            return Progress::default();
        };
        frame.packets.push(extended);
        frame.is_keyframe |= starts_keyframe;
        if marker {
            frame.last = Some(extended);
        }
        self.collect()
    }

    /// Packets that are missing between the first and the highest seen.
    pub(crate) fn lost(&self) -> u64 {
        self.highest.map_or(0, |highest| (highest - self.first + 1).saturating_sub(self.received))
    }

    fn collect(&mut self) -> Progress {
        let mut progress = Progress::default();
        while let Some(at) = self.pending.iter().position(|frame| frame.span(self.next).is_some()) {
            let Some(frame) = self.pending.remove(at) else { break };
            let Some((first, last)) = frame.span(self.next) else { break };
            progress.frames += 1;
            progress.keyframes += u64::from(frame.is_keyframe);
            self.next = Some(last + 1);
            // What came before a keyframe will never be shown.
            self.pending.retain(|other| other.packets.iter().all(|packet| *packet > first));
        }
        progress
    }

    /// Whether the packet was seen before; it is remembered from now on.
    fn remember(&mut self, extended: u64) -> bool {
        self.seen.resize(REMEMBERED, 0);
        let Some(place) = self.seen.get_mut(extended as usize % REMEMBERED) else { return false };
        std::mem::replace(place, extended) == extended
    }

    /// The sequence number without wrap-around, near the highest seen (RFC 3711 §3.3.1).
    fn extend(&mut self, sequence: u16) -> u64 {
        let Some(highest) = self.highest else {
            let extended = (1 << 16) | u64::from(sequence);
            self.highest = Some(extended);
            self.first = extended;
            return extended;
        };
        let step = i64::from(sequence.wrapping_sub(highest as u16) as i16);
        let extended = highest.saturating_add_signed(step);
        self.highest = Some(highest.max(extended));
        extended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_count_from_the_first_keyframe() {
        let mut assembler = Assembler::default();
        assert_eq!(assembler.push(65_534, 0, true, false).frames, 0);
        assert_eq!(assembler.push(65_535, 1, false, true).frames, 0);
        let done = assembler.push(0, 1, true, false);
        assert_eq!((done.frames, done.keyframes), (1, 1));
        assert_eq!(assembler.push(1, 2, true, false).frames, 1);
        assert_eq!(assembler.lost(), 0);
    }

    #[test]
    fn a_late_packet_completes_what_waited_for_it() {
        let mut assembler = Assembler::default();
        assembler.push(10, 1, true, true);
        assembler.push(11, 2, false, false);
        assert_eq!(assembler.push(13, 3, true, false).frames, 0);
        assert_eq!(assembler.lost(), 1);
        assert_eq!(assembler.push(12, 2, true, false).frames, 2);
        assert!(assembler.push(12, 2, true, false).is_duplicate);
        assert_eq!(assembler.lost(), 0);
    }

    #[test]
    fn a_keyframe_goes_on_after_loss() {
        let mut assembler = Assembler::default();
        assembler.push(10, 1, true, true);
        assembler.push(12, 3, true, false);
        assert_eq!(assembler.push(13, 4, true, true).frames, 1);
        assert_eq!(assembler.push(14, 5, true, false).frames, 1);
    }
}
