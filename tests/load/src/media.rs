//! The frames of a publisher: VP8 that no decoder has to like, but every SFU can read.

use std::time::{Duration, Instant};

use crate::args::Sizes;

/// Frame bursts a second.
pub(crate) const FRAMES_PER_SECOND: u64 = 30;
/// Packets a second.
const PACKETS_PER_SECOND: u64 = 170;
/// VP8's clock (RFC 7741 §4.1).
const CLOCK: u64 = 90_000;
/// RFC 7741 §4.2: X and S or X alone; then I; then a picture id of 15 bits.
const DESCRIPTOR_BYTES: usize = 4;
/// At the end of every payload: when it was sent, and whether it counts.
const TRAILER_BYTES: usize = 9;

/// What a payload says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Since the run began.
    pub(crate) sent: Duration,
    /// Sent while measuring.
    pub(crate) counts: bool,
}

/// The frames of one publisher.
pub(crate) struct Frames {
    start: Instant,
    phase: Duration,
    next: u64,
    bytes: usize,
    sizes: Sizes,
    wants_keyframe: bool,
    random: u64,
    lengths: Vec<usize>,
    payload: Vec<u8>,
}

/// One packet of a frame.
pub(crate) struct Packet<'a> {
    pub(crate) marker: bool,
    pub(crate) timestamp: u32,
    pub(crate) payload: &'a [u8],
}

impl Frames {
    /// `phase` shifts this publisher's frames against others'.
    pub(crate) fn new(start: Instant, phase: Duration, bytes: usize, sizes: Sizes) -> Self {
        Self {
            start,
            phase,
            next: 0,
            bytes: bytes.max(64),
            sizes,
            wants_keyframe: true,
            random: 0x9E37_79B9_7F4A_7C15 ^ phase.as_nanos() as u64,
            lengths: Vec::new(),
            payload: Vec::new(),
        }
    }

    /// When the next frame is due.
    pub(crate) fn due(&self) -> Instant {
        self.start + self.phase + Duration::from_nanos(self.next * 1_000_000_000 / FRAMES_PER_SECOND)
    }

    /// The next frame shall be a keyframe.
    pub(crate) fn want_keyframe(&mut self) {
        self.wants_keyframe = true;
    }

    /// Hands over the packets of the frame that is due.
    pub(crate) fn send(&mut self, origin: Instant, counts: bool, mut send: impl FnMut(&Packet<'_>)) {
        let frame = self.next;
        self.next += 1;
        self.divide(frame);
        let is_keyframe = std::mem::take(&mut self.wants_keyframe);
        let picture = (frame & 0x7fff) as u16;
        let timestamp = (frame * CLOCK / FRAMES_PER_SECOND) as u32;
        let last = self.lengths.len() - 1;
        for (at, length) in self.lengths.iter().enumerate() {
            self.payload.clear();
            self.payload.resize(*length, 0xAB);
            self.payload[0] = if at == 0 { 0x90 } else { 0x80 };
            self.payload[1] = 0x80;
            self.payload[2..DESCRIPTOR_BYTES].copy_from_slice(&(0x8000 | picture).to_be_bytes());
            // The lowest bit of a frame's first byte: 0 in a keyframe (RFC 6386 §9.1).
            self.payload[DESCRIPTOR_BYTES] = u8::from(!(is_keyframe && at == 0));
            let sent = u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
            let trailer = length - TRAILER_BYTES;
            self.payload[trailer..length - 1].copy_from_slice(&sent.to_be_bytes());
            self.payload[length - 1] = u8::from(counts);
            send(&Packet { marker: at == last, timestamp, payload: &self.payload });
        }
    }

    fn divide(&mut self, frame: u64) {
        self.lengths.clear();
        let packets = |frame: u64| frame * PACKETS_PER_SECOND / FRAMES_PER_SECOND;
        let count = (packets(frame + 1) - packets(frame)) as usize;
        match self.sizes {
            Sizes::Constant => self.lengths.resize(count, self.bytes),
            Sizes::Browser => {
                // xorshift64: frames between three quarters and five quarters of the mean.
                self.random ^= self.random << 13;
                self.random ^= self.random >> 7;
                self.random ^= self.random << 17;
                let mean = count * self.bytes;
                let frame_bytes = mean * 3 / 4 + (self.random as usize % (mean / 2));
                let count = frame_bytes.div_ceil(self.bytes);
                let (each, rest) = (frame_bytes / count, frame_bytes % count);
                self.lengths.extend((0..count).map(|at| each + usize::from(at >= count - rest)));
            }
        }
    }
}

/// Reads the end of a payload.
pub(crate) fn stamp(payload: &[u8]) -> Option<Stamp> {
    let trailer = payload.get(payload.len().checked_sub(TRAILER_BYTES)?..)?;
    let (sent, counts) = trailer.split_at_checked(8)?;
    Some(Stamp {
        sent: Duration::from_nanos(u64::from_be_bytes(sent.try_into().ok()?)),
        counts: counts == [1],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(sizes: Sizes) -> Vec<Vec<usize>> {
        let mut frames = Frames::new(Instant::now(), Duration::ZERO, 1_100, sizes);
        (0..FRAMES_PER_SECOND)
            .map(|_| {
                let mut lengths = Vec::new();
                frames.send(Instant::now(), true, |packet| {
                    assert!(stamp(packet.payload).is_some_and(|stamp| stamp.counts));
                    lengths.push(packet.payload.len());
                });
                lengths
            })
            .collect()
    }

    #[test]
    fn a_second_has_30_frames_and_170_packets() {
        let second = second(Sizes::Constant);
        assert_eq!(second.iter().map(Vec::len).sum::<usize>(), 170);
        assert!(second.iter().flatten().all(|length| *length == 1_100));
    }

    #[test]
    fn browser_frames_are_divided_evenly_with_the_larger_packets_last() {
        for frame in second(Sizes::Browser) {
            assert!(frame.is_sorted());
            assert!(frame.last().expect("a packet") - frame[0] <= 1);
            assert!(frame.iter().all(|length| *length <= 1_100));
        }
    }

    #[test]
    fn only_a_wanted_frame_is_a_keyframe() {
        let mut frames = Frames::new(Instant::now(), Duration::ZERO, 1_100, Sizes::Constant);
        let mut is_keyframe = || {
            let mut first = None;
            frames.send(Instant::now(), false, |packet| {
                first.get_or_insert(packet.payload[DESCRIPTOR_BYTES] & 1 == 0);
            });
            first
        };
        assert_eq!(is_keyframe(), Some(true));
        assert_eq!(is_keyframe(), Some(false));
    }
}
