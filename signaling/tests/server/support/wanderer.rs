//! A client that keeps its session over connections of any kind, and holds the server to what it promises: every message
//! once and in order, one reply to each request.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// What carries a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Socket,
    Sse,
    Poll,
}

/// Why a connection can't go on, or did not come about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lost {
    /// It broke.
    Broken,
    /// The server closed it with this code.
    Closed(u16),
    /// The session is over.
    Gone,
}

/// The client.
pub(crate) struct Wanderer {
    address: SocketAddr,
    pub(crate) session: String,
    pub(crate) secret: String,
    epoch: u64,
    pub(crate) last_seq: u64,
    next_id: u32,
    /// Requests without a reply, which are sent again after a resume.
    unanswered: BTreeMap<u32, Value>,
    /// Replies by request.
    pub(crate) replies: BTreeMap<u32, Value>,
    /// Events in the order they came.
    pub(crate) events: Vec<Value>,
    line: Option<Line>,
}

enum Line {
    Socket(Box<WebSocketStream<MaybeTlsStream<TcpStream>>>),
    Http { kind: Kind, down: Option<Incoming> },
}

/// A response as it comes in.
pub(crate) struct Incoming {
    socket: TcpStream,
    raw: Vec<u8>,
    /// Known once the head is complete.
    pub(crate) head: Option<Head>,
    body: Vec<u8>,
    is_complete: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) status: u16,
    text: String,
    length: Option<usize>,
}

impl Head {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.text
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| *key == name)
            .map(|(_, v)| v)
    }
}

impl Wanderer {
    /// Begins a session.
    pub(crate) async fn begin(address: SocketAddr, kind: Kind) -> Self {
        let mut new = Self {
            address,
            session: String::new(),
            secret: String::new(),
            epoch: 0,
            last_seq: 0,
            next_id: 1,
            unanswered: BTreeMap::new(),
            replies: BTreeMap::new(),
            events: Vec::new(),
            line: None,
        };
        new.connect(kind).await.expect("a session should begin");
        new
    }

    /// Another one with the same session and nothing to show for it yet but what this one has.
    pub(crate) fn twin(&self) -> Self {
        Self {
            address: self.address,
            session: self.session.clone(),
            secret: self.secret.clone(),
            epoch: self.epoch,
            last_seq: self.last_seq,
            next_id: self.next_id + 1_000,
            unanswered: BTreeMap::new(),
            replies: BTreeMap::new(),
            events: Vec::new(),
            line: None,
        }
    }

    /// `Authorization` of requests over HTTP.
    pub(crate) fn authorization(&self) -> String {
        format!("Bearer {}.{}", self.session, self.secret)
    }

    /// The first message on a connection.
    pub(crate) fn hello(&mut self) -> Value {
        let mut hello = json!({"id": self.next_id, "type": "hello", "version": 1});
        self.next_id += 1;
        if !self.session.is_empty() {
            hello["resume"] = json!({"session": self.session, "secret": self.secret, "last_seq": self.last_seq, "epoch": self.epoch});
        }
        hello
    }

    /// Opens a connection of a kind: a new session, or the old one, whose unanswered requests are sent again.
    pub(crate) async fn connect(&mut self, kind: Kind) -> Result<(), Lost> {
        self.line = None;
        let hello = self.hello();
        match kind {
            Kind::Socket => {
                let (mut socket, _) = connect_async(self.socket_request()).await.map_err(|_| Lost::Broken)?;
                socket.send(Message::text(hello.to_string())).await.map_err(|_| Lost::Broken)?;
                self.line = Some(Line::Socket(Box::new(socket)));
                while !self.step().await? {}
            }
            Kind::Sse | Kind::Poll => {
                let mut response = self.post("/v1/hello", &hello.to_string(), false).await?;
                response.finish().await?;
                match response.status() {
                    200 => {}
                    401 => return Err(Lost::Gone),
                    status => panic!("hello was refused with status {status}: {}", response.text()),
                }
                self.line = Some(Line::Http { kind, down: None });
                let messages: Vec<Value> = serde_json::from_str(&response.text()).unwrap();
                for message in messages {
                    self.take(message)?;
                }
            }
        }
        for (_, request) in self.unanswered.clone() {
            self.write(&request).await?;
        }
        Ok(())
    }

    /// Drops the connection without a word, in the middle of whatever there is.
    pub(crate) fn cut(&mut self) {
        self.line = None;
    }

    /// Closes a WebSocket with a code.
    pub(crate) async fn close(&mut self, code: u16) {
        let Some(Line::Socket(socket)) = &mut self.line else { panic!("only a WebSocket is closed") };
        let frame = CloseFrame { code: code.into(), reason: "".into() };
        let _ = socket.send(Message::Close(Some(frame))).await;
        while let Some(Ok(_)) = socket.next().await {}
        self.line = None;
    }

    /// Notes a request and sends it. It stays noted if the connection does not hold.
    pub(crate) async fn send(&mut self, mut request: Value) -> (u32, Result<(), Lost>) {
        let id = self.next_id;
        self.next_id += 1;
        request["id"] = json!(id);
        // A ping is about this connection alone.
        if request["type"] != "ping" {
            self.unanswered.insert(id, request.clone());
        }
        let sent = self.write(&request).await;
        (id, sent)
    }

    /// Sends a request and waits for its result on a connection that holds.
    pub(crate) async fn ok(&mut self, request: Value) -> Value {
        let (id, sent) = self.send(request).await;
        sent.unwrap();
        while !self.replies.contains_key(&id) {
            self.step().await.unwrap();
        }
        let reply = &self.replies[&id];
        assert_eq!(reply["type"], "ok", "{reply}");
        reply["result"].clone()
    }

    /// Sends a part of a request, and nothing more, on a connection of its own if that is how requests go.
    pub(crate) async fn send_part(&mut self, mut request: Value, share: f64) {
        let id = self.next_id;
        self.next_id += 1;
        request["id"] = json!(id);
        self.unanswered.insert(id, request.clone());
        let body = request.to_string();
        let bytes = match &self.line {
            Some(Line::Http { .. }) => self.request_text("POST", "/v1/send", &body, true).into_bytes(),
            _ => return,
        };
        let part = (bytes.len() as f64 * share) as usize;
        if let Ok(mut socket) = TcpStream::connect(self.address).await {
            let _ = socket.write_all(&bytes[..part]).await;
        }
    }

    /// Says hello on a new connection of a kind, and leaves before the answer.
    pub(crate) async fn hello_and_away(&mut self, kind: Kind) {
        self.line = None;
        let hello = self.hello().to_string();
        match kind {
            Kind::Socket => {
                if let Ok((mut socket, _)) = connect_async(self.socket_request()).await {
                    let _ = socket.send(Message::text(hello)).await;
                }
            }
            Kind::Sse | Kind::Poll => {
                let _ = self.post("/v1/hello", &hello, false).await;
            }
        }
    }

    /// Takes in whatever comes next. True if a message was complete. May be given up at any time.
    pub(crate) async fn step(&mut self) -> Result<bool, Lost> {
        let messages = match &mut self.line {
            None => return Err(Lost::Broken),
            Some(Line::Socket(socket)) => match socket.next().await {
                Some(Ok(Message::Text(text))) => vec![serde_json::from_str(&text).unwrap()],
                Some(Ok(Message::Close(Some(frame)))) => return Err(Lost::Closed(frame.code.into())),
                Some(Ok(Message::Close(None)) | Err(_)) | None => return Err(Lost::Broken),
                Some(Ok(_)) => return Ok(false),
            },
            Some(Line::Http { kind, down: None }) => {
                let kind = *kind;
                let path = if kind == Kind::Sse { "/v1/sse" } else { "/v1/poll" };
                let mut text = self.request_text("GET", path, "", true);
                let at = text.len() - 2;
                text.insert_str(at, &format!("last-event-id: {}\r\n", self.last_seq));
                let down = Some(Incoming::request(self.address, &text).await?);
                self.line = Some(Line::Http { kind, down });
                return Ok(false);
            }
            Some(Line::Http { kind, down: down @ Some(_) }) => {
                let response = down.as_mut().unwrap();
                response.step().await?;
                let Some(status) = response.head.as_ref().map(|head| head.status) else { return Ok(false) };
                match (*kind, status) {
                    (Kind::Sse, 200) => {
                        let (messages, end) = response.take_events();
                        if response.is_complete {
                            *down = None;
                        }
                        if let Some(code) = end {
                            for message in messages {
                                self.take(message)?;
                            }
                            return Err(Lost::Closed(code));
                        }
                        messages
                    }
                    _ if !response.is_complete => return Ok(false),
                    (_, 200) => {
                        let messages = serde_json::from_str(&response.text()).unwrap();
                        *down = None;
                        messages
                    }
                    (_, 204) => {
                        *down = None;
                        return Ok(false);
                    }
                    (_, status) => return Err(lost_by(status, &response.text())),
                }
            }
        };
        let is_any = !messages.is_empty();
        for message in messages {
            self.take(message)?;
        }
        Ok(is_any)
    }

    /// One message, which must be the next.
    fn take(&mut self, message: Value) -> Result<(), Lost> {
        let seq = message["seq"].as_u64().unwrap();
        if message["code"] == "session_gone" {
            return Err(Lost::Gone);
        }
        let result = &message["result"];
        match result["type"].as_str() {
            Some("resumed") => {
                assert_eq!(seq, 0, "a resume stands outside the numbering");
                assert_eq!(result["next_seq"], json!(self.last_seq + 1), "{message}");
                return Ok(());
            }
            Some("welcome") => {
                self.session = result["session"].as_str().unwrap().to_owned();
                self.secret = result["secret"].as_str().unwrap().to_owned();
                self.epoch = result["epoch"].as_u64().unwrap();
            }
            _ => {}
        }
        assert_eq!(seq, self.last_seq + 1, "messages come once and in order: {message}");
        self.last_seq = seq;
        match message["id"].as_u64() {
            Some(id) => {
                let id = u32::try_from(id).unwrap();
                self.unanswered.remove(&id);
                let before = self.replies.insert(id, message.clone());
                assert_eq!(before, None, "a request gets one reply: {message}");
            }
            None => self.events.push(message),
        }
        Ok(())
    }

    async fn write(&mut self, request: &Value) -> Result<(), Lost> {
        let mut request = request.clone();
        request["ack"] = json!(self.last_seq);
        match &mut self.line {
            None => Err(Lost::Broken),
            Some(Line::Socket(socket)) => {
                socket.send(Message::text(request.to_string())).await.map_err(|_| Lost::Broken)
            }
            Some(Line::Http { .. }) => {
                let mut response = self.post("/v1/send", &request.to_string(), true).await?;
                response.finish().await?;
                match response.status() {
                    202 => Ok(()),
                    status => Err(lost_by(status, &response.text())),
                }
            }
        }
    }

    async fn post(&self, path: &str, body: &str, is_known: bool) -> Result<Incoming, Lost> {
        Incoming::request(self.address, &self.request_text("POST", path, body, is_known)).await
    }

    fn request_text(&self, method: &str, path: &str, body: &str, is_known: bool) -> String {
        let address = self.address;
        let authorization =
            if is_known { format!("authorization: {}\r\n", self.authorization()) } else { String::new() };
        format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n{authorization}\r\n{body}",
            body.len()
        )
    }

    fn socket_request(&self) -> tokio_tungstenite::tungstenite::handshake::client::Request {
        let mut request = format!("ws://{}/v1/ws", self.address).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "patchbay.v1".parse().unwrap());
        request
    }
}

fn lost_by(status: u16, text: &str) -> Lost {
    let body: Value = serde_json::from_str(text).unwrap_or_default();
    match (status, body["close"].as_u64()) {
        (409, Some(code)) => Lost::Closed(u16::try_from(code).unwrap()),
        (401, _) => Lost::Gone,
        _ => panic!("status {status}: {text}"),
    }
}

impl Incoming {
    /// Sends a request on a connection of its own.
    pub(crate) async fn request(address: SocketAddr, text: &str) -> Result<Self, Lost> {
        let mut socket = TcpStream::connect(address).await.map_err(|_| Lost::Broken)?;
        socket.write_all(text.as_bytes()).await.map_err(|_| Lost::Broken)?;
        Ok(Self { socket, raw: Vec::new(), head: None, body: Vec::new(), is_complete: false })
    }

    /// Reads what there is. May be given up at any time.
    pub(crate) async fn step(&mut self) -> Result<(), Lost> {
        assert!(!self.is_complete, "the response is over: {}", self.text());
        let read = self.socket.read_buf(&mut self.raw).await.map_err(|_| Lost::Broken)?;
        if self.head.is_none()
            && let Some(end) = self.raw.windows(4).position(|window| window == b"\r\n\r\n")
        {
            let text = String::from_utf8_lossy(&self.raw[..end]).to_ascii_lowercase();
            let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
            let mut head = Head { status, text, length: None };
            head.length = head.header("content-length").and_then(|length| length.parse().ok());
            if head.status == 204 {
                head.length = Some(0);
            }
            self.head = Some(head);
            self.raw.drain(..end + 4);
        }
        match self.head.as_ref().map(|head| head.length) {
            None => {}
            Some(Some(length)) => {
                self.body.append(&mut self.raw);
                self.is_complete = self.body.len() >= length;
            }
            Some(None) => self.unchunk(),
        }
        if read == 0 && !self.is_complete { Err(Lost::Broken) } else { Ok(()) }
    }

    /// Reads to the end.
    pub(crate) async fn finish(&mut self) -> Result<(), Lost> {
        while !self.is_complete {
            self.step().await?;
        }
        Ok(())
    }

    pub(crate) fn status(&self) -> u16 {
        self.head.as_ref().map_or(0, |head| head.status)
    }

    /// The body so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn unchunk(&mut self) {
        loop {
            let Some(end) = self.raw.windows(2).position(|window| window == b"\r\n") else { return };
            let size = std::str::from_utf8(&self.raw[..end]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            if self.raw.len() < end + 2 + size + 2 {
                return;
            }
            self.body.extend_from_slice(&self.raw[end + 2..end + 2 + size]);
            self.raw.drain(..end + 2 + size + 2);
            if size == 0 {
                self.is_complete = true;
                return;
            }
        }
    }

    /// The whole events of a stream so far, and the code it ends with.
    fn take_events(&mut self) -> (Vec<Value>, Option<u16>) {
        let (mut messages, mut end) = (Vec::new(), None);
        while let Some(at) = self.body.windows(2).position(|window| window == b"\n\n") {
            let event = String::from_utf8(self.body.drain(..at + 2).collect()).unwrap();
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            let Some(data) = field("data:") else { continue };
            let data: Value = serde_json::from_str(data).unwrap();
            if field("event:") == Some("close") {
                end = data["code"].as_u64().and_then(|code| u16::try_from(code).ok());
            } else {
                assert_eq!(field("id:"), Some(data["seq"].to_string().as_str()));
                messages.push(data);
            }
        }
        (messages, end)
    }
}
