//! Data channels: open, listen, echo, send.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use webrtc::data_channel::{DataChannel, DataChannelEvent, RTCDataChannelInit};
use webrtc::peer_connection::PeerConnection;

use crate::stats::{ChannelStats, Ledger};
use crate::{Channel, PeerError};

/// What an echo begins with, so that two echoing peers do not talk for ever.
const ECHO: &str = "echo ";

/// A channel that was opened.
#[derive(Clone)]
pub(crate) struct Topic {
    pub(crate) label: String,
    channel: Arc<dyn DataChannel>,
    at: usize,
    ledger: Arc<Mutex<Ledger>>,
}

impl Topic {
    /// Asks for a channel and follows it from then on.
    pub(crate) async fn open(
        connection: &Arc<dyn PeerConnection>,
        config: &Channel,
        ledger: &Arc<Mutex<Ledger>>,
    ) -> Result<Self, PeerError> {
        let init = RTCDataChannelInit {
            ordered: config.ordered,
            max_retransmits: config.max_retransmits,
            ..Default::default()
        };
        let channel = connection.create_data_channel(&config.label, Some(init)).await?;
        let at = {
            let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
            ledger
                .stats
                .channels
                .push(ChannelStats { label: config.label.clone(), ..ChannelStats::default() });
            ledger.stats.channels.len() - 1
        };
        let topic = Self { label: config.label.clone(), channel, at, ledger: Arc::clone(ledger) };
        tokio::spawn(topic.clone().follow(config.clone()));
        Ok(topic)
    }

    /// Sends a text.
    pub(crate) async fn send_text(&self, text: &str) -> Result<(), PeerError> {
        self.channel.send_text(text).await?;
        self.count(|stats| stats.sent += 1);
        Ok(())
    }

    /// Sends bytes.
    pub(crate) async fn send(&self, bytes: &[u8]) -> Result<(), PeerError> {
        self.channel.send(BytesMut::from(bytes)).await?;
        self.count(|stats| stats.sent += 1);
        Ok(())
    }

    async fn follow(self, config: Channel) {
        while let Some(event) = self.channel.poll().await {
            match event {
                DataChannelEvent::OnOpen => {
                    self.count(|stats| stats.open = true);
                    if let Some(every) = config.send_every {
                        tokio::spawn(self.clone().send_numbers(every));
                    }
                }
                DataChannelEvent::OnClosing | DataChannelEvent::OnClose => {
                    self.count(|stats| stats.open = false)
                }
                DataChannelEvent::OnMessage(message) => {
                    let text = message.is_string.then(|| String::from_utf8_lossy(&message.data).into_owned());
                    self.count(|stats| {
                        stats.received += 1;
                        stats.received_bytes += message.data.len() as u64;
                        stats.last_text.clone_from(&text);
                    });
                    if let Some(text) = text.filter(|text| config.echo && !text.starts_with(ECHO)) {
                        let _ = self.send_text(&format!("{ECHO}{text}")).await;
                    }
                }
                _ => {}
            }
        }
    }

    async fn send_numbers(self, every: std::time::Duration) {
        let mut ticks = tokio::time::interval(every);
        for number in 0_u64.. {
            ticks.tick().await;
            if self.send_text(&number.to_string()).await.is_err() {
                break;
            }
        }
    }

    fn count(&self, change: impl FnOnce(&mut ChannelStats)) {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stats) = ledger.stats.channels.get_mut(self.at) {
            change(stats);
        }
    }
}
