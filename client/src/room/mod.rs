//! A room: who is there, topics, calls and files. It survives its connections.

mod driver;
mod options;
mod roster;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use patchbay_protocol::{ChatLine, ClientRequest, Participant, ParticipantNumber, Reply, limit};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

pub use options::JoinOptions;
pub use roster::RoomEvent;

use crate::file::{self, Files};
use crate::rpc::{Call, MethodResult, Methods};
use crate::signaling::{self, Signaling, SignalingOptions};
use crate::topic::{Carrier, Topic, TopicOptions};
use crate::{ClientError, ServerClock};
use driver::{Driver, Order};
use roster::Roster;

/// How long leaving waits for what is still to be sent.
const FLUSH: Duration = Duration::from_secs(1);

/// A room. Clones are the same stay in it; it ends with the last of them, or with [`Room::leave`].
#[derive(Clone)]
pub struct Room {
    shared: Arc<Shared>,
    _stay: Arc<Stay>,
    events: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<RoomEvent>>>,
}

struct Shared {
    signaling: Signaling,
    clock: Arc<ServerClock>,
    methods: Methods,
    roster: Mutex<Roster>,
    topics: Mutex<BTreeMap<String, Carried>>,
    files: OnceLock<Files>,
    orders: mpsc::UnboundedSender<Order>,
}

/// Ends the stay when nobody holds the room any more.
struct Stay(Arc<Shared>);

impl Drop for Stay {
    fn drop(&mut self) {
        self.0.order(Order::Close);
        self.0.signaling.close();
    }
}

/// A topic and what carries it.
struct Carried {
    topic: Topic,
    carrier: Option<Carrier>,
}

impl Room {
    /// Joins a room of a server, such as `http://127.0.0.1:8080`, in one round trip.
    pub async fn join(server: &str, options: JoinOptions) -> Result<Self, ClientError> {
        let signaling_options = SignalingOptions {
            client: concat!("patchbay-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            token: options.token.clone(),
            patience: options.patience,
            resumes: true,
        };
        let (signaling, happenings) = signaling::connect(server, signaling_options).await?;
        let (orders, queue) = mpsc::unbounded_channel();
        let (told, events) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            signaling,
            clock: Arc::new(ServerClock::new()),
            methods: Methods::default(),
            roster: Mutex::default(),
            topics: Mutex::default(),
            files: OnceLock::new(),
            orders,
        });
        Driver::begin(server, options, Arc::clone(&shared), happenings, queue, told).await?;
        let stay = Arc::new(Stay(Arc::clone(&shared)));
        Ok(Self { shared, _stay: stay, events: Arc::new(tokio::sync::Mutex::new(events)) })
    }

    /// The own entry in the roster.
    pub fn own(&self) -> Option<Participant> {
        self.shared.roster().own.clone()
    }

    /// The own number. It changes with [`RoomEvent::Rejoined`].
    pub fn number(&self) -> ParticipantNumber {
        self.shared.roster().own.as_ref().map_or(ParticipantNumber(0), |own| own.number)
    }

    /// Everybody else, in the order of their coming.
    pub fn participants(&self) -> Vec<Participant> {
        self.shared.roster().participants()
    }

    /// What happens in the room. `None` once it is closed. Unread events wait, so read them now and then.
    pub async fn next_event(&self) -> Option<RoomEvent> {
        self.events.lock().await.recv().await
    }

    /// The server's clock, measured while a topic is open.
    pub fn clock(&self) -> &ServerClock {
        &self.shared.clock
    }

    /// The topic with a label. A second call gives the same one; its options are those of the first.
    pub fn topic(&self, label: &str, options: TopicOptions) -> Topic {
        let mut topics = self.shared.topics();
        if let Some(known) = topics.get(label).filter(|known| !known.topic.is_closed()) {
            return known.topic.clone();
        }
        let topic = Topic::new(label, options, Arc::clone(&self.shared.clock));
        topics.insert(label.to_owned(), Carried { topic: topic.clone(), carrier: None });
        drop(topics);
        self.shared.order(Order::Carry(label.to_owned()));
        topic
    }

    /// Files and other large things. The first use opens their topic.
    pub fn files(&self) -> Files {
        let open = || Files::new(self.topic(file::TOPIC, file::topic_options()));
        self.shared.files.get_or_init(open).clone()
    }

    /// Calls a method of another participant and waits for its answer.
    pub async fn call(
        &self,
        to: ParticipantNumber,
        method: &str,
        payload: &str,
        within: Duration,
    ) -> Result<String, ClientError> {
        if payload.len() > limit::RPC_BYTES {
            return Err(ClientError::TooLong { what: "the payload", most: limit::RPC_BYTES });
        }
        let request = ClientRequest::Rpc {
            to,
            method: method.to_owned(),
            payload: payload.to_owned(),
            timeout_ms: Some(u32::try_from(within.as_millis()).unwrap_or(u32::MAX)),
        };
        match self.shared.signaling.request(request).await? {
            Reply::RpcDone { payload } => Ok(payload),
            other => Err(ClientError::Unexpected(format!("{other:?}"))),
        }
    }

    /// Answers calls of a method from now on.
    pub fn handle<F, A>(&self, method: &str, answer: F)
    where
        F: Fn(Call) -> A + Send + Sync + 'static,
        A: Future<Output = MethodResult> + Send + 'static,
    {
        self.shared.methods.register(method, answer);
    }

    /// Writes to everybody. Returns the line as everybody gets it.
    pub async fn chat(&self, text: &str) -> Result<ChatLine, ClientError> {
        let message_id = Some(format!("{:016x}", rand::random::<u64>()));
        match self.shared.signaling.request(ClientRequest::Chat { text: text.to_owned(), message_id }).await?
        {
            Reply::Chatted { line } => Ok(line),
            other => Err(ClientError::Unexpected(format!("{other:?}"))),
        }
    }

    /// Makes any request of the client protocol.
    pub async fn request(&self, request: ClientRequest) -> Result<Reply, ClientError> {
        self.shared.signaling.request(request).await
    }

    /// The signaling session.
    pub fn signaling(&self) -> &Signaling {
        &self.shared.signaling
    }

    /// Leaves the room and closes everything. What was sent before is brought to the server, unless that takes a second.
    pub async fn leave(&self) {
        let _ = timeout(FLUSH, self.flush()).await;
        let _ = self.shared.signaling.request(ClientRequest::Leave {}).await;
        self.shared.order(Order::Close);
        self.shared.signaling.close();
    }
}

impl Room {
    async fn flush(&self) {
        let carried: Vec<_> = self
            .shared
            .topics()
            .values()
            .map(|carried| (carried.topic.clone(), carried.carrier.as_ref().and_then(Carrier::data_channel)))
            .collect();
        for (topic, channel) in carried {
            let outstanding = async || match &channel {
                Some(channel) => channel.outstanding_bytes().await.unwrap_or(0),
                None => 0,
            };
            while topic.has_unsent() || outstanding().await > 0 {
                sleep(FLUSH / 200).await;
            }
        }
    }
}

impl Shared {
    fn roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn topics(&self) -> MutexGuard<'_, BTreeMap<String, Carried>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }
}
