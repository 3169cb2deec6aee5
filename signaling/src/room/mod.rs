//! A room as a pure state machine: who is there, what they publish, who may do what.
//!
//! In go requests of members and what their node reports ([`Input`]); out come replies, events and commands ([`Output`]).
//! No clock, no sockets, no randomness: the time and every random id come with the input. One task per room drives it
//! (see `crate::rooms`). Media negotiation is the node's: an offer becomes a `negotiate` command, and the room learns
//! from its result which tracks exist.

mod check;
mod entry;
mod ice;
mod member;
mod negotiation;
mod request;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use patchbay_protocol::node::{CommandResult, NodeCommand, NodeEvent};
use patchbay_protocol::{
    ClientRequest, CloseCode, ErrorCode, LeaveReason, ParticipantNumber, ProtocolError, Reply, RequestId,
    RoomId, RoomName, ServerEvent, TransportId,
};

pub(crate) use check::{check_identity, check_metadata, check_name};
pub(crate) use entry::{Join, Watch};
use member::Member;
pub(crate) use member::MemberId;
use negotiation::Negotiation;

use crate::turn::IceServers;

/// What every room of this server has in common.
#[derive(Debug, Clone)]
pub(crate) struct RoomConfig {
    /// Issued to everybody who joins, and again before they expire.
    pub(crate) ice_servers: Arc<IceServers>,
    /// How long an empty room is kept.
    pub(crate) linger: Duration,
    /// How many members a room holds.
    pub(crate) capacity: usize,
}

/// The time, as the driver of a room tells it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// For deadlines.
    pub(crate) at: Instant,
    /// For people: Unix time in milliseconds.
    pub(crate) unix_ms: u64,
}

/// Names a command whose result the room wants back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(pub(crate) u64);

/// What goes in.
#[derive(Debug)]
pub(crate) enum Input {
    /// Somebody wants in.
    Join { member: MemberId, id: RequestId, join: Box<Join> },
    /// A member asks for something.
    Request { member: MemberId, id: RequestId, request: ClientRequest },
    /// A member's connection is over.
    Gone { member: MemberId, reason: LeaveReason },
    /// The result of a command.
    Done { ticket: Ticket, result: CommandResult },
    /// The node reports something about a transport of this room, or about the room.
    Node(NodeEvent),
    /// The node no longer holds a transport.
    TransportGone(TransportId),
    /// The node is lost with everything it held.
    NodeLost,
    /// The server shuts down.
    Shutdown,
}

/// What comes out.
#[derive(Debug, PartialEq)]
pub(crate) enum Output {
    /// The one reply to a request.
    Reply { member: MemberId, id: RequestId, result: Result<Reply, ProtocolError> },
    /// An event to some members.
    Event { to: Vec<MemberId>, event: ServerEvent },
    /// The member is no longer in the room. `close` says that its connection goes too.
    Detached { member: MemberId, close: Option<CloseCode> },
    /// A command to the room's node.
    Command { ticket: Option<Ticket>, command: NodeCommand },
    /// The room is over: the driver ends it unless somebody is already waiting to join.
    Over,
}

/// What a ticket stands for.
#[derive(Debug)]
enum Pending {
    /// A negotiation of this member.
    Negotiate(MemberId),
    /// A `slot` request.
    SetSlot { member: MemberId, id: RequestId },
}

/// One room.
pub(crate) struct Room {
    name: RoomName,
    id: RoomId,
    config: RoomConfig,
    members: BTreeMap<MemberId, Member>,
    pending: BTreeMap<Ticket, Pending>,
    outputs: VecDeque<Output>,
    speakers: Vec<ParticipantNumber>,
    next_participant: u32,
    next_track: u32,
    next_ticket: u64,
    empty_since: Option<Instant>,
    /// When whose ICE servers are to be issued again.
    ice_refreshes: BTreeSet<(Instant, MemberId)>,
}

impl Room {
    /// An empty room. `id` is what nodes know it by.
    pub(crate) fn new(now: Moment, name: RoomName, id: RoomId, config: RoomConfig) -> Self {
        Self {
            name,
            id,
            config,
            members: BTreeMap::new(),
            pending: BTreeMap::new(),
            outputs: VecDeque::new(),
            speakers: Vec::new(),
            next_participant: 1,
            next_track: 1,
            next_ticket: 1,
            empty_since: Some(now.at),
            ice_refreshes: BTreeSet::new(),
        }
    }

    /// Takes one input.
    pub(crate) fn handle(&mut self, now: Moment, input: Input) {
        match input {
            Input::Join { member, id, join } => self.handle_join(now, member, id, *join),
            Input::Request { member, id, request } => self.handle_request(now, member, id, request),
            Input::Gone { member, reason } => self.remove(member, reason),
            Input::Done { ticket, result } => self.handle_result(ticket, result),
            Input::Node(event) => self.handle_node_event(event),
            Input::TransportGone(transport) => self.remove_by_transport(transport, LeaveReason::NodeLost),
            Input::NodeLost => self.handle_node_lost(),
            Input::Shutdown => self.remove_all(LeaveReason::Shutdown),
        }
        if !self.members.is_empty() {
            self.empty_since = None;
        } else if self.empty_since.is_none() {
            self.empty_since = Some(now.at);
        }
    }

    /// Does what is due: ICE servers are issued again, an empty room ends.
    pub(crate) fn handle_deadline(&mut self, now: Moment) {
        self.refresh_ice_servers(now);
        if self.end().is_some_and(|end| end <= now.at) {
            self.empty_since = Some(now.at);
            self.outputs.push_back(Output::Over);
        }
    }

    /// When [`Self::handle_deadline`] wants to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let refresh = self.ice_refreshes.first().map(|(due, _)| *due);
        [self.end(), refresh].into_iter().flatten().min()
    }

    /// When the room ends, if nobody comes.
    fn end(&self) -> Option<Instant> {
        self.empty_since.map(|since| since + self.config.linger)
    }

    /// The next thing to be done outside.
    pub(crate) fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What the room is called.
    pub(crate) fn name(&self) -> &RoomName {
        &self.name
    }

    /// What nodes know it by.
    pub(crate) fn id(&self) -> RoomId {
        self.id
    }

    fn handle_result(&mut self, ticket: Ticket, result: CommandResult) {
        match self.pending.remove(&ticket) {
            Some(Pending::Negotiate(member)) => self.finish_negotiation(member, result),
            Some(Pending::SetSlot { member, id }) => {
                let result = match result {
                    CommandResult::Failed { error } => Err(client_error(error)),
                    _ => Ok(Reply::Done {}),
                };
                if self.members.contains_key(&member) {
                    self.reply(member, id, result);
                }
            }
            None => {}
        }
    }

    fn handle_node_event(&mut self, event: NodeEvent) {
        match event {
            NodeEvent::Transport { transport, state } => {
                let Some(member) = self.member_of(transport) else { return };
                let failed = matches!(state, patchbay_protocol::TransportState::Failed { .. });
                if failed && let Some(member) = self.members.get_mut(&member) {
                    member.on_node = false;
                }
                self.event_to(member, ServerEvent::Transport { state });
                if failed {
                    self.remove(member, LeaveReason::TransportLost);
                }
            }
            NodeEvent::Candidate { transport, candidate } => {
                if let Some(member) = self.member_of(transport) {
                    self.event_to(member, ServerEvent::Candidate { candidate, mid: None });
                }
            }
            NodeEvent::Slot { transport, mid, state } => {
                if let Some(member) = self.member_of(transport) {
                    self.event_to(member, ServerEvent::Slot { mid, state });
                }
            }
            NodeEvent::Speakers { speakers, .. } => {
                let visible = |number: &ParticipantNumber| {
                    self.members.values().any(|member| member.number == *number && member.is_in_roster())
                };
                self.speakers = speakers.into_iter().filter(visible).collect();
                self.broadcast(None, ServerEvent::Speakers { speakers: self.speakers.clone() });
            }
            NodeEvent::Hello { .. }
            | NodeEvent::Done { .. }
            | NodeEvent::Data { .. }
            | NodeEvent::TopicClosed { .. }
            | NodeEvent::Timeline { .. }
            | NodeEvent::Report { .. } => {}
        }
    }

    fn handle_node_lost(&mut self) {
        let lost: Vec<MemberId> =
            self.members.iter().filter(|(_, member)| member.on_node).map(|(id, _)| *id).collect();
        for member in &lost {
            if let Some(member) = self.members.get_mut(member) {
                member.on_node = false;
            }
        }
        for member in lost {
            self.remove(member, LeaveReason::NodeLost);
        }
    }

    fn member_of(&self, transport: TransportId) -> Option<MemberId> {
        self.members.iter().find(|(_, member)| member.transport == transport).map(|(id, _)| *id)
    }

    fn reply(&mut self, member: MemberId, id: RequestId, result: Result<Reply, ProtocolError>) {
        self.outputs.push_back(Output::Reply { member, id, result });
    }

    fn refuse(&mut self, member: MemberId, id: RequestId, code: ErrorCode, message: &str) {
        self.reply(member, id, Err(ProtocolError::new(code, message)));
    }

    fn event_to(&mut self, member: MemberId, event: ServerEvent) {
        self.outputs.push_back(Output::Event { to: vec![member], event });
    }

    /// To everybody who has joined, but for `except`.
    fn broadcast(&mut self, except: Option<MemberId>, event: ServerEvent) {
        let to: Vec<MemberId> = self
            .members
            .iter()
            .filter(|(id, member)| member.has_joined() && Some(**id) != except)
            .map(|(id, _)| *id)
            .collect();
        if !to.is_empty() {
            self.outputs.push_back(Output::Event { to, event });
        }
    }

    fn command(&mut self, command: NodeCommand) {
        self.outputs.push_back(Output::Command { ticket: None, command });
    }

    fn command_for(&mut self, pending: Pending, command: NodeCommand) {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.pending.insert(ticket, pending);
        self.outputs.push_back(Output::Command { ticket: Some(ticket), command });
    }
}

/// What a client is told of a node's refusal: codes of the link itself mean nothing to it.
fn client_error(error: ProtocolError) -> ProtocolError {
    match error.code {
        ErrorCode::StaleEpoch | ErrorCode::UnknownRoom | ErrorCode::UnknownTransport => ProtocolError::new(
            ErrorCode::NoNode,
            "the media node does not hold this participant any longer; join again",
        ),
        _ => error,
    }
}
