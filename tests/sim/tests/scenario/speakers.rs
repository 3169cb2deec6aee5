//! Twenty in a room, three voices heard, four faces seen.

use std::time::Duration;

use patchbay_protocol::node::NodeEvent;
use patchbay_protocol::{Mid, ParticipantNumber};
use patchbay_sim::{Plan, VideoPlan, World, for_seeds};
use rand::seq::SliceRandom;

use crate::common::{QUIET, ROOM, delay, ms, s, speaker};

const PEOPLE: u32 = 20;
/// Small pictures: it is about who is shown.
const CAMERA: VideoPlan = VideoPlan { rate: 10, bitrate: 60_000, keyframe_interval: Duration::from_secs(30) };

fn participant() -> Plan {
    Plan {
        microphone: Some(QUIET),
        camera: Some(CAMERA),
        audio_slots: (1..=3).map(speaker).collect(),
        video_slots: (1..=4).map(speaker).collect(),
        has_data: false,
    }
}

/// Whose sound came in the last 200 ms.
fn heard(world: &World, who: ParticipantNumber) -> Vec<ParticipantNumber> {
    let recent = world.client(who).audios().flat_map(|(_, audio)| &audio.heard);
    let mut heard: Vec<_> = recent
        .filter(|(_, (at, _))| world.now() - *at < ms(200))
        .map(|(publisher, _)| ParticipantNumber(*publisher))
        .collect();
    heard.sort_unstable();
    heard
}

/// Whose picture is in each slot.
fn seen(world: &World, who: ParticipantNumber) -> Vec<Option<u32>> {
    world.client(who).videos().map(|(_, video)| video.last.map(|(_, publisher)| publisher)).collect()
}

#[test]
fn everyone_hears_the_three_loudest_and_tiles_keep_their_places() {
    for_seeds("speakers", 2, |seed| {
        let mut world = World::new(seed);
        world.set_default_path(delay(15), delay(15));
        let all: Vec<_> = (0..PEOPLE).map(|_| world.join(ROOM, &participant())).collect();
        world.run_for(s(2));

        for _ in 0..4 {
            // Three speak, clearly apart from the rest; some others murmur below the threshold of speech.
            let mut order = all.clone();
            order.shuffle(&mut world.rng);
            let (speaking, silent) = order.split_at(3);
            for (at, who) in speaking.iter().enumerate() {
                world.set_level(*who, 20 + 5 * at as u8);
            }
            for (at, who) in silent.iter().enumerate() {
                world.set_level(*who, if at % 4 == 0 { 70 } else { QUIET });
            }
            // Whoever spoke before keeps its place through a pause of 600 ms; then the new voices are heard.
            world.run_for(s(2));
            let tiles: Vec<_> = all.iter().map(|me| seen(&world, *me)).collect();
            for me in &all {
                let heard = heard(&world, *me);
                for voice in speaking.iter().filter(|voice| *voice != me) {
                    assert!(heard.contains(voice), "{me} does not hear {voice} but {heard:?}");
                }
                assert!(heard.len() <= 3 && !heard.contains(me), "{me} hears {heard:?}");
                let tiles = seen(&world, *me);
                for face in speaking.iter().filter(|face| *face != me) {
                    assert!(tiles.contains(&Some(face.0)), "{me} does not see {face} but {tiles:?}");
                }
                assert!(!tiles.contains(&Some(me.0)), "{me} sees itself");
            }
            // While the same people speak, nothing moves.
            world.run_for(s(2));
            let after: Vec<_> = all.iter().map(|me| seen(&world, *me)).collect();
            assert_eq!(tiles, after, "tiles moved while the same three spoke");
            world.assert_sound();
        }

        // A newcomer replaces one tile at most, and the others stay where they are.
        let before: Vec<_> = all.iter().map(|me| seen(&world, *me)).collect();
        let newcomer = all[usize::try_from(seed).unwrap_or(0) % all.len()];
        world.set_level(newcomer, 15);
        world.run_for(s(3));
        for (me, before) in all.iter().zip(&before) {
            let after = seen(&world, *me);
            let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
            assert!(moved <= 1, "{me}: {before:?} became {after:?}");
            assert!(
                *me == newcomer || after.contains(&Some(newcomer.0)),
                "{me} does not see the newcomer: {after:?}"
            );
        }
        world.assert_sound();
        assert!(world.events.iter().any(|(_, event)| matches!(event, NodeEvent::Speakers { .. })));
    });
}

#[test]
fn keyframes_are_asked_for_only_when_faces_change() {
    for_seeds("quiet speakers", 1, |seed| {
        let mut world = World::new(seed);
        world.set_default_path(delay(15), delay(15));
        let all: Vec<_> = (0..8).map(|_| world.join(ROOM, &participant())).collect();
        world.set_level(all[0], 20);
        world.run_for(s(3));
        let before = world.counter("keyframe_request_sent");
        // Two take turns, both among everybody's four: no picture has to change.
        for turn in 0..10 {
            world.set_level(all[0], if turn % 2 == 0 { QUIET } else { 20 });
            world.set_level(all[1], if turn % 2 == 0 { 20 } else { QUIET });
            world.run_for(ms(1_500));
        }
        let asked = world.counter("keyframe_request_sent") - before;
        assert!(asked <= 4, "{asked} keyframes asked for while two people took turns");
        let known: Vec<_> = world.client(all[7]).slot_states.keys().map(Mid::as_str).collect();
        assert_eq!(known, ["a0", "a1", "a2", "v0", "v1", "v2", "v3"]);
        world.assert_sound();
    });
}
