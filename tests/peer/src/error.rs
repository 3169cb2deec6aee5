//! What can go wrong for a peer, and whose fault it was.

use patchbay_protocol::ProtocolError;

/// Why a peer could not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The server refused.
    #[error("refused by the server: {0}")]
    Refused(#[from] ProtocolError),
    /// The server answered an HTTP request with a status that is not a success.
    #[error("HTTP status {status}: {body}")]
    Status {
        /// The status code.
        status: u16,
        /// What the server said about it.
        body: String,
    },
    /// The signaling connection or the HTTP exchange broke.
    #[error("connection to the server: {0}")]
    Connection(String),
    /// The server said something that is not in the protocol.
    #[error("unexpected message: {0}")]
    Unexpected(String),
    /// The WebRTC stack refused.
    #[error("webrtc: {0}")]
    Webrtc(#[from] webrtc::error::Error),
    /// A media file cannot be read.
    #[error("media file {path}: {reason}")]
    Media {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A condition did not come true in time.
    #[error("waited {waited_ms} ms in vain for {what}")]
    Timeout {
        /// For what.
        what: String,
        /// How long.
        waited_ms: u64,
    },
    /// There is no such slot, channel or publication.
    #[error("no {0}")]
    Unknown(String),
}
