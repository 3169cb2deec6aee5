//! What the server says: `GET /v1/sse` and `GET /v1/poll`.

use std::fmt::Write;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use patchbay_protocol::{CloseCode, ErrorCode, LeaveReason};
use serde::Deserialize;
use tokio::time::{Instant, sleep_until, timeout};

use super::refusal::Refusal;
use super::up::json_array;
use super::{LONGEST_POLL, session};
use crate::app::App;
use crate::session::{Attachment, DownKind, Gap, NoDown, Stop};

/// Bytes of messages in one piece of a stream, or in one poll's answer; the last message may exceed it. Less, and a
/// replay takes more round trips; more, and what is lost with an answer comes again.
const PIECE_BYTES: usize = 256 * 1024;
/// Bytes of a comment before the first message: what some proxies wait for before they pass anything on.
const PADDING_BYTES: usize = 2 * 1024;

/// The query of a poll.
#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    wait_ms: Option<u64>,
}

/// A request that drains a session. The session notices when it is dropped.
struct Down {
    app: App,
    attachment: Attachment,
}

impl Drop for Down {
    fn drop(&mut self) {
        self.attachment.end_down();
    }
}

impl Down {
    fn open(app: App, headers: &HeaderMap, kind: DownKind) -> Result<Self, Refusal> {
        let session = session(&app, headers)?;
        let last_seq = match headers.get("last-event-id") {
            None => None,
            Some(value) => {
                let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
                let refusal = || Refusal::new(ErrorCode::InvalidArgument, "Last-Event-ID is a number");
                Some(number.ok_or_else(refusal)?)
            }
        };
        let attachment = session.open_down(kind, last_seq).map_err(|refused| match refused {
            NoDown::Over(code) => Refusal::Over(code),
            // An older request that was held up somewhere; whoever sent it has gone on.
            NoDown::Gap(Gap::Stale) => Refusal::Over(CloseCode::Superseded),
            NoDown::Gap(Gap::Ahead) => {
                Refusal::new(ErrorCode::InvalidArgument, "Last-Event-ID was never given")
            }
            NoDown::Gap(Gap::Forgotten) => {
                app.sessions.finish(&session, LeaveReason::ConnectionLost);
                Refusal::gone()
            }
        })?;
        Ok(Self { app, attachment })
    }

    /// What is there now, beginning with a message.
    fn gather(&self, first: (u64, crate::session::Body), mut add: impl FnMut(u64, String)) {
        let (mut seq, mut body) = first;
        let mut bytes = 0;
        loop {
            bytes += body.len();
            add(seq, body.numbered(seq));
            if bytes >= PIECE_BYTES {
                return;
            }
            // An end is found again by whoever asks next.
            match self.attachment.next_now() {
                Some(Ok(next)) => (seq, body) = next,
                _ => return,
            }
        }
    }

    /// The client is about to be told that it is over.
    fn told(&self, code: CloseCode) {
        let session = self.attachment.session();
        if session.closing() == Some(code) {
            self.app.sessions.finish(session, LeaveReason::ConnectionLost);
        }
    }
}

/// One answer with whatever is there, or comes in time.
pub(super) async fn poll(
    State(app): State<App>,
    headers: HeaderMap,
    query: Result<Query<Parameters>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(Parameters { wait_ms }) =
        query.map_err(|_| Refusal::new(ErrorCode::InvalidArgument, "wait_ms is a number"))?;
    let wait = wait_ms.map_or(LONGEST_POLL, Duration::from_millis).min(LONGEST_POLL);
    let down = Down::open(app, &headers, DownKind::Poll)?;
    match timeout(wait, down.attachment.next()).await {
        Ok(Ok(first)) => {
            let mut messages = Vec::new();
            down.gather(first, |_, text| messages.push(text));
            Ok(json_array(&messages))
        }
        Ok(Err(Stop::Close(code))) => {
            down.told(code);
            Err(Refusal::Over(code))
        }
        // A later poll goes on.
        Ok(Err(Stop::Displaced)) | Err(_) => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}

/// A stream of messages that ends with the connection.
pub(super) async fn sse(State(app): State<App>, headers: HeaderMap) -> Result<Response, Refusal> {
    let down = Down::open(app, &headers, DownKind::Sse)?;
    let padding = Bytes::from(format!(":{}\n\n", " ".repeat(PADDING_BYTES)));
    let pieces = stream::unfold(Some((down, Some(padding))), |state| async move {
        let (down, padding) = state?;
        if let Some(padding) = padding {
            return Some((Ok::<_, std::convert::Infallible>(padding), Some((down, None))));
        }
        match next_piece(&down).await {
            Piece::Text(text) => Some((Ok(Bytes::from(text)), Some((down, None)))),
            Piece::Last(code) => {
                down.told(code);
                let code = u16::from(code);
                let text = format!("event: close\ndata: {{\"code\":{code}}}\n\n");
                Some((Ok(Bytes::from(text)), None))
            }
            Piece::End => None,
        }
    });
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

enum Piece {
    Text(String),
    Last(CloseCode),
    End,
}

async fn next_piece(down: &Down) -> Piece {
    // Proxies and clients give up on what is silent for too long.
    let comment = Instant::now() + 2 * down.app.config.timing.ping;
    tokio::select! {
        next = down.attachment.next() => match next {
            Ok(first) => {
                let mut text = String::new();
                down.gather(first, |seq, message| {
                    let _ = write!(text, "id: {seq}\ndata: {message}\n\n");
                });
                Piece::Text(text)
            }
            Err(Stop::Close(code)) => Piece::Last(code),
            Err(Stop::Displaced) => Piece::End,
        },
        () = sleep_until(comment) => Piece::Text(":\n\n".into()),
    }
}
