//! Client → signaling.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    AttributeChanges, ChannelDeclaration, Mid, Moderation, ParticipantNumber, PresenceState, RequestId,
    Resume, RoomName, SlotSource, Source, TrackId, TroubleKind,
};

/// One message from a client: a request with the id that its one reply will carry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClientMessage {
    /// Chosen by the client, unique in its session.
    pub id: RequestId,
    /// The highest `seq` taken in order so far; what is below need not be kept for a resume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack: Option<u64>,
    /// What is asked.
    #[serde(flatten)]
    pub request: ClientRequest,
}

/// What a client can ask, by `type`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientRequest {
    /// Always first. May be sent together with `join`, without waiting for its reply.
    Hello {
        /// The protocol version the client speaks; an unknown one is refused with `unsupported_version`.
        version: u32,
        /// Free text for logs, such as `patchbay-sdk/0.1.0`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client: Option<String>,
        /// A session to take up again, instead of a new one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resume: Option<Resume>,
    },
    /// Enters a room. One round trip: with `offer`, the reply carries the answer.
    Join {
        /// The room. With a token it must be the token's room.
        room: RoomName,
        /// Unique in the room; the server mints one when it is absent. A token's identity wins.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        identity: Option<String>,
        /// The name to show.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Anything the application wants others to see.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        metadata: Option<Value>,
        /// The first offer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offer: Option<Description>,
    },
    /// A further offer: more media sections, fewer, or an ICE restart. The reply is `answered`.
    Offer {
        /// The offer.
        #[serde(flatten)]
        offer: Description,
    },
    /// One trickled ICE candidate (RFC 8838). An empty text ends the candidates.
    Candidate {
        /// The `candidate:` line, without `a=`.
        candidate: String,
        /// The media section it belongs to; the bundled transport's when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mid: Option<Mid>,
    },
    /// Switches a slot's source. No SDP is involved. `slot` events tell what flows.
    Slot {
        /// The slot.
        mid: Mid,
        /// Its new source; `null` empties it.
        source: Option<SlotSource>,
    },
    /// Says that an own track is muted or no longer so.
    Mute {
        /// An own track.
        track: TrackId,
        /// Whether it is muted now.
        muted: bool,
    },
    /// Changes one's own entry in the roster. Absent fields stay.
    Update {
        /// The name to show.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Anything the application wants others to see.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        metadata: Option<Value>,
        /// The same, by key; `null` deletes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attributes: Option<AttributeChanges>,
        /// Whether this participant asks to be heard.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hand_raised: Option<bool>,
    },
    /// Whether one is there, and typing. Passing things: told to others, not kept.
    Presence {
        /// Whether one is at the screen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<PresenceState>,
        /// Whether one writes a chat line now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        typing: Option<bool>,
    },
    /// Text to everybody in the room, the sender included. The reply is `chatted`.
    Chat {
        /// Plain text; never interpreted as markup anywhere.
        text: String,
        /// The client's own name for the line, 1 to 64 bytes: a repetition is answered and not sent again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message_id: Option<String>,
    },
    /// Asks for older chat lines. The reply is `history`.
    ChatHistory {
        /// Lines with lower numbers than this; the newest when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<u64>,
        /// How many at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
    },
    /// Acts on others or on the room. Needs the grant `moderate`.
    Moderate {
        /// How.
        #[serde(flatten)]
        action: Moderation,
    },
    /// Brings a new token for a session that goes on.
    Refresh {
        /// A token for the same room and identity.
        token: String,
    },
    /// Calls a method of another participant. The reply is `rpc_done`.
    Rpc {
        /// Who is asked.
        to: ParticipantNumber,
        /// What for.
        method: String,
        /// With what.
        payload: String,
        /// How long to wait.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_ms: Option<u32>,
    },
    /// Answers an `rpc_request`, with a payload or an error.
    RpcReply {
        /// The call, from the request.
        call: u64,
        /// What came of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payload: Option<String>,
        /// Why nothing did; for a person, at most [`crate::limit::RPC_ERROR_BYTES`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// Opens a topic over signaling, where there is no media path. The reply is `topic_opened`.
    TopicOpen {
        /// The topic.
        label: String,
        /// `patchbay`, with settings or without.
        protocol: String,
    },
    /// Sends messages of framed mode on a topic that was opened over signaling.
    TopicSend {
        /// The channel, from `topic_opened`.
        channel: u16,
        /// Each one data channel message, in base64.
        messages: Vec<String>,
    },
    /// Closes such a topic.
    TopicClose {
        /// The channel.
        channel: u16,
    },
    /// Says what went wrong at the client's end, for the connection timeline and the operator's log.
    Trouble {
        /// What.
        kind: TroubleKind,
        /// More, such as a server's URL and error; at most [`crate::limit::TROUBLE_BYTES`].
        detail: String,
    },
    /// Heartbeat. A client that hears nothing for [`crate::limit::HEARTBEAT_TIMEOUT`] gives the connection up.
    Ping {},
    /// Leaves the room at once. The connection may be used to join again.
    Leave {},
}

/// An SDP offer with the meaning of its media sections.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The offer (RFC 8866, RFC 8829).
    pub sdp: String,
    /// A meaning for each section the client sends on. The complete list: a track whose section is missing here is unpublished.
    #[serde(default)]
    pub publications: Vec<PublicationOffer>,
    /// A source for each section the client receives on. A slot that is missing here keeps the source it has.
    #[serde(default)]
    pub slots: Vec<SlotOffer>,
    /// Data channels that send no label, as they were negotiated out of band.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<ChannelDeclaration>,
}

/// A media section that carries a publication.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PublicationOffer {
    /// The section.
    pub mid: Mid,
    /// What it carries.
    pub source: Source,
    /// Whether it starts muted.
    #[serde(default)]
    pub muted: bool,
}

/// A media section that is a slot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlotOffer {
    /// The section.
    pub mid: Mid,
    /// Its first source, if any.
    #[serde(default)]
    pub source: Option<SlotSource>,
    /// Slots of one group share one msid, so that the client plays them in sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}
