//! The life of one WebSocket: reading, pinging and writing side by side, so that none holds up another.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use patchbay_protocol::{CloseCode, ErrorCode, LeaveReason, ProtocolError};
use tokio::time::{Instant, interval_at, timeout, timeout_at};
use tokio_tungstenite::tungstenite::{self, error::CapacityError};
use tracing::{Instrument, debug, info_span, trace};

use super::greeting::{Greeted, Refused, Stranger};
use crate::app::App;
use crate::config::ConnectionTiming;
use crate::session::{Attachment, Carrier, Stop};

type Sink = SplitSink<WebSocket, Message>;
type Stream = SplitStream<WebSocket>;

/// Messages before `hello` that are answered.
const STRANGERS_MESSAGES: u32 = 100;

/// How reading ended.
enum End {
    /// The client said that it will not come back.
    Closed,
    /// The stream broke, or the client went away.
    Broken,
    /// A message was over the hard limit.
    TooLarge,
    /// Nothing came for too long.
    Silent,
}

/// Carries a connection to its end, and leaves its session in the state that follows from it.
pub(super) async fn run(stranger: Stranger, socket: WebSocket) {
    let app = stranger.app.clone();
    let (mut sink, mut stream) = socket.split();
    let greeted = tokio::select! {
        greeted = greet(&stranger, &mut sink, &mut stream) => greeted,
        () = going_away(&app) => Err(CloseCode::GoingAway),
    };
    let code = match greeted {
        Ok(attachment) => {
            let span = info_span!("session", session = %attachment.session().id());
            serve(&app, &attachment, &mut sink, &mut stream).instrument(span).await
        }
        Err(code) => code,
    };
    debug!(code = u16::from(code), "connection ended");
    close(&mut sink, &mut stream, code, app.config.timing.close).await;
}

/// Waits for `hello`.
async fn greet(stranger: &Stranger, sink: &mut Sink, stream: &mut Stream) -> Result<Attachment, CloseCode> {
    let timing = &stranger.app.config.timing;
    let hello_by = Instant::now() + timing.hello.min(timing.silence);
    for _ in 0..STRANGERS_MESSAGES {
        let Ok(next) = timeout_at(hello_by, stream.next()).await else {
            return Err(CloseCode::ProtocolViolation);
        };
        let greeted = match next {
            Some(Ok(Message::Text(text))) => stranger.greet(&text, Carrier::Socket).await,
            Some(Ok(Message::Binary(_))) => {
                let error = ProtocolError::new(ErrorCode::MalformedMessage, "messages are text");
                Greeted::Refused(Refused { id: None, error, close: None })
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Err(error)) if is_too_large(&error) => return Err(CloseCode::TooLarge),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(CloseCode::Normal),
        };
        let (reply, close) = match greeted {
            Greeted::Begun(attachment) => return Ok(attachment),
            Greeted::Resumed(attachment, reply) => {
                let sent = timeout(timing.close, sink.send(Message::Text(reply.into()))).await;
                if !matches!(sent, Ok(Ok(()))) {
                    attachment.lose(CloseCode::Normal);
                    return Err(CloseCode::Normal);
                }
                return Ok(attachment);
            }
            Greeted::Refused(refused) => {
                let close = refused.close;
                (refused.text(), close)
            }
        };
        let sent = timeout(timing.close, sink.send(Message::Text(reply.into()))).await;
        if !matches!(sent, Ok(Ok(()))) {
            return Err(CloseCode::Normal);
        }
        if let Some(code) = close {
            return Err(code);
        }
    }
    Err(CloseCode::RateLimited)
}

/// Carries a session until the connection ends, and says how it is closed.
async fn serve(app: &App, attachment: &Attachment, sink: &mut Sink, stream: &mut Stream) -> CloseCode {
    let session = attachment.session();
    let ended = {
        let write = write(attachment, sink, &app.config.timing);
        let read = read(app, attachment, stream);
        tokio::pin!(write, read);
        tokio::select! {
            code = &mut write => Err(code),
            end = &mut read => Ok(end),
            () = going_away(app) => {
                // A member is closed by its room, which says goodbye first.
                if session.membership().is_none() {
                    session.close(CloseCode::GoingAway);
                }
                Err(timeout(app.config.timing.close, &mut write).await.unwrap_or(CloseCode::GoingAway))
            }
        }
    };
    match ended {
        Ok(End::Closed) => {
            app.sessions.finish(session, LeaveReason::Left);
            CloseCode::Normal
        }
        Ok(End::Broken) => {
            attachment.lose(CloseCode::Normal);
            CloseCode::Normal
        }
        // Whoever sends that will send it again.
        Ok(End::TooLarge) => {
            app.sessions.finish(session, LeaveReason::ConnectionLost);
            CloseCode::TooLarge
        }
        Ok(End::Silent) => {
            app.metrics.heartbeat_timeouts.add(1);
            attachment.lose(CloseCode::HeartbeatTimeout);
            CloseCode::HeartbeatTimeout
        }
        Err(code) => {
            // The client is told of the end, as this connection still stands.
            if session.closing() == Some(code) && attachment.is_current() {
                app.sessions.finish(session, LeaveReason::ConnectionLost);
            } else {
                attachment.lose(code);
            }
            code
        }
    }
}

async fn going_away(app: &App) {
    let _ = app.shutdown.clone().wait_for(|down| *down).await;
}

/// Writes what the session has, and pings. Ends when the session closes or the socket breaks.
async fn write(attachment: &Attachment, sink: &mut Sink, timing: &ConnectionTiming) -> CloseCode {
    let mut pings = interval_at(Instant::now() + timing.ping, timing.ping);
    loop {
        let message = tokio::select! {
            next = attachment.next() => match next {
                Ok((seq, body)) => Message::Text(body.numbered(seq).into()),
                Err(stop) => return code_of(stop),
            },
            _ = pings.tick() => Message::Ping(Vec::new().into()),
        };
        let sent = tokio::select! {
            sent = sink.send(message) => sent,
            // A socket that takes nothing would otherwise hide that its client was cut off.
            stop = attachment.cut_off(timing.close) => return code_of(stop),
        };
        if sent.is_err() {
            return CloseCode::Normal;
        }
    }
}

/// A WebSocket has no turns: whatever came instead of it is another connection.
fn code_of(stop: Stop) -> CloseCode {
    match stop {
        Stop::Close(code) => code,
        Stop::Displaced => CloseCode::Superseded,
    }
}

async fn read(app: &App, attachment: &Attachment, stream: &mut Stream) -> End {
    let session = attachment.session();
    loop {
        let next = timeout(app.config.timing.silence, stream.next()).await;
        if session.closing().is_some() || !attachment.is_current() {
            // Nothing that comes now is answered; the writer ends the connection.
            if matches!(next, Ok(None | Some(Err(_)))) {
                return End::Broken;
            }
            continue;
        }
        match next {
            Ok(Some(Ok(Message::Text(text)))) => {
                let mut requests = session.requests.lock().await;
                if attachment.is_current() {
                    requests.handle_text(app, attachment, &text).await;
                }
            }
            Ok(Some(Ok(Message::Binary(_)))) => session.requests.lock().await.handle_binary(session),
            Ok(Some(Ok(Message::Close(frame)))) => {
                let is_for_good = frame.is_none_or(|frame| matches!(frame.code, 1000 | 1005));
                return if is_for_good { End::Closed } else { End::Broken };
            }
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
            Ok(Some(Err(error))) => {
                trace!(%error, "the stream broke");
                return if is_too_large(&error) { End::TooLarge } else { End::Broken };
            }
            Ok(None) => return End::Broken,
            Err(_) => return End::Silent,
        }
    }
}

/// Says goodbye and waits a little for the client to say it too, so that the close code is not lost in a reset.
async fn close(sink: &mut Sink, stream: &mut Stream, code: CloseCode, within: Duration) {
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
