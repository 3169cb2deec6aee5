//! Ways to topics that are no transports: their messages come in commands and leave in events.
//!
//! They have keys of their own among those of transports, so that a router sees no difference. What leaves is bounded by a
//! rate, as nobody tells how much of it waits on the way: above it, there is no room.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use patchbay_protocol::node::NodeEvent;
use patchbay_protocol::{ErrorCode, ParticipantNumber, ProtocolError, TopicGrant, TransportId, limit};
use slab::Slab;

use super::Worker;
use crate::router::Intake;
use crate::transport::{ChannelInfo, MessageKind, Reliability};
use crate::{ChannelKey, DataMessage, SendOutcome, TransportKey};

/// Keys from here on are such ways.
const FIRST_KEY: u32 = 1 << 31;
/// Bytes a second for one way. Cost of raising: that much, a third more in base64, on the link and the signaling connection.
const BYTES_PER_SECOND: u64 = 1024 * 1024;
/// What was not used may be used at once, for so long.
const BURST: Duration = Duration::from_millis(500);
/// Messages of a way that wait as their topic is held up. Cost of raising: 256 KiB each, in the worst case.
const MAX_HELD: usize = 64;

/// One such way.
pub(super) struct Signaled {
    pub(super) id: TransportId,
    pub(super) participant: ParticipantNumber,
    /// Index of its room in the worker.
    pub(super) room: usize,
    /// What was sent on it while something was handled.
    outbox: Vec<(ChannelKey, Bytes)>,
    /// When all that left would be paid for at the rate.
    paid_at: Option<Instant>,
    held: VecDeque<(ChannelKey, Bytes)>,
}

/// All of them.
#[derive(Default)]
pub(super) struct SignaledWays {
    table: Slab<Signaled>,
    /// Those with something in their outbox.
    told: Vec<TransportKey>,
}

impl SignaledWays {
    pub(super) fn insert(
        &mut self,
        id: TransportId,
        participant: ParticipantNumber,
        room: usize,
    ) -> TransportKey {
        let (outbox, held) = (Vec::new(), VecDeque::new());
        let way = Signaled { id, participant, room, outbox, paid_at: None, held };
        TransportKey(FIRST_KEY | self.table.insert(way) as u32)
    }

    pub(super) fn get(&self, key: TransportKey) -> Option<&Signaled> {
        self.table.get(index(key)?)
    }

    fn get_mut(&mut self, key: TransportKey) -> Option<&mut Signaled> {
        self.table.get_mut(index(key)?)
    }

    pub(super) fn remove(&mut self, key: TransportKey) -> Option<Signaled> {
        self.table.try_remove(index(key)?)
    }

    /// The keys of a room's ways.
    pub(super) fn of_room(&self, room: usize) -> impl Iterator<Item = TransportKey> {
        let ways = self.table.iter().filter(move |(_, way)| way.room == room);
        ways.map(|(index, _)| TransportKey(FIRST_KEY | index as u32))
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Takes a message for whoever is behind a way.
    pub(super) fn send(
        &mut self,
        now: Instant,
        key: TransportKey,
        channel: ChannelKey,
        message: DataMessage<'_>,
    ) -> SendOutcome {
        let Some(way) = index(key).and_then(|index| self.table.get_mut(index)) else {
            return SendOutcome::Gone;
        };
        let (DataMessage::Text(message) | DataMessage::Binary(message)) = message;
        if way.room_for(now) == 0 {
            return SendOutcome::Full;
        }
        let cost = Duration::from_nanos(message.len() as u64 * 1_000_000_000 / BYTES_PER_SECOND);
        way.paid_at = Some(way.paid_at.map_or(now, |at| at.max(now)) + cost);
        if way.outbox.is_empty() {
            self.told.push(key);
        }
        way.outbox.push((channel, message.clone()));
        SendOutcome::Queued
    }

    /// Bytes that a way would take now.
    pub(super) fn room(&self, now: Instant, key: TransportKey) -> usize {
        self.get(key).map_or(0, |way| way.room_for(now))
    }

    /// The next event with messages: one for each channel of a way.
    fn poll(&mut self) -> Option<NodeEvent> {
        loop {
            let &key = self.told.last()?;
            let Some(way) = index(key).and_then(|index| self.table.get_mut(index)) else {
                self.told.pop();
                continue;
            };
            let Some(&(channel, _)) = way.outbox.first() else {
                self.told.pop();
                continue;
            };
            let mut messages = Vec::new();
            way.outbox.retain(|(on, message)| {
                let is_it = *on == channel;
                if is_it {
                    messages.push(STANDARD.encode(message));
                }
                !is_it
            });
            return Some(NodeEvent::Data { transport: way.id, channel: channel.0, messages });
        }
    }
}

impl Signaled {
    fn room_for(&self, now: Instant) -> usize {
        let ahead = self.paid_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        let left = BURST.saturating_sub(ahead).as_nanos() * u128::from(BYTES_PER_SECOND) / 1_000_000_000;
        usize::try_from(left).unwrap_or(usize::MAX)
    }
}

impl Worker {
    /// Makes a way to topics, and its room if need be.
    pub(super) fn attach_data(
        &mut self,
        now: Instant,
        id: TransportId,
        room: patchbay_protocol::RoomId,
        participant: ParticipantNumber,
        topics: Vec<TopicGrant>,
    ) -> Result<(), ProtocolError> {
        let key = match self.transports.get(&id) {
            Some(&key) if self.members.signaled.get(key).is_some() => key,
            Some(_) => {
                let message = "this transport is there and is none of signaling's";
                return Err(ProtocolError::new(ErrorCode::InvalidArgument, message));
            }
            None => {
                let index = self.room_or_new(now, room);
                let key = self.members.signaled.insert(id, participant, index);
                self.transports.insert(id, key);
                if let Some(room) = self.rooms.get_mut(index) {
                    room.router.attach_data(key, participant);
                }
                key
            }
        };
        self.set_data(now, key, true, topics);
        Ok(())
    }

    /// What a transport or such a way may do with data.
    pub(super) fn set_data(&mut self, now: Instant, key: TransportKey, data: bool, topics: Vec<TopicGrant>) {
        let Some(index) = self.room_of(key) else { return };
        if let Some(room) = self.rooms.get_mut(index) {
            room.router.set_data(now, key, data, topics, &mut self.members);
        }
        self.after_router(index);
    }

    pub(super) fn open_topic(
        &mut self,
        now: Instant,
        key: TransportKey,
        channel: ChannelKey,
        label: String,
        protocol: String,
    ) -> Result<(), ProtocolError> {
        let index = self.signaled_room(key)?;
        if patchbay_frame::Settings::parse(&protocol).is_none() {
            let message = "over signaling, topics speak framed mode";
            return Err(ProtocolError::new(ErrorCode::InvalidArgument, message));
        }
        let (is_ordered, reliability) = (true, Reliability::Reliable);
        let info = ChannelInfo { key: channel, label, protocol, is_ordered, reliability };
        let room = self.rooms.get_mut(index);
        let is_open =
            room.is_some_and(|room| room.router.handle_channel_opened(now, key, &info, &mut self.members));
        self.after_router(index);
        if is_open {
            return Ok(());
        }
        let message = "the topic is not granted, or there are too many";
        Err(ProtocolError::new(ErrorCode::NotAllowed, message))
    }

    pub(super) fn close_topic(&mut self, now: Instant, key: TransportKey, channel: ChannelKey) {
        let Ok(index) = self.signaled_room(key) else { return };
        if let Some(way) = self.members.signaled.get_mut(key) {
            way.held.retain(|(held, _)| *held != channel);
        }
        if let Some(room) = self.rooms.get_mut(index) {
            room.router.handle_channel_closed(now, key, channel, &mut self.members);
        }
        self.after_router(index);
    }

    pub(super) fn send_data(
        &mut self,
        now: Instant,
        key: TransportKey,
        channel: ChannelKey,
        messages: &[String],
    ) -> Result<(), ProtocolError> {
        let index = self.signaled_room(key)?;
        let is_held_up = |held: usize| held + messages.len() > MAX_HELD;
        if self
            .members
            .signaled
            .get(key)
            .is_some_and(|way| !way.held.is_empty() && is_held_up(way.held.len()))
        {
            return Err(ProtocolError::new(ErrorCode::RateLimited, "the topic waits for a slow receiver"));
        }
        let mut decoded = Vec::with_capacity(messages.len());
        for message in messages {
            let message = STANDARD.decode(message).map_err(|error| {
                ProtocolError::new(ErrorCode::InvalidArgument, format!("a message is no base64: {error}"))
            })?;
            if message.len() > limit::DATA_BYTES {
                let text = "a message is longer than 256 KiB";
                return Err(ProtocolError::new(ErrorCode::MessageTooLarge, text));
            }
            decoded.push(Bytes::from(message));
        }
        for message in decoded {
            self.take_signaled(now, index, key, channel, message);
        }
        self.after_router(index);
        Ok(())
    }

    /// A channel that was held goes on.
    pub(super) fn release_signaled(&mut self, now: Instant, key: TransportKey, channel: ChannelKey) {
        let Some(way) = self.members.signaled.get_mut(key) else { return };
        let index = way.room;
        let held: Vec<(ChannelKey, Bytes)> = std::mem::take(&mut way.held).into();
        let (mine, others): (Vec<_>, Vec<_>) = held.into_iter().partition(|(on, _)| *on == channel);
        way.held.extend(others);
        for (channel, message) in mine {
            self.take_signaled(now, index, key, channel, message);
        }
    }

    /// Ends a way. Its room goes with the last of its members.
    pub(super) fn remove_signaled(&mut self, now: Instant, key: TransportKey) {
        let Some(way) = self.members.signaled.remove(key) else { return };
        self.transports.remove(&way.id);
        if let Some(room) = self.rooms.get_mut(way.room) {
            room.router.detach(now, key, &mut self.members);
        }
        self.after_detach(way.room);
    }

    /// Turns what was sent on such ways into events.
    pub(super) fn tell_signaled(&mut self) {
        while let Some(event) = self.members.signaled.poll() {
            self.tell(event);
        }
    }

    fn take_signaled(
        &mut self,
        now: Instant,
        index: usize,
        key: TransportKey,
        channel: ChannelKey,
        message: Bytes,
    ) {
        let Some(way) = self.members.signaled.get_mut(key) else { return };
        if way.held.iter().any(|(held, _)| *held == channel) {
            way.held.push_back((channel, message));
            return;
        }
        let Some(room) = self.rooms.get_mut(index) else { return };
        let router = &mut room.router;
        let intake =
            router.handle_message(now, key, channel, MessageKind::Binary, message.clone(), &mut self.members);
        if let (Intake::Blocked, Some(way)) = (intake, self.members.signaled.get_mut(key)) {
            way.held.push_back((channel, message));
        }
    }

    fn signaled_room(&self, key: TransportKey) -> Result<usize, ProtocolError> {
        self.members.signaled.get(key).map(|way| way.room).ok_or_else(|| {
            ProtocolError::new(ErrorCode::UnknownTransport, "this transport has data channels of its own")
        })
    }
}

fn index(key: TransportKey) -> Option<usize> {
    key.0.checked_sub(FIRST_KEY).map(|index| index as usize)
}
