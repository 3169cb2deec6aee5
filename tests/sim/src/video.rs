//! What a browser would make of a video slot: frames put together by what stands in the headers, decoded if what they
//! build upon was decoded, and then compared with the truth.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use patchbay_wire::codec::Vp8Descriptor;

use crate::arrival::{Pace, SlotPacket};
use crate::media::Stamp;

/// Longer than this without a picture is a freeze.
pub const FREEZE: Duration = Duration::from_millis(200);
/// A browser that can't begin asks for a keyframe this often.
const KEYFRAME_WAIT: Duration = Duration::from_millis(200);
/// A browser that can't go on asks for a keyframe after this long.
const FRAME_WAIT: Duration = Duration::from_secs(3);
/// Packets that wait for the rest of their frame.
const MAX_PACKETS: usize = 2_048;
/// Frames that are remembered, or wait for what they build upon.
const MAX_FRAMES: usize = 256;

/// Pictures between one and what it builds upon.
const MAX_REFERENCE: u16 = 128;

/// What a receiver counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VideoStats {
    /// Packets, retransmitted ones included.
    pub packets: u64,
    /// Packets that came by RTX.
    pub recovered: u64,
    /// Frames decoded.
    pub decoded: u64,
    /// Keyframes among them.
    pub keyframes: u64,
    /// Times without a picture for longer than [`FREEZE`].
    pub freezes: u64,
    /// The longest such time.
    pub longest_freeze: Duration,
    /// Keyframes asked for.
    pub keyframe_requests: u64,
}

/// A decoder of one video slot.
#[derive(Debug)]
pub struct VideoReceiver {
    /// Counters.
    pub stats: VideoStats,
    /// First picture of each publisher after another's, or after nothing was shown.
    pub shown: Vec<(Instant, u32)>,
    /// Number of the first frame decoded, at its publisher.
    pub first: Option<u32>,
    /// When the last picture was decoded, and whose it was.
    pub last: Option<(Instant, u32)>,
    /// Packets by sequence number, until their frame is complete.
    packets: BTreeMap<u64, Packet>,
    /// The last sequence numbers that came.
    seen: BTreeSet<u64>,
    /// Complete frames by the sequence number of their first packet.
    frames: BTreeMap<u64, Frame>,
    /// Complete frames whose reference was not decoded.
    waiting: Vec<Frame>,
    /// Base layer frames that were decoded, the last ones.
    bases: VecDeque<Frame>,
    pace: Pace,
    highest: u64,
    last_packet: Option<Instant>,
    waits_since: Option<Instant>,
    asked_at: Option<Instant>,
    /// The last picture, while something is meant to flow: where a freeze would begin.
    flowing: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Packet {
    is_start: bool,
    is_keyframe_start: bool,
    marker: bool,
    timestamp: u32,
    picture_id: u16,
    tl0: u8,
    layer: u8,
    stamp: Stamp,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    first: u64,
    last: u64,
    timestamp: u32,
    picture_id: u16,
    tl0: u8,
    layer: u8,
    is_keyframe: bool,
    stamp: Stamp,
}

impl Default for VideoReceiver {
    fn default() -> Self {
        Self {
            stats: VideoStats::default(),
            shown: Vec::new(),
            first: None,
            last: None,
            packets: BTreeMap::new(),
            seen: BTreeSet::new(),
            frames: BTreeMap::new(),
            waiting: Vec::new(),
            bases: VecDeque::new(),
            pace: Pace::new(90_000),
            highest: 0,
            last_packet: None,
            waits_since: None,
            asked_at: None,
            flowing: None,
        }
    }
}

impl VideoReceiver {
    /// Nothing is meant to flow any more, or not yet: the time until the next picture is no freeze.
    pub(crate) fn pause(&mut self) {
        self.flowing = None;
        self.last = None;
    }

    /// The highest sequence number so far, with its roll-overs.
    pub(crate) fn highest(&self) -> u64 {
        self.highest
    }

    /// When the last packet came.
    pub fn last_packet(&self) -> Option<Instant> {
        self.last_packet
    }

    /// Time without a picture up to now, if something is meant to flow.
    pub fn gap(&self, now: Instant) -> Option<Duration> {
        self.flowing.map(|at| now - at)
    }

    /// Whether the browser would ask for a keyframe now. If so, it is taken as asked for.
    pub(crate) fn wants_keyframe(&mut self, now: Instant) -> bool {
        if self.last_packet.is_none_or(|at| now - at > KEYFRAME_WAIT) {
            return false;
        }
        let has_begun = !self.bases.is_empty();
        let wait = if has_begun { FRAME_WAIT } else { KEYFRAME_WAIT };
        let since = self.waits_since.max(self.asked_at);
        let is_due = since.is_some_and(|at| now - at >= wait);
        if is_due {
            self.asked_at = Some(now);
            self.stats.keyframe_requests += 1;
        }
        is_due
    }

    /// Takes a packet; an error says what a decoder would stumble over.
    pub(crate) fn handle(&mut self, packet: &SlotPacket<'_>) -> Result<(), String> {
        if packet.payload.is_empty() {
            return Ok(());
        }
        let descriptor = Vp8Descriptor::parse(packet.payload).ok_or("a VP8 descriptor that is cut off")?;
        let stamp =
            Stamp::of_video(packet.payload, descriptor.len).ok_or("a VP8 packet without its payload")?;
        if packet.csrc != Some(stamp.publisher) {
            return Err(format!("CSRC {:?} on a picture of {}", packet.csrc, stamp.publisher));
        }
        self.stats.packets += 1;
        self.stats.recovered += u64::from(packet.is_recovered);
        self.highest = self.highest.max(packet.sequence);
        self.last_packet = Some(packet.at);
        self.waits_since.get_or_insert(packet.at);
        self.pace.check(packet.at, packet.timestamp)?;
        let picture_id = descriptor.picture_id.ok_or("no picture id")?.value();
        let read = Packet {
            is_start: descriptor.starts_partition && descriptor.partition == 0,
            is_keyframe_start: descriptor.is_keyframe_start,
            marker: packet.marker,
            timestamp: packet.timestamp,
            picture_id,
            tl0: descriptor.tl0_picture_index.ok_or("no TL0PICIDX")?,
            layer: descriptor.temporal_layer.ok_or("no temporal layer")?.index,
            stamp,
        };
        // A retransmission and its original may both come; the replay protection rules out anything else.
        if !self.seen.insert(packet.sequence) {
            return Ok(());
        }
        self.packets.insert(packet.sequence, read);
        while self.packets.len() > MAX_PACKETS {
            self.packets.pop_first();
        }
        while self.seen.len() > MAX_PACKETS {
            self.seen.pop_first();
        }
        match self.assemble(packet.sequence)? {
            Some(frame) => self.take(packet.at, frame),
            None => Ok(()),
        }
    }

    /// The frame that a packet completes, if it does: from a first packet over consecutive numbers to a marker.
    fn assemble(&mut self, sequence: u64) -> Result<Option<Frame>, String> {
        let Some(&here) = self.packets.get(&sequence) else { return Ok(None) };
        let belongs = |at: u64| self.packets.get(&at).filter(|it| it.timestamp == here.timestamp);
        let mut first = sequence;
        while belongs(first).is_some_and(|it| !it.is_start) {
            first -= 1;
        }
        let mut last = sequence;
        while belongs(last).is_some_and(|it| !it.marker) {
            last += 1;
        }
        let (Some(&start), Some(_)) = (belongs(first), belongs(last)) else { return Ok(None) };
        let frame = Frame {
            first,
            last,
            timestamp: start.timestamp,
            picture_id: start.picture_id,
            tl0: start.tl0,
            layer: start.layer,
            is_keyframe: start.is_keyframe_start,
            stamp: start.stamp,
        };
        for at in first..=last {
            let Some(packet) = self.packets.remove(&at) else { continue };
            let expected = Stamp { packet: (at - first) as u8, ..start.stamp };
            if packet.stamp != expected || packet.picture_id != start.picture_id || packet.tl0 != start.tl0 {
                return Err(format!("a frame with foreign packets: {:?} in {:?}", packet.stamp, start.stamp));
            }
        }
        if last - first + 1 != u64::from(start.stamp.packets) {
            return Err(format!("{} packets taken for a whole frame: {:?}", last - first + 1, start.stamp));
        }
        if frame.is_keyframe != frame.stamp.is_keyframe {
            return Err(format!("keyframe or not? {:?}", frame.stamp));
        }
        Ok(Some(frame))
    }

    /// A complete frame: its numbers have to fit those of its neighbours.
    fn take(&mut self, at: Instant, frame: Frame) -> Result<(), String> {
        let before = self.frames.range(..frame.first).next_back().map(|(_, it)| *it);
        let after = self.frames.range(frame.first..).next().map(|(_, it)| *it);
        for (earlier, later) in
            [before.map(|it| (it, frame)), after.map(|it| (frame, it))].into_iter().flatten()
        {
            check_neighbours(&earlier, &later)?;
        }
        self.frames.insert(frame.first, frame);
        while self.frames.len() > MAX_FRAMES {
            self.frames.pop_first();
        }
        self.decode(at, frame)?;
        // What waited may follow now.
        let mut has_progress = true;
        while std::mem::take(&mut has_progress) {
            for frame in std::mem::take(&mut self.waiting) {
                let before = self.stats.decoded;
                self.decode(at, frame)?;
                has_progress |= self.stats.decoded > before;
            }
        }
        Ok(())
    }

    /// Decodes a frame if what it builds upon was decoded, as far as its numbers tell (RFC 7741 §4.2); else it waits.
    fn decode(&mut self, at: Instant, frame: Frame) -> Result<(), String> {
        if !frame.is_keyframe {
            let wanted = if frame.layer == 0 { frame.tl0.wrapping_sub(1) } else { frame.tl0 };
            // TL0PICIDX comes round after 256 frames; picture ids tell that it has.
            let is_recent =
                |base: &Frame| frame.picture_id.wrapping_sub(base.picture_id) & 0x7fff < MAX_REFERENCE;
            let base = self.bases.iter().rev().find(|base| base.tl0 == wanted && is_recent(base));
            let Some(Frame { stamp: base, .. }) = base else {
                self.waiting.push(frame);
                let excess = self.waiting.len().saturating_sub(MAX_FRAMES);
                self.waiting.drain(..excess);
                return Ok(());
            };
            if (base.publisher, base.frame) != (frame.stamp.publisher, frame.stamp.reference) {
                return Err(format!("a broken picture: {:?} was decoded upon {base:?}", frame.stamp));
            }
        }
        if frame.layer == 0 {
            self.bases.push_back(frame);
            if self.bases.len() > MAX_FRAMES {
                self.bases.pop_front();
            }
        }
        if frame.is_keyframe {
            self.waiting.retain(|it| it.first > frame.first);
            self.stats.keyframes += 1;
        }
        self.stats.decoded += 1;
        if let Some(before) = self.flowing.filter(|before| at - *before > FREEZE) {
            self.stats.freezes += 1;
            self.stats.longest_freeze = self.stats.longest_freeze.max(at - before);
        }
        self.flowing = Some(at);
        self.waits_since = Some(at);
        self.asked_at = None;
        if self.last.is_none_or(|(_, publisher)| publisher != frame.stamp.publisher) {
            self.shown.push((at, frame.stamp.publisher));
        }
        self.last = Some((at, frame.stamp.publisher));
        self.first.get_or_insert(frame.stamp.frame);
        Ok(())
    }
}

fn check_neighbours(earlier: &Frame, later: &Frame) -> Result<(), String> {
    let is_later = |a: u32, b: u32| b.wrapping_sub(a) as i32 > 0;
    if earlier.last >= later.first || !is_later(earlier.timestamp, later.timestamp) {
        return Err(format!("frames out of order: {earlier:?}, then {later:?}"));
    }
    if earlier.last + 1 == later.first {
        let picture = later.picture_id.wrapping_sub(earlier.picture_id) & 0x7fff;
        let tl0 = later.tl0.wrapping_sub(earlier.tl0);
        let tl0_expected = u8::from(later.layer == 0);
        if picture != 1 || tl0 != tl0_expected {
            return Err(format!("picture ids do not follow: {earlier:?}, then {later:?}"));
        }
    }
    Ok(())
}
