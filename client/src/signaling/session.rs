//! The task that keeps a session: it numbers what came, keeps what waits for a reply, and takes the session up again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use patchbay_protocol::{
    ClientMessage, ClientRequest, Epoch, ErrorCode, PROTOCOL_VERSION, ProtocolError, Reply, RequestId,
    Resume, ServerEvent, ServerMessage, SessionId, limit,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::socket::{self, Socket};
use super::{Happening, Order, SignalingOptions};
use crate::ClientError;

/// `hello` has the id before.
pub(super) const FIRST_ID: u32 = 2;
const HELLO_ID: RequestId = RequestId(1);
/// The first ceiling of the wait before another connection is tried; it doubles up to the last.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_LAST: Duration = Duration::from_secs(15);
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// A request whose reply has not come.
struct Waiting {
    request: ClientRequest,
    reply: oneshot::Sender<Result<Reply, ProtocolError>>,
}

struct Session {
    url: String,
    options: SignalingOptions,
    ticket: Option<(SessionId, String)>,
    /// The life of the server whose numbers `last_seq` is of.
    epoch: Epoch,
    last_seq: u64,
    heartbeat: Duration,
    waiting: BTreeMap<RequestId, Waiting>,
    happenings: mpsc::UnboundedSender<Happening>,
    life: Arc<AtomicU64>,
}

/// How the server took a hello.
enum Greeting {
    /// The session begins, or goes on.
    Taken,
    /// It goes on where a join was under way: whoever joins can't know whether it has an answer for the offer.
    Halfway,
}

/// How a connection ended.
enum End {
    /// It was asked for.
    Closed,
    /// Another one may be made, after so long if the server says so.
    Lost(Option<Duration>),
}

/// Connects once, and goes on in a task of its own.
pub(super) async fn begin(
    url: String,
    options: SignalingOptions,
    orders: mpsc::UnboundedReceiver<Order>,
    happenings: mpsc::UnboundedSender<Happening>,
    life: Arc<AtomicU64>,
) -> Result<(), ClientError> {
    let mut session = Session {
        url,
        options,
        ticket: None,
        epoch: Epoch(0),
        last_seq: 0,
        heartbeat: limit::HEARTBEAT_INTERVAL,
        waiting: BTreeMap::new(),
        happenings,
        life,
    };
    let socket = session.connect().await?;
    tokio::spawn(session.run(socket, orders));
    Ok(())
}

impl Session {
    async fn run(mut self, mut socket: Socket, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            let end = self.serve(&mut socket, &mut orders).await;
            let End::Lost(wait) = end else {
                let _ = timeout(GOODBYE, socket.close(None)).await;
                return;
            };
            // No goodbye: that would end the session.
            if !self.options.resumes {
                return;
            }
            let _ = self.happenings.send(Happening::Interrupted);
            match self.reconnect(wait, &mut orders).await {
                Some(fresh) => socket = fresh,
                None => return,
            }
        }
    }

    /// Opens a WebSocket and says hello: for the session there is, or for a new one.
    async fn connect(&mut self) -> Result<Socket, ClientError> {
        let mut socket =
            socket::open(&self.url, self.options.token.as_deref(), self.options.patience).await?;
        match self.greet(&mut socket).await {
            Err(ClientError::Refused(error)) if error.code == ErrorCode::SessionGone => {
                self.forget();
                self.greet(&mut socket).await?;
                let _ = self.happenings.send(Happening::Renewed);
            }
            Ok(Greeting::Halfway) => {
                // A goodbye ends the session, and whatever had come of the join.
                let _ = timeout(GOODBYE, socket.close(None)).await;
                self.forget();
                socket =
                    socket::open(&self.url, self.options.token.as_deref(), self.options.patience).await?;
                self.greet(&mut socket).await?;
                let _ = self.happenings.send(Happening::Renewed);
            }
            outcome => {
                outcome?;
            }
        }
        Ok(socket)
    }

    async fn greet(&mut self, socket: &mut Socket) -> Result<Greeting, ClientError> {
        let resume = self.ticket.clone().map(|(session, secret)| Resume {
            session,
            secret,
            epoch: Some(self.epoch),
            last_seq: self.last_seq,
        });
        let hello = ClientRequest::Hello {
            version: PROTOCOL_VERSION,
            client: Some(self.options.client.clone()),
            resume,
        };
        self.send(socket, HELLO_ID, hello).await?;
        let lost = || ClientError::Connection("closed before hello was answered".to_owned());
        let deadline = Instant::now() + self.options.patience;
        loop {
            let message = tokio::time::timeout_at(deadline, socket.next()).await.map_err(|_| lost())?;
            let Some(Ok(message)) = message else { return Err(lost()) };
            let Message::Text(text) = message else { continue };
            let ServerMessage { seq, event } =
                serde_json::from_str(&text).map_err(|error| ClientError::Unexpected(error.to_string()))?;
            match event {
                ServerEvent::Ok { id: HELLO_ID, result: Reply::Welcome(welcome) } => {
                    self.last_seq = seq;
                    self.epoch = welcome.epoch;
                    self.ticket = Some((welcome.session, welcome.secret));
                    self.heartbeat = Duration::from_millis(welcome.heartbeat_ms.max(500));
                    return Ok(Greeting::Taken);
                }
                ServerEvent::Ok { id: HELLO_ID, result: Reply::Resumed(resumed) } => {
                    // In the same life, what was missed comes first.
                    if resumed.epoch != self.epoch || resumed.snapshot.is_some() {
                        self.last_seq = resumed.next_seq.saturating_sub(1);
                    }
                    self.epoch = resumed.epoch;
                    self.heartbeat = Duration::from_millis(resumed.heartbeat_ms.max(500));
                    let is_join = |waiting: &Waiting| matches!(waiting.request, ClientRequest::Join { .. });
                    if resumed.snapshot.is_some() && self.waiting.values().any(is_join) {
                        return Ok(Greeting::Halfway);
                    }
                    let _ = self.happenings.send(Happening::Resumed(resumed.snapshot));
                    return Ok(Greeting::Taken);
                }
                ServerEvent::Error { id: None | Some(HELLO_ID), error } => return Err(error.into()),
                _ => {
                    return Err(ClientError::Unexpected(
                        "a hello that is not answered by welcome".to_owned(),
                    ));
                }
            }
        }
    }

    /// The session is gone: what waited for a reply will get none.
    fn forget(&mut self) {
        self.ticket = None;
        self.last_seq = 0;
        self.life.fetch_add(1, Ordering::AcqRel);
        for (_, waiting) in std::mem::take(&mut self.waiting) {
            let error = ProtocolError::new(ErrorCode::SessionGone, "the session ended before the reply came");
            let _ = waiting.reply.send(Err(error));
        }
    }

    /// Tries until it works, with waits that grow and are drawn at random, so that many clients spread.
    async fn reconnect(
        &mut self,
        wait: Option<Duration>,
        orders: &mut mpsc::UnboundedReceiver<Order>,
    ) -> Option<Socket> {
        let mut ceiling = RETRY_FIRST;
        let mut wait = wait;
        loop {
            let pause = wait.take().unwrap_or_else(|| ceiling.mul_f64(rand::random()));
            ceiling = (ceiling * 2).min(RETRY_LAST);
            let pause = sleep(pause);
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    () = &mut pause => break,
                    order = orders.recv() => match order {
                        Some(Order::Ask { id, request, reply }) => {
                            self.waiting.insert(id, Waiting { request, reply });
                        }
                        Some(Order::Text(_) | Order::Cut) => {}
                        Some(Order::Close) | None => return None,
                    },
                }
            }
            match self.connect().await {
                Ok(mut socket) => {
                    if self.repeat(&mut socket).await.is_ok() {
                        return Some(socket);
                    }
                }
                Err(ClientError::Refused(error)) => {
                    let is_hopeless = error.retry_after_ms.is_none() && error.code != ErrorCode::Overloaded;
                    if is_hopeless {
                        tracing::warn!(%error, "the server does not take the session back");
                        return None;
                    }
                    wait = error.retry_after_ms.map(Duration::from_millis);
                }
                Err(error) => tracing::debug!(%error, "no connection yet"),
            }
        }
    }

    /// Asks again what has no reply: its id tells the server that it is the same.
    async fn repeat(&mut self, socket: &mut Socket) -> Result<(), ClientError> {
        let open: Vec<(RequestId, ClientRequest)> =
            self.waiting.iter().map(|(id, waiting)| (*id, waiting.request.clone())).collect();
        for (id, request) in open {
            self.send(socket, id, request).await?;
        }
        Ok(())
    }

    /// One connection, to its end.
    async fn serve(&mut self, socket: &mut Socket, orders: &mut mpsc::UnboundedReceiver<Order>) -> End {
        let mut beats = interval(self.heartbeat);
        let mut heard = Instant::now();
        let mut away = None;
        loop {
            tokio::select! {
                message = socket.next() => match message {
                    Some(Ok(Message::Text(text))) => {
                        heard = Instant::now();
                        match serde_json::from_str::<ServerMessage>(&text) {
                            Ok(message) => {
                                if let ServerEvent::GoingAway { reconnect_in_ms } = &message.event {
                                    away = Some(Duration::from_millis(*reconnect_in_ms));
                                }
                                self.take(message);
                            }
                            Err(error) => tracing::warn!(%error, %text, "a message that is not in the protocol"),
                        }
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return End::Lost(away),
                    Some(Ok(_)) => heard = Instant::now(),
                },
                order = orders.recv() => match order {
                    Some(Order::Ask { id, request, reply }) => {
                        let sent = self.send(socket, id, request.clone()).await;
                        self.waiting.insert(id, Waiting { request, reply });
                        if sent.is_err() {
                            return End::Lost(None);
                        }
                    }
                    Some(Order::Text(text)) => {
                        if socket.send(Message::text(text)).await.is_err() {
                            return End::Lost(None);
                        }
                    }
                    Some(Order::Cut) => return End::Lost(None),
                    Some(Order::Close) | None => return End::Closed,
                },
                _ = beats.tick() => {
                    if heard.elapsed() > limit::HEARTBEAT_TIMEOUT {
                        return End::Lost(None);
                    }
                    // Its reply is nobody's business, and its id nobody's.
                    if self.send(socket, RequestId(u32::MAX), ClientRequest::Ping {}).await.is_err() {
                        return End::Lost(None);
                    }
                }
            }
        }
    }

    async fn send(
        &self,
        socket: &mut Socket,
        id: RequestId,
        request: ClientRequest,
    ) -> Result<(), ClientError> {
        let ack = (self.last_seq > 0).then_some(self.last_seq);
        let text = serde_json::to_string(&ClientMessage { id, ack, request })
            .map_err(|error| ClientError::Unexpected(error.to_string()))?;
        socket.send(Message::text(text)).await.map_err(|error| ClientError::Connection(error.to_string()))
    }

    fn take(&mut self, ServerMessage { seq, event }: ServerMessage) {
        // Said again after a resume, though it had arrived.
        if seq != 0 && seq <= self.last_seq {
            return;
        }
        self.last_seq = self.last_seq.max(seq);
        match event {
            ServerEvent::Ok { id, result } => {
                if let Some(waiting) = self.waiting.remove(&id) {
                    if let ClientRequest::TopicClose { channel } = waiting.request {
                        // Behind its last messages, for whoever waits for those.
                        let closed = ServerEvent::TopicClosed { channel, reason: "closed".to_owned() };
                        let _ = self.happenings.send(Happening::Event(closed));
                    }
                    let _ = waiting.reply.send(Ok(result));
                }
            }
            ServerEvent::Error { id: Some(id), error } if self.waiting.contains_key(&id) => {
                if let Some(waiting) = self.waiting.remove(&id) {
                    let _ = waiting.reply.send(Err(error));
                }
            }
            event => {
                let _ = self.happenings.send(Happening::Event(event));
            }
        }
    }
}
