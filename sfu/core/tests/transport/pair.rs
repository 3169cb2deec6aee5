//! One transport, one client, the demux between them, and the network.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use patchbay_sansio_peer::{
    MediaKind, PeerEvent, PeerReceived, PeerSetup, RtpToSend, SansIoPeer, Section, SrtpProfile, VideoCodec,
    payload_type,
};
use patchbay_sdp::{DtlsRole, Fingerprint, IceCredentials, Limits, Offer};
use patchbay_sfu_core::demux::{Bound, Demux};
use patchbay_sfu_core::transport::{
    DataSetup, DropReason, Identity, Received, Transport, TransportEvent, TransportSetup,
};
use patchbay_sfu_core::{ChannelKey, OutgoingRtp, Path, TransportKey};
use patchbay_wire::rtp::{RtpTimestamp, Ssrc};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

pub(crate) const KEY: TransportKey = TransportKey(1);
/// The slot that the answer describes.
pub(crate) const SLOT_SSRC: u32 = 0x5107;
const DELAY: Duration = Duration::from_millis(10);

/// What the network does, both ways.
#[derive(Clone, Copy, Default)]
pub(crate) struct Condition {
    pub(crate) loss: f64,
    pub(crate) duplicate: f64,
    pub(crate) jitter: Duration,
}

/// A datagram that was on its way.
#[derive(Clone)]
pub(crate) struct Captured {
    pub(crate) to_server: bool,
    pub(crate) path: Path,
    pub(crate) bytes: Vec<u8>,
}

struct InFlight {
    at: Instant,
    number: u64,
    datagram: Captured,
}

/// How a pair is set up, apart from the usual.
pub(crate) struct Options {
    pub(crate) seed: u64,
    pub(crate) condition: Condition,
    pub(crate) profiles: Vec<SrtpProfile>,
    /// Instead of the client's real fingerprint.
    pub(crate) fingerprint: Option<Fingerprint>,
    pub(crate) has_data: bool,
    pub(crate) dtls_role: DtlsRole,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            condition: Condition::default(),
            // Chromium's order.
            profiles: vec![
                SrtpProfile::Aes128CmHmacSha1_80,
                SrtpProfile::AeadAes256Gcm,
                SrtpProfile::AeadAes128Gcm,
            ],
            fingerprint: None,
            has_data: true,
            dtls_role: DtlsRole::Server,
        }
    }
}

pub(crate) struct Pair {
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) transport: Transport,
    pub(crate) peer: SansIoPeer,
    pub(crate) demux: Demux,
    pub(crate) condition: Condition,
    pub(crate) random: StdRng,
    pub(crate) events: Vec<TransportEvent>,
    pub(crate) peer_events: Vec<PeerEvent>,
    /// Payloads of RTP packets that arrived.
    pub(crate) server_rtp: Vec<Vec<u8>>,
    pub(crate) peer_rtp: Vec<Vec<u8>>,
    pub(crate) server_rtcp: Vec<Vec<u8>>,
    pub(crate) peer_rtcp: Vec<Vec<u8>>,
    pub(crate) captured: Vec<Captured>,
    /// Client addresses from which nothing gets through any more.
    pub(crate) dead_addresses: Vec<SocketAddr>,
    /// What a NAT makes of the client's address, which knows nothing of it.
    pub(crate) translated: Option<SocketAddr>,
    pub(crate) drops: Vec<DropReason>,
    /// A channel whose messages the server holds, as somebody else is slow.
    pub(crate) blocked: Option<ChannelKey>,
    /// The client lies in its handshake: bytes of its messages are changed on the way, behind the headers.
    pub(crate) is_lying: bool,
    network: Vec<InFlight>,
    sent: u64,
    pub(crate) identity: Identity,
    credentials: u32,
    dtls_role: DtlsRole,
    slot_index: u64,
}

/// How many rounds a random test runs: more, where `PATCHBAY_FUZZ_ROUNDS` says so.
pub(crate) fn rounds(usual: u64) -> u64 {
    std::env::var("PATCHBAY_FUZZ_ROUNDS").ok().and_then(|it| it.parse().ok()).unwrap_or(usual)
}

pub(crate) fn server_address() -> SocketAddr {
    "192.0.2.10:7000".parse().unwrap()
}

pub(crate) fn client_address() -> SocketAddr {
    "198.51.100.20:50000".parse().unwrap()
}

/// The path of a datagram from `client`, as the server sees it.
pub(crate) fn server_path(client: SocketAddr) -> Path {
    let path = if client == tcp_address() { Path::tcp } else { Path::udp };
    path(server_address(), client)
}

/// Where the client has a TCP connection instead.
pub(crate) fn tcp_address() -> SocketAddr {
    "203.0.113.40:40000".parse().unwrap()
}

pub(crate) fn local_credentials(number: u32) -> IceCredentials {
    IceCredentials::new(&format!("ours{number}"), &format!("a-password-of-ours-number-{number}")).unwrap()
}

impl Pair {
    pub(crate) fn new(options: Options) -> Self {
        let crypto = rtc_crypto::default_provider().unwrap();
        let now = Instant::now();
        let identity = Identity::generate(crypto.as_ref()).unwrap();
        let setup = PeerSetup {
            address: client_address(),
            sections: vec![
                Section::send("0", MediaKind::Audio),
                Section::send("1", MediaKind::Video),
                Section::receive("2", MediaKind::Video),
            ],
            has_data: options.has_data,
            video_codecs: vec![VideoCodec::Vp8],
            has_retransmission: true,
            srtp_profiles: options.profiles,
            identity: Identity::generate(crypto.as_ref()).unwrap(),
        };
        let mut peer = SansIoPeer::new(now, setup, crypto.clone()).unwrap();
        let offer = Offer::parse(&peer.offer(), &Limits::default()).unwrap();
        assert_eq!(offer.sections.len(), 3 + usize::from(options.has_data));
        let transport = Transport::new(
            now,
            TransportSetup {
                key: KEY,
                local_ice: local_credentials(0),
                remote_ice: offer.ice.clone(),
                remote_fingerprints: options.fingerprint.map_or(offer.fingerprints.clone(), |it| vec![it]),
                dtls_role: options.dtls_role,
                data: options.has_data.then_some(DataSetup { max_message_bytes: Some(262_144) }),
            },
            &identity,
            crypto,
        )
        .unwrap();
        let mut demux = Demux::new(42);
        assert!(demux.add_ufrag(&local_credentials(0).ufrag, KEY));
        let mut pair = Self {
            start: now,
            now,
            transport,
            peer,
            demux,
            condition: options.condition,
            random: StdRng::seed_from_u64(options.seed),
            events: Vec::new(),
            peer_events: Vec::new(),
            server_rtp: Vec::new(),
            peer_rtp: Vec::new(),
            server_rtcp: Vec::new(),
            peer_rtcp: Vec::new(),
            captured: Vec::new(),
            dead_addresses: Vec::new(),
            translated: None,
            drops: Vec::new(),
            blocked: None,
            is_lying: false,
            network: Vec::new(),
            sent: 0,
            identity,
            credentials: 0,
            dtls_role: options.dtls_role,
            slot_index: 1,
        };
        let answer = pair.answer();
        pair.peer.accept_answer(now, &answer).unwrap();
        pair
    }

    /// A connected pair on a perfect network.
    pub(crate) fn connected() -> Self {
        let mut pair = Self::new(Options::default());
        assert!(pair.run_until(Duration::from_secs(5), Self::is_connected));
        pair
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.transport.is_connected() && self.peer.is_connected()
    }

    /// What the server says, with its present credentials.
    pub(crate) fn answer(&self) -> String {
        let ice = local_credentials(self.credentials);
        let head = format!(
            "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=fingerprint:{}\r\na=setup:{}\r\n\
             a=candidate:1 1 udp 2130706431 {} {} typ host\r\n",
            ice.ufrag,
            ice.pwd,
            self.identity.fingerprint(),
            self.dtls_role.setup(),
            server_address().ip(),
            server_address().port()
        );
        format!(
            "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=ice-lite\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n{head}a=mid:0\r\n\
             m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:1\r\nm=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:2\r\n\
             a=ssrc-group:FID {SLOT_SSRC} {}\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:data\r\n\
             a=max-message-size:262144\r\n",
            SLOT_SSRC + 1
        )
    }

    /// The client changes its address and restarts ICE.
    pub(crate) fn restart_ice(&mut self, address: SocketAddr) {
        let offer = self.peer.restart_ice(self.now, address).unwrap();
        let offer = Offer::parse(&offer, &Limits::default()).unwrap();
        self.credentials += 1;
        let ours = local_credentials(self.credentials);
        assert!(self.demux.add_ufrag(&ours.ufrag, KEY));
        self.transport.restart_ice(self.now, &ours, &offer.ice).unwrap();
        let answer = self.answer();
        self.peer.accept_answer(self.now, &answer).unwrap();
    }

    /// Runs until `done`, at most for `limit`; says whether it was done.
    pub(crate) fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + limit;
        loop {
            self.exchange();
            if done(self) {
                return true;
            }
            let arrival = self.network.iter().map(|it| it.at).min();
            let next = [arrival, self.transport.deadline(), self.peer.deadline()].into_iter().flatten().min();
            let Some(next) = next.filter(|&next| next <= end) else {
                self.now = end;
                return false;
            };
            self.now = self.now.max(next);
            if self.transport.deadline().is_some_and(|due| due <= self.now) {
                self.transport.handle_timeout(self.now);
                assert!(self.transport.deadline().is_none_or(|due| due > self.now), "a deadline that stays");
            }
            if self.peer.deadline().is_some_and(|due| due <= self.now) {
                self.peer.handle_timeout(self.now);
            }
            self.deliver_due();
        }
    }

    /// Runs for a time.
    pub(crate) fn run_for(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// Gives the server a datagram at once, past the network.
    pub(crate) fn inject(&mut self, client: SocketAddr, bytes: &[u8]) {
        self.receive(&Captured { to_server: true, path: server_path(client), bytes: bytes.to_vec() });
        self.exchange();
    }

    /// The client sends a video packet with this payload.
    pub(crate) fn send_to_server(&mut self, payload: &[u8]) -> bool {
        let stream = self.peer.stream("1", None).unwrap();
        let packet = RtpToSend {
            payload_type: payload_type::VP8,
            marker: true,
            timestamp: 90 * (self.now - self.start).as_millis() as u32,
            audio_level: None,
            payload,
        };
        self.peer.send_rtp(self.now, stream, &packet)
    }

    /// The server sends a packet in the slot with this payload.
    pub(crate) fn send_to_peer(&mut self, payload: &[u8]) {
        self.slot_index += 1;
        self.transport.send_rtp(&OutgoingRtp {
            marker: true,
            payload_type: payload_type::VP8,
            extended_sequence: self.slot_index,
            timestamp: RtpTimestamp(3000 * self.slot_index as u32),
            ssrc: Ssrc(SLOT_SSRC),
            csrc: Some(7),
            extensions: &[(1, b"2")],
            prefix: &payload[..payload.len().min(1)],
            payload: &payload[payload.len().min(1)..],
        });
    }

    pub(crate) fn count(&self, reason: DropReason) -> u64 {
        self.transport.stats().dropped.of(reason)
    }

    fn exchange(&mut self) {
        while let Some(event) = self.transport.poll_event() {
            match &event {
                TransportEvent::AddressBound(path) => assert_eq!(self.demux.bind(*path, KEY), Bound::Taken),
                TransportEvent::AddressUnbound(path) => self.demux.unbind(*path, KEY),
                TransportEvent::UfragRetired(ufrag) => self.demux.remove_ufrag(ufrag, KEY),
                TransportEvent::Message { channel, kind, payload } if self.blocked == Some(*channel) => {
                    self.transport.hold_channel(*channel, *kind, payload.clone());
                    continue;
                }
                _ => {}
            }
            self.events.push(event);
        }
        while let Some(event) = self.peer.poll_event() {
            self.peer_events.push(event);
        }
        let mut sent = Vec::new();
        while let Some(transmit) = self.transport.poll_transmit(self.now) {
            let size = transmit.segment_size.unwrap_or(transmit.contents.len());
            sent.extend(transmit.contents.chunks(size).map(|it| (false, transmit.path, it.to_vec())));
        }
        while let Some(transmit) = self.peer.poll_transmit(self.now) {
            let size = transmit.segment_size.unwrap_or(transmit.contents.len());
            let path = server_path(self.translated.unwrap_or(transmit.path.local));
            sent.extend(transmit.contents.chunks(size).map(|it| (true, path, it.to_vec())));
        }
        for (to_server, path, bytes) in sent {
            self.send(Captured { to_server, path, bytes });
        }
    }

    fn send(&mut self, mut datagram: Captured) {
        const HEADERS: usize = 25;
        if self.is_lying && datagram.to_server && datagram.bytes[0] == 22 && self.random.random_bool(0.4) {
            for _ in 0..self.random.random_range(1..4) {
                let end =
                    datagram.bytes.len().min(HEADERS + [8, 60, 400, 2000][self.random.random_range(0..4)]);
                let at = self.random.random_range(HEADERS..end.max(HEADERS + 1));
                if let Some(byte) = datagram.bytes.get_mut(at) {
                    *byte = [self.random.random(), 0, 1, 0xff, 0x80][self.random.random_range(0..5)];
                }
            }
        }
        self.captured.push(datagram.clone());
        if self.random.random_bool(self.condition.loss) {
            return;
        }
        let copies = 1 + usize::from(self.random.random_bool(self.condition.duplicate));
        for _ in 0..copies {
            let jitter = self.condition.jitter.mul_f64(self.random.random());
            self.sent += 1;
            self.network.push(InFlight {
                at: self.now + DELAY + jitter,
                number: self.sent,
                datagram: datagram.clone(),
            });
        }
    }

    fn deliver_due(&mut self) {
        self.network.sort_by_key(|it| (it.at, it.number));
        let due = self.network.iter().take_while(|it| it.at <= self.now).count();
        let arrived: Vec<_> = self.network.drain(..due).collect();
        for it in arrived {
            self.receive(&it.datagram);
        }
    }

    fn receive(&mut self, datagram: &Captured) {
        if self.dead_addresses.contains(&datagram.path.remote) {
            return;
        }
        let mut bytes = datagram.bytes.clone();
        if datagram.to_server {
            // What the demux gives to nobody, or to another, is given to ours all the same: it has to stand that.
            match self.transport.handle_datagram(self.now, datagram.path, &mut bytes) {
                Received::Rtp { len, header, .. } => {
                    self.server_rtp.push(header.payload(&bytes[..len]).unwrap_or_default().to_vec());
                }
                Received::Rtcp { len } => self.server_rtcp.push(bytes[..len].to_vec()),
                Received::Dropped(reason) => self.drops.push(reason),
                Received::Consumed => {}
            }
        } else {
            let is_translated = self.translated == Some(datagram.path.remote);
            let local = if is_translated { client_address() } else { datagram.path.remote };
            match self.peer.handle_datagram(self.now, Path::udp(local, datagram.path.local), &mut bytes) {
                PeerReceived::Rtp { len, header, .. } => {
                    self.peer_rtp.push(header.payload(&bytes[..len]).unwrap().to_vec());
                }
                PeerReceived::Rtcp { len } => self.peer_rtcp.push(bytes[..len].to_vec()),
                _ => {}
            }
        }
    }
}
