//! Candidates, slots, and muting by a track's owner.

use patchbay_protocol::node::NodeCommand;
use patchbay_protocol::{
    ErrorCode, Mid, ParticipantNumber, Reply, RequestId, ServerEvent, SlotSource, TrackId,
};

use super::negotiation::is_picture;
use super::{MemberId, Pending, Room, check};

impl Room {
    pub(super) fn handle_candidate(&mut self, member: MemberId, id: RequestId, candidate: String) {
        let Some(entry) = self.members.get(&member) else { return };
        if candidate.len() > check::CANDIDATE_BYTES {
            return self.refuse(member, id, ErrorCode::InvalidArgument, "the candidate is too long");
        }
        // Whoever waits sends them behind its offer. The node needs none: it learns where checks come from.
        if entry.is_waiting() {
            return self.reply(member, id, Ok(Reply::Done {}));
        }
        if !entry.on_node {
            return self.refuse(
                member,
                id,
                ErrorCode::InvalidArgument,
                "a candidate needs an offer before it",
            );
        }
        let transport = entry.transport;
        if !candidate.is_empty() {
            self.command(NodeCommand::Candidate { transport, candidate });
        }
        self.reply(member, id, Ok(Reply::Done {}));
    }

    pub(super) fn handle_slot(
        &mut self,
        member: MemberId,
        id: RequestId,
        mid: Mid,
        source: Option<SlotSource>,
    ) {
        let Some(entry) = self.members.get(&member) else { return };
        let refusal = if !entry.on_node {
            Some((ErrorCode::UnknownSlot, "there is no slot before an offer"))
        } else {
            source.and_then(|source| self.missing_source(source))
        };
        if let Some((code, message)) = refusal {
            return self.refuse(member, id, code, message);
        }
        let transport = entry.transport;
        if let Some(entry) = self.members.get_mut(&member) {
            entry.show(&mid, source);
            entry.watches.retain(|watch| watch.mid != mid);
        }
        self.command_for(Pending::Plain { member, id }, NodeCommand::SetSlot { transport, mid, source });
    }

    /// What is wrong with a source, if anything.
    fn missing_source(&self, source: SlotSource) -> Option<(ErrorCode, &'static str)> {
        let mut roster = self.members.values().filter(|entry| entry.is_in_roster());
        match source {
            SlotSource::Track { track } => (!roster
                .any(|entry| entry.tracks.iter().any(|own| own.id == track)))
            .then_some((ErrorCode::UnknownTrack, "no such track in this room")),
            SlotSource::Participant { participant, .. } => (!roster.any(|entry| entry.number == participant))
                .then_some((ErrorCode::UnknownParticipant, "no such participant in this room")),
            SlotSource::Speaker { speaker } => (!check::is_speaker_rank(speaker))
                .then_some((ErrorCode::InvalidArgument, check::SPEAKER_RANK_MESSAGE)),
        }
    }

    pub(super) fn handle_mute(&mut self, member: MemberId, id: RequestId, track: TrackId, muted: bool) {
        let Some(entry) = self.members.get(&member) else { return };
        let Some(own) = entry.tracks.iter().find(|own| own.id == track) else {
            return self.refuse(member, id, ErrorCode::UnknownTrack, "no such track of one's own");
        };
        if !muted && entry.video_stopped && is_picture(own.source) {
            return self.refuse(
                member,
                id,
                ErrorCode::NotAllowed,
                "a moderator stopped the video of this participant",
            );
        }
        let changed = self.set_muted(member, track, muted);
        self.reply(member, id, Ok(Reply::Done {}));
        if let Some((participant, shown)) = changed
            && shown
        {
            let event = ServerEvent::TrackMuted { participant, track, muted, by: None };
            self.broadcast(Some(member), event);
        }
    }

    /// Mutes or unmutes a track, on the node and in offers under way. Says whose it is, and whether it is in the roster, if
    /// that changed anything.
    pub(super) fn set_muted(
        &mut self,
        member: MemberId,
        track: TrackId,
        muted: bool,
    ) -> Option<(ParticipantNumber, bool)> {
        let room = self.id;
        let entry = self.members.get_mut(&member)?;
        let shown = (entry.number, entry.is_in_roster());
        let own = entry.tracks.iter_mut().find(|own| own.id == track)?;
        let changed = std::mem::replace(&mut own.muted, muted) != muted;
        let (mid, source) = (own.mid.clone(), own.source);
        // Offers that were made before say what held then.
        entry.negotiation.iter_mut().for_each(|negotiation| negotiation.set_muted(track, muted));
        let waiting = entry.offers.iter_mut().flat_map(|(_, offer)| &mut offer.publications);
        for publication in waiting.filter(|one| one.mid == mid && one.source == source) {
            publication.muted = muted;
        }
        if !changed {
            return None;
        }
        self.command(NodeCommand::SetMuted { room, track, muted });
        Some(shown)
    }
}
