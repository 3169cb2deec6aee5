//! The same messages over HTTP, for networks that let no WebSocket through: `POST /v1/hello` begins or resumes a
//! session; `GET /v1/sse` or, where answers are held back until they end, `GET /v1/poll` brings what the server says;
//! `POST /v1/send` takes what the client says.
//!
//! Everything is stateless but for the session: each request names it with its secret, and says what it has.

mod down;
mod refusal;
mod up;

use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use patchbay_protocol::SessionId;
use std::sync::Arc;

use self::refusal::Refusal;
use super::HARD_MESSAGE_BYTES;
use crate::app::App;
use crate::auth::bearer;
use crate::origin::{Verdict, check};
use crate::session::Session;

/// How long a poll waits when it does not say, and at most. Proxies give up after 30 s and more.
const LONGEST_POLL: Duration = Duration::from_secs(25);

/// The routes.
pub(crate) fn routes(app: &App) -> Router<App> {
    Router::new()
        .route("/v1/hello", post(up::hello).options(options))
        .route("/v1/send", post(up::send).options(options))
        .route("/v1/sse", get(down::sse).options(options))
        .route("/v1/poll", get(down::poll).options(options))
        .layer(DefaultBodyLimit::max(HARD_MESSAGE_BYTES))
        .layer(middleware::from_fn_with_state(app.clone(), cors))
}

/// The session that a request names with its secret: `Authorization: Bearer SESSION.SECRET`.
fn session(app: &App, headers: &HeaderMap) -> Result<Arc<Session>, Refusal> {
    let named = bearer(headers).and_then(|text| text.split_once('.'));
    let (id, secret) = named.ok_or_else(Refusal::gone)?;
    let id = SessionId::new(id);
    if !app.sessions.is_secret_of(&id, secret) {
        return Err(Refusal::gone());
    }
    app.sessions.find(&id).ok_or_else(Refusal::gone)
}

async fn options() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Keeps foreign pages out, and tells allowed ones what they may send and read. Nothing here is for a cache.
async fn cors(State(app): State<App>, request: Request, next: Next) -> Response {
    let verdict = check(&app.config, request.headers());
    if verdict == Verdict::Refused {
        app.metrics.origin_refused.add(1);
        return (StatusCode::FORBIDDEN, "this origin is not allowed\n").into_response();
    }
    let is_preflight = request.method() == Method::OPTIONS;
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
    let Verdict::Allowed(origin) = verdict else { return response };
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    if let Ok(origin) = HeaderValue::from_str(&origin) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After"));
    if is_preflight {
        let allowed = HeaderValue::from_static("Authorization, Content-Type, Last-Event-ID");
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, OPTIONS"));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
    response
}
