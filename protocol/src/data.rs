//! Topics and data channels, as far as signaling speaks of them.

use serde::{Deserialize, Serialize};

/// A data channel that was negotiated out of band (`negotiated: true` in a browser): it sends no label of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelDeclaration {
    /// Its SCTP stream, the same at both ends (RFC 8831 §6.4).
    pub id: u16,
    /// Its label: the topic.
    pub label: String,
    /// Its subprotocol: empty for plain mode, `patchbay` for framed mode.
    #[serde(default)]
    pub protocol: String,
    /// Whether messages arrive in order.
    #[serde(default = "yes")]
    pub ordered: bool,
    /// How often a message is repeated at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_retransmits: Option<u16>,
    /// After how many milliseconds a message is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_lifetime_ms: Option<u16>,
}

/// What somebody may do on some topics. In a list the first that matches decides; an empty list allows everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicGrant {
    /// A label, or the beginning of labels followed by `*`.
    pub topic: String,
    /// May send on them.
    #[serde(default)]
    pub publish: bool,
    /// May receive on them.
    #[serde(default)]
    pub subscribe: bool,
}

impl TopicGrant {
    /// Whether this grant speaks of a label.
    pub fn matches(&self, label: &str) -> bool {
        match self.topic.strip_suffix('*') {
            Some(beginning) => label.starts_with(beginning),
            None => label == self.topic,
        }
    }
}

fn yes() -> bool {
    true
}
