//! Data channels over SCTP over DTLS (RFC 8831, RFC 8832), around `rtc-sctp`.
//!
//! In go decrypted SCTP packets, out come messages (`receive`). Queues are ours: each `channel` has one, which refuses
//! (reliable) or drops its oldest (unreliable) when it is full, and a `schedule` says whose message is next. SCTP is given
//! only what leaves at once (`send`), as what lies in its buffer can be neither dropped nor overtaken any more. How much is
//! under way is bounded by a `window` of our own, that keeps queues in the network short. The machine's `clock` runs
//! faster than ours, since its timers can't be set.
//!
//! Channels are opened in band (`establish`) or declared by both ends out of band (RFC 8831 §6.5).

mod channel;
mod clock;
mod establish;
mod flow;
mod probe;
mod receive;
mod schedule;
mod send;
mod window;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rtc_sctp::{
    Association, AssociationHandle, ClientConfig, Endpoint, EndpointConfig, PayloadProtocolIdentifier,
    ServerConfig, StreamId, TimerConfig, TransportConfig,
};
use rtc_shared::TransportProtocol;

use self::channel::Channel;
use self::clock::SctpClock;
use self::establish::{open_message, stream_reliability};
use self::flow::Flow;
use self::probe::TailProbe;
use self::schedule::Schedule;
use self::window::Window;
use super::event::TransportEvent;
use super::sctp_guard::SctpGuard;
use crate::ChannelKey;

pub use establish::DeclareError;

/// Longest message in bytes, either way: `a=max-message-size` of our answers.
pub const MAX_MESSAGE_BYTES: usize = 256 * 1024;
/// Channels of one transport. Cost of raising: about 500 bytes each, before queues.
pub const MAX_CHANNELS: usize = 256;
/// SCTP streams: channel ids stay below. What Chromium uses at most.
pub const MAX_STREAMS: u16 = 1024;
/// Bytes of incomplete messages, and of those on channels that are held, that are kept: the receive window. Four times the
/// longest message, so that the window is never the bottleneck below 60 Mbit/s at 100 ms with a message of 256 KiB half
/// there, and one of up to 1 MiB, which is too long, is still received and refused rather than stuck.
const RECEIVE_BUFFER_BYTES: u32 = 1024 * 1024;
/// Bytes in the queue of one channel above which it says that it has no room, at most and at least. Between the two it is
/// a fifth of what is under way. At least: 50 ms at 64 kbit/s.
const HIGH_WATER_BYTES: usize = 256 * 1024;
const MIN_HIGH_WATER_BYTES: usize = 400;
/// Bytes in the queue of one channel.
const QUEUE_BYTES: usize = 1024 * 1024;
/// Messages in the queue of one channel.
const QUEUE_MESSAGES: usize = 1024;
/// Bytes in the queues of all channels of one transport.
const TRANSPORT_QUEUE_BYTES: usize = 4 * 1024 * 1024;
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
    clock: SctpClock,
    association: Option<(AssociationHandle, Association)>,
    /// Whether the association has been up.
    was_up: bool,
    guard: SctpGuard,
    attempts: u32,
    channels: BTreeMap<StreamId, Channel>,
    /// Channels that are there without being opened, as soon as an association is.
    declared: Vec<ChannelInfo>,
    schedule: Schedule,
    flow: Flow,
    window: Window,
    probe: TailProbe,
    /// Bytes in the queues of all channels.
    queued_bytes: usize,
    /// Whether any channel may be above its high-water mark.
    has_over: bool,
    outgoing: VecDeque<Bytes>,
    /// Whether the machine may have something to send.
    is_flush_due: bool,
    /// Streams that were released and are read on bit by bit, and when: all at once would be held outside the receive
    /// window, should they be held again.
    unread: BTreeMap<StreamId, Instant>,
    /// The last packet with DATA.
    last_data: Option<Bytes>,
    /// Longest message that the peer takes.
    max_outgoing_bytes: usize,
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
        // A timer of the machine that has run out too often is never set again, and what it was for stands still. The
        // transport's liveness decides when a peer is gone.
        let timers = TimerConfig {
            max_t1_init_retrans: usize::MAX,
            max_t1_cookie_retrans: usize::MAX,
            max_t2_shutdown_retrans: usize::MAX,
            max_t3_rtx_retrans: usize::MAX,
            max_reconfig_retrans: usize::MAX,
            max_ack_retrans: usize::MAX,
        };
        let config = TransportConfig::default()
            // Our own limit is looked at before.
            .with_max_message_size(u32::MAX)
            .with_max_receive_buffer_size(RECEIVE_BUFFER_BYTES)
            .with_max_num_inbound_streams(MAX_STREAMS)
            .with_max_num_outbound_streams(MAX_STREAMS)
            .with_timer_config(timers);
        let server = ServerConfig::new(config.clone());
        // SCTP packets of 1,191 bytes at most: 1,228 with DTLS, 1,276 with UDP and IPv6, which any path carries (RFC 8200 §5).
        let endpoint = EndpointConfig::new();
        Self {
            machine: Endpoint::new(PEER, TransportProtocol::UDP, Arc::new(endpoint), Some(Arc::new(server))),
            config: Arc::new(config),
            clock: SctpClock::default(),
            association: None,
            was_up: false,
            guard: SctpGuard::default(),
            attempts: 0,
            channels: BTreeMap::new(),
            declared: Vec::new(),
            schedule: Schedule::default(),
            flow: Flow::default(),
            window: Window::default(),
            probe: TailProbe::default(),
            queued_bytes: 0,
            has_over: false,
            outgoing: VecDeque::new(),
            is_flush_due: false,
            unread: BTreeMap::new(),
            last_data: None,
            max_outgoing_bytes: limit,
        }
    }

    /// Sends messages of whatever length from now on. For peers in tests that don't keep to what was agreed.
    pub fn lift_message_limit(&mut self) {
        self.max_outgoing_bytes = QUEUE_BYTES;
    }

    /// Begins an association instead of waiting for the peer to do so. For the DTLS client.
    pub fn connect(&mut self, now: Instant) {
        if self.association.is_none() {
            let config = ClientConfig { transport: self.config.clone() };
            if let Ok((handle, association)) =
                self.machine.connect(self.clock.machine_time(now), config, PEER)
            {
                self.begin(handle, association);
                self.is_flush_due = true;
            }
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
        let now = self.clock.machine_time(now);
        let Some((_, association)) = &mut self.association else { return false };
        if association.is_handshaking()
            || self.channels.contains_key(&stream)
            || self.channels.len() >= MAX_CHANNELS
        {
            return false;
        }
        let Some(bytes) = open_message(&info) else { return false };
        let Ok(mut outgoing) = association.open_stream(stream, PayloadProtocolIdentifier::Binary) else {
            return false;
        };
        let (kind, value) = stream_reliability(&info, 0);
        let is_sent = outgoing.set_reliability_params(!info.is_ordered, kind, value).is_ok()
            && outgoing.write_chunk_with_ppi(now, &bytes, PayloadProtocolIdentifier::Dcep).is_ok();
        if is_sent {
            self.channels.insert(stream, Channel::new(info, false));
            self.is_flush_due = true;
        }
        is_sent
    }

    /// A channel that both ends know of without a word in band (RFC 8831 §6.5). [`TransportEvent::ChannelOpened`] follows as
    /// soon as there is an association, at once if there is. Declaring the same again changes nothing.
    ///
    /// # Errors
    /// If the id is another channel's or too high, or there are too many channels.
    pub fn declare(
        &mut self,
        info: ChannelInfo,
        events: &mut VecDeque<TransportEvent>,
    ) -> Result<(), DeclareError> {
        let id = info.key.0;
        let known = self.declared.iter().find(|it| it.key == info.key);
        let known = known.or_else(|| self.channels.get(&id).map(|it| &it.info));
        if let Some(known) = known {
            return if *known == info { Ok(()) } else { Err(DeclareError::Taken(id)) };
        }
        if id >= MAX_STREAMS {
            return Err(DeclareError::OutOfRange(id));
        }
        let not_open = self.declared.iter().filter(|it| !self.channels.contains_key(&it.key.0)).count();
        if self.channels.len() + not_open >= MAX_CHANNELS {
            return Err(DeclareError::TooMany);
        }
        self.declared.push(info.clone());
        if self.is_up()
            && let Some((handle, mut association)) = self.association.take()
        {
            self.open_declared(info, &mut association, events);
            self.association = Some((handle, association));
        }
        Ok(())
    }

    /// Closes a channel (RFC 8831 §6.7).
    pub fn close(&mut self, now: Instant, key: ChannelKey) {
        self.declared.retain(|it| it.key != key);
        if self.channels.contains_key(&key.0) {
            self.forget(key.0);
            if let Some((_, association)) = &mut self.association
                && let Ok(mut stream) = association.stream(key.0)
            {
                let _ = stream.close(self.clock.machine_time(now));
                self.is_flush_due = true;
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn deadline(&self) -> Option<Instant> {
        let (_, association) = self.association.as_ref()?;
        let of_machine = association.poll_timeout().map(|due| self.clock.own_time(due));
        of_machine.into_iter().chain(self.probe.deadline()).chain(self.unread.values().copied()).min()
    }

    fn begin(&mut self, handle: AssociationHandle, association: Association) {
        self.association = Some((handle, association));
        self.was_up = false;
        self.flow = Flow::default();
        self.window = Window::default();
        self.probe = TailProbe::default();
        self.unread.clear();
        self.last_data = None;
    }

    fn open_declared(
        &mut self,
        info: ChannelInfo,
        association: &mut Association,
        events: &mut VecDeque<TransportEvent>,
    ) {
        let stream = info.key.0;
        // The peer may have sent on it before.
        if association.stream(stream).is_err() {
            let _ = association.open_stream(stream, PayloadProtocolIdentifier::Binary);
        }
        let Ok(mut outgoing) = association.stream(stream) else { return };
        let (kind, value) = stream_reliability(&info, 0);
        if outgoing.set_reliability_params(!info.is_ordered, kind, value).is_ok() {
            self.channels.insert(stream, Channel::new(info.clone(), true));
            events.push_back(TransportEvent::ChannelOpened(info));
        }
    }

    /// Takes a channel out. Says whether anybody knew of it.
    fn forget(&mut self, id: StreamId) -> bool {
        self.schedule.remove(id);
        self.unread.remove(&id);
        let Some(channel) = self.channels.remove(&id) else { return false };
        self.queued_bytes -= channel.queued_bytes;
        self.flow.note_released(channel.handed_bytes);
        channel.is_open
    }
}
