//! What publishers are asked for: keyframes and missing packets.

use std::time::Instant;

use patchbay_protocol::MediaKind;
use patchbay_wire::rtcp;
use patchbay_wire::rtp::SequenceNumber;

use super::key::{MemberKey, TrackKey};
use super::{CNAME, OWN_SSRC, Router};
use crate::Egress;

impl Router {
    /// Asks for keyframes of everything a member publishes that is shown somewhere, and of everything it is shown.
    pub(super) fn want_keyframes_around(&mut self, now: Instant, key: MemberKey, out: &mut impl Egress) {
        let Some(member) = self.members.get(key) else { return };
        let own = member.tracks.iter().copied();
        let slots = member.slots.iter().filter_map(|slot| self.slots.get(*slot));
        let shown = slots.flat_map(|slot| [slot.forwarder.current(), slot.forwarder.pending()]).flatten();
        let tracks: Vec<TrackKey> = own.chain(shown.map(|feed| feed.track)).collect();
        for key in tracks {
            let Some(track) = self.tracks.get_mut(key) else { continue };
            if track.kind() == MediaKind::Video && !track.slots.is_empty() {
                track.keyframes.restart();
                track.keyframes.want_soon();
                self.poll_keyframe(now, key, out);
            }
        }
    }

    /// Sends all keyframe requests that are due.
    pub(super) fn poll_keyframes(&mut self, now: Instant, out: &mut impl Egress) {
        for index in 0..self.tracks.end() {
            if let Some(key) = self.tracks.key_at(index) {
                self.poll_keyframe(now, key, out);
            }
        }
    }

    /// Sends a track's keyframe request, if one is due.
    pub(super) fn poll_keyframe(&mut self, now: Instant, key: TrackKey, out: &mut impl Egress) {
        let Some(track) = self.tracks.get_mut(key) else { return };
        let (Some(ssrc), Some(member)) = (track.ssrc, self.members.get(track.owner)) else { return };
        if !member.is_connected || !track.keyframes.poll(now, member.round_trip.get()) {
            return;
        }
        let Some(payload) = track.likely_payload().copied() else { return };
        let rtcp = &mut self.scratch.rtcp;
        begin(rtcp, member.takes_reduced_size);
        if payload.pli {
            rtcp::write_pli(OWN_SSRC, ssrc, rtcp);
        } else if payload.fir {
            track.fir_number = track.fir_number.wrapping_add(1);
            rtcp::write_fir(OWN_SSRC, &[(ssrc, track.fir_number)], rtcp);
        } else {
            return;
        }
        self.counters.keyframe_request_sent += 1;
        out.send_rtcp(member.key, rtcp);
    }

    /// Asks for missing packets of all tracks where that is due.
    pub(super) fn poll_nacks(&mut self, now: Instant, out: &mut impl Egress) {
        for (_, track) in self.tracks.iter_mut() {
            match track.nacks.deadline() {
                None => continue,
                Some(due) if due > now => {
                    self.timers.nack_at(due);
                    continue;
                }
                Some(_) => {}
            }
            let (Some(ssrc), Some(member)) = (track.ssrc, self.members.get(track.owner)) else { continue };
            self.scratch.missing.clear();
            let missing = &mut self.scratch.missing;
            let given_up = track
                .nacks
                .poll(now, member.round_trip.get(), |sequence| missing.push(SequenceNumber(sequence as u16)));
            self.counters.rtp_given_up += given_up as u64;
            if let Some(due) = track.nacks.deadline() {
                self.timers.nack_at(due);
            }
            if missing.is_empty() || !member.is_connected {
                continue;
            }
            self.counters.nack_sent += missing.len() as u64;
            let rtcp = &mut self.scratch.rtcp;
            begin(rtcp, member.takes_reduced_size);
            rtcp::write_nack(OWN_SSRC, ssrc, missing.iter().copied(), rtcp);
            out.send_rtcp(member.key, rtcp);
        }
    }
}

/// Begins a feedback packet: with an empty report before it, unless the peer takes it without (RFC 5506).
fn begin(rtcp: &mut Vec<u8>, takes_reduced_size: bool) {
    rtcp.clear();
    if !takes_reduced_size {
        rtcp::write_receiver_report(OWN_SSRC, &[], rtcp);
        rtcp::write_sdes_cname(OWN_SSRC, CNAME, rtcp);
    }
}
