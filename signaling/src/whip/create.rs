//! `POST`: an offer in, a resource and its answer out.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use patchbay_protocol::{ErrorCode, ProtocolError, Reply, RoomName};
use patchbay_sdp::{Limits, Offer};
use serde::Deserialize;
use tracing::info;

use super::reply::{Refusal, add_ice_links};
use super::resource::Resource;
use super::source::{parse_sources, publications, slots};
use super::{Kind, SDP};
use crate::app::App;
use crate::auth::{Secret, bearer};
use crate::entrance::{Visitor, admit};
use crate::limit::Caller;
use crate::rooms::Port;

/// The query of an endpoint.
#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    /// Who it is, on an open server.
    identity: Option<String>,
    /// The name to show.
    name: Option<String>,
    /// What to play.
    source: Option<String>,
}

pub(super) async fn whip(
    State(app): State<App>,
    Path(room): Path<String>,
    query: Result<Query<Parameters>, QueryRejection>,
    caller: Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    create(app, Kind::Whip, &room, query, (caller, headers), body)
        .await
        .unwrap_or_else(IntoResponse::into_response)
}

pub(super) async fn whep(
    State(app): State<App>,
    Path(room): Path<String>,
    query: Result<Query<Parameters>, QueryRejection>,
    caller: Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    create(app, Kind::Whep, &room, query, (caller, headers), body)
        .await
        .unwrap_or_else(IntoResponse::into_response)
}

async fn create(
    app: App,
    kind: Kind,
    room: &str,
    query: Result<Query<Parameters>, QueryRejection>,
    (caller, headers): (Caller, HeaderMap),
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let Query(parameters) =
        query.map_err(|_| Refusal::Status(StatusCode::BAD_REQUEST, "the query can't be read"))?;
    let wanted = match (kind, parameters.source.as_deref()) {
        (Kind::Whep, Some(source)) => parse_sources(source)?,
        _ => Vec::new(),
    };
    // Who may not come in learns nothing else.
    let room = RoomName::new(room);
    let token = bearer(&headers);
    let minted_prefix = if kind == Kind::Whip { "whip" } else { "whep" };
    let visitor = Visitor {
        identity: parameters.identity,
        name: parameters.name,
        metadata: None,
        address: Some(caller.address),
        session: None,
        minted_prefix,
    };
    let mut join = admit(&app, &room, token, visitor).inspect_err(|error| app.metrics.error(error.code))?;
    let sdp = read_offer(kind, &headers, body)?;
    let offer = Offer::parse(&sdp, &Limits::default()).map_err(|error| {
        ProtocolError::new(ErrorCode::MalformedMessage, format!("the SDP can't be read: {error}"))
    })?;
    let (description, watches) = match kind {
        Kind::Whip => (publications(sdp, &offer)?, Vec::new()),
        Kind::Whep => slots(sdp, &offer, &wanted)?,
    };
    if kind == Kind::Whep {
        join.grants.hidden = true;
        join.grants.data = false;
    }

    let Ok(place) = app.resource_places.clone().try_acquire_owned() else {
        app.metrics.connections_refused.add(1);
        let error = ProtocolError::new(ErrorCode::Overloaded, "all places for WHIP and WHEP are taken");
        // Spread, so that everybody who was refused at once does not come back at once.
        return Err(error.retry_after(Duration::from_secs(1 + u64::from(rand::random::<u8>() % 5))).into());
    };
    let member = app.mint_member();
    let token = if app.config.is_open() { None } else { token.map(Secret::new) };
    let resource = Resource::new(
        app.resources.clone(),
        kind,
        room.clone(),
        member,
        join.session.clone(),
        token,
        description.clone(),
    );
    let resource = Arc::new(resource.on(place));
    let (id, reply) = resource.expect_reply();
    let join = join.with_offer(Some(description), watches);
    let mailbox = app.rooms.join(&room, member, id, join, Port::Resource(resource.clone()))?;
    resource.set_mailbox(mailbox);
    let mut guard = Abandoned(Some(resource.clone()));
    let outcome = resource.await_reply(reply).await.inspect_err(|error| app.metrics.error(error.code))?;
    let Reply::Joined(joined) = outcome else {
        return Err(ProtocolError::new(ErrorCode::Internal, "the room answered something else").into());
    };
    let answer = joined.answer.map(|answer| answer.sdp).unwrap_or_default();
    app.resources.insert(resource.clone());
    guard.0 = None;
    app.metrics.whip_resources.add(1);
    info!(%room, ?kind, identity = joined.participant.identity, "resource made");

    let mut response = (StatusCode::CREATED, answer).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(SDP));
    if let Ok(location) = HeaderValue::from_str(&resource.location()) {
        headers.insert(header::LOCATION, location);
    }
    if let Ok(etag) = HeaderValue::from_str(&resource.ice.lock().await.etag) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("accept-patch", HeaderValue::from_static(super::FRAGMENT));
    add_ice_links(headers, &joined.ice_servers);
    Ok(response)
}

fn read_offer(
    kind: Kind,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<String, Refusal> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Refusal::Status(StatusCode::PAYLOAD_TOO_LARGE, "an offer is at most 256 KiB")
        }
        _ => Refusal::Status(StatusCode::BAD_REQUEST, "the body can't be read"),
    })?;
    if body.is_empty() && kind == Kind::Whep {
        let message = "only the client offers here: send an SDP offer in the body";
        return Err(Refusal::Status(StatusCode::NOT_ACCEPTABLE, message));
    }
    if !is_media_type(headers, SDP) {
        return Err(Refusal::Status(StatusCode::UNSUPPORTED_MEDIA_TYPE, "an offer is application/sdp"));
    }
    if !accepts(headers, SDP) {
        return Err(Refusal::Status(StatusCode::NOT_ACCEPTABLE, "the answer is application/sdp"));
    }
    String::from_utf8(body.into())
        .map_err(|_| Refusal::Status(StatusCode::BAD_REQUEST, "an offer is UTF-8 text"))
}

/// Whether the body is of a media type, whatever its parameters.
pub(super) fn is_media_type(headers: &HeaderMap, expected: &str) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(expected)
}

/// Whether `Accept` takes a media type; without the header anything is taken (RFC 9110 §12.5.1).
fn accepts(headers: &HeaderMap, offered: &str) -> bool {
    let mut values =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
    if values.peek().is_none() {
        return true;
    }
    values.flat_map(|value| value.split(',')).any(|range| {
        let range = range.split(';').next().unwrap_or_default().trim();
        range == "*/*" || range.eq_ignore_ascii_case("application/*") || range.eq_ignore_ascii_case(offered)
    })
}

/// A client that hangs up before its answer must not stay in the room.
struct Abandoned(Option<Arc<Resource>>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        if let Some(resource) = &self.0 {
            resource.abandon();
        }
    }
}
