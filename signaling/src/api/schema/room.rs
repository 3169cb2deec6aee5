//! Rooms, and names in paths.

use std::collections::BTreeMap;

use patchbay_protocol::RoomName;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::room::RoomView;

/// A room.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Room {
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
pub(in crate::api) struct RoomText(pub(in crate::api) String);

impl Room {
    pub(in crate::api) fn new(name: &RoomName, view: RoomView) -> Self {
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
pub(in crate::api) struct IdentityText(String);

/// Rooms, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct RoomList {
    pub(in crate::api) items: Vec<Room>,
    /// `after` of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::api) next: Option<String>,
}

/// A room to be made, or changed if it is there.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct NewRoom {
    pub(in crate::api) room: RoomText,
    /// The application's own; at most 4 KiB, unless the server was told otherwise.
    pub(in crate::api) metadata: Option<Value>,
    /// The application's own, by key; null deletes.
    pub(in crate::api) attributes: Option<BTreeMap<String, Option<String>>>,
    pub(in crate::api) locked: Option<bool>,
    pub(in crate::api) waiting_room: Option<bool>,
    #[schema(minimum = 1, maximum = 1000)]
    pub(in crate::api) max_participants: Option<u32>,
    /// For how many seconds it is kept while nobody is in it; 300 when absent.
    #[schema(minimum = 10, maximum = 86400)]
    pub(in crate::api) empty_timeout_s: Option<u32>,
}

/// Changes to a room. What is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct RoomUpdate {
    pub(in crate::api) metadata: Option<Value>,
    /// By key; null deletes.
    pub(in crate::api) attributes: Option<BTreeMap<String, Option<String>>>,
    pub(in crate::api) locked: Option<bool>,
    pub(in crate::api) waiting_room: Option<bool>,
    #[schema(minimum = 1, maximum = 1000)]
    pub(in crate::api) max_participants: Option<u32>,
    #[schema(minimum = 10, maximum = 86400)]
    pub(in crate::api) empty_timeout_s: Option<u32>,
}
