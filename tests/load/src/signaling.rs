//! Joining a room: WebSocket, `hello`, `join`, switching slots, and heartbeats for as long as the run takes.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use patchbay_protocol::{
    ClientMessage, ClientRequest, Description, Joined, Mid, PROTOCOL_VERSION, PublicationOffer, Reply,
    RequestId, RoomName, ServerEvent, ServerMessage, SlotOffer, SlotSource, Source, WEBSOCKET_PROTOCOL,
    limit,
};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{interval, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

const PATIENCE: Duration = Duration::from_secs(20);

/// Signaling of all peers, on a thread of its own.
pub(crate) struct Signaling {
    runtime: Runtime,
    url: String,
}

/// One peer's connection. It is closed when this is dropped.
pub(crate) struct Connection {
    requests: mpsc::UnboundedSender<Asked>,
}

type Asked = (ClientRequest, oneshot::Sender<Result<Reply, String>>);

/// What a peer joins with.
pub(crate) struct Join {
    pub(crate) room: String,
    pub(crate) identity: String,
    pub(crate) sdp: String,
    pub(crate) publication: Option<String>,
    pub(crate) slots: Vec<(String, Option<SlotSource>)>,
}

impl Signaling {
    pub(crate) fn new(url: &str) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let url = format!("{}/v1/ws", url.replacen("http", "ws", 1).trim_end_matches('/'));
        Ok(Self { runtime, url })
    }

    /// Joins and waits for the answer.
    pub(crate) fn join(&self, join: Join) -> Result<(Connection, Joined), String> {
        self.runtime.block_on(async {
            let mut request = self.url.as_str().into_client_request().map_err(|error| error.to_string())?;
            let protocol = HeaderValue::from_static(WEBSOCKET_PROTOCOL);
            request.headers_mut().insert("sec-websocket-protocol", protocol);
            let (socket, _) = timeout(PATIENCE, connect_async_with_config(request, None, true))
                .await
                .map_err(|_| format!("{} does not answer", self.url))?
                .map_err(|error| format!("{}: {error}", self.url))?;
            let (requests, asked) = mpsc::unbounded_channel();
            tokio::spawn(serve(socket, asked));
            let connection = Connection { requests };
            let hello = ClientRequest::Hello {
                version: PROTOCOL_VERSION,
                client: Some("patchbay-load".into()),
                resume: None,
            };
            connection.ask(hello).await?;
            let publications = join.publication.into_iter().map(|mid| PublicationOffer {
                mid: Mid::new(mid),
                source: Source::Camera,
                muted: false,
            });
            let slots = join.slots.into_iter().map(|(mid, source)| SlotOffer {
                mid: Mid::new(mid),
                source,
                group: None,
            });
            let reply = connection
                .ask(ClientRequest::Join {
                    room: RoomName::new(join.room),
                    identity: Some(join.identity),
                    name: None,
                    metadata: None,
                    offer: Some(Description {
                        sdp: join.sdp,
                        publications: publications.collect(),
                        slots: slots.collect(),
                        channels: Vec::new(),
                    }),
                })
                .await?;
            match reply {
                Reply::Joined(joined) => Ok((connection, *joined)),
                other => Err(format!("join was answered by {other:?}")),
            }
        })
    }

    /// Leaves the room. A server that no longer listens is as good.
    pub(crate) fn leave(&self, connection: &Connection) {
        let _ = self.runtime.block_on(connection.ask(ClientRequest::Leave {}));
    }

    /// Switches a slot.
    pub(crate) fn set_slot(
        &self,
        connection: &Connection,
        mid: &str,
        source: SlotSource,
    ) -> Result<(), String> {
        let request = ClientRequest::Slot { mid: Mid::new(mid), source: Some(source) };
        self.runtime.block_on(connection.ask(request)).map(drop)
    }
}

impl Connection {
    async fn ask(&self, request: ClientRequest) -> Result<Reply, String> {
        let (reply, replied) = oneshot::channel();
        let closed = || "signaling closed the connection".to_owned();
        self.requests.send((request, reply)).map_err(|_| closed())?;
        match timeout(PATIENCE, replied).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) => Err(closed()),
            Err(_) => Err("signaling does not reply".into()),
        }
    }
}

async fn serve(
    mut socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    mut asked: mpsc::UnboundedReceiver<Asked>,
) -> Option<()> {
    let mut waiting: Vec<(RequestId, oneshot::Sender<Result<Reply, String>>)> = Vec::new();
    let mut heartbeat = interval(limit::HEARTBEAT_INTERVAL);
    let mut last_id = 0;
    let mut taken = None;
    loop {
        let request = tokio::select! {
            request = asked.recv() => {
                let Some((request, reply)) = request else { break };
                waiting.push((RequestId(last_id + 1), reply));
                request
            }
            _ = heartbeat.tick(), if last_id > 0 => ClientRequest::Ping {},
            message = socket.next() => {
                let Message::Text(text) = message?.ok()? else { continue };
                let ServerMessage { seq, event } = serde_json::from_str(&text).ok()?;
                taken = taken.max(Some(seq).filter(|seq| *seq > 0));
                let (id, result) = match event {
                    ServerEvent::Ok { id, result } => (id, Ok(result)),
                    ServerEvent::Error { id: Some(id), error } => (id, Err(error.to_string())),
                    _ => continue,
                };
                if let Some(at) = waiting.iter().position(|(waiting, _)| *waiting == id) {
                    // Whoever asked may have lost patience.
                    let _ = waiting.swap_remove(at).1.send(result);
                }
                continue;
            }
        };
        last_id += 1;
        let text =
            serde_json::to_string(&ClientMessage { ack: taken, id: RequestId(last_id), request }).ok()?;
        socket.send(Message::text(text)).await.ok()?;
    }
    socket.close(None).await.ok()
}
