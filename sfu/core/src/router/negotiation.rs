//! From negotiated sections to tracks and slots.

use std::time::Instant;

use patchbay_protocol::node::{Publication, Slot as SlotCommand};
use patchbay_protocol::{MediaKind, Mid};
use patchbay_sdp::NegotiatedSection;
use patchbay_wire::rtp::Ssrc;

use super::Router;
use super::codec::{ExtensionIds, payloads};
use super::forwarder::{FirstNumbers, Forwarder};
use super::key::{MemberKey, SlotKey, TrackKey};
use super::slot::Slot;
use super::track::Track;
use crate::{Egress, TransportKey};

impl Router {
    /// Takes what an answer agreed on, after every answer. `sections` and `publications` are complete lists; `slots` gives
    /// sources of slots, and those not listed keep theirs. Tracks and slots of known sections go on as they are.
    pub fn apply(
        &mut self,
        now: Instant,
        transport: TransportKey,
        sections: &[NegotiatedSection],
        publications: &[Publication],
        slots: &[SlotCommand],
        out: &mut impl Egress,
    ) {
        let Some(key) = self.member_key(transport) else { return };
        self.apply_tracks(key, sections, publications);
        self.apply_slots(key, sections, slots);
        if let Some(member) = self.members.get_mut(key) {
            member.takes_reduced_size = sections
                .iter()
                .filter(|section| !section.codecs.is_empty())
                .all(|section| section.rtcp_rsize);
        }
        self.renegotiate_feeds(key);
        self.repatch(now, out);
    }

    fn apply_tracks(&mut self, key: MemberKey, sections: &[NegotiatedSection], publications: &[Publication]) {
        let Some(member) = self.members.get_mut(key) else { return };
        let participant = member.participant;
        let mut gone = std::mem::take(&mut member.tracks);
        let mut kept: Vec<TrackKey> = Vec::with_capacity(publications.len());
        for publication in publications {
            let section =
                sections.iter().find(|section| section.publish && has_mid(section, &publication.mid));
            let Some(section) = section.filter(|section| kind(section) == Some(publication.source.kind()))
            else {
                continue;
            };
            let known = gone.iter().position(|track| {
                self.tracks.get(*track).is_some_and(|track| {
                    track.mid == publication.mid
                        && track.id == publication.track
                        && track.source == publication.source
                })
            });
            let track = match known {
                Some(at) => gone.swap_remove(at),
                None => {
                    let (mid, source) = (publication.mid.clone(), publication.source);
                    let track = Track::new(publication.track, key, participant, mid, source, section);
                    let track = self.tracks.insert(track);
                    self.by_track_id.insert(publication.track, track);
                    track
                }
            };
            if let Some(track) = self.tracks.get_mut(track) {
                track.renegotiate(section);
                track.set_muted(publication.muted);
            }
            kept.push(track);
        }
        for track in gone {
            self.remove_track(track);
        }
        if let Some(member) = self.members.get_mut(key) {
            member.tracks = kept;
        }
    }

    fn apply_slots(&mut self, key: MemberKey, sections: &[NegotiatedSection], commands: &[SlotCommand]) {
        let Some(member) = self.members.get_mut(key) else { return };
        let (to, is_connected) = (member.key, member.is_connected);
        let mut gone = std::mem::take(&mut member.slots);
        let mut kept: Vec<SlotKey> = Vec::with_capacity(gone.len());
        for section in sections {
            let (Some(mid), Some(stream), Some(kind)) = (&section.mid, &section.slot, kind(section)) else {
                continue;
            };
            let ssrc = Ssrc(stream.ssrc.0);
            let rtx_ssrc = stream.rtx_ssrc.map(|rtx| Ssrc(rtx.0));
            let known = gone.iter().position(|slot| {
                self.slots.get(*slot).is_some_and(|slot| {
                    slot.mid.as_str() == mid.as_str() && slot.forwarder.ssrc == ssrc && slot.kind == kind
                })
            });
            let slot = match known {
                Some(at) => gone.swap_remove(at),
                None => {
                    let forwarder = self.forwarder(key, ssrc, rtx_ssrc, kind);
                    self.slots.insert(Slot {
                        owner: key,
                        to,
                        mid: Mid::from(mid.as_str()),
                        kind,
                        section: section.clone(),
                        payloads: payloads(section),
                        extensions: ExtensionIds::of(section),
                        source: None,
                        target: None,
                        reported: None,
                        is_connected,
                        forwarder,
                        report_due: None,
                    })
                }
            };
            if let Some(slot) = self.slots.get_mut(slot) {
                slot.renegotiate(section);
                slot.forwarder.rtx_ssrc = rtx_ssrc;
                if let Some(command) = commands.iter().find(|command| command.mid == slot.mid) {
                    slot.source = command.source;
                }
            }
            kept.push(slot);
        }
        for slot in gone {
            let retired = self.remove_slot(slot);
            if let Some(member) = self.members.get_mut(key) {
                member.retire(retired);
            }
        }
        if let Some(member) = self.members.get_mut(key) {
            member.slots = kept;
        }
    }

    /// Removes a track from everything but its owner's list. Slots have to be patched anew after it.
    pub(super) fn remove_track(&mut self, key: TrackKey) {
        let Some(track) = self.tracks.remove(key) else { return };
        if self.by_track_id.get(&track.id) == Some(&key) {
            self.by_track_id.remove(&track.id);
        }
        for slot in track.slots {
            if let Some(slot) = self.slots.get_mut(slot) {
                // Its target stays as it is: what no longer resolves to that is changed over by the next patching,
                // and whatever flowed until the track would begin ends with it.
                slot.forwarder.remove(key);
            }
        }
        if let Some(member) = self.members.get_mut(track.owner) {
            member.bindings.remove(key);
            member.tracks.retain(|known| *known != key);
        }
    }

    /// The forwarder of a new slot. If its SSRC was in use before on this transport, its numbers go on: under AES-GCM none
    /// of them may be used again.
    fn forwarder(
        &mut self,
        key: MemberKey,
        ssrc: Ssrc,
        rtx_ssrc: Option<Ssrc>,
        kind: MediaKind,
    ) -> Forwarder {
        let first = FirstNumbers(self.draw());
        let retired = self.members.get_mut(key).and_then(|member| member.revive(ssrc));
        retired.unwrap_or_else(|| Forwarder::new(ssrc, rtx_ssrc, kind == MediaKind::Audio, first))
    }

    /// Removes a slot from everything but its owner's list.
    pub(super) fn remove_slot(&mut self, key: SlotKey) -> Option<Forwarder> {
        let slot = self.slots.remove(key)?;
        let feeds = [slot.forwarder.current(), slot.forwarder.pending()];
        for track in feeds.into_iter().flatten().map(|feed| feed.track) {
            self.release(key, track);
        }
        Some(slot.forwarder)
    }
}

fn has_mid(section: &NegotiatedSection, mid: &Mid) -> bool {
    section.mid.as_ref().is_some_and(|own| own.as_str() == mid.as_str())
}

fn kind(section: &NegotiatedSection) -> Option<MediaKind> {
    match section.kind {
        patchbay_sdp::MediaKind::Audio => Some(MediaKind::Audio),
        patchbay_sdp::MediaKind::Video => Some(MediaKind::Video),
        patchbay_sdp::MediaKind::Application => None,
    }
}
