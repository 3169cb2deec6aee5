//! ICE restarts: a client whose address changes in mid-call keeps its tracks and slots.

use std::time::Duration;

use patchbay_protocol::ParticipantNumber;
use patchbay_sim::{World, figure, for_seeds, median};

use crate::common::{delay, everyone_sees_everyone, ms, s};

/// The longest time without a picture in any slot that has to do with a participant.
fn gap_of(world: &World, who: ParticipantNumber) -> Duration {
    let gaps = world.clients().flat_map(|client| {
        let is_own = client.number == who;
        client.videos().filter_map(move |(_, video)| {
            (is_own || video.shown.iter().any(|(_, whom)| *whom == who.0))
                .then_some(video.stats.longest_freeze)
        })
    });
    gaps.max().unwrap_or_default()
}

#[test]
fn a_moved_client_goes_on_with_the_same_tracks() {
    let gaps = for_seeds("moved client", 5, |seed| {
        let mut world = World::new(seed);
        world.set_default_path(delay(25), delay(25));
        let all = everyone_sees_everyone(&mut world, 3);
        world.run_for(s(5));
        world.assert_sound();
        let moved = all[0];
        let states: Vec<_> = world.clients().map(|client| client.slot_states.clone()).collect();
        let (asked, (_, keyframes)) =
            (world.counter("keyframe_request_sent"), world.client(moved).frames_sent());
        // The old address is dead for 200 ms before the client has noticed and signaling has carried its offer.
        world.lose_address(moved);
        world.run_for(ms(200));
        world.restart_ice(moved, false);
        world.run_for(s(2));
        assert!(world.counter("keyframe_request_sent") > asked, "no keyframe was asked for");
        assert!(
            world.client(moved).frames_sent().1 > keyframes,
            "the moved client was asked for no keyframe"
        );
        for client in world.clients() {
            for (mid, video) in client.videos() {
                let gap = video.gap(world.now());
                assert!(
                    gap.is_some_and(|gap| gap < ms(200)),
                    "{} {mid} stands still: {gap:?}",
                    client.number
                );
            }
            for (mid, audio) in client.audios() {
                let is_heard = audio.heard.values().any(|(at, _)| world.now() - *at < ms(100));
                assert!(is_heard, "{} {mid} is silent", client.number);
            }
        }
        let after: Vec<_> = world.clients().map(|client| client.slot_states.clone()).collect();
        assert_eq!(states, after, "slots changed by a restart");
        world.run_for(s(60));
        world.assert_sound();
        assert_eq!(world.counter("paths"), 3, "the old path is forgotten");
        gap_of(&world, moved).as_secs_f64() * 1_000.0
    });
    let worst = gaps.iter().copied().fold(0.0, f64::max);
    assert!(worst < 1_000.0, "no picture for {worst} ms");
    figure("sim_restart_gap_median_ms", median(gaps), "ms");
    figure("sim_restart_gap_worst_ms", worst, "ms");
}

#[test]
fn a_restart_in_place_interrupts_nothing() {
    for_seeds("restart in place", 4, |seed| {
        let mut world = World::new(seed);
        world.set_default_path(delay(25), delay(25));
        let all = everyone_sees_everyone(&mut world, 3);
        world.run_for(s(3));
        for round in 0..6 {
            world.restart_ice(all[round % 3], false);
            let pause = if round % 2 == 0 { ms(10) } else { s(2) };
            world.run_for(pause);
        }
        world.run_for(s(20));
        for (mid, video) in world.clients().flat_map(|client| client.videos()) {
            assert_eq!(video.stats.freezes, 0, "{mid}: {:?}", video.stats);
        }
        assert_eq!(world.counter("paths"), 3);
        world.assert_sound();
    });
}

#[test]
fn a_nat_that_forgets_costs_one_interval_of_checks() {
    let gaps = for_seeds("rebinding", 5, |seed| {
        let mut world = World::new(seed);
        world.set_default_path(delay(25), delay(25));
        let all = everyone_sees_everyone(&mut world, 3);
        world.run_for(s(5));
        world.assert_sound();
        let moved = all[0];
        let asked = world.counter("keyframe_request_sent");
        world.rebind(moved);
        world.run_for(s(4));
        assert!(world.counter("keyframe_request_sent") > asked, "no keyframe was asked for");
        for client in world.clients() {
            for (mid, video) in client.videos() {
                let gap = video.gap(world.now());
                assert!(
                    gap.is_some_and(|gap| gap < ms(200)),
                    "{} {mid} stands still: {gap:?}",
                    client.number
                );
            }
        }
        world.run_for(s(60));
        assert_eq!(world.counter("paths"), 3, "the old path is forgotten");
        gap_of(&world, moved).as_secs_f64() * 1_000.0
    });
    let worst = gaps.iter().copied().fold(0.0, f64::max);
    // The agent of the peer looks after its path every 2.5 s, and what it says then takes a round trip and a keyframe.
    assert!(worst < 3_000.0, "no picture for {worst} ms");
    figure("sim_rebinding_gap_median_ms", median(gaps), "ms");
    figure("sim_rebinding_gap_worst_ms", worst, "ms");
}
