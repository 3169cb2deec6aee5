//! The table of a worker's transports, and the list of those with something to send.

use std::time::Instant;

use patchbay_protocol::{ParticipantNumber, TransportId};
use slab::Slab;

use super::negotiation::Negotiation;
use super::signaled::SignaledWays;
use crate::transport::Transport;
use crate::{ChannelKey, DataMessage, Egress, OutgoingRtp, Repetition, SendOutcome, Transmit, TransportKey};

/// One participant's transport and what belongs to it.
pub(super) struct Member {
    pub(super) id: TransportId,
    pub(super) participant: ParticipantNumber,
    /// Index of its room in the worker.
    pub(super) room: usize,
    pub(super) transport: Transport,
    pub(super) negotiation: Negotiation,
    pub(super) is_connected: bool,
    is_ready: bool,
}

impl Member {
    pub(super) fn new(
        id: TransportId,
        participant: ParticipantNumber,
        room: usize,
        transport: Transport,
        negotiation: Negotiation,
    ) -> Self {
        Self { id, participant, room, transport, negotiation, is_connected: false, is_ready: false }
    }
}

/// Transports by key. `ready` names, once each, those that may have something to send, so that polling never walks
/// over the idle ones.
pub(super) struct Members {
    table: Slab<Member>,
    ready: Vec<TransportKey>,
    /// Transports that were given a data channel message: their deadlines may have moved forward.
    rearmed: Vec<TransportKey>,
    /// The time of whatever is being handled, for what routers send.
    now: Instant,
    /// Ways to topics that are no transports.
    pub(super) signaled: SignaledWays,
}

impl Members {
    pub(super) fn new(now: Instant) -> Self {
        let signaled = SignaledWays::default();
        Self { table: Slab::new(), ready: Vec::new(), rearmed: Vec::new(), now, signaled }
    }

    /// Says what time it is. Called on every way into the worker.
    pub(super) fn advance(&mut self, now: Instant) {
        self.now = now;
    }

    /// The time of whatever is being handled.
    pub(super) fn now(&self) -> Instant {
        self.now
    }

    /// Closes a data channel of a transport.
    pub(super) fn close_channel(&mut self, key: TransportKey, channel: ChannelKey) {
        if let Some(member) = self.table.get_mut(key.0 as usize) {
            member.transport.close_channel(self.now, channel);
            self.rearmed.push(key);
            self.mark_ready(key);
        }
    }

    /// The key that the next `insert` will give.
    pub(super) fn next_key(&self) -> TransportKey {
        TransportKey(u32::try_from(self.table.vacant_key()).unwrap_or(u32::MAX))
    }

    pub(super) fn insert(&mut self, member: Member) -> TransportKey {
        let key = self.next_key();
        self.table.insert(member);
        key
    }

    pub(super) fn remove(&mut self, key: TransportKey) -> Option<Member> {
        self.table.try_remove(key.0 as usize)
    }

    pub(super) fn get(&self, key: TransportKey) -> Option<&Member> {
        self.table.get(key.0 as usize)
    }

    pub(super) fn get_mut(&mut self, key: TransportKey) -> Option<&mut Member> {
        self.table.get_mut(key.0 as usize)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.table.iter().map(|(_, member)| member)
    }

    /// The keys of a room's members.
    pub(super) fn of_room(&self, room: usize) -> Vec<TransportKey> {
        let keys = self.table.iter().filter(|(_, member)| member.room == room);
        let keys = keys.filter_map(|(key, _)| u32::try_from(key).ok()).map(TransportKey);
        keys.chain(self.signaled.of_room(room)).collect()
    }

    /// The next transport whose deadline may have moved forward behind the worker's back.
    pub(super) fn pop_rearmed(&mut self) -> Option<TransportKey> {
        self.rearmed.pop()
    }

    /// Says that a transport may have something to send.
    pub(super) fn mark_ready(&mut self, key: TransportKey) {
        let Some(member) = self.table.get_mut(key.0 as usize) else { return };
        if !member.is_ready {
            member.is_ready = true;
            self.ready.push(key);
        }
    }

    /// Whether any transport has something to send, ready to be polled. Takes those that have not off the list.
    pub(super) fn prepare_transmit(&mut self, now: Instant) -> bool {
        while self.has_transmit() {
            let Some(&key) = self.ready.last() else { return false };
            let Some(member) = self.table.get_mut(key.0 as usize) else { return false };
            if !member.transport.prepare_transmit(now) {
                return true;
            }
            self.rearmed.push(key);
        }
        false
    }

    /// Whether any transport may have something to send. Takes those that have not off the list.
    fn has_transmit(&mut self) -> bool {
        while let Some(&key) = self.ready.last() {
            match self.table.get_mut(key.0 as usize) {
                Some(member) if member.transport.has_transmit() => return true,
                Some(member) => member.is_ready = false,
                None => {}
            }
            self.ready.pop();
        }
        false
    }

    /// The next run of datagrams of any transport.
    pub(super) fn poll_transmit(&mut self, now: Instant) -> Option<Transmit<'_>> {
        let key = *self.ready.last()?;
        self.table.get_mut(key.0 as usize)?.transport.poll_transmit(now)
    }
}

impl Egress for Members {
    fn send_rtp(&mut self, to: TransportKey, packet: &OutgoingRtp<'_>) {
        if let Some(member) = self.table.get_mut(to.0 as usize) {
            member.transport.send_rtp(packet);
            self.mark_ready(to);
        }
    }

    fn send_rtcp(&mut self, to: TransportKey, compound: &[u8]) {
        if let Some(member) = self.table.get_mut(to.0 as usize) {
            member.transport.send_rtcp(compound);
            self.mark_ready(to);
        }
    }

    fn send_message(
        &mut self,
        to: TransportKey,
        channel: ChannelKey,
        message: DataMessage<'_>,
        repetition: Repetition,
    ) -> SendOutcome {
        let Some(member) = self.table.get_mut(to.0 as usize) else {
            return self.signaled.send(self.now, to, channel, message);
        };
        let outcome = member.transport.send_message(self.now, channel, message, repetition);
        self.rearmed.push(to);
        self.mark_ready(to);
        outcome
    }

    fn channel_room(&self, to: TransportKey, channel: ChannelKey) -> usize {
        match self.table.get(to.0 as usize) {
            Some(member) => member.transport.channel_room(channel),
            None => self.signaled.room(self.now, to),
        }
    }
}
