//! What requests and answers look like.

use std::collections::BTreeMap;

use patchbay_protocol::{ChatLine, Grants, MediaKind, PresenceState, RoomName, Source, TopicGrant, TrackId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::room::{ParticipantView, RoomView};

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// How many at most.
    #[param(minimum = 1, maximum = 200, nullable = false)]
    pub(super) limit: Option<u32>,
    /// Those behind this one: `next` of the page before.
    #[param(nullable = false)]
    pub(super) after: Option<String>,
}

/// A room.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Room {
    /// Its name.
    room: RoomText,
    /// The node that has it, if any has.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    /// How many are in it, hidden ones included.
    participants: usize,
    /// How many wait to be admitted.
    waiting: usize,
    /// Tracks that are published in it.
    tracks: usize,
    /// The application's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Value>,
    /// The application's own, by key.
    attributes: BTreeMap<String, String>,
    /// Nobody else may join.
    locked: bool,
    /// Who joins waits to be admitted.
    waiting_room: bool,
    /// How many it holds.
    max_participants: u32,
    /// Unix time in milliseconds.
    created_at_ms: u64,
    /// For how many seconds it is kept while nobody is in it.
    empty_timeout_s: u64,
}

/// A room's name: 1 to 64 letters, digits, `-`, `_` and `.`, the first no `.`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, pattern = "^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}$")]
pub(super) struct RoomText(pub(super) String);

impl Room {
    pub(super) fn new(name: &RoomName, view: RoomView) -> Self {
        let RoomView { info, node, participants, waiting, tracks, empty_timeout } = view;
        Self {
            room: RoomText(name.as_str().to_owned()),
            node: node.map(|node| node.as_str().to_owned()),
            participants,
            waiting,
            tracks,
            metadata: info.metadata,
            attributes: info.attributes,
            locked: info.locked,
            waiting_room: info.waiting_room,
            max_participants: info.max_participants,
            created_at_ms: info.created_at_ms,
            empty_timeout_s: empty_timeout.as_secs(),
        }
    }
}

/// An identity: 1 to 128 bytes of text without control characters.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]{1,128}$")]
#[expect(dead_code, reason = "describes what stands in paths")]
pub(super) struct IdentityText(String);

/// Rooms, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RoomList {
    pub(super) items: Vec<Room>,
    /// `after` of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) next: Option<String>,
}

/// A room to be made, or changed if it is there.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRoom {
    pub(super) room: RoomText,
    /// The application's own; at most 4 KiB, unless the server was told otherwise.
    pub(super) metadata: Option<Value>,
    /// The application's own, by key; null deletes.
    pub(super) attributes: Option<BTreeMap<String, Option<String>>>,
    pub(super) locked: Option<bool>,
    pub(super) waiting_room: Option<bool>,
    #[schema(minimum = 1, maximum = 1000)]
    pub(super) max_participants: Option<u32>,
    /// For how many seconds it is kept while nobody is in it; 300 when absent.
    #[schema(minimum = 10, maximum = 86400)]
    pub(super) empty_timeout_s: Option<u32>,
}

/// Changes to a room. What is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RoomUpdate {
    pub(super) metadata: Option<Value>,
    /// By key; null deletes.
    pub(super) attributes: Option<BTreeMap<String, Option<String>>>,
    pub(super) locked: Option<bool>,
    pub(super) waiting_room: Option<bool>,
    #[schema(minimum = 1, maximum = 1000)]
    pub(super) max_participants: Option<u32>,
    #[schema(minimum = 10, maximum = 86400)]
    pub(super) empty_timeout_s: Option<u32>,
}

/// Somebody in a room, or on the way in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Participant {
    /// The number, unique in the room.
    participant: u32,
    identity: String,
    name: String,
    state: ParticipantState,
    /// In no roster.
    hidden: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Value>,
    attributes: BTreeMap<String, String>,
    #[schema(value_type = PresenceText)]
    presence: PresenceState,
    hand_raised: bool,
    /// Unix time in milliseconds.
    joined_at_ms: u64,
    /// Whether a connection carries it now; if not, it may come back.
    connected: bool,
    /// websocket, sse, poll, whip or whep.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    connection: Option<String>,
    grants: GrantsBody,
    tracks: Vec<Track>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ParticipantState {
    Joined,
    /// To be admitted, or for its node.
    Waiting,
}

#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the protocol's own")]
pub(super) enum PresenceText {
    Active,
    Away,
}

#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the protocol's own")]
pub(super) enum SourceText {
    Microphone,
    Camera,
    Screen,
    ScreenAudio,
}

#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the protocol's own")]
pub(super) enum KindText {
    Audio,
    Video,
}

impl From<ParticipantView> for Participant {
    fn from(view: ParticipantView) -> Self {
        let tracks = Track::of(&view);
        let ParticipantView { entry, grants, is_waiting, joined_at_ms, connected, connection, .. } = view;
        Self {
            participant: entry.number.0,
            identity: entry.identity,
            name: entry.name,
            state: if is_waiting { ParticipantState::Waiting } else { ParticipantState::Joined },
            hidden: grants.hidden,
            metadata: entry.metadata,
            attributes: entry.attributes,
            presence: entry.presence,
            hand_raised: entry.hand_raised,
            joined_at_ms,
            connected,
            connection: connection.map(str::to_owned),
            grants: grants.into(),
            tracks,
        }
    }
}

/// Participants, by identity.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ParticipantList {
    pub(super) items: Vec<Participant>,
    /// `after` of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) next: Option<String>,
}

/// A track.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Track {
    /// Its id.
    #[schema(value_type = u32)]
    pub(super) track: TrackId,
    /// Whose.
    identity: String,
    #[schema(value_type = SourceText)]
    source: Source,
    #[schema(value_type = KindText)]
    kind: MediaKind,
    muted: bool,
}

impl Track {
    pub(super) fn of(view: &ParticipantView) -> Vec<Self> {
        let entry = &view.entry;
        let track = |track: &patchbay_protocol::Track| Self {
            track: track.id,
            identity: entry.identity.clone(),
            source: track.source,
            kind: track.kind,
            muted: track.muted,
        };
        entry.tracks.iter().map(track).collect()
    }
}

/// Tracks, by id.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TrackList {
    pub(super) items: Vec<Track>,
    /// `after` of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) next: Option<String>,
}

/// What somebody may do. What is absent is as an ordinary participant has it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct GrantsBody {
    #[schema(value_type = Vec<SourceText>)]
    publish: Vec<Source>,
    subscribe: bool,
    data: bool,
    topics: Vec<TopicGrantBody>,
    moderate: bool,
    hidden: bool,
    record: bool,
}

/// What somebody may do on some topics. In a list the first that matches decides; an empty list allows everything.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TopicGrantBody {
    /// A label, or the beginning of labels followed by `*`.
    topic: String,
    #[serde(default)]
    publish: bool,
    #[serde(default)]
    subscribe: bool,
}

impl Default for GrantsBody {
    fn default() -> Self {
        Grants::default().into()
    }
}

impl From<Grants> for GrantsBody {
    fn from(grants: Grants) -> Self {
        let Grants { publish, subscribe, data, topics, moderate, hidden, record } = grants;
        let topics = topics.into_iter().map(|TopicGrant { topic, publish, subscribe }| TopicGrantBody {
            topic,
            publish,
            subscribe,
        });
        Self { publish, subscribe, data, topics: topics.collect(), moderate, hidden, record }
    }
}

impl From<GrantsBody> for Grants {
    fn from(body: GrantsBody) -> Self {
        let GrantsBody { publish, subscribe, data, topics, moderate, hidden, record } = body;
        let topics = topics.into_iter().map(|TopicGrantBody { topic, publish, subscribe }| TopicGrant {
            topic,
            publish,
            subscribe,
        });
        Self { publish, subscribe, data, topics: topics.collect(), moderate, hidden, record }
    }
}

/// Changes to somebody's entry. What is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ParticipantUpdate {
    pub(super) name: Option<String>,
    pub(super) metadata: Option<Value>,
    /// By key; null deletes.
    pub(super) attributes: Option<BTreeMap<String, Option<String>>>,
    pub(super) hand_raised: Option<bool>,
    /// All of them.
    pub(super) grants: Option<GrantsBody>,
}

/// How somebody is removed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Removal {
    /// Whether the identity may not join this room again.
    #[param(nullable = false)]
    pub(super) ban: Option<bool>,
}

/// Which track, and whether it is muted from here on. One of `source` and `track`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Mute {
    #[schema(value_type = Option<SourceText>)]
    pub(super) source: Option<Source>,
    pub(super) track: Option<u32>,
    pub(super) muted: bool,
}

/// A call of a method.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    #[schema(min_length = 1)]
    pub(super) method: String,
    /// At most 15 KiB.
    #[serde(default)]
    pub(super) payload: String,
    #[schema(minimum = 1, maximum = 60000)]
    pub(super) timeout_ms: Option<u32>,
}

/// What the method answered.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CallResult {
    pub(super) payload: String,
}

/// A line of the server.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewLine {
    /// 1 to 4096 bytes.
    #[schema(min_length = 1)]
    pub(super) text: String,
    /// Whose it seems to be; `server` when absent.
    pub(super) name: Option<String>,
    /// A repetition with the same one is answered with the first line, and said once.
    pub(super) message_id: Option<String>,
}

/// A line of chat.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Line {
    /// From 1.
    number: u64,
    /// Whose; 0 is the server.
    participant: u32,
    identity: String,
    name: String,
    text: String,
    /// Unix time in milliseconds.
    sent_at_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    message_id: Option<String>,
}

impl From<ChatLine> for Line {
    fn from(line: ChatLine) -> Self {
        Self {
            number: line.number,
            participant: line.participant.0,
            identity: line.identity,
            name: line.name,
            text: line.text,
            sent_at_ms: line.sent_at_ms,
            message_id: line.message_id,
        }
    }
}

/// Which lines.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LinePage {
    /// How many at most.
    #[param(minimum = 1, maximum = 50, nullable = false)]
    pub(super) limit: Option<u32>,
    /// Those with lower numbers; the newest when absent.
    #[param(maximum = 9007199254740991u64, nullable = false)]
    pub(super) before: Option<u64>,
}

/// Lines in ascending order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LineList {
    pub(super) items: Vec<Line>,
    /// `before` of the page with older lines, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) next: Option<u64>,
}

/// A message on a topic. One of `text` and `base64`; neither ends the value of `key`, with `tombstone`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Data {
    #[schema(min_length = 1)]
    pub(super) topic: String,
    pub(super) text: Option<String>,
    pub(super) base64: Option<String>,
    /// Identities; everybody on the topic when absent. At most 128.
    #[serde(default)]
    #[schema(max_items = 128)]
    pub(super) to: Vec<String>,
    /// What it is about, where values are kept.
    pub(super) key: Option<String>,
    /// The value of the key ends.
    #[serde(default)]
    pub(super) tombstone: bool,
    /// Settings of the topic, should this be the first on it: `mode=latest&rate=20`.
    pub(super) settings: Option<String>,
}

/// A token of a participant to be minted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    pub(super) room: RoomText,
    /// 1 to 128 bytes without control characters.
    #[schema(min_length = 1)]
    pub(super) identity: String,
    pub(super) name: Option<String>,
    pub(super) metadata: Option<Value>,
    #[serde(default)]
    pub(super) grants: GrantsBody,
    /// How long it holds; 6 hours when absent, 30 days at most.
    #[schema(minimum = 1, maximum = 2592000)]
    pub(super) ttl_s: Option<u32>,
}

/// A token.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Minted {
    pub(super) token: String,
    /// By which it can be revoked.
    pub(super) jti: String,
    /// Unix time in milliseconds.
    pub(super) expires_at_ms: u64,
}

/// What is revoked: one token by `jti`, or what an `identity` was given so far, in one `room` or in all.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Revocation {
    pub(super) jti: Option<String>,
    pub(super) identity: Option<String>,
    pub(super) room: Option<RoomText>,
}

/// The server.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Status {
    /// Name and version.
    pub(super) server: String,
    /// One life of it.
    pub(super) epoch: u64,
    /// Its clock, Unix time in milliseconds.
    pub(super) at_ms: u64,
    pub(super) uptime_ms: u64,
    pub(super) draining: bool,
    pub(super) sessions: u64,
    pub(super) connections: Connections,
    pub(super) rooms: u64,
    pub(super) participants: u64,
    /// Joins since the start.
    pub(super) joins: u64,
    /// Messages of clients since the start.
    pub(super) messages_in: u64,
    /// Messages to clients since the start.
    pub(super) messages_out: u64,
    /// Refused requests of clients since the start.
    pub(super) errors: u64,
    pub(super) nodes: Vec<Node>,
}

/// Connections of clients, by what carries them.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Connections {
    pub(super) websocket: u64,
    pub(super) sse: u64,
    pub(super) poll: u64,
}

/// A node.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Node {
    pub(super) name: String,
    /// Its link is up.
    pub(super) attached: bool,
    /// Nothing new is placed on it.
    pub(super) draining: bool,
    pub(super) rooms: u64,
    pub(super) transports: u64,
    /// When its counters came, Unix time in milliseconds; 0 before the first.
    pub(super) reported_at_ms: u64,
    /// What it reports of itself, as totals since its start.
    pub(super) counters: BTreeMap<String, u64>,
}
