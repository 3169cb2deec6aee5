//! Participants, their tracks, and what they may do.

use std::collections::BTreeMap;

use patchbay_protocol::{Grants, MediaKind, PresenceState, Source, TopicGrant, TrackId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::room::ParticipantView;

/// Somebody in a room, or on the way in.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Participant {
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
pub(in crate::api) enum ParticipantState {
    Joined,
    /// To be admitted, or for its node.
    Waiting,
}

#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the protocol's own")]
pub(in crate::api) enum PresenceText {
    Active,
    Away,
}

#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the protocol's own")]
pub(in crate::api) enum SourceText {
    Microphone,
    Camera,
    Screen,
    ScreenAudio,
}

#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the protocol's own")]
pub(in crate::api) enum KindText {
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
pub(in crate::api) struct ParticipantList {
    pub(in crate::api) items: Vec<Participant>,
    /// `after` of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::api) next: Option<String>,
}

/// A track.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::api) struct Track {
    /// Its id.
    #[schema(value_type = u32)]
    pub(in crate::api) track: TrackId,
    /// Whose.
    identity: String,
    #[schema(value_type = SourceText)]
    source: Source,
    #[schema(value_type = KindText)]
    kind: MediaKind,
    muted: bool,
}

impl Track {
    pub(in crate::api) fn of(view: &ParticipantView) -> Vec<Self> {
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
pub(in crate::api) struct TrackList {
    pub(in crate::api) items: Vec<Track>,
    /// `after` of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::api) next: Option<String>,
}

/// What somebody may do. What is absent is as an ordinary participant has it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::api) struct GrantsBody {
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
pub(in crate::api) struct TopicGrantBody {
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
pub(in crate::api) struct ParticipantUpdate {
    pub(in crate::api) name: Option<String>,
    pub(in crate::api) metadata: Option<Value>,
    /// By key; null deletes.
    pub(in crate::api) attributes: Option<BTreeMap<String, Option<String>>>,
    pub(in crate::api) hand_raised: Option<bool>,
    /// All of them.
    pub(in crate::api) grants: Option<GrantsBody>,
}

/// How somebody is removed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct Removal {
    /// Whether the identity may not join this room again.
    #[param(nullable = false)]
    pub(in crate::api) ban: Option<bool>,
}

/// Which track, and whether it is muted from here on. One of `source` and `track`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Mute {
    #[schema(value_type = Option<SourceText>)]
    pub(in crate::api) source: Option<Source>,
    pub(in crate::api) track: Option<u32>,
    pub(in crate::api) muted: bool,
}
