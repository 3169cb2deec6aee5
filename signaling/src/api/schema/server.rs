//! Tokens, and the server itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{GrantsBody, RoomText};

/// A token of a participant to be minted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct NewToken {
    pub(in crate::api) room: RoomText,
    /// 1 to 128 bytes without control characters.
    #[schema(min_length = 1)]
    pub(in crate::api) identity: String,
    pub(in crate::api) name: Option<String>,
    pub(in crate::api) metadata: Option<Value>,
    #[serde(default)]
    pub(in crate::api) grants: GrantsBody,
    /// How long it holds; 6 hours when absent, 30 days at most.
    #[schema(minimum = 1, maximum = 2592000)]
    pub(in crate::api) ttl_s: Option<u32>,
}

/// A token.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Minted {
    pub(in crate::api) token: String,
    /// By which it can be revoked.
    pub(in crate::api) jti: String,
    /// Unix time in milliseconds.
    pub(in crate::api) expires_at_ms: u64,
}

/// What is revoked: one token by `jti`, or what an `identity` was given so far, in one `room` or in all.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Revocation {
    pub(in crate::api) jti: Option<String>,
    pub(in crate::api) identity: Option<String>,
    pub(in crate::api) room: Option<RoomText>,
}

/// The server.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Status {
    /// Name and version.
    pub(in crate::api) server: String,
    /// One life of it.
    pub(in crate::api) epoch: u64,
    /// Its clock, Unix time in milliseconds.
    pub(in crate::api) at_ms: u64,
    pub(in crate::api) uptime_ms: u64,
    pub(in crate::api) draining: bool,
    pub(in crate::api) sessions: u64,
    pub(in crate::api) connections: Connections,
    pub(in crate::api) rooms: u64,
    pub(in crate::api) participants: u64,
    /// Joins since the start.
    pub(in crate::api) joins: u64,
    /// Messages of clients since the start.
    pub(in crate::api) messages_in: u64,
    /// Messages to clients since the start.
    pub(in crate::api) messages_out: u64,
    /// Refused requests of clients since the start.
    pub(in crate::api) errors: u64,
    pub(in crate::api) nodes: Vec<Node>,
}

/// Connections of clients, by what carries them.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(in crate::api) struct Connections {
    pub(in crate::api) websocket: u64,
    pub(in crate::api) sse: u64,
    pub(in crate::api) poll: u64,
}

/// A node.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Node {
    pub(in crate::api) name: String,
    /// Its link is up.
    pub(in crate::api) attached: bool,
    /// Nothing new is placed on it.
    pub(in crate::api) draining: bool,
    pub(in crate::api) rooms: u64,
    pub(in crate::api) transports: u64,
    /// When its counters came, Unix time in milliseconds; 0 before the first.
    pub(in crate::api) reported_at_ms: u64,
    /// What it reports of itself, as totals since its start.
    pub(in crate::api) counters: BTreeMap<String, u64>,
}
