//! Synthetic media: VP8 with two temporal layers and Opus with levels, every packet stamped with where it came from.
//!
//! What a browser reads of a packet (payload descriptor, picture ids, keyframe bit) is as real as what an encoder
//! writes. Behind it lies a [`Stamp`] that nobody on the way looks at, so that a receiver can compare what the running
//! numbers made it believe with the truth.

use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;

/// Bytes of a VP8 payload descriptor with picture id, TL0PICIDX and temporal layer.
const DESCRIPTOR_BYTES: usize = 6;
/// Bytes of VP8's own header at the start of a keyframe (RFC 6386 §9.1).
const FRAME_HEADER_BYTES: usize = 10;
/// Bytes of a stamp.
const STAMP_BYTES: usize = 16;
/// Time one Opus packet covers.
pub const AUDIO_INTERVAL: Duration = Duration::from_millis(20);
/// Ticks of the 48 kHz clock in that time.
pub const AUDIO_TICKS: u32 = 960;

/// Where a packet came from, in truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Number of the participant who sent it.
    pub publisher: u32,
    /// Number of the frame, from 1. Of an Opus packet: its own number.
    pub frame: u32,
    /// The frame that it builds upon; of a keyframe itself.
    pub reference: u32,
    /// Number of the packet in its frame, from 0.
    pub packet: u8,
    /// Packets of the frame.
    pub packets: u8,
    /// Whether the frame stands for itself.
    pub is_keyframe: bool,
}

impl Stamp {
    fn to_bytes(self) -> [u8; STAMP_BYTES] {
        let mut bytes = [0; STAMP_BYTES];
        bytes[..4].copy_from_slice(&self.publisher.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.frame.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.reference.to_be_bytes());
        bytes[12..15].copy_from_slice(&[self.packet, self.packets, u8::from(self.is_keyframe)]);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
        let &[packet, packets, is_keyframe, _] = bytes.get(12..STAMP_BYTES)? else { return None };
        Some(Self {
            publisher: word(0)?,
            frame: word(4)?,
            reference: word(8)?,
            packet,
            packets,
            is_keyframe: is_keyframe != 0,
        })
    }

    /// The stamp behind the descriptor of a VP8 payload, which has this many bytes.
    pub fn of_video(payload: &[u8], descriptor_bytes: usize) -> Option<Self> {
        Self::from_bytes(payload.get(descriptor_bytes + FRAME_HEADER_BYTES..)?)
    }

    /// The stamp of an Opus payload.
    pub fn of_audio(payload: &[u8]) -> Option<Self> {
        Self::from_bytes(payload.get(1..)?)
    }
}

/// A packet to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaPacket {
    /// Last one of its frame.
    pub marker: bool,
    /// In ticks of the codec's clock.
    pub timestamp: u32,
    /// Voice activity and RFC 6464 level, of audio.
    pub level: Option<(bool, u8)>,
    /// The payload.
    pub payload: Vec<u8>,
}

/// How a camera behaves.
#[derive(Debug, Clone, Copy)]
pub struct VideoPlan {
    /// Frames a second.
    pub rate: u32,
    /// Bits a second, about.
    pub bitrate: u32,
    /// Longest time between keyframes that nobody asked for.
    pub keyframe_interval: Duration,
}

impl Default for VideoPlan {
    /// 30 frames a second at 1 Mbit/s, with a keyframe every 20 s.
    fn default() -> Self {
        Self { rate: 30, bitrate: 1_000_000, keyframe_interval: Duration::from_secs(20) }
    }
}

/// A camera.
#[derive(Debug)]
pub struct VideoSource {
    publisher: u32,
    plan: VideoPlan,
    started: Instant,
    base_timestamp: u32,
    pub(crate) next_at: Instant,
    pub(crate) is_on: bool,
    pub(crate) wants_keyframe: bool,
    last_keyframe: Option<Instant>,
    /// Frames sent so far.
    pub(crate) frames: u32,
    /// Keyframes sent so far.
    pub(crate) keyframes: u32,
    picture_id: u16,
    tl0: u8,
    last_base: u32,
}

/// Bytes of one video packet. Encoders fill packets to about this much.
const VIDEO_PACKET_BYTES: u32 = 1_100;
/// A keyframe is that many times the size of another frame.
const KEYFRAME_WEIGHT: u32 = 4;

impl VideoSource {
    pub(crate) fn new(now: Instant, publisher: u32, plan: VideoPlan, rng: &mut StdRng) -> Self {
        Self {
            publisher,
            plan,
            started: now,
            base_timestamp: rng.random(),
            next_at: now + Duration::from_micros(rng.random_range(0..33_000)),
            is_on: true,
            wants_keyframe: true,
            last_keyframe: None,
            frames: 0,
            keyframes: 0,
            picture_id: rng.random_range(0..0x8000),
            tl0: rng.random(),
            last_base: 0,
        }
    }

    /// The packets of the frame that is due.
    pub(crate) fn frame(&mut self, now: Instant, rng: &mut StdRng) -> Vec<MediaPacket> {
        self.next_at = now + Duration::from_secs(1) / self.plan.rate;
        if !self.is_on {
            return Vec::new();
        }
        let is_old = self.last_keyframe.is_none_or(|at| now - at >= self.plan.keyframe_interval);
        let is_keyframe = std::mem::take(&mut self.wants_keyframe) || is_old;
        self.frames += 1;
        self.picture_id = (self.picture_id + 1) & 0x7fff;
        // Every other frame is of the upper temporal layer, and nothing builds upon it.
        let is_base = is_keyframe || self.frames - self.last_base >= 2;
        let reference = if is_keyframe { self.frames } else { self.last_base };
        if is_base {
            self.tl0 = self.tl0.wrapping_add(1);
            self.last_base = self.frames;
        }
        if is_keyframe {
            self.last_keyframe = Some(now);
            self.keyframes += 1;
        }
        let weight = if is_keyframe { KEYFRAME_WEIGHT } else { 1 };
        let bytes = self.plan.bitrate / 8 / self.plan.rate * weight * rng.random_range(80..=120) / 100;
        let packets = bytes.div_ceil(VIDEO_PACKET_BYTES).clamp(1, 200);
        let body = (bytes / packets) as usize;
        let ticks = (now - self.started).as_nanos() * 90_000 / 1_000_000_000;
        let timestamp = self.base_timestamp.wrapping_add(ticks as u32);
        (0..packets as u8)
            .map(|packet| {
                let is_first = packet == 0;
                let [high, low] = (self.picture_id | 0x8000).to_be_bytes();
                let layer = if is_base { 0 } else { 0b0110_0000 };
                let non_reference = if is_base { 0 } else { 0x20 };
                let mut payload =
                    Vec::with_capacity(DESCRIPTOR_BYTES + FRAME_HEADER_BYTES + STAMP_BYTES + body);
                payload.extend([
                    0x80 | non_reference | u8::from(is_first) << 4,
                    0xe0,
                    high,
                    low,
                    self.tl0,
                    layer,
                ]);
                let mut header = [0x11, 0x22, 0x33, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00];
                header[0] = if is_first && is_keyframe { 0x10 } else { 0x11 };
                payload.extend(header);
                let packets = packets as u8;
                let stamp = Stamp {
                    publisher: self.publisher,
                    frame: self.frames,
                    reference,
                    packet,
                    packets,
                    is_keyframe,
                };
                payload.extend(stamp.to_bytes());
                payload.resize(payload.len() + body.saturating_sub(STAMP_BYTES + FRAME_HEADER_BYTES), 0);
                MediaPacket { marker: packet + 1 == packets, timestamp, level: None, payload }
            })
            .collect()
    }
}

/// A microphone.
#[derive(Debug)]
pub struct AudioSource {
    publisher: u32,
    base_timestamp: u32,
    pub(crate) next_at: Instant,
    pub(crate) is_on: bool,
    /// RFC 6464: 0 is the loudest, 127 silence.
    pub(crate) level: u8,
    /// Packets, sent or not: time goes on while a microphone is off.
    ticks: u32,
    /// Packets sent so far.
    pub(crate) packets: u32,
}

/// Louder than this is a voice.
const VOICE_LEVEL: u8 = 50;

impl AudioSource {
    pub(crate) fn new(now: Instant, publisher: u32, level: u8, rng: &mut StdRng) -> Self {
        Self {
            publisher,
            base_timestamp: rng.random(),
            next_at: now + Duration::from_micros(rng.random_range(0..20_000)),
            is_on: true,
            level,
            ticks: 0,
            packets: 0,
        }
    }

    /// The packet that is due.
    pub(crate) fn packet(&mut self, now: Instant) -> Option<MediaPacket> {
        self.next_at = now + AUDIO_INTERVAL;
        self.ticks += 1;
        if !self.is_on {
            return None;
        }
        self.packets += 1;
        let stamp = Stamp {
            publisher: self.publisher,
            frame: self.ticks,
            reference: self.ticks,
            packet: 0,
            packets: 1,
            is_keyframe: true,
        };
        let mut payload = vec![0xfc];
        payload.extend(stamp.to_bytes());
        payload.resize(80, 0);
        Some(MediaPacket {
            marker: false,
            timestamp: self.base_timestamp.wrapping_add(self.ticks.wrapping_mul(AUDIO_TICKS)),
            level: Some((self.level < VOICE_LEVEL, self.level)),
            payload,
        })
    }
}
