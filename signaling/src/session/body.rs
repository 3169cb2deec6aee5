//! One server message, encoded once for everybody who gets it.

use std::sync::Arc;

use serde::Serialize;

/// A server message without its number.
#[derive(Debug, Clone)]
pub(crate) struct Body(Arc<str>);

impl Body {
    /// Encodes an event.
    pub(crate) fn event(event: &impl Serialize) -> Self {
        Self(serde_json::to_string(event).unwrap_or_else(|_| String::from("{}")).into())
    }

    /// Its length in bytes, without a number.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Its type.
    pub(crate) fn kind(&self) -> &str {
        let named = self.0.strip_prefix("{\"type\":\"").and_then(|rest| rest.split_once('"'));
        named.map_or("", |(kind, _)| kind)
    }

    /// The whole message: `{"seq":1,` and the event's own fields.
    pub(crate) fn numbered(&self, seq: u64) -> String {
        let rest = self.0.strip_prefix('{').unwrap_or("}");
        format!("{{\"seq\":{seq},{rest}")
    }
}
