//! A room as a pure state machine: who is there, what they publish, who may do what.
//!
//! In go requests of members and what their node reports ([`Input`]); out come replies, events and commands ([`Output`]).
//! No clock, no sockets, no randomness: the time and every random id come with the input. One task per room drives it
//! (see `crate::rooms`). Media negotiation is the node's: an offer becomes a `negotiate` command, and the room learns
//! from its result which tracks exist.

mod admission;
mod chat;
mod check;
mod entry;
mod expiry;
mod ice;
mod member;
mod moderation;
mod negotiation;
mod node;
mod persist;
mod presence;
mod request;
mod rpc;
mod server;
mod server_data;
mod setting;
#[cfg(test)]
mod tests;
mod topic;
mod track;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use patchbay_protocol::node::{CommandResult, NodeCommand, NodeEvent, TransportSnapshot};
use patchbay_protocol::{
    Claims, ClientRequest, CloseCode, ErrorCode, LeaveReason, ParticipantNumber, ProtocolError, Reply,
    RequestId, RoomId, RoomInfo, RoomName, ServerEvent, TransportId,
};

use chat::Chat;
pub(crate) use check::{check_identity, check_metadata, check_name};
pub(crate) use entry::{Join, Watch};
use member::Member;
pub(crate) use member::MemberId;
use negotiation::Negotiation;
use node::client_error;
use rpc::Caller;
use rpc::Calls;
pub(crate) use rpc::ServerCall;
pub(crate) use server::{
    Notice, ParticipantChanges, ParticipantView, RoomView, ServerReply, ServerRequest, WhichTrack,
};
pub(crate) use server_data::ServerData;
use server_data::ServerTopics;

use crate::auth::Revocation;
use crate::config::Bounds;
use crate::store::{HistoryLimit, Kept, StoreWrite, Written};
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
    /// How long a session may be without a connection.
    pub(crate) resume_window: Duration,
    /// How much one member may have.
    pub(crate) bounds: Bounds,
    /// Chat and bans go to the store, and chat is told once it is safe there.
    pub(crate) is_kept: bool,
    /// How much chat a room remembers.
    pub(crate) history: HistoryLimit,
}

/// The time, as the driver of a room tells it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// For deadlines.
    pub(crate) at: Instant,
    /// For people: Unix time in milliseconds.
    pub(crate) unix_ms: u64,
}

/// Names a command or a write whose result the room wants back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(pub(crate) u64);

/// What goes in.
#[derive(Debug)]
pub(crate) enum Input {
    /// Somebody wants in.
    Join { member: MemberId, id: RequestId, join: Box<Join> },
    /// A member asks for something.
    Request { member: MemberId, id: RequestId, request: ClientRequest },
    /// A member brings another token, which holds; what it says is settled here.
    Refresh { member: MemberId, id: RequestId, claims: Box<Claims> },
    /// Whoever is here by this goes.
    Revoke(Revocation),
    /// A member's connection is over.
    Gone { member: MemberId, reason: LeaveReason },
    /// The result of a command.
    Done { ticket: Ticket, result: CommandResult },
    /// What the store holds of this room. Comes first, if at all.
    Restored(Kept),
    /// The result of a write.
    Stored { ticket: Ticket, result: Written },
    /// The server's API asks for something. Ends with one [`Output::Answer`].
    Server { call: ServerCall, request: Box<ServerRequest> },
    /// The node reports something about a transport of this room, or about the room.
    Node(NodeEvent),
    /// The node no longer holds a transport.
    TransportGone(TransportId),
    /// What the node holds of this room, after a link was down.
    Synced(Vec<TransportSnapshot>),
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
    /// Something to be kept on disk. Ends with one [`Input::Stored`].
    Store { ticket: Ticket, write: StoreWrite },
    /// What came of a request of the server's API.
    Answer { call: ServerCall, result: Result<ServerReply, ProtocolError> },
    /// The room is over: the driver ends it unless somebody is already waiting to join.
    Over,
}

/// What a ticket stands for.
#[derive(Debug)]
enum Pending {
    /// A negotiation of this member.
    Negotiate(MemberId),
    /// A request that is done when the node has done its part.
    Plain { member: MemberId, id: RequestId },
    /// A member's way to topics over signaling.
    Attach(MemberId),
    /// The server's own way to topics.
    ServerAttach(TransportId),
    /// A topic on it.
    ServerOpen(TransportId, u16),
    /// A message of the server's API.
    ServerSend(ServerCall),
    /// A `topic_open` request.
    OpenTopic { member: MemberId, id: RequestId, channel: u16 },
}

/// What is due at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// ICE servers are to be issued again.
    IceServers(MemberId),
    /// A token expires soon, or has.
    Expiry(MemberId),
    /// Somebody stopped typing without saying so.
    Typing(MemberId),
    /// A change of presence that waited, so that there are not too many.
    Presence(MemberId),
    /// A session of an earlier life of the server was not taken up.
    Resume(MemberId),
    /// A call has waited long enough.
    Call(u64),
}

/// One room.
pub(crate) struct Room {
    name: RoomName,
    id: RoomId,
    config: RoomConfig,
    info: RoomInfo,
    members: BTreeMap<MemberId, Member>,
    /// Whose a transport is, ways to topics over signaling included.
    transports: BTreeMap<TransportId, MemberId>,
    /// Members that wait to be admitted, in order.
    queue: VecDeque<MemberId>,
    /// Identities that may not join.
    bans: BTreeSet<String>,
    /// `ban` and `unban` requests that wait for the store.
    ban_writes: BTreeMap<Ticket, Caller>,
    /// Identities that were in and fell out through no will of theirs: they need not ask again. Oldest first.
    returning: VecDeque<String>,
    chat: Chat,
    calls: Calls,
    server_topics: ServerTopics,
    /// How long it is kept while nobody is in it, if the server's API has said so.
    empty_timeout: Option<Duration>,
    notices: VecDeque<Notice>,
    pending: BTreeMap<Ticket, Pending>,
    outputs: VecDeque<Output>,
    speakers: Vec<ParticipantNumber>,
    next_participant: u32,
    next_track: u32,
    next_ticket: u64,
    empty_since: Option<Instant>,
    deadlines: BTreeSet<(Instant, Due)>,
}

impl Room {
    /// An empty room. `id` is what nodes know it by.
    pub(crate) fn new(now: Moment, name: RoomName, id: RoomId, config: RoomConfig) -> Self {
        Self {
            info: setting::initial(now, &config),
            name,
            id,
            config,
            members: BTreeMap::new(),
            transports: BTreeMap::new(),
            queue: VecDeque::new(),
            bans: BTreeSet::new(),
            ban_writes: BTreeMap::new(),
            returning: VecDeque::new(),
            chat: Chat::default(),
            calls: Calls::default(),
            server_topics: ServerTopics::default(),
            empty_timeout: None,
            notices: VecDeque::new(),
            pending: BTreeMap::new(),
            outputs: VecDeque::new(),
            speakers: Vec::new(),
            next_participant: 1,
            next_track: 1,
            next_ticket: 1,
            empty_since: Some(now.at),
            deadlines: BTreeSet::new(),
        }
    }

    /// Takes one input.
    pub(crate) fn handle(&mut self, now: Moment, input: Input) {
        match input {
            Input::Join { member, id, join } => self.handle_join(now, member, id, *join),
            Input::Request { member, id, request } => self.handle_request(now, member, id, request),
            Input::Refresh { member, id, claims } => self.refresh(now, member, id, *claims),
            Input::Revoke(revocation) => self.revoke(&revocation),
            Input::Gone { member, reason } => self.remove(member, reason),
            Input::Done { ticket, result } => self.handle_result(ticket, result),
            Input::Restored(kept) => self.restore(kept),
            Input::Stored { ticket, result } => self.handle_stored(ticket, result),
            Input::Server { call, request } => self.handle_server(now, call, *request),
            Input::Node(event) => self.handle_node_event(event),
            Input::TransportGone(transport) => self.handle_transport_gone(transport),
            Input::Synced(transports) => self.handle_synced(&transports),
            Input::NodeLost => self.handle_node_lost(),
            Input::Shutdown => self.remove_all(LeaveReason::Shutdown),
        }
        if !self.members.is_empty() {
            self.empty_since = None;
        } else if self.empty_since.is_none() {
            self.empty_since = Some(now.at);
        }
    }

    /// Does what is due: ICE servers are issued again, calls time out, an empty room ends.
    pub(crate) fn handle_deadline(&mut self, now: Moment) {
        while let Some((due, what)) = self.deadlines.first().copied()
            && due <= now.at
        {
            self.deadlines.pop_first();
            match what {
                Due::IceServers(member) => self.refresh_ice_servers(now, member),
                Due::Expiry(member) => self.expire(now, member),
                Due::Typing(member) => self.expire_typing(now, member),
                Due::Presence(member) => self.tell_delayed_presence(now, member),
                Due::Resume(member) => self.expire_resumption(member),
                Due::Call(call) => self.expire_call(call),
            }
        }
        if self.end().is_some_and(|end| end <= now.at) {
            self.empty_since = Some(now.at);
            self.outputs.push_back(Output::Over);
        }
    }

    /// When [`Self::handle_deadline`] wants to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let first = self.deadlines.first().map(|(due, _)| *due);
        [self.end(), first].into_iter().flatten().min()
    }

    /// When the room ends, if nobody comes.
    fn end(&self) -> Option<Instant> {
        self.empty_since.map(|since| since + self.linger())
    }

    /// How long it is kept while nobody is in it.
    fn linger(&self) -> Duration {
        self.empty_timeout.unwrap_or(self.config.linger)
    }

    /// The next thing to be done outside.
    pub(crate) fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What the room is called.
    pub(crate) fn name(&self) -> &RoomName {
        &self.name
    }

    /// What it says of itself.
    pub(crate) fn info(&self) -> &RoomInfo {
        &self.info
    }

    /// What nodes know it by.
    pub(crate) fn id(&self) -> RoomId {
        self.id
    }

    /// Takes a member in, whatever its stage.
    fn insert_member(&mut self, member: MemberId, entry: Member) {
        self.transports.insert(entry.transport, member);
        self.transports.insert(entry.topics.transport, member);
        self.members.insert(member, entry);
    }

    /// Takes a member out, and what is due for it. Whoever calls this sees to what it had asked and what it has on the node.
    fn take_member(&mut self, member: MemberId) -> Option<Member> {
        let entry = self.members.remove(&member)?;
        self.transports.remove(&entry.transport);
        self.transports.remove(&entry.topics.transport);
        for (due, what) in [
            (entry.resumption.map(|resumption| resumption.by), Due::Resume(member)),
            (entry.ice_refresh, Due::IceServers(member)),
            (entry.expiry, Due::Expiry(member)),
            (entry.typing_until, Due::Typing(member)),
            (entry.presence_due, Due::Presence(member)),
        ] {
            if let Some(due) = due {
                self.deadlines.remove(&(due, what));
            }
        }
        Some(entry)
    }

    fn member_of(&self, transport: TransportId) -> Option<MemberId> {
        self.transports.get(&transport).copied()
    }

    /// Somebody in the roster, by number.
    fn visible(&self, number: ParticipantNumber) -> Option<(MemberId, &Member)> {
        let mut roster = self.members.iter().filter(|(_, entry)| entry.is_in_roster());
        roster.find(|(_, entry)| entry.number == number).map(|(member, entry)| (*member, entry))
    }

    fn mint_ticket(&mut self) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        ticket
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
        self.note(&event);
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
        let ticket = self.mint_ticket();
        self.pending.insert(ticket, pending);
        self.outputs.push_back(Output::Command { ticket: Some(ticket), command });
    }
}
