//! Streams that the peer sends: numbering, extensions, history for retransmission, sender reports.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use patchbay_sfu_core::OutgoingRtp;
use patchbay_sfu_core::transport::EgressQueue;
use patchbay_wire::rtp::{RtpTimestamp, Ssrc};
use patchbay_wire::srtp::SrtpSender;

use crate::description::{MediaKind, extension_id};

/// Packets that can be sent again.
const HISTORY: usize = 512;

/// One RTP packet to send. The peer numbers it and adds the header extensions.
#[derive(Debug, Clone, Copy)]
pub struct RtpToSend<'a> {
    /// One of [`payload_type`](crate::payload_type).
    pub payload_type: u8,
    /// Last packet of a frame.
    pub marker: bool,
    /// In ticks of the codec's clock.
    pub timestamp: u32,
    /// Loudness of audio (RFC 6464): voice activity, and 0 (loudest) to 127 (silence).
    pub audio_level: Option<(bool, u8)>,
    /// The payload.
    pub payload: &'a [u8],
}

pub(crate) struct Outbound {
    pub(crate) mid: String,
    pub(crate) rid: Option<String>,
    pub(crate) kind: MediaKind,
    pub(crate) ssrc: u32,
    pub(crate) rtx_ssrc: Option<u32>,
    /// Whether the receiver has reported on the stream: from then on it knows where it belongs, and browsers leave mid
    /// and rid out.
    pub(crate) is_known: bool,
    next_index: u64,
    next_rtx_index: u64,
    history: VecDeque<Sent>,
    packets: u32,
    octets: u32,
    last: Option<(u32, Instant)>,
}

#[derive(Default)]
struct Sent {
    index: u64,
    payload_type: u8,
    marker: bool,
    timestamp: u32,
    payload: Vec<u8>,
}

impl Outbound {
    pub(crate) fn new(
        mid: &str,
        rid: Option<String>,
        kind: MediaKind,
        ssrc: u32,
        rtx_ssrc: Option<u32>,
        first: u16,
    ) -> Self {
        Self {
            mid: mid.to_owned(),
            rid,
            kind,
            ssrc,
            rtx_ssrc,
            is_known: false,
            next_index: u64::from(first),
            next_rtx_index: 1,
            history: VecDeque::new(),
            packets: 0,
            octets: 0,
            last: None,
        }
    }

    /// Sends a packet; says whether it was queued.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        packet: &RtpToSend<'_>,
        transport_sequence: u16,
        queue: &mut EgressQueue,
        srtp: &mut SrtpSender,
    ) -> bool {
        let index = self.next_index;
        self.next_index += 1;
        let is_queued = self.write(
            &OutgoingRtp {
                marker: packet.marker,
                payload_type: packet.payload_type,
                extended_sequence: index,
                timestamp: RtpTimestamp(packet.timestamp),
                ssrc: Ssrc(self.ssrc),
                csrc: None,
                extensions: &[],
                prefix: &[],
                payload: packet.payload,
            },
            packet.audio_level,
            transport_sequence,
            queue,
            srtp,
        );
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(packet.payload.len() as u32);
        self.last = Some((packet.timestamp, now));
        if self.rtx_ssrc.is_some() {
            self.remember(index, packet);
        }
        is_queued
    }

    /// Sends a packet again on the RTX stream, if it is still known and there is such a stream.
    pub(crate) fn resend(
        &mut self,
        sequence: u16,
        rtx_payload_type: impl FnOnce(u8) -> Option<u8>,
        transport_sequence: u16,
        queue: &mut EgressQueue,
        srtp: &mut SrtpSender,
    ) -> bool {
        let Some(rtx_ssrc) = self.rtx_ssrc else { return false };
        let Some(at) = self.history.iter().rposition(|it| it.index as u16 == sequence) else { return false };
        let Some(sent) = self.history.get_mut(at).map(std::mem::take) else { return false };
        let Some(payload_type) = rtx_payload_type(sent.payload_type) else { return false };
        let index = self.next_rtx_index;
        self.next_rtx_index += 1;
        let is_queued = self.write(
            &OutgoingRtp {
                marker: sent.marker,
                payload_type,
                extended_sequence: index,
                timestamp: RtpTimestamp(sent.timestamp),
                ssrc: Ssrc(rtx_ssrc),
                csrc: None,
                extensions: &[],
                prefix: &sequence.to_be_bytes(),
                payload: &sent.payload,
            },
            None,
            transport_sequence,
            queue,
            srtp,
        );
        if let Some(slot) = self.history.get_mut(at) {
            *slot = sent;
        }
        is_queued
    }

    /// Appends a sender report (RFC 3550 §6.4.1), if anything was sent yet.
    pub(crate) fn write_report(&self, now: Instant, ntp: u64, clock_rate: u32, out: &mut Vec<u8>) {
        let Some((timestamp, at)) = self.last else { return };
        let ticks = now.saturating_duration_since(at).as_secs_f64() * f64::from(clock_rate);
        out.extend_from_slice(&[0x80, 200, 0, 6]);
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(&ntp.to_be_bytes());
        out.extend_from_slice(&timestamp.wrapping_add(ticks as u32).to_be_bytes());
        out.extend_from_slice(&self.packets.to_be_bytes());
        out.extend_from_slice(&self.octets.to_be_bytes());
    }

    pub(crate) fn clock_rate(&self) -> u32 {
        match self.kind {
            MediaKind::Audio => 48_000,
            MediaKind::Video => 90_000,
        }
    }

    fn write(
        &self,
        packet: &OutgoingRtp<'_>,
        audio_level: Option<(bool, u8)>,
        transport_sequence: u16,
        queue: &mut EgressQueue,
        srtp: &mut SrtpSender,
    ) -> bool {
        let is_rtx = packet.ssrc.0 != self.ssrc;
        let rid_id = if is_rtx { extension_id::REPAIRED_RID } else { extension_id::RID };
        let level = audio_level.map_or(0, |(is_voice, level)| u8::from(is_voice) << 7 | level & 0x7f);
        let (level, sequence) = ([level], transport_sequence.to_be_bytes());
        let mut extensions = [(0, &[][..]); 4];
        let mut count = 0;
        let candidates = [
            (true, extension_id::TRANSPORT_SEQUENCE, &sequence[..]),
            (audio_level.is_some(), extension_id::AUDIO_LEVEL, &level[..]),
            (!self.is_known, extension_id::MID, self.mid.as_bytes()),
            (
                !self.is_known && self.rid.is_some(),
                rid_id,
                self.rid.as_deref().unwrap_or_default().as_bytes(),
            ),
        ];
        for (_, id, value) in candidates.into_iter().filter(|it| it.0) {
            if let Some(slot) = extensions.get_mut(count) {
                *slot = (id, value);
                count += 1;
            }
        }
        let extensions = extensions.get(..count).unwrap_or_default();
        queue.push_rtp(&OutgoingRtp { extensions, ..*packet }, srtp).is_ok()
    }

    fn remember(&mut self, index: u64, packet: &RtpToSend<'_>) {
        // The oldest entry's buffer is used again.
        let mut sent =
            if self.history.len() >= HISTORY { self.history.pop_front() } else { None }.unwrap_or_default();
        sent.index = index;
        sent.payload_type = packet.payload_type;
        sent.marker = packet.marker;
        sent.timestamp = packet.timestamp;
        sent.payload.clear();
        sent.payload.extend_from_slice(packet.payload);
        self.history.push_back(sent);
    }
}

/// NTP time (RFC 3550 §4) of an instant, in a clock of our own that began some time in 2024.
pub(crate) fn ntp(started: Instant, now: Instant) -> u64 {
    const BEGINNING: u64 = 3_900_000_000;
    let elapsed = now.saturating_duration_since(started) + Duration::from_secs(BEGINNING);
    (elapsed.as_secs() << 32) | ((u64::from(elapsed.subsec_nanos()) << 32) / 1_000_000_000)
}
