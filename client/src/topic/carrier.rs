//! Ways on which a topic's messages travel: a data channel, or the signaling connection. A carrier is a task; dropping it
//! ends it.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use patchbay_protocol::{ClientRequest, ErrorCode, Reply};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use webrtc::data_channel::{DataChannel, DataChannelEvent};

use super::Topic;
use crate::{ClientError, Signaling, transport};

/// Data channel messages in one request over signaling, and their bytes.
const BATCH_MESSAGES: usize = 64;
const BATCH_BYTES: usize = 192 * 1024;

/// What carries a topic now.
#[derive(Debug)]
pub(crate) struct Carrier {
    task: JoinHandle<()>,
    /// Over signaling: the channel, and where its messages go.
    fallback: Option<Fallback>,
}

#[derive(Debug)]
struct Fallback {
    channel: u16,
    incoming: mpsc::UnboundedSender<Vec<String>>,
}

impl Carrier {
    /// A data channel. `lost` is told when it is closed.
    pub(crate) fn channel(
        topic: Topic,
        channel: Arc<dyn DataChannel>,
        lost: impl FnOnce() + Send + 'static,
    ) -> Self {
        let task = tokio::spawn(async move {
            run_channel(&topic, &channel).await;
            topic.state().end_carrier();
            topic.shared.changed.notify_waiters();
            lost();
        });
        Self { task, fallback: None }
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
        let task = tokio::spawn(async move {
            run_fallback(&topic, &signaling, channel, messages).await;
            topic.state().end_carrier();
            topic.shared.changed.notify_waiters();
            lost();
        });
        Ok(Self { task, fallback: Some(Fallback { channel, incoming }) })
    }

    pub(crate) fn fallback_channel(&self) -> Option<u16> {
        self.fallback.as_ref().map(|fallback| fallback.channel)
    }

    /// Messages came over signaling.
    pub(crate) fn deliver(&self, messages: Vec<String>) {
        if let Some(fallback) = &self.fallback {
            let _ = fallback.incoming.send(messages);
        }
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads and writes side by side: a reader that waits for the writer would hold up what the writer waits for.
async fn run_channel(topic: &Topic, channel: &Arc<dyn DataChannel>) {
    let opened = Notify::new();
    let reading = async {
        loop {
            match channel.poll().await {
                Some(DataChannelEvent::OnOpen) => opened.notify_one(),
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
        opened.notified().await;
        let first = topic.state().begin_carrier(false);
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

async fn run_fallback(
    topic: &Topic,
    signaling: &Signaling,
    channel: u16,
    mut messages: mpsc::UnboundedReceiver<Vec<String>>,
) {
    let first = topic.state().begin_carrier(true);
    if let Some(first) = first {
        let messages = vec![STANDARD.encode(first)];
        let _ = signaling.request(ClientRequest::TopicSend { channel, messages }).await;
    }
    topic.shared.changed.notify_waiters();
    topic.shared.waiting.notify_one();
    loop {
        tokio::select! {
            batch = messages.recv() => match batch {
                Some(batch) => {
                    for message in batch.iter().filter_map(|text| STANDARD.decode(text).ok()) {
                        topic.receive(&message);
                    }
                }
                None => return,
            },
            () = topic.shared.waiting.notified() => {
                while let Some(messages) = next_batch(topic) {
                    match signaling.request(ClientRequest::TopicSend { channel, messages }).await {
                        Err(ClientError::Refused(error)) if error.code == ErrorCode::UnknownTopic => return,
                        Err(ClientError::Connection(_)) => return,
                        _ => {}
                    }
                }
                topic.shared.changed.notify_waiters();
            }
        }
        if topic.is_closed() {
            let _ = signaling.request(ClientRequest::TopicClose { channel }).await;
            return;
        }
    }
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
