//! Data channels over SCTP over DTLS (RFC 8831, RFC 8832), around [`patchbay_sctp`].
//!
//! In go decrypted SCTP packets, out come messages (`receive`). Queues are ours: each `channel` has one, which refuses
//! (reliable) or drops its oldest (unreliable) when it is full, and a `schedule` says whose message is next. SCTP is given
//! only what leaves at once (`send`), as what it has can be neither dropped nor overtaken any more.
//!
//! Channels are opened in band (`establish`) or declared by both ends out of band (RFC 8831 §6.5).

mod channel;
mod establish;
mod receive;
mod schedule;
mod send;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use patchbay_sctp::{Association, Config, Limit, Message, ppid};

use self::channel::Channel;
use self::establish::Establishment;
use self::schedule::Schedule;
use super::event::TransportEvent;
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
/// there.
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
/// Associations that a peer may begin, one after the other.
const MAX_ASSOCIATIONS: u32 = 32;

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
    association: Association,
    /// Random numbers of the next one come from this.
    seed: u64,
    associations: u32,
    /// What the association before has still to say: that it is over.
    last_words: VecDeque<Bytes>,
    channels: BTreeMap<u16, Channel>,
    /// Channels that are there without being opened, as soon as an association is.
    declared: Vec<ChannelInfo>,
    schedule: Schedule,
    /// Bytes in the queues of all channels.
    queued_bytes: usize,
    /// Bytes of messages that are held.
    held_bytes: usize,
    /// Whether any channel may be above its high-water mark.
    has_over: bool,
    /// Whether SCTP may have something to send.
    is_flush_due: bool,
    /// Longest message that the peer takes.
    max_outgoing_bytes: usize,
}

impl DataChannels {
    /// No association yet. `max_message_bytes` is the peer's `a=max-message-size`; `None` means 64 KiB (RFC 8841 §6.1),
    /// zero means no limit. `seed` is any random number: DTLS keeps strangers out, so SCTP's own only tell associations apart.
    pub fn new(max_message_bytes: Option<u64>, seed: u64) -> Self {
        const DEFAULT_MAX_MESSAGE_BYTES: u64 = 64 * 1024;
        let limit = match max_message_bytes.unwrap_or(DEFAULT_MAX_MESSAGE_BYTES) {
            0 => MAX_MESSAGE_BYTES,
            limit => usize::try_from(limit).unwrap_or(MAX_MESSAGE_BYTES).min(MAX_MESSAGE_BYTES),
        };
        Self {
            association: association(seed),
            seed,
            associations: 1,
            last_words: VecDeque::new(),
            channels: BTreeMap::new(),
            declared: Vec::new(),
            schedule: Schedule::default(),
            queued_bytes: 0,
            held_bytes: 0,
            has_over: false,
            is_flush_due: false,
            max_outgoing_bytes: limit,
        }
    }

    /// Sends messages of whatever length from now on. For peers in tests that don't keep to what was agreed.
    pub fn lift_message_limit(&mut self) {
        self.max_outgoing_bytes = QUEUE_BYTES;
    }

    /// Begins an association instead of waiting for the peer to do so. For the DTLS client.
    pub fn connect(&mut self) {
        self.association.connect();
        self.is_flush_due = true;
    }

    /// Whether the association is up, so that channels can be opened.
    pub fn is_up(&self) -> bool {
        self.association.is_up()
    }

    /// Opens a channel on a stream of our own parity: even for the DTLS client, odd for the server (RFC 8832 §6). Says whether
    /// it could be asked for; [`TransportEvent::ChannelOpened`] follows when the peer agrees.
    pub fn open(&mut self, info: ChannelInfo) -> bool {
        let stream = info.key.0;
        let is_possible = self.is_up()
            && stream < MAX_STREAMS
            && !self.channels.contains_key(&stream)
            && self.channels.len() < MAX_CHANNELS;
        let is_asked = is_possible && self.establish(stream, &Establishment::Open(info.clone()));
        if is_asked {
            self.channels.insert(stream, Channel::new(info, false));
        }
        is_asked
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
        if self.is_up() {
            self.open_declared(info, events);
        }
        Ok(())
    }

    /// Closes a channel (RFC 8831 §6.7).
    pub fn close(&mut self, key: ChannelKey) {
        self.declared.retain(|it| it.key != key);
        if self.forget(key.0).is_some() {
            self.association.reset_stream(key.0);
            self.is_flush_due = true;
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.association.deadline()
    }

    fn open_declared(&mut self, info: ChannelInfo, events: &mut VecDeque<TransportEvent>) {
        self.channels.insert(info.key.0, Channel::new(info.clone(), true));
        events.push_back(TransportEvent::ChannelOpened(info));
    }

    /// Sends a message of the establishment protocol: whole and in order, whatever the channel promises (RFC 8832 §6).
    fn establish(&mut self, stream: u16, message: &Establishment) -> bool {
        self.is_flush_due = true;
        message.write().is_some_and(|payload| {
            self.association.send(Message {
                stream,
                ppid: ppid::DCEP,
                payload,
                is_ordered: true,
                limit: Limit::default(),
            })
        })
    }

    /// Takes a channel out, if it is there. Says whether it was open, and our owner knew of it.
    fn forget(&mut self, id: u16) -> Option<bool> {
        self.schedule.remove(id);
        let channel = self.channels.remove(&id)?;
        self.queued_bytes -= channel.queued_bytes;
        self.set_held_bytes(self.held_bytes - channel.held_bytes);
        Some(channel.is_open)
    }

    fn set_held_bytes(&mut self, bytes: usize) {
        self.held_bytes = bytes;
        self.association.set_held_bytes(bytes);
        self.is_flush_due = true;
    }

    /// The association is over: the peer may begin another one, for some time.
    fn replace_association(&mut self, now: Instant) {
        self.last_words.extend(std::iter::from_fn(|| self.association.poll_transmit(now)));
        self.associations += 1;
        if self.associations <= MAX_ASSOCIATIONS {
            self.association = association(self.seed.wrapping_mul(2 * u64::from(self.associations) + 1));
        }
    }
}

fn association(seed: u64) -> Association {
    Association::new(Config {
        receive_window: RECEIVE_BUFFER_BYTES,
        max_streams: MAX_STREAMS,
        max_message_bytes: MAX_MESSAGE_BYTES,
        tag: (seed as u32).max(1),
        first_tsn: (seed >> 32) as u32,
        secret: seed.rotate_left(17) ^ 0x9e37_79b9_7f4a_7c15,
    })
}
