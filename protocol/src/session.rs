//! Sessions that outlive their connections: how a later connection takes one up again.

use serde::{Deserialize, Serialize};

use crate::{Epoch, Joined, SessionId};

/// In `hello`: takes up a session that another connection began.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The session.
    pub session: SessionId,
    /// Its secret, from `welcome`.
    pub secret: String,
    /// The highest `seq` that was taken in order; 0 for none.
    pub last_seq: u64,
    /// The life of the server that numbered it, from `welcome` or `resumed`. Another one than the server's has missed
    /// everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
}

/// The secret stays out of logs.
impl std::fmt::Debug for Resume {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resume")
            .field("session", &self.session)
            .field("last_seq", &self.last_seq)
            .finish_non_exhaustive()
    }
}

/// The reply to a `hello` with [`Resume`]. It stands outside the numbering: its `seq` is 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resumed {
    /// The life of the server that answers. Another one than before means that numbering begins anew.
    pub epoch: Epoch,
    /// The number of the message that comes next.
    pub next_seq: u64,
    /// How often the client should `ping`, in milliseconds.
    pub heartbeat_ms: u64,
    /// How long the session is kept without a connection, in milliseconds.
    pub resume_window_ms: u64,
    /// The room as it is now, when the server was restarted in between. Absent while nothing was missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Box<Joined>>,
}
