//! From SCTP to messages and channels.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rtc_datachannel::message::Message;
use rtc_sctp::{Association, DatagramEvent, Event, PayloadProtocolIdentifier, StreamEvent, StreamId};
use rtc_shared::marshal::Unmarshal;

use super::channel::Channel;
use super::establish::{ack_message, channel_info, stream_reliability};
use super::window::{acknowledged, limit_sack};
use super::{
    ChannelKey, DataChannels, MAX_ASSOCIATION_ATTEMPTS, MAX_CHANNELS, MAX_MESSAGE_BYTES, PEER,
    RECEIVE_BUFFER_BYTES,
};
use crate::transport::event::{MessageKind, TransportEvent};
use crate::transport::stats::{DropCounts, DropReason};

/// Bytes that are read at once of a channel that was released.
const READ_BYTES: usize = 64 * 1024;
/// Until it is read on: what was read may be held by then.
const READ_PAUSE: Duration = Duration::from_millis(1);

impl DataChannels {
    /// Takes one SCTP packet.
    pub fn handle(
        &mut self,
        now: Instant,
        packet: Bytes,
        events: &mut VecDeque<TransportEvent>,
        dropped: &mut DropCounts,
    ) {
        let is_up = self.is_up();
        if !self.guard.check(&packet, is_up) {
            dropped.count(DropReason::UnexpectedData);
            return;
        }
        if is_up && self.guard.had_data() {
            self.last_data = Some(packet.clone());
        }
        let packet = match acknowledged(&packet) {
            Some((cumulative, highest)) => {
                let sample = self.window.handle_sack(now, highest, self.flow.in_flight());
                self.probe.handle_sack(now, cumulative, sample);
                limit_sack(packet, self.window.bytes())
            }
            None => packet,
        };
        self.take(now, packet, dropped);
        self.drain(now, events, dropped);
        if self.guard.is_overrun() {
            // A message without end, or a peer that minds no window.
            dropped.count(DropReason::BadMessage);
            if let Some((_, association)) = &mut self.association {
                let _ = association.abort();
            }
            self.guard.forget_overrun();
            self.drain(now, events, dropped);
        }
    }

    /// Takes back a message that can't be relayed yet. Nothing more is read from the channel's stream before
    /// [`release`](Self::release). Once what the peer sends on it has filled the receive buffer, SCTP's window is closed, for
    /// all its channels: small messages on others go on until then, and wait from then on.
    pub fn hold(&mut self, key: ChannelKey, kind: MessageKind, payload: Bytes) {
        if let Some(channel) = self.channels.get_mut(&key.0) {
            channel.held.push_back((kind, payload));
        }
    }

    /// Whether a message of the channel is held, so that those behind it have to be held, too.
    pub fn is_holding(&self, key: ChannelKey) -> bool {
        self.channels.get(&key.0).is_some_and(|channel| !channel.held.is_empty())
    }

    /// Gives the messages that were held again. If they are not held once more, the timer, which is due at once, reads on.
    pub fn release(&mut self, now: Instant, key: ChannelKey, events: &mut VecDeque<TransportEvent>) {
        let Some(channel) = self.channels.get_mut(&key.0) else { return };
        let held = std::mem::take(&mut channel.held).into_iter();
        events.extend(held.map(|(kind, payload)| TransportEvent::Message { channel: key, kind, payload }));
        self.unread.insert(key.0, now);
    }

    /// Reads on where something was released.
    fn read_on(&mut self, now: Instant, events: &mut VecDeque<TransportEvent>, dropped: &mut DropCounts) {
        let Some((handle, mut association)) = self.association.take() else { return };
        for (id, _) in std::mem::take(&mut self.unread) {
            let is_rest = self.read(now, id, READ_BYTES, &mut association, events, dropped);
            if is_rest && self.channels.contains_key(&id) {
                self.unread.insert(id, now + READ_PAUSE);
            }
        }
        self.association = Some((handle, association));
        // The machine sends a SACK only for what arrives, so a sender that was stopped would learn of the open window by its own
        // probes, which get rarer and rarer. A packet that it has seen already is answered like any other; the second
        // one of two at once (RFC 9260 §6.2).
        if self.guard.window_sent() < RECEIVE_BUFFER_BYTES / 2
            && let Some(packet) = self.last_data.clone()
        {
            self.take(now, packet.clone(), dropped);
            self.take(now, packet, dropped);
        }
    }

    /// Does what is due.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        events: &mut VecDeque<TransportEvent>,
        dropped: &mut DropCounts,
    ) {
        if self.deadline().is_none_or(|due| now < due) {
            return;
        }
        if let Some((tsn, packet)) = self.probe.take_due(now) {
            self.window.note_repeated(tsn);
            self.outgoing.push_back(packet);
        }
        if let Some((_, association)) = &mut self.association {
            association.handle_timeout(self.clock.machine_time(now));
        }
        if !self.unread.is_empty() {
            self.read_on(now, events, dropped);
        }
        self.drain(now, events, dropped);
    }

    /// Gives the machine a packet.
    fn take(&mut self, now: Instant, packet: Bytes, dropped: &mut DropCounts) {
        let now = self.clock.machine_time(now);
        let Some((handle, event)) = self.machine.handle(now, PEER, None, packet) else {
            dropped.count(DropReason::UnexpectedData);
            return;
        };
        match event {
            DatagramEvent::NewAssociation(association) => {
                // A repeated INIT, as our answer to the first was lost. The association that the peer goes on with is the
                // last one that we answered for.
                self.attempts += 1;
                if self.attempts >= MAX_ASSOCIATION_ATTEMPTS {
                    self.machine.reject_new_associations();
                }
                if self.association.as_ref().is_none_or(|(_, it)| it.is_handshaking() || it.is_closed()) {
                    self.begin(handle, association);
                }
            }
            DatagramEvent::AssociationEvent(event) => match &mut self.association {
                Some((current, association)) if *current == handle => association.handle_event(event),
                _ => dropped.count(DropReason::UnexpectedData),
            },
            _ => {}
        }
    }

    /// Takes whatever the machine has to say, and lets it send.
    pub(super) fn drain(
        &mut self,
        now: Instant,
        events: &mut VecDeque<TransportEvent>,
        dropped: &mut DropCounts,
    ) {
        let Some((handle, mut association)) = self.association.take() else { return };
        if !self.was_up && !association.is_handshaking() && !association.is_closed() {
            self.was_up = true;
            for info in self.declared.clone() {
                self.open_declared(info, &mut association, events);
            }
        }
        while let Some(event) = association.poll() {
            match event {
                Event::Stream(StreamEvent::Readable { id }) if !self.unread.contains_key(&id) => {
                    self.read(now, id, usize::MAX, &mut association, events, dropped);
                }
                Event::Stream(StreamEvent::BufferedAmountReleased { id, n_bytes }) => {
                    if let Some(channel) = self.channels.get_mut(&id) {
                        let bytes = n_bytes.min(channel.handed_bytes);
                        channel.handed_bytes -= bytes;
                        self.flow.note_released(bytes);
                    }
                }
                Event::AssociationLost { id, .. } => {
                    if !association.is_closed() {
                        self.declared.retain(|it| it.key.0 != id);
                    }
                    if self.forget(id) {
                        events.push_back(TransportEvent::ChannelClosed(ChannelKey(id)));
                    }
                }
                _ => {}
            }
        }
        let mut is_over = false;
        while let Some(event) = association.poll_endpoint_event() {
            if !is_over {
                self.machine.handle_event(handle, event);
            }
            is_over = true;
        }
        self.association = Some((handle, association));
        if self.schedule.is_empty() {
            self.is_flush_due = true;
        } else {
            self.feed(now, dropped);
        }
        self.tell_writable(events);
        if is_over {
            self.collect(now);
            self.association = None;
            // Nothing more is said of its channels, and an association that follows numbers its own from the start.
            let ids: Vec<StreamId> = self.channels.keys().copied().collect();
            for id in ids {
                if self.forget(id) {
                    events.push_back(TransportEvent::ChannelClosed(ChannelKey(id)));
                }
            }
        }
    }

    /// Reads messages until there is none, or they are so many bytes. Says whether there may be more.
    fn read(
        &mut self,
        now: Instant,
        id: StreamId,
        at_most: usize,
        association: &mut Association,
        events: &mut VecDeque<TransportEvent>,
        dropped: &mut DropCounts,
    ) -> bool {
        let mut bytes_read = 0;
        while !self.is_holding(ChannelKey(id)) {
            if bytes_read >= at_most {
                return true;
            }
            let Ok(mut stream) = association.stream(id) else { return false };
            let Ok(Some(chunks)) = stream.read_sctp() else { return false };
            bytes_read += chunks.len();
            let is_known = self.channels.contains_key(&id);
            let Ok(payload) = chunks.to_payload(MAX_MESSAGE_BYTES) else {
                dropped.count(DropReason::BadMessage);
                if is_known {
                    let (channel, bytes) = (ChannelKey(id), chunks.len());
                    events.push_back(TransportEvent::MessageTooLong { channel, bytes });
                }
                continue;
            };
            let payload = payload.freeze();
            let (kind, payload) = match chunks.ppi {
                PayloadProtocolIdentifier::Dcep => {
                    self.control(now, id, &payload, association, events, dropped);
                    continue;
                }
                PayloadProtocolIdentifier::String if std::str::from_utf8(&payload).is_ok() => {
                    (MessageKind::Text, payload)
                }
                PayloadProtocolIdentifier::Binary => (MessageKind::Binary, payload),
                PayloadProtocolIdentifier::StringEmpty => (MessageKind::Text, Bytes::new()),
                PayloadProtocolIdentifier::BinaryEmpty => (MessageKind::Binary, Bytes::new()),
                _ => {
                    dropped.count(DropReason::BadMessage);
                    continue;
                }
            };
            if is_known {
                events.push_back(TransportEvent::Message { channel: ChannelKey(id), kind, payload });
            } else {
                dropped.count(DropReason::UnexpectedData);
            }
        }
        false
    }

    /// A message of the channel establishment protocol (RFC 8832).
    fn control(
        &mut self,
        now: Instant,
        id: StreamId,
        mut payload: &[u8],
        association: &mut Association,
        events: &mut VecDeque<TransportEvent>,
        dropped: &mut DropCounts,
    ) {
        let info = match Message::unmarshal(&mut payload) {
            Ok(Message::DataChannelAck(_)) => {
                if let Some(channel) = self.channels.get_mut(&id).filter(|it| !it.is_open) {
                    channel.is_open = true;
                    events.push_back(TransportEvent::ChannelOpened(channel.info.clone()));
                }
                return;
            }
            Ok(Message::DataChannelOpen(open)) if !self.channels.contains_key(&id) => channel_info(id, open),
            _ => None,
        };
        let Some(info) = info.filter(|_| self.channels.len() < MAX_CHANNELS) else {
            dropped.count(DropReason::BadMessage);
            return;
        };
        let Ok(mut stream) = association.stream(id) else { return };
        let (kind, value) = stream_reliability(&info, 0);
        let Some(ack) = ack_message() else { return };
        let now = self.clock.machine_time(now);
        let is_acknowledged = stream.set_reliability_params(!info.is_ordered, kind, value).is_ok()
            && stream.write_chunk_with_ppi(now, &ack, PayloadProtocolIdentifier::Dcep).is_ok();
        if is_acknowledged {
            self.channels.insert(id, Channel::new(info.clone(), true));
            events.push_back(TransportEvent::ChannelOpened(info));
        }
    }
}
