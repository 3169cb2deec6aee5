//! How a room is joined.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;

/// Who joins, and how.
#[derive(Debug, Clone)]
pub struct JoinOptions {
    /// The room's name.
    pub room: String,
    /// Unique in the room; the server mints one when it is absent.
    pub identity: Option<String>,
    /// The name to show.
    pub name: Option<String>,
    /// Anything that others shall see.
    pub metadata: Option<Value>,
    /// A JWT, where the server asks for one.
    pub token: Option<String>,
    /// The local address for datagrams. Unless told, loopback for a server there, else every interface.
    pub bind: Option<IpAddr>,
    /// Whether datagrams are used at all. Otherwise topics go over the signaling connection.
    pub datagrams: bool,
    /// How long a reply may take.
    pub patience: Duration,
}

impl JoinOptions {
    /// A nameless participant of a room.
    pub fn new(room: impl Into<String>) -> Self {
        Self {
            room: room.into(),
            identity: None,
            name: None,
            metadata: None,
            token: None,
            bind: None,
            datagrams: true,
            patience: Duration::from_secs(15),
        }
    }

    /// The same with an identity, unique in the room.
    pub fn identity(mut self, identity: impl Into<String>) -> Self {
        self.identity = Some(identity.into());
        self
    }

    /// The same with a name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The same with a token.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// The same over the signaling connection alone.
    pub fn without_datagrams(mut self) -> Self {
        self.datagrams = false;
        self
    }
}
