//! RTCP from members: reports, and what subscribers ask for.

use std::time::{Duration, Instant};

use patchbay_protocol::MediaKind;
use patchbay_wire::codec::PayloadFormat;
use patchbay_wire::rtcp::{self, Nack, ReportBlock, RtcpPacket, SenderReport};
use patchbay_wire::rtp::Ssrc;
use patchbay_wire::rtx;

use super::Router;
use super::clock::WallNanos;
use super::forwarder::{Prefix, Resend};
use super::key::{MemberKey, SlotKey};
use crate::{Egress, OutgoingRtp, TransportKey};

/// Packets served for one NACK. A burst larger than this is past repairing.
const MAX_RESENDS: usize = 256;
/// A packet is not sent again to the same subscriber within less than this.
const MIN_RESEND_INTERVAL: Duration = Duration::from_millis(10);
/// A round trip longer than this is a stale or forged report. In 1/65,536 s.
const MAX_REPORTED_DELAY: u32 = 10 << 16;

impl Router {
    /// Takes one decrypted compound RTCP packet.
    pub fn handle_rtcp(&mut self, now: Instant, from: TransportKey, compound: &[u8], out: &mut impl Egress) {
        let Some(member) = self.member_key(from) else { return };
        self.timers.touch(now);
        for packet in rtcp::packets(compound) {
            match packet {
                Ok(RtcpPacket::SenderReport(report)) => {
                    self.handle_sender_report(now, member, &report);
                    report.blocks().for_each(|block| self.handle_block(now, member, &block));
                }
                Ok(RtcpPacket::ReceiverReport(report)) => {
                    report.blocks().for_each(|block| self.handle_block(now, member, &block));
                }
                Ok(RtcpPacket::Nack(nack)) => self.handle_nack(now, member, &nack, out),
                Ok(RtcpPacket::Pli(pli)) => self.handle_keyframe_request(now, member, pli.media, out),
                Ok(RtcpPacket::Fir(fir)) => {
                    fir.requests().for_each(|(ssrc, _)| self.handle_keyframe_request(now, member, ssrc, out));
                }
                // The end of a stream is said in signaling; bandwidth feedback has no reader yet.
                Ok(
                    RtcpPacket::Bye(_) | RtcpPacket::Remb(_) | RtcpPacket::Twcc(_) | RtcpPacket::Other { .. },
                ) => {}
                Err(_) => self.counters.rtcp_malformed += 1,
            }
        }
    }

    fn handle_sender_report(&mut self, now: Instant, member: MemberKey, report: &SenderReport<'_>) {
        let Some(key) = self.media_of(member, report.sender) else { return };
        let (Some(track), Some(member)) = (self.tracks.get_mut(key), self.members.get_mut(member)) else {
            return;
        };
        let theirs = WallNanos::from(report.info.ntp);
        member.clock.handle_report(theirs, self.clock.wall(now));
        track.clock.handle_report(theirs, report.info.rtp);
        track.handle_sender_report(now, report.info.ntp.middle());
    }

    fn handle_block(&mut self, now: Instant, key: MemberKey, block: &ReportBlock) {
        if block.last_sender_report == 0 || self.slot_of(key, block.ssrc).is_none() {
            return;
        }
        let now_middle = self.clock.wall(now).ntp().middle();
        let delay = now_middle.wrapping_sub(block.last_sender_report).wrapping_sub(block.delay_since_last);
        if delay < MAX_REPORTED_DELAY
            && let Some(member) = self.members.get_mut(key)
        {
            member.round_trip.handle(Duration::from_nanos((u64::from(delay) * 1_000_000_000) >> 16));
        }
    }

    fn handle_nack(&mut self, now: Instant, member: MemberKey, nack: &Nack<'_>, out: &mut impl Egress) {
        let Some(slot_key) = self.slot_of(member, nack.media) else { return };
        let Some(interval) = self.members.get(member).map(|member| member.round_trip.get() * 3 / 4) else {
            return;
        };
        let Some(slot) = self.slots.get_mut(slot_key) else { return };
        for number in nack.sequences().take(MAX_RESENDS) {
            self.counters.nack_received += 1;
            let sent = match slot.forwarder.resend(now, number, interval.max(MIN_RESEND_INTERVAL)) {
                Resend::Now(sent) => sent,
                Resend::TooSoon => continue,
                Resend::Unknown => {
                    self.counters.nack_unserved += 1;
                    continue;
                }
            };
            let carrier = slot.payloads.iter().find(|payload| payload.payload_type == sent.payload_type);
            let format = carrier.map_or(PayloadFormat::Other, |payload| payload.format);
            let rtx = carrier.and_then(|payload| payload.rtx).zip(slot.forwarder.rtx_ssrc);
            let track = self.tracks.get(sent.track);
            let packet = track.and_then(|track| Some((track, track.history.find(sent.source_sequence)?)));
            let (Some((payload_type, ssrc)), Some((track, packet))) = (rtx, packet) else {
                self.counters.nack_unserved += 1;
                continue;
            };
            let descriptor = Prefix::write(format, sent.numbers, &packet.payload);
            let mut prefix = [0; rtx::ORIGINAL_SEQUENCE_LEN + Prefix::MAX_BYTES];
            let len = rtx::ORIGINAL_SEQUENCE_LEN + descriptor.bytes().len();
            for (byte, value) in
                prefix.iter_mut().zip((sent.sequence as u16).to_be_bytes().iter().chain(descriptor.bytes()))
            {
                *byte = *value;
            }
            self.counters.rtx_sent += 1;
            out.send_rtp(
                slot.to,
                &OutgoingRtp {
                    marker: packet.meta.marker,
                    payload_type: payload_type.0,
                    extended_sequence: slot.forwarder.next_rtx_sequence(),
                    timestamp: sent.timestamp,
                    ssrc,
                    csrc: Some(track.participant.0),
                    extensions: packet.meta.extensions.elements(&slot.extensions).as_slice(),
                    prefix: prefix.get(..len).unwrap_or_default(),
                    payload: descriptor.rest(&packet.payload),
                },
            );
        }
    }

    fn handle_keyframe_request(
        &mut self,
        now: Instant,
        member: MemberKey,
        ssrc: Ssrc,
        out: &mut impl Egress,
    ) {
        let Some(slot) = self.slot_of(member, ssrc).and_then(|slot| self.slots.get(slot)) else { return };
        self.counters.keyframe_request_received += 1;
        let feeds = [slot.forwarder.current(), slot.forwarder.pending()];
        for key in feeds.map(|feed| feed.map(|feed| feed.track)).into_iter().flatten() {
            if let Some(track) = self.tracks.get_mut(key).filter(|track| track.kind() == MediaKind::Video) {
                track.keyframes.want();
                self.poll_keyframe(now, key, out);
            }
        }
    }

    fn slot_of(&self, member: MemberKey, ssrc: Ssrc) -> Option<SlotKey> {
        let slots = self.members.get(member)?.slots.iter().copied();
        slots.into_iter().find(|slot| self.slots.get(*slot).is_some_and(|slot| slot.forwarder.ssrc == ssrc))
    }
}
