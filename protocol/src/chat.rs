//! Chat lines.

use serde::{Deserialize, Serialize};

use crate::ParticipantNumber;

/// One line, as it was sent and as the history keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatLine {
    /// Numbers the lines of a room from 1.
    pub number: u64,
    /// Who wrote it. The number may be of somebody who has left.
    pub participant: ParticipantNumber,
    /// The writer's identity.
    pub identity: String,
    /// The writer's name when it was written.
    pub name: String,
    /// Plain text.
    pub text: String,
    /// Unix time in milliseconds.
    pub sent_at_ms: u64,
    /// The writer's own name for it, by which a repetition is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
}
