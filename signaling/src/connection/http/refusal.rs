//! Refusals over HTTP: a status and JSON. Where a WebSocket would be closed, the JSON has the code as `close`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use patchbay_protocol::{CloseCode, ErrorCode, ProtocolError};
use serde_json::json;

use crate::refusal::refusal;

/// Why a request was not carried out.
#[derive(Debug)]
pub(super) enum Refusal {
    /// One with a code of its own.
    Protocol(ProtocolError),
    /// The session has no connection over HTTP any more: as if a WebSocket had been closed with this.
    Over(CloseCode),
}

impl Refusal {
    /// A refusal by code.
    pub(super) fn new(code: ErrorCode, message: &str) -> Self {
        Self::Protocol(ProtocolError::new(code, message))
    }

    /// No such session; which of several reasons there may be is nobody's business.
    pub(super) fn gone() -> Self {
        Self::new(ErrorCode::SessionGone, "there is no such session")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Protocol(error) => refusal(error),
            Self::Over(code) => {
                let body = json!({
                    "code": name(code),
                    "message": "this connection is over",
                    "close": u16::from(code),
                });
                (StatusCode::CONFLICT, Json(body)).into_response()
            }
        }
    }
}

/// A close code's name.
fn name(code: CloseCode) -> &'static str {
    match code {
        CloseCode::Normal => "normal",
        CloseCode::GoingAway => "going_away",
        CloseCode::TooLarge => "too_large",
        CloseCode::ProtocolViolation => "protocol_violation",
        CloseCode::Unauthorized => "unauthorized",
        CloseCode::Forbidden => "forbidden",
        CloseCode::HeartbeatTimeout => "heartbeat_timeout",
        CloseCode::Replaced => "replaced",
        CloseCode::Superseded => "superseded",
        CloseCode::SlowConsumer => "slow_consumer",
        CloseCode::RateLimited => "rate_limited",
    }
}
