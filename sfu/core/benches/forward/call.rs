//! A call in virtual time: one publisher, many subscribers, a worker.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use patchbay_protocol::node::{CommandResult, NodeCommand, Publication, Slot};
use patchbay_protocol::{Mid, ParticipantNumber, RoomId, SlotSource, Source, TrackId, TransportId};
use patchbay_sansio_peer::{MediaKind, PeerSetup, RtpToSend, SansIoPeer, Section, VideoCodec, payload_type};
use patchbay_sfu_core::transport::Identity;
use patchbay_sfu_core::{Path, Worker, WorkerConfig};
use patchbay_wire::srtp::SrtpProfile;
use rtc_crypto::RTCCryptoProvider;

use crate::{Cost, timed};

const FRAME_INTERVAL: Duration = Duration::from_nanos(33_333_333);
/// 170 packets a second in 30 bursts.
const PACKETS_PER_BURST: [usize; 3] = [6, 6, 5];
/// With header (12 bytes), mid extension and tag about 1,100 bytes on the wire.
const PAYLOAD_BYTES: usize = 1_060;
const TRACK: TrackId = TrackId(1);

pub(crate) struct Call {
    now: Instant,
    worker: Worker,
    address: SocketAddr,
    /// The publisher is the first.
    peers: Vec<(SocketAddr, SansIoPeer)>,
    frame: u32,
}

impl Call {
    pub(crate) fn connect(subscribers: usize) -> Self {
        let crypto = rtc_crypto::default_provider().expect("a crypto provider is built in");
        let identity = Identity::generate(crypto.as_ref()).expect("a certificate can be made");
        let address = SocketAddr::from(([192, 0, 2, 1], 7882));
        let now = Instant::now();
        let config = WorkerConfig {
            candidates: vec![address],
            tcp_candidates: Vec::new(),
            number: 0,
            crypto: Arc::clone(&crypto),
            identity: identity.clone(),
            seed: 1,
            unix_nanos: 1_800_000_000_000_000_000,
        };
        let mut call = Self { now, worker: Worker::new(now, config), address, peers: Vec::new(), frame: 0 };
        call.join(Section::send("v", MediaKind::Video), &crypto, &identity);
        for _ in 0..subscribers {
            call.join(Section::receive("v", MediaKind::Video), &crypto, &identity);
        }
        while !call.peers.iter().all(|(_, peer)| peer.is_connected()) {
            call.advance(Duration::from_millis(5));
        }
        call.advance(Duration::from_secs(1));
        call
    }

    fn join(&mut self, section: Section, crypto: &Arc<dyn RTCCryptoProvider>, identity: &Identity) {
        let number = self.peers.len() as u32 + 1;
        let address = SocketAddr::from(([198, 51, 100, number as u8], 5000));
        let setup = PeerSetup {
            address,
            sections: vec![section],
            has_data: false,
            video_codecs: vec![VideoCodec::Vp8],
            // Subscribers get nothing of what is measured, and must not ask for it again.
            has_retransmission: false,
            srtp_profiles: vec![SrtpProfile::AeadAes128Gcm],
            identity: identity.clone(),
        };
        let mut peer = SansIoPeer::new(self.now, setup, Arc::clone(crypto)).expect("the setup is valid");
        let mid = Mid::from("v");
        let is_publisher = number == 1;
        let publication =
            Publication { mid: mid.clone(), track: TRACK, source: Source::Camera, muted: false };
        let slot = Slot { mid, source: Some(SlotSource::Track { track: TRACK }), group: None };
        let command = NodeCommand::Negotiate {
            transport: TransportId(number.into()),
            room: RoomId(1),
            participant: ParticipantNumber(number),
            sdp: peer.offer(),
            publications: is_publisher.then_some(publication).into_iter().collect(),
            slots: (!is_publisher).then_some(slot).into_iter().collect(),
            data: false,
            topics: Vec::new(),
            channels: Vec::new(),
        };
        match self.worker.handle_command(self.now, command) {
            CommandResult::Answered { sdp, .. } => {
                peer.accept_answer(self.now, &sdp).expect("the answer holds")
            }
            other => panic!("the offer was refused: {other:?}"),
        }
        self.peers.push((address, peer));
    }

    /// Sends one frame through the worker and measures that.
    pub(crate) fn burst(&mut self) -> Cost {
        let mut datagrams = self.encrypted_frame();
        let path = Path::udp(self.address, self.peers[0].0);
        let (worker, now) = (&mut self.worker, self.now);
        let ((forwarded, transmits), time, allocations) = timed(|| {
            for datagram in &mut datagrams {
                worker.handle_datagram(now, path, datagram);
            }
            let (mut forwarded, mut transmits) = (0, 0);
            while let Some(transmit) = worker.poll_transmit(now) {
                let bytes = black_box(transmit.contents).len();
                forwarded += transmit.segment_size.map_or(1, |size| bytes.div_ceil(size)) as u64;
                transmits += 1;
            }
            (forwarded, transmits)
        });
        let expected = (datagrams.len() * (self.peers.len() - 1)) as u64;
        assert!(forwarded >= expected, "{forwarded} of {expected} packets were forwarded");
        self.advance(FRAME_INTERVAL);
        Cost { time, allocations, forwarded, transmits }
    }

    fn encrypted_frame(&mut self) -> Vec<Vec<u8>> {
        let count = PACKETS_PER_BURST[self.frame as usize % PACKETS_PER_BURST.len()];
        let (now, frame) = (self.now, self.frame);
        let publisher = &mut self.peers[0].1;
        let stream = publisher.stream("v", None).expect("the publisher sends it");
        for index in 0..count {
            let payload = vp8_payload(frame, index == 0);
            let packet = RtpToSend {
                payload_type: payload_type::VP8,
                marker: index + 1 == count,
                timestamp: frame.wrapping_mul(3_000),
                audio_level: None,
                payload: &payload,
            };
            assert!(publisher.send_rtp(now, stream, &packet), "the publisher is connected");
        }
        self.frame += 1;
        let mut datagrams = Vec::new();
        while let Some(transmit) = publisher.poll_transmit(now) {
            let size = transmit.segment_size.unwrap_or(transmit.contents.len());
            datagrams.extend(transmit.contents.chunks(size).map(<[u8]>::to_vec));
        }
        datagrams
    }

    /// Lets time pass, unmeasured: checks, reports, handshakes.
    fn advance(&mut self, by: Duration) {
        self.now += by;
        let now = self.now;
        if self.worker.deadline().is_some_and(|deadline| deadline <= now) {
            self.worker.handle_timeout(now);
        }
        for (_, peer) in &mut self.peers {
            if peer.deadline().is_some_and(|deadline| deadline <= now) {
                peer.handle_timeout(now);
            }
        }
        while self.exchange() {}
        while self.worker.poll_event().is_some() {}
    }

    /// Carries everything that waits to its destination. Says whether there was anything.
    fn exchange(&mut self) -> bool {
        let (now, local) = (self.now, self.address);
        let mut is_any = false;
        for (remote, peer) in &mut self.peers {
            while let Some(transmit) = peer.poll_transmit(now) {
                is_any = true;
                let size = transmit.segment_size.unwrap_or(transmit.contents.len());
                for datagram in transmit.contents.chunks(size) {
                    self.worker.handle_datagram(now, Path::udp(local, *remote), &mut datagram.to_vec());
                }
            }
            while peer.poll_event().is_some() {}
        }
        while let Some(transmit) = self.worker.poll_transmit(now) {
            is_any = true;
            let size = transmit.segment_size.unwrap_or(transmit.contents.len());
            let Some((remote, peer)) =
                self.peers.iter_mut().find(|(address, _)| *address == transmit.path.remote)
            else {
                continue;
            };
            for datagram in transmit.contents.chunks(size) {
                peer.handle_datagram(now, Path::udp(*remote, local), &mut datagram.to_vec());
            }
        }
        is_any
    }
}

/// A VP8 payload (RFC 7741 §4.2) with a 15-bit picture id and TL0PICIDX; the first frame is a keyframe.
fn vp8_payload(frame: u32, is_first: bool) -> Vec<u8> {
    let picture_id = (frame & 0x7fff) as u16 | 0x8000;
    let [high, low] = picture_id.to_be_bytes();
    let start = if is_first { 0x10 } else { 0 };
    let mut payload = vec![0x80 | start, 0xe0, high, low, frame as u8, 0x00];
    // The P bit of the payload header is 0 in a keyframe.
    payload.push(u8::from(!frame.is_multiple_of(300)));
    payload.resize(PAYLOAD_BYTES, 0xa5);
    payload
}
