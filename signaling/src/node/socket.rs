//! `GET /v1/nodes`: the link of a node in another process, as JSON text messages over a WebSocket.

use std::time::{Duration, Instant};

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt, StreamExt};
use patchbay_protocol::node::{Command, Event, NodeEvent};
use patchbay_protocol::{CloseCode, Epoch, NODE_PROTOCOL, NodeName, limit};
use tokio::sync::mpsc;
use tokio::time::{interval, timeout};
use tracing::{debug, warn};

use crate::app::App;
use crate::auth::{bearer, is_same_secret};

/// Bytes of one message of a node: a `sync` of thousands of transports fits.
const NODE_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// Messages that may wait in either direction before the writer is made to wait.
const QUEUE: usize = 1_024;
/// How long a node may take to say who it is.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// Lets a node in that knows the secret.
pub(crate) async fn node_socket(
    State(app): State<App>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Some(secret) = &app.config.node_secret else {
        return (StatusCode::FORBIDDEN, "no node secret is configured, so no node can attach here\n")
            .into_response();
    };
    if headers.contains_key(header::ORIGIN) {
        return (StatusCode::FORBIDDEN, "this is not for browsers\n").into_response();
    }
    if !bearer(&headers).is_some_and(|given| is_same_secret(given, secret.as_str())) {
        warn!("a node with a wrong secret was refused");
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], "wrong node secret\n")
            .into_response();
    }
    let Ok(permit) = app.links.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many nodes\n").into_response();
    };
    upgrade
        .protocols([NODE_PROTOCOL])
        .max_message_size(NODE_MESSAGE_BYTES)
        .max_frame_size(NODE_MESSAGE_BYTES)
        .on_upgrade(move |socket| async move {
            carry(app, socket).await;
            drop(permit);
        })
}

async fn carry(app: App, mut socket: WebSocket) {
    let Some((name, epoch)) = timeout(HELLO_TIMEOUT, hello(&mut socket)).await.ok().flatten() else {
        warn!("a node did not say hello");
        return;
    };
    let (command_sender, mut commands) = mpsc::channel::<Command>(QUEUE);
    let (events, event_receiver) = mpsc::channel::<Event>(QUEUE);
    app.hub.attach(name.clone(), epoch, command_sender, event_receiver);

    let (mut sink, mut stream) = socket.split();
    let mut over = app.links_end.clone();
    let write = async {
        let mut pings = interval(limit::HEARTBEAT_INTERVAL);
        loop {
            let message = tokio::select! {
                biased;
                command = commands.recv() => match command.map(|command| serde_json::to_string(&command)) {
                    Some(Ok(text)) => Message::Text(text.into()),
                    Some(Err(_)) => continue,
                    None => return,
                },
                // Commands come first, so that nothing is left unsaid.
                _ = over.wait_for(|over| *over) => break,
                _ = pings.tick() => Message::Ping(Vec::new().into()),
            };
            if sink.send(message).await.is_err() {
                return;
            }
        }
        let frame = CloseFrame { code: CloseCode::GoingAway.into(), reason: "".into() };
        let _ = timeout(HELLO_TIMEOUT, sink.send(Message::Close(Some(frame)))).await;
    };
    let read = async {
        let mut heard = Instant::now();
        loop {
            let left = limit::HEARTBEAT_TIMEOUT.saturating_sub(heard.elapsed());
            let Ok(Some(Ok(message))) = timeout(left, stream.next()).await else { return };
            heard = Instant::now();
            let Message::Text(text) = message else { continue };
            match serde_json::from_str::<Event>(&text) {
                Ok(event) => {
                    if events.send(event).await.is_err() {
                        return;
                    }
                }
                Err(error) => warn!(node = %name, %error, "the node sent what is no event"),
            }
        }
    };
    tokio::select! {
        () = write => {}
        () = read => {}
    }
    debug!(node = %name, "the node's socket ended");
}

async fn hello(socket: &mut WebSocket) -> Option<(NodeName, Epoch)> {
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Text(text) = message else { continue };
        return parse_hello(&text);
    }
    None
}

fn parse_hello(text: &Utf8Bytes) -> Option<(NodeName, Epoch)> {
    match serde_json::from_str::<Event>(text) {
        Ok(Event { event: NodeEvent::Hello { node, epoch, .. }, .. })
            if limit::is_plain_text(node.as_str(), limit::NAME_BYTES) =>
        {
            Some((node, epoch))
        }
        _ => None,
    }
}
