//! How a refusal looks over HTTP: a status, `Retry-After` where trying again makes sense, and `{code, message}` as JSON.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use patchbay_protocol::{ErrorCode, ProtocolError};

/// A refusal as a response.
pub(crate) fn refusal(error: ProtocolError) -> Response {
    let status = status_of(error.code);
    // In whole seconds, and never sooner than the body says (RFC 9110 §10.2.3).
    let retry_seconds = error.retry_after_ms.map_or(1, |ms| ms.div_ceil(1_000).max(1));
    let mut response = (status, Json(error)).into_response();
    let headers = response.headers_mut();
    match status {
        StatusCode::UNAUTHORIZED => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            headers.insert(header::RETRY_AFTER, retry_seconds.into());
        }
        _ => {}
    }
    response
}

/// A time to come back after, spread so that all who were refused at once do not come back at once.
pub(crate) fn spread_retry() -> Duration {
    Duration::from_millis(1_000 + u64::from(rand::random::<u16>()) * 4_000 / u64::from(u16::MAX))
}

/// The status of a code.
pub(crate) fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::TokenMissing
        | ErrorCode::TokenInvalid
        | ErrorCode::TokenWrongAlgorithm
        | ErrorCode::TokenUnknownKey
        | ErrorCode::TokenExpired
        | ErrorCode::TokenNotYetValid
        | ErrorCode::TokenRevoked
        | ErrorCode::SessionGone => StatusCode::UNAUTHORIZED,
        ErrorCode::WrongRoom
        | ErrorCode::NotAllowed
        | ErrorCode::Banned
        | ErrorCode::RoomLocked
        | ErrorCode::Denied => StatusCode::FORBIDDEN,
        ErrorCode::InvalidArgument
        | ErrorCode::MalformedMessage
        | ErrorCode::UnknownType
        | ErrorCode::HelloExpected
        | ErrorCode::UnsupportedVersion => StatusCode::BAD_REQUEST,
        ErrorCode::InvalidSdp => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorCode::MessageTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::RateLimited | ErrorCode::TooMany => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::RoomFull | ErrorCode::NoNode | ErrorCode::Overloaded | ErrorCode::Draining => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ErrorCode::RpcFailed => StatusCode::BAD_GATEWAY,
        ErrorCode::RpcTimeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorCode::TopicMismatch => StatusCode::CONFLICT,
        ErrorCode::NotJoined
        | ErrorCode::UnknownRoom
        | ErrorCode::UnknownTransport
        | ErrorCode::UnknownTrack
        | ErrorCode::UnknownTopic
        | ErrorCode::UnknownParticipant => StatusCode::NOT_FOUND,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
