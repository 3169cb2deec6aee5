//! One worker, its clients, and the network between them, in one virtual time.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use patchbay_protocol::node::{CommandResult, NodeCommand, NodeEvent, Publication, Slot};
use patchbay_protocol::{
    ChannelDeclaration, Mid, ParticipantNumber, RoomId, SlotSource, Source, TrackId, TransportId,
    TransportState,
};
use patchbay_sansio_peer::{
    ChannelKey, DataMessage, MediaKind, Path, PeerSetup, Reliability, SansIoPeer, Section, SendOutcome,
    SrtpProfile, VideoCodec,
};
use patchbay_sfu_core::transport::{ChannelInfo, Identity};
use patchbay_sfu_core::{Worker, WorkerConfig};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rtc_crypto::RTCCryptoProvider;

use crate::client::{CAMERA, Client, MICROPHONE, Plan};
use crate::crypto::SeededCrypto;
use crate::link::Condition;
use crate::network::Network;

/// Steps at one instant of virtual time after which something is going round in circles.
const MAX_STEPS: u32 = 20_000;
/// Wall time at the worker's start.
const UNIX_NANOS: u64 = 1_790_000_000_000_000_000;
/// Violations that are kept.
const MAX_VIOLATIONS: usize = 20;

/// Everything there is in a simulation.
pub struct World {
    /// What travels between the worker and its clients.
    pub network: Network,
    /// What the worker said, and when.
    pub events: Vec<(Duration, NodeEvent)>,
    /// Luck for tests, from the same seed.
    pub rng: StdRng,
    server: SocketAddr,
    start: Instant,
    now: Instant,
    worker: Worker,
    crypto: Arc<dyn RTCCryptoProvider>,
    identity: Identity,
    clients: BTreeMap<ParticipantNumber, Client>,
    by_address: BTreeMap<SocketAddr, ParticipantNumber>,
    /// Transports that signaling knows: made, and neither closed nor failed.
    transports: BTreeSet<TransportId>,
    default_path: (Condition, Condition),
    violations: Vec<String>,
    next_number: u32,
    next_track: u32,
}

impl World {
    /// A world with a worker and nobody else.
    ///
    /// # Panics
    /// If the build has no cryptography.
    pub fn new(seed: u64) -> Self {
        let start = Instant::now();
        let crypto: Arc<dyn RTCCryptoProvider> = SeededCrypto::new(seed).expect("cryptography");
        let identity = Identity::generate(crypto.as_ref()).expect("an identity");
        let server = SocketAddr::from(([10, 0, 0, 1], 3478));
        let config = WorkerConfig {
            candidates: vec![server],
            tcp_candidates: Vec::new(),
            number: 0,
            crypto: Arc::clone(&crypto),
            identity: identity.clone(),
            seed,
            unix_nanos: UNIX_NANOS,
        };
        Self {
            network: Network::new(seed ^ 0x6e65_7477),
            events: Vec::new(),
            rng: StdRng::seed_from_u64(seed ^ 0x7275_6e73),
            server,
            start,
            now: start,
            worker: Worker::new(start, config),
            crypto,
            identity,
            clients: BTreeMap::new(),
            by_address: BTreeMap::new(),
            transports: BTreeSet::new(),
            default_path: Default::default(),
            violations: Vec::new(),
            next_number: 1,
            next_track: 1,
        }
    }

    /// Paths of those who join from now on: to the worker, and from it.
    pub fn set_default_path(&mut self, up: Condition, down: Condition) {
        self.default_path = (up, down);
    }

    /// The path of one participant: to the worker, and from it.
    pub fn set_path(&mut self, who: ParticipantNumber, up: Condition, down: Condition) {
        let server = self.server;
        let client = self.client_mut(who);
        (client.up, client.down) = (up, down);
        let address = client.outer_address();
        self.network.set(address, server, up);
        self.network.set(server, address, down);
    }

    /// Virtual time since the start.
    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// Now, in virtual time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Where the worker is.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// A participant who is there.
    ///
    /// # Panics
    /// If it is not.
    pub fn client(&self, who: ParticipantNumber) -> &Client {
        self.clients.get(&who).unwrap_or_else(|| panic!("no participant {who}"))
    }

    /// All participants who are there.
    pub fn clients(&self) -> impl Iterator<Item = &Client> {
        self.clients.values()
    }

    /// One of the worker's counters or gauges; zero if there is no such.
    pub fn counter(&self, name: &str) -> u64 {
        self.worker.counters().iter().find(|(known, _)| *known == name).map_or(0, |(_, value)| *value)
    }

    /// All of the worker's counters that are not zero.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        self.worker.counters().into_iter().filter(|(_, value)| *value > 0).collect()
    }

    /// A participant joins: offer, `negotiate`, answer.
    ///
    /// # Panics
    /// If the worker refuses.
    pub fn join(&mut self, room: RoomId, plan: &Plan) -> ParticipantNumber {
        let number = ParticipantNumber(self.next_number);
        self.next_number += 1;
        let address = self.new_address(number);
        let mut sections = Vec::new();
        sections.extend(plan.microphone.map(|_| Section::send(MICROPHONE, MediaKind::Audio)));
        sections.extend(plan.camera.map(|_| Section::send(CAMERA, MediaKind::Video)));
        let mut slots = Vec::new();
        for (kind, sources) in [(MediaKind::Audio, &plan.audio_slots), (MediaKind::Video, &plan.video_slots)]
        {
            for (mid, source) in Client::mids(kind, sources.len()).zip(sources) {
                sections.push(Section::receive(&mid, kind));
                slots.push(Slot { mid: Mid::from(mid.as_str()), source: *source, group: None });
            }
        }
        let setup = PeerSetup {
            address,
            sections,
            has_data: plan.has_data,
            video_codecs: vec![VideoCodec::Vp8],
            has_retransmission: true,
            srtp_profiles: vec![SrtpProfile::AeadAes128Gcm],
            identity: self.identity.clone(),
        };
        let peer = SansIoPeer::new(self.now, setup, Arc::clone(&self.crypto)).expect("a peer");
        let transport = TransportId(u64::from(number.0) + 1_000);
        let mut client = Client::new(self.now, number, transport, room, address, peer, plan, &mut self.rng);
        client.slots = slots;
        for (mid, source, has) in [
            (MICROPHONE, Source::Microphone, plan.microphone.is_some()),
            (CAMERA, Source::Camera, plan.camera.is_some()),
        ] {
            if has {
                client.publications.push(self.new_publication(mid, source));
            }
        }
        self.clients.insert(number, client);
        self.transports.insert(transport);
        let (up, down) = self.default_path;
        self.set_path(number, up, down);
        self.renegotiate(number);
        number
    }

    /// A publication under a track id that was never used.
    pub fn new_publication(&mut self, mid: &str, source: Source) -> Publication {
        let track = TrackId(self.next_track);
        self.next_track += 1;
        Publication { mid: Mid::from(mid), track, source, muted: false }
    }

    /// Offers again what the participant has, and takes the answer.
    ///
    /// # Panics
    /// If the worker refuses.
    pub fn renegotiate(&mut self, who: ParticipantNumber) {
        let offer = self.client_mut(who).peer.offer();
        self.negotiate(who, offer);
    }

    /// Adds a slot, with the offer that it needs.
    ///
    /// # Panics
    /// If the peer or the worker refuses.
    pub fn add_slot(
        &mut self,
        who: ParticipantNumber,
        mid: &str,
        kind: MediaKind,
        source: Option<SlotSource>,
    ) {
        let client = self.client_mut(who);
        client.peer.add_section(Section::receive(mid, kind)).expect("a section");
        client.slots.push(Slot { mid: Mid::from(mid), source, group: None });
        self.renegotiate(who);
    }

    /// Changes what a participant publishes, with the offer that it needs.
    pub fn publish(&mut self, who: ParticipantNumber, publications: Vec<Publication>) {
        self.client_mut(who).publications = publications;
        self.renegotiate(who);
    }

    /// An ICE restart, from a new address if `moves`. Nothing reaches the old one any more.
    ///
    /// # Panics
    /// If the peer or the worker refuses.
    pub fn restart_ice(&mut self, who: ParticipantNumber, moves: bool) {
        if moves {
            self.lose_address(who);
        }
        let now = self.now;
        let client = self.client_mut(who);
        let address = client.address;
        let offer = client.peer.restart_ice(now, address).expect("a restart");
        self.negotiate(who, offer);
    }

    /// The participant's network changes: it is at another address, and its old one is dead.
    pub fn lose_address(&mut self, who: ParticipantNumber) {
        let before = self.client(who).outer_address();
        self.by_address.remove(&before);
        let address = self.new_address(who);
        let client = self.client_mut(who);
        client.address = address;
        client.translated = None;
        let (up, down) = (client.up, client.down);
        self.set_path(who, up, down);
    }

    /// A NAT forgets what it has translated, and makes something else of the participant's address from now on. Nobody tells
    /// the participant.
    pub fn rebind(&mut self, who: ParticipantNumber) {
        let before = self.client(who).outer_address();
        self.by_address.remove(&before);
        let translated = self.new_address(who);
        let client = self.client_mut(who);
        client.translated = Some(translated);
        let (up, down) = (client.up, client.down);
        self.set_path(who, up, down);
    }

    /// Switches a slot.
    pub fn set_slot(&mut self, who: ParticipantNumber, mid: &str, source: Option<SlotSource>) {
        let client = self.client_mut(who);
        let mid = Mid::from(mid);
        if let Some(slot) = client.slots.iter_mut().find(|slot| slot.mid == mid) {
            slot.source = source;
        }
        let transport = client.transport;
        self.command(NodeCommand::SetSlot { transport, mid, source });
    }

    /// Mutes or unmutes what a participant publishes on a section, and stops or starts sending it.
    pub fn set_muted(&mut self, who: ParticipantNumber, source: Source, muted: bool) {
        self.set_sending(who, source, !muted);
        let client = self.client_mut(who);
        let room = client.room;
        if let Some(publication) = client.publications.iter_mut().find(|it| it.source == source) {
            publication.muted = muted;
            let track = publication.track;
            self.command(NodeCommand::SetMuted { room, track, muted });
        }
    }

    /// Lets a camera or microphone send, or not, without a word to anybody.
    pub fn set_sending(&mut self, who: ParticipantNumber, source: Source, is_on: bool) {
        let client = self.client_mut(who);
        match source {
            Source::Camera => client.camera.iter_mut().for_each(|it| it.is_on = is_on),
            _ => client.microphone.iter_mut().for_each(|it| it.is_on = is_on),
        }
    }

    /// How loud a participant's microphone is from now on (RFC 6464).
    pub fn set_level(&mut self, who: ParticipantNumber, level: u8) {
        self.client_mut(who).microphone.iter_mut().for_each(|it| it.level = level);
    }

    /// A participant leaves: signaling closes its transport at once.
    pub fn leave(&mut self, who: ParticipantNumber) {
        let transport = self.client(who).transport;
        self.kill(who);
        self.transports.remove(&transport);
        self.command(NodeCommand::CloseTransport { transport });
    }

    /// A participant is gone without a word.
    pub fn kill(&mut self, who: ParticipantNumber) {
        if let Some(client) = self.clients.remove(&who) {
            self.by_address.remove(&client.outer_address());
            self.note_violations(client.violations);
        }
    }

    /// Opens a data channel.
    pub fn open_channel(
        &mut self,
        who: ParticipantNumber,
        label: &str,
        is_ordered: bool,
        reliability: Reliability,
    ) -> ChannelKey {
        self.open_topic(who, label, "", is_ordered, reliability)
    }

    /// Opens a data channel with a subprotocol.
    pub fn open_topic(
        &mut self,
        who: ParticipantNumber,
        label: &str,
        protocol: &str,
        is_ordered: bool,
        reliability: Reliability,
    ) -> ChannelKey {
        let now = self.now;
        let channel = self.client_mut(who).peer.open_channel(now, label, protocol, is_ordered, reliability);
        self.flush(who);
        channel
    }

    /// Wall time of the worker, in microseconds since the Unix epoch.
    pub fn unix_micros(&self) -> u64 {
        UNIX_NANOS / 1_000 + self.elapsed().as_micros() as u64
    }

    /// Has a data channel that is negotiated out of band, told to the worker with an offer.
    ///
    /// # Panics
    /// If either end refuses.
    pub fn declare_channel(&mut self, who: ParticipantNumber, channel: ChannelDeclaration) -> ChannelKey {
        self.client_mut(who).declared.push(channel.clone());
        self.renegotiate(who);
        let info = ChannelInfo::try_from(channel).expect("a channel");
        let (now, key) = (self.now, info.key);
        self.client_mut(who).peer.declare_channel(now, info).expect("an id of its own");
        self.flush(who);
        key
    }

    /// Lets a participant send messages that are longer than it was told is allowed.
    pub fn lift_message_limit(&mut self, who: ParticipantNumber) {
        self.client_mut(who).peer.lift_message_limit();
    }

    /// Sends a message. False if the peer had no room for it.
    pub fn send_message(&mut self, who: ParticipantNumber, channel: ChannelKey, payload: &[u8]) -> bool {
        let now = self.now;
        let payload = bytes::Bytes::copy_from_slice(payload);
        let outcome = self.client_mut(who).peer.send_message(now, channel, DataMessage::Binary(&payload));
        let is_sent = outcome == SendOutcome::Queued;
        self.flush(who);
        is_sent
    }

    /// Gives the worker a command, as signaling does.
    ///
    /// # Panics
    /// If the worker refuses.
    pub fn command(&mut self, command: NodeCommand) -> CommandResult {
        let result = self.worker.handle_command(self.now, command.clone());
        if let CommandResult::Failed { error } = &result {
            panic!("at {:?}: {command:?} was refused: {error}", self.elapsed());
        }
        self.flush_worker();
        result
    }

    /// Datagrams that a participant has sent lately, as somebody on its path sees them.
    pub fn captured(&self, who: ParticipantNumber) -> Vec<Vec<u8>> {
        self.client(who).captured.iter().cloned().collect()
    }

    /// Forgets freezes that an outage caused: the next picture begins anew.
    pub fn forgive(&mut self, who: ParticipantNumber) {
        self.client_mut(who).pause_all();
    }

    /// Lets time pass.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// Lets time pass until `is_done`, at most this long. Returns whether it was done.
    pub fn run_until(&mut self, at_most: Duration, mut is_done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + at_most;
        let mut steps = 0;
        loop {
            if is_done(self) {
                return true;
            }
            let wakes = self.clients.values().filter_map(|client| client.wake);
            let next = wakes.chain(self.network.next_arrival()).chain(self.worker.deadline()).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            steps = if next > self.now { 0 } else { steps + 1 };
            assert!(steps < MAX_STEPS, "going round in circles at {:?}", self.elapsed());
            self.now = self.now.max(next);
            self.step();
        }
        self.now = end;
        false
    }

    /// What was seen so far that a browser would stumble over.
    pub fn violations(&self) -> Vec<&str> {
        let theirs = self.clients.values().flat_map(|client| &client.violations);
        self.violations.iter().chain(theirs).map(String::as_str).collect()
    }

    /// Panics if anything was seen that a browser would stumble over.
    ///
    /// # Panics
    /// See above.
    pub fn assert_sound(&mut self) {
        let ours = std::mem::take(&mut self.violations);
        let theirs = self.clients.values_mut().flat_map(|client| std::mem::take(&mut client.violations));
        let all: Vec<_> = ours.into_iter().chain(theirs).take(MAX_VIOLATIONS).collect();
        assert!(all.is_empty(), "by {:?}:\n{}", self.elapsed(), all.join("\n"));
    }

    /// Everything that is due now.
    fn step(&mut self) {
        let now = self.now;
        let mut touched = BTreeSet::new();
        while let Some(mut delivery) = self.network.receive(now) {
            if delivery.destination == self.server {
                let path = Path::udp(self.server, delivery.source);
                self.worker.handle_datagram(now, path, &mut delivery.contents);
            } else if let Some(&who) = self.by_address.get(&delivery.destination)
                && let Some(client) = self.clients.get_mut(&who)
            {
                client.handle(now, delivery.source, &mut delivery.contents);
                touched.insert(who);
            }
        }
        if self.worker.deadline().is_some_and(|due| due <= now) {
            self.worker.handle_timeout(now);
        }
        for client in self.clients.values_mut() {
            if client.wake.is_some_and(|due| due <= now) {
                client.tick(now, &mut self.rng);
                touched.insert(client.number);
            }
        }
        self.flush_worker();
        for who in touched {
            self.flush(who);
        }
    }

    fn negotiate(&mut self, who: ParticipantNumber, sdp: String) {
        let client = self.client(who);
        let command = NodeCommand::Negotiate {
            transport: client.transport,
            room: client.room,
            participant: who,
            sdp,
            publications: client.publications.clone(),
            slots: client.slots.clone(),
            data: true,
            topics: Vec::new(),
            channels: client.declared.clone(),
        };
        let published = client.publications.len();
        let CommandResult::Answered { sdp, publications, .. } = self.command(command) else {
            panic!("an offer without an answer")
        };
        assert_eq!(publications.len(), published, "publications refused: {publications:?}");
        let now = self.now;
        self.client_mut(who).take_answer(now, &sdp);
        self.flush(who);
    }

    fn flush_worker(&mut self) {
        while let Some(transmit) = self.worker.poll_transmit(self.now) {
            let size = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
            for datagram in transmit.contents.chunks(size) {
                self.network.send(self.now, transmit.path.local, transmit.path.remote, datagram);
            }
        }
        while let Some(event) = self.worker.poll_event() {
            self.handle_event(event);
        }
    }

    fn handle_event(&mut self, event: NodeEvent) {
        let of = match &event {
            NodeEvent::Slot { transport, .. }
            | NodeEvent::Transport { transport, .. }
            | NodeEvent::Candidate { transport, .. } => Some(*transport),
            _ => None,
        };
        if let Some(transport) = of.filter(|transport| !self.transports.contains(transport)) {
            self.note_violations(vec![format!(
                "an event of transport {transport}, which is gone: {event:?}"
            )]);
        }
        match &event {
            NodeEvent::Slot { transport, mid, state } => {
                let client = self.clients.values_mut().find(|client| client.transport == *transport);
                if let Some(client) = client {
                    client.note_state(self.now, mid, *state);
                }
            }
            NodeEvent::Transport { transport, state: TransportState::Failed { .. } } => {
                self.transports.remove(transport);
            }
            _ => {}
        }
        self.events.push((self.elapsed(), event));
    }

    fn flush(&mut self, who: ParticipantNumber) {
        let now = self.now;
        let Some(client) = self.clients.get_mut(&who) else { return };
        client.settle(now);
        let source = client.outer_address();
        let mut captured = Vec::new();
        while let Some(transmit) = client.peer.poll_transmit(now) {
            // What would leave from an address that is no longer there does not.
            if transmit.path.local != client.address {
                continue;
            }
            let size = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
            for datagram in transmit.contents.chunks(size) {
                self.network.send(now, source, transmit.path.remote, datagram);
                captured.push(datagram.to_vec());
            }
        }
        captured.iter().for_each(|datagram| client.capture(datagram));
    }

    fn client_mut(&mut self, who: ParticipantNumber) -> &mut Client {
        self.clients.get_mut(&who).unwrap_or_else(|| panic!("no participant {who}"))
    }

    fn new_address(&mut self, who: ParticipantNumber) -> SocketAddr {
        let [_, _, high, low] = who.0.to_be_bytes();
        loop {
            let address = SocketAddr::from(([10, 1, high, low], self.rng.random_range(1_024..u16::MAX)));
            if let Entry::Vacant(free) = self.by_address.entry(address) {
                free.insert(who);
                return address;
            }
        }
    }

    fn note_violations(&mut self, more: Vec<String>) {
        let room = MAX_VIOLATIONS.saturating_sub(self.violations.len());
        self.violations.extend(more.into_iter().take(room));
    }
}
