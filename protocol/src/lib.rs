//! The messages of Patchbay, as types.
//!
//! Two wires meet here and nothing else does: *client ⇄ signaling* ([`ClientMessage`], [`ServerMessage`]) and
//! *signaling ⇄ SFU node* ([`node`]). This crate holds serde types, ids, error codes and limits; it does no I/O and
//! makes no decision. `docs/protocol.md` is the written form of the same thing, and the JSON files under `golden/`
//! hold both to it: the Rust tests and the JavaScript tests read the same files.

mod chat;
mod client;
mod close;
mod data;
mod error;
mod id;
pub mod limit;
mod media;
pub mod node;
mod room;
mod server;
mod session;
mod timeline;
mod token;

pub use chat::ChatLine;
pub use client::{ClientMessage, ClientRequest, Description, PublicationOffer, SlotOffer};
pub use close::CloseCode;
pub use data::{ChannelDeclaration, TopicGrant};
pub use error::{ErrorCode, ProtocolError};
pub use id::{
    CommandId, Epoch, Mid, NodeName, ParticipantNumber, RequestId, RoomId, RoomName, SessionId, TrackId,
    TransportId,
};
pub use media::{MediaKind, SlotSource, Source};
pub use room::{
    AttributeChanges, Attributes, Moderation, PresenceState, RoomChanges, RoomInfo, WaitingParticipant,
};
pub use server::{
    Answer, AnsweredPublication, AnsweredSlot, IceServer, Joined, LeaveReason, Participant, Reply,
    ServerEvent, ServerMessage, SlotPause, SlotState, Track, TransportState, Welcome,
};
pub use session::{Resume, Resumed};
pub use timeline::{CheckRefusal, FailCode, Step, TimelineStep, TroubleKind};
pub use token::{Claims, Grants};

/// The version of the client protocol that this build speaks, sent in `hello`.
pub const PROTOCOL_VERSION: u32 = 1;
/// The WebSocket subprotocol of version 1. A token travels beside it as `bearer.<jwt>`.
pub const WEBSOCKET_PROTOCOL: &str = "patchbay.v1";
/// Prefix of the second entry in the subprotocol list, followed by a JWT.
pub const BEARER_PROTOCOL_PREFIX: &str = "bearer.";
/// The WebSocket subprotocol of the link between a node and signaling.
pub const NODE_PROTOCOL: &str = "patchbay.node.v1";
/// The subprotocol of a data channel in framed mode; settings may follow it behind a `?`.
pub const FRAMED_PROTOCOL: &str = "patchbay";
