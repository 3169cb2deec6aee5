//! What members ask for once they are in.

use patchbay_protocol::node::NodeCommand;
use patchbay_protocol::{
    ClientRequest, ErrorCode, LeaveReason, Mid, ProtocolError, Reply, RequestId, ServerEvent, SlotSource,
    TrackId, limit,
};
use serde_json::Value;

use super::{MemberId, Moment, Pending, Room, check};

impl Room {
    pub(super) fn handle_request(
        &mut self,
        now: Moment,
        member: MemberId,
        id: RequestId,
        request: ClientRequest,
    ) {
        let Some(entry) = self.members.get(&member) else {
            return self.refuse(member, id, ErrorCode::NotJoined, "join a room first");
        };
        let may_come_early = matches!(request, ClientRequest::Candidate { .. } | ClientRequest::Leave {});
        if !entry.has_joined() && !may_come_early {
            return self.refuse(
                member,
                id,
                ErrorCode::NotJoined,
                "the join is not done yet; wait for its reply",
            );
        }
        match request {
            ClientRequest::Offer { offer } => match check::check_description(&offer, &entry.grants) {
                Ok(()) => self.enqueue_offer(member, id, offer),
                Err(error) => self.reply(member, id, Err(error)),
            },
            ClientRequest::Candidate { candidate, .. } => self.handle_candidate(member, id, candidate),
            ClientRequest::Slot { mid, source } => self.handle_slot(member, id, mid, source),
            ClientRequest::Mute { track, muted } => self.handle_mute(member, id, track, muted),
            ClientRequest::Update { name, metadata, hand_raised, .. } => {
                let result = self.update(member, name, metadata, hand_raised);
                self.reply(member, id, result.map(|()| Reply::Done {}));
            }
            ClientRequest::Chat { text, .. } => self.handle_chat(now, member, id, text),
            ClientRequest::Leave {} => {
                self.reply(member, id, Ok(Reply::Done {}));
                self.remove(member, LeaveReason::Left);
            }
            // Said to whoever keeps the connection timelines, not to the room.
            ClientRequest::Trouble { .. } | ClientRequest::Ping {} => {
                self.reply(member, id, Ok(Reply::Done {}))
            }
            ClientRequest::Presence { .. }
            | ClientRequest::ChatHistory { .. }
            | ClientRequest::Moderate { .. }
            | ClientRequest::Refresh { .. }
            | ClientRequest::Rpc { .. }
            | ClientRequest::RpcReply { .. }
            | ClientRequest::TopicOpen { .. }
            | ClientRequest::TopicSend { .. }
            | ClientRequest::TopicClose { .. } => {
                self.refuse(member, id, ErrorCode::UnknownType, "this server does not know this request");
            }
            ClientRequest::Hello { .. } | ClientRequest::Join { .. } => {
                self.refuse(member, id, ErrorCode::AlreadyJoined, "this session is in a room already");
            }
        }
    }

    fn handle_candidate(&mut self, member: MemberId, id: RequestId, candidate: String) {
        let Some(entry) = self.members.get(&member) else { return };
        if !entry.on_node {
            return self.refuse(
                member,
                id,
                ErrorCode::InvalidArgument,
                "a candidate needs an offer before it",
            );
        }
        if candidate.len() > check::CANDIDATE_BYTES {
            return self.refuse(member, id, ErrorCode::InvalidArgument, "the candidate is too long");
        }
        let transport = entry.transport;
        if !candidate.is_empty() {
            self.command(NodeCommand::Candidate { transport, candidate });
        }
        self.reply(member, id, Ok(Reply::Done {}));
    }

    fn handle_slot(&mut self, member: MemberId, id: RequestId, mid: Mid, source: Option<SlotSource>) {
        let Some(entry) = self.members.get(&member) else { return };
        let refusal = if !entry.grants.subscribe {
            Some((ErrorCode::NotAllowed, "this participant may not receive media"))
        } else if !entry.on_node {
            Some((ErrorCode::UnknownSlot, "there is no slot before an offer"))
        } else {
            source.and_then(|source| self.missing_source(source))
        };
        if let Some((code, message)) = refusal {
            return self.refuse(member, id, code, message);
        }
        let transport = entry.transport;
        if let Some(entry) = self.members.get_mut(&member) {
            entry.watches.retain(|watch| watch.mid != mid);
        }
        self.command_for(Pending::SetSlot { member, id }, NodeCommand::SetSlot { transport, mid, source });
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

    fn handle_mute(&mut self, member: MemberId, id: RequestId, track: TrackId, muted: bool) {
        let room = self.id;
        let Some(entry) = self.members.get_mut(&member) else { return };
        let (participant, shown) = (entry.number, entry.is_in_roster());
        let Some(own) = entry.tracks.iter_mut().find(|own| own.id == track) else {
            return self.refuse(member, id, ErrorCode::UnknownTrack, "no such track of one's own");
        };
        let changed = std::mem::replace(&mut own.muted, muted) != muted;
        let (mid, source) = (own.mid.clone(), own.source);
        // Offers that were made before say what held then.
        entry.negotiation.iter_mut().for_each(|negotiation| negotiation.set_muted(track, muted));
        let waiting = entry.offers.iter_mut().flat_map(|(_, offer)| &mut offer.publications);
        for publication in waiting.filter(|one| one.mid == mid && one.source == source) {
            publication.muted = muted;
        }
        if changed {
            self.command(NodeCommand::SetMuted { room, track, muted });
        }
        self.reply(member, id, Ok(Reply::Done {}));
        if changed && shown {
            self.broadcast(Some(member), ServerEvent::TrackMuted { participant, track, muted, by: None });
        }
    }

    fn update(
        &mut self,
        member: MemberId,
        name: Option<String>,
        metadata: Option<Value>,
        hand_raised: Option<bool>,
    ) -> Result<(), ProtocolError> {
        let Some(entry) = self.members.get_mut(&member) else { return Ok(()) };
        if let Some(name) = &name {
            check::check_name(name)?;
            if entry.name_fixed && *name != entry.name {
                return Err(ProtocolError::new(ErrorCode::NotAllowed, "the token says the name"));
            }
        }
        if let Some(metadata) = &metadata {
            check::check_metadata(metadata)?;
            if entry.metadata_fixed {
                return Err(ProtocolError::new(ErrorCode::NotAllowed, "the token says the metadata"));
            }
        }
        if let Some(name) = name {
            entry.name = name;
        }
        if metadata.is_some() {
            entry.metadata = metadata;
        }
        if let Some(hand_raised) = hand_raised {
            entry.hand_raised = hand_raised;
        }
        let (participant, shown) = (entry.participant(), entry.is_in_roster());
        if shown {
            self.broadcast(Some(member), ServerEvent::ParticipantUpdated { participant });
        }
        Ok(())
    }

    fn handle_chat(&mut self, now: Moment, member: MemberId, id: RequestId, text: String) {
        let Some(entry) = self.members.get(&member) else { return };
        if !entry.grants.data || entry.grants.hidden {
            return self.refuse(member, id, ErrorCode::NotAllowed, "this participant may not write");
        }
        if text.is_empty() || text.len() > limit::CHAT_BYTES {
            return self.refuse(
                member,
                id,
                ErrorCode::InvalidArgument,
                "a chat line is 1 to 4096 bytes of text",
            );
        }
        let line = patchbay_protocol::ChatLine {
            number: 1,
            participant: entry.number,
            identity: entry.identity.clone(),
            name: entry.name.clone(),
            text,
            sent_at_ms: now.unix_ms,
            message_id: None,
        };
        self.reply(member, id, Ok(Reply::Chatted { line: line.clone() }));
        self.broadcast(None, ServerEvent::Chat { line });
    }
}
