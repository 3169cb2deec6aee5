//! One connection's hold on a session: it drains the outbox until a newer one takes its place.

use std::sync::Arc;
use std::time::{Duration, Instant};

use patchbay_protocol::CloseCode;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::sleep;

use super::{Body, Gap, HttpLine, Line, Session, State};

/// What carries a connection.
#[derive(Debug)]
pub(crate) enum Carrier {
    /// A WebSocket.
    Socket,
    /// HTTP requests, with their place among all connections.
    Http(OwnedSemaphorePermit),
}

/// How a connection over HTTP is told things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DownKind {
    /// Server-Sent Events.
    Sse,
    /// Long polling.
    Poll,
}

/// How a client comes to a session.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Entry {
    /// It is new.
    First,
    /// It has been here, and has what was numbered up to this.
    Resume(u64),
}

/// Why an attachment has nothing more to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The connection is over, with this code.
    Close(CloseCode),
    /// Another request of the same connection goes on.
    Displaced,
}

/// Why a request can't drain the outbox.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoDown {
    /// The session has no connection over HTTP, any more.
    Over(CloseCode),
    /// What the client has does not fit.
    Gap(Gap),
}

/// A connection, or one request of it. Of several the last drains the outbox.
#[derive(Debug)]
pub(crate) struct Attachment {
    session: Arc<Session>,
    connection: u64,
    down: u64,
    wake: Arc<Notify>,
}

impl Session {
    /// Connects a client. The connection before, if any, is over.
    pub(crate) fn connect(self: &Arc<Self>, carrier: Carrier, entry: Entry) -> Result<Attachment, Gap> {
        let now = Instant::now();
        let mut state = self.state();
        if state.is_over {
            return Err(Gap::Forgotten);
        }
        if let Entry::Resume(last_seq) = entry {
            self.rewind(&mut state, last_seq)?;
        }
        let is_taken_over = !matches!(state.line, Line::Away(_));
        if is_taken_over {
            self.terms.metrics.superseded.add(1);
        }
        state.line = match carrier {
            Carrier::Socket => Line::Socket,
            Carrier::Http(place) => Line::Http(HttpLine {
                _place: place,
                kind: None,
                is_down_open: false,
                heard: now,
                drained: now,
                pings: false,
            }),
        };
        state.connection += 1;
        state.cut = None;
        let attachment = self.take_turn(&mut state);
        if matches!(state.line, Line::Http(_)) {
            self.arm(&mut state, now + self.terms.silence);
        }
        Ok(attachment)
    }

    /// The connection over HTTP that a request belongs to.
    pub(crate) fn http_connection(self: &Arc<Self>) -> Result<Attachment, CloseCode> {
        let mut state = self.state();
        let code = over_code(&state);
        let Line::Http(line) = &mut state.line else { return Err(code) };
        line.heard = Instant::now();
        Ok(self.attachment(&state))
    }

    /// A request that drains the outbox, behind what the client has; without a number, behind what it acknowledged.
    pub(crate) fn open_down(
        self: &Arc<Self>,
        kind: DownKind,
        last_seq: Option<u64>,
    ) -> Result<Attachment, NoDown> {
        let mut state = self.state();
        let code = over_code(&state);
        let Line::Http(line) = &mut state.line else { return Err(NoDown::Over(code)) };
        line.heard = Instant::now();
        let last_seq = last_seq.unwrap_or(state.outbox.acked());
        self.rewind(&mut state, last_seq).map_err(NoDown::Gap)?;
        if let Line::Http(line) = &mut state.line {
            line.is_down_open = true;
            if line.kind.replace(kind) != Some(kind) {
                match kind {
                    DownKind::Sse => self.terms.metrics.sse_connections.add(1),
                    DownKind::Poll => self.terms.metrics.poll_connections.add(1),
                }
            }
        }
        Ok(self.take_turn(&mut state))
    }

    /// What its connection is carried by, if it has one that has said so.
    pub(crate) fn connection_kind(&self) -> Option<&'static str> {
        match &self.state().line {
            Line::Away(_) => None,
            Line::Socket => Some("websocket"),
            Line::Http(line) => line.kind.map(|kind| match kind {
                DownKind::Sse => "sse",
                DownKind::Poll => "poll",
            }),
        }
    }

    /// The client pings, so its silence means that its connection is broken.
    pub(crate) fn heard_ping(&self) {
        if let Line::Http(line) = &mut self.state().line {
            line.pings = true;
        }
    }

    fn rewind(&self, state: &mut State, last_seq: u64) -> Result<(), Gap> {
        let replayed = state.outbox.rewind(last_seq)?;
        self.terms.metrics.replayed_messages.add(replayed);
        Ok(())
    }

    /// Ends the turn of whatever drained the outbox before.
    fn take_turn(self: &Arc<Self>, state: &mut State) -> Attachment {
        state.down += 1;
        let before = std::mem::take(&mut state.wake);
        before.notify_one();
        self.attachment(state)
    }

    fn attachment(self: &Arc<Self>, state: &State) -> Attachment {
        Attachment {
            session: self.clone(),
            connection: state.connection,
            down: state.down,
            wake: state.wake.clone(),
        }
    }
}

impl Attachment {
    /// The session.
    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Whether no newer connection has taken over.
    pub(crate) fn is_current(&self) -> bool {
        self.stop(&self.session.state()).is_none_or(|stop| stop == Stop::Displaced)
    }

    /// The next message and its number, or how it ends.
    pub(crate) async fn next(&self) -> Result<(u64, Body), Stop> {
        loop {
            if let Some(next) = self.next_now() {
                return next;
            }
            self.wake.notified().await;
        }
    }

    /// The same, if there is anything.
    pub(crate) fn next_now(&self) -> Option<Result<(u64, Body), Stop>> {
        let mut state = self.session.state();
        if let Some(stop) = self.stop(&state) {
            return Some(Err(stop));
        }
        if let Some(message) = state.outbox.next() {
            return Some(Ok(message));
        }
        state.end.map(|code| Err(Stop::Close(code)))
    }

    /// Waits until the connection has to end even though a write is under way: at once for a client that does not drain
    /// its outbox or has a newer connection, else after `grace`.
    pub(crate) async fn cut_off(&self, grace: Duration) -> Stop {
        loop {
            let (stop, end) = {
                let state = self.session.state();
                (self.stop(&state), state.end)
            };
            match (stop, end) {
                (Some(stop), _) => return stop,
                (None, Some(code)) => {
                    sleep(grace).await;
                    return Stop::Close(code);
                }
                (None, None) => self.wake.notified().await,
            }
        }
    }

    /// The connection is broken: the session waits for another.
    pub(crate) fn lose(&self, code: CloseCode) {
        let mut state = self.session.state();
        if state.connection == self.connection && !matches!(state.line, Line::Away(_)) {
            state.cut.get_or_insert(code);
            self.session.go_away(&mut state, Instant::now());
        }
    }

    /// A request that drained the outbox is done.
    pub(crate) fn end_down(&self) {
        let mut state = self.session.state();
        if state.connection != self.connection || state.down != self.down {
            return;
        }
        let now = Instant::now();
        if let Line::Http(line) = &mut state.line {
            line.is_down_open = false;
            line.drained = now;
            self.session.arm(&mut state, now + self.session.terms.silence);
        }
    }

    fn stop(&self, state: &State) -> Option<Stop> {
        if state.connection != self.connection {
            return Some(Stop::Close(CloseCode::Superseded));
        }
        if let Some(code) = state.cut {
            return Some(Stop::Close(code));
        }
        (state.down != self.down).then_some(Stop::Displaced)
    }
}

/// Why a session has no connection over HTTP.
fn over_code(state: &State) -> CloseCode {
    match state.line {
        Line::Socket => CloseCode::Superseded,
        _ => state.end.or(state.cut).unwrap_or(CloseCode::HeartbeatTimeout),
    }
}
