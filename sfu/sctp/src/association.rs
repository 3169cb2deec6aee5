//! An association: what belongs together, and the order of things.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes};

use crate::handshake::{Introduction, cookie};
use crate::packet::{
    ABORT, Builder, COOKIE_ACK, COOKIE_ECHO, Chunk, DATA, ERROR, FORWARD_TSN, HEARTBEAT, HEARTBEAT_ACK,
    Header, INIT, INIT_ACK, RE_CONFIG, SACK, SHUTDOWN, SHUTDOWN_ACK, SHUTDOWN_COMPLETE, parse,
};
use crate::receive::{Received, Receiver};
use crate::reset::Resets;
use crate::send::{Message, Sender};

/// The port of SCTP that `a=sctp-port` of our descriptions names (RFC 8841 §5.1).
const PORT: u16 = 5000;
/// How long INIT and COOKIE-ECHO wait for their answer, at first and at most. The transport's liveness ends it.
const FIRST_DELAY: Duration = Duration::from_millis(500);
const MAX_DELAY: Duration = Duration::from_secs(3);
/// Answers to the handshake and to heartbeats that wait to be sent.
const MAX_CONTROL: usize = 16;

/// Messages and resets that wait for a stream to begin anew.
const MAX_STEPS: usize = 2 * 1024;

/// What an association is made with.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// Bytes that are kept at most of what has arrived and can't be given on, and of what is held.
    pub receive_window: u32,
    /// Streams each way.
    pub max_streams: u16,
    /// Longest message that is given on; longer ones are told of.
    pub max_message_bytes: usize,
    /// Random numbers: the verification tag, which is not 0, the first TSN, and what cookies are known by.
    pub tag: u32,
    /// See `tag`.
    pub first_tsn: u32,
    /// See `tag`.
    pub secret: u64,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Messages can be sent.
    Up,
    /// A message came.
    Message {
        /// The stream that it came on.
        stream: u16,
        /// What its payload is: see [`ppid`](crate::ppid).
        ppid: u32,
        /// Its bytes.
        payload: Bytes,
    },
    /// A message came and was thrown away, as it was longer than it may be.
    TooLong {
        /// The stream that it came on.
        stream: u16,
        /// Its length.
        bytes: usize,
    },
    /// Bytes of a stream arrived or were given up: they wait no more.
    Released {
        /// The stream that they were sent on.
        stream: u16,
        /// How many.
        bytes: usize,
    },
    /// The peer has closed its half of a stream; of all, if none is named.
    Reset(Vec<u16>),
    /// The association is over.
    Closed,
}

#[derive(Debug)]
enum State {
    /// Nothing was sent.
    Listening,
    /// INIT was sent.
    CookieWait(Repeated),
    /// COOKIE-ECHO was sent, with this cookie, to the peer that introduced itself.
    CookieEchoed(Repeated, Bytes, Introduction),
    Up(Box<Halves>),
    Closed,
}

/// Something that is sent until it is answered.
#[derive(Debug)]
struct Repeated {
    due: Option<Instant>,
    delay: Duration,
}

/// What a stream is to do next.
#[derive(Debug)]
enum Step {
    Send(Message),
    Reset(u16),
}

/// An association that is up.
#[derive(Debug)]
struct Halves {
    peer: Introduction,
    receiver: Receiver,
    sender: Sender,
    resets: Resets,
    /// What is to be done on streams that begin anew, as soon as the peer knows that they do: it would take a message that overtakes
    /// the reset for an old one.
    steps: Vec<Step>,
}

/// One association with one peer.
#[derive(Debug)]
pub struct Association {
    config: Config,
    state: State,
    /// The peer's port and ours.
    ports: (u16, u16),
    /// Whole packets that go out first.
    control: VecDeque<Bytes>,
    events: VecDeque<Event>,
}

impl Association {
    /// Waits for the peer, until it is told to [`connect`](Self::connect).
    pub fn new(config: Config) -> Self {
        Self {
            config,
            state: State::Listening,
            ports: (PORT, PORT),
            control: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Begins instead of waiting. Both ends may.
    pub fn connect(&mut self) {
        if matches!(self.state, State::Listening) {
            self.state = State::CookieWait(Repeated::new());
        }
    }

    /// Whether messages can be sent.
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Up(_))
    }

    /// Whether it is over.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Takes a packet. Says whether it was for this association, and sound as far as its chunks; whatever is not sound in those is
    /// left out.
    pub fn handle(&mut self, now: Instant, packet: &Bytes) -> bool {
        let Some((header, mut chunks)) = parse(packet) else { return false };
        let Some(first) = chunks.next().filter(|first| self.is_for_us(header, *first)) else { return false };
        self.ports = (header.source_port, header.destination_port);
        let mut has_sack = false;
        for chunk in std::iter::once(first).chain(chunks) {
            // A packet has one. Each costs a look at all that is under way.
            if chunk.kind == SACK && std::mem::replace(&mut has_sack, true) {
                continue;
            }
            if !self.handle_chunk(now, chunk, packet) {
                break;
            }
        }
        if let State::Up(halves) = &mut self.state {
            halves.receiver.end_packet(now);
        }
        self.collect();
        true
    }

    /// What happened, in order.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether a message would leave at once, or begin to: its sender's queue is the place to wait for that.
    pub fn has_room(&self) -> bool {
        matches!(&self.state, State::Up(halves) if halves.sender.has_room(halves.waiting_bytes()))
    }

    /// Something waits for [`has_room`](Self::has_room): the window may grow.
    pub fn note_limiting(&mut self) {
        if let State::Up(halves) = &mut self.state {
            halves.sender.note_limiting();
        }
    }

    /// Takes a message to be sent. Says whether there is an association.
    pub fn send(&mut self, message: Message) -> bool {
        let State::Up(halves) = &mut self.state else { return false };
        let takes_forward = halves.peer.takes_forward;
        // A peer that cannot be told of what was given up gets everything (RFC 3758 §3.3.1).
        let limit = if takes_forward { message.limit } else { Default::default() };
        halves.take(Step::Send(Message { limit, ..message }));
        self.end_if_stuck();
        true
    }

    /// Bytes in flight, headers included.
    pub fn in_flight_bytes(&self) -> usize {
        if let State::Up(halves) = &self.state { halves.sender.in_flight() } else { 0 }
    }

    /// Bytes of payload that were taken and have not left: the rest of one message, or of a few short ones, and whatever waits for
    /// its stream to begin anew.
    pub fn pending_bytes(&self) -> usize {
        let State::Up(halves) = &self.state else { return 0 };
        halves.sender.pending_bytes() + halves.waiting_bytes()
    }

    /// So many bytes of messages that were given on wait there and count for the receive window.
    pub fn set_held_bytes(&mut self, bytes: usize) {
        if let State::Up(halves) = &mut self.state {
            halves.receiver.set_held_bytes(bytes);
        }
    }

    /// Closes our half of a stream, after what was sent on it. What is sent on it next waits until the peer knows.
    pub fn reset_stream(&mut self, stream: u16) {
        if let State::Up(halves) = &mut self.state {
            halves.take(Step::Reset(stream));
        }
        self.end_if_stuck();
    }

    /// Ends the association at once and tells the peer.
    pub fn abort(&mut self) {
        if let State::Up(halves) = &self.state {
            let mut packet = Builder::new(self.header(halves.peer.tag));
            packet.chunk(ABORT, 0, |_| {});
            self.control.push_back(packet.finish());
        }
        self.close();
    }

    /// When [`handle_timeout`](Self::handle_timeout) or [`poll_transmit`](Self::poll_transmit) has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Listening | State::Closed => None,
            State::CookieWait(repeated) | State::CookieEchoed(repeated, ..) => repeated.due,
            State::Up(halves) => {
                let own = [halves.receiver.deadline(), halves.sender.deadline(), halves.resets.deadline()];
                own.into_iter().flatten().min()
            }
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let State::Up(halves) = &mut self.state {
            halves.sender.handle_timeout(now);
        }
        self.collect();
    }

    /// The next packet.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Bytes> {
        if let Some(packet) = self.control.pop_front() {
            return Some(packet);
        }
        let tag = if let State::Up(halves) = &self.state { halves.peer.tag } else { 0 };
        let header = self.header(tag);
        let own = self.introduction();
        match &mut self.state {
            State::Listening | State::Closed => None,
            State::CookieWait(repeated) => repeated.take(now).then(|| {
                let mut packet = Builder::new(Header { tag: 0, ..header });
                own.write_init(&mut packet);
                packet.finish()
            }),
            State::CookieEchoed(repeated, cookie, peer) => repeated.take(now).then(|| {
                let mut packet = Builder::new(Header { tag: peer.tag, ..header });
                packet.chunk(COOKIE_ECHO, 0, |bytes| bytes.put_slice(cookie));
                packet.finish()
            }),
            State::Up(halves) => {
                let packet = halves.write(now, header);
                self.collect();
                packet
            }
        }
    }

    /// Whether a packet is ours, by its tag (RFC 9260 §8.5).
    fn is_for_us(&self, header: Header, first: Chunk<'_>) -> bool {
        const REFLECTED: u8 = 1;
        match first.kind {
            INIT => header.tag == 0,
            ABORT | SHUTDOWN_COMPLETE if first.flags & REFLECTED != 0 => {
                matches!(&self.state, State::Up(halves) if halves.peer.tag == header.tag)
            }
            _ => header.tag == self.config.tag,
        }
    }

    /// Takes a chunk. Says whether those behind it are to be looked at.
    fn handle_chunk(&mut self, now: Instant, chunk: Chunk<'_>, packet: &Bytes) -> bool {
        match (chunk.kind, &mut self.state) {
            (INIT, _) => {
                self.handle_init(chunk.value);
                return false;
            }
            (INIT_ACK, State::CookieWait(_)) => {
                if let Some((peer, cookie)) = Introduction::parse(chunk.value).zip(cookie(chunk.value)) {
                    self.state = State::CookieEchoed(Repeated::new(), cookie, peer);
                }
            }
            (COOKIE_ECHO, _) => return self.handle_cookie_echo(chunk.value),
            (COOKIE_ACK, State::CookieEchoed(_, _, peer)) => {
                let peer = *peer;
                self.establish(peer);
            }
            (DATA, State::Up(halves)) => halves.receiver.handle_data(chunk, packet),
            (SACK, State::Up(halves)) => halves.sender.handle_sack(now, chunk.value),
            (FORWARD_TSN, State::Up(halves)) => halves.receiver.handle_forward(chunk.value),
            (RE_CONFIG, State::Up(halves)) => halves.handle_reset(chunk.value),
            (HEARTBEAT, State::Up(halves)) => {
                let tag = halves.peer.tag;
                self.answer(tag, HEARTBEAT_ACK, chunk.value);
            }
            (ABORT, State::CookieWait(_) | State::CookieEchoed(..) | State::Up(_)) => {
                self.close();
                return false;
            }
            (SHUTDOWN, State::Up(halves)) => {
                let tag = halves.peer.tag;
                self.answer(tag, SHUTDOWN_ACK, &[]);
                self.close();
                return false;
            }
            (SHUTDOWN_COMPLETE, State::Up(_)) => {
                self.close();
                return false;
            }
            // Nothing to do, or too late.
            (
                DATA | SACK | FORWARD_TSN | RE_CONFIG | HEARTBEAT | HEARTBEAT_ACK | INIT_ACK | COOKIE_ACK
                | ERROR | ABORT | SHUTDOWN | SHUTDOWN_ACK | SHUTDOWN_COMPLETE,
                _,
            ) => {}
            _ => return chunk.is_skipped_if_unknown(),
        }
        true
    }

    /// INIT (RFC 9260 §5.1). One that comes late, when the association is up, is an old one.
    fn handle_init(&mut self, value: &[u8]) {
        if matches!(self.state, State::Up(_) | State::Closed) || self.control.len() >= MAX_CONTROL {
            return;
        }
        let Some(peer) = Introduction::parse(value) else { return };
        let mut packet = Builder::new(self.header(peer.tag));
        self.introduction().write_init_ack(&mut packet, self.config.secret, &peer);
        self.control.push_back(packet.finish());
    }

    /// COOKIE-ECHO (RFC 9260 §5.1, §5.2.4). Says whether what follows is to be looked at.
    fn handle_cookie_echo(&mut self, value: &[u8]) -> bool {
        let Some(peer) = Introduction::from_cookie(value, self.config.secret) else { return false };
        match &self.state {
            State::Up(halves) if halves.peer.tag != peer.tag => return false,
            State::Closed => return false,
            State::Up(_) => {}
            _ => self.establish(peer),
        }
        self.answer(peer.tag, COOKIE_ACK, &[]);
        true
    }

    fn establish(&mut self, peer: Introduction) {
        let Config { receive_window, max_streams, max_message_bytes, first_tsn, .. } = self.config;
        self.state = State::Up(Box::new(Halves {
            peer,
            receiver: Receiver::new(peer.tsn, receive_window, max_message_bytes, max_streams),
            sender: Sender::new(first_tsn, peer.window),
            resets: Resets::new(first_tsn, peer.tsn),
            steps: Vec::new(),
        }));
        self.events.push_back(Event::Up);
    }

    /// A chunk in a packet of its own.
    fn answer(&mut self, tag: u32, kind: u8, value: &[u8]) {
        if self.control.len() < MAX_CONTROL {
            let mut packet = Builder::new(self.header(tag));
            packet.chunk(kind, 0, |bytes| bytes.put_slice(value));
            self.control.push_back(packet.finish());
        }
    }

    /// Nobody waits for a peer that opens channels and never agrees to their end.
    fn end_if_stuck(&mut self) {
        if matches!(&self.state, State::Up(halves) if halves.steps.len() > MAX_STEPS) {
            self.abort();
        }
    }

    fn close(&mut self) {
        self.collect();
        if !matches!(std::mem::replace(&mut self.state, State::Closed), State::Closed) {
            self.events.push_back(Event::Closed);
        }
    }

    /// Takes events out of the halves.
    fn collect(&mut self) {
        let State::Up(halves) = &mut self.state else { return };
        while let Some(received) = halves.receiver.pop() {
            self.events.push_back(match received {
                Received::Message { stream, ppid, payload } => Event::Message { stream, ppid, payload },
                Received::TooLong { stream, bytes } => Event::TooLong { stream, bytes },
            });
        }
        let released = halves.sender.take_released().into_iter();
        self.events.extend(released.map(|(stream, bytes)| Event::Released { stream, bytes }));
        // After the messages: they came before it.
        self.events.extend(halves.resets.take_performed().into_iter().map(Event::Reset));
    }

    fn introduction(&self) -> Introduction {
        Introduction {
            tag: self.config.tag,
            window: self.config.receive_window,
            streams: self.config.max_streams,
            tsn: self.config.first_tsn,
            takes_forward: true,
        }
    }

    fn header(&self, tag: u32) -> Header {
        let (peer, own) = self.ports;
        Header { source_port: own, destination_port: peer, tag }
    }
}

impl Halves {
    /// Does what is to be done on a stream, now or as soon as the peer knows that it begins anew.
    fn take(&mut self, step: Step) {
        let (Step::Send(Message { stream, .. }) | Step::Reset(stream)) = step;
        match step {
            step if self.resets.has(stream) => self.steps.push(step),
            Step::Send(message) => self.sender.push(message),
            Step::Reset(stream) => self.resets.want(stream),
        }
    }

    fn handle_reset(&mut self, value: &[u8]) {
        if let Some(request) = self.resets.handle(value, &mut self.receiver) {
            self.sender.note_reset(&request.streams, request.last_tsn);
            std::mem::take(&mut self.steps).into_iter().for_each(|step| self.take(step));
        }
    }

    fn waiting_bytes(&self) -> usize {
        let bytes = |step: &Step| if let Step::Send(message) = step { message.payload.len() } else { 0 };
        self.steps.iter().map(bytes).sum()
    }

    /// Writes a packet, if there is anything to say: SACK and control chunks first (RFC 9260 §6.10).
    fn write(&mut self, now: Instant, header: Header) -> Option<Bytes> {
        let (sender, resets) = (&mut self.sender, &mut self.resets);
        let streams = resets.begin(sender.last_tsn(), |stream| !sender.has_pending(stream)).to_vec();
        sender.reset(&streams);
        let has_data = sender.has_something(now);
        let is_sack_due = self.receiver.is_sack_due(now, has_data);
        if !has_data && !is_sack_due && !resets.has_something(now) {
            return None;
        }
        let mut packet = Builder::new(header);
        if is_sack_due {
            self.receiver.write_sack(&mut packet);
        }
        if resets.has_something(now) {
            resets.write(now, &mut packet);
        }
        if has_data {
            sender.write(now, &mut packet);
        }
        (!packet.is_empty()).then(|| packet.finish())
    }
}

impl Repeated {
    fn new() -> Self {
        Self { due: None, delay: FIRST_DELAY }
    }

    /// Whether it is to be sent now.
    fn take(&mut self, now: Instant) -> bool {
        let is_due = self.due.is_none_or(|due| due <= now);
        if is_due {
            self.due = Some(now + self.delay);
            self.delay = (2 * self.delay).min(MAX_DELAY);
        }
        is_due
    }
}
