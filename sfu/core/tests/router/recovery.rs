//! Loss, reordering, duplicates: on the way in and on the way out.

use patchbay_protocol::Source;
use patchbay_sfu_core::TransportKey;
use patchbay_wire::rtcp::{self, RtcpPacket};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::fixture::*;

fn pair() -> (Harness, Stream) {
    let mut room = Harness::new();
    room.join(1, &[publish("a", Source::Microphone), publish("v", Source::Camera)]);
    room.join(2, &[slot("sv", Source::Camera)]);
    let mut one = Stream::video(1);
    room.frame(&mut one, true, 1);
    room.show(2, "sv", 1, Source::Camera);
    room.frame(&mut one, true, 1);
    (room, one)
}

/// Sequence numbers a publisher was asked for.
fn asked(room: &mut Harness) -> Vec<u16> {
    let compounds = std::mem::take(&mut room.out.rtcp);
    let packets =
        compounds.iter().filter(|(to, _)| *to == TransportKey(1)).flat_map(|(_, c)| rtcp::packets(c));
    packets
        .filter_map(|packet| match packet {
            Ok(RtcpPacket::Nack(nack)) => Some(nack.sequences().map(|number| number.0).collect::<Vec<_>>()),
            _ => None,
        })
        .flatten()
        .collect()
}

#[test]
fn a_subscriber_that_misses_packets_gets_them_as_rtx() {
    let (mut room, mut one) = pair();
    for _ in 0..10 {
        room.frame(&mut one, false, 3);
        room.wait(33);
    }
    let sent = room.slot(2, "sv");
    let missing: Vec<u64> = vec![sent[3].sequence, sent[7].sequence, sent[8].sequence];
    room.taken();
    room.nack(2, slot_ssrc(2, "sv"), &missing);
    let resent = room.taken();
    assert_eq!(resent.len(), 3);
    for (at, (again, original)) in resent.iter().zip([&sent[3], &sent[7], &sent[8]]).enumerate() {
        assert_eq!((again.ssrc, again.payload_type), (rtx_ssrc(2, "sv"), VP8_RTX));
        assert_eq!(again.sequence, resent[0].sequence + at as u64, "its own numbers");
        assert_eq!(again.payload[..2], (original.sequence as u16).to_be_bytes());
        assert_eq!(again.payload[2..], original.payload);
        assert_eq!(
            (again.timestamp, again.marker, again.csrc),
            (original.timestamp, original.marker, original.csrc)
        );
    }
    room.nack(2, slot_ssrc(2, "sv"), &missing);
    assert!(room.taken().is_empty(), "not again within a round trip");
    room.wait(100);
    room.nack(2, slot_ssrc(2, "sv"), &missing);
    assert_eq!(room.taken().len(), 3);
    room.nack(2, slot_ssrc(2, "sv"), &[sent[0].sequence.wrapping_sub(50)]);
    assert!(room.taken().is_empty());
    assert_eq!(room.router.counters().rtx_sent, 6);
}

#[test]
fn nobody_can_ask_for_a_flood() {
    let (mut room, mut one) = pair();
    room.frame(&mut one, false, 10);
    let sent: Vec<u64> = room.taken().iter().map(|packet| packet.sequence).collect();
    for _ in 0..100 {
        room.nack(2, slot_ssrc(2, "sv"), &sent);
        room.wait(100);
    }
    assert!(room.taken().len() <= sent.len() * 8);
}

#[test]
fn packets_of_the_source_before_the_switch_can_still_be_had() {
    let (mut room, mut one) = pair();
    room.join(3, &[publish("v", Source::Camera)]);
    let mut three = Stream::video(3);
    room.frame(&mut one, false, 3);
    let before = room.slot(2, "sv").last().cloned().unwrap();
    room.frame(&mut three, true, 1);
    room.show(2, "sv", 3, Source::Camera);
    room.frame(&mut three, true, 2);
    room.taken();
    room.nack(2, slot_ssrc(2, "sv"), &[before.sequence]);
    let resent = room.taken();
    assert_eq!(resent[0].payload[2..], before.payload);
    assert_eq!(resent[0].csrc, Some(1));
    room.router.detach(room.now, TransportKey(1), &mut room.out);
    room.wait(200);
    room.nack(2, slot_ssrc(2, "sv"), &[before.sequence]);
    assert!(room.taken().is_empty(), "its history is gone with its publisher");
}

#[test]
fn what_an_old_path_lost_is_replaced_by_keyframes() {
    let (mut room, mut one) = pair();
    room.frame(&mut one, false, 3);
    let before: Vec<u64> = room.slot(2, "sv").iter().map(|packet| packet.sequence).collect();
    room.taken();
    room.wait(2_000);
    room.keyframe_requests(1);
    room.router.handle_path_changed(room.now, TransportKey(2), &mut room.out);
    assert_eq!(room.keyframe_requests(1).len(), 1);
    room.nack(2, slot_ssrc(2, "sv"), &before);
    assert!(room.taken().is_empty(), "seconds old");
    room.frame(&mut one, false, 1);
    let after = room.taken()[0].sequence;
    room.nack(2, slot_ssrc(2, "sv"), &[after]);
    assert_eq!(room.taken().len(), 1, "what the new path loses is sent again");
}

#[test]
fn what_a_publisher_lost_on_an_old_path_is_not_asked_for() {
    let (mut room, mut one) = pair();
    room.frame(&mut one, false, 1);
    one.sequence += 40;
    room.wait(2_000);
    room.keyframe_requests(1);
    room.router.handle_path_changed(room.now, TransportKey(1), &mut room.out);
    assert_eq!(room.keyframe_requests(1).len(), 1);
    room.frame(&mut one, false, 1);
    room.wait(100);
    assert!(asked(&mut room).is_empty(), "seconds old");
    let lost = one.sequence;
    one.sequence += 1;
    room.frame(&mut one, true, 1);
    room.wait(10);
    assert_eq!(asked(&mut room), [lost], "what the new path loses is");
}

#[test]
fn a_gap_is_asked_for_and_its_repair_goes_to_its_place() {
    let (mut room, mut one) = pair();
    room.frame(&mut one, false, 2);
    let lost = (one.sequence, one.vp8(false, true), one.timestamp);
    one.sequence += 1;
    room.frame(&mut one, false, 2);
    assert!(asked(&mut room).is_empty(), "it may only be late");
    room.wait(10);
    assert_eq!(asked(&mut room), [lost.0]);
    let before = room.slot(2, "sv");
    let hole =
        before.windows(2).find(|pair| pair[1].sequence == pair[0].sequence + 2).unwrap()[0].sequence + 1;
    room.taken();
    let rtx = Stream { ssrc: 1_003, payload_type: VP8_RTX, sequence: 500, timestamp: lost.2, ..one.clone() };
    let payload = [&lost.0.to_be_bytes()[..], &lost.1].concat();
    room.send(&rtx, true, &payload);
    let repaired = room.slot(2, "sv");
    assert_eq!(repaired.len(), 1);
    assert_eq!(repaired[0].sequence, hole);
    assert_eq!(repaired[0].payload_type, VP8);
    room.taken();
    room.send(&Stream { sequence: 501, ..rtx.clone() }, true, &payload);
    room.send(&Stream { sequence: 502, ..rtx.clone() }, false, &[]);
    assert!(room.taken().is_empty(), "probes repeat old packets");
    room.wait(500);
    assert!(asked(&mut room).is_empty(), "it is there");
    assert_eq!(room.router.counters().rtx_received, 1);
}

#[test]
fn duplicates_and_padding_do_not_reach_subscribers() {
    let (mut room, mut one) = pair();
    room.frame(&mut one, false, 1);
    room.taken();
    let again = Stream { sequence: one.sequence.wrapping_sub(1), ..one.clone() };
    room.send(&again, true, &one.vp8(false, true));
    for _ in 0..3 {
        room.send(&one, false, &[]);
        one.sequence += 1;
    }
    room.frame(&mut one, false, 2);
    let packets = room.slot(2, "sv");
    assert_eq!(packets.len(), 2);
    assert_eq!(packets[1].sequence, packets[0].sequence + 1);
    room.wait(500);
    assert!(asked(&mut room).is_empty(), "padding leaves no gap");
}

#[test]
fn loss_and_round_trips_are_reported() {
    let (mut room, mut one) = pair();
    for _ in 0..100 {
        room.frame(&mut one, false, 1);
        one.sequence += 1;
        room.wait(20);
    }
    let compounds = std::mem::take(&mut room.out.rtcp);
    let blocks =
        compounds.iter().filter(|(to, _)| *to == TransportKey(1)).flat_map(|(_, c)| rtcp::packets(c));
    let reports: Vec<_> = blocks
        .filter_map(|packet| match packet {
            Ok(RtcpPacket::ReceiverReport(report)) => Some(report.blocks().collect::<Vec<_>>()),
            _ => None,
        })
        .filter(|blocks| !blocks.is_empty())
        .collect();
    assert!((2..=4).contains(&reports.len()), "{} in 2 s", reports.len());
    let last = reports.last().unwrap()[0];
    assert_eq!(last.ssrc.0, one.ssrc);
    assert!((120..=136).contains(&last.fraction_lost), "half was lost: {}", last.fraction_lost);
}

/// Whatever the publishers' paths do, each slot's stream stays one stream.
#[test]
fn random_loss_reordering_duplication_and_switches() {
    for seed in 0..20 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut room = Harness::new();
        let publishers = 3;
        for who in 1..=publishers {
            room.join(who, &[publish("v", Source::Camera)]);
        }
        room.join(9, &[slot("sv", Source::Camera)]);
        let mut streams: Vec<Stream> = (1..=publishers).map(Stream::video).collect();
        streams.iter_mut().for_each(|stream| stream.sequence = stream.sequence.wrapping_sub(200));
        let mut late: Vec<(u64, usize, Vec<u8>)> = Vec::new();
        for step in 0..600u64 {
            for (index, stream) in streams.iter_mut().enumerate() {
                let keyframe = rng.random_bool(0.1);
                let packets = rng.random_range(1..4);
                for at in 0..packets {
                    let packet = stream.packet(at + 1 == packets, &stream.vp8(keyframe, at == 0));
                    stream.sequence = stream.sequence.wrapping_add(1);
                    match rng.random_range(0..100) {
                        0..3 => {}
                        3..8 => late.push((step + rng.random_range(1..4), index, packet)),
                        8..12 => {
                            late.push((step + rng.random_range(0..9), index, packet.clone()));
                            room.router.handle_rtp(room.now, stream.from, &packet, &mut room.out);
                        }
                        _ => room.router.handle_rtp(room.now, stream.from, &packet, &mut room.out),
                    }
                }
                stream.next_frame();
            }
            let (due, rest) = late.into_iter().partition(|(at, ..)| *at <= step);
            late = rest;
            for (_, index, packet) in due {
                room.router.handle_rtp(room.now, streams[index].from, &packet, &mut room.out);
            }
            if rng.random_bool(0.05) {
                let shown = rng.random_range(1..=publishers);
                room.show(9, "sv", shown, Source::Camera);
            }
            room.wait(33);
        }
        let mut packets = room.slot(9, "sv");
        assert!(packets.len() > 500, "seed {seed}");
        packets.sort_by_key(|packet| packet.sequence);
        let span = packets.last().unwrap().sequence - packets[0].sequence + 1;
        assert!(span as usize <= packets.len() * 110 / 100, "seed {seed}: {span} for {}", packets.len());
        for two in packets.windows(2) {
            let (a, b) = (&two[0], &two[1]);
            let ahead = b.timestamp.wrapping_sub(a.timestamp) as i32;
            assert!(ahead >= 0, "seed {seed}: time goes back by {ahead}");
            assert!(ahead < 90_000 * 10, "seed {seed}");
            let (pa, pb) = (picture(a), picture(b));
            let pictures = pb.0.wrapping_sub(pa.0) & 0x7fff;
            assert_eq!(pictures == 0, ahead == 0, "seed {seed}: a picture has one timestamp");
            assert!(pictures < 200, "seed {seed}: picture ids {pa:?} {pb:?}");
            assert_eq!(pb.1.wrapping_sub(pa.1), pictures as u8, "seed {seed}");
            // The publisher's number is in the payload.
            assert_eq!(a.csrc, Some(u32::from(*a.payload.last().unwrap())));
        }
        let changes = packets.windows(2).filter(|two| two[0].csrc != two[1].csrc).count() as u64;
        assert!(changes > 3 && changes < room.router.counters().slot_switched + 1);
    }
}
