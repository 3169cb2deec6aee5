//! The task of a room: it joins, keeps topics on the best way there is, and begins anew when a stay is over.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use patchbay_protocol::{
    ClientRequest, ErrorCode, Joined, LeaveReason, Reply, RoomName, ServerEvent, TransportState,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, interval, sleep, sleep_until};

use super::{JoinOptions, RoomEvent, Shared};
use crate::rpc::Call;
use crate::signaling::Happening;
use crate::topic::Carrier;
use crate::transport::{PathState, Transport, bind_for};
use crate::{ClientError, Topic};

/// A transport that is not connected after this is helped out by signaling.
const FALLBACK_AFTER: Duration = Duration::from_secs(3);
/// How often the server's clock is measured.
const PING: Duration = Duration::from_secs(2);
/// How often subscriptions are looked at that may be lost.
const SUBSCRIPTIONS: Duration = Duration::from_millis(250);
/// Between a topic that lost its carrier and the next try.
const RETRY: Duration = Duration::from_secs(1);
/// Between a transport that is lost for good and the next one; it doubles up to the last.
const RENEW_FIRST: Duration = Duration::from_secs(10);
const RENEW_LAST: Duration = Duration::from_secs(120);
/// The last wait between two tries to join again.
const REJOIN_LAST: Duration = Duration::from_secs(15);

/// What the room's task is told.
#[derive(Debug)]
pub(super) enum Order {
    /// A topic wants a carrier: it is new, or lost the one it had.
    Carry(String),
    Close,
}

pub(super) struct Driver {
    options: JoinOptions,
    bind: IpAddr,
    shared: Arc<Shared>,
    told: mpsc::UnboundedSender<RoomEvent>,
    transport: Option<Transport>,
    path: watch::Receiver<PathState>,
    /// Keeps `path` alive while there is no transport.
    no_path: watch::Sender<PathState>,
    fallback_due: Option<Instant>,
    /// When another transport is tried in place of a lost one, and what the wait after that is.
    renewal_due: Option<Instant>,
    renewal_wait: Duration,
    /// The session that was joined in.
    life: u64,
}

impl Driver {
    /// Joins, and goes on in a task of its own.
    pub(super) async fn begin(
        server: &str,
        options: JoinOptions,
        shared: Arc<Shared>,
        happenings: mpsc::UnboundedReceiver<Happening>,
        orders: mpsc::UnboundedReceiver<Order>,
        told: mpsc::UnboundedSender<RoomEvent>,
    ) -> Result<(), ClientError> {
        let bind = options.bind.unwrap_or_else(|| bind_for(server));
        let (no_path, path) = watch::channel(PathState::Failed);
        let mut driver = Self {
            options,
            bind,
            shared,
            told,
            transport: None,
            path,
            no_path,
            fallback_due: None,
            renewal_due: None,
            renewal_wait: RENEW_FIRST,
            life: 0,
        };
        loop {
            match driver.join().await {
                Ok(_) => break,
                // The server was restarted right then; there is another session.
                Err(ClientError::Refused(error)) if error.code == ErrorCode::SessionGone => {}
                Err(error) => {
                    driver.shared.signaling.close();
                    return Err(error);
                }
            }
        }
        tokio::spawn(driver.run(happenings, orders));
        Ok(())
    }

    /// One stay begins: a new transport, the offer within the join.
    async fn join(&mut self) -> Result<Vec<RoomEvent>, ClientError> {
        self.end_transport().await;
        let transport = if self.options.datagrams { Some(Transport::open(self.bind).await?) } else { None };
        let offered = match &transport {
            Some(transport) => Some(transport.offer().await?),
            None => None,
        };
        let (offer, description) =
            offered.map_or((None, None), |(offer, description)| (Some(offer), Some(description)));
        let join = ClientRequest::Join {
            room: RoomName::new(self.options.room.as_str()),
            identity: self.options.identity.clone(),
            name: self.options.name.clone(),
            metadata: self.options.metadata.clone(),
            offer: description,
        };
        self.life = self.shared.signaling.life();
        let Reply::Joined(joined) = self.shared.signaling.request(join).await? else {
            return Err(ClientError::Unexpected("a join that is not answered by joined".to_owned()));
        };
        // A rejoin is the same participant.
        self.options.identity = Some(joined.participant.identity.clone());
        if let (Some(transport), Some(offer), Some(answer)) = (transport, offer, &joined.answer) {
            transport.accept(offer, answer.sdp.clone(), joined.ice_servers.clone()).await?;
            self.path = transport.state();
            self.transport = Some(transport);
            self.fallback_due = Some(Instant::now() + FALLBACK_AFTER);
            self.renewal_wait = RENEW_FIRST;
        } else {
            self.fallback_due = Some(Instant::now());
        }
        Ok(self.reset(&joined))
    }

    fn reset(&self, joined: &Joined) -> Vec<RoomEvent> {
        self.shared.roster().reset(joined)
    }

    async fn run(
        mut self,
        mut happenings: mpsc::UnboundedReceiver<Happening>,
        mut orders: mpsc::UnboundedReceiver<Order>,
    ) {
        let mut pings = interval(PING);
        let mut subscriptions = interval(SUBSCRIPTIONS);
        let end = loop {
            let (due, renewal) = (self.fallback_due, self.renewal_due);
            tokio::select! {
                happening = happenings.recv() => match happening {
                    Some(happening) => {
                        if let Err(reason) = self.take(happening).await {
                            break Some(reason);
                        }
                    }
                    None => break Some("the connection to the server is gone for good".to_owned()),
                },
                order = orders.recv() => match order {
                    Some(Order::Carry(label)) => self.carry(&label).await,
                    Some(Order::Close) | None => break None,
                },
                changed = self.path.changed() => {
                    if changed.is_err() {
                        self.path = self.no_path.subscribe();
                    }
                    self.path_changed().await;
                }
                () = async { sleep_until(due.unwrap_or_else(Instant::now)).await }, if due.is_some() => {
                    self.fallback_due = None;
                    self.help_out().await;
                }
                () = async { sleep_until(renewal.unwrap_or_else(Instant::now)).await }, if renewal.is_some() => {
                    self.renewal_due = None;
                    self.renew().await;
                }
                _ = pings.tick() => self.measure(),
                _ = subscriptions.tick() => {
                    self.shared.topics().values().for_each(|carried| carried.topic.subscribe_again());
                }
            }
        };
        self.end_transport().await;
        for carried in self.shared.topics().values() {
            carried.topic.close();
        }
        if let Some(reason) = end {
            self.shared.signaling.close();
            self.tell(RoomEvent::Closed(reason));
        }
    }

    /// One thing that happened. An error ends the room.
    async fn take(&mut self, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::Interrupted => self.tell(RoomEvent::Interrupted),
            Happening::Resumed(snapshot) => {
                if let Some(joined) = snapshot {
                    let events = self.reset(&joined);
                    events.into_iter().for_each(|event| self.tell(event));
                    // Topics over signaling are opened anew, and what the server may still hold of them is closed.
                    self.drop_fallbacks();
                    self.fallback_due = Some(Instant::now());
                }
                self.tell(RoomEvent::Resumed);
            }
            // Unless a join has found out already.
            Happening::Renewed if self.life == self.shared.signaling.life() => {}
            Happening::Renewed => return self.rejoin().await,
            Happening::Event(ServerEvent::Left { reason }) => {
                return match reason {
                    LeaveReason::TransportLost
                    | LeaveReason::NodeLost
                    | LeaveReason::ConnectionLost
                    | LeaveReason::Shutdown => self.rejoin().await,
                    other => Err(format!("the server ended the stay: {other:?}")),
                };
            }
            Happening::Event(event) => self.hear(event).await,
        }
        Ok(())
    }

    async fn hear(&mut self, event: ServerEvent) {
        match event {
            ServerEvent::Topic { channel, messages } => {
                let topics = self.shared.topics();
                let mut carriers = topics.values().filter_map(|carried| carried.carrier.as_ref());
                if !carriers.any(|carrier| carrier.deliver(channel, &messages)) {
                    tracing::debug!(channel, "messages for a topic that is not open");
                }
            }
            ServerEvent::TopicClosed { channel, .. } => {
                let mut lost = Vec::new();
                for (label, carried) in self.shared.topics().iter_mut() {
                    if carried.carrier.as_mut().is_some_and(|carrier| carrier.end_fallback(channel)) {
                        carried.carrier = None;
                        carried.topic.lose();
                        lost.push(label.clone());
                    }
                }
                lost.into_iter().for_each(|label| self.later(label));
            }
            ServerEvent::RpcRequest { call, from, method, payload, timeout_ms } => {
                let within = Duration::from_millis(timeout_ms.into());
                let signaling = self.shared.signaling.clone();
                self.shared.methods.answer(signaling, call, method, Call { from, payload }, within);
            }
            ServerEvent::Transport { state: TransportState::Failed { .. } } => self.lose_transport().await,
            event => {
                if let (ServerEvent::ParticipantLeft { participant, .. }, Some(files)) =
                    (&event, self.shared.files.get())
                {
                    files.forget(*participant);
                }
                let told = self.shared.roster().apply(event);
                if let Some(told) = told {
                    self.tell(told);
                }
            }
        }
    }

    /// The stay is over: joins again, until it works or makes no sense.
    async fn rejoin(&mut self) -> Result<(), String> {
        let mut ceiling = Duration::from_millis(500);
        loop {
            match self.join().await {
                Ok(events) => {
                    self.tell(RoomEvent::Rejoined);
                    events.into_iter().for_each(|event| self.tell(event));
                    let labels: Vec<String> = self.shared.topics().keys().cloned().collect();
                    for label in labels {
                        self.carry(&label).await;
                    }
                    return Ok(());
                }
                Err(ClientError::Refused(error)) => match error.retry_after_ms {
                    Some(wait) => sleep(Duration::from_millis(wait)).await,
                    None if matches!(
                        error.code,
                        ErrorCode::NoNode | ErrorCode::Overloaded | ErrorCode::SessionGone
                    ) =>
                    {
                        sleep(ceiling.mul_f64(rand::random())).await;
                    }
                    None => return Err(error.to_string()),
                },
                Err(ClientError::Timeout { .. } | ClientError::Webrtc(_)) => {
                    sleep(ceiling.mul_f64(rand::random())).await;
                }
                Err(error) => return Err(error.to_string()),
            }
            ceiling = (ceiling * 2).min(REJOIN_LAST);
        }
    }

    /// There is no path any more. Topics go over signaling, until another transport finds one.
    async fn lose_transport(&mut self) {
        if self.transport.is_none() {
            return;
        }
        self.end_transport().await;
        self.fallback_due = Some(Instant::now());
        self.renewal_due = Some(Instant::now() + self.renewal_wait);
        self.renewal_wait = (self.renewal_wait * 2).min(RENEW_LAST);
    }

    /// Another transport in the same stay.
    async fn renew(&mut self) {
        match self.offer().await {
            Ok(()) => {
                let labels: Vec<String> = self.shared.topics().keys().cloned().collect();
                for label in labels {
                    self.carry(&label).await;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "no other transport");
                self.renewal_due = Some(Instant::now() + self.renewal_wait);
                self.renewal_wait = (self.renewal_wait * 2).min(RENEW_LAST);
            }
        }
    }

    async fn offer(&mut self) -> Result<(), ClientError> {
        let transport = Transport::open(self.bind).await?;
        let (offer, description) = transport.offer().await?;
        let request = ClientRequest::Offer { offer: description };
        let Reply::Answered(answer) = self.shared.signaling.request(request).await? else {
            return Err(ClientError::Unexpected("an offer that is not answered by answered".to_owned()));
        };
        transport.accept(offer, answer.sdp, Vec::new()).await?;
        self.path = transport.state();
        self.transport = Some(transport);
        Ok(())
    }

    /// Gives a topic a data channel, or leaves it to signaling where there is no transport.
    async fn carry(&mut self, label: &str) {
        let Some(topic) = self.topic(label) else { return };
        let Some(transport) = &self.transport else { return self.carry_by_signaling(&topic).await };
        match transport.channel(label, topic.options()).await {
            Ok(channel) => {
                let lost = self.when_lost(label);
                if let Some(carried) = self.shared.topics().get_mut(label) {
                    let before = carried.carrier.take();
                    carried.carrier = Some(Carrier::channel(topic, channel, before, lost));
                }
            }
            Err(error) => {
                tracing::debug!(%error, label, "no data channel");
                self.carry_by_signaling(&topic).await;
            }
        }
    }

    async fn carry_by_signaling(&mut self, topic: &Topic) {
        let signaling = self.shared.signaling.clone();
        let label = topic.label();
        match Carrier::fallback(topic.clone(), signaling, self.when_lost(label)).await {
            Ok(carrier) => {
                if let Some(carried) = self.shared.topics().get_mut(label) {
                    carried.carrier = Some(carrier);
                }
            }
            Err(error) => {
                tracing::debug!(%error, label, "no topic over signaling");
                self.later(label.to_owned());
            }
        }
    }

    /// Puts on signaling what no channel carries by now.
    async fn help_out(&mut self) {
        if self.is_connected() {
            return;
        }
        let waiting: Vec<Topic> = self
            .shared
            .topics()
            .values()
            .filter(|carried| !carried.topic.is_closed() && !carried.topic.is_open())
            .map(|carried| carried.topic.clone())
            .collect();
        for topic in waiting {
            self.carry_by_signaling(&topic).await;
        }
    }

    async fn path_changed(&mut self) {
        if *self.path.borrow() == PathState::Failed {
            return self.lose_transport().await;
        }
        if !self.is_connected() {
            return;
        }
        self.fallback_due = None;
        self.renewal_wait = RENEW_FIRST;
        let fallbacks: Vec<String> = self
            .shared
            .topics()
            .iter()
            .filter(|(_, carried)| carried.carrier.as_ref().is_some_and(Carrier::is_fallback))
            .map(|(label, _)| label.clone())
            .collect();
        for label in fallbacks {
            self.carry(&label).await;
        }
    }

    fn is_connected(&self) -> bool {
        self.transport.is_some() && *self.path.borrow() == PathState::Connected
    }

    fn measure(&self) {
        let topics = self.shared.topics();
        let open = || topics.values().map(|carried| &carried.topic).filter(|topic| topic.is_open());
        // A channel that may drop measures best.
        if let Some(topic) = open().find(|topic| !topic.options().is_reliable()).or_else(|| open().next()) {
            topic.ping();
        }
    }

    fn drop_fallbacks(&self) {
        for carried in self.shared.topics().values_mut() {
            if let Some(channel) = carried.carrier.as_ref().and_then(Carrier::fallback_channel) {
                carried.carrier = None;
                carried.topic.lose();
                let signaling = self.shared.signaling.clone();
                tokio::spawn(async move { signaling.request(ClientRequest::TopicClose { channel }).await });
            }
        }
    }

    async fn end_transport(&mut self) {
        for carried in self.shared.topics().values_mut() {
            if carried.carrier.as_ref().is_some_and(|it| !it.is_fallback()) {
                carried.carrier = None;
                carried.topic.lose();
            }
        }
        if let Some(transport) = self.transport.take() {
            transport.close().await;
        }
        self.renewal_due = None;
        self.path = self.no_path.subscribe();
    }

    fn topic(&self, label: &str) -> Option<Topic> {
        let topics = self.shared.topics();
        topics.get(label).map(|carried| carried.topic.clone()).filter(|topic| !topic.is_closed())
    }

    fn when_lost(&self, label: &str) -> impl FnOnce() + Send + 'static {
        let (shared, label) = (Arc::downgrade(&self.shared), label.to_owned());
        move || {
            tokio::spawn(async move {
                sleep(RETRY).await;
                if let Some(shared) = shared.upgrade() {
                    shared.order(Order::Carry(label));
                }
            });
        }
    }

    fn later(&self, label: String) {
        self.when_lost(&label)();
    }

    fn tell(&self, event: RoomEvent) {
        let _ = self.told.send(event);
    }
}
