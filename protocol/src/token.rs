//! What a JWT says (RFC 7519). HS256, with the key chosen by `kid`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{RoomName, Source, TopicGrant};

/// The claims of a token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    /// The one room it opens.
    pub room: RoomName,
    /// Who its bearer is in that room.
    pub identity: String,
    /// The name to show; the bearer may choose one when it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Metadata of the participant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// What its bearer may do.
    #[serde(default)]
    pub grants: Grants,
    /// Expiry, Unix time in seconds. Required.
    pub exp: u64,
    /// Not valid before, Unix time in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// When it was issued, Unix time in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<u64>,
    /// Names the token, so that it can be revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
}

/// What a participant may do. The default allows what an ordinary participant does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Grants {
    /// The sources it may publish.
    pub publish: Vec<Source>,
    /// May receive media.
    pub subscribe: bool,
    /// May open data channels and send chat.
    pub data: bool,
    /// What it may do on which topics, if it may open data channels at all. Empty: everything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<TopicGrant>,
    /// May act on others.
    pub moderate: bool,
    /// Is in no roster.
    pub hidden: bool,
    /// May record.
    pub record: bool,
}

impl Default for Grants {
    fn default() -> Self {
        Self {
            publish: vec![Source::Microphone, Source::Camera, Source::Screen, Source::ScreenAudio],
            subscribe: true,
            data: true,
            topics: Vec::new(),
            moderate: false,
            hidden: false,
            record: false,
        }
    }
}
