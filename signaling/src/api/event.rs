//! What happens, as it happens: `GET /v1/events`, Server-Sent Events.

use std::fmt::Write as _;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use patchbay_protocol::{ErrorCode, ProtocolError};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};
use utoipa::IntoParams;

use super::error::{ApiError, Outcome, Query};
use super::guard::Bearer;
use super::room::room_name;
use crate::app::App;
use crate::journal::{EventId, EventKind, Filter, Place};
use crate::refusal::spread_retry;

/// Events and bytes in one piece of a stream.
const PIECE_EVENTS: usize = 256;
const PIECE_BYTES: usize = 64 * 1024;
/// Bytes of a comment before anything else: what some proxies wait for before they pass anything on.
const PADDING_BYTES: usize = 2 * 1024;

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Types, separated by commas; all when absent.
    #[param(nullable = false)]
    types: Option<String>,
    /// Events of one room.
    #[param(nullable = false)]
    room: Option<String>,
}

impl Wanted {
    fn filter(&self) -> Outcome<Filter> {
        let names = self.types.as_deref().unwrap_or_default().split(',').filter(|name| !name.is_empty());
        let unknown = |name: &str| ApiError::invalid(format!("no type of events {name:?}"));
        let kinds = names.map(|name| EventKind::read(name).ok_or_else(|| unknown(name)));
        let room = self.room.as_deref().map(room_name).transpose()?;
        Ok(Filter { kinds: kinds.collect::<Outcome<_>>()?, room })
    }
}

/// What happens, from now on, or from behind `Last-Event-ID`.
///
/// The first event is `ready` with the id from which a stream may be resumed; `gap` comes instead if something was missed
/// since `Last-Event-ID`. `end` says why the server ends the stream.
#[utoipa::path(get, path = "/v1/events", tag = "server", operation_id = "events",
    params(Wanted, ("Last-Event-ID" = Option<String>, Header, description = "`id` of the last event that was taken")),
    security(("bearer" = [])), responses((status = 200, body = String, content_type = "text/event-stream")))]
pub(super) async fn events(
    State(app): State<App>,
    Extension(bearer): Extension<Bearer>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Outcome<Response> {
    let filter = wanted.filter()?;
    let permit = app.event_streams.clone().try_acquire_owned().map_err(|_| {
        let message = "as many follow events as may";
        ProtocolError::new(ErrorCode::Overloaded, message).retry_after(spread_retry())
    })?;
    let last = match headers.get("last-event-id") {
        None => None,
        Some(value) => {
            let id = value.to_str().ok().and_then(EventId::read);
            Some(id.ok_or_else(|| {
                ApiError::new(
                    StatusCode::BAD_REQUEST,
                    "invalid_argument",
                    "Last-Event-ID is no id of an event",
                )
            })?)
        }
    };
    let (place, has_gap) = match last {
        None => (app.journal.end(), false),
        Some(id) => match app.journal.behind(id) {
            Some(place) => (place, false),
            None => (app.journal.end(), true),
        },
    };
    let mut opening = format!(":{}\n\n", " ".repeat(PADDING_BYTES));
    let kind = if has_gap { "gap" } else { "ready" };
    let id = place.id();
    let _ = write!(opening, "id: {id}\nevent: {kind}\ndata: {{\"id\":\"{id}\",\"type\":\"{kind}\"}}\n\n");
    let follower = Follower { app, bearer, filter, place, _permit: permit };
    let pieces = stream::unfold((Some(follower), Some(opening)), |(follower, opening)| async move {
        let mut follower = follower?;
        if let Some(opening) = opening {
            return Some((Ok::<_, std::convert::Infallible>(Bytes::from(opening)), (Some(follower), None)));
        }
        let (text, is_last) = follower.next().await;
        let rest = if is_last { None } else { Some(follower) };
        Some((Ok(Bytes::from(text)), (rest, None)))
    });
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// Somebody who follows.
struct Follower {
    app: App,
    bearer: Bearer,
    filter: Filter,
    place: Place,
    _permit: OwnedSemaphorePermit,
}

impl Follower {
    /// The next piece of the stream, and whether it is the last.
    async fn next(&mut self) -> (String, bool) {
        let mut shutdown = self.app.shutdown.clone();
        let comment = Instant::now() + 2 * self.app.config.timing.ping;
        loop {
            // Taken only when the socket has room: whoever does not read falls behind what is kept, and is cut off.
            if let Some(piece) = piece(&mut self.place, &self.filter) {
                return piece;
            }
            tokio::select! {
                () = self.place.changed() => {}
                _ = shutdown.wait_for(|is_down| *is_down) => return (end("shutdown"), true),
                () = sleep_until(comment) => {
                    let claims = self.bearer.0.as_ref();
                    return match claims.map_or(Ok(()), |claims| self.app.authority.recheck_api(claims)) {
                        Ok(()) => (":\n\n".to_owned(), false),
                        Err(_) => (end("token"), true),
                    };
                }
            }
        }
    }
}

/// What is there now, if anything.
fn piece(place: &mut Place, filter: &Filter) -> Option<(String, bool)> {
    let next = place.take(filter, PIECE_EVENTS, PIECE_BYTES);
    if next.missed > 0 {
        return Some((end("slow_consumer"), true));
    }
    let mut text = String::new();
    for record in &next.records {
        let _ = write!(text, "id: {}\nevent: {}\ndata: {}\n\n", record.id, record.kind.name(), record.text);
    }
    (!text.is_empty()).then_some((text, false))
}

fn end(reason: &str) -> String {
    format!("event: end\ndata: {{\"type\":\"end\",\"reason\":\"{reason}\"}}\n\n")
}

#[cfg(test)]
mod tests {
    use patchbay_protocol::{Epoch, RoomName};

    use super::*;
    use crate::journal::Journal;

    #[test]
    fn whoever_falls_behind_what_is_kept_is_cut_off() {
        let journal = Journal::with_limit(Epoch(7), 4, 100_000);
        let (mut quick, mut slow) = (journal.end(), journal.end());
        let filter = Filter::default();
        for _ in 0..5 {
            journal.room_closed(&RoomName::new("a"));
            let (text, is_last) = piece(&mut quick, &filter).unwrap();
            assert!(text.starts_with("id: 7-") && text.ends_with("\n\n") && !is_last);
        }
        assert!(piece(&mut quick, &filter).is_none());
        let (text, is_last) = piece(&mut slow, &filter).unwrap();
        assert!(text.contains("slow_consumer") && is_last);
    }
}
