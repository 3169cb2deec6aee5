//! Data channels over SCTP over DTLS (RFC 8831, RFC 8832), around `rtc-sctp`.
//!
//! In go decrypted SCTP packets, out come messages; queues are ours and SCTP's own buffer is kept small, because what lies
//! there can be neither dropped nor replaced any more. Each channel has a bounded queue: a reliable one refuses
//! what does not fit, an unreliable one drops its oldest.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rtc_datachannel::message::Message;
use rtc_datachannel::message::message_channel_ack::DataChannelAck;
use rtc_datachannel::message::message_channel_open::{CHANNEL_PRIORITY_NORMAL, ChannelType, DataChannelOpen};
use rtc_sctp::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier, ReliabilityType, ServerConfig, StreamEvent, StreamId, TransportConfig,
};
use rtc_shared::TransportProtocol;
use rtc_shared::marshal::{Marshal, Unmarshal};

use super::event::{MessageKind, TransportEvent};
use super::sctp_guard::SctpGuard;
use super::stats::{DropCounts, DropReason};
use crate::{ChannelKey, DataMessage, SendOutcome};

/// Longest message in bytes, either way: `a=max-message-size` of our answers.
pub const MAX_MESSAGE_BYTES: usize = 256 * 1024;
/// Channels of one transport. Cost of raising: about 500 bytes each, before queues.
pub const MAX_CHANNELS: usize = 256;
/// SCTP streams: channel ids stay below. What Chromium uses at most.
pub const MAX_STREAMS: u16 = 1024;
/// Bytes of incomplete messages that are kept. Twice the longest message, so that one can follow the other.
const RECEIVE_BUFFER_BYTES: u32 = 512 * 1024;
/// Bytes that lie in SCTP's buffer of one channel before its queue begins to fill.
const SCTP_BUFFER_BYTES: usize = 128 * 1024;
/// Bytes in the queue of one channel.
const QUEUE_BYTES: usize = 1024 * 1024;
/// Bytes in the queue of one channel above which it says that it has no room.
const HIGH_WATER_BYTES: usize = 256 * 1024;
/// Bytes in the queue of one channel below which it says that it has room again.
const LOW_WATER_BYTES: usize = 64 * 1024;
/// Messages in the queue of one channel.
const QUEUE_MESSAGES: usize = 1024;
/// Associations that a peer may begin while none is up: `rtc-sctp` makes a new one for each repetition of INIT.
const MAX_ASSOCIATION_ATTEMPTS: u32 = 32;
/// The machine knows its peer by an address; below us is DTLS, which has none.
const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);

/// What a channel guarantees (RFC 8832 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reliability {
    /// Every message arrives.
    Reliable,
    /// At most so many repetitions of each.
    MaxRetransmits(u32),
    /// Given up after this many milliseconds.
    MaxLifetimeMs(u32),
}

/// A data channel as its opener described it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelInfo {
    /// Its SCTP stream.
    pub key: ChannelKey,
    /// Its label.
    pub label: String,
    /// Its subprotocol.
    pub protocol: String,
    /// Whether messages arrive in the order in which they were sent.
    pub is_ordered: bool,
    /// What else is guaranteed.
    pub reliability: Reliability,
}

/// The data channels of one transport, and the SCTP association that carries them.
pub struct DataChannels {
    machine: Endpoint,
    config: Arc<TransportConfig>,
    association: Option<(AssociationHandle, Association)>,
    guard: SctpGuard,
    attempts: u32,
    channels: BTreeMap<StreamId, Channel>,
    outgoing: VecDeque<Bytes>,
    /// Longest message that the peer takes.
    max_outgoing_bytes: usize,
}

struct Channel {
    info: ChannelInfo,
    is_open: bool,
    queue: VecDeque<(PayloadProtocolIdentifier, Bytes)>,
    queued_bytes: usize,
    /// Whether the queue was above its high-water mark, or full, and is not below its low-water mark yet.
    is_over: bool,
    /// Messages that came and can't be relayed yet.
    held: VecDeque<(MessageKind, Bytes)>,
}

impl DataChannels {
    /// No association yet. `max_message_bytes` is the peer's `a=max-message-size`; `None` means 64 KiB (RFC 8841 §6.1),
    /// zero means no limit.
    pub fn new(max_message_bytes: Option<u64>) -> Self {
        const DEFAULT_MAX_MESSAGE_BYTES: u64 = 64 * 1024;
        let limit = match max_message_bytes.unwrap_or(DEFAULT_MAX_MESSAGE_BYTES) {
            0 => MAX_MESSAGE_BYTES,
            limit => usize::try_from(limit).unwrap_or(MAX_MESSAGE_BYTES).min(MAX_MESSAGE_BYTES),
        };
        let config = TransportConfig::default()
            .with_max_message_size(MAX_MESSAGE_BYTES as u32)
            .with_max_receive_buffer_size(RECEIVE_BUFFER_BYTES)
            .with_max_num_inbound_streams(MAX_STREAMS)
            .with_max_num_outbound_streams(MAX_STREAMS);
        let server = ServerConfig::new(config.clone());
        let endpoint = EndpointConfig::new();
        Self {
            machine: Endpoint::new(PEER, TransportProtocol::UDP, Arc::new(endpoint), Some(Arc::new(server))),
            config: Arc::new(config),
            association: None,
            guard: SctpGuard::default(),
            attempts: 0,
            channels: BTreeMap::new(),
            outgoing: VecDeque::new(),
            max_outgoing_bytes: limit,
        }
    }

    /// Begins an association instead of waiting for the peer to do so. For the DTLS client.
    pub fn connect(&mut self, now: Instant) {
        if self.association.is_none() {
            let config = ClientConfig { transport: self.config.clone() };
            self.association = self.machine.connect(now, config, PEER).ok();
            self.collect(now);
        }
    }

    /// Whether the association is up, so that channels can be opened.
    pub fn is_up(&self) -> bool {
        self.association.as_ref().is_some_and(|(_, it)| !it.is_handshaking() && !it.is_closed())
    }

    /// Opens a channel on a stream of our own parity: even for the DTLS client, odd for the server (RFC 8832 §6). Says whether
    /// it could be asked for; [`TransportEvent::ChannelOpened`] follows when the peer agrees.
    pub fn open(&mut self, now: Instant, info: ChannelInfo) -> bool {
        let stream = info.key.0;
        let Some((_, association)) = &mut self.association else { return false };
        if association.is_handshaking()
            || self.channels.contains_key(&stream)
            || self.channels.len() >= MAX_CHANNELS
        {
            return false;
        }
        let (channel_type, reliability_parameter) = channel_type(&info);
        let open = Message::DataChannelOpen(DataChannelOpen {
            channel_type,
            priority: CHANNEL_PRIORITY_NORMAL,
            reliability_parameter,
            label: info.label.clone().into_bytes(),
            protocol: info.protocol.clone().into_bytes(),
        });
        let Ok(bytes) = open.marshal() else { return false };
        let Ok(mut outgoing) = association.open_stream(stream, PayloadProtocolIdentifier::Binary) else {
            return false;
        };
        let (kind, value) = stream_reliability(&info);
        let is_sent = outgoing.set_reliability_params(!info.is_ordered, kind, value).is_ok()
            && outgoing.write_chunk_with_ppi(now, &bytes.freeze(), PayloadProtocolIdentifier::Dcep).is_ok();
        if is_sent {
            self.channels.insert(stream, Channel::new(info, false));
        }
        self.collect(now);
        is_sent
    }

    /// Closes a channel (RFC 8831 §6.7).
    pub fn close(&mut self, now: Instant, key: ChannelKey) {
        if self.channels.remove(&key.0).is_some()
            && let Some((_, association)) = &mut self.association
            && let Ok(mut stream) = association.stream(key.0)
        {
            let _ = stream.close(now);
            self.collect(now);
        }
    }

    /// Takes one SCTP packet.
    pub fn handle(
        &mut self,
        now: Instant,
        packet: Bytes,
        events: &mut VecDeque<TransportEvent>,
        dropped: &mut DropCounts,
    ) {
        if !self.guard.check(&packet, self.is_up()) {
            dropped.count(DropReason::UnexpectedData);
            return;
        }
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
                    self.association = Some((handle, association));
                }
            }
            DatagramEvent::AssociationEvent(event) => match &mut self.association {
                Some((current, association)) if *current == handle => association.handle_event(event),
                _ => dropped.count(DropReason::UnexpectedData),
            },
            _ => {}
        }
        self.drain(now, events, dropped);
    }

    /// Sends a message. An unreliable channel drops its oldest for it if it must.
    pub fn send(
        &mut self,
        now: Instant,
        key: ChannelKey,
        message: DataMessage<'_>,
        dropped: &mut DropCounts,
    ) -> SendOutcome {
        const EMPTY: Bytes = Bytes::from_static(&[0]);
        let (kind, payload) = match message {
            DataMessage::Text(payload) if payload.is_empty() => {
                (PayloadProtocolIdentifier::StringEmpty, EMPTY)
            }
            DataMessage::Binary(payload) if payload.is_empty() => {
                (PayloadProtocolIdentifier::BinaryEmpty, EMPTY)
            }
            DataMessage::Text(payload) => (PayloadProtocolIdentifier::String, payload.clone()),
            DataMessage::Binary(payload) => (PayloadProtocolIdentifier::Binary, payload.clone()),
        };
        let Some(channel) = self.channels.get_mut(&key.0) else { return SendOutcome::Gone };
        if payload.len() > self.max_outgoing_bytes {
            dropped.count(DropReason::ChannelFull);
            return SendOutcome::Gone;
        }
        if !channel.make_room(payload.len(), dropped) {
            dropped.count(DropReason::ChannelFull);
            channel.is_over = true;
            return SendOutcome::Full;
        }
        channel.queued_bytes += payload.len();
        channel.is_over |= channel.queued_bytes >= HIGH_WATER_BYTES;
        channel.queue.push_back((kind, payload));
        if let Some((_, association)) = &mut self.association {
            channel.pump(now, key.0, association);
        }
        self.collect(now);
        SendOutcome::Queued
    }

    /// Bytes that a channel would take now before it is above its high-water mark; 0 if there is no such channel.
    pub fn room(&self, key: ChannelKey) -> usize {
        let channel = self.channels.get(&key.0).filter(|it| !it.is_over && it.queue.len() < QUEUE_MESSAGES);
        channel.map_or(0, |it| HIGH_WATER_BYTES.saturating_sub(it.queued_bytes))
    }

    /// Takes back a message that can't be relayed yet. Nothing more is read from the channel's stream before
    /// [`release`](Self::release), so that SCTP's window slows the sender down.
    pub fn hold(&mut self, key: ChannelKey, kind: MessageKind, payload: Bytes) {
        if let Some(channel) = self.channels.get_mut(&key.0) {
            channel.held.push_back((kind, payload));
        }
    }

    /// Gives the messages that were held again, and reads on.
    pub fn release(
        &mut self,
        now: Instant,
        key: ChannelKey,
        events: &mut VecDeque<TransportEvent>,
        dropped: &mut DropCounts,
    ) {
        let Some(channel) = self.channels.get_mut(&key.0) else { return };
        let held = std::mem::take(&mut channel.held).into_iter();
        events.extend(held.map(|(kind, payload)| TransportEvent::Message { channel: key, kind, payload }));
        if let Some((handle, mut association)) = self.association.take() {
            self.read(now, key.0, &mut association, events, dropped);
            self.association = Some((handle, association));
            self.collect(now);
        }
    }

    /// Bytes that wait in a channel: in our queue and in SCTP's buffer.
    pub fn buffered_bytes(&mut self, key: ChannelKey) -> usize {
        let queued = self.channels.get(&key.0).map_or(0, |it| it.queued_bytes);
        let association = self.association.as_mut().map(|(_, it)| it);
        let sent = association.and_then(|it| it.stream(key.0).ok()?.buffered_amount().ok());
        queued + sent.unwrap_or(0)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.association.as_ref().and_then(|(_, it)| it.poll_timeout())
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
        if let Some((_, association)) = &mut self.association {
            association.handle_timeout(now);
        }
        self.drain(now, events, dropped);
    }

    /// The next SCTP packet, to be encrypted.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        self.outgoing.pop_front()
    }

    fn drain(&mut self, now: Instant, events: &mut VecDeque<TransportEvent>, dropped: &mut DropCounts) {
        let Some((handle, mut association)) = self.association.take() else { return };
        let is_up = !association.is_handshaking();
        while let Some(event) = association.poll() {
            match event {
                Event::Stream(StreamEvent::Readable { id }) => {
                    self.read(now, id, &mut association, events, dropped)
                }
                Event::AssociationLost { id, .. }
                    if self.channels.remove(&id).is_some_and(|channel| channel.is_open) =>
                {
                    events.push_back(TransportEvent::ChannelClosed(ChannelKey(id)));
                }
                _ => {}
            }
        }
        if is_up {
            for (id, channel) in &mut self.channels {
                channel.pump(now, *id, &mut association);
                if channel.is_over && channel.queued_bytes <= LOW_WATER_BYTES {
                    channel.is_over = false;
                    events.push_back(TransportEvent::Writable { channel: ChannelKey(*id) });
                }
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
        self.collect(now);
        if is_over {
            self.association = None;
            // Nothing more is said of its channels, and an association that follows numbers its own from the start.
            let open = std::mem::take(&mut self.channels).into_iter().filter(|(_, channel)| channel.is_open);
            events.extend(open.map(|(id, _)| TransportEvent::ChannelClosed(ChannelKey(id))));
        }
    }

    fn read(
        &mut self,
        now: Instant,
        id: StreamId,
        association: &mut Association,
        events: &mut VecDeque<TransportEvent>,
        dropped: &mut DropCounts,
    ) {
        loop {
            if self.channels.get(&id).is_some_and(|channel| !channel.held.is_empty()) {
                return;
            }
            let Ok(mut stream) = association.stream(id) else { return };
            let Ok(Some(chunks)) = stream.read_sctp() else { return };
            let Ok(payload) = chunks.to_payload(MAX_MESSAGE_BYTES) else {
                dropped.count(DropReason::BadMessage);
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
            if self.channels.contains_key(&id) {
                events.push_back(TransportEvent::Message { channel: ChannelKey(id), kind, payload });
            } else {
                dropped.count(DropReason::UnexpectedData);
            }
        }
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
        let (kind, value) = stream_reliability(&info);
        let Ok(ack) = Message::DataChannelAck(DataChannelAck {}).marshal() else { return };
        let is_acknowledged = stream.set_reliability_params(!info.is_ordered, kind, value).is_ok()
            && stream.write_chunk_with_ppi(now, &ack.freeze(), PayloadProtocolIdentifier::Dcep).is_ok();
        if is_acknowledged {
            self.channels.insert(id, Channel::new(info.clone(), true));
            events.push_back(TransportEvent::ChannelOpened(info));
        }
    }

    fn collect(&mut self, now: Instant) {
        let Some((_, association)) = &mut self.association else { return };
        while let Some(transmit) = association.poll_transmit(now) {
            if let Payload::RawEncode(packets) = transmit.message {
                packets.iter().for_each(|it| self.guard.note_outgoing(it));
                self.outgoing.extend(packets);
            }
        }
    }
}

impl Channel {
    fn new(info: ChannelInfo, is_open: bool) -> Self {
        let (queue, held) = (VecDeque::new(), VecDeque::new());
        Self { info, is_open, queue, queued_bytes: 0, is_over: false, held }
    }

    /// Makes room for a message of `bytes`, if need be by dropping the oldest, where that is allowed.
    fn make_room(&mut self, bytes: usize, dropped: &mut DropCounts) -> bool {
        loop {
            if self.queue.len() < QUEUE_MESSAGES && self.queued_bytes + bytes <= QUEUE_BYTES {
                return true;
            }
            if self.info.reliability == Reliability::Reliable {
                return false;
            }
            let Some((_, oldest)) = self.queue.pop_front() else { return true };
            self.queued_bytes -= oldest.len();
            dropped.count(DropReason::ChannelFull);
        }
    }

    /// Moves messages into SCTP's buffer while that is nearly empty.
    fn pump(&mut self, now: Instant, id: StreamId, association: &mut Association) {
        if self.queue.is_empty() {
            return;
        }
        let Ok(mut stream) = association.stream(id) else { return };
        while stream.buffered_amount().is_ok_and(|bytes| bytes < SCTP_BUFFER_BYTES)
            && let Some((kind, payload)) = self.queue.pop_front()
        {
            self.queued_bytes -= payload.len();
            let _ = stream.write_chunk_with_ppi(now, &payload, kind);
        }
    }
}

fn channel_info(id: StreamId, open: DataChannelOpen) -> Option<ChannelInfo> {
    let parameter = open.reliability_parameter;
    let (is_ordered, reliability) = match open.channel_type {
        ChannelType::Reliable => (true, Reliability::Reliable),
        ChannelType::ReliableUnordered => (false, Reliability::Reliable),
        ChannelType::PartialReliableRexmit => (true, Reliability::MaxRetransmits(parameter)),
        ChannelType::PartialReliableRexmitUnordered => (false, Reliability::MaxRetransmits(parameter)),
        ChannelType::PartialReliableTimed => (true, Reliability::MaxLifetimeMs(parameter)),
        ChannelType::PartialReliableTimedUnordered => (false, Reliability::MaxLifetimeMs(parameter)),
        _ => return None,
    };
    Some(ChannelInfo {
        key: ChannelKey(id),
        label: String::from_utf8(open.label).ok()?,
        protocol: String::from_utf8(open.protocol).ok()?,
        is_ordered,
        reliability,
    })
}

fn channel_type(info: &ChannelInfo) -> (ChannelType, u32) {
    match (info.reliability, info.is_ordered) {
        (Reliability::Reliable, true) => (ChannelType::Reliable, 0),
        (Reliability::Reliable, false) => (ChannelType::ReliableUnordered, 0),
        (Reliability::MaxRetransmits(count), true) => (ChannelType::PartialReliableRexmit, count),
        (Reliability::MaxRetransmits(count), false) => (ChannelType::PartialReliableRexmitUnordered, count),
        (Reliability::MaxLifetimeMs(ms), true) => (ChannelType::PartialReliableTimed, ms),
        (Reliability::MaxLifetimeMs(ms), false) => (ChannelType::PartialReliableTimedUnordered, ms),
    }
}

fn stream_reliability(info: &ChannelInfo) -> (ReliabilityType, u32) {
    match info.reliability {
        Reliability::Reliable => (ReliabilityType::Reliable, 0),
        Reliability::MaxRetransmits(count) => (ReliabilityType::Rexmit, count),
        // SCTP adds this to an instant: a lifetime of years must not overflow it.
        Reliability::MaxLifetimeMs(ms) => (ReliabilityType::Timed, ms),
    }
}
