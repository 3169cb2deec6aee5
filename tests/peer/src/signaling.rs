//! The signaling connection: requests with one reply each, and events.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use patchbay_protocol::{
    BEARER_PROTOCOL_PREFIX, ClientMessage, ClientRequest, PROTOCOL_VERSION, ProtocolError, Reply, RequestId,
    Resume, Resumed, ServerEvent, ServerMessage, WEBSOCKET_PROTOCOL, Welcome,
};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use crate::PeerError;

type Waiting = Arc<Mutex<BTreeMap<RequestId, oneshot::Sender<Result<Reply, ProtocolError>>>>>;

/// One signaling connection. Clones share it.
#[derive(Debug, Clone)]
pub struct Signaling {
    outgoing: mpsc::UnboundedSender<Message>,
    waiting: Waiting,
    next_id: Arc<AtomicU32>,
    patience: Duration,
    session: Option<Arc<Resume>>,
}

/// Events of a connection, which end when it does.
pub type Events = mpsc::UnboundedReceiver<ServerEvent>;

/// Opens `/v1/ws` of a server and greets it. Returns the connection and its events.
pub async fn connect(
    server: &str,
    token: Option<&str>,
    patience: Duration,
) -> Result<(Signaling, Events), PeerError> {
    let (mut signaling, events) = open(server, token, patience).await?;
    let Reply::Welcome(welcome) = signaling.request(hello(None)).await? else {
        return Err(PeerError::Unexpected("a hello that is not answered by welcome".to_owned()));
    };
    let Welcome { session, secret, epoch, heartbeat_ms, .. } = welcome;
    signaling.session = Some(Arc::new(Resume { session, secret, epoch: Some(epoch), last_seq: 0 }));
    signaling.keep_alive(Duration::from_millis(heartbeat_ms.max(500)));
    Ok((signaling, events))
}

/// Opens `/v1/ws` of a server and takes a session up. Returns what that brought besides.
pub async fn resume(
    server: &str,
    session: &Resume,
    patience: Duration,
) -> Result<(Signaling, Events, Resumed), PeerError> {
    let (mut signaling, events) = open(server, None, patience).await?;
    let Reply::Resumed(resumed) = signaling.request(hello(Some(session.clone()))).await? else {
        return Err(PeerError::Unexpected("a resume that is not answered by resumed".to_owned()));
    };
    signaling.session = Some(Arc::new(Resume { epoch: Some(resumed.epoch), last_seq: 0, ..session.clone() }));
    signaling.keep_alive(Duration::from_millis(resumed.heartbeat_ms.max(500)));
    Ok((signaling, events, resumed))
}

fn hello(resume: Option<Resume>) -> ClientRequest {
    let client = Some(concat!("patchbay-peer/", env!("CARGO_PKG_VERSION")).to_owned());
    ClientRequest::Hello { version: PROTOCOL_VERSION, client, resume }
}

async fn open(
    server: &str,
    token: Option<&str>,
    patience: Duration,
) -> Result<(Signaling, Events), PeerError> {
    let broken = |error: &dyn std::fmt::Display| PeerError::Connection(error.to_string());
    let url = format!("{}/v1/ws", server.replacen("http", "ws", 1).trim_end_matches('/'));
    let mut request = url.into_client_request().map_err(|error| broken(&error))?;
    let mut protocols = WEBSOCKET_PROTOCOL.to_owned();
    if let Some(token) = token {
        protocols.push_str(&format!(", {BEARER_PROTOCOL_PREFIX}{token}"));
    }
    let protocols = HeaderValue::from_str(&protocols).map_err(|error| broken(&error))?;
    request.headers_mut().insert("sec-websocket-protocol", protocols);
    let (socket, _) = tokio::time::timeout(patience, tokio_tungstenite::connect_async(request))
        .await
        .map_err(|error| broken(&error))?
        .map_err(|error| broken(&error))?;

    let (mut sink, mut stream) = socket.split();
    let (outgoing, mut queue) = mpsc::unbounded_channel::<Message>();
    let (events, incoming) = mpsc::unbounded_channel();
    let waiting = Waiting::default();
    tokio::spawn(async move {
        while let Some(message) = queue.recv().await {
            if sink.send(message).await.is_err() {
                break;
            }
        }
        let _ = sink.close().await;
    });
    tokio::spawn({
        let waiting = Arc::clone(&waiting);
        async move {
            while let Some(Ok(message)) = stream.next().await {
                let Message::Text(text) = message else { continue };
                match serde_json::from_str::<ServerMessage>(&text) {
                    Ok(message) => dispatch(message, &waiting, &events),
                    Err(error) => tracing::warn!(%error, %text, "a message that is not in the protocol"),
                }
            }
            // Whoever still waits is told by the dropped senders.
            lock(&waiting).clear();
        }
    });

    Ok((
        Signaling { outgoing, waiting, next_id: Arc::new(AtomicU32::new(1)), patience, session: None },
        incoming,
    ))
}

impl Signaling {
    /// Sends a request and waits for its one reply.
    pub async fn request(&self, request: ClientRequest) -> Result<Reply, PeerError> {
        let id = RequestId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let (reply, replied) = oneshot::channel();
        lock(&self.waiting).insert(id, reply);
        let text = serde_json::to_string(&ClientMessage { id, ack: None, request })
            .map_err(|error| PeerError::Unexpected(error.to_string()))?;
        self.send_text(text)?;
        match tokio::time::timeout(self.patience, replied).await {
            Ok(Ok(reply)) => Ok(reply?),
            Ok(Err(_)) => Err(PeerError::Connection("closed before the reply came".to_owned())),
            Err(_) => Err(PeerError::Timeout {
                what: "a reply".to_owned(),
                waited_ms: self.patience.as_millis() as u64,
            }),
        }
    }

    /// The session, as a later connection takes it up. Messages are not counted here.
    pub fn session(&self) -> Option<&Resume> {
        self.session.as_deref()
    }

    /// Sends a text as it is, which may be anything.
    pub fn send_text(&self, text: String) -> Result<(), PeerError> {
        self.outgoing
            .send(Message::Text(text.into()))
            .map_err(|_| PeerError::Connection("signaling is closed".to_owned()))
    }

    /// Closes the connection without leaving the room.
    pub fn close(&self) {
        let _ = self.outgoing.send(Message::Close(None));
    }

    fn keep_alive(&self, every: Duration) {
        let signaling = self.clone();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(every);
            loop {
                ticks.tick().await;
                if let Err(PeerError::Connection(_)) = signaling.request(ClientRequest::Ping {}).await {
                    break;
                }
            }
        });
    }
}

fn dispatch(message: ServerMessage, waiting: &Waiting, events: &mpsc::UnboundedSender<ServerEvent>) {
    match message.event {
        ServerEvent::Ok { id, result } => {
            if let Some(reply) = lock(waiting).remove(&id) {
                let _ = reply.send(Ok(result));
            }
        }
        ServerEvent::Error { id: Some(id), error } => match lock(waiting).remove(&id) {
            Some(reply) => {
                let _ = reply.send(Err(error));
            }
            // The reply to a text that was sent by hand.
            None => {
                let _ = events.send(ServerEvent::Error { id: Some(id), error });
            }
        },
        event => {
            let _ = events.send(event);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
