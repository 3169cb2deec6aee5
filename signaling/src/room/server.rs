//! What the server's API asks of a room, and what the world outside is told of it.
//!
//! The API acts without being in the room: it has no number, no grants to be checked and no place in the roster. What it
//! may do is settled before anything comes here. Each [`ServerRequest`] ends with one [`Output::Answer`].

use patchbay_protocol::{
    AttributeChanges, ErrorCode, Grants, LeaveReason, Moderation, NodeName, Participant, ParticipantNumber,
    ProtocolError, Reply, RoomChanges, RoomInfo, ServerEvent, Source, TrackId,
};
use serde_json::Value;
use std::time::Duration;

use super::member::Member;
use super::rpc::Caller;
use super::server_data::ServerData;
use super::{MemberId, Moment, Output, Room, ServerCall, check};

/// What the API asks.
#[derive(Debug)]
pub(crate) enum ServerRequest {
    /// The room as it is.
    Describe,
    /// Everybody in it, hidden ones and those who wait included.
    Participants,
    /// One of them.
    Participant { identity: String },
    /// Changes the room. With a timeout, it is kept for so long while nobody is in it.
    Update { changes: RoomChanges, empty_timeout: Option<Duration> },
    /// Everybody out, and the room ends.
    Close,
    /// Changes somebody's entry.
    UpdateParticipant { identity: String, changes: Box<ParticipantChanges> },
    /// Sends somebody out, for good if it is a ban.
    Remove { identity: String, ban: bool },
    /// Lets a banned identity in again.
    Unban { identity: String },
    /// Mutes or unmutes a track.
    Mute { identity: String, track: WhichTrack, muted: bool },
    /// Lets somebody in who waits.
    Admit { identity: String },
    /// Sends somebody away who waits.
    Deny { identity: String },
    /// Calls a method.
    Call { identity: String, method: String, payload: String, timeout_ms: Option<u32> },
    /// Says a line.
    Chat { name: Option<String>, text: String, message_id: Option<String> },
    /// Reads lines.
    History { before: Option<u64>, limit: Option<u32> },
    /// Sends on a topic.
    Data(Box<ServerData>),
}

/// A track of somebody.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WhichTrack {
    Source(Source),
    Track(TrackId),
}

/// Changes to somebody's entry. Absent fields stay.
#[derive(Debug, Default)]
pub(crate) struct ParticipantChanges {
    pub(crate) name: Option<String>,
    pub(crate) metadata: Option<Value>,
    pub(crate) attributes: Option<AttributeChanges>,
    pub(crate) hand_raised: Option<bool>,
    pub(crate) grants: Option<Grants>,
}

/// What came of it.
#[derive(Debug, PartialEq)]
pub(crate) enum ServerReply {
    /// The same as a member would have been told.
    Said(Reply),
    Room(Box<RoomView>),
    Participants(Vec<ParticipantView>),
}

/// A room from outside.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RoomView {
    pub(crate) info: RoomInfo,
    /// Where it is; filled in by the driver.
    pub(crate) node: Option<NodeName>,
    pub(crate) participants: usize,
    pub(crate) waiting: usize,
    pub(crate) tracks: usize,
    pub(crate) empty_timeout: Duration,
}

/// Somebody from outside.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ParticipantView {
    pub(crate) member: MemberId,
    pub(crate) entry: Participant,
    pub(crate) grants: Grants,
    pub(crate) is_waiting: bool,
    pub(crate) joined_at_ms: u64,
    /// Whether a connection carries it now, and which; filled in by the driver.
    pub(crate) connected: bool,
    pub(crate) connection: Option<&'static str>,
}

/// Something that everybody in the room is told, and the world outside may be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Notice {
    pub(crate) event: ServerEvent,
    /// Whom it is about.
    pub(crate) identity: Option<String>,
}

/// The name of lines that the server says, unless it says another.
const SERVER_NAME: &str = "server";

type Answer = Result<ServerReply, ProtocolError>;

impl Room {
    pub(super) fn handle_server(&mut self, now: Moment, call: ServerCall, request: ServerRequest) {
        let caller = Caller::Server(call);
        let moderation = match request {
            ServerRequest::Describe => {
                let view = self.view();
                return self.answer_server(call, Ok(ServerReply::Room(Box::new(view))));
            }
            ServerRequest::Participants => {
                let all = self.members.iter().map(|(member, entry)| view(*member, entry)).collect();
                return self.answer_server(call, Ok(ServerReply::Participants(all)));
            }
            ServerRequest::Participant { identity } => {
                let answer = self.view_of(&identity);
                return self.answer_server(call, answer);
            }
            ServerRequest::Update { changes, empty_timeout } => {
                let result = self.change_info(changes).map(|()| {
                    self.empty_timeout = empty_timeout.or(self.empty_timeout);
                    ServerReply::Room(Box::new(self.view()))
                });
                return self.answer_server(call, result);
            }
            ServerRequest::Close => Ok(Moderation::CloseRoom {}),
            ServerRequest::UpdateParticipant { identity, changes } => {
                let result = self.change_participant(&identity, *changes);
                return self.answer_server(call, result);
            }
            ServerRequest::Remove { identity, ban } => self.number(&identity).map(|participant| match ban {
                true => Moderation::Ban { participant },
                false => Moderation::Remove { participant },
            }),
            ServerRequest::Unban { identity } => Ok(Moderation::Unban { identity }),
            ServerRequest::Mute { identity, track, muted } => {
                let result = self.mute_from_server(&identity, track, muted);
                return self.answer(caller, result.map(|()| Reply::Done {}));
            }
            ServerRequest::Admit { identity } => {
                self.waiting_number(&identity).map(|participant| Moderation::Admit { participant })
            }
            ServerRequest::Deny { identity } => {
                self.waiting_number(&identity).map(|participant| Moderation::Deny { participant })
            }
            ServerRequest::Call { identity, method, payload, timeout_ms } => {
                let called = self
                    .number(&identity)
                    .and_then(|to| self.call(now, caller, None, to, method, payload, timeout_ms));
                return called.unwrap_or_else(|error| self.answer(caller, Err(error)));
            }
            ServerRequest::Chat { name, text, message_id } => {
                let name = name.unwrap_or_else(|| SERVER_NAME.to_owned());
                if let Err(error) = check::check_name(&name) {
                    return self.answer(caller, Err(error));
                }
                let writer =
                    super::chat::Writer { number: ParticipantNumber(0), identity: String::new(), name };
                return self.say(now, caller, writer, text, message_id);
            }
            ServerRequest::History { before, limit } => {
                let result = self.history(before, limit);
                return self.answer(caller, result);
            }
            ServerRequest::Data(data) => return self.send_from_server(call, *data),
        };
        match moderation {
            Ok(action) => self.moderate(now, None, caller, action),
            Err(error) => self.answer(caller, Err(error)),
        }
    }

    /// The one reply to whoever asked.
    pub(super) fn answer(&mut self, caller: Caller, result: Result<Reply, ProtocolError>) {
        match caller {
            Caller::Member(member, id) => self.reply(member, id, result),
            Caller::Server(call) => self.answer_server(call, result.map(ServerReply::Said)),
        }
    }

    fn answer_server(&mut self, call: ServerCall, result: Answer) {
        self.outputs.push_back(Output::Answer { call, result });
    }

    /// What the world outside may be told next.
    pub(crate) fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// Keeps for the world outside what everybody in the room is told.
    pub(super) fn note(&mut self, event: &ServerEvent) {
        let identity = match event {
            ServerEvent::RoomUpdated { .. } => None,
            ServerEvent::ParticipantJoined { participant }
            | ServerEvent::ParticipantUpdated { participant } => Some(participant.identity.clone()),
            ServerEvent::Chat { line } => Some(line.identity.clone()),
            ServerEvent::TrackPublished { participant, .. }
            | ServerEvent::TrackUnpublished { participant, .. }
            | ServerEvent::TrackMuted { participant, .. } => {
                self.visible(*participant).map(|(_, entry)| entry.identity.clone())
            }
            _ => return,
        };
        self.notices.push_back(Notice { event: event.clone(), identity });
    }

    /// Somebody who was in the roster is gone.
    pub(super) fn note_left(&mut self, entry: &Member, reason: LeaveReason) {
        let event = ServerEvent::ParticipantLeft { participant: entry.number, reason };
        self.notices.push_back(Notice { event, identity: Some(entry.identity.clone()) });
    }

    fn view(&self) -> RoomView {
        let joined = self.members.values().filter(|entry| entry.has_joined());
        RoomView {
            info: self.info.clone(),
            node: None,
            participants: joined.clone().count(),
            waiting: self.queue.len(),
            tracks: joined.map(|entry| entry.tracks.len()).sum(),
            empty_timeout: self.linger(),
        }
    }

    fn view_of(&self, identity: &str) -> Answer {
        let (member, entry) = self.find(identity)?;
        Ok(ServerReply::Participants(vec![view(member, entry)]))
    }

    /// Somebody by identity: whom others see first, then who is hidden, then who is on the way in.
    fn find(&self, identity: &str) -> Result<(MemberId, &Member), ProtocolError> {
        let rank = |entry: &Member| (!entry.is_in_roster(), !entry.has_joined());
        let same = self.members.iter().filter(|(_, entry)| entry.identity == identity);
        let found = same.min_by_key(|(_, entry)| rank(entry));
        found.map(|(member, entry)| (*member, entry)).ok_or_else(unknown)
    }

    fn number(&self, identity: &str) -> Result<ParticipantNumber, ProtocolError> {
        self.find(identity).map(|(_, entry)| entry.number)
    }

    fn waiting_number(&self, identity: &str) -> Result<ParticipantNumber, ProtocolError> {
        let mut waiting = self.waiting().into_iter();
        waiting.find(|one| one.identity == identity).map(|one| one.participant).ok_or_else(unknown)
    }

    fn change_participant(&mut self, identity: &str, changes: ParticipantChanges) -> Answer {
        let (member, _) = self.find(identity)?;
        if changes.grants.as_ref().is_some_and(|grants| grants.hidden) {
            let message = "who is in the roster can't be hidden";
            return Err(ProtocolError::new(ErrorCode::InvalidArgument, message));
        }
        let ParticipantChanges { name, metadata, attributes, hand_raised, grants } = changes;
        if name.is_some() || metadata.is_some() || attributes.is_some() || hand_raised.is_some() {
            self.update(member, true, name, metadata, attributes, hand_raised)?;
        }
        if let Some(grants) = grants {
            if let Some(entry) = self.members.get_mut(&member) {
                entry.video_stopped = false;
            }
            self.change_grants(member, grants);
        }
        self.view_of(identity)
    }

    fn mute_from_server(
        &mut self,
        identity: &str,
        which: WhichTrack,
        muted: bool,
    ) -> Result<(), ProtocolError> {
        let (member, entry) = self.find(identity)?;
        let is_meant = |own: &&super::member::MemberTrack| match which {
            WhichTrack::Source(source) => own.source == source,
            WhichTrack::Track(track) => own.id == track,
        };
        let track = entry.tracks.iter().find(is_meant).map(|own| own.id).ok_or_else(|| {
            ProtocolError::new(ErrorCode::UnknownTrack, "this participant has no such track")
        })?;
        if let Some((participant, shown)) = self.set_muted(member, track, muted)
            && shown
        {
            self.broadcast(None, ServerEvent::TrackMuted { participant, track, muted, by: None });
        }
        Ok(())
    }
}

fn view(member: MemberId, entry: &Member) -> ParticipantView {
    ParticipantView {
        member,
        entry: entry.participant(),
        grants: entry.grants.clone(),
        is_waiting: !entry.has_joined(),
        joined_at_ms: entry.joined_at_ms,
        connected: false,
        connection: None,
    }
}

fn unknown() -> ProtocolError {
    ProtocolError::new(ErrorCode::UnknownParticipant, "no such participant in this room")
}
