//! What waits to be sent to one peer: written and encrypted where it lies, handed out in runs.
//!
//! RTP and RTCP packets stand back to back in one buffer, so that consecutive packets of equal size are a run that the
//! kernel can split (UDP segmentation offload): all of one size, only the last may be shorter. Control datagrams (STUN
//! responses, DTLS) have a buffer of their own and go first. Buffers keep their capacity, so in the steady state nothing
//! allocates.

use std::ops::Range;
use std::time::Instant;

use patchbay_wire::rtp::{ExtendedSequence, ExtensionId, PayloadType, RtpFields, Ssrc};
use patchbay_wire::srtp::{SrtpError, SrtpSender};

use super::stats::DropReason;
use crate::{OutgoingRtp, Path, Transmit};

/// The kernel's limit on segments (`UDP_MAX_SEGMENTS`).
pub const MAX_RUN_SEGMENTS: usize = 64;
/// The limit on a UDP payload is 65,507 bytes, and a run counts as one.
pub const MAX_RUN_BYTES: usize = 65_000;
/// Packets that wait. About half a second of 1080p; what has waited longer is better lost.
const MAX_PACKETS: usize = 512;
/// Bytes that wait.
const MAX_BYTES: usize = 1024 * 1024;
/// Control datagrams that wait: more than SCTP's largest window, as SCTP does its own congestion control.
const MAX_CONTROL_DATAGRAMS: usize = 2048;
const MAX_CONTROL_BYTES: usize = 3 * 1024 * 1024;
/// No packet is longer: what a publisher sends fits the MTU, and we add at most a few dozen bytes.
const MAX_PACKET_BYTES: usize = 4 * 1024;
/// Header extensions in one packet.
const MAX_EXTENSIONS: usize = 16;

/// Decides how many packets may go now.
#[derive(Debug, Default)]
pub enum Pacer {
    /// All of them, at once.
    #[default]
    Null,
}

impl Pacer {
    fn allowance(&mut self, _now: Instant) -> usize {
        match self {
            Self::Null => usize::MAX,
        }
    }
}

/// The queue of one transport.
#[derive(Debug, Default)]
pub struct EgressQueue {
    control: Lane,
    control_paths: Vec<Path>,
    media: Lane,
    pacer: Pacer,
}

impl EgressQueue {
    /// Writes, encrypts and queues an RTP packet.
    ///
    /// # Errors
    /// Why it was dropped; the queue is then as it was.
    #[inline]
    pub fn push_rtp(&mut self, packet: &OutgoingRtp<'_>, srtp: &mut SrtpSender) -> Result<(), DropReason> {
        let mut extensions = [(ExtensionId(0), &[][..]); MAX_EXTENSIONS];
        for (to, &(id, value)) in extensions.iter_mut().zip(packet.extensions) {
            *to = (ExtensionId(id), value);
        }
        let extensions = extensions.get(..packet.extensions.len()).ok_or(DropReason::Unwritable)?;
        let sequence = ExtendedSequence(packet.extended_sequence);
        let fields = RtpFields {
            marker: packet.marker,
            payload_type: PayloadType(packet.payload_type),
            sequence: sequence.sequence(),
            timestamp: packet.timestamp,
            ssrc: packet.ssrc,
            csrc: packet.csrc.map(Ssrc),
        };
        self.media.push(MAX_PACKETS, MAX_BYTES, |bytes| {
            let start = bytes.len();
            let header_len = fields.write(extensions, bytes).map_err(|_| DropReason::Unwritable)?;
            bytes.extend_from_slice(packet.prefix);
            bytes.extend_from_slice(packet.payload);
            srtp.protect_rtp(bytes, start, header_len, sequence).map_err(drop_reason)
        })
    }

    /// Encrypts and queues a compound RTCP packet.
    ///
    /// # Errors
    /// Why it was dropped; the queue is then as it was.
    pub fn push_rtcp(&mut self, compound: &[u8], srtp: &mut SrtpSender) -> Result<(), DropReason> {
        self.media.push(MAX_PACKETS, MAX_BYTES, |bytes| {
            let start = bytes.len();
            bytes.extend_from_slice(compound);
            srtp.protect_rtcp(bytes, start).map_err(drop_reason)
        })
    }

    /// Queues a control datagram for a path.
    ///
    /// # Errors
    /// [`DropReason::QueueFull`].
    pub fn push_control(&mut self, path: Path, datagram: &[u8]) -> Result<(), DropReason> {
        if self.control.is_empty() {
            self.control.clear();
            self.control_paths.clear();
        }
        let handed_out = self.control.next;
        let result = self.control.push(MAX_CONTROL_DATAGRAMS, MAX_CONTROL_BYTES, |bytes| {
            bytes.extend_from_slice(datagram);
            Ok(())
        });
        if self.control.next < handed_out {
            // The lane gave up the room of what was handed out.
            self.control_paths.drain(..handed_out.min(self.control_paths.len()));
        }
        result?;
        self.control_paths.push(path);
        Ok(())
    }

    /// The next run. Media goes to `path`, or nowhere as long as there is none.
    #[inline]
    pub fn poll_transmit(&mut self, now: Instant, path: Option<Path>) -> Option<Transmit<'_>> {
        if let Some(&to) = self.control_paths.get(self.control.next) {
            let rest = self.control_paths.get(self.control.next..).unwrap_or_default();
            let same = rest.iter().take_while(|&&it| it == to).count();
            let run = self.control.take_run(same)?;
            let contents = self.control.bytes.get(run.range)?;
            return Some(Transmit { path: to, contents, segment_size: run.segment_size });
        }
        let to = path?;
        let allowance = self.pacer.allowance(now);
        let run = self.media.take_run(allowance)?;
        let contents = self.media.bytes.get(run.range)?;
        Some(Transmit { path: to, contents, segment_size: run.segment_size })
    }

    /// Whether `poll_transmit` has something for this path.
    #[inline]
    pub fn has_transmit(&self, path: Option<Path>) -> bool {
        !self.control.is_empty() || (path.is_some() && !self.media.is_empty())
    }

    /// Forgets all media.
    pub fn clear_media(&mut self) {
        self.media.clear();
    }
}

fn drop_reason(error: SrtpError) -> DropReason {
    match error {
        SrtpError::NonceReuse => DropReason::NonceReuse,
        SrtpError::TooManyStreams => DropReason::TooManyStreams,
        SrtpError::Provider(_) => DropReason::Internal,
        _ => DropReason::Unwritable,
    }
}

/// Datagrams back to back in one buffer.
#[derive(Debug, Default)]
struct Lane {
    bytes: Vec<u8>,
    lengths: Vec<u32>,
    /// The first datagram that was not handed out.
    next: usize,
    /// Where it starts.
    offset: usize,
}

struct Run {
    range: Range<usize>,
    segment_size: Option<usize>,
}

impl Lane {
    /// Appends what `write` appends, as one datagram. If it fails, or there is no room, nothing is appended.
    #[inline]
    fn push(
        &mut self,
        max_datagrams: usize,
        max_bytes: usize,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), DropReason>,
    ) -> Result<(), DropReason> {
        if self.is_empty() {
            self.clear();
        }
        if self.lengths.len() - self.next >= max_datagrams || self.bytes.len() - self.offset >= max_bytes {
            return Err(DropReason::QueueFull);
        }
        if self.lengths.len() >= 2 * max_datagrams || self.bytes.len() >= 2 * max_bytes {
            self.compact();
        }
        let start = self.bytes.len();
        let result = write(&mut self.bytes);
        let length = self.bytes.len() - start;
        if result.is_err() || length == 0 || length > MAX_PACKET_BYTES {
            self.bytes.truncate(start);
            return result.and(Err(DropReason::Unwritable));
        }
        self.lengths.push(length as u32);
        Ok(())
    }

    /// Takes datagrams of equal length, the last of which may be shorter; at most `allowance` of them.
    #[inline]
    fn take_run(&mut self, allowance: usize) -> Option<Run> {
        let waiting = self.lengths.get(self.next..)?;
        let (&first, others) = waiting.split_first().filter(|_| allowance > 0)?;
        let size = first as usize;
        let (mut count, mut bytes) = (1, size);
        for &length in others {
            let length = length as usize;
            if count >= allowance.min(MAX_RUN_SEGMENTS) || length > size || bytes + length > MAX_RUN_BYTES {
                break;
            }
            count += 1;
            bytes += length;
            if length < size {
                break;
            }
        }
        let start = self.offset;
        self.next += count;
        self.offset += bytes;
        Some(Run { range: start..self.offset, segment_size: (count > 1).then_some(size) })
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.next >= self.lengths.len()
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.lengths.clear();
        self.next = 0;
        self.offset = 0;
    }

    /// Gives up the room of what was handed out.
    fn compact(&mut self) {
        self.bytes.drain(..self.offset.min(self.bytes.len()));
        self.lengths.drain(..self.next.min(self.lengths.len()));
        self.next = 0;
        self.offset = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(port: u16) -> Path {
        Path::udp(([127, 0, 0, 1], 7000).into(), ([127, 0, 0, 1], port).into())
    }

    /// A small deterministic generator: xorshift64*.
    struct Seeded(u64);

    impl Seeded {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
        }
    }

    #[test]
    fn runs_have_the_shape_that_the_kernel_wants() {
        let now = Instant::now();
        let mut random = Seeded(7);
        for _ in 0..300 {
            let mut queue = EgressQueue::default();
            let mut sent = Vec::new();
            for number in 0..random.below(200) {
                let size = [1, 100, 1199, 1200, 1201, 3000][random.below(6) as usize];
                let datagram = vec![number as u8; size];
                let to = path(1 + random.below(2) as u16);
                queue.push_control(to, &datagram).unwrap();
                sent.push((to, datagram));
            }
            let mut received = Vec::new();
            while let Some(transmit) = queue.poll_transmit(now, None) {
                assert!(transmit.contents.len() <= MAX_RUN_BYTES);
                let size = transmit.segment_size.unwrap_or(transmit.contents.len());
                let segments: Vec<_> = transmit.contents.chunks(size).collect();
                assert!(segments.len() <= MAX_RUN_SEGMENTS);
                assert_eq!(segments.len() > 1, transmit.segment_size.is_some());
                received.extend(segments.iter().map(|it| (transmit.path, it.to_vec())));
            }
            assert_eq!(received, sent);
            assert!(queue.control.is_empty());
        }
    }

    #[test]
    fn equal_datagrams_are_one_run() {
        let now = Instant::now();
        let mut queue = EgressQueue::default();
        for size in [1200, 1200, 1200, 700, 1200, 1201] {
            queue.push_control(path(1), &vec![0; size]).unwrap();
        }
        let runs: Vec<_> = std::iter::from_fn(|| {
            queue.poll_transmit(now, None).map(|it| (it.contents.len(), it.segment_size))
        })
        .collect();
        assert_eq!(runs, [(4300, Some(1200)), (1200, None), (1201, None)]);
    }

    #[test]
    fn the_queue_has_an_end() {
        let now = Instant::now();
        let mut queue = EgressQueue::default();
        let full = (0..3000).filter(|_| queue.push_control(path(1), &[0; 100]).is_err()).count();
        assert_eq!(full, 3000 - MAX_CONTROL_DATAGRAMS);
        assert!(queue.poll_transmit(now, None).is_some());
        assert!(queue.push_control(path(1), &[0; 100]).is_ok());
        assert_eq!(queue.push_control(path(1), &[0; MAX_PACKET_BYTES + 1]), Err(DropReason::Unwritable));
        assert_eq!(queue.push_control(path(1), &[]), Err(DropReason::Unwritable));
    }

    #[test]
    fn datagrams_keep_their_paths_in_a_queue_that_never_empties() {
        let now = Instant::now();
        let mut queue = EgressQueue::default();
        let mut next = 0;
        for number in 0..3 * MAX_CONTROL_DATAGRAMS as u16 {
            queue.push_control(path(number), &number.to_be_bytes()).unwrap();
            if number >= 10 {
                let transmit = queue.poll_transmit(now, None).unwrap();
                assert_eq!((transmit.path, transmit.contents), (path(next), &next.to_be_bytes()[..]));
                next += 1;
            }
        }
    }

    #[test]
    fn capacity_is_kept() {
        let now = Instant::now();
        let mut queue = EgressQueue::default();
        let mut capacity = 0;
        for round in 0..100 {
            for _ in 0..50 {
                queue.push_control(path(1), &[0; 1200]).unwrap();
            }
            while queue.poll_transmit(now, None).is_some() {}
            if round == 0 {
                capacity = queue.control.bytes.capacity();
            }
        }
        assert_eq!(queue.control.bytes.capacity(), capacity);
    }
}
