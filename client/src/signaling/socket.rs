//! Opening the WebSocket.

use std::time::Duration;

use patchbay_protocol::{BEARER_PROTOCOL_PREFIX, WEBSOCKET_PROTOCOL};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::ClientError;

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(super) async fn open(url: &str, token: Option<&str>, within: Duration) -> Result<Socket, ClientError> {
    let broken = |error: &dyn std::fmt::Display| ClientError::Connection(error.to_string());
    let mut request = url.into_client_request().map_err(|error| broken(&error))?;
    let mut protocols = WEBSOCKET_PROTOCOL.to_owned();
    if let Some(token) = token {
        protocols.push_str(&format!(", {BEARER_PROTOCOL_PREFIX}{token}"));
    }
    let protocols = HeaderValue::from_str(&protocols).map_err(|error| broken(&error))?;
    request.headers_mut().insert("sec-websocket-protocol", protocols);
    let opening = tokio_tungstenite::connect_async(request);
    let (socket, _) = tokio::time::timeout(within, opening)
        .await
        .map_err(|error| broken(&error))?
        .map_err(|error| broken(&error))?;
    Ok(socket)
}
