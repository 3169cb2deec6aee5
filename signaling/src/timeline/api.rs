//! `GET /v1/timelines/{session}`: the steps of one join, and what they mean. `GET /v1/timelines`: the last joins, for
//! whoever sits at an open server.

use std::time::UNIX_EPOCH;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use patchbay_protocol::{RoomName, SessionId, TimelineStep, TroubleKind};
use serde::Serialize;

use super::Record;
use super::diagnosis::{Cause, Diagnosis};
use crate::app::App;
use crate::auth::{Secret, bearer};
use crate::origin::{Verdict, check};

/// A join, in short.
#[derive(Serialize)]
struct Summary {
    session: SessionId,
    room: RoomName,
    identity: String,
    joined_at_ms: u64,
    connected: bool,
    cause: Option<Cause>,
}

/// A join with all that is known.
#[derive(Serialize)]
struct Full {
    #[serde(flatten)]
    summary: Summary,
    steps: Vec<WordedStep>,
    troubles: Vec<Trouble>,
    diagnosis: Option<Diagnosis>,
}

#[derive(Serialize)]
struct WordedStep {
    #[serde(flatten)]
    step: TimelineStep,
    words: String,
}

#[derive(Serialize)]
struct Trouble {
    kind: TroubleKind,
    detail: String,
}

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/v1/timelines", get(list)).route("/v1/timelines/{session}", get(one))
}

async fn one(State(app): State<App>, Path(session): Path<String>, headers: HeaderMap) -> Response {
    if check(&app.config, &headers) == Verdict::Refused {
        return (StatusCode::FORBIDDEN, "this origin is not allowed\n").into_response();
    }
    let session = SessionId::new(session);
    let is_at_home = is_at_home(&app);
    let book = app.hub.timelines().book();
    let record = book.records.get(&session);
    // Who has no secret does not learn which sessions there are.
    let is_owner = record.is_some_and(|record| {
        bearer(&headers).is_some_and(|given| Secret::new(record.secret.as_str()).matches(given))
    });
    match record {
        Some(record) if is_owner || is_at_home => {
            let steps = record
                .steps
                .iter()
                .map(|step| WordedStep { step: step.clone(), words: step.step.to_string() });
            let troubles =
                record.troubles.iter().map(|(kind, detail)| Trouble { kind: *kind, detail: detail.clone() });
            let diagnosis = record.diagnosis();
            let summary = record.summary(session, diagnosis.as_ref());
            let full = Full { summary, steps: steps.collect(), troubles: troubles.collect(), diagnosis };
            ([(header::CACHE_CONTROL, "no-store")], Json(full)).into_response()
        }
        None if is_at_home => (StatusCode::NOT_FOUND, "no such session\n").into_response(),
        _ => {
            let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
            (StatusCode::UNAUTHORIZED, challenge, "the session's secret is needed\n").into_response()
        }
    }
}

async fn list(State(app): State<App>, headers: HeaderMap) -> Response {
    if check(&app.config, &headers) == Verdict::Refused || !is_at_home(&app) {
        return (StatusCode::FORBIDDEN, "only an open server on loopback tells of everybody\n")
            .into_response();
    }
    let book = app.hub.timelines().book();
    let newest = book.order.iter().rev().filter_map(|(_, session)| {
        let record = book.records.get(session)?;
        Some(record.summary(session.clone(), record.diagnosis().as_ref()))
    });
    ([(header::CACHE_CONTROL, "no-store")], Json(newest.collect::<Vec<_>>())).into_response()
}

/// Whoever reaches an open server on loopback may do everything anyway.
fn is_at_home(app: &App) -> bool {
    app.config.is_open() && app.config.listen.ip().is_loopback()
}

impl Record {
    fn summary(&self, session: SessionId, diagnosis: Option<&Diagnosis>) -> Summary {
        use patchbay_protocol::Step;
        let joined_at_ms = self.joined_at.duration_since(UNIX_EPOCH).map_or(0, |it| it.as_millis() as u64);
        let has = |test: fn(&Step) -> bool| self.steps.iter().any(|it| test(&it.step));
        let is_over = has(|step| matches!(step, Step::Failed { .. } | Step::Closed {}));
        Summary {
            session,
            room: self.room.clone(),
            identity: self.identity.clone(),
            joined_at_ms,
            connected: has(|step| matches!(step, Step::DtlsDone { .. })) && !is_over,
            cause: diagnosis.map(|it| it.cause),
        }
    }
}
