//! Slots and their sources.

use patchbay_protocol::{ParticipantNumber, SlotPause, SlotSource, Source, TrackId};
use patchbay_sfu_core::TransportKey;
use patchbay_wire::rtcp::{self, RtcpPacket};

use crate::fixture::*;

/// Participants 1 and 2 publish; 3 has a slot of each kind.
fn three() -> (Harness, Stream, Stream) {
    let mut room = Harness::new();
    for who in [1, 2] {
        room.join(who, &[publish("a", Source::Microphone), publish("v", Source::Camera)]);
    }
    room.join(3, &[slot("sa", Source::Microphone), slot("sv", Source::Camera)]);
    (room, Stream::video(1), Stream::video(2))
}

fn assert_continuous(packets: &[Rtp]) {
    for pair in packets.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence + 1);
        let ahead = pair[1].timestamp.wrapping_sub(pair[0].timestamp) as i32;
        assert!((0..90_000).contains(&ahead), "timestamps {ahead} apart");
        let same_frame = pair[1].timestamp == pair[0].timestamp;
        let (before, after) = (picture(&pair[0]), picture(&pair[1]));
        assert_eq!(after.0, before.0 + u16::from(!same_frame), "picture ids");
        assert_eq!(after.1, before.1.wrapping_add(u8::from(!same_frame)), "TL0PICIDX");
    }
}

#[test]
fn a_switch_waits_for_the_keyframe_and_continues_every_number() {
    let (mut room, mut one, mut two) = three();
    room.frame(&mut one, true, 3);
    room.frame(&mut two, true, 3);
    assert!(room.taken().is_empty(), "no slot has a source");

    room.show(3, "sv", 1, Source::Camera);
    assert_eq!(room.keyframe_requests(1), [one.ssrc], "a new subscriber asks at once");
    let state = room.state();
    assert_eq!((state.participant, state.paused), (Some(ParticipantNumber(1)), None));
    room.frame(&mut one, false, 2);
    assert!(room.slot(3, "sv").is_empty(), "nothing can be decoded yet");
    for keyframe in [true, false, false] {
        room.frame(&mut one, keyframe, 3);
        room.wait(33);
    }

    room.show(3, "sv", 2, Source::Camera);
    assert_eq!(room.keyframe_requests(2), [two.ssrc]);
    assert_eq!(room.state().participant, Some(ParticipantNumber(2)));
    room.frame(&mut two, false, 2);
    room.frame(&mut one, false, 2);
    room.wait(33);
    assert_eq!(room.slot(3, "sv").len(), 11, "the old source goes on");
    room.out.rtcp.clear();
    room.frame(&mut two, true, 4);
    let has_report = room.out.rtcp.iter().any(|(to, compound)| {
        let first = rtcp::packets(compound).next();
        *to == TransportKey(3) && matches!(first, Some(Ok(RtcpPacket::SenderReport(_))))
    });
    assert!(has_report, "a sender report goes with the switch");
    room.frame(&mut one, false, 2);
    room.wait(33);
    room.frame(&mut two, false, 2);

    let packets = room.slot(3, "sv");
    assert_eq!(packets.len(), 11 + 4 + 2);
    assert_continuous(&packets);
    assert!(packets[0].sequence < 1 << 15, "the first roll-over");
    assert!(packets[..11].iter().all(|packet| packet.csrc == Some(1)));
    assert!(packets[11..].iter().all(|packet| packet.csrc == Some(2)));
    assert!(packets.iter().all(|packet| packet.extensions.is_empty()), "mid is for publishers");
    assert_eq!(room.router.counters().slot_switched, 2);
}

#[test]
fn a_switch_without_keyframe_asks_again_until_it_comes() {
    let (mut room, mut one, _) = three();
    room.frame(&mut one, false, 1);
    room.show(3, "sv", 1, Source::Camera);
    for _ in 0..10 {
        room.wait(100);
        room.frame(&mut one, false, 1);
    }
    let asked = room.keyframe_requests(1).len();
    assert!((3..=5).contains(&asked), "{asked} in a second");
    room.frame(&mut one, true, 1);
    room.wait(2_000);
    assert!(room.keyframe_requests(1).is_empty());
}

#[test]
fn plis_are_coalesced_and_throttled_and_reach_only_the_shown_publisher() {
    let (mut room, mut one, mut two) = three();
    room.join(4, &[slot("sv", Source::Camera)]);
    room.frame(&mut one, true, 1);
    room.frame(&mut two, true, 1);
    for who in [3, 4] {
        room.show(who, "sv", 1, Source::Camera);
    }
    room.frame(&mut one, true, 1);
    room.keyframe_requests(1);
    let start = room.keyframe_requests(1).len();
    for _ in 0..100 {
        room.pli(3, slot_ssrc(3, "sv"));
        room.pli(4, slot_ssrc(4, "sv"));
        room.pli(4, slot_ssrc(3, "sv"));
        room.frame(&mut one, true, 1);
        room.wait(10);
    }
    let asked = room.keyframe_requests(1).len() - start;
    assert!((1..=3).contains(&asked), "{asked} in a second");
    assert!(room.keyframe_requests(2).is_empty());
}

#[test]
fn sound_switches_at_once_by_whole_packets() {
    let (mut room, _, _) = three();
    let (mut one, mut two) = (Stream::audio(1, Some(40)), Stream::audio(2, Some(40)));
    room.show(3, "sa", 1, Source::Microphone);
    for _ in 0..5 {
        room.speak(&mut one);
        room.wait(20);
    }
    room.show(3, "sa", 2, Source::Microphone);
    room.wait(7);
    for _ in 0..5 {
        room.speak(&mut two);
        room.speak(&mut one);
        room.wait(20);
    }
    let packets = room.slot(3, "sa");
    assert_eq!(packets.len(), 10);
    for pair in packets.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence + 1);
        assert_eq!(pair[1].timestamp.wrapping_sub(pair[0].timestamp), 960);
    }
    assert_eq!(packets[9].csrc, Some(2));
    assert_eq!(packets[9].extensions, [(LEVEL_ID, vec![40])], "the level passes");
}

#[test]
fn muting_pauses_and_unmuting_asks_for_a_keyframe() {
    let (mut room, mut one, _) = three();
    room.frame(&mut one, true, 1);
    room.show(3, "sv", 1, Source::Camera);
    room.frame(&mut one, true, 2);
    room.states();
    let track = room.router.publications(TransportKey(1))[1].track;
    let now = room.now;
    assert!(room.router.set_muted(now, track, true, &mut room.out));
    assert_eq!(room.state().paused, Some(SlotPause::Muted));
    room.taken();
    room.frame(&mut one, true, 2);
    assert!(room.taken().is_empty());
    room.keyframe_requests(1);
    room.wait(700);
    assert!(room.router.set_muted(room.now, track, false, &mut room.out));
    assert_eq!(room.state().paused, None);
    assert_eq!(room.keyframe_requests(1), [one.ssrc]);
    room.frame(&mut one, true, 2);
    assert_eq!(room.slot(3, "sv").len(), 2);
    assert!(!room.router.set_muted(room.now, TrackId(999), true, &mut room.out));
}

#[test]
fn a_source_that_does_not_exist_yet_is_waited_for_and_one_that_leaves_is_told() {
    let (mut room, _, _) = three();
    room.show(3, "sv", 9, Source::Camera);
    let state = room.state();
    assert_eq!((state.participant, state.paused), (None, Some(SlotPause::NoSource)));
    room.join(9, &[publish("v", Source::Camera)]);
    assert_eq!(room.state().participant, Some(ParticipantNumber(9)));
    let mut nine = Stream::video(9);
    room.frame(&mut nine, true, 2);
    assert_eq!(room.slot(3, "sv").len(), 2);
    room.router.detach(room.now, TransportKey(9), &mut room.out);
    let state = room.state();
    assert_eq!((state.participant, state.track, state.paused), (None, None, Some(SlotPause::NoSource)));
    room.frame(&mut nine, true, 2);
    assert_eq!(room.taken().len(), 2);
    room.set(3, "sv", None);
    let state = room.state();
    assert_eq!((state.source, state.paused), (None, None));
}

#[test]
fn a_codec_the_subscriber_lacks_pauses_the_slot() {
    let (mut room, mut one, _) = three();
    let only_h264 = Section { codecs: vec![H264], ..slot("sv", Source::Camera) };
    room.join(4, &[only_h264]);
    room.frame(&mut one, true, 1);
    room.show(4, "sv", 1, Source::Camera);
    let state = room.state();
    assert_eq!((state.participant, state.paused), (Some(ParticipantNumber(1)), Some(SlotPause::Codec)));
    room.frame(&mut one, true, 1);
    assert!(room.slot(4, "sv").is_empty());
    room.wait(300);
    // The publisher changes its codec: now the slot can carry it, under its own payload type.
    one.payload_type = H264;
    let idr = [0x67, 0x42, 0xe0, 0x1f, 1, 2, 3];
    room.send(&one, false, &idr);
    assert_eq!(room.state().paused, None);
    one.sequence += 1;
    room.send(&one, false, &idr);
    let packets = room.slot(4, "sv");
    assert_eq!(packets.len(), 1);
    assert_eq!((packets[0].payload_type, &packets[0].payload[..]), (H264, &idr[..]));
}

#[test]
fn renegotiation_keeps_numbering_sources_and_bindings() {
    let (mut room, mut one, mut two) = three();
    room.frame(&mut one, true, 1);
    room.show(3, "sv", 1, Source::Camera);
    room.frame(&mut one, true, 2);
    room.states();
    let more = [slot("sa", Source::Microphone), slot("sv", Source::Camera), slot("sv2", Source::Camera)];
    let source = Some(SlotSource::Participant { participant: ParticipantNumber(2), source: Source::Camera });
    let added = patchbay_protocol::node::Slot { mid: "sv2".into(), source, group: None };
    room.negotiate(3, &more, &[], &[added]);
    assert_eq!(room.states().len(), 1, "only the new slot has news");
    let publications = room.router.publications(TransportKey(1));
    let sections = [publish("a", Source::Microphone), publish("v", Source::Camera)];
    room.negotiate(1, &sections, &publications, &[]);
    // Browsers no longer send mid by now.
    one.mid = "x";
    room.frame(&mut one, false, 2);
    room.frame(&mut two, true, 1);
    room.frame(&mut two, true, 1);
    assert_continuous(&room.slot(3, "sv"));
    assert_eq!(room.slot(3, "sv").len(), 4);
    assert_eq!(room.slot(3, "sv2").len(), 2);
    assert_eq!(room.router.slots(TransportKey(3)).len(), 3);
}

#[test]
fn a_slot_that_returns_goes_on_with_its_numbers() {
    let (mut room, mut one, _) = three();
    room.frame(&mut one, true, 1);
    room.show(3, "sv", 1, Source::Camera);
    room.frame(&mut one, true, 3);
    room.negotiate(3, &[slot("sa", Source::Microphone)], &[], &[]);
    room.frame(&mut one, true, 1);
    assert_eq!(room.slot(3, "sv").len(), 3);
    room.negotiate(3, &[slot("sa", Source::Microphone), slot("sv", Source::Camera)], &[], &[]);
    room.show(3, "sv", 1, Source::Camera);
    room.frame(&mut one, true, 3);
    let packets = room.slot(3, "sv");
    assert_eq!(packets.len(), 6);
    assert_continuous(&packets);
}

#[test]
fn an_unconnected_subscriber_gets_nothing_and_a_keyframe_is_asked_for_when_it_connects() {
    let (mut room, mut one, _) = three();
    room.frame(&mut one, true, 1);
    let sections = [slot("sv", Source::Camera)];
    room.router.attach(room.now, TransportKey(5), patchbay_protocol::TransportId(5), ParticipantNumber(5));
    let source = Some(SlotSource::Participant { participant: ParticipantNumber(1), source: Source::Camera });
    room.negotiate(
        5,
        &sections,
        &[],
        &[patchbay_protocol::node::Slot { mid: "sv".into(), source, group: None }],
    );
    assert!(room.keyframe_requests(1).is_empty());
    room.frame(&mut one, true, 1);
    assert!(room.taken().is_empty());
    room.router.handle_connected(room.now, TransportKey(5), &mut room.out);
    assert_eq!(room.keyframe_requests(1), [one.ssrc]);
    room.frame(&mut one, true, 1);
    assert_eq!(room.slot(5, "sv").len(), 1);
    room.wait(1_000);
    room.keyframe_requests(1);
    room.router.handle_path_changed(room.now, TransportKey(5), &mut room.out);
    assert_eq!(room.keyframe_requests(1), [one.ssrc]);
    room.frame(&mut one, true, 1);
    room.wait(1_000);
    room.router.handle_path_changed(room.now, TransportKey(1), &mut room.out);
    assert_eq!(room.keyframe_requests(1), [one.ssrc]);
}

#[test]
fn a_publisher_that_starts_over_under_another_ssrc_goes_on_in_the_slot() {
    let (mut room, mut one, _) = three();
    room.frame(&mut one, true, 1);
    room.show(3, "sv", 1, Source::Camera);
    room.frame(&mut one, true, 2);
    room.wait(600);
    let mut again = Stream { ssrc: 77, sequence: 3, timestamp: 12, picture: 9, tl0: 200, ..one.clone() };
    room.frame(&mut again, false, 1);
    assert_eq!(room.keyframe_requests(1).last(), Some(&77));
    room.frame(&mut one, false, 1);
    room.frame(&mut again, true, 2);
    room.frame(&mut again, false, 2);
    let packets = room.slot(3, "sv");
    assert_eq!(packets.len(), 6);
    assert_continuous(&packets);
}

#[test]
fn sound_and_picture_of_one_publisher_are_reported_in_one_clock() {
    let (mut room, mut video, _) = three();
    let mut audio = Stream::audio(1, Some(40));
    room.frame(&mut video, true, 1);
    room.show(3, "sa", 1, Source::Microphone);
    room.show(3, "sv", 1, Source::Camera);
    // The picture takes 80 ms longer through the publisher's encoder than the sound.
    let ntp = |ms: u64| rtcp::NtpTime::from_since_1900(std::time::Duration::from_millis(ms));
    let (audio_base, video_base) = (audio.timestamp, video.timestamp);
    for at in 0..100u64 {
        room.speak(&mut audio);
        if at % 2 == 0 && at >= 4 {
            video.timestamp = video_base.wrapping_add(((at - 4) * 20 * 90) as u32);
            room.frame(&mut video, at == 4, 1);
        }
        if at % 50 == 10 {
            for (stream, base, rate) in [(&audio, audio_base, 48), (&video, video_base, 90)] {
                let info = rtcp::SenderInfo {
                    ntp: ntp(50_000 + at * 20),
                    rtp: patchbay_wire::rtp::RtpTimestamp(base.wrapping_add((at * 20 * rate) as u32)),
                    packet_count: 0,
                    octet_count: 0,
                };
                let ssrc = patchbay_wire::rtp::Ssrc(stream.ssrc);
                room.rtcp(1, |out| rtcp::write_sender_report(ssrc, &info, &[], out));
            }
        }
        room.wait(20);
    }
    // Moments captured together must be reported at the same wall time.
    let report = |mid: &str| {
        let ssrc = slot_ssrc(3, mid);
        let reports = room.out.rtcp.iter().flat_map(|(_, compound)| rtcp::packets(compound));
        let of_slot = reports.filter_map(|packet| match packet {
            Ok(RtcpPacket::SenderReport(report)) if report.sender.0 == ssrc => Some(report.info),
            _ => None,
        });
        of_slot.last().unwrap()
    };
    let (sound, sight) = (room.slot(3, "sa"), room.slot(3, "sv"));
    // Wall time of publisher time zero, in seconds, as a player would compute it.
    let origin = |info: rtcp::SenderInfo, first: &Rtp, first_captured: f64, rate: f64| {
        let ticks = info.rtp.0.wrapping_sub(first.timestamp) as i32;
        info.ntp.since_1900().as_secs_f64() - f64::from(ticks) / rate - first_captured
    };
    let a = origin(report("sa"), &sound[0], 0.0, 48_000.0);
    let v = origin(report("sv"), &sight[0], 0.0, 90_000.0);
    assert!((a - v).abs() < 0.005, "{} ms apart", (a - v) * 1e3);
}

#[test]
fn what_flows_is_told_again_to_one_who_may_have_missed_it() {
    let (mut room, _, _) = three();
    room.show(3, "sv", 1, Source::Camera);
    let told = room.state();
    room.router.retell();
    assert_eq!(room.state(), told);
}
