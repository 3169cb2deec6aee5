//! Coming and going.

use std::collections::VecDeque;

use patchbay_protocol::node::NodeCommand;
use patchbay_protocol::{
    Answer, CloseCode, Description, ErrorCode, Grants, Joined, LeaveReason, Mid, ParticipantNumber,
    ProtocolError, Reply, RequestId, ServerEvent, SessionId, SlotSource, Source, TransportId,
};
use serde_json::Value;
use tracing::info;

use super::member::{Member, Stage};
use super::{MemberId, Moment, Output, Pending, Room, check};

/// Somebody who wants in. Who it is and what it may do is settled already; the random ids are the caller's.
#[derive(Debug)]
pub(crate) struct Join {
    pub(crate) identity: String,
    pub(crate) name: String,
    pub(crate) metadata: Option<Value>,
    pub(crate) grants: Grants,
    pub(crate) name_fixed: bool,
    pub(crate) metadata_fixed: bool,
    pub(crate) session: SessionId,
    pub(crate) secret: String,
    pub(crate) transport: TransportId,
    pub(crate) offer: Option<Description>,
    pub(crate) watches: Vec<Watch>,
}

/// A slot that shows whoever has an identity, now or later.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    pub(crate) mid: Mid,
    pub(crate) identity: String,
    pub(crate) source: Source,
}

impl Room {
    pub(super) fn handle_join(&mut self, now: Moment, member: MemberId, id: RequestId, join: Join) {
        if self.members.len() >= self.config.capacity {
            self.refuse(member, id, ErrorCode::RoomFull, "the room holds as many participants as it may");
            self.outputs.push_back(Output::Detached { member, close: None });
            return;
        }
        if let Some(offer) = &join.offer
            && let Err(error) = check::check_description(offer, &join.grants)
        {
            self.reply(member, id, Err(error));
            self.outputs.push_back(Output::Detached { member, close: None });
            return;
        }
        let number = ParticipantNumber(self.next_participant);
        self.next_participant += 1;
        let entry = Member {
            stage: Stage::Joining(id),
            number,
            identity: join.identity,
            name: join.name,
            metadata: join.metadata,
            hand_raised: false,
            grants: join.grants,
            name_fixed: join.name_fixed,
            metadata_fixed: join.metadata_fixed,
            transport: join.transport,
            on_node: false,
            ice_servers: self.config.ice_servers.issue(&join.session, now.unix_ms),
            ice_refresh: None,
            session: join.session,
            secret: join.secret,
            tracks: Vec::new(),
            watches: join.watches,
            negotiation: None,
            offers: VecDeque::new(),
        };
        self.members.insert(member, entry);
        self.schedule_ice_refresh(now, member);
        match join.offer {
            Some(offer) => self.start_negotiation(member, id, offer),
            None => self.finish_join(member, None),
        }
    }

    /// The member is in: it gets its reply, and everybody else learns of it with its tracks.
    pub(super) fn finish_join(&mut self, member: MemberId, answer: Option<Answer>) {
        let Some(entry) = self.members.get_mut(&member) else { return };
        let Stage::Joining(id) = std::mem::replace(&mut entry.stage, Stage::Joined) else { return };
        let (identity, own, hidden) = (entry.identity.clone(), entry.participant(), entry.grants.hidden);
        let (session, secret, grants) = (entry.session.clone(), entry.secret.clone(), entry.grants.clone());
        let ice_servers = std::mem::take(&mut entry.ice_servers);
        let watches = !entry.watches.is_empty();

        info!(participant = %own.number, identity, hidden, tracks = own.tracks.len(), "participant joined");
        let replaced: Vec<MemberId> = self
            .members
            .iter()
            // Players are in nobody's way.
            .filter(|(other, entry)| {
                **other != member && !hidden && entry.is_in_roster() && entry.identity == identity
            })
            .map(|(other, _)| *other)
            .collect();
        for other in replaced {
            self.remove(other, LeaveReason::Replaced);
        }

        let participants = self
            .members
            .iter()
            .filter(|(other, entry)| **other != member && entry.is_in_roster())
            .map(|(_, entry)| entry.participant())
            .collect();
        let joined = Joined {
            session,
            secret,
            room: self.name.clone(),
            participant: own.clone(),
            grants,
            participants,
            ice_servers,
            answer,
            room_info: patchbay_protocol::RoomInfo::default(),
            chat: Vec::new(),
            waiting: Vec::new(),
        };
        self.reply(member, id, Ok(Reply::Joined(Box::new(joined))));
        if !self.speakers.is_empty() {
            self.event_to(member, ServerEvent::Speakers { speakers: self.speakers.clone() });
        }
        if !hidden {
            self.show_to_watchers(&identity, own.number);
            self.broadcast(Some(member), ServerEvent::ParticipantJoined { participant: own });
        }
        if watches {
            self.resolve_watches(member);
        }
    }

    /// The member is out, whatever the reason. Unknown members are out already.
    pub(super) fn remove(&mut self, member: MemberId, reason: LeaveReason) {
        let Some(entry) = self.members.remove(&member) else { return };
        info!(participant = %entry.number, identity = entry.identity, ?reason, "participant left");
        self.forget_ice_refresh(member, &entry);
        self.refuse_what_waits(member, &entry);
        if entry.on_node {
            self.command(NodeCommand::CloseTransport { transport: entry.transport });
        }
        let told = !matches!(reason, LeaveReason::Left | LeaveReason::ConnectionLost);
        if told && entry.has_joined() {
            self.event_to(member, ServerEvent::Left { reason });
        }
        let close = match reason {
            LeaveReason::Replaced => Some(CloseCode::Replaced),
            LeaveReason::Shutdown => Some(CloseCode::GoingAway),
            _ => None,
        };
        self.outputs.push_back(Output::Detached { member, close });
        self.speakers.retain(|number| *number != entry.number);
        if entry.is_in_roster() {
            self.broadcast(None, ServerEvent::ParticipantLeft { participant: entry.number, reason });
        }
    }

    pub(super) fn remove_by_transport(&mut self, transport: TransportId, reason: LeaveReason) {
        let Some(member) = self.member_of(transport) else { return };
        if let Some(entry) = self.members.get_mut(&member) {
            entry.on_node = false;
        }
        self.remove(member, reason);
    }

    pub(super) fn remove_all(&mut self, reason: LeaveReason) {
        let everybody: Vec<MemberId> = self.members.keys().copied().collect();
        for member in everybody {
            self.remove(member, reason);
        }
    }

    /// Every request gets its reply, also when its member goes first.
    fn refuse_what_waits(&mut self, member: MemberId, entry: &Member) {
        let error =
            || ProtocolError::new(ErrorCode::NotJoined, "the participant left the room before this was done");
        let mut waiting: Vec<RequestId> = Vec::new();
        if let Some(negotiation) = &entry.negotiation {
            waiting.push(negotiation.id);
        }
        waiting.extend(entry.offers.iter().map(|(id, _)| *id));
        let slots: Vec<super::Ticket> = self
            .pending
            .iter()
            .filter(|(_, pending)| matches!(pending, Pending::SetSlot { member: of, .. } if *of == member))
            .map(|(ticket, _)| *ticket)
            .collect();
        for ticket in slots {
            if let Some(Pending::SetSlot { id, .. }) = self.pending.remove(&ticket) {
                waiting.push(id);
            }
        }
        for id in waiting {
            self.reply(member, id, Err(error()));
        }
    }

    /// Slots that wait for this identity switch to its new number.
    fn show_to_watchers(&mut self, identity: &str, number: ParticipantNumber) {
        let mut commands = Vec::new();
        for entry in self.members.values().filter(|entry| entry.has_joined() && entry.on_node) {
            for watch in entry.watches.iter().filter(|watch| watch.identity == identity) {
                commands.push(set_slot(entry.transport, watch, number));
            }
        }
        commands.into_iter().for_each(|command| self.command(command));
    }

    /// Slots of a new member whose identities came while its offer was under way.
    fn resolve_watches(&mut self, member: MemberId) {
        let Some(entry) = self.members.get(&member) else { return };
        let mut commands = Vec::new();
        for watch in &entry.watches {
            if let Some(number) = self.number_of(&watch.identity) {
                commands.push(set_slot(entry.transport, watch, number));
            }
        }
        commands.into_iter().for_each(|command| self.command(command));
    }

    /// The number of the participant with an identity, if the roster has it.
    pub(super) fn number_of(&self, identity: &str) -> Option<ParticipantNumber> {
        let mut roster = self.members.values().filter(|entry| entry.is_in_roster());
        roster.find(|entry| entry.identity == identity).map(|entry| entry.number)
    }
}

fn set_slot(transport: TransportId, watch: &Watch, participant: ParticipantNumber) -> NodeCommand {
    let source = SlotSource::Participant { participant, source: watch.source };
    NodeCommand::SetSlot { transport, mid: watch.mid.clone(), source: Some(source) }
}
