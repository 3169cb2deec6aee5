//! Why a request was refused.

use serde::{Deserialize, Serialize};

/// Stable codes. New ones may come; the ones here keep their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Not JSON, or not a message of this protocol.
    MalformedMessage,
    /// JSON with a `type` that this server does not know.
    UnknownType,
    /// Larger than [`crate::limit::MESSAGE_BYTES`].
    MessageTooLarge,
    /// A request before `hello`.
    HelloExpected,
    /// A `hello` with a version that this server does not speak.
    UnsupportedVersion,
    /// A request that needs a room, before `join`.
    NotJoined,
    /// A second `join` or `hello`.
    AlreadyJoined,
    /// A token is needed and none was given.
    TokenMissing,
    /// The token cannot be read, or its signature does not hold.
    TokenInvalid,
    /// The token's time is over.
    TokenExpired,
    /// The token's time has not come.
    TokenNotYetValid,
    /// The token is for another room.
    WrongRoom,
    /// The token's grants do not allow this.
    NotAllowed,
    /// A name, identity, room or metadata breaks a limit or its alphabet.
    InvalidArgument,
    /// The room holds as many participants as it may.
    RoomFull,
    /// More requests than allowed; see `retry_after_ms`.
    RateLimited,
    /// A bound of the server is reached; see `retry_after_ms`.
    Overloaded,
    /// The SDP cannot be read or asks for what no transport here can carry.
    InvalidSdp,
    /// No such track.
    UnknownTrack,
    /// No such slot.
    UnknownSlot,
    /// No such participant.
    UnknownParticipant,
    /// No SFU node is there to take the room.
    NoNode,
    /// A command with an epoch that is over.
    StaleEpoch,
    /// No such room.
    UnknownRoom,
    /// No such transport.
    UnknownTransport,
    /// No session to resume: unknown, over, or not with this secret.
    SessionGone,
    /// The token names another algorithm than HS256.
    TokenWrongAlgorithm,
    /// The token names a key that this server does not have.
    TokenUnknownKey,
    /// The token, or its bearer, was revoked.
    TokenRevoked,
    /// This identity was banned from the room.
    Banned,
    /// The room is locked.
    RoomLocked,
    /// A moderator did not admit the participant.
    Denied,
    /// No such call waits for an answer.
    UnknownCall,
    /// The method was not answered in time.
    RpcTimeout,
    /// The method was answered with an error, or its participant left.
    RpcFailed,
    /// No such topic is open.
    UnknownTopic,
    /// The topic stands with other settings.
    TopicMismatch,
    /// A bound on how many of something there may be.
    TooMany,
    /// The server goes away and takes nobody in.
    Draining,
    /// A fault of the server's own; logged there.
    Internal,
}

/// An error as it stands on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ProtocolError {
    /// What kind.
    pub code: ErrorCode,
    /// What happened and what to do, for a person. No secrets.
    pub message: String,
    /// When to try again, where that makes sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl ProtocolError {
    /// An error without a retry hint.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after_ms: None }
    }

    /// The same, with a hint when to try again.
    pub fn retry_after(mut self, delay: std::time::Duration) -> Self {
        self.retry_after_ms = Some(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
        self
    }
}
