//! A client on a real WebSocket, which speaks whatever the test wants.

use std::collections::VecDeque;
use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{PATIENCE, TestServer};

/// How to connect.
#[derive(Default)]
pub(crate) struct Connect<'a> {
    pub(crate) origin: Option<&'a str>,
    pub(crate) host: Option<&'a str>,
    /// The subprotocol list; `patchbay.v1` when nothing is said.
    pub(crate) protocols: Option<&'a str>,
    pub(crate) token: Option<&'a str>,
    pub(crate) bearer: Option<&'a str>,
    pub(crate) path: Option<&'a str>,
}

/// One connection.
pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Events that came while a reply was awaited.
    events: VecDeque<Value>,
    next_id: u32,
    last_seq: u64,
}

impl Client {
    /// Connects, or returns the status that the server refused with.
    pub(crate) async fn try_connect(server: &TestServer, connect: Connect<'_>) -> Result<Self, u16> {
        Self::try_connect_to(server.address, connect).await
    }

    async fn try_connect_to(address: SocketAddr, connect: Connect<'_>) -> Result<Self, u16> {
        let path = connect.path.unwrap_or("/v1/ws");
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        let headers = request.headers_mut();
        let protocols = match (connect.protocols, connect.token) {
            (Some(protocols), _) => protocols.to_owned(),
            (None, Some(token)) => format!("patchbay.v1, bearer.{token}"),
            (None, None) => "patchbay.v1".to_owned(),
        };
        if !protocols.is_empty() {
            headers.insert("sec-websocket-protocol", protocols.parse().unwrap());
        }
        if let Some(origin) = connect.origin {
            headers.insert("origin", origin.parse().unwrap());
        }
        if let Some(host) = connect.host {
            headers.insert("host", host.parse().unwrap());
        }
        if let Some(bearer) = connect.bearer {
            headers.insert("authorization", format!("Bearer {bearer}").parse().unwrap());
        }
        match timeout(PATIENCE, connect_async(request)).await.expect("the server should answer") {
            Ok((socket, _)) => Ok(Self { socket, events: VecDeque::new(), next_id: 1, last_seq: 0 }),
            Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Connects to a server that takes anybody.
    pub(crate) async fn connect(server: &TestServer) -> Self {
        Self::try_connect(server, Connect::default()).await.unwrap()
    }

    /// The same, by the server's address.
    pub(crate) async fn connect_to(address: SocketAddr) -> Self {
        Self::try_connect_to(address, Connect::default()).await.unwrap()
    }

    /// Connects, says hello and joins without media.
    pub(crate) async fn join(server: &TestServer, room: &str, identity: &str) -> (Self, Value) {
        let mut client = Self::connect(server).await;
        client.hello().await;
        let joined = client.ok(json!({"type": "join", "room": room, "identity": identity})).await;
        (client, joined)
    }

    /// Says hello.
    pub(crate) async fn hello(&mut self) {
        self.ok(json!({"type": "hello", "version": 1})).await;
    }

    /// Sends any text.
    pub(crate) async fn send_text(&mut self, text: impl Into<String>) {
        self.socket.send(Message::text(text.into())).await.unwrap();
    }

    /// Sends a request with the next id, and returns the id.
    pub(crate) async fn send(&mut self, mut request: Value) -> u32 {
        let id = self.next_id;
        self.next_id += 1;
        request["id"] = json!(id);
        self.send_text(request.to_string()).await;
        id
    }

    /// Sends a request and returns its reply.
    pub(crate) async fn request(&mut self, request: Value) -> Value {
        let id = self.send(request).await;
        self.reply(id).await
    }

    /// The reply to a request; events that come first are kept.
    pub(crate) async fn reply(&mut self, id: u32) -> Value {
        loop {
            let message = self.read().await;
            if message["id"] == json!(id) {
                return message;
            }
            self.events.push_back(message);
        }
    }

    /// The result of a request that must be carried out.
    pub(crate) async fn ok(&mut self, request: Value) -> Value {
        let reply = self.request(request.clone()).await;
        assert_eq!(reply["type"], "ok", "{request} was refused: {reply}");
        reply["result"].clone()
    }

    /// The code of a request that must be refused.
    pub(crate) async fn refusal(&mut self, request: Value) -> String {
        let reply = self.request(request.clone()).await;
        assert_eq!(reply["type"], "error", "{request} was carried out: {reply}");
        reply["code"].as_str().unwrap().to_owned()
    }

    /// The next message that is no reply awaited by anybody.
    pub(crate) async fn next(&mut self) -> Value {
        match self.events.pop_front() {
            Some(event) => event,
            None => self.read().await,
        }
    }

    /// The next event of a type; others are skipped.
    pub(crate) async fn event(&mut self, kind: &str) -> Value {
        loop {
            let event = self.next().await;
            if event["type"] == kind {
                return event;
            }
        }
    }

    /// The next message; its number must follow the last one's.
    pub(crate) async fn read(&mut self) -> Value {
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.expect("a message should come");
            match message.expect("the connection should be open").expect("the connection should hold") {
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    // What is said before a session begins stands outside the numbering.
                    if message["seq"] == json!(0) {
                        return message;
                    }
                    assert_eq!(
                        message["seq"],
                        json!(self.last_seq + 1),
                        "messages are numbered without gaps"
                    );
                    self.last_seq += 1;
                    return message;
                }
                Message::Close(frame) => panic!("closed: {frame:?}"),
                _ => {}
            }
        }
    }

    /// Reads to the end and returns the close code, and the messages before it.
    pub(crate) async fn close_code(&mut self) -> (u16, Vec<Value>) {
        let mut messages = Vec::new();
        let read = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Close(Some(frame)))) => return u16::from(frame.code),
                    Some(Ok(Message::Text(text))) => messages.push(serde_json::from_str(&text).unwrap()),
                    Some(Ok(_)) => {}
                    other => panic!("the connection ended without a close code: {other:?}"),
                }
            }
        };
        let code = timeout(PATIENCE * 2, read).await.expect("the server should close");
        (code, messages)
    }

    /// Ends the connection without a word.
    pub(crate) fn drop_connection(self) {
        drop(self.socket);
    }
}
