//! What moderators do to others and to the room, and what somebody may do changing while it is there.

use patchbay_protocol::node::NodeCommand;
use patchbay_protocol::{
    ErrorCode, Grants, LeaveReason, Moderation, ParticipantNumber, ProtocolError, Reply, RequestId,
    ServerEvent, TrackId,
};
use tracing::info;

use super::negotiation::is_picture;
use super::rpc::Caller;
use super::{MemberId, Moment, Output, Room, check, setting};
use crate::store::StoreWrite;

/// Banned identities of one room.
const BANS: usize = 1_000;

type Outcome = Result<(), ProtocolError>;

impl Room {
    pub(super) fn handle_moderate(
        &mut self,
        now: Moment,
        member: MemberId,
        id: RequestId,
        action: Moderation,
    ) {
        self.moderate(now, Some(member), Caller::Member(member, id), action);
    }

    /// Acts on others, for a moderator or for the server's API.
    pub(super) fn moderate(
        &mut self,
        now: Moment,
        moderator: Option<MemberId>,
        caller: Caller,
        action: Moderation,
    ) {
        let identity = moderator.and_then(|member| self.members.get(&member)).map(|it| it.identity.as_str());
        info!(identity, ?action, "moderation");
        let result = match action {
            Moderation::Mute { track } => self.mute_for(moderator, track),
            Moderation::StopVideo { participant } => self.stop_video(moderator, participant),
            Moderation::Remove { participant } => self.remove_for(moderator, participant),
            // These are done when they are on the disk.
            Moderation::Ban { participant } => return self.ban(moderator, caller, participant),
            Moderation::Unban { identity } => return self.unban(caller, identity),
            Moderation::Admit { participant } => match self.waiting_member(participant) {
                Some(waiting) => self.admit(waiting),
                None => Err(unknown()),
            },
            Moderation::Deny { participant } => match self.waiting_member(participant) {
                Some(waiting) => {
                    self.turn_away(waiting, ErrorCode::Denied, "a moderator did not let you in");
                    Ok(())
                }
                None => Err(unknown()),
            },
            Moderation::Promote { participant, grants } => self.promote(moderator, participant, grants),
            Moderation::LowerHand { participant } => self.lower_hand(participant),
            Moderation::UpdateRoom { changes } => self.change_info(changes),
            Moderation::CloseRoom {} => {
                self.answer(caller, Ok(Reply::Done {}));
                return self.close(now);
            }
        };
        self.answer(caller, result.map(|()| Reply::Done {}));
    }

    /// The number others know a moderator by.
    fn shown_number(&self, member: Option<MemberId>) -> Option<ParticipantNumber> {
        self.members.get(&member?).filter(|entry| entry.is_in_roster()).map(|entry| entry.number)
    }

    /// Mutes somebody's track. Its owner is told, too, and may unmute it.
    fn mute_for(&mut self, moderator: Option<MemberId>, track: TrackId) -> Outcome {
        let owner = self
            .members
            .iter()
            .find(|(_, entry)| entry.is_in_roster() && entry.tracks.iter().any(|own| own.id == track));
        let Some((owner, _)) = owner else {
            return Err(ProtocolError::new(ErrorCode::UnknownTrack, "no such track in this room"));
        };
        self.silence(*owner, track, self.shown_number(moderator));
        Ok(())
    }

    fn silence(&mut self, owner: MemberId, track: TrackId, by: Option<ParticipantNumber>) {
        if let Some((participant, _)) = self.set_muted(owner, track, true) {
            self.broadcast(None, ServerEvent::TrackMuted { participant, track, muted: true, by });
        }
    }

    /// Mutes camera and screen, now and until somebody promotes the participant.
    fn stop_video(&mut self, moderator: Option<MemberId>, participant: ParticipantNumber) -> Outcome {
        let Some((member, _)) = self.visible(participant) else { return Err(unknown()) };
        let by = self.shown_number(moderator);
        let Some(entry) = self.members.get_mut(&member) else { return Ok(()) };
        entry.video_stopped = true;
        let pictures: Vec<TrackId> =
            entry.tracks.iter().filter(|track| is_picture(track.source)).map(|track| track.id).collect();
        for track in pictures {
            self.silence(member, track, by);
        }
        Ok(())
    }

    fn remove_for(&mut self, moderator: Option<MemberId>, participant: ParticipantNumber) -> Outcome {
        let Some(member) = self.target(moderator, participant) else { return Err(unknown()) };
        if Some(member) == moderator {
            return Err(ProtocolError::new(
                ErrorCode::InvalidArgument,
                "nobody removes itself; leave instead",
            ));
        }
        self.remove(member, LeaveReason::Removed);
        Ok(())
    }

    /// Who is meant. The server's API also means those that others don't see.
    fn target(&self, moderator: Option<MemberId>, participant: ParticipantNumber) -> Option<MemberId> {
        let hidden = || {
            let mut all = self.members.iter().filter(|_| moderator.is_none());
            all.find(|(_, entry)| entry.number == participant).map(|(member, _)| *member)
        };
        self.visible(participant).map(|(member, _)| member).or_else(hidden)
    }

    fn ban(&mut self, moderator: Option<MemberId>, caller: Caller, participant: ParticipantNumber) {
        let waiting = self.waiting_member(participant);
        let target = waiting.or_else(|| self.target(moderator, participant));
        let Some(member) = target.filter(|member| Some(*member) != moderator) else {
            return self.answer(caller, Err(unknown()));
        };
        let Some(identity) = self.members.get(&member).map(|entry| entry.identity.clone()) else { return };
        if !self.bans.contains(&identity) && self.bans.len() >= BANS {
            let message = "a room bans at most 1,000 identities";
            return self.answer(caller, Err(ProtocolError::new(ErrorCode::TooMany, message)));
        }
        self.bans.insert(identity.clone());
        if waiting.is_some() {
            self.turn_away(member, ErrorCode::Banned, "this identity was banned from the room");
        } else {
            self.remove(member, LeaveReason::Banned);
        }
        // Others who wait under the same identity, as several may.
        let same: Vec<MemberId> = self
            .members
            .iter()
            .filter(|(other, entry)| {
                Some(**other) != moderator && entry.identity == identity && entry.is_waiting()
            })
            .map(|(other, _)| *other)
            .collect();
        for other in same {
            self.turn_away(other, ErrorCode::Banned, "this identity was banned from the room");
        }
        self.keep_ban(caller, StoreWrite::Ban(identity));
    }

    fn unban(&mut self, caller: Caller, identity: String) {
        if let Err(error) = check::check_identity(&identity) {
            return self.answer(caller, Err(error));
        }
        self.bans.remove(&identity);
        self.keep_ban(caller, StoreWrite::Unban(identity));
    }

    /// Bans hold at once, and are answered when they will outlive the room.
    fn keep_ban(&mut self, caller: Caller, write: StoreWrite) {
        if !self.config.is_kept {
            return self.answer(caller, Ok(Reply::Done {}));
        }
        let ticket = self.mint_ticket();
        self.ban_writes.insert(ticket, caller);
        self.outputs.push_back(Output::Store { ticket, write });
    }

    fn promote(
        &mut self,
        moderator: Option<MemberId>,
        participant: ParticipantNumber,
        grants: Grants,
    ) -> Outcome {
        let Some((member, entry)) = self.visible(participant) else { return Err(unknown()) };
        let by = moderator.and_then(|member| self.members.get(&member));
        let may_record = moderator.is_none() || by.is_some_and(|entry| entry.grants.record);
        if grants.hidden {
            let message = "who is in the roster can't be hidden";
            return Err(ProtocolError::new(ErrorCode::InvalidArgument, message));
        }
        if grants.record && !entry.grants.record && !may_record {
            let message = "only who may record may let others record";
            return Err(ProtocolError::new(ErrorCode::NotAllowed, message));
        }
        if let Some(entry) = self.members.get_mut(&member) {
            entry.video_stopped = false;
        }
        self.change_grants(member, grants);
        Ok(())
    }

    /// What somebody may do changes while it is there: what it may no longer do ends, here and on the node.
    pub(super) fn change_grants(&mut self, member: MemberId, grants: Grants) {
        let room = self.id;
        let Some(entry) = self.members.get_mut(&member) else { return };
        // Others know it or don't; that can't change in the middle of a stay.
        let grants = Grants { hidden: entry.grants.hidden, ..grants };
        if grants == entry.grants {
            return;
        }
        let before = std::mem::replace(&mut entry.grants, grants.clone());
        if !entry.has_joined() {
            return;
        }
        let (participant, shown, transport) = (entry.number, entry.is_in_roster(), entry.transport);
        let (allowed, forbidden) = std::mem::take(&mut entry.tracks)
            .into_iter()
            .partition(|track| grants.publish.contains(&track.source));
        entry.tracks = allowed;
        let forbidden: Vec<super::member::MemberTrack> = forbidden;
        let on_node = entry.on_node;
        let slots = if grants.subscribe { Vec::new() } else { entry.slots.clone() };
        let attached = entry.topics.is_attached.then_some(entry.topics.transport);

        self.event_to(member, ServerEvent::GrantsChanged { grants: grants.clone() });
        for track in forbidden {
            // The section stays until the client's next offer; nothing of it is forwarded from here on.
            self.command(NodeCommand::SetMuted { room, track: track.id, muted: true });
            if shown {
                self.broadcast(None, ServerEvent::TrackUnpublished { participant, track: track.id });
            }
        }
        for mid in slots {
            if let Some(entry) = self.members.get_mut(&member) {
                entry.show(&mid, None);
            }
            self.command(NodeCommand::SetSlot { transport, mid, source: None });
        }
        if before.data != grants.data || before.topics != grants.topics {
            for transport in on_node.then_some(transport).into_iter().chain(attached) {
                let (data, topics) = (grants.data, grants.topics.clone());
                self.command(NodeCommand::SetData { transport, data, topics });
            }
        }
        if grants.moderate && !before.moderate {
            for waiting in self.waiting() {
                self.event_to(member, ServerEvent::ParticipantWaiting { waiting });
            }
        }
    }

    fn lower_hand(&mut self, participant: ParticipantNumber) -> Outcome {
        let Some((member, _)) = self.visible(participant) else { return Err(unknown()) };
        let Some(entry) = self.members.get_mut(&member) else { return Ok(()) };
        if std::mem::take(&mut entry.hand_raised) {
            // To its owner, too.
            let participant = entry.participant();
            self.broadcast(None, ServerEvent::ParticipantUpdated { participant });
        }
        Ok(())
    }

    /// Everybody out, and the room is as if nobody had ever changed it. Chat and bans that are on disk stay there.
    fn close(&mut self, now: Moment) {
        let waiting: Vec<MemberId> = self.queue.iter().copied().collect();
        for member in waiting {
            self.turn_away(member, ErrorCode::Denied, "the room was closed");
        }
        self.remove_all(LeaveReason::RoomClosed);
        if let Some(transport) = self.forget_server_topics() {
            self.command(NodeCommand::CloseTransport { transport });
        }
        self.empty_timeout = None;
        self.returning.clear();
        self.info = setting::initial(now, &self.config);
        self.outputs.push_back(Output::Over);
    }
}

fn unknown() -> ProtocolError {
    ProtocolError::new(ErrorCode::UnknownParticipant, "no such participant in this room")
}
