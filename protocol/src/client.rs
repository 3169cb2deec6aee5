//! Client → signaling.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Mid, RequestId, RoomName, SlotSource, Source, TrackId, TroubleKind};

/// One message from a client: a request with the id that its one reply will carry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClientMessage {
    /// Chosen by the client, unique in its session.
    pub id: RequestId,
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
        /// Whether this participant asks to be heard.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hand_raised: Option<bool>,
    },
    /// Text to everybody in the room, the sender included.
    Chat {
        /// Plain text; never interpreted as markup anywhere.
        text: String,
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
