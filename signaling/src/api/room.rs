//! Rooms: `/v1/rooms`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::future::join_all;
use patchbay_protocol::{ErrorCode, ProtocolError, RoomChanges, RoomName, limit};

use super::error::{ApiError, Body, Outcome, Path, Query};
use super::schema::{IdentityText, NewRoom, Page, Room, RoomList, RoomUpdate, Track, TrackList};
use crate::app::App;
use crate::room::{ParticipantView, ServerReply, ServerRequest};

/// Items of a list when nobody says how many, and at most.
const PAGE: usize = 50;
const LONGEST_PAGE: u32 = 200;
/// How long a room that was made in advance waits for somebody.
const EMPTY_TIMEOUT: Duration = Duration::from_secs(300);
/// What it may be told, in seconds: sooner, and it is gone before whoever was told of it is there.
const EMPTY_SECONDS: std::ops::RangeInclusive<u32> = 10..=86_400;

/// How many items of a list.
pub(super) fn page_size(page: &Page) -> Outcome<usize> {
    match page.limit {
        None => Ok(PAGE),
        Some(limit @ 1..=LONGEST_PAGE) => Ok(limit as usize),
        Some(_) => Err(ApiError::invalid("limit is 1 to 200")),
    }
}

/// A room's name from a path or a body.
pub(super) fn room_name(text: &str) -> Outcome<RoomName> {
    if limit::is_room_name(text) {
        return Ok(RoomName::new(text));
    }
    let message = "a room name is 1 to 64 of letters, digits, '-', '_' and '.', and starts with no '.'";
    Err(ApiError::invalid(message))
}

/// Somebody's identity from a path.
pub(super) fn identity(text: String) -> Outcome<String> {
    crate::room::check_identity(&text)?;
    Ok(text)
}

/// An answer that does not belong to its request.
pub(super) fn out_of_place() -> ApiError {
    ProtocolError::new(ErrorCode::Internal, "the room answered something else").into()
}

pub(super) async fn everybody(app: &App, room: &RoomName) -> Outcome<Vec<ParticipantView>> {
    match app.rooms.ask(room, ServerRequest::Participants).await? {
        ServerReply::Participants(all) => Ok(all),
        _ => Err(out_of_place()),
    }
}

fn read_room(name: &RoomName, reply: ServerReply) -> Outcome<Json<Room>> {
    match reply {
        ServerReply::Room(view) => Ok(Json(Room::new(name, *view))),
        _ => Err(out_of_place()),
    }
}

/// Open rooms, by name.
#[utoipa::path(get, path = "/v1/rooms", tag = "rooms", operation_id = "list_rooms", params(Page),
    security(("bearer" = [])), responses((status = 200, body = RoomList)))]
pub(super) async fn list(State(app): State<App>, Query(page): Query<Page>) -> Outcome<Json<RoomList>> {
    let (names, has_more) = app.rooms.names(page.after.as_deref(), page_size(&page)?);
    let asked = names.iter().map(|name| app.rooms.ask(name, ServerRequest::Describe));
    let answers = join_all(asked).await;
    let next = names.last().filter(|_| has_more).map(|name| name.as_str().to_owned());
    let items = names.iter().zip(answers).filter_map(|(name, answer)| match answer {
        Ok(ServerReply::Room(view)) => Some(Room::new(name, *view)),
        // It has ended meanwhile.
        _ => None,
    });
    Ok(Json(RoomList { items: items.collect(), next }))
}

fn empty_timeout(seconds: Option<u32>) -> Outcome<Option<Duration>> {
    match seconds {
        None => Ok(None),
        Some(seconds) if EMPTY_SECONDS.contains(&seconds) => Ok(Some(Duration::from_secs(seconds.into()))),
        Some(_) => Err(ApiError::invalid("empty_timeout_s is 10 to 86400")),
    }
}

/// Makes a room in advance, or changes it if it is open.
#[utoipa::path(post, path = "/v1/rooms", tag = "rooms", operation_id = "create_room", request_body = NewRoom,
    security(("bearer" = [])),
    responses((status = 201, body = Room, description = "It was made."),
        (status = 200, body = Room, description = "It was there, and was changed.")))]
pub(super) async fn create(
    State(app): State<App>,
    Body(body): Body<NewRoom>,
) -> Outcome<(StatusCode, Json<Room>)> {
    app.drain.check_new()?;
    let name = room_name(&body.room.0)?;
    let empty_timeout = Some(empty_timeout(body.empty_timeout_s)?.unwrap_or(EMPTY_TIMEOUT));
    let changes = RoomChanges {
        metadata: body.metadata,
        attributes: body.attributes,
        locked: body.locked,
        waiting_room: body.waiting_room,
        max_participants: body.max_participants,
    };
    let request = ServerRequest::Update { changes, empty_timeout };
    let (reply, is_new) = app.rooms.ask_or_open(&name, request).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, read_room(&name, reply)?))
}

/// One room.
#[utoipa::path(get, path = "/v1/rooms/{room}", tag = "rooms", operation_id = "show_room",
    params(("room" = super::schema::RoomText, Path)), security(("bearer" = [])), responses((status = 200, body = Room)))]
pub(super) async fn show(State(app): State<App>, Path(room): Path<String>) -> Outcome<Json<Room>> {
    let name = room_name(&room)?;
    read_room(&name, app.rooms.ask(&name, ServerRequest::Describe).await?)
}

/// Changes a room.
#[utoipa::path(patch, path = "/v1/rooms/{room}", tag = "rooms", operation_id = "update_room",
    params(("room" = super::schema::RoomText, Path)), request_body = RoomUpdate, security(("bearer" = [])),
    responses((status = 200, body = Room)))]
pub(super) async fn update(
    State(app): State<App>,
    Path(room): Path<String>,
    Body(body): Body<RoomUpdate>,
) -> Outcome<Json<Room>> {
    let name = room_name(&room)?;
    let empty_timeout = empty_timeout(body.empty_timeout_s)?;
    let changes = RoomChanges {
        metadata: body.metadata,
        attributes: body.attributes,
        locked: body.locked,
        waiting_room: body.waiting_room,
        max_participants: body.max_participants,
    };
    read_room(&name, app.rooms.ask(&name, ServerRequest::Update { changes, empty_timeout }).await?)
}

/// Removes everybody and ends the room.
#[utoipa::path(delete, path = "/v1/rooms/{room}", tag = "rooms", operation_id = "close_room",
    params(("room" = super::schema::RoomText, Path)), security(("bearer" = [])), responses((status = 204)))]
pub(super) async fn close(State(app): State<App>, Path(room): Path<String>) -> Outcome<StatusCode> {
    app.rooms.ask(&room_name(&room)?, ServerRequest::Close).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is published in a room, by track.
#[utoipa::path(get, path = "/v1/rooms/{room}/tracks", tag = "rooms", operation_id = "list_tracks",
    params(("room" = super::schema::RoomText, Path), Page), security(("bearer" = [])),
    responses((status = 200, body = TrackList)))]
pub(super) async fn tracks(
    State(app): State<App>,
    Path(room): Path<String>,
    Query(page): Query<Page>,
) -> Outcome<Json<TrackList>> {
    let limit = page_size(&page)?;
    let after: Option<u32> = match page.after {
        Some(after) => Some(after.parse().map_err(|_| ApiError::invalid("after is a track's id"))?),
        None => None,
    };
    let all = everybody(&app, &room_name(&room)?).await?;
    let mut items: Vec<Track> = all.iter().flat_map(Track::of).collect();
    items.retain(|item| after.is_none_or(|after| item.track.0 > after));
    items.sort_by_key(|item| item.track);
    let has_more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| has_more).map(|item| item.track.to_string());
    Ok(Json(TrackList { items, next }))
}

/// Lets a banned identity in again.
#[utoipa::path(delete, path = "/v1/rooms/{room}/bans/{identity}", tag = "rooms", operation_id = "unban",
    params(("room" = super::schema::RoomText, Path), ("identity" = IdentityText, Path)), security(("bearer" = [])),
    responses((status = 204)))]
pub(super) async fn unban(
    State(app): State<App>,
    Path((room, who)): Path<(String, String)>,
) -> Outcome<StatusCode> {
    let identity = identity(who)?;
    app.rooms.ask(&room_name(&room)?, ServerRequest::Unban { identity }).await?;
    Ok(StatusCode::NO_CONTENT)
}
