//! The link over a WebSocket, against a real server.

use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use patchbay_protocol::node::{Command, CommandResult, Event, NodeCommand, NodeEvent};
use patchbay_protocol::{CommandId, Epoch, ErrorCode, NODE_PROTOCOL, NodeName, RoomId, TrackId};
use patchbay_sfu::{DialError, Node, NodeConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};

const PATIENCE: Duration = Duration::from_secs(20);
const SECRET: &str = "a node secret";

struct Signaling {
    listener: TcpListener,
}

struct Connection {
    socket: WebSocketStream<TcpStream>,
}

impl Signaling {
    async fn start() -> Self {
        Self { listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a listener") }
    }

    fn url(&self) -> String {
        format!("ws://{}/v1/nodes", self.listener.local_addr().expect("bound"))
    }

    /// Takes the next connection. `None`: its secret was refused.
    async fn accept(&self, secret: &str) -> Option<Connection> {
        let (stream, _) =
            timeout(PATIENCE, self.listener.accept()).await.expect("in time").expect("accepted");
        let expected = format!("Bearer {secret}");
        #[allow(clippy::result_large_err)]
        let check = move |request: &Request, mut response: Response| {
            let header = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok());
            assert_eq!(request.uri().path(), "/v1/nodes");
            assert_eq!(header("sec-websocket-protocol"), Some(NODE_PROTOCOL));
            if header("authorization") != Some(&expected) {
                let mut refusal = ErrorResponse::new(None);
                *refusal.status_mut() = StatusCode::UNAUTHORIZED;
                return Err(refusal);
            }
            response.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(NODE_PROTOCOL));
            Ok(response)
        };
        let socket = tokio_tungstenite::accept_hdr_async(stream, check).await.ok()?;
        Some(Connection { socket })
    }
}

impl Connection {
    async fn event(&mut self) -> Event {
        let next = async {
            loop {
                if let Message::Text(text) = self.socket.next().await.expect("open").expect("a message") {
                    return serde_json::from_str(&text).expect("an event");
                }
            }
        };
        timeout(PATIENCE, next).await.expect("an event in time")
    }

    async fn hello(&mut self) -> (u64, Epoch) {
        match self.event().await {
            Event { seq, event: NodeEvent::Hello { node, epoch, version } } => {
                assert_eq!(node, NodeName::new("node"));
                assert!(!version.is_empty());
                (seq, epoch)
            }
            other => panic!("hello comes first, not {other:?}"),
        }
    }

    async fn send(&mut self, text: String) {
        self.socket.send(Message::text(text)).await.expect("sent");
    }

    async fn ask(&mut self, id: u64, command: NodeCommand) -> CommandResult {
        let command = Command { id: CommandId(id), epoch: Epoch(1), traceparent: None, command };
        self.send(serde_json::to_string(&command).expect("JSON")).await;
        self.answer(id).await
    }

    async fn answer(&mut self, id: u64) -> CommandResult {
        loop {
            if let NodeEvent::Done { command, result } = self.event().await.event {
                assert_eq!(command, CommandId(id));
                return result;
            }
        }
    }
}

fn node() -> Node {
    let config = NodeConfig {
        workers: Some(1),
        bind: vec![Ipv4Addr::LOCALHOST.into()],
        ..NodeConfig::new(NodeName::new("node"), 0)
    };
    Node::start(config).expect("started")
}

/// Runs `script` against a node that dials, then shuts the node down.
async fn with_node(signaling: &Signaling, script: impl Future<Output = ()>) {
    let node = node();
    let (cancel, cancelled) = oneshot::channel::<()>();
    let url = signaling.url();
    let dial = node.dial(&url, None, SECRET, async {
        let _ = cancelled.await;
    });
    let script = async {
        script.await;
        cancel.send(()).expect("still dialling");
    };
    let (outcome, ()) = tokio::join!(dial, script);
    outcome.expect("cancelled, not failed");
    node.shutdown().await;
}

#[tokio::test]
async fn introduces_itself_and_carries_commands_and_events() {
    let signaling = Signaling::start().await;
    with_node(&signaling, async {
        let mut connection = signaling.accept(SECRET).await.expect("the secret holds");
        assert_eq!(connection.hello().await.0, 1);
        let CommandResult::Synced { state } = connection.ask(1, NodeCommand::Sync {}).await else {
            panic!("not synced")
        };
        assert!(state.rooms.is_empty());
        let refused = connection
            .ask(2, NodeCommand::SetMuted { room: RoomId(1), track: TrackId(1), muted: true })
            .await;
        assert!(matches!(refused, CommandResult::Failed { error } if error.code == ErrorCode::UnknownRoom));
    })
    .await;
}

#[tokio::test]
async fn comes_back_with_the_same_epoch_and_a_gap_in_the_numbers_and_remembers_its_answers() {
    let signaling = Signaling::start().await;
    with_node(&signaling, async {
        let mut connection = signaling.accept(SECRET).await.expect("the secret holds");
        let (_, epoch) = connection.hello().await;
        let close = NodeCommand::CloseRoom { room: RoomId(1) };
        assert_eq!(connection.ask(1, close.clone()).await, CommandResult::Done {});
        // Carried out; signaling is gone before it has made anything of the answer.
        let mute = NodeCommand::SetMuted { room: RoomId(9), track: TrackId(1), muted: true };
        let lost = Command { id: CommandId(2), epoch: Epoch(1), traceparent: None, command: mute };
        connection.send(serde_json::to_string(&lost).expect("JSON")).await;
        let seq = loop {
            let Event { seq, event } = connection.event().await;
            if matches!(event, NodeEvent::Done { command: CommandId(2), .. }) {
                break seq;
            }
        };
        drop(connection);

        let mut connection = signaling.accept(SECRET).await.expect("the secret holds");
        let (hello_seq, hello_epoch) = connection.hello().await;
        assert_eq!(hello_epoch, epoch, "the same life");
        assert!(hello_seq > seq, "numbers never start over");
        let again = connection.ask(2, NodeCommand::CloseRoom { room: RoomId(9) }).await;
        assert!(
            matches!(&again, CommandResult::Failed { error } if error.code == ErrorCode::UnknownRoom),
            "the first answer, not a new one: {again:?}"
        );
        assert!(matches!(connection.ask(3, NodeCommand::Sync {}).await, CommandResult::Synced { .. }));
    })
    .await;
}

#[tokio::test]
async fn keeps_trying_when_the_secret_is_refused() {
    let signaling = Signaling::start().await;
    with_node(&signaling, async {
        assert!(signaling.accept("another secret").await.is_none());
        assert!(signaling.accept("another secret").await.is_none());
        let mut connection = signaling.accept(SECRET).await.expect("the secret holds now");
        connection.hello().await;
    })
    .await;
}

#[tokio::test]
async fn a_command_it_does_not_know_is_answered_and_the_link_goes_on() {
    let signaling = Signaling::start().await;
    with_node(&signaling, async {
        let mut connection = signaling.accept(SECRET).await.expect("the secret holds");
        connection.hello().await;
        connection.send(r#"{"id":5,"epoch":1,"type":"levitate"}"#.into()).await;
        let refused = connection.answer(5).await;
        assert!(
            matches!(refused, CommandResult::Failed { error } if error.code == ErrorCode::MalformedMessage)
        );
        assert!(matches!(connection.ask(6, NodeCommand::Sync {}).await, CommandResult::Synced { .. }));

        connection.send("not even JSON".into()).await;
        let mut connection = signaling.accept(SECRET).await.expect("it came back");
        connection.hello().await;
    })
    .await;
}

#[tokio::test]
async fn urls_that_can_never_work_are_refused_at_once() {
    let node = node();
    for url in ["", "host:8080", "http://host/v1/nodes", "ws://"] {
        let outcome = node.dial(url, None, SECRET, std::future::pending()).await;
        assert!(matches!(outcome, Err(DialError::Url { .. })), "{url:?}: {outcome:?}");
    }
    let outcome = node.dial("wss://host/v1/nodes", Some(b"nothing"), SECRET, std::future::pending()).await;
    assert!(matches!(outcome, Err(DialError::Authorities(_))), "{outcome:?}");
    let outcome = node.dial("ws://127.0.0.1:1/v1/nodes", None, "line\nbreak", std::future::pending()).await;
    assert!(matches!(outcome, Err(DialError::Secret)), "{outcome:?}");
    node.shutdown().await;
}
