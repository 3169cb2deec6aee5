//! Who may open a WebSocket.

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use patchbay_protocol::{BEARER_PROTOCOL_PREFIX, ErrorCode, ProtocolError, WEBSOCKET_PROTOCOL};
use tokio::sync::OwnedSemaphorePermit;

use super::greeting::Stranger;
use super::{HARD_MESSAGE_BYTES, run};
use crate::app::App;
use crate::auth::{Secret, bearer};
use crate::limit::Caller;
use crate::origin::{Verdict, check};
use crate::refusal::{refusal, spread_retry};

/// The default of 128 KiB would be most of an idle connection's memory.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// Upgrades a client, or says why not. Nothing is allocated for whoever is refused.
pub(crate) async fn client_socket(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    if check(&app.config, &headers) == Verdict::Refused {
        app.metrics.origin_refused.add(1);
        return (StatusCode::FORBIDDEN, "this origin is not allowed\n").into_response();
    }
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let offered: Vec<&str> = upgrade.requested_protocols().filter_map(|value| value.to_str().ok()).collect();
    if !offered.is_empty() && !offered.contains(&WEBSOCKET_PROTOCOL) {
        let message = "none of the WebSocket subprotocols is spoken here; this server speaks patchbay.v1\n";
        return (StatusCode::BAD_REQUEST, message).into_response();
    }
    let token = offered
        .iter()
        .find_map(|entry| entry.strip_prefix(BEARER_PROTOCOL_PREFIX))
        .or_else(|| bearer(&headers))
        .map(Secret::new);
    let place = match take_place(&app) {
        Ok(place) => place,
        Err(error) => return refusal(error),
    };
    app.metrics.connections.add(1);
    upgrade
        .protocols([WEBSOCKET_PROTOCOL])
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(HARD_MESSAGE_BYTES)
        .max_frame_size(HARD_MESSAGE_BYTES)
        .on_upgrade(move |socket| async move {
            run::run(Stranger { app, token, address: caller.address }, socket).await;
            drop((place, caller));
        })
}

/// A place among all connections, whatever carries them.
pub(super) fn take_place(app: &App) -> Result<OwnedSemaphorePermit, ProtocolError> {
    app.connections.clone().try_acquire_owned().map_err(|_| {
        app.metrics.connections_refused.add(1);
        let error = ProtocolError::new(ErrorCode::Overloaded, "all connections are taken");
        error.retry_after(spread_retry())
    })
}
