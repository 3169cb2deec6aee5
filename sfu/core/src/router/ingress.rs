//! The way of an RTP packet from a publisher to the slots that show it.

use std::time::{Duration, Instant};

use patchbay_protocol::MediaKind;
use patchbay_wire::rtp::{AudioLevel, RtpHeader, Ssrc};
use patchbay_wire::rtx;

use super::Router;
use super::codec::Payload;
use super::extension::Passthrough;
use super::forwarder::{Descriptor, DropReason, Incoming, Verdict};
use super::key::{MemberKey, TrackKey};
use super::member::Binding;
use super::track::{PacketMeta, Placed, Track};
use crate::{Egress, OutgoingRtp, TransportKey};

/// A track's stream that was silent for this long may be replaced by another SSRC.
const REPLACEABLE_AFTER: Duration = Duration::from_millis(500);

impl Router {
    /// Takes one decrypted RTP packet.
    pub fn handle_rtp(&mut self, now: Instant, from: TransportKey, packet: &[u8], out: &mut impl Egress) {
        let Some(member) = self.member_key(from) else { return };
        self.counters.rtp_received += 1;
        self.timers.touch(now);
        let parsed = RtpHeader::parse(packet).and_then(|header| Ok((header, header.payload(packet)?)));
        let Ok((header, payload)) = parsed else {
            self.counters.rtp_malformed += 1;
            return;
        };
        let Some(key) = self.track_of(now, member, &header, packet) else {
            self.counters.rtp_unbound += 1;
            return;
        };
        let Some(track) = self.tracks.get_mut(key) else { return };
        if let Some(kind) = track.payload(header.payload_type).copied() {
            let generation = track.generation;
            let asks = kind.nack && !track.slots.is_empty();
            let Some(placed) = track.place(now, &header, asks) else {
                self.counters.rtp_duplicate += 1;
                return;
            };
            let ticks = self.clock.ticks(now, kind.clock_rate);
            track.count(now, ticks, header.timestamp);
            if let Some(due) = track.nacks.deadline() {
                self.timers.nack_at(due);
            }
            let has_lost_its_way = placed.is_outage || track.generation != generation;
            if has_lost_its_way && track.kind() == MediaKind::Video && !track.slots.is_empty() {
                track.keyframes.want();
            }
            self.take(now, key, &header, packet, placed, kind, payload, out);
            if has_lost_its_way {
                self.poll_keyframe(now, key, out);
            }
        } else if let Some(kind) = track.payload_of_rtx(header.payload_type).copied() {
            let Some((number, original)) = rtx::split_payload(payload) else {
                self.counters.rtp_padding += 1;
                return;
            };
            let Some((placed, round_trip)) = track.place_recovered(now, number) else {
                self.counters.rtp_duplicate += 1;
                return;
            };
            self.counters.rtx_received += 1;
            track.reception.count_recovered();
            if let (Some(sample), Some(member)) = (round_trip, self.members.get_mut(member)) {
                member.round_trip.handle(sample);
            }
            self.take(now, key, &header, packet, placed, kind, original, out);
        } else {
            self.counters.rtp_unbound += 1;
        }
    }

    /// A packet that is new, at its place in its track.
    #[inline]
    #[allow(clippy::too_many_arguments)]
    fn take(
        &mut self,
        now: Instant,
        key: TrackKey,
        header: &RtpHeader,
        packet: &[u8],
        placed: Placed,
        kind: Payload,
        payload: &[u8],
        out: &mut impl Egress,
    ) {
        let Some(track) = self.tracks.get_mut(key) else { return };
        let extensions = Passthrough::read(&track.extensions, header, packet);
        let meta = PacketMeta {
            sequence: placed.sequence,
            timestamp: header.timestamp,
            payload_type: kind.payload_type,
            marker: header.marker,
            extensions,
        };
        track.history.insert(meta, payload);
        let descriptor = Descriptor::parse(kind.format, payload);
        if descriptor.is_start && placed.is_newest && kind.format.has_keyframes() {
            self.counters.keyframe_received += 1;
            track.keyframes.handle_keyframe();
        }
        if let Some(meter) = track.meter.as_mut().filter(|_| placed.is_newest && !track.is_muted) {
            let level = extensions.audio_level.and_then(|level| AudioLevel::parse(&level));
            if meter.handle_packet(now, level, payload.len()) {
                self.timers.handle_voice(now);
            }
        }
        let is_news =
            placed.is_newest && !payload.is_empty() && track.handle_payload_type(now, kind.payload_type);
        let incoming = Incoming {
            track: key,
            generation: track.generation,
            meta,
            payload,
            format: kind.format,
            descriptor,
            is_newest: placed.is_newest,
        };
        let csrc = Some(track.participant.0);
        for slot_key in &track.slots {
            let Some(slot) = self.slots.get_mut(*slot_key).filter(|slot| slot.is_connected) else { continue };
            let before = slot.forwarder.current().map(|feed| feed.track);
            match slot.forwarder.handle(now, &incoming) {
                Verdict::Forward(outgoing) => {
                    self.counters.rtp_forwarded += 1;
                    if outgoing.is_switch {
                        self.scratch.switched.push((*slot_key, before.filter(|before| *before != key)));
                    }
                    let elements = meta.extensions.elements(&slot.extensions);
                    out.send_rtp(
                        slot.to,
                        &OutgoingRtp {
                            marker: meta.marker,
                            payload_type: outgoing.payload_type.0,
                            extended_sequence: outgoing.sequence,
                            timestamp: outgoing.timestamp,
                            ssrc: slot.forwarder.ssrc,
                            csrc,
                            extensions: elements.as_slice(),
                            prefix: outgoing.prefix.bytes(),
                            payload: outgoing.prefix.rest(payload),
                        },
                    );
                }
                Verdict::Drop(DropReason::Payload) => self.counters.rtp_unplayable += 1,
                Verdict::Drop(DropReason::Padding) => self.counters.rtp_padding += 1,
                Verdict::Drop(DropReason::Waiting | DropReason::Late) => {}
            }
        }
        while let Some((slot, left)) = self.scratch.switched.pop() {
            self.counters.slot_switched += 1;
            if let Some(left) = left {
                self.release(slot, left);
            }
            self.report_slot(now, slot, out);
        }
        if is_news {
            // Slots that can't carry this codec pause; those that waited for it go on.
            self.repatch(now, out);
        }
    }

    /// The track a packet belongs to.
    #[inline]
    fn track_of(
        &mut self,
        now: Instant,
        member: MemberKey,
        header: &RtpHeader,
        packet: &[u8],
    ) -> Option<TrackKey> {
        match self.members.get(member)?.bindings.find(header.ssrc) {
            Some(Binding::Track(track)) => Some(track),
            Some(Binding::Former) => self.bind(now, member, header, packet, false),
            None => self.bind(now, member, header, packet, true),
        }
    }

    /// Finds the track of an SSRC at first sight: by the mid extension, by the offer, or, if neither says anything and it may
    /// be guessed, because only one track of the transport has the payload type.
    fn bind(
        &mut self,
        now: Instant,
        member: MemberKey,
        header: &RtpHeader,
        packet: &[u8],
        may_guess: bool,
    ) -> Option<TrackKey> {
        let member = self.members.get_mut(member)?;
        let tracks =
            || member.tracks.iter().filter_map(|key| self.tracks.get(*key).map(|track| (*key, track)));
        let has_payload = |track: &Track| {
            track.payload(header.payload_type).is_some()
                || track.payload_of_rtx(header.payload_type).is_some()
        };
        let is_declared = |track: &Track| track.declared.contains(&header.ssrc);
        let mid = |track: &Track| track.extensions.mid.and_then(|id| header.extensions(packet).find(id));
        let is_named = |track: &Track| mid(track) == Some(track.mid.as_str().as_bytes());
        let named =
            tracks().find(|(_, track)| is_named(track)).or_else(|| tracks().find(|(_, t)| is_declared(t)));
        let mut fitting = tracks().filter(|(_, track)| has_payload(track));
        let (key, track) = match named {
            Some(found) => found,
            // What says which section it is of, and is of none that is published, is nobody's.
            None if !may_guess || tracks().any(|(_, track)| mid(track).is_some()) => return None,
            None => fitting.next().filter(|_| fitting.next().is_none())?,
        };
        if !has_payload(track) {
            return None;
        }
        let is_media = track.payload(header.payload_type).is_some();
        let replaced = track.ssrc.filter(|_| is_media);
        if replaced.is_some()
            && track.last_packet.is_some_and(|last| now.saturating_duration_since(last) < REPLACEABLE_AFTER)
        {
            // Another encoding, or somebody's noise.
            return None;
        }
        if let Some(replaced) = replaced {
            member.bindings.bind(replaced, Binding::Former);
        }
        member.bindings.bind(header.ssrc, Binding::Track(key)).then_some(key)
    }

    /// The track whose media has this SSRC on a transport.
    pub(super) fn media_of(&self, member: MemberKey, ssrc: Ssrc) -> Option<TrackKey> {
        match self.members.get(member)?.bindings.find(ssrc)? {
            Binding::Track(key) => self.tracks.get(key).filter(|track| track.ssrc == Some(ssrc)).map(|_| key),
            Binding::Former => None,
        }
    }
}
