//! What the server says in rooms: chat, topics, calls.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use patchbay_protocol::{ErrorCode, Reply, TransportId};

use super::error::{ApiError, Body, Outcome, Path, Query};
use super::room::{identity, out_of_place, room_name};
use super::schema::{Call, CallResult, Data, IdentityText, Line, LineList, LinePage, NewLine, RoomText};
use crate::app::App;
use crate::room::{ServerData, ServerReply, ServerRequest};
use crate::rooms::random_53_bits;

/// The highest number that JSON in JavaScript keeps whole.
const LAST_NUMBER: u64 = (1 << 53) - 1;

/// Calls a method of a participant, as its SDK registered it.
#[utoipa::path(post, path = "/v1/rooms/{room}/participants/{identity}/rpc", tag = "messages",
    operation_id = "call", params(("room" = RoomText, Path), ("identity" = IdentityText, Path)), request_body = Call,
    security(("bearer" = [])),
    responses((status = 200, body = CallResult),
        (status = 502, body = super::error::ApiErrorBody, description = "The participant answered with an error, or left."),
        (status = 504, body = super::error::ApiErrorBody, description = "The participant did not answer in time.")))]
pub(super) async fn call(
    State(app): State<App>,
    Path((room, who)): Path<(String, String)>,
    Body(body): Body<Call>,
) -> Outcome<Json<CallResult>> {
    let Call { method, payload, timeout_ms } = body;
    let request = ServerRequest::Call { identity: identity(who)?, method, payload, timeout_ms };
    match app.rooms.ask(&room_name(&room)?, request).await? {
        ServerReply::Said(Reply::RpcDone { payload }) => Ok(Json(CallResult { payload })),
        _ => Err(out_of_place()),
    }
}

/// Chat of a room, the newest page when nothing is said.
#[utoipa::path(get, path = "/v1/rooms/{room}/chat", tag = "messages", operation_id = "list_chat",
    params(("room" = RoomText, Path), LinePage), security(("bearer" = [])),
    responses((status = 200, body = LineList)))]
pub(super) async fn history(
    State(app): State<App>,
    Path(room): Path<String>,
    Query(page): Query<LinePage>,
) -> Outcome<Json<LineList>> {
    if page.before.is_some_and(|before| before > LAST_NUMBER) {
        return Err(ApiError::invalid("before is at most 9007199254740991"));
    }
    let request = ServerRequest::History { before: page.before, limit: page.limit };
    match app.rooms.ask(&room_name(&room)?, request).await? {
        ServerReply::Said(Reply::History { lines, more }) => {
            let next = lines.first().filter(|_| more).map(|line| line.number);
            Ok(Json(LineList { items: lines.into_iter().map(Line::from).collect(), next }))
        }
        _ => Err(out_of_place()),
    }
}

/// Says a line in a room's chat.
#[utoipa::path(post, path = "/v1/rooms/{room}/chat", tag = "messages", operation_id = "say",
    params(("room" = RoomText, Path)), request_body = NewLine, security(("bearer" = [])),
    responses((status = 200, body = Line)))]
pub(super) async fn chat(
    State(app): State<App>,
    Path(room): Path<String>,
    Body(body): Body<NewLine>,
) -> Outcome<Json<Line>> {
    let NewLine { text, name, message_id } = body;
    match app.rooms.ask(&room_name(&room)?, ServerRequest::Chat { name, text, message_id }).await? {
        ServerReply::Said(Reply::Chatted { line }) => Ok(Json(line.into())),
        _ => Err(out_of_place()),
    }
}

/// Sends a message on a topic.
#[utoipa::path(post, path = "/v1/rooms/{room}/data", tag = "messages", operation_id = "send_data",
    params(("room" = RoomText, Path)), request_body = Data, security(("bearer" = [])),
    responses((status = 204)))]
pub(super) async fn data(
    State(app): State<App>,
    Path(room): Path<String>,
    Body(body): Body<Data>,
) -> Outcome<StatusCode> {
    let room = room_name(&room)?;
    let is_text = body.text.is_some();
    let payload = match (body.text, body.base64) {
        (Some(text), None) => text.into_bytes(),
        (None, Some(text)) => {
            STANDARD.decode(text).map_err(|_| ApiError::invalid("base64 can't be read (RFC 4648 §4)"))?
        }
        (None, None) if body.tombstone => Vec::new(),
        _ => return Err(ApiError::invalid("one of text and base64")),
    };
    let data = ServerData {
        way: TransportId(random_53_bits()),
        topic: body.topic,
        settings: body.settings,
        payload,
        is_text,
        is_tombstone: body.tombstone,
        key: body.key,
        to: body.to,
    };
    app.rooms.ask(&room, ServerRequest::Data(Box::new(data))).await.map_err(|error| match error.code {
        // The path is there; who is named in the body is not.
        ErrorCode::UnknownParticipant => {
            ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown_participant", error.message)
        }
        _ => error.into(),
    })?;
    Ok(StatusCode::NO_CONTENT)
}
