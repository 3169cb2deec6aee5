//! Signaling → client.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Attributes, ChatLine, Epoch, Grants, MediaKind, Mid, ParticipantNumber, PresenceState, ProtocolError,
    RequestId, Resumed, RoomInfo, RoomName, SessionId, SlotSource, Source, TrackId, WaitingParticipant,
};

/// One message to a client: the reply to a request, or an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerMessage {
    /// Numbers the messages of a session from 1, without gaps, replies included. 0 stands outside: it is neither
    /// repeated nor acknowledged.
    pub seq: u64,
    /// What is said.
    #[serde(flatten)]
    pub event: ServerEvent,
}

/// What the server can say, by `type`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerEvent {
    /// The one reply to a request that was carried out.
    Ok {
        /// The request's id.
        id: RequestId,
        /// What it brought.
        result: Reply,
    },
    /// The one reply to a request that was not. Without `id`, the message could not be read far enough to know it.
    Error {
        /// The request's id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<RequestId>,
        /// Why.
        #[serde(flatten)]
        error: ProtocolError,
    },
    /// Somebody joined.
    ParticipantJoined {
        /// Who, with what they publish already.
        participant: Participant,
    },
    /// Somebody is gone.
    ParticipantLeft {
        /// Who.
        participant: ParticipantNumber,
        /// Why.
        reason: LeaveReason,
    },
    /// A roster entry changed: name, metadata or raised hand.
    ParticipantUpdated {
        /// The whole entry as it is now.
        participant: Participant,
    },
    /// A participant offers a track.
    TrackPublished {
        /// Whose.
        participant: ParticipantNumber,
        /// The track.
        track: Track,
    },
    /// A participant no longer offers a track.
    TrackUnpublished {
        /// Whose.
        participant: ParticipantNumber,
        /// The track.
        track: TrackId,
    },
    /// A track was muted by its owner, or no longer is.
    TrackMuted {
        /// Whose.
        participant: ParticipantNumber,
        /// The track.
        track: TrackId,
        /// Whether it is muted now.
        muted: bool,
        /// The moderator who did it; absent when its owner did, or the server's API.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<ParticipantNumber>,
    },
    /// What flows in one of the client's own slots changed.
    Slot {
        /// The slot.
        mid: Mid,
        /// What flows now.
        #[serde(flatten)]
        state: SlotState,
    },
    /// Who is speaking now, loudest first. Empty when nobody does.
    Speakers {
        /// The speakers.
        speakers: Vec<ParticipantNumber>,
    },
    /// A chat line.
    Chat {
        /// The line.
        #[serde(flatten)]
        line: ChatLine,
    },
    /// Somebody went away or came back, or types.
    Presence {
        /// Who.
        participant: ParticipantNumber,
        /// Whether it is at the screen.
        state: PresenceState,
        /// Whether it writes a chat line now.
        typing: bool,
    },
    /// The room changed: metadata, attributes, lock, waiting room or bound.
    RoomUpdated {
        /// The room as it is now.
        room: RoomInfo,
    },
    /// What the client itself may do changed.
    GrantsChanged {
        /// What it may do from now on.
        grants: Grants,
    },
    /// The token will expire, and the participant with it, unless it is refreshed.
    TokenExpiring {
        /// Unix time in milliseconds.
        expires_at_ms: u64,
    },
    /// The join waits for a moderator. Its reply comes when it is decided.
    Waiting {
        /// The place in the queue, from 1.
        position: u32,
    },
    /// To moderators: somebody waits to be admitted.
    ParticipantWaiting {
        /// Who.
        #[serde(flatten)]
        waiting: WaitingParticipant,
    },
    /// To moderators: somebody no longer waits.
    ParticipantWaitingEnded {
        /// Who.
        participant: ParticipantNumber,
    },
    /// Another participant, or the server's API, calls a method. Answered with `rpc_reply`.
    RpcRequest {
        /// Names the call in the answer.
        call: u64,
        /// Who asks; absent for the server's API.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<ParticipantNumber>,
        /// What for.
        method: String,
        /// With what.
        payload: String,
        /// How long the caller waits.
        timeout_ms: u32,
    },
    /// Messages on a topic that was opened over signaling.
    Topic {
        /// The channel.
        channel: u16,
        /// Each one data channel message of framed mode, in base64.
        messages: Vec<String>,
    },
    /// A topic that was opened over signaling is closed by the server.
    TopicClosed {
        /// The channel.
        channel: u16,
        /// Why, in words.
        reason: String,
    },
    /// The server goes away: the client should come back in so many milliseconds, and find another one or its successor.
    GoingAway {
        /// Spread over all clients.
        reconnect_in_ms: u64,
    },
    /// A candidate of the SFU that was not in the answer.
    Candidate {
        /// The `candidate:` line, without `a=`.
        candidate: String,
        /// The media section it belongs to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mid: Option<Mid>,
    },
    /// The state of the client's own transport, as the SFU sees it.
    Transport {
        /// The state.
        #[serde(flatten)]
        state: TransportState,
    },
    /// ICE servers with fresh credentials, before those of the join expire: for `RTCPeerConnection.setConfiguration`,
    /// so that the next ICE restart gathers with them. They replace all earlier ones.
    IceServers {
        /// The servers.
        ice_servers: Vec<IceServer>,
    },
    /// The client was removed from the room by the server; the connection stays open.
    Left {
        /// Why.
        reason: LeaveReason,
    },
}

/// What a request brought, by `type`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Reply {
    /// To `hello`.
    Welcome(Welcome),
    /// To `join`.
    Joined(Box<Joined>),
    /// To `offer`.
    Answered(Answer),
    /// To `hello` with `resume`.
    Resumed(Resumed),
    /// To `chat`.
    Chatted {
        /// The line as everybody gets it.
        line: ChatLine,
    },
    /// To `chat_history`.
    History {
        /// In ascending order.
        lines: Vec<ChatLine>,
        /// Whether there are older ones.
        more: bool,
    },
    /// To `rpc`.
    RpcDone {
        /// What the method brought.
        payload: String,
    },
    /// To `topic_open`.
    TopicOpened {
        /// Names the topic from here on, in this session.
        channel: u16,
    },
    /// To everything else.
    Done {},
}

/// The server's side of `hello`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// The protocol version spoken from here on.
    pub version: u32,
    /// Name and version of the server.
    pub server: String,
    /// One life of the server. Sequence numbers hold within it.
    pub epoch: Epoch,
    /// How often the client should `ping`, in milliseconds.
    pub heartbeat_ms: u64,
    /// The session that begins here.
    pub session: SessionId,
    /// Proves that a later connection belongs to this session. Keep it as secret as a token.
    pub secret: String,
    /// How long the session is kept without a connection, in milliseconds.
    pub resume_window_ms: u64,
}

/// The reply to `join`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Joined {
    /// The session.
    pub session: SessionId,
    /// Proves that a later connection belongs to this session. Keep it as secret as a token.
    pub secret: String,
    /// The room.
    pub room: RoomName,
    /// The room's metadata, lock and bounds.
    #[serde(default)]
    pub room_info: RoomInfo,
    /// The client's own entry in the roster.
    pub participant: Participant,
    /// What the client may do.
    pub grants: Grants,
    /// Everybody else.
    pub participants: Vec<Participant>,
    /// For `RTCPeerConnection.setConfiguration`, before `setLocalDescription` starts gathering.
    pub ice_servers: Vec<IceServer>,
    /// The answer, if the join carried an offer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// The newest chat lines, in ascending order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chat: Vec<ChatLine>,
    /// Who waits to be admitted; for moderators.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<WaitingParticipant>,
}

/// The answer to an offer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The answer (RFC 8866, RFC 8829).
    pub sdp: String,
    /// The client's tracks, by section.
    #[serde(default)]
    pub publications: Vec<AnsweredPublication>,
    /// The client's slots, by section.
    #[serde(default)]
    pub slots: Vec<AnsweredSlot>,
}

/// A publication that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnsweredPublication {
    /// The section.
    pub mid: Mid,
    /// The track minted for it.
    pub track: TrackId,
    /// What it carries.
    pub source: Source,
}

/// A slot that was accepted, with what identifies it on the wire for its whole life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnsweredSlot {
    /// The section.
    pub mid: Mid,
    /// The SSRC of everything forwarded in it.
    pub ssrc: u32,
    /// The SSRC of its retransmissions (RFC 4588), if the client takes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtx_ssrc: Option<u32>,
}

/// One entry of the roster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Participant {
    /// Unique in the room; the CSRC of what this participant sends.
    pub number: ParticipantNumber,
    /// Unique in the room, stable across rejoins.
    pub identity: String,
    /// The name to show. Plain text.
    pub name: String,
    /// Whatever the application put there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// The same, by key.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// Whether it is at the screen.
    #[serde(default)]
    pub presence: PresenceState,
    /// Whether this participant asks to be heard.
    #[serde(default)]
    pub hand_raised: bool,
    /// What it publishes.
    #[serde(default)]
    pub tracks: Vec<Track>,
}

/// A track in the roster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// Its id.
    pub id: TrackId,
    /// What it carries.
    pub source: Source,
    /// Audio or video.
    pub kind: MediaKind,
    /// Silenced by its owner.
    pub muted: bool,
}

/// What flows in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotState {
    /// The source the slot was told to follow.
    pub source: Option<SlotSource>,
    /// Whose media flows, or will flow as soon as it can be decoded.
    pub participant: Option<ParticipantNumber>,
    /// The track of that participant.
    pub track: Option<TrackId>,
    /// Why nothing flows although the slot has a source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<SlotPause>,
}

/// Why nothing flows in a slot that has a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotPause {
    /// Nobody is there to fill it: no such participant, track or rank.
    NoSource,
    /// The subscriber's section has no payload type for the publisher's codec.
    Codec,
    /// The owner muted the track.
    Muted,
}

/// An ICE server, in the shape of `RTCIceServer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceServer {
    /// `stun:`, `turn:` or `turns:` URLs (RFC 7064, RFC 7065).
    pub urls: Vec<String>,
    /// TURN user name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// TURN password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// Why somebody left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaveReason {
    /// It said so.
    Left,
    /// Its connection was lost and did not come back in time.
    ConnectionLost,
    /// Nothing came from its transport for too long.
    TransportLost,
    /// The same identity joined again.
    Replaced,
    /// Its media could not be served any longer because its SFU node went away.
    NodeLost,
    /// The server is shutting down.
    Shutdown,
    /// A moderator or the server's API removed it.
    Removed,
    /// The same, for good.
    Banned,
    /// A moderator did not admit it.
    Denied,
    /// Its token's time was over.
    TokenExpired,
    /// Its token or identity was revoked.
    Revoked,
    /// The room was closed.
    RoomClosed,
}

/// State of a transport, as its SFU node sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TransportState {
    /// Media can flow.
    Connected {
        /// The SRTP protection profile, such as `AEAD_AES_128_GCM`.
        srtp_profile: String,
    },
    /// Over. A new join is needed.
    Failed {
        /// Why, in words for a person.
        reason: String,
    },
}
