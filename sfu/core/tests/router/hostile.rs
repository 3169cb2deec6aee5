//! Members that send what they should not.

use bytes::Bytes;
use patchbay_protocol::{ParticipantNumber, Source};
use patchbay_sfu_core::router::Intake;
use patchbay_sfu_core::transport::{ChannelInfo, MessageKind, Reliability};
use patchbay_sfu_core::{ChannelKey, TransportKey};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::fixture::*;

#[test]
fn what_one_member_sends_touches_no_other_members_tracks() {
    let mut room = Harness::new();
    for who in [1, 2] {
        room.join(who, &[publish("v", Source::Camera), slot("sv", Source::Camera)]);
    }
    room.join(3, &[slot("sv", Source::Camera)]);
    let mut one = Stream::video(1);
    room.frame(&mut one, true, 1);
    room.show(3, "sv", 1, Source::Camera);
    room.frame(&mut one, true, 1);
    room.taken();
    // The same SSRC, mid and payload type from another transport.
    let mut forged = Stream { from: TransportKey(2), ..one.clone() };
    room.frame(&mut forged, true, 5);
    assert!(room.slot(3, "sv").is_empty());
    room.frame(&mut one, false, 1);
    assert_eq!(room.slot(3, "sv").len(), 1);
    // Requests about slots of others.
    room.taken();
    room.nack(2, slot_ssrc(3, "sv"), &[0, 1, 2, 3]);
    room.wait(1_000);
    room.keyframe_requests(1);
    room.pli(2, slot_ssrc(3, "sv"));
    assert!(room.keyframe_requests(1).is_empty());
    // A transport that is not in the room.
    let stranger = Stream { from: TransportKey(77), ..one.clone() };
    room.send(&stranger, true, &one.vp8(true, true));
    let (text, stranger) = (Bytes::from_static(b"x"), TransportKey(77));
    let intake =
        room.router.handle_message(room.now, stranger, ChannelKey(0), MessageKind::Text, text, &mut room.out);
    assert_eq!(intake, Intake::Taken);
    let info = ChannelInfo {
        key: ChannelKey(0),
        label: "x".to_owned(),
        protocol: String::new(),
        is_ordered: true,
        reliability: Reliability::Reliable,
    };
    assert!(!room.router.handle_channel_opened(room.now, stranger, &info, &mut room.out));
    assert!(room.taken().is_empty());
}

#[test]
fn what_was_unpublished_is_not_taken_for_what_is_left() {
    let mut room = Harness::new();
    let both = [publish("v", Source::Camera), publish("s", Source::Screen)];
    let publications = room.join(1, &both);
    room.join(2, &[slot("sv", Source::Camera)]);
    room.show(2, "sv", 1, Source::Screen);
    let mut camera = Stream::video(1);
    let mut screen = Stream { mid: "s", ..Stream::video(1).with_ssrc(77) };
    room.frame(&mut camera, true, 1);
    room.frame(&mut screen, true, 1);
    room.negotiate(1, &both, &publications[1..], &[]);
    // The screen stands still, and the camera goes on until the publisher has its answer; with its mid or without.
    room.wait(2_000);
    room.taken();
    for mid in ["v", ""] {
        camera.mid = mid;
        room.frame(&mut camera, true, 1);
        assert!(room.taken().is_empty());
    }
    room.frame(&mut screen, false, 1);
    assert_eq!(room.slot(2, "sv").len(), 1);
    // Published again, the same stream is known by its mid.
    room.negotiate(1, &both, &publications, &[]);
    room.show(2, "sv", 1, Source::Camera);
    room.taken();
    camera.mid = "v";
    room.frame(&mut camera, true, 1);
    assert_eq!(room.slot(2, "sv").len(), 1);
}

#[test]
fn random_bytes_and_damaged_packets_do_no_harm() {
    let mut room = Harness::new();
    let sections =
        [publish("a", Source::Microphone), publish("v", Source::Camera), slot("sv", Source::Camera)];
    for who in [1, 2] {
        room.join(who, &sections);
        room.show(who, "sv", 3 - who, Source::Camera);
    }
    let mut rng = StdRng::seed_from_u64(1);
    let mut streams = [Stream::video(1), Stream::video(2)];
    for step in 0..20_000u32 {
        let from = rng.random_range(0..2usize);
        let stream = &mut streams[from];
        let mut packet = stream.packet(rng.random(), &stream.vp8(rng.random_bool(0.2), true));
        stream.sequence = stream.sequence.wrapping_add(1);
        if step % 3 == 0 {
            stream.next_frame();
        }
        for _ in 0..rng.random_range(0..4) {
            let at = rng.random_range(0..packet.len());
            packet[at] = rng.random();
        }
        packet.truncate(rng.random_range(packet.len() / 2..=packet.len()));
        let key = TransportKey(from as u32 + 1);
        room.router.handle_rtp(room.now, key, &packet, &mut room.out);
        let mut noise: Vec<u8> = (0..rng.random_range(0..64)).map(|_| rng.random()).collect();
        if noise.len() > 8 {
            noise[0] = 0x80 | noise[0] & 0x3f;
            noise[1] = rng.random_range(200..208);
            noise[2] = 0;
            noise[3] = ((noise.len() - 4) / 4) as u8;
            noise[4..8].copy_from_slice(&slot_ssrc(from as u32 + 1, "sv").to_be_bytes());
        }
        room.router.handle_rtcp(room.now, key, &noise, &mut room.out);
        if step % 50 == 0 {
            room.wait(20);
            room.taken();
            room.out.rtcp.clear();
        }
    }
    while room.router.poll_event().is_some() {}
    // The room still works.
    room.join(3, &[publish("v", Source::Camera)]);
    room.show(1, "sv", 3, Source::Camera);
    room.taken();
    let mut three = Stream::video(3);
    room.frame(&mut three, true, 2);
    assert_eq!(room.slot(1, "sv").iter().filter(|packet| packet.csrc == Some(3)).count(), 2);
}

#[test]
fn a_participant_is_shown_to_itself_only_if_it_asks() {
    let mut room = Harness::new();
    room.join(1, &[publish("v", Source::Camera), slot("sv", Source::Camera)]);
    let mut one = Stream::video(1);
    room.speaker(1, "sv", 1);
    room.frame(&mut one, true, 1);
    assert!(room.taken().is_empty());
    room.show(1, "sv", 1, Source::Camera);
    assert_eq!(room.states().last().unwrap().2.participant, Some(ParticipantNumber(1)));
    room.frame(&mut one, true, 1);
    assert_eq!(room.taken().len(), 1);
}

#[test]
fn a_room_that_empties_holds_nothing() {
    let mut room = Harness::new();
    for who in 1..=10 {
        room.join(who, &[publish("v", Source::Camera), slot("sv", Source::Camera)]);
        room.speaker(who, "sv", 1);
        let mut stream = Stream::video(who);
        room.frame(&mut stream, true, 1);
    }
    for who in 1..=10 {
        room.router.detach(room.now, TransportKey(who), &mut room.out);
    }
    assert!(room.router.is_empty());
    room.wait(5_000);
    assert_eq!(room.router.deadline(), None);
}
