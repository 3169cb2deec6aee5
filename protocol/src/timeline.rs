//! The connection timeline: what happened on a transport's way to media, for people who ask why there is none.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One step, with its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineStep {
    /// Milliseconds since the first offer was taken.
    pub at_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub step: Step,
}

/// What can happen to a transport, by `step`. Addresses are written as `192.0.2.1:7882` or `[2001:db8::1]:7882`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// The offer was taken and answered.
    Answered {
        /// The addresses that the answer announces.
        candidates: Vec<String>,
    },
    /// A check of the client was authenticated on an address for the first time.
    Path {
        /// Where it came from.
        from: String,
        /// Whether it came over TCP.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        tcp: bool,
    },
    /// A check was refused; told once for each reason.
    CheckRefused {
        /// Where it came from.
        from: String,
        /// Why.
        reason: CheckRefusal,
    },
    /// The client has chosen a path.
    Nominated {
        /// Its end of it.
        from: String,
    },
    /// The client's first DTLS message came.
    DtlsBegun {},
    /// DTLS is done.
    DtlsDone {
        /// What protects the media; `none` with data alone.
        srtp_profile: String,
    },
    /// The first media packet of the client was authenticated.
    MediaIn {},
    /// The first media packet was sent to the client.
    MediaOut {},
    /// The client asked for a new path.
    IceRestart {},
    /// Media goes to another address from now on.
    PathChanged {
        /// The client's end of it.
        to: String,
    },
    /// The client said goodbye.
    Closed {},
    /// The transport is dead.
    Failed {
        /// Why.
        reason: FailCode,
        /// The same in words.
        words: String,
    },
}

/// Why a connectivity check was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckRefusal {
    /// It names other credentials than the offer and the answer: an older or altered description.
    WrongUsername,
    /// Its password is not the answer's.
    BadPassword,
    /// It is no proper STUN.
    Malformed,
}

/// Why a transport died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailCode {
    /// Not one check arrived.
    NoCheck,
    /// Checks arrived, none with the right password.
    BadPassword,
    /// Checks succeeded and DTLS never began.
    DtlsNeverBegan,
    /// DTLS began and did not end.
    DtlsTimeout,
    /// One of the two sides refused DTLS.
    DtlsHandshake,
    /// The certificate is not the one that the offer promised.
    FingerprintMismatch,
    /// It was up and went silent.
    Silent,
    /// The server's own fault.
    Internal,
}

/// What a client can have trouble with that the server does not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TroubleKind {
    /// A TURN server refused the credentials (STUN error 401 or 403).
    TurnRefused,
    /// A TURN or STUN server did not answer (error 701).
    TurnUnreachable,
    /// The browser says that ICE has failed.
    IceFailed,
    /// Anything else.
    Other,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered { candidates } if candidates.is_empty() => {
                f.write_str("the offer was answered, without any address to connect to")
            }
            Self::Answered { candidates } => {
                write!(f, "the offer was answered; media is expected on {}", candidates.join(", "))
            }
            Self::Path { from, tcp: false } => write!(f, "a check came from {from}"),
            Self::Path { from, tcp: true } => write!(f, "a check came over TCP from {from}"),
            Self::CheckRefused { from, reason } => {
                let words = match reason {
                    CheckRefusal::WrongUsername => "it names another connection",
                    CheckRefusal::BadPassword => "its password is wrong",
                    CheckRefusal::Malformed => "it can't be read",
                };
                write!(f, "a check from {from} was refused: {words}")
            }
            Self::Nominated { from } => write!(f, "the client chose the path from {from}"),
            Self::DtlsBegun {} => f.write_str("the DTLS handshake began"),
            Self::DtlsDone { srtp_profile } => {
                write!(f, "DTLS is done; media is protected by {srtp_profile}")
            }
            Self::MediaIn {} => f.write_str("the first media came in"),
            Self::MediaOut {} => f.write_str("the first media went out"),
            Self::IceRestart {} => f.write_str("the client asked for a new path"),
            Self::PathChanged { to } => write!(f, "media goes to {to} now"),
            Self::Closed {} => f.write_str("the client closed the connection"),
            Self::Failed { words, .. } => write!(f, "failed: {words}"),
        }
    }
}
