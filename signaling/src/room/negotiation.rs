//! Offers on their way to the node and answers on their way back.

use std::collections::BTreeMap;

use patchbay_protocol::node::{AcceptedPublication, CommandResult, NodeCommand, Publication, Slot};
use patchbay_protocol::{
    Answer, AnsweredPublication, AnsweredSlot, Description, ErrorCode, MediaKind, Mid, ProtocolError, Reply,
    RequestId, ServerEvent, SlotSource, Source, TrackId,
};

use super::member::{MemberTrack, Stage};
use super::{MemberId, Output, Pending, Room, check, client_error};

/// Offers of one member that may wait behind the one that is with the node.
const WAITING_OFFERS: usize = 4;

/// An offer that is with the node.
#[derive(Debug)]
pub(super) struct Negotiation {
    /// The request that brought it.
    pub(super) id: RequestId,
    /// The tracks as they will be if the node accepts them all.
    tracks: Vec<MemberTrack>,
    /// What its slots will show.
    shown: BTreeMap<Mid, Option<SlotSource>>,
}

impl Negotiation {
    /// A track was muted since the offer was made, or no longer is.
    pub(super) fn set_muted(&mut self, track: TrackId, muted: bool) {
        if let Some(own) = self.tracks.iter_mut().find(|own| own.id == track) {
            own.muted = muted;
        }
    }
}

impl Room {
    /// An `offer` request of a member that has joined.
    pub(super) fn enqueue_offer(&mut self, member: MemberId, id: RequestId, offer: Description) {
        let Some(entry) = self.members.get_mut(&member) else { return };
        if entry.negotiation.is_none() {
            self.start_negotiation(member, id, offer);
        } else if entry.offers.len() < WAITING_OFFERS {
            entry.offers.push_back((id, offer));
        } else {
            self.refuse(
                member,
                id,
                ErrorCode::RateLimited,
                "too many offers at once; wait for an answer first",
            );
        }
    }

    pub(super) fn start_negotiation(&mut self, member: MemberId, id: RequestId, offer: Description) {
        let mut next_track = self.next_track;
        let Some(entry) = self.members.get(&member) else { return };
        // What the member may do can have changed while the offer waited.
        if let Err(error) = check::check_description(&offer, &entry.grants, &self.config.bounds) {
            let is_join = matches!(entry.stage, Stage::Joining(_));
            self.fail(member, id, is_join, error);
            return self.start_waiting_offer(member);
        }
        let tracks: Vec<MemberTrack> = offer
            .publications
            .iter()
            .map(|publication| {
                let known = entry
                    .tracks
                    .iter()
                    .find(|track| track.mid == publication.mid && track.source == publication.source);
                let id = known.map_or_else(
                    || {
                        let id = TrackId(next_track);
                        next_track += 1;
                        id
                    },
                    |track| track.id,
                );
                MemberTrack {
                    mid: publication.mid.clone(),
                    id,
                    source: publication.source,
                    muted: publication.muted || (entry.video_stopped && is_picture(publication.source)),
                }
            })
            .collect();
        let slots: Vec<Slot> = offer
            .slots
            .into_iter()
            .map(|slot| {
                let watched = entry.watches.iter().find(|watch| watch.mid == slot.mid).and_then(|watch| {
                    let participant = self.number_of(&watch.identity)?;
                    Some(SlotSource::Participant { participant, source: watch.source })
                });
                Slot { mid: slot.mid, source: watched.or(slot.source), group: slot.group }
            })
            .collect();
        let shown = slots.iter().map(|slot| (slot.mid.clone(), slot.source)).collect();
        let command = NodeCommand::Negotiate {
            transport: entry.transport,
            room: self.id,
            participant: entry.number,
            sdp: offer.sdp,
            publications: tracks.iter().map(MemberTrack::publication).collect(),
            slots,
            data: entry.grants.data,
            topics: entry.grants.topics.clone(),
            channels: offer.channels,
        };
        self.next_track = next_track;
        if let Some(entry) = self.members.get_mut(&member) {
            entry.on_node = true;
            entry.negotiation = Some(Negotiation { id, tracks, shown });
        }
        self.command_for(Pending::Negotiate(member), command);
    }

    /// The node has answered. A member that left meanwhile has its refusal already.
    pub(super) fn finish_negotiation(&mut self, member: MemberId, result: CommandResult) {
        let Some(entry) = self.members.get_mut(&member) else { return };
        let Some(negotiation) = entry.negotiation.take() else { return };
        let is_join = matches!(entry.stage, Stage::Joining(_));
        match result {
            CommandResult::Answered { sdp, publications, slots } => {
                self.accept(member, negotiation, is_join, sdp, &publications, slots);
            }
            CommandResult::Failed { error } => {
                self.fail(member, negotiation.id, is_join, client_error(error))
            }
            CommandResult::Done {} | CommandResult::Synced { .. } => {
                let error = ProtocolError::new(ErrorCode::Internal, "the media node gave no answer");
                self.fail(member, negotiation.id, is_join, error);
            }
        }
        self.start_waiting_offer(member);
    }

    fn accept(
        &mut self,
        member: MemberId,
        negotiation: Negotiation,
        is_join: bool,
        sdp: String,
        accepted: &[AcceptedPublication],
        slots: Vec<AnsweredSlot>,
    ) {
        let Some(entry) = self.members.get_mut(&member) else { return };
        let mut tracks = negotiation.tracks;
        tracks.retain(|track| accepted.iter().any(|publication| publication.track == track.id));
        // What was forbidden or stopped while the offer was with the node.
        let mut silenced = Vec::new();
        for track in &mut tracks {
            let is_forbidden = !entry.grants.publish.contains(&track.source);
            let is_stopped = entry.video_stopped && is_picture(track.source) && !track.muted;
            if is_forbidden || is_stopped {
                track.muted = true;
                silenced.push(track.id);
            }
        }
        let grants = &entry.grants;
        tracks.retain(|track| grants.publish.contains(&track.source));
        entry.slots = slots.iter().map(|slot| slot.mid.clone()).collect();
        // Slots that the offer says nothing about keep what they have.
        entry.shown.extend(negotiation.shown);
        entry.shown.retain(|mid, _| entry.slots.contains(mid));
        entry.flows.retain(|mid, _| entry.slots.contains(mid));
        let room = self.id;
        let empty_slots = if entry.grants.subscribe { Vec::new() } else { entry.slots.clone() };
        let transport = entry.transport;
        let publications = tracks
            .iter()
            .map(|track| AnsweredPublication {
                mid: track.mid.clone(),
                track: track.id,
                source: track.source,
            })
            .collect();
        let answer = Answer { sdp, publications, slots };
        let before = std::mem::replace(&mut entry.tracks, tracks);
        for track in silenced {
            self.command(NodeCommand::SetMuted { room, track, muted: true });
        }
        for mid in empty_slots {
            if let Some(entry) = self.members.get_mut(&member) {
                entry.show(&mid, None);
            }
            self.command(NodeCommand::SetSlot { transport, mid, source: None });
        }
        if is_join {
            return self.finish_join(member, Some(answer));
        }

        let Some(entry) = self.members.get(&member) else { return };
        let (participant, shown) = (entry.number, entry.is_in_roster());
        let mut events = Vec::new();
        for gone in before.iter().filter(|old| entry.tracks.iter().all(|track| track.id != old.id)) {
            events.push(ServerEvent::TrackUnpublished { participant, track: gone.id });
        }
        for track in &entry.tracks {
            match before.iter().find(|old| old.id == track.id) {
                None => events.push(ServerEvent::TrackPublished { participant, track: track.entry() }),
                Some(old) if old.muted != track.muted => {
                    events.push(ServerEvent::TrackMuted {
                        participant,
                        track: track.id,
                        muted: track.muted,
                        by: None,
                    });
                }
                Some(_) => {}
            }
        }
        self.reply(member, negotiation.id, Ok(Reply::Answered(answer)));
        if shown {
            events.into_iter().for_each(|event| self.broadcast(Some(member), event));
        }
    }

    fn fail(&mut self, member: MemberId, id: RequestId, is_join: bool, error: ProtocolError) {
        self.reply(member, id, Err(error));
        if is_join && let Some(entry) = self.take_member(member) {
            self.close_on_node(&entry);
            self.outputs.push_back(Output::Detached { member, close: None });
        }
    }

    fn start_waiting_offer(&mut self, member: MemberId) {
        let Some(entry) = self.members.get_mut(&member) else { return };
        if entry.negotiation.is_none()
            && let Some((id, offer)) = entry.offers.pop_front()
        {
            self.start_negotiation(member, id, offer);
        }
    }
}

/// Whether a moderator who stops somebody's video means this.
pub(super) fn is_picture(source: Source) -> bool {
    source.kind() == MediaKind::Video
}

impl MemberTrack {
    fn publication(&self) -> Publication {
        Publication { mid: self.mid.clone(), track: self.id, source: self.source, muted: self.muted }
    }
}
