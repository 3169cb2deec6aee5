//! Who may open a WebSocket.

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use patchbay_protocol::{BEARER_PROTOCOL_PREFIX, WEBSOCKET_PROTOCOL, limit};

use super::run;
use crate::app::App;
use crate::auth::{Secret, bearer};
use crate::door::Visitor;
use crate::origin::{Verdict, check};

/// A message over this many bytes ends the connection (close code 1009). Between [`limit::MESSAGE_BYTES`] and this it is
/// refused with `message_too_large`, and the session goes on.
const HARD_MESSAGE_BYTES: usize = 2 * limit::MESSAGE_BYTES;
/// The default of 128 KiB would be most of an idle connection's memory.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// Upgrades a client, or says why not. Nothing is allocated for whoever is refused.
pub(crate) async fn client_socket(
    State(app): State<App>,
    ConnectInfo(Visitor(address)): ConnectInfo<Visitor>,
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
    let Ok(permit) = app.connections.clone().try_acquire_owned() else {
        app.metrics.connections_refused.add(1);
        // Spread, so that everybody who was refused at once does not come back at once.
        let seconds = 1 + rand::random::<u8>() % 5;
        let headers = [(header::RETRY_AFTER, seconds.to_string())];
        return (StatusCode::SERVICE_UNAVAILABLE, headers, "all connections are taken\n").into_response();
    };
    app.metrics.connections.add(1);
    upgrade
        .protocols([WEBSOCKET_PROTOCOL])
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(HARD_MESSAGE_BYTES)
        .max_frame_size(HARD_MESSAGE_BYTES)
        .on_upgrade(move |socket| async move {
            run::run(app, socket, token, address.ip()).await;
            drop(permit);
        })
}
