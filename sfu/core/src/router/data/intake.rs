//! What comes in: messages, their limits, and whom they are for.

use std::time::Instant;

use bytes::Bytes;
use patchbay_frame::limit::{MESSAGE_BYTES, PAYLOAD_BYTES};
use patchbay_frame::{ClientFrame, Mode, Publish, ServerFrame, TopicError, client_frames};

use super::limit::{BACKLOG_BYTES, ENDED_VALUES};
use super::{DataPlane, Intake};
use crate::router::Counters;
use crate::transport::MessageKind;
use crate::{ChannelKey, DataMessage, Egress, Repetition, SendOutcome, TransportKey};

/// How many ended values go by before those are looked for who hold them up.
const ENDED_INTERVAL: usize = 256;

impl DataPlane {
    /// Takes a message that came on a channel.
    #[expect(clippy::too_many_arguments, reason = "a message, where it came from, and where all goes")]
    pub(crate) fn handle_message(
        &mut self,
        now: Instant,
        from: TransportKey,
        key: ChannelKey,
        kind: MessageKind,
        payload: &Bytes,
        out: &mut impl Egress,
        counters: &mut Counters,
    ) -> Intake {
        let member = self.find(from).ok().and_then(|at| self.members.get(at));
        let Some(index) = member.and_then(|member| member.channel(key)) else {
            counters.data_received += 1;
            return Intake::Taken;
        };
        let Some(channel) = self.channels.get(index as usize) else { return Intake::Taken };
        let (topic_index, is_framed) = (channel.topic, channel.is_framed);
        let Some(topic) = self.topics.get_mut(topic_index) else { return Intake::Taken };
        if topic.stalled > 0 && channel.may_publish {
            if !topic.held.contains(&index) {
                topic.held.push(index);
            }
            counters.data_blocked += 1;
            return Intake::Blocked;
        }
        counters.data_received += 1;
        let participant = channel.participant;
        if !self.allow(now, participant, 1, payload.len()) {
            self.complain(now, index, TopicError::RateLimited, "too many messages or bytes", out, counters);
            return Intake::Taken;
        }
        if payload.len() > MESSAGE_BYTES {
            self.complain(now, index, TopicError::TooLarge, "the message is too long", out, counters);
        } else if !is_framed {
            self.pass_on(index, kind, payload, out, counters);
        } else if kind == MessageKind::Text {
            self.complain(now, index, TopicError::BadFrame, "text is no frame", out, counters);
        } else {
            self.handle_frames(now, index, participant, payload, out, counters);
        }
        self.finish(now, out, counters);
        Intake::Taken
    }

    /// A message on a channel was longer than may be, and is lost.
    pub(crate) fn handle_too_long(
        &mut self,
        now: Instant,
        from: TransportKey,
        key: ChannelKey,
        out: &mut impl Egress,
        counters: &mut Counters,
    ) {
        let member = self.find(from).ok().and_then(|at| self.members.get(at));
        if let Some(index) = member.and_then(|member| member.channel(key)) {
            counters.data_received += 1;
            self.complain(now, index, TopicError::TooLarge, "the message is too long", out, counters);
        }
    }

    fn handle_frames(
        &mut self,
        now: Instant,
        index: u32,
        participant: u32,
        message: &Bytes,
        out: &mut impl Egress,
        counters: &mut Counters,
    ) {
        for (count, frame) in client_frames(message).enumerate() {
            // The first is paid for with its message.
            if count > 0 && !self.allow(now, participant, 1, 0) {
                let text = "too many messages or bytes";
                return self.complain(now, index, TopicError::RateLimited, text, out, counters);
            }
            match frame {
                Ok(ClientFrame::Publish(publish)) => self.publish(now, index, &publish, out, counters),
                Ok(ClientFrame::Subscribe { replace, filters }) => {
                    self.subscribe(now, index, replace, filters, out, counters);
                }
                Ok(ClientFrame::Unsubscribe { filters }) => {
                    self.unsubscribe(now, index, filters, out, counters);
                }
                Ok(ClientFrame::Ping { token }) => {
                    let time = self.clock.unix_micros(now);
                    if let Some(channel) = self.channels.get_mut(index as usize) {
                        channel.say(&ServerFrame::Pong { token, time }, out, counters);
                    }
                }
                Err(error) => {
                    self.complain(now, index, TopicError::BadFrame, &error.to_string(), out, counters);
                }
            }
        }
    }

    fn publish(
        &mut self,
        now: Instant,
        index: u32,
        publish: &Publish<'_>,
        out: &mut impl Egress,
        counters: &mut Counters,
    ) {
        let Some(channel) = self.channels.get(index as usize) else { return };
        let (topic_index, sender, may_publish) = (channel.topic, channel.participant, channel.may_publish);
        if !may_publish {
            let text = "publishing is not granted";
            return self.complain(now, index, TopicError::NotAllowed, text, out, counters);
        }
        if publish.payload.len() > PAYLOAD_BYTES {
            let text = "the payload is too long";
            return self.complain(now, index, TopicError::TooLarge, text, out, counters);
        }
        let Some(topic) = self.topics.get_mut(topic_index) else { return };
        let (frame, sequence) = topic.encode(sender, self.clock.unix_micros(now), publish);
        let key = publish.key.unwrap_or_default();
        if publish.targets.is_some() || !topic.keeps() {
            self.give(now, topic_index, sender, publish, &frame, out, counters);
            return;
        }
        let known = topic.store.find(sender, key);
        if publish.is_tombstone {
            match known {
                Some(id) => self.end_value(now, topic_index, id, Some(frame), counters),
                None => self.give(now, topic_index, sender, publish, &frame, out, counters),
            }
            return;
        }
        match topic.store.put(now, sender, key, sequence, publish.cell, &frame) {
            Ok(stored) => {
                topic.arm_sweep(now);
                let sweep_at = topic.sweep_at;
                self.sweep_at = [self.sweep_at, sweep_at].into_iter().flatten().min();
                self.owe_value(topic_index, stored.id, stored.former_cell, counters);
            }
            Err(_) => {
                counters.data_unkept += 1;
                let text = "as many values are kept as may be";
                self.complain(now, index, TopicError::TooManyValues, text, out, counters);
                if known.is_none() {
                    self.give(now, topic_index, sender, publish, &frame, out, counters);
                }
            }
        }
    }

    /// Puts a value on the lists of those who want it, and of those who have it and might not want it any longer.
    fn owe_value(
        &mut self,
        topic_index: usize,
        id: u32,
        former_cell: Option<patchbay_frame::Cell>,
        counters: &mut Counters,
    ) {
        let Self { channels, topics, touched, .. } = self;
        let Some(topic) = topics.get_mut(topic_index) else { return };
        let Some(value) = topic.store.get(id) else { return };
        let sender = value.sender;
        let mut owed = 0;
        let mut owe = |channel: &mut super::Channel, index| {
            if channel.is_owed(id) {
                counters.data_conflated += u64::from(!channel.is_touched);
            } else {
                channel.owe(id);
                owed += 1;
            }
            touch(channel, index, touched);
        };
        if topic.settings.mode == Mode::Latest {
            for index in topic.receivers.others(sender) {
                let Some(channel) = channels.get_mut(index as usize) else { continue };
                owe(channel, index);
            }
        } else {
            topic.interest.find(&value.key, value.cell, |index| {
                if let Some(channel) = channels.get_mut(index as usize).filter(|it| it.participant != sender)
                {
                    owe(channel, index);
                }
            });
            if let Some(former) = former_cell.filter(|former| Some(*former) != value.cell) {
                topic.interest.find_cell(former, |index| {
                    if let Some(channel) = channels.get_mut(index as usize).filter(|it| it.is_shown(id)) {
                        owe(channel, index);
                    }
                });
            }
        }
        topic.store.owe(id, owed);
    }

    /// Ends a value, and owes its tombstone to those who have it: the one given, or one of our own.
    pub(super) fn end_value(
        &mut self,
        now: Instant,
        topic_index: usize,
        id: u32,
        tombstone: Option<Bytes>,
        counters: &mut Counters,
    ) {
        let time = self.clock.unix_micros(now);
        let Self { channels, topics, touched, slow, .. } = self;
        let Some(topic) = topics.get_mut(topic_index) else { return };
        let Some(sender) = topic.store.get(id).map(|value| value.sender) else { return };
        let Some(tombstone) = tombstone.or_else(|| topic.tombstone(id, time)) else { return };
        topic.store.end(id, tombstone);
        let mut owed = 0;
        for index in topic.receivers.others(sender) {
            let Some(channel) = channels.get_mut(index as usize).filter(|it| it.is_shown(id)) else {
                continue;
            };
            if !channel.is_owed(id) {
                channel.owe(id);
                owed += 1;
            }
            touch(channel, index, touched);
        }
        topic.store.owe(id, owed);
        topic.store.collect(id);
        counters.data_ended += 1;
        let ended = topic.store.ended();
        if ended > ENDED_VALUES && ended.is_multiple_of(ENDED_INTERVAL) {
            let all = topic.receivers.others(u32::MAX);
            let holds_up = |index: &u32| {
                channels.get(*index as usize).is_some_and(|channel| channel.holds_up_the_ended(&topic.store))
            };
            slow.extend(all.filter(holds_up));
        }
    }

    /// Gives a frame that is not kept to everybody it is for.
    #[expect(clippy::too_many_arguments, reason = "a message, where it came from, and where all goes")]
    fn give(
        &mut self,
        now: Instant,
        topic_index: usize,
        sender: u32,
        publish: &Publish<'_>,
        frame: &Bytes,
        out: &mut impl Egress,
        counters: &mut Counters,
    ) {
        let Self { channels, topics, touched, slow, targets, .. } = self;
        let Some(topic) = topics.get_mut(topic_index) else { return };
        let (rate, is_relay, waits) = (topic.settings.rate, !topic.keeps(), topic.waits());
        let bound = if waits { usize::MAX } else { BACKLOG_BYTES };
        let mut stalled = 0;
        let mut give = |index: u32| {
            let Some(channel) = channels.get_mut(index as usize) else { return };
            let is_taken = channel.give(now, rate, bound, frame, out, counters);
            if !is_taken || is_relay && channel.is_behind() {
                if waits && !channel.is_stalled {
                    channel.is_stalled = true;
                    stalled += 1;
                } else if !waits {
                    slow.push(index);
                }
            }
            touch(channel, index, touched);
        };
        if let Some(addressed) = publish.targets {
            targets.clear();
            targets.extend(addressed.iter().filter(|target| *target != sender));
            targets.sort_unstable();
            targets.dedup();
            targets.iter().for_each(|target| topic.receivers.of(*target).for_each(&mut give));
        } else if topic.settings.mode == Mode::Interest {
            let mut found = Vec::new();
            let key = publish.key.unwrap_or_default();
            topic.interest.find(key, publish.cell, |index| found.push(index));
            found.sort_unstable();
            found.dedup();
            for index in topic.receivers.others(sender) {
                if found.binary_search(&index).is_ok() {
                    give(index);
                }
            }
        } else {
            topic.receivers.others(sender).for_each(give);
        }
        topic.stalled += stalled;
    }

    /// Passes on a message of plain mode as it is.
    fn pass_on(
        &mut self,
        index: u32,
        kind: MessageKind,
        payload: &Bytes,
        out: &mut impl Egress,
        counters: &mut Counters,
    ) {
        let Self { channels, topics, slow, .. } = self;
        let Some(channel) = channels.get(index as usize) else { return };
        if !channel.may_publish {
            counters.data_not_allowed += 1;
            return;
        }
        let Some(topic) = topics.get(channel.topic) else { return };
        let message = match kind {
            MessageKind::Text => DataMessage::Text(payload),
            MessageKind::Binary => DataMessage::Binary(payload),
        };
        for index in topic.receivers.others(channel.participant) {
            let Some(receiver) = channels.get(index as usize) else { continue };
            match out.send_message(receiver.transport, receiver.key, message, Repetition::OfChannel) {
                SendOutcome::Queued => {
                    counters.data_forwarded += 1;
                    counters.data_sent += 1;
                }
                SendOutcome::Full => {
                    counters.data_dropped += 1;
                    slow.push(index);
                }
                SendOutcome::Gone => counters.data_dropped += 1,
            }
        }
    }

    /// Takes from what a participant and the room may send.
    pub(super) fn allow(&mut self, now: Instant, participant: u32, messages: u64, bytes: usize) -> bool {
        let Some(person) = self.people.get_mut(&participant) else { return false };
        person.messages.take(now, messages)
            && person.bytes.take(now, bytes as u64)
            && self.messages.take(now, messages)
    }

    /// Counts what is wrong with a message, and tells its sender.
    pub(super) fn complain(
        &mut self,
        now: Instant,
        index: u32,
        error: TopicError,
        text: &str,
        out: &mut impl Egress,
        counters: &mut Counters,
    ) {
        match error {
            TopicError::BadFrame => counters.data_malformed += 1,
            TopicError::TooLarge => counters.data_too_long += 1,
            TopicError::RateLimited => counters.data_rate_limited += 1,
            TopicError::NotAllowed => counters.data_not_allowed += 1,
            _ => {}
        }
        if let Some(channel) = self.channels.get_mut(index as usize) {
            channel.complain(now, error, text, out, counters);
        }
    }
}

#[inline]
fn touch(channel: &mut super::Channel, index: u32, touched: &mut Vec<u32>) {
    if !channel.is_touched {
        channel.is_touched = true;
        touched.push(index);
    }
}
