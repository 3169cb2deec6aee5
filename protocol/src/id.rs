//! Ids as newtypes: a bare number or string never names a thing.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! numeric_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps a text. Length and alphabet are checked where the text enters (see [`crate::limit`]).
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }
    };
}

numeric_id! {
    /// A participant within one room, minted by signaling, never reused in that room. It is the CSRC of every packet
    /// forwarded from that participant (RFC 3550 §5.1), so a subscriber always knows whose media it plays.
    ParticipantNumber(u32)
}
numeric_id! {
    /// A track within one room, minted by signaling, never reused in that room.
    TrackId(u32)
}
numeric_id! {
    /// A room as nodes know it: random, below 2^53 so that JSON in JavaScript keeps it whole.
    RoomId(u64)
}
numeric_id! {
    /// One ICE + DTLS association of one participant, minted by signaling: random, below 2^53.
    TransportId(u64)
}
numeric_id! {
    /// A command to a node. The same id is never executed twice; a repeat gets the first answer.
    CommandId(u64)
}
numeric_id! {
    /// One life of the party that commands: a command with an epoch below the highest seen is refused.
    Epoch(u64)
}
numeric_id! {
    /// A client's request within its session. A repeat gets the first reply.
    RequestId(u32)
}
text_id! {
    /// The name of a room, as it stands in links and tokens.
    RoomName
}
text_id! {
    /// A media section's id (RFC 5888, `a=mid`).
    Mid
}
text_id! {
    /// A session: the signaling state of one participant, which outlives its connections.
    SessionId
}
text_id! {
    /// One SFU process, as operators name it.
    NodeName
}
