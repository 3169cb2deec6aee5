//! Ways on which a topic's messages travel: a data channel, or the signaling connection. A carrier is a task; dropping it
//! ends it.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use patchbay_protocol::{ClientRequest, ErrorCode, Reply};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use webrtc::data_channel::{DataChannel, DataChannelEvent};

use super::Topic;
use crate::{ClientError, Signaling, transport};

/// Data channel messages in one request over signaling, and their bytes.
const BATCH_MESSAGES: usize = 64;
const BATCH_BYTES: usize = 192 * 1024;
/// How long a new carrier waits for what the one before still brings.
const HANDOVER: Duration = Duration::from_secs(3);

/// What carries a topic now.
#[derive(Debug)]
pub(crate) struct Carrier {
    task: JoinHandle<()>,
    way: Way,
}

enum Way {
    /// A data channel, and the fallback that it takes over from, until that has brought everything.
    Channel { channel: Arc<dyn DataChannel>, before: Option<Fallback> },
    /// The signaling connection.
    Signaling(Fallback),
}

impl std::fmt::Debug for Way {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(if matches!(self, Self::Channel { .. }) { "Channel" } else { "Signaling" })
    }
}

#[derive(Debug, Clone)]
struct Fallback {
    channel: u16,
    /// Where its messages go. It ends when all have come.
    incoming: mpsc::UnboundedSender<Vec<String>>,
    /// Another carrier takes over.
    is_leaving: Arc<Notify>,
}

impl Carrier {
    /// A data channel, in place of another carrier. `lost` is told when it is closed.
    pub(crate) fn channel(
        topic: Topic,
        channel: Arc<dyn DataChannel>,
        before: Option<Self>,
        lost: impl FnOnce() + Send + 'static,
    ) -> Self {
        let fallback = before.as_ref().and_then(|before| match &before.way {
            Way::Signaling(fallback) => Some(fallback.clone()),
            Way::Channel { .. } => None,
        });
        let way = Way::Channel { channel: Arc::clone(&channel), before: fallback };
        let task = tokio::spawn(async move {
            run_channel(&topic, &channel, before).await;
            topic.lose();
            lost();
        });
        Self { task, way }
    }

    /// The signaling connection.
    pub(crate) async fn fallback(
        topic: Topic,
        signaling: Signaling,
        lost: impl FnOnce() + Send + 'static,
    ) -> Result<Self, ClientError> {
        let open = ClientRequest::TopicOpen {
            label: topic.label().to_owned(),
            protocol: topic.options().protocol(),
        };
        let Reply::TopicOpened { channel } = signaling.request(open).await? else {
            return Err(ClientError::Unexpected(
                "a topic_open that is not answered by topic_opened".to_owned(),
            ));
        };
        let (incoming, messages) = mpsc::unbounded_channel();
        let fallback = Fallback { channel, incoming, is_leaving: Arc::default() };
        let is_leaving = Arc::clone(&fallback.is_leaving);
        let task = tokio::spawn(async move {
            if run_fallback(&topic, &signaling, channel, messages, &is_leaving).await {
                topic.lose();
                lost();
            }
        });
        Ok(Self { task, way: Way::Signaling(fallback) })
    }

    /// Whether it is the signaling connection.
    pub(crate) fn is_fallback(&self) -> bool {
        matches!(self.way, Way::Signaling(_))
    }

    /// The data channel, if it is one.
    pub(crate) fn data_channel(&self) -> Option<Arc<dyn DataChannel>> {
        if let Way::Channel { channel, .. } = &self.way { Some(Arc::clone(channel)) } else { None }
    }

    /// The channel over signaling, if it is one.
    pub(crate) fn fallback_channel(&self) -> Option<u16> {
        if let Way::Signaling(fallback) = &self.way { Some(fallback.channel) } else { None }
    }

    /// Messages came over signaling. Returns whether they were for this carrier.
    pub(crate) fn deliver(&self, channel: u16, messages: &[String]) -> bool {
        let Some(fallback) = self.fallback_named(channel) else { return false };
        let _ = fallback.incoming.send(messages.to_vec());
        true
    }

    /// A topic over signaling is closed. Returns whether this carrier is over with that.
    pub(crate) fn end_fallback(&mut self, channel: u16) -> bool {
        match &mut self.way {
            Way::Signaling(fallback) => fallback.channel == channel,
            Way::Channel { before, .. } => {
                if before.as_ref().is_some_and(|before| before.channel == channel) {
                    *before = None;
                }
                false
            }
        }
    }

    fn fallback_named(&self, channel: u16) -> Option<&Fallback> {
        let fallback = match &self.way {
            Way::Signaling(fallback) => Some(fallback),
            Way::Channel { before, .. } => before.as_ref(),
        };
        fallback.filter(|fallback| fallback.channel == channel)
    }

    /// Sends nothing more, and brings what is still on its way.
    async fn finish(mut self) {
        let Way::Signaling(fallback) = &self.way else { return };
        fallback.is_leaving.notify_one();
        // What keeps its messages coming is with the room's task, and goes when the server has closed it.
        if let Way::Signaling(fallback) = &mut self.way {
            fallback.incoming = mpsc::unbounded_channel().0;
        }
        let _ = timeout(HANDOVER, &mut self.task).await;
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.task.abort();
        if let (Way::Channel { channel, .. }, Ok(runtime)) =
            (&self.way, tokio::runtime::Handle::try_current())
        {
            let channel = Arc::clone(channel);
            runtime.spawn(async move { channel.close().await });
        }
    }
}

/// What a data channel brings before it is in use. None: it is closed.
async fn held(channel: &Arc<dyn DataChannel>, messages: &mut Vec<BytesMut>) -> Option<bool> {
    match channel.poll().await {
        Some(DataChannelEvent::OnOpen) => Some(true),
        Some(DataChannelEvent::OnMessage(message)) => {
            if !message.is_string {
                messages.push(message.data);
            }
            Some(false)
        }
        Some(DataChannelEvent::OnClose) | None => None,
        Some(_) => Some(false),
    }
}

async fn run_channel(topic: &Topic, channel: &Arc<dyn DataChannel>, before: Option<Carrier>) {
    let mut early = Vec::new();
    loop {
        match held(channel, &mut early).await {
            Some(true) => break,
            Some(false) => {}
            None => return,
        }
    }
    if let Some(before) = before {
        let finish = before.finish();
        tokio::pin!(finish);
        loop {
            tokio::select! {
                () = &mut finish => break,
                event = held(channel, &mut early) => if event.is_none() {
                    return;
                }
            }
        }
    }
    let first = topic.state().begin_carrier(false);
    for message in early {
        topic.receive(&message);
    }
    // Side by side: a reader that waits for the writer would hold up what the writer waits for.
    let reading = async {
        loop {
            match channel.poll().await {
                Some(DataChannelEvent::OnMessage(message)) => {
                    if !message.is_string {
                        topic.receive(&message.data);
                    }
                }
                Some(DataChannelEvent::OnClose) | None => return,
                Some(_) => {}
            }
        }
    };
    let writing = async {
        if let Some(first) = first
            && transport::send(channel, &first).await.is_err()
        {
            return;
        }
        topic.shared.changed.notify_waiters();
        loop {
            let next = topic.state().next_outgoing();
            match next {
                Some(message) => {
                    if transport::send(channel, &message).await.is_err() {
                        return;
                    }
                    topic.shared.changed.notify_waiters();
                }
                None if topic.is_closed() => return,
                None => {
                    topic.shared.changed.notify_waiters();
                    topic.shared.waiting.notified().await;
                }
            }
        }
    };
    tokio::select! {
        () = reading => {}
        () = writing => {
            let _ = channel.close().await;
        }
    }
}

/// Returns whether it ended without another carrier that takes over.
async fn run_fallback(
    topic: &Topic,
    signaling: &Signaling,
    channel: u16,
    mut messages: mpsc::UnboundedReceiver<Vec<String>>,
    is_leaving: &Notify,
) -> bool {
    let receive = |batch: Vec<String>| {
        for message in batch.iter().filter_map(|text| STANDARD.decode(text).ok()) {
            topic.receive(&message);
        }
    };
    let first = topic.state().begin_carrier(true);
    let writing = async {
        if let Some(first) = first {
            let messages = vec![STANDARD.encode(first)];
            let _ = signaling.request(ClientRequest::TopicSend { channel, messages }).await;
        }
        topic.shared.changed.notify_waiters();
        loop {
            while let Some(messages) = next_batch(topic) {
                match signaling.request(ClientRequest::TopicSend { channel, messages }).await {
                    Err(ClientError::Refused(error)) if error.code == ErrorCode::UnknownTopic => return,
                    Err(ClientError::Connection(_)) => return,
                    _ => {}
                }
                topic.shared.changed.notify_waiters();
            }
            if topic.is_closed() {
                let _ = signaling.request(ClientRequest::TopicClose { channel }).await;
                return;
            }
            topic.shared.changed.notify_waiters();
            topic.shared.waiting.notified().await;
        }
    };
    let reading = async {
        while let Some(batch) = messages.recv().await {
            receive(batch);
        }
    };
    let is_left = tokio::select! {
        () = writing => false,
        () = reading => false,
        () = is_leaving.notified() => true,
    };
    if is_left {
        let _ = signaling.request(ClientRequest::TopicClose { channel }).await;
        while let Some(batch) = messages.recv().await {
            receive(batch);
        }
    }
    !is_left
}

fn next_batch(topic: &Topic) -> Option<Vec<String>> {
    let mut state = topic.state();
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while batch.len() < BATCH_MESSAGES && bytes < BATCH_BYTES {
        let Some(message) = state.next_outgoing() else { break };
        bytes += message.len();
        batch.push(STANDARD.encode(message));
    }
    (!batch.is_empty()).then_some(batch)
}
