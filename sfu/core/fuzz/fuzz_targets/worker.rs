//! Datagrams from a stranger and time, into a worker that awaits a peer. Input: for each datagram two bytes of length, one
//! byte of milliseconds, then the datagram.
#![no_main]

use std::sync::Arc;
use std::time::{Duration, Instant};

use patchbay_protocol::node::{NodeCommand, Publication};
use patchbay_protocol::{Mid, ParticipantNumber, RoomId, Source, TrackId, TransportId};
use patchbay_sansio_peer::{MediaKind, PeerSetup, SansIoPeer, Section, SrtpProfile, VideoCodec};
use patchbay_sfu_core::transport::Identity;
use patchbay_sfu_core::{Path, Worker, WorkerConfig};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut now = Instant::now();
    let mut worker = worker(now);
    let path = Path::udp(([192, 0, 2, 1], 7882).into(), ([198, 51, 100, 1], 5000).into());
    let mut rest = bytes;
    while let [high, low, millis, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
        let (datagram, next) = tail.split_at(length);
        rest = next;
        now += Duration::from_millis(u64::from(*millis));
        worker.handle_datagram(now, path, &mut datagram.to_vec());
        if worker.deadline().is_some_and(|deadline| deadline <= now) {
            worker.handle_timeout(now);
        }
        while worker.poll_transmit(now).is_some() {}
        while worker.poll_event().is_some() {}
    }
});

fn worker(now: Instant) -> Worker {
    let crypto = rtc_crypto::default_provider().expect("a crypto provider is built in");
    let identity = Identity::generate(crypto.as_ref()).expect("a certificate can be made");
    let setup = PeerSetup {
        address: ([198, 51, 100, 1], 5000).into(),
        sections: vec![Section::send("v", MediaKind::Video)],
        has_data: true,
        video_codecs: vec![VideoCodec::Vp8],
        has_retransmission: true,
        srtp_profiles: vec![SrtpProfile::AeadAes128Gcm],
        identity: identity.clone(),
    };
    let mut peer = SansIoPeer::new(now, setup, Arc::clone(&crypto)).expect("the setup is valid");
    let config = WorkerConfig {
        candidates: vec![([192, 0, 2, 1], 7882).into()],
        tcp_candidates: Vec::new(),
        number: 0,
        crypto,
        identity,
        seed: 1,
        unix_nanos: 0,
    };
    let mut worker = Worker::new(now, config);
    worker.handle_command(
        now,
        NodeCommand::Negotiate {
            transport: TransportId(1),
            room: RoomId(1),
            participant: ParticipantNumber(1),
            sdp: peer.offer(),
            publications: vec![Publication {
                mid: Mid::from("v"),
                track: TrackId(1),
                source: Source::Camera,
                muted: false,
            }],
            slots: Vec::new(),
            data: true,
        },
    );
    worker
}
