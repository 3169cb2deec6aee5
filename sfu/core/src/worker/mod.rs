//! What one thread runs: transports, routers, and the way between them.
//!
//! In: datagrams, commands, the passing of time. Out: datagrams ([`Worker::poll_transmit`]) and events
//! ([`Worker::poll_event`]). The owner calls `handle_*` as things happen, drains both polls, and calls
//! [`Worker::handle_timeout`] when [`Worker::deadline`] has come.

mod blob;
mod command;
mod counter;
mod member;
mod negotiation;
mod signaled;
mod timer;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use patchbay_protocol::node::{NodeEvent, NodeState, RoomState, TransportSnapshot};
use patchbay_protocol::{RoomId, Step, TransportId, TransportState};
use patchbay_sdp::{Candidate, CandidateTransport, TcpType};
use patchbay_wire::srtp::SrtpProfile;
use rtc_crypto::RTCCryptoProvider;
use slab::Slab;

use self::blob::Blobs;
use self::counter::Counters;
use self::member::Members;
use self::timer::{Due, Timers};
use crate::demux::{Bound, Demux};
use crate::random::{Random, worker_of_ufrag};
use crate::router::{Intake, Router, RouterEvent};
use crate::transport::{ChannelInfo, Identity, Received, TransportEvent, claimed_ufrag};
use crate::{ChannelKey, Path, Protocol, Transmit, TransportKey};

/// Events that wait for their owner. Past it, those that the next of their kind makes up for are dropped and counted; the ends of
/// transports are kept, as there can be no more of them than there are transports.
const MAX_EVENTS: usize = 65_536;

/// What a worker is told at its start.
pub struct WorkerConfig {
    /// Addresses announced as host candidates, best first, with the port of this worker's socket.
    pub candidates: Vec<SocketAddr>,
    /// Addresses announced for connections by which the peer brings its datagrams over TCP (RFC 6544), best first.
    pub tcp_candidates: Vec<SocketAddr>,
    /// Which of its node's workers it is, below [`MAX_WORKERS`](crate::MAX_WORKERS): user name fragments begin with it, so
    /// that a connection on a port that workers share can be given to the right one.
    pub number: u16,
    /// Cryptography and the source of every random number that must not be guessed.
    pub crypto: Arc<dyn RTCCryptoProvider>,
    /// The certificate shown in DTLS, shared by the workers of a node.
    pub identity: Identity,
    /// A random number, from which hashing and first sequence numbers are drawn.
    pub seed: u64,
    /// Wall time at the worker's start, as nanoseconds since the Unix epoch, for NTP timestamps in sender reports.
    pub unix_nanos: u64,
}

/// The media plane of one thread.
pub struct Worker {
    started: Instant,
    number: u16,
    unix_nanos: u64,
    seed: u64,
    crypto: Arc<dyn RTCCryptoProvider>,
    random: Random,
    identity: Identity,
    candidates: Vec<Candidate>,
    demux: Demux,
    members: Members,
    transports: BTreeMap<TransportId, TransportKey>,
    rooms: Slab<Room>,
    room_index: BTreeMap<RoomId, usize>,
    /// Transports that have only their goodbye left to send.
    closing: Vec<TransportKey>,
    /// Connections that are nobody's any longer.
    released: VecDeque<Path>,
    /// Transports of which channels were released: what was held there is to be handled.
    resumed: VecDeque<TransportKey>,
    timers: Timers,
    events: VecDeque<NodeEvent>,
    counters: Counters,
}

/// A room of this worker.
struct Room {
    id: RoomId,
    router: Router,
    /// Signaling's own texts, given back by `sync`.
    blobs: Blobs,
}

impl Worker {
    /// A worker without rooms.
    pub fn new(now: Instant, config: WorkerConfig) -> Self {
        let candidates = (0u16..)
            .zip(&config.candidates)
            .map(|(rank, &address)| Candidate::host(CandidateTransport::Udp, address, u16::MAX - rank))
            .chain(tcp_candidates(&config.tcp_candidates))
            .collect();
        Self {
            started: now,
            number: config.number,
            unix_nanos: config.unix_nanos,
            seed: config.seed,
            random: Random::new(Arc::clone(&config.crypto)),
            crypto: config.crypto,
            identity: config.identity,
            candidates,
            demux: Demux::new(config.seed),
            members: Members::new(now),
            transports: BTreeMap::new(),
            rooms: Slab::new(),
            room_index: BTreeMap::new(),
            closing: Vec::new(),
            released: VecDeque::new(),
            resumed: VecDeque::new(),
            timers: Timers::default(),
            events: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Takes one received datagram. It is decrypted in place.
    pub fn handle_datagram(&mut self, now: Instant, path: Path, datagram: &mut [u8]) {
        self.members.advance(now);
        self.counters.datagrams_in += 1;
        let Some(key) = self.demux.find(path, datagram) else {
            self.counters.unknown_source += 1;
            return;
        };
        let Some(member) = self.members.get_mut(key) else { return };
        let room = member.room;
        let received = member.transport.handle_datagram(now, path, datagram);
        let has_event = member.transport.has_event();
        match received {
            Received::Rtp { len, .. } => {
                let (Some(packet), Some(room)) = (datagram.get(..len), self.rooms.get_mut(room)) else {
                    return;
                };
                room.router.handle_rtp(now, key, packet, &mut self.members);
            }
            Received::Rtcp { len } => {
                let (Some(compound), Some(room)) = (datagram.get(..len), self.rooms.get_mut(room)) else {
                    return;
                };
                room.router.handle_rtcp(now, key, compound, &mut self.members);
            }
            Received::Consumed => {
                self.after_transport(now, key);
                return self.resume(now);
            }
            Received::Dropped(_) if !has_event => return,
            Received::Dropped(_) => {}
        }
        if has_event {
            self.after_transport(now, key)
        } else {
            self.after_router(room)
        }
        self.resume(now);
    }

    /// Whether a peer has authenticated itself on this path.
    pub fn is_bound(&self, path: Path) -> bool {
        self.demux.owner(path).is_some()
    }

    /// A connection has ended. Nothing goes there any more; its transport lives on, on another path if it has one, and else
    /// for as long as it may be silent.
    pub fn handle_path_closed(&mut self, now: Instant, path: Path) {
        self.members.advance(now);
        let Some(key) = self.demux.owner(path) else { return };
        self.demux.unbind(path, key);
        if let Some(member) = self.members.get_mut(key) {
            member.transport.handle_path_closed(path);
            self.after_transport(now, key);
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.members.advance(now);
        while let Some(due) = self.timers.pop(now) {
            match due {
                Due::Transport(index) => {
                    let key = TransportKey(index);
                    let Some(member) = self.members.get_mut(key) else { continue };
                    member.transport.handle_timeout(now);
                    self.after_transport(now, key);
                }
                Due::Router(index) => {
                    let index = index as usize;
                    let Some(room) = self.rooms.get_mut(index) else { continue };
                    room.router.handle_timeout(now, &mut self.members);
                    self.after_router(index);
                }
            }
        }
        self.resume(now);
    }

    /// When `handle_timeout` wants to be called.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.deadline()
    }

    /// The next datagrams to send.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit<'_>> {
        let has_transmit = self.members.prepare_transmit(now);
        self.rearm();
        if !has_transmit {
            // Goodbyes have been sent by now.
            for key in self.closing.drain(..) {
                if let Some(member) = self.members.remove(key) {
                    let connections = member.transport.paths().filter(|path| path.protocol == Protocol::Tcp);
                    self.released.extend(connections.filter(|&path| self.demux.owner(path).is_none()));
                    self.counters.retire_transport(&member.transport.stats());
                }
            }
            return None;
        }
        self.members.poll_transmit(now)
    }

    /// The next connection that is of no more use: to be closed, once what was polled for it before is sent.
    pub fn poll_released(&mut self) -> Option<Path> {
        self.released.pop_front()
    }

    /// The next event for signaling.
    pub fn poll_event(&mut self) -> Option<NodeEvent> {
        self.events.pop_front()
    }

    /// Answers `sync`: everything this worker holds. What flows in slots and who speaks follows in events, as those that
    /// told it first may have been lost with a link.
    pub fn sync(&mut self) -> NodeState {
        let rooms: Vec<usize> = self.rooms.iter().map(|(index, _)| index).collect();
        for index in rooms {
            if let Some(room) = self.rooms.get_mut(index) {
                room.router.retell();
            }
            self.after_router(index);
        }
        self.snapshot()
    }

    /// Everything this worker holds.
    pub fn snapshot(&self) -> NodeState {
        let rooms =
            self.rooms.iter().map(|(_, room)| RoomState { room: room.id, blobs: room.blobs.all() }).collect();
        let transports = self
            .transports
            .iter()
            .filter_map(|(&id, &key)| {
                let (participant, index, connected) = match self.members.get(key) {
                    Some(member) => (member.participant, member.room, member.is_connected),
                    None => self.members.signaled.get(key).map(|way| (way.participant, way.room, true))?,
                };
                let room = self.rooms.get(index)?;
                Some(TransportSnapshot {
                    transport: id,
                    room: room.id,
                    participant,
                    connected,
                    publications: room.router.publications(key),
                    slots: room.router.slots(key),
                })
            })
            .collect();
        NodeState { rooms, transports }
    }

    /// Counters since the start and gauges of now, sorted by name.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut counters = self.counters.clone();
        for member in self.members.iter() {
            counters.retire_transport(&member.transport.stats());
        }
        for (_, room) in &self.rooms {
            counters.retire_router(room.router.counters());
        }
        let is_on_tcp = |member: &&member::Member| {
            member.transport.selected_path().is_some_and(|it| it.protocol == Protocol::Tcp)
        };
        let gauges = [
            ("paths", self.demux.path_count()),
            ("rooms", self.rooms.len()),
            ("signaled_ways", self.members.signaled.len()),
            ("transports", self.transports.len() - self.members.signaled.len()),
            ("transports_on_tcp", self.members.iter().filter(is_on_tcp).count()),
        ];
        counters.list(gauges.map(|(name, value)| (name, value as u64)))
    }

    /// Whatever a transport has to say after it was handled, and its next deadline.
    fn after_transport(&mut self, now: Instant, key: TransportKey) {
        self.members.mark_ready(key);
        while let Some(event) = self.members.get_mut(key).and_then(|member| member.transport.poll_event()) {
            self.handle_transport_event(now, key, event);
        }
        self.tell_steps(key);
        let Some(member) = self.members.get(key) else { return };
        self.timers.arm(Due::Transport(key.0), member.transport.deadline());
        self.after_router(member.room);
    }

    /// Tells what is new on a transport's way to media.
    fn tell_steps(&mut self, key: TransportKey) {
        let Some(member) = self.members.get_mut(key) else { return };
        let steps = member.transport.take_steps();
        if !steps.is_empty() {
            self.events.push_back(NodeEvent::Timeline { transport: member.id, steps });
        }
    }

    fn handle_transport_event(&mut self, now: Instant, key: TransportKey, event: TransportEvent) {
        if let (Some(step), Some(member)) = (step_of(&event), self.members.get_mut(key)) {
            member.transport.note(now, step);
        }
        match event {
            TransportEvent::AddressBound(path) => self.bind(path, key),
            TransportEvent::AddressUnbound(path) => self.unbind(path, key),
            TransportEvent::UfragRetired(ufrag) => self.demux.remove_ufrag(&ufrag, key),
            TransportEvent::Connected { srtp_profile } => {
                let srtp_profile = srtp_profile.map_or("none", SrtpProfile::name).to_owned();
                if let Some(member) = self.members.get_mut(key) {
                    member.is_connected = true;
                }
                self.tell_state(key, TransportState::Connected { srtp_profile });
                self.with_router(key, |router, out| router.handle_connected(now, key, out));
            }
            TransportEvent::PathChanged(_) => {
                self.with_router(key, |router, out| router.handle_path_changed(now, key, out));
            }
            TransportEvent::ChannelOpened(channel) => self.open_channel(now, key, &channel),
            TransportEvent::ChannelClosed(channel) => {
                self.with_router(key, |router, out| router.handle_channel_closed(now, key, channel, out));
            }
            TransportEvent::Message { channel, kind, payload } => {
                let mut intake = Intake::Taken;
                self.with_router(key, |router, out| {
                    intake = router.handle_message(now, key, channel, kind, payload.clone(), out);
                });
                if let (Intake::Blocked, Some(member)) = (intake, self.members.get_mut(key)) {
                    member.transport.hold_channel(channel, kind, payload);
                }
            }
            TransportEvent::MessageTooLong { channel, .. } => {
                self.with_router(key, |router, out| router.handle_too_long(now, key, channel, out));
            }
            TransportEvent::Writable { channel } => {
                self.with_router(key, |router, out| router.handle_writable(now, key, channel, out));
            }
            TransportEvent::Failed(reason) => self.end_transport(now, key, reason.to_string()),
            TransportEvent::Closed => {
                self.end_transport(now, key, "the peer closed the connection".to_owned())
            }
        }
    }

    /// Gives a path to the transport that was authenticated on it; the one that had it must not use it any longer.
    fn bind(&mut self, path: Path, key: TransportKey) {
        match self.demux.bind(path, key) {
            Bound::Taken => {}
            Bound::TakenFrom(former) => {
                if let Some(former) = self.members.get_mut(former) {
                    former.transport.lose_path(path);
                }
            }
            Bound::Full => {
                self.counters.paths_refused += 1;
                if let Some(member) = self.members.get_mut(key) {
                    member.transport.lose_path(path);
                }
            }
        }
    }

    fn unbind(&mut self, path: Path, key: TransportKey) {
        self.demux.unbind(path, key);
        if path.protocol == Protocol::Tcp && self.demux.owner(path).is_none() {
            self.released.push_back(path);
        }
    }

    /// A channel that the room has no place for is closed again, so that its opener knows.
    fn open_channel(&mut self, now: Instant, key: TransportKey, channel: &ChannelInfo) {
        let mut is_open = false;
        self.with_router(key, |router, out| {
            is_open = router.handle_channel_opened(now, key, channel, out);
        });
        if !is_open && let Some(member) = self.members.get_mut(key) {
            member.transport.close_channel(now, channel.key);
        }
    }

    fn end_transport(&mut self, now: Instant, key: TransportKey, reason: String) {
        self.tell_state(key, TransportState::Failed { reason });
        self.remove_transport(now, key);
    }

    fn tell_state(&mut self, key: TransportKey, state: TransportState) {
        let Some(member) = self.members.get(key) else { return };
        self.events.push_back(NodeEvent::Transport { transport: member.id, state });
    }

    /// The index of the room of a transport, or of a way that goes over signaling.
    fn room_of(&self, key: TransportKey) -> Option<usize> {
        let room = self.members.get(key).map(|member| member.room);
        room.or_else(|| self.members.signaled.get(key).map(|way| way.room))
    }

    fn with_router(&mut self, key: TransportKey, act: impl FnOnce(&mut Router, &mut Members)) {
        let room = self.members.get(key).and_then(|member| self.rooms.get_mut(member.room));
        if let Some(room) = room {
            act(&mut room.router, &mut self.members);
        }
    }

    /// Whatever a router has to say after it was handled, and its next deadline.
    fn after_router(&mut self, index: usize) {
        let Some(id) = self.rooms.get(index).map(|room| room.id) else { return };
        while let Some(event) = self.rooms.get_mut(index).and_then(|room| room.router.poll_event()) {
            match event {
                RouterEvent::SlotChanged { transport, mid, state } => {
                    self.tell(NodeEvent::Slot { transport, mid, state });
                }
                RouterEvent::Speakers(speakers) => self.tell(NodeEvent::Speakers { room: id, speakers }),
                RouterEvent::ChannelCut { transport, channel, reason } => {
                    self.close_channel(transport, channel, reason);
                }
                RouterEvent::ChannelReleased { transport, channel } => {
                    self.release_channel(transport, channel);
                }
            }
        }
        self.tell_signaled();
        let Some(room) = self.rooms.get(index) else { return };
        if let Ok(router) = u32::try_from(index) {
            self.timers.arm(Due::Router(router), room.router.deadline());
        }
        self.rearm();
    }

    fn tell(&mut self, event: NodeEvent) {
        if self.events.len() < MAX_EVENTS {
            self.events.push_back(event);
        } else {
            self.counters.events_dropped += 1;
        }
    }

    /// Closes a channel that the router no longer has.
    fn close_channel(&mut self, key: TransportKey, channel: ChannelKey, reason: &str) {
        if let Some(way) = self.members.signaled.get(key) {
            let (transport, reason) = (way.id, reason.to_owned());
            // What it was told last comes first.
            self.tell_signaled();
            self.tell(NodeEvent::TopicClosed { transport, channel: channel.0, reason });
        } else {
            self.members.close_channel(key, channel);
        }
    }

    /// Lets a channel go on whose messages were held.
    fn release_channel(&mut self, key: TransportKey, channel: ChannelKey) {
        let now = self.members.now();
        if self.members.signaled.get(key).is_some() {
            self.release_signaled(now, key, channel);
        } else if let Some(member) = self.members.get_mut(key) {
            member.transport.release_channel(channel);
            self.resumed.push_back(key);
        }
    }

    /// Handles what was held by channels that were released.
    fn resume(&mut self, now: Instant) {
        while let Some(key) = self.resumed.pop_front() {
            self.after_transport(now, key);
        }
    }

    /// Sets the timers of transports whose deadlines may have moved.
    fn rearm(&mut self) {
        while let Some(key) = self.members.pop_rearmed() {
            let deadline = self.members.get(key).and_then(|member| member.transport.deadline());
            self.timers.arm(Due::Transport(key.0), deadline);
        }
    }

    /// Ends a transport and everything that hung on it. Its room goes with its last transport, unless texts are kept there.
    fn remove_transport(&mut self, now: Instant, key: TransportKey) {
        if self.members.signaled.get(key).is_some() {
            return self.remove_signaled(now, key);
        }
        let Some(member) = self.members.get_mut(key) else { return };
        if self.transports.remove(&member.id).is_none() {
            return;
        }
        member.transport.close(now);
        for path in member.transport.paths() {
            self.demux.unbind(path, key);
        }
        for ufrag in member.transport.local_ufrags() {
            self.demux.remove_ufrag(ufrag, key);
        }
        let index = member.room;
        self.closing.push(key);
        self.members.mark_ready(key);
        self.timers.disarm(Due::Transport(key.0));
        if let Some(room) = self.rooms.get_mut(index) {
            room.router.detach(now, key, &mut self.members);
        }
        self.after_detach(index);
    }

    /// A room goes with its last member, unless texts are kept there.
    fn after_detach(&mut self, index: usize) {
        let Some(room) = self.rooms.get_mut(index) else { return };
        if room.router.is_empty() && room.blobs.is_empty() {
            self.remove_room(index);
        } else {
            self.after_router(index);
        }
    }

    fn remove_room(&mut self, index: usize) {
        let Some(room) = self.rooms.try_remove(index) else { return };
        self.room_index.remove(&room.id);
        self.counters.retire_router(room.router.counters());
        if let Ok(router) = u32::try_from(index) {
            self.timers.disarm(Due::Router(router));
        }
    }
}

/// What of an event belongs in the timeline.
fn step_of(event: &TransportEvent) -> Option<Step> {
    Some(match event {
        TransportEvent::AddressBound(path) => {
            Step::Path { from: path.remote.to_string(), tcp: path.protocol == Protocol::Tcp }
        }
        TransportEvent::Connected { srtp_profile } => {
            Step::DtlsDone { srtp_profile: srtp_profile.map_or("none", SrtpProfile::name).to_owned() }
        }
        TransportEvent::PathChanged(path) => Step::PathChanged { to: path.remote.to_string() },
        TransportEvent::Failed(reason) => Step::Failed { reason: reason.code(), words: reason.to_string() },
        TransportEvent::Closed => Step::Closed {},
        _ => return None,
    })
}

/// They come after those for UDP, with a lower priority: where UDP works, it is better.
fn tcp_candidates(addresses: &[SocketAddr]) -> impl Iterator<Item = Candidate> {
    /// RFC 6544 §4.2: 13 bits are left beside the direction preference.
    const BEST: u16 = 0x1fff;
    let transport = CandidateTransport::Tcp(TcpType::Passive);
    (0u16..)
        .zip(addresses)
        .map(move |(rank, &address)| Candidate::host(transport, address, BEST.saturating_sub(rank)))
}

/// The number of the worker whose transport a binding request names, before anybody has checked the request. `None`: it is
/// no binding request, or none for a transport of this software.
pub fn addressed_worker(datagram: &[u8]) -> Option<u16> {
    claimed_ufrag(datagram).and_then(worker_of_ufrag)
}
