//! Data channels: a channel's label is its topic, and whoever has opened the same label hears what others send on it.

use bytes::Bytes;

use crate::transport::MessageKind;
use crate::{ChannelKey, DataMessage, Egress, SendOutcome, TransportKey};

/// Topics of one room. Cost of raising: a list of subscribers each.
const MAX_TOPICS: usize = 256;
/// Channels of one member.
const MAX_CHANNELS: usize = 64;
/// Bytes of a label that names a topic.
const MAX_LABEL_BYTES: usize = 256;

/// The topics of a room.
#[derive(Debug, Default)]
pub(crate) struct DataRelay {
    topics: Vec<Topic>,
}

#[derive(Debug)]
struct Topic {
    label: String,
    channels: Vec<(TransportKey, ChannelKey)>,
}

/// Whether a message was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Intake {
    /// It was passed on, kept or dropped: it is done with.
    Taken,
    /// It can't be passed on yet, and its sender is to be slowed down: the channel is to be held with it.
    Blocked,
}

/// What came of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Relayed {
    pub(crate) forwarded: u64,
    pub(crate) dropped: u64,
}

impl DataRelay {
    /// A member opened a channel. Returns false if a limit stands against it.
    pub(crate) fn open(&mut self, transport: TransportKey, channel: ChannelKey, label: &str) -> bool {
        self.close(transport, channel);
        let of_member =
            self.topics.iter().flat_map(|topic| &topic.channels).filter(|(owner, _)| *owner == transport);
        if of_member.count() >= MAX_CHANNELS || label.len() > MAX_LABEL_BYTES {
            return false;
        }
        if let Some(topic) = self.topics.iter_mut().find(|topic| topic.label == label) {
            topic.channels.push((transport, channel));
            return true;
        }
        if self.topics.len() >= MAX_TOPICS {
            return false;
        }
        self.topics.push(Topic { label: label.to_owned(), channels: vec![(transport, channel)] });
        true
    }

    /// A channel is gone.
    pub(crate) fn close(&mut self, transport: TransportKey, channel: ChannelKey) {
        self.retain(|known| known != (transport, channel));
    }

    /// A member is gone.
    pub(crate) fn remove(&mut self, transport: TransportKey) {
        self.retain(|(owner, _)| owner != transport);
    }

    /// Passes a message on to everybody else on its topic. A member with two channels of one label hears others once on
    /// each, and itself on neither.
    pub(crate) fn relay(
        &self,
        from: TransportKey,
        channel: ChannelKey,
        kind: MessageKind,
        payload: &Bytes,
        out: &mut impl Egress,
    ) -> Relayed {
        let message = match kind {
            MessageKind::Text => DataMessage::Text(payload),
            MessageKind::Binary => DataMessage::Binary(payload),
        };
        let mut relayed = Relayed::default();
        let Some(topic) = self.topics.iter().find(|topic| topic.channels.contains(&(from, channel))) else {
            return relayed;
        };
        for (to, channel) in topic.channels.iter().filter(|(to, _)| *to != from) {
            if out.send_message(*to, *channel, message) == SendOutcome::Queued {
                relayed.forwarded += 1;
            } else {
                relayed.dropped += 1;
            }
        }
        relayed
    }

    fn retain(&mut self, keep: impl Fn((TransportKey, ChannelKey)) -> bool) {
        for topic in &mut self.topics {
            topic.channels.retain(|known| keep(*known));
        }
        self.topics.retain(|topic| !topic.channels.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OutgoingRtp;

    #[derive(Default)]
    struct Heard(Vec<(u32, u16, Vec<u8>)>);

    impl Egress for Heard {
        fn send_rtp(&mut self, _: TransportKey, _: &OutgoingRtp<'_>) {}
        fn send_rtcp(&mut self, _: TransportKey, _: &[u8]) {}
        fn send_message(
            &mut self,
            to: TransportKey,
            channel: ChannelKey,
            message: DataMessage<'_>,
        ) -> SendOutcome {
            let (DataMessage::Text(bytes) | DataMessage::Binary(bytes)) = message;
            self.0.push((to.0, channel.0, bytes.to_vec()));
            if to.0 == 9 { SendOutcome::Full } else { SendOutcome::Queued }
        }
        fn channel_room(&self, _: TransportKey, _: ChannelKey) -> usize {
            usize::MAX
        }
    }

    #[test]
    fn who_opens_a_label_hears_the_others() {
        let mut relay = DataRelay::default();
        for (member, channel, label) in [(1, 0, "chat"), (2, 4, "chat"), (3, 2, "game"), (9, 2, "chat")] {
            assert!(relay.open(TransportKey(member), ChannelKey(channel), label));
        }
        let mut heard = Heard::default();
        let message = Bytes::from_static(b"hello");
        let say = |relay: &DataRelay, from, heard: &mut Heard| {
            relay.relay(TransportKey(from), ChannelKey(0), MessageKind::Text, &message, heard)
        };
        let relayed = say(&relay, 1, &mut heard);
        assert_eq!(relayed, Relayed { forwarded: 1, dropped: 1 });
        assert_eq!(heard.0, [(2, 4, b"hello".to_vec()), (9, 2, b"hello".to_vec())]);
        relay.close(TransportKey(2), ChannelKey(4));
        relay.remove(TransportKey(9));
        assert_eq!(say(&relay, 1, &mut heard), Relayed::default());
        assert_eq!(say(&relay, 7, &mut heard), Relayed::default());
    }

    #[test]
    fn topics_and_channels_are_bounded() {
        let mut relay = DataRelay::default();
        let opened = (0..100).filter(|n| relay.open(TransportKey(1), ChannelKey(*n), "one")).count();
        assert_eq!(opened, MAX_CHANNELS);
        for n in 0..1_000u32 {
            relay.open(TransportKey(10 + n / 60), ChannelKey((n % 60) as u16), &format!("topic {n}"));
        }
        assert_eq!(relay.topics.len(), MAX_TOPICS);
        assert!(!relay.open(TransportKey(2), ChannelKey(0), &"x".repeat(MAX_LABEL_BYTES + 1)));
        relay.remove(TransportKey(1));
        assert!(relay.open(TransportKey(1), ChannelKey(0), "again"));
    }
}
