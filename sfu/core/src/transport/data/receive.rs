//! From SCTP to messages and channels.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use patchbay_sctp::{Event, ppid};

use super::channel::Channel;
use super::establish::Establishment;
use super::{ChannelKey, DataChannels, MAX_CHANNELS};
use crate::transport::event::{MessageKind, TransportEvent};
use crate::transport::stats::{DropCounts, DropReason};

/// What a message that is held costs beside its bytes.
const OVERHEAD_BYTES: usize = 64;

impl DataChannels {
    /// Takes one SCTP packet.
    pub fn handle(
        &mut self,
        now: Instant,
        packet: &Bytes,
        events: &mut VecDeque<TransportEvent>,
        dropped: &mut DropCounts,
    ) {
        if self.association.handle(now, packet) {
            self.drain(now, events, dropped);
        } else {
            dropped.count(DropReason::UnexpectedData);
        }
    }

    /// Takes back a message that can't be relayed yet, until [`release`](Self::release). What is held counts for the receive
    /// window: when it is full, the peer sends nothing more on any of its channels.
    pub fn hold(&mut self, key: ChannelKey, kind: MessageKind, payload: Bytes) {
        if let Some(channel) = self.channels.get_mut(&key.0) {
            let bytes = payload.len() + OVERHEAD_BYTES;
            channel.held_bytes += bytes;
            channel.held.push_back((kind, payload));
            self.set_held_bytes(self.held_bytes + bytes);
        }
    }

    /// Whether a message of the channel is held, so that those behind it have to be held, too.
    pub fn is_holding(&self, key: ChannelKey) -> bool {
        self.channels.get(&key.0).is_some_and(|channel| !channel.held.is_empty())
    }

    /// Gives the messages that were held again.
    pub fn release(&mut self, key: ChannelKey, events: &mut VecDeque<TransportEvent>) {
        let Some(channel) = self.channels.get_mut(&key.0) else { return };
        let bytes = std::mem::take(&mut channel.held_bytes);
        let held = std::mem::take(&mut channel.held).into_iter();
        events.extend(held.map(|(kind, payload)| TransportEvent::Message { channel: key, kind, payload }));
        self.set_held_bytes(self.held_bytes - bytes);
    }

    /// Does what is due.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        events: &mut VecDeque<TransportEvent>,
        dropped: &mut DropCounts,
    ) {
        if self.deadline().is_some_and(|due| due <= now) {
            self.association.handle_timeout(now);
            self.drain(now, events, dropped);
        }
    }

    /// Takes whatever SCTP has to say, and lets it send.
    fn drain(&mut self, now: Instant, events: &mut VecDeque<TransportEvent>, dropped: &mut DropCounts) {
        self.is_flush_due = true;
        while let Some(event) = self.association.poll_event() {
            match event {
                Event::Up => {
                    for info in self.declared.clone() {
                        self.open_declared(info, events);
                    }
                }
                Event::Message { stream, ppid: ppid::DCEP, payload } => {
                    self.control(stream, &payload, events, dropped);
                }
                Event::Message { stream, ppid, payload } => {
                    let kind = message(ppid, payload);
                    match kind.filter(|_| self.channels.contains_key(&stream)) {
                        Some((kind, payload)) => {
                            let channel = ChannelKey(stream);
                            events.push_back(TransportEvent::Message { channel, kind, payload });
                        }
                        None if self.channels.contains_key(&stream) => dropped.count(DropReason::BadMessage),
                        None => dropped.count(DropReason::UnexpectedData),
                    }
                }
                Event::TooLong { stream, bytes } => {
                    dropped.count(DropReason::BadMessage);
                    if self.channels.contains_key(&stream) {
                        events
                            .push_back(TransportEvent::MessageTooLong { channel: ChannelKey(stream), bytes });
                    }
                }
                Event::Released { stream, bytes } => {
                    if let Some(channel) = self.channels.get_mut(&stream) {
                        channel.handed_bytes = channel.handed_bytes.saturating_sub(bytes);
                    }
                }
                Event::Reset(streams) if streams.is_empty() => self.lose_all(true, events),
                Event::Reset(streams) => streams.into_iter().for_each(|id| self.lose(id, true, events)),
                Event::Closed => {
                    // Nothing more is said of its channels, and an association that follows numbers its own from the start.
                    self.lose_all(false, events);
                    self.replace_association(now);
                }
            }
        }
        if !self.schedule.is_empty() {
            self.feed(now, dropped);
        }
        self.tell_writable(events);
    }

    fn lose_all(&mut self, is_reset: bool, events: &mut VecDeque<TransportEvent>) {
        let ids: Vec<u16> = self.channels.keys().copied().collect();
        ids.into_iter().for_each(|id| self.lose(id, is_reset, events));
    }

    /// The peer has closed a channel, by a reset that is answered by one (RFC 8831 §6.7), or with everything.
    fn lose(&mut self, id: u16, is_reset: bool, events: &mut VecDeque<TransportEvent>) {
        if is_reset {
            self.declared.retain(|it| it.key.0 != id);
        }
        let Some(was_open) = self.forget(id) else { return };
        if is_reset {
            self.association.reset_stream(id);
        }
        if was_open {
            events.push_back(TransportEvent::ChannelClosed(ChannelKey(id)));
        }
    }

    /// A message of the channel establishment protocol (RFC 8832).
    fn control(
        &mut self,
        id: u16,
        message: &[u8],
        events: &mut VecDeque<TransportEvent>,
        dropped: &mut DropCounts,
    ) {
        match Establishment::parse(id, message) {
            Some(Establishment::Ack) => {
                if let Some(channel) = self.channels.get_mut(&id).filter(|it| !it.is_open) {
                    channel.is_open = true;
                    events.push_back(TransportEvent::ChannelOpened(channel.info.clone()));
                }
            }
            Some(Establishment::Open(info)) if !self.channels.contains_key(&id) => {
                if self.channels.len() >= MAX_CHANNELS {
                    // So that its opener doesn't wait for an answer (RFC 8832 §6).
                    dropped.count(DropReason::BadMessage);
                    self.association.reset_stream(id);
                } else if self.establish(id, &Establishment::Ack) {
                    self.channels.insert(id, Channel::new(info.clone(), true));
                    events.push_back(TransportEvent::ChannelOpened(info));
                }
            }
            _ => dropped.count(DropReason::BadMessage),
        }
    }
}

/// What a payload is, by the number that came with it (RFC 8831 §8).
fn message(ppid: u32, payload: Bytes) -> Option<(MessageKind, Bytes)> {
    match ppid {
        ppid::STRING if std::str::from_utf8(&payload).is_ok() => Some((MessageKind::Text, payload)),
        ppid::BINARY => Some((MessageKind::Binary, payload)),
        ppid::STRING_EMPTY => Some((MessageKind::Text, Bytes::new())),
        ppid::BINARY_EMPTY => Some((MessageKind::Binary, Bytes::new())),
        _ => None,
    }
}
