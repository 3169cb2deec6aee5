//! Slots that follow speakers.

use std::collections::BTreeSet;

use patchbay_protocol::{ParticipantNumber, SlotPause, Source};
use patchbay_sfu_core::TransportKey;
use patchbay_sfu_core::router::RouterEvent;

use crate::fixture::*;

fn everyone() -> Vec<Section> {
    let mut sections = vec![publish("a", Source::Microphone), publish("v", Source::Camera)];
    sections.extend(["h1", "h2", "h3"].map(|mid| slot(mid, Source::Microphone)));
    sections.extend(["f1", "f2"].map(|mid| slot(mid, Source::Camera)));
    sections
}

/// Everybody publishes, hears three and sees two.
fn room(count: u32) -> (Harness, Vec<Stream>, Vec<Stream>) {
    let mut room = Harness::new();
    for who in 1..=count {
        room.join(who, &everyone());
        for (rank, mid) in ["h1", "h2", "h3"].into_iter().enumerate() {
            room.speaker(who, mid, rank as u8 + 1);
        }
        for (rank, mid) in ["f1", "f2"].into_iter().enumerate() {
            room.speaker(who, mid, rank as u8 + 1);
        }
    }
    let audio = (1..=count).map(|who| Stream::audio(who, Some(127))).collect();
    let video = (1..=count).map(Stream::video).collect();
    (room, audio, video)
}

/// 20 ms packets of everybody for a while; those in `loud` speak.
fn talk(room: &mut Harness, audio: &mut [Stream], video: &mut [Stream], loud: &[(u32, u8)], ms: u64) {
    for at in 0..ms / 20 {
        for stream in audio.iter_mut() {
            let level = loud.iter().find(|(who, _)| *who == stream.from.0).map_or(100, |(_, level)| *level);
            stream.level = stream.level.map(|_| level);
            room.speak(stream);
        }
        if at % 5 == 0 {
            for stream in video.iter_mut() {
                room.frame(stream, true, 1);
            }
        }
        room.wait(20);
    }
}

/// Whose media came to a member in the last stretch, by kind of slot.
fn sources(packets: &[Rtp], who: u32, mids: &[&str]) -> BTreeSet<u32> {
    let ssrcs: Vec<u32> = mids.iter().map(|mid| slot_ssrc(who, mid)).collect();
    packets.iter().filter(|packet| ssrcs.contains(&packet.ssrc)).filter_map(|packet| packet.csrc).collect()
}

#[test]
fn twenty_participants_hear_the_three_loudest_and_never_themselves() {
    let (mut room, mut audio, mut video) = room(20);
    let loud = [(5, 20), (9, 25), (13, 30), (17, 45)];
    talk(&mut room, &mut audio, &mut video, &loud, 3_000);
    room.taken();
    talk(&mut room, &mut audio, &mut video, &loud, 200);
    let packets = room.taken();
    for who in 1..=20 {
        let heard = sources(&packets, who, &["h1", "h2", "h3"]);
        assert!(!heard.contains(&who));
        let expected: BTreeSet<u32> = [5, 9, 13, 17].into_iter().filter(|n| *n != who).take(3).collect();
        assert_eq!(heard, expected, "heard by {who}");
        let seen = sources(&packets, who, &["f1", "f2"]);
        assert_eq!(seen.len(), 2);
        assert!(!seen.contains(&who));
    }
    let speakers = std::iter::from_fn(|| room.router.poll_event()).filter_map(|event| match event {
        RouterEvent::Speakers(speakers) => Some(speakers),
        _ => None,
    });
    assert_eq!(speakers.last().unwrap(), [5, 9, 13, 17].map(ParticipantNumber));
}

#[test]
fn faces_stay_until_a_newcomer_takes_the_stalest() {
    let (mut room, mut audio, mut video) = room(5);
    let show = |room: &Harness, packets: &[Rtp], mid| {
        let _ = room;
        sources(packets, 1, &[mid])
    };
    for speaker in [2, 3, 2, 3, 2] {
        talk(&mut room, &mut audio, &mut video, &[(speaker, 25)], 1_500);
    }
    room.taken();
    room.states();
    talk(&mut room, &mut audio, &mut video, &[(3, 25)], 1_500);
    let packets = room.taken();
    let (first, second) = (show(&room, &packets, "f1"), show(&room, &packets, "f2"));
    assert_eq!((first.len(), second.len()), (1, 1), "nobody moves while the same two speak");
    assert!(room.states().iter().all(|(transport, ..)| *transport != 1));
    talk(&mut room, &mut audio, &mut video, &[(4, 25)], 1_500);
    room.taken();
    talk(&mut room, &mut audio, &mut video, &[(4, 25)], 200);
    let packets = room.taken();
    assert_eq!(sources(&packets, 1, &["f1", "f2"]), [3, 4].into(), "2 was silent longest");
    let moved = [show(&room, &packets, "f1") != first, show(&room, &packets, "f2") != second];
    assert_eq!(moved.iter().filter(|moved| **moved).count(), 1, "only one tile changed");
}

#[test]
fn before_anybody_speaks_places_are_filled_in_join_order() {
    let (mut room, mut audio, mut video) = room(4);
    talk(&mut room, &mut audio, &mut video, &[], 200);
    room.taken();
    talk(&mut room, &mut audio, &mut video, &[], 200);
    let packets = room.taken();
    assert_eq!(sources(&packets, 1, &["f1"]), [2].into());
    assert_eq!(sources(&packets, 4, &["f1", "f2"]), [1, 2].into());
    assert_eq!(sources(&packets, 4, &["h1", "h2", "h3"]), [1, 2, 3].into());
}

#[test]
fn muted_participants_give_way_and_a_leaver_is_replaced() {
    let (mut room, mut audio, mut video) = room(4);
    talk(&mut room, &mut audio, &mut video, &[], 100);
    let camera = room.router.publications(TransportKey(1))[1].track;
    room.router.set_muted(room.now, camera, true, &mut room.out);
    talk(&mut room, &mut audio, &mut video, &[], 200);
    room.taken();
    talk(&mut room, &mut audio, &mut video, &[], 200);
    assert_eq!(sources(&room.taken(), 4, &["f1", "f2"]), [2, 3].into());
    room.router.detach(room.now, TransportKey(3), &mut room.out);
    audio.remove(2);
    video.remove(2);
    room.states();
    room.router.detach(room.now, TransportKey(2), &mut room.out);
    audio.remove(1);
    video.remove(1);
    let states = room.states();
    let empty = states.iter().filter(|(transport, mid, state)| {
        *transport == 4 && mid.starts_with('f') && state.paused == Some(SlotPause::NoSource)
    });
    assert_eq!(empty.count(), 1, "nobody is left to see for 4: {states:?}");
}

#[test]
fn a_publisher_without_levels_is_heard() {
    let mut room = Harness::new();
    let plain = Section { has_level: false, ..publish("a", Source::Microphone) };
    room.join(1, &[publish("a", Source::Microphone)]);
    room.join(2, &[plain]);
    room.join(3, &[slot("h1", Source::Microphone)]);
    room.speaker(3, "h1", 1);
    let mut streams = vec![Stream::audio(1, Some(90)), Stream::audio(2, None)];
    talk(&mut room, &mut streams, &mut [], &[], 500);
    room.taken();
    talk(&mut room, &mut streams, &mut [], &[], 100);
    assert_eq!(sources(&room.taken(), 3, &["h1"]), [2].into());
}

#[test]
fn a_voice_is_heard_within_150_ms() {
    let (mut room, mut audio, mut video) = room(6);
    talk(&mut room, &mut audio, &mut video, &[], 1_000);
    room.taken();
    let start = room.now;
    let mut heard_after = None;
    while heard_after.is_none() && (room.now - start).as_millis() < 1_000 {
        talk(&mut room, &mut audio, &mut [], &[(6, 30)], 20);
        if sources(&room.taken(), 1, &["h1", "h2", "h3"]).contains(&6) {
            heard_after = Some((room.now - start).as_millis());
        }
    }
    assert!(heard_after.is_some_and(|ms| ms <= 150), "{heard_after:?}");
}
