//! From the bytes of a stream to datagrams, as far as its sender has earned it.
//!
//! Pure: bytes in, datagrams out, cut wherever the network cut them. Until a peer has authenticated itself, only connectivity
//! checks are let through, and only a few. What is kept between two reads is less than one frame.

use super::frame::{Frame, first_frame};

/// A stranger has only a connectivity check to bring.
pub(super) const MAX_STRANGER_FRAME_BYTES: usize = 2 * 1024;
/// Browsers send nothing longer than a datagram.
pub(super) const MAX_FRAME_BYTES: usize = 16 * 1024;
/// Checks that a stranger may send. Browsers repeat theirs after 50 ms at the earliest.
const MAX_STRANGER_FRAMES: u32 = 16;

/// What came is not what comes here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Violation;

/// The reading side of one connection.
#[derive(Debug)]
pub(super) struct Deframer {
    is_stranger: bool,
    strange_frames: u32,
    /// The beginning of a frame.
    partial: Vec<u8>,
}

impl Deframer {
    /// Of a stranger, who has said so much already.
    pub(super) fn new(read: Vec<u8>) -> Self {
        Self { is_stranger: true, strange_frames: 0, partial: read }
    }

    /// Whether nobody has authenticated himself yet.
    pub(super) fn is_stranger(&self) -> bool {
        self.is_stranger
    }

    /// What was kept: it belongs before what is read next.
    pub(super) fn held(&self) -> &[u8] {
        &self.partial
    }

    /// Hands over every datagram of `bytes`, which begin with what was [`held`](Self::held), and keeps the rest. `take` says
    /// whether a peer has authenticated itself.
    pub(super) fn take_frames(
        &mut self,
        bytes: &mut [u8],
        mut take: impl FnMut(&mut [u8]) -> bool,
    ) -> Result<(), Violation> {
        let mut rest = bytes;
        loop {
            let limit = if self.is_stranger { MAX_STRANGER_FRAME_BYTES } else { MAX_FRAME_BYTES };
            let range = match first_frame(rest, limit) {
                Frame::Whole(range) => range,
                Frame::Partial => {
                    self.partial.clear();
                    self.partial.extend_from_slice(rest);
                    return Ok(());
                }
                Frame::TooLong => return Err(Violation),
            };
            let (frame, after) = rest.split_at_mut(range.end);
            rest = after;
            let datagram = &mut frame[range];
            if self.is_stranger {
                self.strange_frames += 1;
                if patchbay_sfu_core::addressed_worker(datagram).is_none()
                    || self.strange_frames > MAX_STRANGER_FRAMES
                {
                    return Err(Violation);
                }
            }
            if !datagram.is_empty() && take(datagram) {
                self.is_stranger = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::super::frame::push_frame;
    use super::*;

    /// What is looked at of a check before anybody has proved anything: its user name.
    fn check() -> Vec<u8> {
        let mut check = vec![0, 1, 0, 16, 0x21, 0x12, 0xa4, 0x42];
        check.extend([7; 12]);
        check.extend([0, 6, 0, 10]);
        check.extend(b"AAabcdef:x");
        check.extend([0, 0]);
        check
    }

    /// Feeds a stream in pieces, as a connection would; says what came out and how it ended.
    fn feed(stream: &[u8], random: &mut StdRng, is_genuine: bool) -> (Vec<Vec<u8>>, Result<(), Violation>) {
        let mut deframer = Deframer::new(Vec::new());
        let (mut out, mut at) = (Vec::new(), 0);
        while at < stream.len() {
            let length = random.random_range(1..=(stream.len() - at).min(4_000));
            let mut bytes = deframer.held().to_vec();
            bytes.extend(&stream[at..at + length]);
            at += length;
            let taken = deframer.take_frames(&mut bytes, |datagram| {
                out.push(datagram.to_vec());
                is_genuine
            });
            if taken.is_err() {
                return (out, taken);
            }
            assert!(deframer.held().len() < 2 + MAX_FRAME_BYTES, "less than a frame is kept");
        }
        (out, Ok(()))
    }

    fn honest(random: &mut StdRng) -> (Vec<Vec<u8>>, Vec<u8>) {
        let mut datagrams = vec![check()];
        for _ in 0..random.random_range(0..40) {
            datagrams.push(vec![random.random(); random.random_range(1..1_500)]);
        }
        let mut stream = Vec::new();
        for datagram in &datagrams {
            push_frame(&mut stream, datagram);
        }
        (datagrams, stream)
    }

    #[test]
    fn however_a_stream_is_cut_its_datagrams_come_out() {
        for seed in 0..300 {
            let mut random = StdRng::seed_from_u64(seed);
            let (datagrams, stream) = honest(&mut random);
            let (out, end) = feed(&stream, &mut random, true);
            assert!(out == datagrams && end.is_ok(), "seed {seed}");
        }
    }

    #[test]
    fn nothing_but_checks_comes_from_strangers_and_few_of_them() {
        let mut random = StdRng::seed_from_u64(1);
        let mut stream = Vec::new();
        for _ in 0..100 {
            push_frame(&mut stream, &check());
        }
        let (out, end) = feed(&stream, &mut random, false);
        assert_eq!((out.len(), end), (MAX_STRANGER_FRAMES as usize, Err(Violation)));
        for datagram in [&[0x80, 96, 0, 1][..], &[22, 254, 253, 0], &[0, 1, 0, 0], &[], &check()[..30]] {
            let mut stream = Vec::new();
            push_frame(&mut stream, datagram);
            assert_eq!(feed(&stream, &mut random, false), (Vec::new(), Err(Violation)), "{datagram:?}");
        }
    }

    #[test]
    fn whatever_is_changed_on_the_way_nothing_breaks() {
        for seed in 0..2_000 {
            let mut random = StdRng::seed_from_u64(seed);
            let (_, mut stream) = honest(&mut random);
            for _ in 0..random.random_range(1..8) {
                let at = random.random_range(0..stream.len());
                match random.random_range(0..3) {
                    0 => stream[at] = random.random(),
                    1 => drop(stream.drain(at..random.random_range(at..stream.len()))),
                    _ => stream.insert(at, random.random()),
                }
                if stream.is_empty() {
                    break;
                }
            }
            let is_genuine = random.random();
            let (out, _) = feed(&stream, &mut random, is_genuine);
            let is_sound = |datagram: &Vec<u8>| datagram.len() <= MAX_FRAME_BYTES;
            assert!(out.iter().all(is_sound), "seed {seed}");
            let first = out.first().is_none_or(|it| patchbay_sfu_core::addressed_worker(it).is_some());
            assert!(first, "seed {seed}: the first is a check");
        }
    }
}
