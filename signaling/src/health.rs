//! `/healthz`, `/readyz` and `/metrics`.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::auth::bearer;

/// The process is alive.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Participants can be served: a node is attached and the server is not going away.
pub(crate) async fn readyz(State(app): State<App>) -> impl IntoResponse {
    if *app.shutdown.borrow() {
        return (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n");
    }
    if app.drain.has_begun() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n");
    }
    if !app.hub.has_place() {
        return (StatusCode::SERVICE_UNAVAILABLE, "no media node is attached that takes rooms\n");
    }
    (StatusCode::OK, "ready\n")
}

/// Counters for Prometheus, which may have to show a token (RFC 6750).
pub(crate) async fn metrics(State(app): State<App>, headers: HeaderMap) -> Response {
    if let Some(token) = &app.config.metrics_token
        && !bearer(&headers).is_some_and(|given| token.matches(given))
    {
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], "a token is needed\n")
            .into_response();
    }
    let text = app.metrics.render(&app.gauges());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
