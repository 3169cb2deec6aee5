//! What can go wrong, and whose fault it was.

use std::time::Duration;

use patchbay_protocol::ProtocolError;

/// Why something could not be done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// The server refused.
    #[error("refused by the server: {0}")]
    Refused(#[from] ProtocolError),
    /// There is no connection to the server, or it broke.
    #[error("connection to the server: {0}")]
    Connection(String),
    /// The server said something that is not in the protocol.
    #[error("unexpected message: {0}")]
    Unexpected(String),
    /// The WebRTC stack refused.
    #[error("webrtc: {0}")]
    Webrtc(String),
    /// Nothing came in time.
    #[error("waited {waited:?} in vain for {what}")]
    Timeout {
        /// For what.
        what: String,
        /// How long.
        waited: Duration,
    },
    /// The room, topic or transfer was closed.
    #[error("{0} was closed")]
    Closed(&'static str),
    /// A message, payload or list is longer than allowed.
    #[error("{what} is longer than {most}")]
    TooLong {
        /// What.
        what: &'static str,
        /// How long it may be, in bytes or entries.
        most: usize,
    },
    /// More waits for room than is kept.
    #[error("too much waits for room; wait for `ready` between messages")]
    NoRoom,
    /// A transfer was ended by the other side, or its participant left.
    #[error("the transfer was ended: {0}")]
    Cancelled(String),
}

impl From<webrtc::error::Error> for ClientError {
    fn from(error: webrtc::error::Error) -> Self {
        Self::Webrtc(error.to_string())
    }
}
