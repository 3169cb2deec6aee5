//! What the client says: `POST /v1/hello` and `POST /v1/send`.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use patchbay_protocol::{ErrorCode, ProtocolError};
use serde_json::value::RawValue;

use super::refusal::Refusal;
use super::session;
use crate::app::App;
use crate::auth::{Secret, bearer};
use crate::connection::greeting::{Greeted, Stranger};
use crate::connection::upgrade::take_place;
use crate::limit::Caller;
use crate::session::Carrier;

/// Begins a session, or takes one up: the reply, in an array.
pub(super) async fn hello(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let token = bearer(&headers).map(Secret::new);
    let address = caller.address;
    // A client that hangs up must not leave half a session behind.
    let greeting = tokio::spawn(async move { greet(Stranger { app, token, address }, body).await });
    match greeting.await {
        Ok(answer) => answer.unwrap_or_else(IntoResponse::into_response),
        Err(_) => Refusal::new(ErrorCode::Internal, "a fault of the server's own").into_response(),
    }
}

async fn greet(stranger: Stranger, body: Result<Bytes, BytesRejection>) -> Result<Response, Refusal> {
    let text = read(body)?;
    let place = take_place(&stranger.app).map_err(Refusal::Protocol)?;
    let reply = match stranger.greet(&text, Carrier::Http(place)).await {
        Greeted::Begun(attachment) => match attachment.next_now() {
            Some(Ok((seq, body))) => body.numbered(seq),
            _ => return Err(Refusal::gone()),
        },
        Greeted::Resumed(_, reply) => reply,
        Greeted::Refused(refused) => return Err(Refusal::Protocol(refused.error)),
    };
    Ok(json_array(&[reply]))
}

/// Takes one message, or several in an array. Their replies come down.
pub(super) async fn send(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Refusal> {
    let session = session(&app, &headers)?;
    let attachment = session.http_connection().map_err(Refusal::Over)?;
    let text = read(body)?;
    let messages = split(&text)?;
    let mut requests = session.requests.lock().await;
    for (index, message) in messages.into_iter().enumerate() {
        if !attachment.is_current() || session.closing().is_some() {
            return Err(Refusal::Over(
                session
                    .http_connection()
                    .err()
                    .unwrap_or_else(|| session.closing().unwrap_or(patchbay_protocol::CloseCode::Superseded)),
            ));
        }
        if index > 0 {
            requests.handle_text(&app, &attachment, message).await;
            continue;
        }
        // As long as nothing was taken, the refusal can be HTTP's own.
        match requests.take(&session, message) {
            Ok(()) => requests.carry_out(&app, &attachment, message).await,
            Err(wait) => {
                app.metrics.error(ErrorCode::RateLimited);
                let error = ProtocolError::new(ErrorCode::RateLimited, "too many messages; slow down");
                return Err(Refusal::Protocol(error.retry_after(wait)));
            }
        }
    }
    Ok(StatusCode::ACCEPTED)
}

/// The body as text.
fn read(body: Result<Bytes, BytesRejection>) -> Result<String, Refusal> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Refusal::new(ErrorCode::MessageTooLarge, "a body is at most 1 MiB, a message 512 KiB")
        }
        _ => Refusal::new(ErrorCode::MalformedMessage, "the body can't be read"),
    })?;
    String::from_utf8(body.into())
        .map_err(|_| Refusal::new(ErrorCode::MalformedMessage, "messages are UTF-8 text"))
}

/// The messages in a body, each as its own text.
fn split(text: &str) -> Result<Vec<&str>, Refusal> {
    if !text.trim_start().starts_with('[') {
        return Ok(vec![text]);
    }
    let list: Vec<&RawValue> = serde_json::from_str(text)
        .map_err(|_| Refusal::new(ErrorCode::MalformedMessage, "this is no array of messages"))?;
    Ok(list.into_iter().map(RawValue::get).collect())
}

/// Messages as a JSON array.
pub(super) fn json_array(messages: &[String]) -> Response {
    let mut response = format!("[{}]", messages.join(",")).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
