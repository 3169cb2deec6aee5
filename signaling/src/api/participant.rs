//! Participants: `/v1/rooms/{room}/participants`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use patchbay_protocol::TrackId;

use super::error::{ApiError, Body, Outcome, Path, Query};
use super::room::{everybody, identity, out_of_place, page_size, room_name};
use super::schema::{
    IdentityText, Mute, Page, Participant, ParticipantList, ParticipantUpdate, Removal, RoomText,
};
use crate::app::App;
use crate::room::{ParticipantChanges, ServerReply, ServerRequest, WhichTrack};

type Who = Path<(String, String)>;

/// Everybody in a room, hidden ones and those who wait included, by identity.
#[utoipa::path(get, path = "/v1/rooms/{room}/participants", tag = "participants",
    operation_id = "list_participants", params(("room" = RoomText, Path), Page), security(("bearer" = [])),
    responses((status = 200, body = ParticipantList)))]
pub(super) async fn list(
    State(app): State<App>,
    Path(room): Path<String>,
    Query(page): Query<Page>,
) -> Outcome<Json<ParticipantList>> {
    let limit = page_size(&page)?;
    let mut all = everybody(&app, &room_name(&room)?).await?;
    // Somebody who comes again under the same identity is behind himself for a moment; both are on one page.
    all.sort_by(|a, b| (&a.entry.identity, a.entry.number).cmp(&(&b.entry.identity, b.entry.number)));
    all.retain(|one| page.after.as_ref().is_none_or(|after| one.entry.identity > *after));
    let is_split = |at: usize| match (all.get(at.wrapping_sub(1)), all.get(at)) {
        (Some(last), Some(next)) => last.entry.identity == next.entry.identity,
        _ => false,
    };
    let mut end = limit.min(all.len());
    while is_split(end) {
        end += 1;
    }
    let next = all.get(end).and_then(|_| all.get(end - 1)).map(|last| last.entry.identity.clone());
    all.truncate(end);
    Ok(Json(ParticipantList { items: all.into_iter().map(Participant::from).collect(), next }))
}

fn read_one(reply: ServerReply) -> Outcome<Json<Participant>> {
    match reply {
        ServerReply::Participants(mut all) => all.pop().map(|one| Json(one.into())).ok_or_else(out_of_place),
        _ => Err(out_of_place()),
    }
}

async fn act(app: &App, room: &str, request: ServerRequest) -> Outcome<StatusCode> {
    app.rooms.ask(&room_name(room)?, request).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// One participant.
#[utoipa::path(get, path = "/v1/rooms/{room}/participants/{identity}", tag = "participants",
    operation_id = "show_participant", params(("room" = RoomText, Path), ("identity" = IdentityText, Path)),
    security(("bearer" = [])), responses((status = 200, body = Participant)))]
pub(super) async fn show(State(app): State<App>, Path((room, who)): Who) -> Outcome<Json<Participant>> {
    let identity = identity(who)?;
    read_one(app.rooms.ask(&room_name(&room)?, ServerRequest::Participant { identity }).await?)
}

/// Changes a participant's entry, or what it may do.
#[utoipa::path(patch, path = "/v1/rooms/{room}/participants/{identity}", tag = "participants",
    operation_id = "update_participant", params(("room" = RoomText, Path), ("identity" = IdentityText, Path)),
    request_body = ParticipantUpdate, security(("bearer" = [])), responses((status = 200, body = Participant)))]
pub(super) async fn update(
    State(app): State<App>,
    Path((room, who)): Who,
    Body(body): Body<ParticipantUpdate>,
) -> Outcome<Json<Participant>> {
    let changes = Box::new(ParticipantChanges {
        name: body.name,
        metadata: body.metadata,
        attributes: body.attributes,
        hand_raised: body.hand_raised,
        grants: body.grants.map(Into::into),
    });
    let request = ServerRequest::UpdateParticipant { identity: identity(who)?, changes };
    read_one(app.rooms.ask(&room_name(&room)?, request).await?)
}

/// Removes a participant, for good with `ban`.
#[utoipa::path(delete, path = "/v1/rooms/{room}/participants/{identity}", tag = "participants",
    operation_id = "remove_participant", params(("room" = RoomText, Path), ("identity" = IdentityText, Path), Removal),
    security(("bearer" = [])), responses((status = 204)))]
pub(super) async fn remove(
    State(app): State<App>,
    Path((room, who)): Who,
    Query(removal): Query<Removal>,
) -> Outcome<StatusCode> {
    let ban = removal.ban.unwrap_or(false);
    act(&app, &room, ServerRequest::Remove { identity: identity(who)?, ban }).await
}

/// Mutes or unmutes a track of a participant.
#[utoipa::path(post, path = "/v1/rooms/{room}/participants/{identity}/mute", tag = "participants",
    operation_id = "mute", params(("room" = RoomText, Path), ("identity" = IdentityText, Path)), request_body = Mute,
    security(("bearer" = [])), responses((status = 204)))]
pub(super) async fn mute(
    State(app): State<App>,
    Path((room, who)): Who,
    Body(body): Body<Mute>,
) -> Outcome<StatusCode> {
    let track = match (body.source, body.track) {
        (Some(source), None) => WhichTrack::Source(source),
        (None, Some(track)) => WhichTrack::Track(TrackId(track)),
        _ => return Err(ApiError::invalid("one of source and track")),
    };
    act(&app, &room, ServerRequest::Mute { identity: identity(who)?, track, muted: body.muted }).await
}

/// Lets somebody in who waits.
#[utoipa::path(post, path = "/v1/rooms/{room}/participants/{identity}/admit", tag = "participants",
    operation_id = "admit", params(("room" = RoomText, Path), ("identity" = IdentityText, Path)),
    security(("bearer" = [])), responses((status = 204)))]
pub(super) async fn admit(State(app): State<App>, Path((room, who)): Who) -> Outcome<StatusCode> {
    act(&app, &room, ServerRequest::Admit { identity: identity(who)? }).await
}

/// Sends somebody away who waits.
#[utoipa::path(post, path = "/v1/rooms/{room}/participants/{identity}/deny", tag = "participants",
    operation_id = "deny", params(("room" = RoomText, Path), ("identity" = IdentityText, Path)),
    security(("bearer" = [])), responses((status = 204)))]
pub(super) async fn deny(State(app): State<App>, Path((room, who)): Who) -> Outcome<StatusCode> {
    act(&app, &room, ServerRequest::Deny { identity: identity(who)? }).await
}
