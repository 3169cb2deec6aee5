//! Coming and going.

use std::collections::{BTreeMap, VecDeque};

use patchbay_protocol::node::NodeCommand;
use patchbay_protocol::{
    Answer, Attributes, CloseCode, Description, ErrorCode, Grants, Joined, LeaveReason, Mid,
    ParticipantNumber, PresenceState, ProtocolError, Reply, RequestId, ServerEvent, SessionId, SlotSource,
    Source, TransportId, limit,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::info;

use super::admission::Admission;
use super::member::{Member, Stage};
use super::rpc::Caller;
use super::topic::SignaledTopics;
use super::{MemberId, Moment, Output, Pending, Room, check};
use crate::auth::Credential;

/// Somebody who wants in. Who it is and what it may do is settled already; the random ids are the caller's.
#[derive(Debug)]
pub(crate) struct Join {
    pub(crate) identity: String,
    pub(crate) name: String,
    pub(crate) metadata: Option<Value>,
    pub(crate) grants: Grants,
    /// What a token said besides; nothing on an open server.
    pub(crate) credential: Option<Credential>,
    pub(crate) name_fixed: bool,
    pub(crate) metadata_fixed: bool,
    pub(crate) session: SessionId,
    pub(crate) secret: String,
    /// The trace of this join.
    pub(crate) trace: tracing::Span,
    pub(crate) transport: TransportId,
    /// Names its way to topics over signaling, should it want one.
    pub(crate) data_transport: TransportId,
    pub(crate) offer: Option<Description>,
    pub(crate) watches: Vec<Watch>,
}

/// A slot that shows whoever has an identity, now or later.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Watch {
    pub(crate) mid: Mid,
    pub(crate) identity: String,
    pub(crate) source: Source,
}

impl Watch {
    /// What the slot shows while the identity has this number.
    fn source_of(&self, participant: ParticipantNumber) -> SlotSource {
        SlotSource::Participant { participant, source: self.source }
    }
}

impl Room {
    pub(super) fn handle_join(&mut self, now: Moment, member: MemberId, id: RequestId, join: Join) {
        let offer = join
            .offer
            .as_ref()
            .map_or(Ok(()), |offer| check::check_description(offer, &join.grants, &self.config.bounds));
        let admission = match self.admission(&join).and_then(|admission| offer.map(|()| admission)) {
            Ok(admission) => admission,
            Err(error) => {
                info!(identity = join.identity, code = ?error.code, "not let in");
                self.reply(member, id, Err(error));
                self.outputs.push_back(Output::Detached { member, close: None });
                return;
            }
        };
        let number = ParticipantNumber(self.next_participant);
        self.next_participant += 1;
        let entry = Member {
            stage: Stage::Joining(id),
            number,
            identity: join.identity,
            name: join.name,
            metadata: join.metadata,
            attributes: Attributes::new(),
            hand_raised: false,
            presence: PresenceState::Active,
            typing_until: None,
            presence_told: None,
            presence_due: None,
            grants: join.grants,
            credential: join.credential,
            expiry: None,
            is_told_of_expiry: false,
            video_stopped: false,
            name_fixed: join.name_fixed,
            metadata_fixed: join.metadata_fixed,
            transport: join.transport,
            on_node: false,
            ice_servers: self.config.ice_servers.issue(&join.session, now.unix_ms),
            ice_refresh: None,
            joined_at_ms: now.unix_ms,
            session: join.session,
            secret: join.secret,
            tracks: Vec::new(),
            slots: Vec::new(),
            shown: BTreeMap::new(),
            flows: BTreeMap::new(),
            is_resource: false,
            resumption: None,
            topics: SignaledTopics::new(join.data_transport),
            watches: join.watches,
            negotiation: None,
            offers: VecDeque::new(),
        };
        self.insert_member(member, entry);
        self.schedule_ice_refresh(now, member);
        self.schedule_expiry(now, member);
        match admission {
            Admission::Enter => self.enter(member, id, join.offer),
            Admission::Wait => self.wait_in_line(member, id, join.offer),
        }
    }

    /// Starts what the join asked for.
    pub(super) fn enter(&mut self, member: MemberId, id: RequestId, offer: Option<Description>) {
        match offer {
            Some(offer) => self.start_negotiation(member, id, offer),
            None => self.finish_join(member, None),
        }
    }

    /// The member is in: it gets its reply, and everybody else learns of it with its tracks.
    pub(super) fn finish_join(&mut self, member: MemberId, answer: Option<Answer>) {
        let Some(entry) = self.members.get_mut(&member) else { return };
        let Stage::Joining(id) = entry.stage else { return };
        entry.stage = Stage::Joined;
        let (identity, own, hidden) = (entry.identity.clone(), entry.participant(), entry.grants.hidden);
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

        if let Some(joined) = self.joined(member, answer) {
            self.reply(member, id, Ok(Reply::Joined(Box::new(joined))));
        }
        if let Some(entry) = self.members.get_mut(&member) {
            entry.ice_servers = Vec::new();
        }
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

    /// The room as a member sees it now.
    pub(super) fn joined(&self, member: MemberId, answer: Option<Answer>) -> Option<Joined> {
        let entry = self.members.get(&member)?;
        let participants = self
            .members
            .iter()
            .filter(|(other, entry)| **other != member && entry.is_in_roster())
            .map(|(_, entry)| entry.participant())
            .collect();
        Some(Joined {
            session: entry.session.clone(),
            secret: entry.secret.clone(),
            room: self.name.clone(),
            participant: entry.participant(),
            grants: entry.grants.clone(),
            participants,
            ice_servers: entry.ice_servers.clone(),
            answer,
            room_info: self.info.clone(),
            chat: self.chat.history.newest(limit::CHAT_LINES),
            waiting: if entry.grants.moderate { self.waiting() } else { Vec::new() },
        })
    }

    /// The member is out, whatever the reason. Unknown members are out already.
    pub(super) fn remove(&mut self, member: MemberId, reason: LeaveReason) {
        let Some(entry) = self.take_member(member) else { return };
        info!(participant = %entry.number, identity = entry.identity, ?reason, "participant left");
        self.refuse_what_waits(member, &entry);
        self.close_on_node(&entry);
        let told = !matches!(reason, LeaveReason::Left | LeaveReason::ConnectionLost);
        if told && entry.has_joined() {
            self.event_to(member, ServerEvent::Left { reason });
        }
        let close = match reason {
            LeaveReason::Replaced => Some(CloseCode::Replaced),
            LeaveReason::Shutdown => Some(CloseCode::GoingAway),
            LeaveReason::Removed | LeaveReason::Banned | LeaveReason::Revoked => Some(CloseCode::Forbidden),
            LeaveReason::TokenExpired => Some(CloseCode::Unauthorized),
            _ => None,
        };
        self.outputs.push_back(Output::Detached { member, close });
        self.speakers.retain(|number| *number != entry.number);
        if entry.is_waiting() {
            self.leave_line(member, entry.number);
        }
        if entry.is_in_roster() {
            self.expect_return(&entry.identity, reason);
            self.note_left(&entry, reason);
            self.broadcast(None, ServerEvent::ParticipantLeft { participant: entry.number, reason });
        }
    }

    /// Whatever the node holds of somebody who is out.
    pub(super) fn close_on_node(&mut self, entry: &Member) {
        if entry.on_node {
            self.command(NodeCommand::CloseTransport { transport: entry.transport });
        }
        if entry.topics.is_attached {
            self.command(NodeCommand::CloseTransport { transport: entry.topics.transport });
        }
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
        if let Stage::Waiting(id, _) = &entry.stage {
            waiting.push(*id);
        }
        if let Some(negotiation) = &entry.negotiation {
            waiting.push(negotiation.id);
        }
        waiting.extend(entry.offers.iter().map(|(id, _)| *id));
        self.pending.retain(|_, pending| match pending {
            Pending::Plain { member: of, id } | Pending::OpenTopic { member: of, id, .. }
                if *of == member =>
            {
                waiting.push(*id);
                false
            }
            _ => true,
        });
        self.ban_writes.retain(|_, caller| match *caller {
            Caller::Member(of, id) if of == member => {
                waiting.push(id);
                false
            }
            _ => true,
        });
        waiting.extend(self.chat.forget(member));
        waiting.extend(self.end_calls_of(member));
        for id in waiting {
            self.reply(member, id, Err(error()));
        }
    }

    /// Slots that wait for this identity switch to its new number.
    fn show_to_watchers(&mut self, identity: &str, number: ParticipantNumber) {
        let mut commands = Vec::new();
        for entry in self.members.values_mut().filter(|entry| entry.has_joined() && entry.on_node) {
            let watches: Vec<Watch> =
                entry.watches.iter().filter(|watch| watch.identity == identity).cloned().collect();
            for watch in watches {
                entry.show(&watch.mid, Some(watch.source_of(number)));
                commands.push(set_slot(entry.transport, &watch, number));
            }
        }
        commands.into_iter().for_each(|command| self.command(command));
    }

    /// Slots of a new member whose identities came while its offer was under way.
    fn resolve_watches(&mut self, member: MemberId) {
        let Some(entry) = self.members.get(&member) else { return };
        let transport = entry.transport;
        let shown: Vec<(Watch, ParticipantNumber)> = entry
            .watches
            .iter()
            .filter_map(|watch| Some((watch.clone(), self.number_of(&watch.identity)?)))
            .collect();
        for (watch, number) in shown {
            if let Some(entry) = self.members.get_mut(&member) {
                entry.show(&watch.mid, Some(watch.source_of(number)));
            }
            self.command(set_slot(transport, &watch, number));
        }
    }

    /// The number of the participant with an identity, if the roster has it.
    pub(super) fn number_of(&self, identity: &str) -> Option<ParticipantNumber> {
        let mut roster = self.members.values().filter(|entry| entry.is_in_roster());
        roster.find(|entry| entry.identity == identity).map(|entry| entry.number)
    }
}

fn set_slot(transport: TransportId, watch: &Watch, participant: ParticipantNumber) -> NodeCommand {
    NodeCommand::SetSlot { transport, mid: watch.mid.clone(), source: Some(watch.source_of(participant)) }
}
