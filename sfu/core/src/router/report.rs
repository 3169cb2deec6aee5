//! Sender and receiver reports (RFC 3550 §6.4) to the members.

use std::time::{Duration, Instant};

use patchbay_protocol::MediaKind;
use patchbay_wire::rtcp;

use super::clock::WallClock;
use super::key::{MemberKey, SlotKey, Table, TrackKey};
use super::member::Member;
use super::slot::Slot;
use super::track::Track;
use super::{CNAME, OWN_SSRC, Router};
use crate::Egress;

/// Between receiver reports to a publisher, and sender reports of a video slot.
const VIDEO_INTERVAL: Duration = Duration::from_secs(1);
/// Between sender reports of an audio slot.
const AUDIO_INTERVAL: Duration = Duration::from_secs(2);
/// A compound packet is sent when it has grown to this, so that it fits a path's smallest MTU.
const COMPOUND_BYTES: usize = 1_000;

impl Router {
    /// Sends a slot's sender report at once, as after a switch: it says where the new source lies in the SFU's clock.
    pub(super) fn report_slot(&mut self, now: Instant, key: SlotKey, out: &mut impl Egress) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        let rtcp = &mut self.scratch.rtcp;
        rtcp.clear();
        write_sender_report(now, &self.clock, &self.tracks, &self.members, slot, rtcp);
        if !rtcp.is_empty() {
            out.send_rtcp(slot.to, rtcp);
        }
    }

    /// Sends all reports that are due.
    pub(super) fn poll_reports(&mut self, now: Instant, out: &mut impl Egress) {
        for index in 0..self.by_transport.len() {
            if let Some((_, key)) = self.by_transport.get(index).copied() {
                self.poll_member_reports(now, key, out);
            }
        }
    }

    fn poll_member_reports(&mut self, now: Instant, key: MemberKey, out: &mut impl Egress) {
        let Some(member) = self.members.get(key).filter(|member| member.is_connected) else { return };
        let rtcp = &mut self.scratch.rtcp;
        rtcp.clear();
        for slot in &member.slots {
            let Some(slot) = self.slots.get_mut(*slot) else { continue };
            if slot.report_due.is_some_and(|due| due <= now) {
                write_sender_report(now, &self.clock, &self.tracks, &self.members, slot, rtcp);
            }
            if rtcp.len() >= COMPOUND_BYTES {
                out.send_rtcp(member.key, rtcp);
                rtcp.clear();
            }
        }
        if member.report_due.is_none_or(|due| due <= now) {
            let blocks = &mut self.scratch.blocks;
            blocks.clear();
            for track in &member.tracks {
                blocks.extend(self.tracks.get_mut(*track).and_then(|track| track.report(now)));
            }
            if !blocks.is_empty() {
                rtcp::write_receiver_report(OWN_SSRC, blocks, rtcp);
                rtcp::write_sdes_cname(OWN_SSRC, CNAME, rtcp);
            }
        }
        if !rtcp.is_empty() {
            out.send_rtcp(member.key, rtcp);
        }
        if let Some(member) = self.members.get_mut(key)
            && member.report_due.is_none_or(|due| due <= now)
        {
            member.report_due = Some(now + VIDEO_INTERVAL);
        }
    }
}

/// Appends a slot's sender report, if anything flows in it.
fn write_sender_report(
    now: Instant,
    clock: &WallClock,
    tracks: &Table<TrackKey, Track>,
    members: &Table<MemberKey, Member>,
    slot: &mut Slot,
    rtcp: &mut Vec<u8>,
) {
    slot.report_due = Some(now + if slot.kind == MediaKind::Audio { AUDIO_INTERVAL } else { VIDEO_INTERVAL });
    let Some(feed) = slot.forwarder.current() else { return };
    let Some(track) = tracks.get(feed.track) else { return };
    let Some(publisher) = members.get(track.owner) else { return };
    let Some(timestamp) = track.clock.timestamp_at(now, clock, &publisher.clock, feed.clock_rate) else {
        return;
    };
    let info = slot.forwarder.sender_info(clock.wall(now), timestamp);
    rtcp::write_sender_report(slot.forwarder.ssrc, &info, &[], rtcp);
    rtcp::write_sdes_cname(slot.forwarder.ssrc, CNAME, rtcp);
}
