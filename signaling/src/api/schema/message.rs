//! Chat, topics, calls.

use patchbay_protocol::ChatLine;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A call of a method.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Call {
    #[schema(min_length = 1)]
    pub(in crate::api) method: String,
    /// At most 15 KiB.
    #[serde(default)]
    pub(in crate::api) payload: String,
    #[schema(minimum = 1, maximum = 60000)]
    pub(in crate::api) timeout_ms: Option<u32>,
}

/// What the method answered.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct CallResult {
    pub(in crate::api) payload: String,
}

/// A line of the server.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct NewLine {
    /// 1 to 4096 bytes.
    #[schema(min_length = 1)]
    pub(in crate::api) text: String,
    /// Whose it seems to be; `server` when absent.
    pub(in crate::api) name: Option<String>,
    /// A repetition with the same one is answered with the first line, and said once.
    pub(in crate::api) message_id: Option<String>,
}

/// A line of chat.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Line {
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
pub(in crate::api) struct LinePage {
    /// How many at most.
    #[param(minimum = 1, maximum = 50, nullable = false)]
    pub(in crate::api) limit: Option<u32>,
    /// Those with lower numbers; the newest when absent.
    #[param(maximum = 9007199254740991u64, nullable = false)]
    pub(in crate::api) before: Option<u64>,
}

/// Lines in ascending order.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct LineList {
    pub(in crate::api) items: Vec<Line>,
    /// `before` of the page with older lines, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::api) next: Option<u64>,
}

/// A message on a topic. One of `text` and `base64`; neither ends the value of `key`, with `tombstone`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Data {
    #[schema(min_length = 1)]
    pub(in crate::api) topic: String,
    pub(in crate::api) text: Option<String>,
    pub(in crate::api) base64: Option<String>,
    /// Identities; everybody on the topic when absent. At most 128.
    #[serde(default)]
    #[schema(max_items = 128)]
    pub(in crate::api) to: Vec<String>,
    /// What it is about, where values are kept.
    pub(in crate::api) key: Option<String>,
    /// The value of the key ends.
    #[serde(default)]
    pub(in crate::api) tombstone: bool,
    /// Settings of the topic, should this be the first on it: `mode=latest&rate=20`.
    pub(in crate::api) settings: Option<String>,
}
