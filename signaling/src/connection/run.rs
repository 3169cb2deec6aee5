//! The life of one WebSocket: reading, pinging and writing side by side, so that none holds up another.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use patchbay_protocol::{CloseCode, LeaveReason};
use tokio::time::{Instant, interval_at, timeout};
use tokio_tungstenite::tungstenite::{self, error::CapacityError};
use tracing::{debug, trace};

use super::request::Requests;
use super::session::Session;
use crate::app::App;
use crate::auth::Secret;
use crate::config::ConnectionTiming;
use crate::room::Input;
use crate::rooms::Mail;

/// How reading ended.
enum End {
    /// The client said goodbye.
    Closed,
    /// The stream broke.
    Broken,
    /// A message was over the hard limit.
    TooLarge,
    /// Nothing came for too long.
    Silent,
    /// No `hello` in time.
    NoHello,
}

/// Carries a connection to its end, and takes its participant out of the room.
pub(super) async fn run(app: App, socket: WebSocket, token: Option<Secret>, address: IpAddr) {
    let session = Arc::new(Session::new(app.config.outbox, app.metrics.clone()));
    let (mut sink, mut stream) = socket.split();
    let mut requests = Requests::new(app.clone(), session.clone(), token, address);
    let mut shutdown = app.shutdown.clone();

    let ended = {
        let write = write(&session, &mut sink, &app.config.timing);
        let read = read(&app, &mut requests, &session, &mut stream);
        let going_away = async {
            let _ = shutdown.wait_for(|down| *down).await;
        };
        tokio::pin!(write, read);
        tokio::select! {
            code = &mut write => Err(code),
            end = &mut read => Ok(end),
            () = going_away => {
                // A member is closed by its room, which says goodbye first.
                if session.membership().is_none() {
                    session.close(CloseCode::GoingAway);
                }
                Err(timeout(app.config.timing.close, &mut write).await.unwrap_or(CloseCode::GoingAway))
            }
        }
    };
    let (code, reason) = match ended {
        Ok(End::Closed) => (CloseCode::Normal, LeaveReason::Left),
        Ok(End::Broken) => (CloseCode::Normal, LeaveReason::ConnectionLost),
        Ok(End::TooLarge) => (CloseCode::TooLarge, LeaveReason::ConnectionLost),
        Ok(End::Silent) => {
            app.metrics.heartbeat_timeouts.add(1);
            (CloseCode::HeartbeatTimeout, LeaveReason::ConnectionLost)
        }
        Ok(End::NoHello) => (CloseCode::ProtocolViolation, LeaveReason::ConnectionLost),
        Err(code) => (code, LeaveReason::ConnectionLost),
    };
    debug!(code = u16::from(code), "connection ended");
    if let Some(membership) = session.membership() {
        let gone = Mail::Input(Input::Gone { member: membership.member, reason });
        let _ = membership.mailbox.send(gone).await;
    }
    session.close(code);
    close(&mut sink, &mut stream, code, app.config.timing.close).await;
}

/// Writes what the session has, and pings. Ends when the session closes or the socket breaks.
async fn write(
    session: &Session,
    sink: &mut SplitSink<WebSocket, Message>,
    timing: &ConnectionTiming,
) -> CloseCode {
    let mut pings = interval_at(Instant::now() + timing.ping, timing.ping);
    loop {
        let message = tokio::select! {
            next = session.next() => match next {
                Ok(text) => Message::Text(text.into()),
                Err(code) => return code,
            },
            _ = pings.tick() => Message::Ping(Vec::new().into()),
        };
        let sent = tokio::select! {
            sent = sink.send(message) => sent,
            // A socket that takes nothing would otherwise hide that its client was cut off.
            code = session.cut_off(timing.close) => return code,
        };
        if sent.is_err() {
            return CloseCode::Normal;
        }
    }
}

async fn read(
    app: &App,
    requests: &mut Requests,
    session: &Session,
    stream: &mut SplitStream<WebSocket>,
) -> End {
    let hello_by = Instant::now() + app.config.timing.hello;
    loop {
        let silence = Instant::now() + app.config.timing.silence;
        let by = if requests.has_said_hello() { silence } else { silence.min(hello_by) };
        let next = tokio::time::timeout_at(by, stream.next()).await;
        if session.closing().is_some() {
            // Nothing that comes now is answered; the writer ends the connection.
            if matches!(next, Ok(None | Some(Err(_)))) {
                return End::Broken;
            }
            continue;
        }
        match next {
            Ok(Some(Ok(Message::Text(text)))) => requests.handle_text(&text).await,
            Ok(Some(Ok(Message::Binary(_)))) => requests.handle_binary(),
            Ok(Some(Ok(Message::Close(_)))) => return End::Closed,
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
            Ok(Some(Err(error))) => {
                trace!(%error, "the stream broke");
                return if is_too_large(&error) { End::TooLarge } else { End::Broken };
            }
            Ok(None) => return End::Broken,
            Err(_) if !requests.has_said_hello() => return End::NoHello,
            Err(_) => return End::Silent,
        }
    }
}

/// Says goodbye and waits a little for the client to say it too, so that the close code is not lost in a reset.
async fn close(
    sink: &mut SplitSink<WebSocket, Message>,
    stream: &mut SplitStream<WebSocket>,
    code: CloseCode,
    within: Duration,
) {
    let goodbye = async {
        let frame = CloseFrame { code: code.into(), reason: "".into() };
        if sink.send(Message::Close(Some(frame))).await.is_err() {
            return;
        }
        while let Some(Ok(message)) = stream.next().await {
            if matches!(message, Message::Close(_)) {
                break;
            }
        }
    };
    let _ = timeout(within, goodbye).await;
}

fn is_too_large(error: &axum::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<tungstenite::Error>());
    matches!(cause, Some(tungstenite::Error::Capacity(CapacityError::MessageTooLong { .. })))
}
