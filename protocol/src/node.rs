//! Signaling ⇄ SFU node: the link.
//!
//! Signaling sends [`Command`]s, the node sends [`Event`]s. A command is idempotent by id and fenced by an epoch; each is
//! answered by exactly one [`NodeEvent::Done`]. The node numbers its events from 1 within its own life, so that a gap shows.
//! The same types are carried in memory and as JSON text messages over a WebSocket (subprotocol [`crate::NODE_PROTOCOL`],
//! `Authorization: Bearer <node secret>`); over the WebSocket the node speaks first, with [`NodeEvent::Hello`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    ChannelDeclaration, CommandId, Epoch, ErrorCode, MediaKind, Mid, NodeName, ParticipantNumber,
    ProtocolError, RoomId, SlotSource, SlotState, Source, TopicGrant, TrackId, TransportId,
};

/// A command to a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Never executed twice.
    pub id: CommandId,
    /// The commander's life. Refused with `stale_epoch` if a higher one was seen.
    pub epoch: Epoch,
    /// The trace it belongs to (W3C Trace Context), if one is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// What to do.
    #[serde(flatten)]
    pub command: NodeCommand,
}

/// What a node can be told to do, by `type`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum NodeCommand {
    /// Takes an offer. The first one for a transport makes it, and its room too. Result: `answered`.
    Negotiate {
        /// The transport, made if unknown.
        transport: TransportId,
        /// Its room, made if unknown.
        room: RoomId,
        /// Whose transport it is.
        participant: ParticipantNumber,
        /// The offer.
        sdp: String,
        /// The complete list of tracks the transport carries.
        publications: Vec<Publication>,
        /// Sources of slots; slots not listed keep theirs.
        slots: Vec<Slot>,
        /// Whether data channels are accepted.
        data: bool,
        /// What may be done on which topics.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        topics: Vec<TopicGrant>,
        /// Data channels that send no label.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        channels: Vec<ChannelDeclaration>,
    },
    /// A trickled candidate of the peer.
    Candidate {
        /// The transport.
        transport: TransportId,
        /// The `candidate:` line.
        candidate: String,
    },
    /// Switches a slot.
    SetSlot {
        /// The transport.
        transport: TransportId,
        /// The slot.
        mid: Mid,
        /// Its new source.
        source: Option<SlotSource>,
    },
    /// A track was muted by its owner, or no longer is.
    SetMuted {
        /// The room.
        room: RoomId,
        /// The track.
        track: TrackId,
        /// Whether it is muted now.
        muted: bool,
    },
    /// Ends a transport with all it publishes and receives. Ending an unknown one is done already.
    CloseTransport {
        /// The transport.
        transport: TransportId,
    },
    /// Ends a room with all its transports.
    CloseRoom {
        /// The room.
        room: RoomId,
    },
    /// Makes a participant's way to topics that goes over signaling instead of a transport of its own, and its room if
    /// unknown. Ended by `close_transport`. Participant 0 is the server's API.
    AttachData {
        /// Named like a transport, and made if unknown.
        transport: TransportId,
        /// Its room.
        room: RoomId,
        /// Whose it is.
        participant: ParticipantNumber,
        /// What may be done on which topics.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        topics: Vec<TopicGrant>,
    },
    /// Opens a topic on such a way.
    OpenTopic {
        /// From `attach_data`.
        transport: TransportId,
        /// Chosen by signaling, unique on this way.
        channel: u16,
        /// The topic.
        label: String,
        /// `patchbay`, with settings or without.
        protocol: String,
    },
    /// Closes it. Closing an unknown one is done already.
    CloseTopic {
        /// From `attach_data`.
        transport: TransportId,
        /// The channel.
        channel: u16,
    },
    /// Sends data channel messages of framed mode on it.
    SendData {
        /// From `attach_data`.
        transport: TransportId,
        /// The channel.
        channel: u16,
        /// Each one message, in base64.
        messages: Vec<String>,
    },
    /// What a participant may do with data changed. Channels that are no longer allowed are closed.
    SetData {
        /// A transport, or a way from `attach_data`.
        transport: TransportId,
        /// Whether data channels are accepted.
        data: bool,
        /// What may be done on which topics.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        topics: Vec<TopicGrant>,
    },
    /// Keeps opaque texts with the room, for whoever syncs later. A room that has any stays until `close_room`, also without
    /// transports.
    StoreBlob {
        /// The room, made if unknown.
        room: RoomId,
        /// Signaling's own texts by key; the node never looks inside. `null` forgets one, keys not named stay.
        blobs: BTreeMap<String, Option<String>>,
    },
    /// Asks for everything the node holds. Result: `synced`, behind as many `held` as it takes.
    Sync {},
}

/// A track to be received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// The section that carries it.
    pub mid: Mid,
    /// Its id.
    pub track: TrackId,
    /// What it carries.
    pub source: Source,
    /// Silenced by its owner.
    pub muted: bool,
}

/// A slot and its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The section.
    pub mid: Mid,
    /// Where it takes its media from.
    pub source: Option<SlotSource>,
    /// Slots of one group share one msid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// An event of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Numbers the node's events from 1.
    pub seq: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: NodeEvent,
}

/// What a node says, by `type`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum NodeEvent {
    /// First on every WebSocket link.
    Hello {
        /// The node.
        node: NodeName,
        /// One life of the node: a new one means that it holds nothing from before.
        epoch: Epoch,
        /// Version of the node's software.
        version: String,
    },
    /// The node goes away once nobody is on it any more: nothing new should be placed there. Again after every `hello`.
    Draining {},
    /// The one answer to a command.
    Done {
        /// The command.
        command: CommandId,
        /// What came of it.
        result: CommandResult,
    },
    /// A transport connected or ended. After `failed` it is gone.
    Transport {
        /// The transport.
        transport: TransportId,
        /// Its state.
        #[serde(flatten)]
        state: crate::TransportState,
    },
    /// A candidate of the node that was not in the answer.
    Candidate {
        /// The transport.
        transport: TransportId,
        /// The `candidate:` line.
        candidate: String,
    },
    /// What flows in a slot changed.
    Slot {
        /// The transport.
        transport: TransportId,
        /// The slot.
        mid: Mid,
        /// What flows now.
        #[serde(flatten)]
        state: SlotState,
    },
    /// Who speaks in a room now, loudest first.
    Speakers {
        /// The room.
        room: RoomId,
        /// The speakers.
        speakers: Vec<ParticipantNumber>,
    },
    /// Messages on a topic that was opened with `open_topic`.
    Data {
        /// The way it was opened on.
        transport: TransportId,
        /// The channel.
        channel: u16,
        /// Each one data channel message of framed mode, in base64.
        messages: Vec<String>,
    },
    /// Such a topic was closed by the node.
    TopicClosed {
        /// The way it was opened on.
        transport: TransportId,
        /// The channel.
        channel: u16,
        /// Why, in words.
        reason: String,
    },
    /// New steps on a transport's way to media, in order. A transport tells 48 at most.
    Timeline {
        /// The transport.
        transport: TransportId,
        /// What happened since the last such event.
        steps: Vec<crate::TimelineStep>,
    },
    /// A part of what the node holds, of which `synced` tells the last.
    Held {
        /// The `sync` it belongs to.
        command: CommandId,
        /// Rooms and transports that no other part has.
        state: NodeState,
    },
    /// Counters since the node's start, every few seconds.
    Report {
        /// Metric name (without prefix) and value, sorted by name.
        counters: Vec<(String, u64)>,
    },
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum CommandResult {
    /// Done.
    Done {},
    /// To `negotiate`.
    Answered {
        /// The answer.
        sdp: String,
        /// Tracks that were accepted.
        publications: Vec<AcceptedPublication>,
        /// Slots that were accepted.
        slots: Vec<crate::AnsweredSlot>,
    },
    /// To `sync`.
    Synced {
        /// What the node holds, but for what `held` told before.
        state: NodeState,
    },
    /// Refused.
    Failed {
        /// Why.
        #[serde(flatten)]
        error: ProtocolError,
    },
}

/// A publication that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedPublication {
    /// The section.
    pub mid: Mid,
    /// The track.
    pub track: TrackId,
    /// Audio or video.
    pub kind: MediaKind,
}

/// Everything a node holds, for signaling to rebuild its rooms from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeState {
    /// Its rooms.
    pub rooms: Vec<RoomState>,
    /// Its transports.
    pub transports: Vec<TransportSnapshot>,
}

/// A room on a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoomState {
    /// The room.
    pub room: RoomId,
    /// What signaling stored, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub blobs: BTreeMap<String, String>,
}

/// A transport on a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TransportSnapshot {
    /// The transport.
    pub transport: TransportId,
    /// Its room.
    pub room: RoomId,
    /// Whose it is.
    pub participant: ParticipantNumber,
    /// Whether media can flow.
    pub connected: bool,
    /// Its tracks.
    pub publications: Vec<Publication>,
    /// Its slots.
    pub slots: Vec<Slot>,
}

impl From<ProtocolError> for CommandResult {
    fn from(error: ProtocolError) -> Self {
        Self::Failed { error }
    }
}

impl CommandResult {
    /// A refusal.
    pub fn failed(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Failed { error: ProtocolError::new(code, message) }
    }
}
