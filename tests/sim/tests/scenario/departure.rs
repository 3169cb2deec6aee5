//! A publisher that leaves is gone at once; one that dies is gone after 15 s.

use std::time::Duration;

use patchbay_protocol::node::NodeEvent;
use patchbay_protocol::{Mid, SlotPause, Source, TransportState};
use patchbay_sim::{World, for_seeds};

use crate::common::{ROOM, delay, everyone_sees_everyone, ms, of, publisher, s};

#[test]
fn a_dead_publisher_is_found_and_its_slots_are_emptied() {
    for_seeds("dead publisher", 4, |seed| {
        let mut world = World::new(seed);
        world.set_default_path(delay(20), delay(20));
        let all = everyone_sees_everyone(&mut world, 3);
        world.run_for(s(5));
        let transport = world.client(all[2]).transport;
        let died = world.elapsed();
        world.kill(all[2]);
        world.run_for(s(20));
        let found = world.events.iter().find_map(|(at, event)| match event {
            NodeEvent::Transport { transport: failed, state: TransportState::Failed { reason } } => {
                (*failed == transport).then(|| (*at - died, reason.clone()))
            }
            _ => None,
        });
        let (after, reason) = found.unwrap_or_else(|| panic!("not found within 20 s"));
        assert!((s(14)..s(17)).contains(&after), "found after {after:?}: {reason}");
        for me in &all[..2] {
            for (mid, state) in &world.client(*me).slot_states {
                let is_of_dead = state.source == of(all[2], Source::Camera)
                    || state.source == of(all[2], Source::Microphone);
                assert_eq!(state.paused == Some(SlotPause::NoSource), is_of_dead, "{me} {mid}: {state:?}");
                assert_eq!(state.track.is_none(), is_of_dead, "{me} {mid}: {state:?}");
            }
        }
        // The others never noticed.
        for me in &all[..2] {
            let alive = world.client(*me).videos().filter(|(_, video)| video.last.is_some());
            alive.for_each(|(mid, video)| assert_eq!(video.stats.freezes, 0, "{me} {mid}"));
        }
        assert_eq!(world.counter("transports"), 2);
        world.assert_sound();
    });
}

#[test]
fn one_that_leaves_is_gone_at_once_and_may_come_back() {
    for_seeds("leave and rejoin", 4, |seed| {
        let mut world = World::new(seed);
        world.set_default_path(delay(20), delay(20));
        let all = everyone_sees_everyone(&mut world, 2);
        world.run_for(s(3));
        let mid = Mid::from("v0");
        for _ in 0..5 {
            let publishers: Vec<_> =
                world.clients().map(|client| client.number).filter(|it| *it != all[0]).collect();
            let left = world.elapsed();
            publishers.into_iter().for_each(|who| world.leave(who));
            let state = world.client(all[0]).slot_states[&mid];
            assert_eq!(
                (state.track, state.paused),
                (None, Some(SlotPause::NoSource)),
                "the slot is empty at once"
            );
            assert_eq!(world.elapsed() - left, Duration::ZERO);
            assert_eq!((world.counter("transports"), world.counter("paths")), (1, 1));

            let again = world.join(ROOM, &publisher());
            world.set_slot(all[0], "v0", of(again, Source::Camera));
            let joined = world.elapsed();
            let is_shown = world.run_until(s(2), |world| {
                world.client(all[0]).video("v0").last.is_some_and(|(_, whom)| whom == again.0)
            });
            let took = world.elapsed() - joined;
            assert!(is_shown && took < ms(700), "first picture of who came back after {took:?}");
            world.run_for(s(1));
            world.assert_sound();
        }
    });
}

#[test]
fn a_room_ends_with_its_last_participant() {
    for_seeds("empty room", 2, |seed| {
        let mut world = World::new(seed);
        let all = everyone_sees_everyone(&mut world, 3);
        world.run_for(s(1));
        all.into_iter().for_each(|who| world.leave(who));
        for gauge in ["transports", "paths", "rooms"] {
            assert_eq!(world.counter(gauge), 0, "{gauge}");
        }
        world.run_for(s(60));
        world.assert_sound();
    });
}
