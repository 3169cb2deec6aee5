//! The signaling connection: requests with one reply each, and what happens in between. It survives the WebSockets it uses.

mod session;
mod socket;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use patchbay_protocol::{ClientRequest, Joined, ProtocolError, Reply, RequestId, ServerEvent};
use tokio::sync::{mpsc, oneshot};

use crate::ClientError;

/// How signaling behaves.
#[derive(Debug, Clone)]
pub struct SignalingOptions {
    /// What the server's log calls this client, such as `my-game/1.2`.
    pub client: String,
    /// A JWT, where the server asks for one.
    pub token: Option<String>,
    /// How long a reply may take, and a WebSocket to open.
    pub patience: Duration,
    /// Whether a lost connection is made anew and the session resumed. Otherwise everything ends with the connection.
    pub resumes: bool,
}

/// What happens besides replies.
#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    /// The server says something.
    Event(ServerEvent),
    /// The connection is gone; another one is being made.
    Interrupted,
    /// The session goes on with another connection. After a restart of the server, with the room as it is now.
    Resumed(Option<Box<Joined>>),
    /// The session is gone, and a new one has begun: a join is needed. What waited for a reply was refused.
    Renewed,
}

/// One session with signaling. Clones share it. It ends with [`Signaling::close`].
#[derive(Debug, Clone)]
pub struct Signaling {
    orders: mpsc::UnboundedSender<Order>,
    next_id: Arc<AtomicU32>,
    /// How many sessions there were before this one.
    life: Arc<AtomicU64>,
    patience: Duration,
}

/// What the connection's task is told to do.
#[derive(Debug)]
enum Order {
    Ask {
        id: RequestId,
        request: ClientRequest,
        reply: oneshot::Sender<Result<Reply, ProtocolError>>,
    },
    Text(String),
    /// For tests: the WebSocket breaks.
    Cut,
    Close,
}

/// Opens `/v1/ws` of a server, such as `http://127.0.0.1:8080`, and greets it. What happens ends when it does.
pub async fn connect(
    server: &str,
    options: SignalingOptions,
) -> Result<(Signaling, mpsc::UnboundedReceiver<Happening>), ClientError> {
    let url = format!("{}/v1/ws", server.replacen("http", "ws", 1).trim_end_matches('/'));
    let patience = options.patience;
    let (orders, queue) = mpsc::unbounded_channel();
    let (happenings, incoming) = mpsc::unbounded_channel();
    let life = Arc::new(AtomicU64::new(0));
    session::begin(url, options, queue, happenings, Arc::clone(&life)).await?;
    let next_id = Arc::new(AtomicU32::new(session::FIRST_ID));
    Ok((Signaling { orders, next_id, life, patience }, incoming))
}

impl Signaling {
    /// Sends a request and waits for its one reply. While the connection is away it waits for the next one.
    pub async fn request(&self, request: ClientRequest) -> Result<Reply, ClientError> {
        let id = RequestId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let (reply, replied) = oneshot::channel();
        self.order(Order::Ask { id, request, reply })?;
        match tokio::time::timeout(self.patience, replied).await {
            Ok(Ok(reply)) => Ok(reply?),
            Ok(Err(_)) => Err(ClientError::Connection("closed before the reply came".to_owned())),
            Err(_) => Err(ClientError::Timeout { what: "a reply".to_owned(), waited: self.patience }),
        }
    }

    /// Which session it is: the number of those before.
    pub(crate) fn life(&self) -> u64 {
        self.life.load(Ordering::Acquire)
    }

    /// Sends a text as it is, which may be anything.
    pub fn send_text(&self, text: String) -> Result<(), ClientError> {
        self.order(Order::Text(text))
    }

    /// Breaks the WebSocket without a word, as a network does.
    pub fn cut(&self) {
        let _ = self.order(Order::Cut);
    }

    /// Closes the connection without leaving the room.
    pub fn close(&self) {
        let _ = self.order(Order::Close);
    }

    fn order(&self, order: Order) -> Result<(), ClientError> {
        self.orders.send(order).map_err(|_| ClientError::Connection("signaling is closed".to_owned()))
    }
}
