//! One session: `hello`, `join`, requests, pings in time, and a check that every message is the next one.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use patchbay_protocol::{
    ClientMessage, ClientRequest, Joined, PROTOCOL_VERSION, Reply, RequestId, Resume, RoomName, ServerEvent,
    ServerMessage, WEBSOCKET_PROTOCOL, limit,
};
use serde::Deserialize;
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// How long a reply may take: a room of a thousand answers whoever comes at once in turn.
const PATIENCE: Duration = Duration::from_secs(60);
/// Small, as there are ten thousand of them.
const BUFFER_BYTES: usize = 4 * 1024;

/// A session and its connection.
pub(crate) struct Session {
    socket: WebSocketStream<TcpStream>,
    /// What takes it up again.
    pub(crate) resume: Resume,
    /// The port it comes from.
    pub(crate) port: u16,
    /// How many it has seen go.
    pub(crate) leavings: usize,
    next_id: u32,
    ping_at: Instant,
    ping_every: Duration,
}

/// A message of the server, as far as a crowd cares.
pub(crate) enum Heard {
    /// A request was carried out; the whole message.
    Ok(RequestId, Utf8Bytes),
    /// A request was refused.
    Refused(Option<RequestId>, String),
    /// A chat line.
    Chat(String),
    /// Anything else.
    Event,
}

/// The fields of a message that are looked at: ten thousand rosters need not be read.
#[derive(Deserialize)]
struct Head<'a> {
    seq: u64,
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    id: Option<RequestId>,
    text: Option<String>,
    code: Option<String>,
}

impl Session {
    /// Connects and begins a session.
    pub(crate) async fn begin(server: SocketAddr) -> Result<Self, String> {
        Self::begin_over(TcpStream::connect(server).await.map_err(|error| error.to_string())?, server).await
    }

    /// The same over a connection that takes in as little as the kernel allows before somebody reads.
    pub(crate) async fn begin_narrow(server: SocketAddr) -> Result<Self, String> {
        let wrong = |error: std::io::Error| error.to_string();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).map_err(wrong)?;
        socket.set_recv_buffer_size(BUFFER_BYTES).map_err(wrong)?;
        socket.set_nonblocking(true).map_err(wrong)?;
        let stream = TcpSocket::from_std_stream(socket.into()).connect(server).await.map_err(wrong)?;
        Self::begin_over(stream, server).await
    }

    async fn begin_over(stream: TcpStream, server: SocketAddr) -> Result<Self, String> {
        let (socket, port) = upgrade(stream, server).await?;
        let empty = Resume {
            session: serde_json::from_str("\"\"").map_err(|error| error.to_string())?,
            secret: String::new(),
            last_seq: 0,
            epoch: None,
        };
        let mut session = Self {
            socket,
            resume: empty,
            port,
            leavings: 0,
            next_id: 1,
            ping_at: Instant::now() + PATIENCE,
            ping_every: limit::HEARTBEAT_INTERVAL,
        };
        match session
            .ask(ClientRequest::Hello { version: PROTOCOL_VERSION, client: None, resume: None })
            .await?
        {
            Reply::Welcome(welcome) => {
                session.resume.session = welcome.session;
                session.resume.secret = welcome.secret;
                session.resume.epoch = Some(welcome.epoch);
                session.expect_pings(welcome.heartbeat_ms);
                Ok(session)
            }
            other => Err(format!("hello was answered by {other:?}")),
        }
    }

    /// Takes a session up over a new connection; with the room as it is now, if the server is another one by then.
    pub(crate) async fn take_up(
        server: SocketAddr,
        resume: Resume,
    ) -> Result<(Self, Option<Box<Joined>>), String> {
        let stream = TcpStream::connect(server).await.map_err(|error| error.to_string())?;
        let (socket, port) = upgrade(stream, server).await?;
        let (next_id, asked) = (1_000_000, Some(resume.clone()));
        let (ping_at, ping_every) = (Instant::now() + PATIENCE, limit::HEARTBEAT_INTERVAL);
        let mut session = Self { socket, resume, port, leavings: 0, next_id, ping_at, ping_every };
        match session
            .ask(ClientRequest::Hello { version: PROTOCOL_VERSION, client: None, resume: asked })
            .await?
        {
            Reply::Resumed(resumed) => {
                session.resume.epoch = Some(resumed.epoch);
                session.resume.last_seq = resumed.next_seq.saturating_sub(1);
                session.expect_pings(resumed.heartbeat_ms);
                Ok((session, resumed.snapshot))
            }
            other => Err(format!("hello was answered by {other:?}")),
        }
    }

    /// Pings from now on, not all sessions at the same moment.
    fn expect_pings(&mut self, every_ms: u64) {
        self.ping_every = Duration::from_millis(every_ms);
        self.ping_at = Instant::now() + self.ping_every.mul_f64(rand::random());
    }

    /// Enters a room, without media.
    pub(crate) async fn join(&mut self, room: &str, identity: String) -> Result<(), String> {
        let (room, identity) = (RoomName::new(room), Some(identity));
        let join = ClientRequest::Join { room, identity, name: None, metadata: None, offer: None };
        let id = self.send(join).await?;
        timeout(PATIENCE, self.reply(id)).await.map_err(|_| "no reply to join")?.map(drop)
    }

    /// Sends a request and waits for its reply. Events meanwhile are counted and forgotten.
    pub(crate) async fn ask(&mut self, request: ClientRequest) -> Result<Reply, String> {
        let id = self.send(request).await?;
        let text = timeout(PATIENCE, self.reply(id))
            .await
            .map_err(|_| format!("no reply to request {}", id.0))??;
        match serde_json::from_str::<ServerMessage>(&text).map_err(|error| error.to_string())?.event {
            ServerEvent::Ok { result, .. } => Ok(result),
            other => Err(format!("{other:?} is no reply")),
        }
    }

    async fn reply(&mut self, to: RequestId) -> Result<Utf8Bytes, String> {
        loop {
            match self.next().await? {
                Heard::Ok(id, text) if id == to => return Ok(text),
                Heard::Refused(id, code) if id.is_none_or(|id| id == to) => {
                    return Err(format!("refused: {code}"));
                }
                _ => {}
            }
        }
    }

    /// Sends a request.
    pub(crate) async fn send(&mut self, request: ClientRequest) -> Result<RequestId, String> {
        let id = RequestId(self.next_id);
        self.next_id += 1;
        let ack = (self.resume.last_seq > 0).then_some(self.resume.last_seq);
        let text =
            serde_json::to_string(&ClientMessage { id, ack, request }).map_err(|error| error.to_string())?;
        self.socket.send(Message::text(text)).await.map_err(|error| error.to_string())?;
        Ok(id)
    }

    /// Waits for the next message, and pings meanwhile. May be given up at any time.
    pub(crate) async fn next(&mut self) -> Result<Heard, String> {
        loop {
            tokio::select! {
                message = self.socket.next() => match message {
                    Some(Ok(Message::Text(text))) => return self.take(text),
                    Some(Ok(Message::Close(frame))) => return Err(format!("closed: {frame:?}")),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error.to_string()),
                    None => return Err("the connection ended".into()),
                },
                () = sleep_until(self.ping_at) => {
                    self.ping_at += self.ping_every;
                    self.send(ClientRequest::Ping {}).await?;
                }
            }
        }
    }

    /// Reads whatever comes until a time.
    pub(crate) async fn read_until(&mut self, time: Instant) -> Result<(), String> {
        loop {
            tokio::select! {
                biased;
                () = sleep_until(time) => return Ok(()),
                heard = self.next() => drop(heard?),
            }
        }
    }

    /// Reads nothing any more, but pings, so that only its reading is wrong. Ends with the connection.
    pub(crate) async fn only_ping(mut self) -> Result<(), String> {
        loop {
            sleep_until(self.ping_at).await;
            self.ping_at += self.ping_every;
            self.send(ClientRequest::Ping {}).await?;
        }
    }

    fn take(&mut self, text: Utf8Bytes) -> Result<Heard, String> {
        let head: Head<'_> = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
        // What is said before a session begins, or begins again, stands outside the numbering.
        if head.seq != 0 {
            if head.seq != self.resume.last_seq + 1 {
                return Err(format!("message {} came after {}", head.seq, self.resume.last_seq));
            }
            self.resume.last_seq = head.seq;
        }
        Ok(match (&*head.kind, head.id) {
            ("ok", Some(id)) => Heard::Ok(id, text),
            ("error", id) => Heard::Refused(id, head.code.unwrap_or_default()),
            ("chat", _) => Heard::Chat(head.text.unwrap_or_default()),
            (kind, _) => {
                self.leavings += usize::from(kind == "participant_left");
                Heard::Event
            }
        })
    }
}

async fn upgrade(stream: TcpStream, server: SocketAddr) -> Result<(WebSocketStream<TcpStream>, u16), String> {
    let wrong = |error: std::io::Error| error.to_string();
    stream.set_nodelay(true).map_err(wrong)?;
    let port = stream.local_addr().map_err(wrong)?.port();
    let url = format!("ws://{server}/v1/ws");
    let mut request = url.into_client_request().map_err(|error| error.to_string())?;
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(WEBSOCKET_PROTOCOL));
    let config = WebSocketConfig::default().read_buffer_size(BUFFER_BYTES).write_buffer_size(0);
    let upgraded = timeout(PATIENCE, client_async_with_config(request, stream, Some(config))).await;
    let (socket, _) = upgraded.map_err(|_| "no answer to an upgrade")?.map_err(|error| error.to_string())?;
    Ok((socket, port))
}
