//! One peer: a sans-IO client and a socket of its own.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Interest, Registry, Token};
use patchbay_sansio_peer::{
    Direction, Identity, MediaKind, Path, PeerEvent, PeerReceived, PeerSetup, RtpToSend, SansIoPeer, Section,
    SrtpProfile, VideoCodec, payload_type,
};
use rtc_crypto::RTCCryptoProvider;
use socket2::{Domain, Protocol, Socket, Type};

use crate::args::Arguments;
use crate::media::{Frames, stamp};
use crate::signaling::Connection;

/// A peer that is slow for a moment shall not be taken for a server that loses packets.
const RECEIVE_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// The mid of what a peer publishes.
pub(crate) const PUBLICATION: &str = "0";

/// What all peers share.
pub(crate) struct Common {
    pub(crate) crypto: Arc<dyn RTCCryptoProvider>,
    pub(crate) identity: Identity,
    pub(crate) origin: Instant,
    pub(crate) address: IpAddr,
    pub(crate) profiles: Vec<SrtpProfile>,
}

impl Common {
    pub(crate) fn new(arguments: &Arguments) -> Result<Self, String> {
        let crypto = rtc_crypto::default_provider().map_err(|error| error.to_string())?;
        let profile =
            if arguments.aes_cm { SrtpProfile::Aes128CmHmacSha1_80 } else { SrtpProfile::AeadAes128Gcm };
        Ok(Self {
            identity: Identity::generate(crypto.as_ref()).map_err(|error| error.to_string())?,
            crypto,
            origin: Instant::now(),
            address: arguments.address,
            profiles: vec![profile],
        })
    }
}

/// What a peer received while measuring.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Packets that count.
    pub(crate) packets: u64,
    /// Latency of each, in microseconds.
    pub(crate) latencies: Vec<u32>,
}

/// One peer.
pub(crate) struct LoadPeer {
    pub(crate) connection: Option<Connection>,
    pub(crate) frames: Option<Frames>,
    pub(crate) sent: u64,
    peer: SansIoPeer,
    socket: mio::net::UdpSocket,
    local: SocketAddr,
    stream: Option<usize>,
    buffer: Vec<u8>,
    failure: Option<String>,
}

impl LoadPeer {
    /// A peer that publishes or not, and has so many slots.
    pub(crate) fn new(common: &Common, publishes: bool, slots: usize) -> Result<Self, String> {
        let text = |error: io::Error| format!("a peer's socket: {error}");
        let socket = bind(common.address).map_err(text)?;
        let local = socket.local_addr().map_err(text)?;
        let mut sections = Vec::new();
        if publishes {
            sections.push(Section::send(PUBLICATION, MediaKind::Video));
        }
        sections.extend((1..=slots).map(|n| Section::receive(&n.to_string(), MediaKind::Video)));
        let setup = PeerSetup {
            address: local,
            sections,
            has_data: false,
            video_codecs: vec![VideoCodec::Vp8],
            has_retransmission: true,
            srtp_profiles: common.profiles.clone(),
            identity: common.identity.clone(),
        };
        debug_assert!(
            setup.sections.iter().all(|s| (s.direction == Direction::SendOnly) == (s.mid == PUBLICATION))
        );
        let peer = SansIoPeer::new(Instant::now(), setup, common.crypto.clone())
            .map_err(|error| error.to_string())?;
        let stream = peer.stream(PUBLICATION, None);
        Ok(Self {
            connection: None,
            frames: None,
            sent: 0,
            peer,
            socket,
            local,
            stream,
            buffer: vec![0; 2_048],
            failure: None,
        })
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> Result<(), String> {
        registry.register(&mut self.socket, token, Interest::READABLE).map_err(|error| error.to_string())
    }

    pub(crate) fn offer(&mut self) -> String {
        self.peer.offer()
    }

    pub(crate) fn accept(&mut self, sdp: &str) -> Result<(), String> {
        let now = Instant::now();
        self.peer.accept_answer(now, sdp).map_err(|error| error.to_string())?;
        self.flush(now);
        Ok(())
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.peer.is_connected()
    }

    /// Why it can go no further.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Packets that were asked for again, and such that came.
    pub(crate) fn repairs(&self) -> (u64, u64) {
        (self.peer.stats().nacks_out, self.peer.stats().recovered_in)
    }

    /// Does what is due.
    pub(crate) fn turn(&mut self, now: Instant) {
        if self.peer.deadline().is_some_and(|deadline| deadline <= now) {
            self.peer.handle_timeout(now);
            self.flush(now);
            self.read_events();
        }
    }

    /// Sends the frame that is due, if one is.
    pub(crate) fn send_due(&mut self, now: Instant, origin: Instant, counts: bool) {
        let (Some(frames), Some(stream)) = (&mut self.frames, self.stream) else { return };
        if frames.due() > now {
            return;
        }
        let peer = &mut self.peer;
        let mut sent = 0;
        frames.send(origin, counts, |packet| {
            let packet = RtpToSend {
                payload_type: payload_type::VP8,
                marker: packet.marker,
                timestamp: packet.timestamp,
                audio_level: None,
                payload: packet.payload,
            };
            sent += u64::from(peer.send_rtp(now, stream, &packet));
        });
        if counts {
            self.sent += sent;
        }
        self.flush(now);
    }

    /// Receives everything there is.
    pub(crate) fn receive(&mut self, origin: Instant, tally: &mut Tally) {
        let mut received = false;
        while let Ok((length, remote)) = self.socket.recv_from(&mut self.buffer) {
            received = true;
            let now = Instant::now();
            let path = Path::udp(self.local, remote);
            let datagram = &mut self.buffer[..length];
            let payload = match self.peer.handle_datagram(now, path, datagram) {
                PeerReceived::Rtp { len, header, .. } => header.payload_range(&datagram[..len]).ok(),
                PeerReceived::Recovered { payload, .. } => Some(payload),
                _ => None,
            };
            if let Some(stamp) = payload.and_then(|range| stamp(datagram.get(range)?))
                && stamp.counts
            {
                tally.packets += 1;
                let latency = (now - origin).saturating_sub(stamp.sent);
                tally.latencies.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
            }
        }
        if received {
            self.flush(Instant::now());
            self.read_events();
        }
    }

    fn read_events(&mut self) {
        while let Some(event) = self.peer.poll_event() {
            match event {
                PeerEvent::KeyframeRequested { .. } => {
                    if let Some(frames) = &mut self.frames {
                        frames.want_keyframe();
                    }
                }
                PeerEvent::Failed(reason) => self.failure = Some(format!("{reason:?}")),
                PeerEvent::Closed => self.failure = Some("the server said goodbye".into()),
                _ => {}
            }
        }
    }

    /// One system call per datagram, as browsers do it. What the kernel does not take is lost, as on any network.
    fn flush(&mut self, now: Instant) {
        while let Some(transmit) = self.peer.poll_transmit(now) {
            let segment = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
            for datagram in transmit.contents.chunks(segment) {
                let _ = self.socket.send_to(datagram, transmit.path.remote);
            }
        }
    }
}

pub(crate) fn bind(address: IpAddr) -> io::Result<mio::net::UdpSocket> {
    let address = SocketAddr::new(address, 0);
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(mio::net::UdpSocket::from_std(socket.into()))
}

/// How far the frames of publishers lie apart, so that they don't all come at once.
pub(crate) fn phase(publisher: usize, publishers: usize) -> Duration {
    let frame = Duration::from_nanos(1_000_000_000 / crate::media::FRAMES_PER_SECOND);
    phase_of(frame, publisher, publishers)
}

/// Where one of several senders begins within an interval.
pub(crate) fn phase_of(interval: Duration, sender: usize, senders: usize) -> Duration {
    interval * u32::try_from(sender).unwrap_or(0) / u32::try_from(senders.max(1)).unwrap_or(1)
}
