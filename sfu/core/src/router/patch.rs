//! Which track flows in which slot: sources are resolved here, and what changed is told.

use std::time::Instant;

use patchbay_protocol::{
    MediaKind, Mid, ParticipantNumber, SlotPause, SlotSource, SlotState, Source, TrackId,
};

use super::codec::match_payloads;
use super::forwarder::Feed;
use super::key::{MemberKey, SlotKey, TrackKey};
use super::slot::Slot;
use super::speaker::{Candidate, Policy};
use super::track::Track;
use super::{Router, RouterEvent};
use crate::{Egress, TransportKey};

/// What a source comes to at present.
struct Resolution {
    track: Option<TrackKey>,
    paused: Option<SlotPause>,
}

impl Router {
    /// Switches a slot to another source. Returns false if there is no such slot.
    pub fn set_slot(
        &mut self,
        now: Instant,
        transport: TransportKey,
        mid: &Mid,
        source: Option<SlotSource>,
        out: &mut impl Egress,
    ) -> bool {
        let Some(member) = self.member_key(transport).and_then(|key| self.members.get(key)) else {
            return false;
        };
        let is_named = |slot: &&SlotKey| self.slots.get(**slot).is_some_and(|slot| slot.mid == *mid);
        let Some(key) = member.slots.iter().find(is_named).copied() else { return false };
        let Some(slot) = self.slots.get_mut(key) else { return false };
        let was_speaker = slot.rank().is_some();
        slot.source = source;
        if was_speaker || slot.rank().is_some() {
            self.repatch(now, out);
        } else {
            self.repatch_slot(key);
            self.poll_keyframes(now, out);
        }
        true
    }

    /// A track was muted by its owner, or no longer is. Returns false if there is no such track.
    pub fn set_muted(&mut self, now: Instant, track: TrackId, muted: bool, out: &mut impl Egress) -> bool {
        let key = self.by_track_id.get(&track).copied();
        let Some(track) = key.and_then(|key| self.tracks.get_mut(key)) else { return false };
        if track.is_muted != muted {
            track.set_muted(muted);
            self.repatch(now, out);
        }
        true
    }

    /// Resolves the sources of all slots anew, after anything but levels changed.
    pub(super) fn repatch(&mut self, now: Instant, out: &mut impl Egress) {
        self.timers.touch(now);
        self.resize_assignments();
        self.assign_speakers(now);
        for index in 0..self.slots.end() {
            if let Some(slot) = self.slots.key_at(index) {
                self.repatch_slot(slot);
            }
        }
        self.poll_keyframes(now, out);
    }

    /// Assigns speakers anew, and resolves the slots that follow them if that changed anything.
    pub(super) fn repatch_speakers(&mut self, now: Instant, out: &mut impl Egress) {
        if self.assign_speakers(now) {
            for index in 0..self.slots.end() {
                let key = self.slots.key_at(index);
                let follows = |key: &SlotKey| self.slots.get(*key).is_some_and(|slot| slot.rank().is_some());
                if let Some(slot) = key.filter(follows) {
                    self.repatch_slot(slot);
                }
            }
            self.poll_keyframes(now, out);
        }
    }

    /// After a renegotiation: what flows from or to a member goes on with the payload types that are agreed on now.
    pub(super) fn renegotiate_feeds(&mut self, key: MemberKey) {
        for (_, slot) in self.slots.iter_mut() {
            let forwarder = &slot.forwarder;
            let feeds = [forwarder.current(), forwarder.pending()].map(|feed| feed.map(|feed| feed.track));
            for track_key in feeds.into_iter().flatten() {
                if let Some(track) = self.tracks.get(track_key)
                    && (slot.owner == key || track.owner == key)
                {
                    slot.forwarder.renegotiate(track_key, match_payloads(&track.payloads, &slot.section));
                }
            }
        }
    }

    /// A slot no longer takes anything from a track.
    pub(super) fn release(&mut self, slot: SlotKey, track: TrackKey) {
        if let Some(track) = self.tracks.get_mut(track) {
            track.slots.retain(|known| *known != slot);
            if track.slots.is_empty() {
                track.keyframes.cancel();
            }
        }
    }

    fn repatch_slot(&mut self, key: SlotKey) {
        let Some(slot) = self.slots.get(key) else { return };
        let resolution = self.resolve(slot);
        let flow = resolution.track.filter(|_| resolution.paused.is_none());
        if flow != slot.target {
            self.retarget(key, flow);
        }
        let Some(slot) = self.slots.get_mut(key) else { return };
        let track = resolution.track.and_then(|track| self.tracks.get(track));
        let state = SlotState {
            source: slot.source,
            participant: track.map(|track| track.participant),
            track: track.map(|track| track.id),
            paused: resolution.paused,
        };
        // A slot that never had a source has nothing to tell.
        if slot.reported != Some(state) && (slot.reported.is_some() || slot.source.is_some()) {
            slot.reported = Some(state);
            let mid = slot.mid.clone();
            if let Some(member) = self.members.get(slot.owner) {
                let transport = member.transport;
                self.events.push_back(RouterEvent::SlotChanged { transport, mid, state });
            }
        }
    }

    fn resolve(&self, slot: &Slot) -> Resolution {
        let key = match slot.source {
            None => return Resolution { track: None, paused: None },
            Some(SlotSource::Track { track }) => self.by_track_id.get(&track).copied(),
            Some(SlotSource::Participant { participant, source }) => {
                self.track_by_source(participant, source)
            }
            Some(SlotSource::Speaker { .. }) => {
                self.members.get(slot.owner).zip(slot.rank()).and_then(|(member, rank)| match slot.kind {
                    MediaKind::Audio => member.heard.at(rank),
                    MediaKind::Video => member.seen.at(rank),
                })
            }
        };
        let found = key.and_then(|key| self.tracks.get(key)).filter(|track| track.kind() == slot.kind);
        let Some(track) = found else {
            return Resolution { track: None, paused: Some(SlotPause::NoSource) };
        };
        let is_carried =
            track.likely_payload().is_some_and(|payload| slot.section.codec_for(payload.codec).is_some());
        let paused = if track.is_muted {
            Some(SlotPause::Muted)
        } else if !is_carried {
            Some(SlotPause::Codec)
        } else {
            None
        };
        Resolution { track: key, paused }
    }

    /// Begins to change a slot over. What flows goes on until the new source has something a decoder can start with;
    /// without a new source it ends at once.
    fn retarget(&mut self, key: SlotKey, flow: Option<TrackKey>) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        slot.target = flow;
        let current = slot.forwarder.current().map(|feed| feed.track);
        let cancelled = slot.forwarder.cancel();
        let mut released = [cancelled, None];
        match flow {
            None => {
                slot.forwarder.stop();
                released = [cancelled, current];
            }
            Some(target) if current == Some(target) => {}
            Some(target) => {
                if let Some(track) = self.tracks.get_mut(target) {
                    slot.forwarder.prepare(Feed::new(target, match_payloads(&track.payloads, &slot.section)));
                    if slot.is_connected && track.kind() == MediaKind::Video {
                        track.keyframes.want_soon();
                    }
                }
            }
        }
        for track in released.into_iter().flatten() {
            self.release(key, track);
        }
        if let Some(target) = flow.filter(|target| current != Some(*target))
            && let Some(track) = self.tracks.get_mut(target)
            && !track.slots.contains(&key)
        {
            track.slots.push(key);
        }
    }

    /// Each member has as many places as the highest rank its slots follow.
    fn resize_assignments(&mut self) {
        for (_, member) in self.members.iter_mut() {
            let highest = |kind| {
                let slots = member.slots.iter().filter_map(|slot| self.slots.get(*slot));
                slots.filter(|slot| slot.kind == kind).filter_map(Slot::rank).max().unwrap_or(0)
            };
            let (heard, seen) = (highest(MediaKind::Audio), highest(MediaKind::Video));
            member.heard.resize(heard);
            member.seen.resize(seen);
        }
    }

    /// Returns whether any place changed.
    fn assign_speakers(&mut self, now: Instant) -> bool {
        let mut voices = std::mem::take(&mut self.scratch.voices);
        let mut faces = std::mem::take(&mut self.scratch.faces);
        voices.clear();
        faces.clear();
        for (key, track) in self.tracks.iter() {
            match track.source {
                Source::Microphone if !track.is_muted => voices.push(self.candidate(key, track, Some(track))),
                Source::Camera if !track.is_muted => {
                    faces.push(self.candidate(key, track, self.microphone(track.owner)));
                }
                _ => {}
            }
        }
        voices.sort(Policy::LoudestNow);
        faces.sort(Policy::MostRecent);
        let mut has_changed = false;
        for (_, member) in self.members.iter_mut() {
            has_changed |= member.heard.update(now, member.participant, &voices);
            has_changed |= member.seen.update(now, member.participant, &faces);
        }
        self.scratch.voices = voices;
        self.scratch.faces = faces;
        has_changed
    }

    fn track_by_source(&self, participant: ParticipantNumber, source: Source) -> Option<TrackKey> {
        let at = self.by_participant.partition_point(|(known, _)| *known < participant);
        let members = self.by_participant.get(at..)?.iter().take_while(|(known, _)| *known == participant);
        members.filter_map(|(_, member)| self.track_of_member(*member, source)).next()
    }

    fn track_of_member(&self, member: MemberKey, source: Source) -> Option<TrackKey> {
        let mut tracks = self.members.get(member)?.tracks.iter().copied();
        tracks.find(|key| self.tracks.get(*key).is_some_and(|track| track.source == source))
    }

    fn microphone(&self, member: MemberKey) -> Option<&Track> {
        self.track_of_member(member, Source::Microphone).and_then(|key| self.tracks.get(key))
    }

    fn candidate(&self, key: TrackKey, track: &Track, microphone: Option<&Track>) -> Candidate {
        let meter = microphone.and_then(|microphone| microphone.meter.as_ref());
        Candidate {
            participant: track.participant,
            track: key,
            loudness: meter.map(|meter| meter.loudness()).unwrap_or_default(),
            speaking_since: meter.and_then(|meter| meter.speaking_since()),
            spoke_at: meter.and_then(|meter| meter.spoke_at()),
        }
    }
}
