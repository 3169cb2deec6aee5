//! The data plane of a room: topics by label, and the way of every message from one channel to the others.
//!
//! In go channels as they open and close, messages, and the passing of time; out go messages by [`Egress`], channels to be
//! released or closed by the polls. `docs/protocol.md` (section "Data channels and topics") says what a client sees.
//!
//! ```text
//! message → limits → frames → publish → relay:  give ──────────→ batch (5 ms) → Egress
//!                                     → latest: store → owe ids → drain ↗   (room, rate)
//! ```
//!
//! Rules it keeps:
//! - What is published is encoded once. In the steady state a delivery allocates nothing and looks nothing up by name: a
//!   channel knows its topic, a topic its receivers, and a cell its watchers, all by index.
//! - A receiver is owed ids of values, never copies: what it gets is the newest, and what a slow one costs is bounded.
//! - Nobody hears itself, on whichever channel or transport.

mod batch;
mod bits;
mod channel;
mod intake;
mod interest;
mod limit;
mod member;
mod schedule;
mod store;
mod subscribe;
mod topic;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use patchbay_frame::{Departure, Mode, ServerFrame, Settings, TopicError, Welcome};
use patchbay_protocol::{TopicGrant, limit::LABEL_BYTES};
use slab::Slab;

use self::channel::Channel;
use self::limit::{Bucket, ROOM_MESSAGES};
use self::member::{Member, Person};
use self::topic::Topic;
use super::Counters;
use super::clock::WallClock;
use crate::transport::{ChannelInfo, Reliability};
use crate::{ChannelKey, Egress, TransportKey};

/// Whether a message was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Intake {
    /// It was passed on, kept or dropped: it is done with.
    Taken,
    /// It can't be passed on yet, and its sender is to be slowed down: the channel is to be held with it.
    Blocked,
}

/// A channel that the room has closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) transport: TransportKey,
    pub(crate) channel: ChannelKey,
    pub(crate) reason: &'static str,
}

/// What a channel is told that loses its permissions.
const NO_LONGER_ALLOWED: &str = "not allowed on this topic any longer";

/// The topics of a room and whoever takes part in them.
#[derive(Debug)]
pub(crate) struct DataPlane {
    clock: WallClock,
    /// By transport, sorted.
    members: Vec<Member>,
    people: BTreeMap<u32, Person>,
    channels: Slab<Channel>,
    topics: Slab<Topic>,
    messages: Bucket,
    /// Channels that the timer drains.
    pending: Vec<u32>,
    /// When it does.
    drain_at: Option<Instant>,
    /// The next look for expired values on any topic.
    sweep_at: Option<Instant>,
    /// Channels that were given something by what is being handled.
    touched: Vec<u32>,
    /// Channels that turned out too slow while it was handled.
    slow: Vec<u32>,
    /// Whom a message is addressed to.
    targets: Vec<u32>,
    cuts: VecDeque<Cut>,
    releases: VecDeque<(TransportKey, ChannelKey)>,
}

impl DataPlane {
    pub(crate) fn new(clock: WallClock) -> Self {
        Self {
            clock,
            members: Vec::new(),
            people: BTreeMap::new(),
            channels: Slab::new(),
            topics: Slab::new(),
            messages: Bucket::new(ROOM_MESSAGES),
            pending: Vec::new(),
            drain_at: None,
            sweep_at: None,
            touched: Vec::new(),
            slow: Vec::new(),
            targets: Vec::new(),
            cuts: VecDeque::new(),
            releases: VecDeque::new(),
        }
    }

    /// Whether nobody takes part.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Adds a way to topics. A known one is left as it is.
    pub(crate) fn attach(&mut self, transport: TransportKey, participant: u32) {
        if let Err(at) = self.find(transport) {
            self.members.insert(at, Member::new(transport, participant));
            self.people.entry(participant).or_insert_with(Person::new).members += 1;
        }
    }

    /// Takes a way to topics away, with its channels.
    pub(crate) fn detach(
        &mut self,
        now: Instant,
        transport: TransportKey,
        out: &mut impl Egress,
        counters: &mut Counters,
    ) {
        let Ok(at) = self.find(transport) else { return };
        let member = self.members.remove(at);
        for (_, channel) in member.channels {
            self.remove_channel(now, channel, counters);
        }
        if let Some(person) = self.people.get_mut(&member.participant) {
            person.members = person.members.saturating_sub(1);
            if person.members == 0 {
                self.people.remove(&member.participant);
                for (_, topic) in &mut self.topics {
                    topic.forget_sender(member.participant);
                }
            }
        }
        self.finish(now, out, counters);
    }

    /// What a member may do has changed. Channels that it may no longer have are closed.
    pub(crate) fn set_rights(
        &mut self,
        now: Instant,
        transport: TransportKey,
        is_allowed: bool,
        grants: Vec<TopicGrant>,
        out: &mut impl Egress,
        counters: &mut Counters,
    ) {
        let Ok(at) = self.find(transport) else { return };
        let Some(member) = self.members.get_mut(at) else { return };
        (member.is_allowed, member.grants) = (is_allowed, grants);
        for (_, index) in member.channels.clone() {
            let Some(topic) = self.topic_of(index) else { continue };
            let rights = self.members.get(at).map_or((false, false), |member| member.rights(&topic.label));
            self.apply_rights(now, index, rights, out, counters);
        }
        self.finish(now, out, counters);
    }

    /// A channel was opened. Says false if a limit or a permission stands against it.
    pub(crate) fn open(
        &mut self,
        now: Instant,
        transport: TransportKey,
        info: &ChannelInfo,
        out: &mut impl Egress,
        counters: &mut Counters,
    ) -> bool {
        self.close(now, transport, info.key, out, counters);
        let Ok(at) = self.find(transport) else { return false };
        let Some(member) = self.members.get_mut(at) else { return false };
        let rights = member.rights(&info.label);
        if member.channels.len() >= limit::CHANNELS
            || info.label.len() > LABEL_BYTES
            || rights == (false, false)
        {
            return false;
        }
        let framed = Settings::parse(&info.protocol);
        let is_framed = framed.is_some();
        let (asked, outcome) = framed.unwrap_or((None, Ok(())));
        let known = self
            .topics
            .iter()
            .find(|(_, topic)| topic.is_framed == is_framed && *topic.label == *info.label)
            .map(|(index, _)| index);
        let topic_index = match known {
            Some(index) => index,
            None if self.topics.len() >= limit::TOPICS => return false,
            None => self.topics.insert(Topic::new(&info.label, is_framed, asked.unwrap_or_default())),
        };
        let Some(topic) = self.topics.get_mut(topic_index) else { return false };
        let mut channel = Channel::new(transport, info.key, member.participant, topic_index);
        channel.is_framed = is_framed;
        channel.is_reliable = info.reliability == Reliability::Reliable;
        topic.channels += 1;
        topic.senders.entry(member.participant).or_default().channels += 1;
        let settings = topic.settings;
        let index = self.channels.insert(channel) as u32;
        member.channels.push((info.key, index));
        self.apply_rights(now, index, rights, out, counters);
        if let Some(channel) = self.channels.get_mut(index as usize) {
            if outcome.is_err() {
                let text = "a setting can't be read and was left out";
                channel.complain(now, TopicError::BadSettings, text, out, counters);
            }
            if asked.is_some_and(|asked| asked != settings) {
                let text = "the topic lives with other settings";
                channel.complain(now, TopicError::TopicMismatch, text, out, counters);
            }
        }
        self.finish(now, out, counters);
        true
    }

    /// A channel was closed.
    pub(crate) fn close(
        &mut self,
        now: Instant,
        transport: TransportKey,
        key: ChannelKey,
        out: &mut impl Egress,
        counters: &mut Counters,
    ) {
        let Ok(at) = self.find(transport) else { return };
        let Some(member) = self.members.get_mut(at) else { return };
        let Some(index) = member.channel(key) else { return };
        member.channels.retain(|(known, _)| *known != key);
        self.remove_channel(now, index, counters);
        self.finish(now, out, counters);
    }

    /// The next channel that is to be closed.
    pub(crate) fn poll_cut(&mut self) -> Option<Cut> {
        self.cuts.pop_front()
    }

    /// The next channel that was held and may go on.
    pub(crate) fn poll_release(&mut self) -> Option<(TransportKey, ChannelKey)> {
        self.releases.pop_front()
    }

    /// Gives a channel its rights, and tells it of them.
    fn apply_rights(
        &mut self,
        now: Instant,
        index: u32,
        (may_publish, may_subscribe): (bool, bool),
        out: &mut impl Egress,
        counters: &mut Counters,
    ) {
        let Some(channel) = self.channels.get_mut(index as usize) else { return };
        let Some(topic) = self.topics.get_mut(channel.topic) else { return };
        if (channel.may_publish, channel.may_subscribe) == (may_publish, may_subscribe) {
            return;
        }
        if !may_publish && !may_subscribe {
            return self.cut(now, index, TopicError::NotAllowed, NO_LONGER_ALLOWED, out, counters);
        }
        let begins = may_subscribe && !channel.may_subscribe;
        (channel.may_publish, channel.may_subscribe) = (may_publish, may_subscribe);
        if may_subscribe {
            topic.receivers.add(channel.participant, index);
        } else {
            topic.receivers.remove(channel.participant, index);
        }
        if !channel.is_framed {
            return;
        }
        self.say_welcome(now, index, out, counters);
        if let (Some(channel), Some(topic)) = self.channel_and_topic(index)
            && begins
            && topic.settings.mode == Mode::Latest
        {
            channel.owe_snapshot(Mode::Latest, &mut topic.store);
        }
        self.drain(now, index, out, counters);
    }

    fn say_welcome(&mut self, now: Instant, index: u32, out: &mut impl Egress, counters: &mut Counters) {
        let time = self.clock.unix_micros(now);
        let (Some(channel), Some(topic)) = self.channel_and_topic(index) else { return };
        let welcome = Welcome {
            may_publish: channel.may_publish,
            may_subscribe: channel.may_subscribe,
            ..Welcome::new(channel.participant, time, topic.settings)
        };
        channel.say(&ServerFrame::Welcome(welcome), out, counters);
    }

    fn channel_and_topic(&mut self, index: u32) -> (Option<&mut Channel>, Option<&mut Topic>) {
        let channel = self.channels.get_mut(index as usize);
        let topic =
            channel.as_ref().map(|channel| channel.topic).and_then(|topic| self.topics.get_mut(topic));
        (channel, topic)
    }

    /// Closes a channel from our side.
    fn cut(
        &mut self,
        now: Instant,
        index: u32,
        error: TopicError,
        reason: &'static str,
        out: &mut impl Egress,
        counters: &mut Counters,
    ) {
        let Some(channel) = self.channels.get_mut(index as usize) else { return };
        let (transport, key) = (channel.transport, channel.key);
        if channel.is_framed {
            channel.say(&error.frame(reason), out, counters);
        }
        if let Ok(at) = self.find(transport)
            && let Some(member) = self.members.get_mut(at)
        {
            member.channels.retain(|(known, _)| *known != key);
        }
        self.remove_channel(now, index, counters);
        counters.data_cut += 1;
        self.cuts.push_back(Cut { transport, channel: key, reason });
    }

    /// Takes a channel out of its topic, and the topic out of the room if it was the last.
    fn remove_channel(&mut self, now: Instant, index: u32, counters: &mut Counters) {
        let Some(mut channel) = self.channels.try_remove(index as usize) else { return };
        self.pending.retain(|known| *known != index);
        self.touched.retain(|known| *known != index);
        self.slow.retain(|known| *known != index);
        let topic_index = channel.topic;
        let Some(topic) = self.topics.get_mut(topic_index) else { return };
        topic.receivers.remove(channel.participant, index);
        topic.held.retain(|held| *held != index);
        channel.wants.clear(index, &mut topic.interest);
        channel.settle(&mut topic.store);
        topic.channels = topic.channels.saturating_sub(1);
        if channel.is_stalled {
            self.unstall(topic_index);
        }
        let Some(topic) = self.topics.get_mut(topic_index) else { return };
        if topic.channels == 0 {
            self.topics.remove(topic_index);
            return;
        }
        let Some(sender) = topic.senders.get_mut(&channel.participant) else { return };
        sender.channels = sender.channels.saturating_sub(1);
        if sender.channels == 0 && topic.settings.departure == Departure::Drop {
            for id in topic.store.of_sender(channel.participant) {
                self.end_value(now, topic_index, id, None, counters);
            }
        }
    }

    fn find(&self, transport: TransportKey) -> Result<usize, usize> {
        self.members.binary_search_by_key(&transport, |member| member.transport)
    }

    fn topic_of(&self, channel: u32) -> Option<&Topic> {
        self.channels.get(channel as usize).and_then(|channel| self.topics.get(channel.topic))
    }
}
