//! `/healthz`, `/readyz` and `/metrics`.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use crate::app::App;

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

/// Counters for Prometheus.
pub(crate) async fn metrics(State(app): State<App>) -> impl IntoResponse {
    let text = app.metrics.render(&app.gauges());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}
