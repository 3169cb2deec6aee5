//! The egress machinery of one slot: decides about each packet of its source, and makes it fit the slot's stream.
//!
//! A forwarder has a feed that flows and perhaps one that waits for its keyframe. Until that comes the old feed goes on;
//! with the keyframe's first packet the stream switches over, continuing every running number. Where layers are
//! selected one day, that is a question to ask before the packet is rewritten, with [`Verdict::Drop`] as an answer.

mod descriptor;
mod payload;
pub(crate) mod rewrite;
mod sent;

use std::time::{Duration, Instant};

use patchbay_wire::codec::PayloadFormat;
use patchbay_wire::rtcp::SenderInfo;
use patchbay_wire::rtp::{PayloadType, RtpTimestamp, SequenceNumber, Ssrc};

use super::clock::WallNanos;
use super::codec::Payload;
use super::key::TrackKey;
use super::track::PacketMeta;
use payload::PayloadRewriter;
use rewrite::{Cadence, SequenceRewriter, TimestampRewriter};

pub(crate) use descriptor::{Descriptor, Prefix};
pub(crate) use sent::{Resend, Sent, SentLog};

/// Packets of a video slot that can be asked for again: about 1 s at 4 Mbit/s.
const VIDEO_SENT: usize = 512;
/// The same for an audio slot; browsers don't ask for audio by default.
const AUDIO_SENT: usize = 64;

/// A packet as its track has parsed it, once for all forwarders.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Incoming<'a> {
    pub(crate) track: TrackKey,
    pub(crate) generation: u32,
    pub(crate) meta: PacketMeta,
    /// Without padding; empty if it was all padding.
    pub(crate) payload: &'a [u8],
    pub(crate) format: PayloadFormat,
    pub(crate) descriptor: Descriptor,
    /// No later packet came before it.
    pub(crate) is_newest: bool,
}

/// What becomes of a packet in one slot.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is sent like this.
    Forward(Outgoing),
    /// It is not sent.
    Drop(DropReason),
}

/// Why a packet is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DropReason {
    /// The slot shows another source, or waits for this one's keyframe.
    Waiting,
    /// Nothing but padding.
    Padding,
    /// A payload type the slot can't carry.
    Payload,
    /// It is from before the switch, or later than anything remembered.
    Late,
}

/// The rewritten part of a packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outgoing {
    pub(crate) sequence: u64,
    pub(crate) timestamp: RtpTimestamp,
    pub(crate) payload_type: PayloadType,
    pub(crate) prefix: Prefix,
    /// With this packet the slot switched to its track.
    pub(crate) is_switch: bool,
}

/// A source of the slot's stream.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) track: TrackKey,
    /// Payload types of the track, and the slot's that carry them.
    payloads: Vec<(PayloadType, Payload)>,
    generation: u32,
    format: PayloadFormat,
    pub(crate) clock_rate: u32,
}

impl Feed {
    /// A feed that has not begun.
    pub(crate) fn new(track: TrackKey, payloads: Vec<(PayloadType, Payload)>) -> Self {
        Self { track, payloads, generation: 0, format: PayloadFormat::Other, clock_rate: 1 }
    }

    fn carrier(&self, payload_type: PayloadType) -> Option<Payload> {
        self.payloads.iter().find(|(source, _)| *source == payload_type).map(|(_, carrier)| *carrier)
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Forwarder {
    /// The slot's SSRC.
    pub(crate) ssrc: Ssrc,
    /// That of its retransmissions.
    pub(crate) rtx_ssrc: Option<Ssrc>,
    current: Option<Feed>,
    pending: Option<Feed>,
    /// The pending feed is there, but its first packet came too early for a place of its own: nothing of the current one
    /// is sent any more, or the next would come too early again.
    is_ending: bool,
    sequence: SequenceRewriter,
    highest: u64,
    timestamp: TimestampRewriter,
    payload: PayloadRewriter,
    sent: SentLog,
    rtx_next: u64,
    packet_count: u32,
    octet_count: u32,
    is_audio: bool,
}

/// Numbers a stream begins with: unpredictable, as RFC 3550 §5.1 asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FirstNumbers(pub(crate) u64);

impl Forwarder {
    pub(crate) fn new(ssrc: Ssrc, rtx_ssrc: Option<Ssrc>, is_audio: bool, first: FirstNumbers) -> Self {
        let [a, b, c, d, e, f, g, h] = first.0.to_be_bytes();
        // In the lower half, so that a receiver can't mistake the first packets' roll-over (RFC 3711 §3.3.1).
        let sequence = u16::from_be_bytes([a, b]) >> 1;
        let rtx = u16::from_be_bytes([c, d]) >> 1;
        Self {
            ssrc,
            rtx_ssrc,
            current: None,
            pending: None,
            is_ending: false,
            sequence: SequenceRewriter::new(sequence),
            highest: u64::from(sequence),
            timestamp: TimestampRewriter::new(RtpTimestamp(u32::from_be_bytes([e, f, g, h]))),
            payload: PayloadRewriter::None,
            sent: SentLog::new(if is_audio { AUDIO_SENT } else { VIDEO_SENT }),
            rtx_next: u64::from(rtx),
            packet_count: 0,
            octet_count: 0,
            is_audio,
        }
    }

    /// Waits for the keyframe of another source, while the current one goes on.
    pub(crate) fn prepare(&mut self, feed: Feed) {
        self.pending = Some(feed);
    }

    /// Stays with the current source after all. Returns the one that was waited for.
    pub(crate) fn cancel(&mut self) -> Option<TrackKey> {
        self.is_ending = false;
        self.pending.take().map(|feed| feed.track)
    }

    /// Ends all sources at once.
    pub(crate) fn stop(&mut self) {
        self.current = None;
        self.pending = None;
        self.is_ending = false;
        self.sequence.stop();
    }

    /// Ends all sources, and forgets what was sent but not its numbers.
    pub(crate) fn retire(&mut self) {
        self.stop();
        self.sent = SentLog::new(if self.is_audio { AUDIO_SENT } else { VIDEO_SENT });
    }

    /// Ends what comes from one track.
    pub(crate) fn remove(&mut self, track: TrackKey) {
        if self.pending.take_if(|feed| feed.track == track).is_some() {
            self.is_ending = false;
        }
        if self.current.take_if(|feed| feed.track == track).is_some() {
            self.sequence.stop();
        }
    }

    /// The track that flows.
    pub(crate) fn current(&self) -> Option<&Feed> {
        self.current.as_ref()
    }

    /// The track whose keyframe is waited for.
    pub(crate) fn pending(&self) -> Option<&Feed> {
        self.pending.as_ref()
    }

    /// Replaces the payload types of a source that goes on, after a renegotiation of either side.
    pub(crate) fn renegotiate(&mut self, track: TrackKey, payloads: Vec<(PayloadType, Payload)>) {
        let feeds = [self.current.as_mut(), self.pending.as_mut()];
        if let Some(feed) = feeds.into_iter().flatten().find(|feed| feed.track == track) {
            feed.payloads = payloads;
        }
    }

    /// Decides about a packet of one of its sources.
    #[inline]
    pub(crate) fn handle(&mut self, now: Instant, packet: &Incoming<'_>) -> Verdict {
        if self.pending.as_ref().is_some_and(|feed| feed.track == packet.track) {
            if packet.descriptor.is_start && packet.is_newest && !packet.payload.is_empty() {
                if let Some(feed) = self.pending.take() {
                    return self.switch(now, feed, packet);
                }
            } else if self.current.as_ref().is_none_or(|feed| feed.track != packet.track) {
                return Verdict::Drop(DropReason::Waiting);
            }
        }
        let Some(feed) = self.current.as_ref().filter(|feed| feed.track == packet.track) else {
            return Verdict::Drop(DropReason::Waiting);
        };
        if self.is_ending {
            self.sequence.skip(packet.meta.sequence);
            return Verdict::Drop(DropReason::Waiting);
        }
        let Some(carrier) = feed.carrier(packet.meta.payload_type) else {
            self.sequence.skip(packet.meta.sequence);
            return Verdict::Drop(DropReason::Payload);
        };
        if feed.generation != packet.generation || feed.format != packet.format {
            // The publisher's stream started over, perhaps with another codec.
            if !packet.descriptor.is_start || !packet.is_newest || packet.payload.is_empty() {
                return Verdict::Drop(DropReason::Waiting);
            }
            let Some(feed) = self.current.take() else { return Verdict::Drop(DropReason::Waiting) };
            let waiting = self.pending.take();
            let verdict = self.switch(now, feed, packet);
            if waiting.is_some() {
                // What waited before goes on doing so. If the packet came too early for a place, its feed stays until then
                // and its next packet is tried.
                if let Some(early) = std::mem::replace(&mut self.pending, waiting) {
                    self.current = Some(early);
                    self.is_ending = false;
                }
            }
            return verdict;
        }
        if packet.payload.is_empty() && self.sequence.skip(packet.meta.sequence) {
            return Verdict::Drop(DropReason::Padding);
        }
        self.forward(now, packet, carrier.payload_type, false)
    }

    fn switch(&mut self, now: Instant, mut feed: Feed, packet: &Incoming<'_>) -> Verdict {
        let Some(carrier) = feed.carrier(packet.meta.payload_type) else {
            self.pending = Some(feed);
            return Verdict::Drop(DropReason::Payload);
        };
        let cadence = if self.is_audio {
            Cadence::audio(carrier.clock_rate)
        } else {
            Cadence::video(carrier.clock_rate)
        };
        if !self.timestamp.switch(now, packet.meta.timestamp, cadence) {
            self.pending = Some(feed);
            self.is_ending = true;
            return Verdict::Drop(DropReason::Waiting);
        }
        self.is_ending = false;
        feed.generation = packet.generation;
        feed.format = packet.format;
        feed.clock_rate = carrier.clock_rate;
        self.sequence.switch(packet.meta.sequence);
        self.payload.switch(packet.format);
        self.current = Some(feed);
        self.forward(now, packet, carrier.payload_type, true)
    }

    #[inline]
    fn forward(
        &mut self,
        now: Instant,
        packet: &Incoming<'_>,
        payload_type: PayloadType,
        is_switch: bool,
    ) -> Verdict {
        let Some(sequence) = self.sequence.rewrite(packet.meta.sequence) else {
            return Verdict::Drop(DropReason::Late);
        };
        let timestamp = self.timestamp.rewrite(now, packet.meta.timestamp);
        let numbers = self.payload.rewrite(packet.descriptor.numbers);
        let prefix = Prefix::write(packet.format, numbers, packet.payload);
        self.highest = self.highest.max(sequence);
        self.packet_count = self.packet_count.wrapping_add(1);
        self.octet_count = self.octet_count.wrapping_add(packet.payload.len() as u32);
        if self.rtx_ssrc.is_some() {
            self.sent.push(Sent {
                sequence,
                track: packet.track,
                source_sequence: packet.meta.sequence,
                timestamp,
                payload_type,
                numbers,
                resent: None,
                times: 0,
            });
        }
        Verdict::Forward(Outgoing { sequence, timestamp, payload_type, prefix, is_switch })
    }

    /// Looks up a packet that the subscriber misses.
    pub(crate) fn resend(&mut self, now: Instant, number: SequenceNumber, interval: Duration) -> Resend {
        self.sent.resend(now, number, self.highest, interval)
    }

    /// What was sent so far is not sent again.
    pub(crate) fn forget_sent(&mut self) {
        self.sent.forget();
    }

    /// The next extended sequence number of the slot's retransmissions.
    pub(crate) fn next_rtx_sequence(&mut self) -> u64 {
        let sequence = self.rtx_next;
        self.rtx_next += 1;
        sequence
    }

    /// What a sender report says at `wall`, when the current source stands at `source_timestamp`.
    pub(crate) fn sender_info(&self, wall: WallNanos, source_timestamp: RtpTimestamp) -> SenderInfo {
        SenderInfo {
            ntp: wall.ntp(),
            rtp: self.timestamp.map(source_timestamp),
            packet_count: self.packet_count,
            octet_count: self.octet_count,
        }
    }
}
