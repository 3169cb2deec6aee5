//! A path too narrow for what should flow: nothing breaks, and it heals when the path does.

use patchbay_sim::{Condition, World, for_seeds};

use crate::common::{delay, everyone_sees_everyone, ms, s};

fn narrow(kilobits: u64) -> Condition {
    Condition { rate_bps: Some(kilobits * 1_000), queue: ms(200), ..delay(25) }
}

#[test]
fn a_narrow_downlink_harms_nobody_else_and_heals() {
    for_seeds("narrow downlink", 3, |seed| {
        let mut world = World::new(seed);
        world.set_default_path(delay(25), delay(25));
        let all = everyone_sees_everyone(&mut world, 3);
        world.run_for(s(3));
        let squeezed = all[0];
        world.set_path(squeezed, delay(25), narrow(300));
        let before = world.counter("rtx_sent");
        let forwarded = world.counter("rtp_forwarded");
        world.run_for(s(15));
        // Retransmissions must not make it worse without end.
        let (again, forwarded) =
            (world.counter("rtx_sent") - before, world.counter("rtp_forwarded") - forwarded);
        assert!(again < 2 * forwarded, "{again} retransmissions of {forwarded} packets");
        for client in world.clients().filter(|client| client.number != squeezed) {
            for (mid, video) in client.videos() {
                assert_eq!(video.stats.freezes, 0, "{} {mid}: {:?}", client.number, video.stats);
            }
        }
        world.set_path(squeezed, delay(25), delay(25));
        world.run_for(s(5));
        let before: Vec<_> = world.client(squeezed).videos().map(|(_, video)| video.stats).collect();
        world.run_for(s(10));
        for ((mid, video), before) in world.client(squeezed).videos().zip(before) {
            assert_eq!(video.stats.freezes, before.freezes, "{mid} freezes on after the path has healed");
            assert!(video.stats.decoded - before.decoded > 290, "{mid}: {before:?}, then {:?}", video.stats);
        }
        assert_eq!(world.counter("dropped_queue_full"), 0);
        assert_eq!(world.counter("transports"), 3);
        world.assert_sound();
    });
}

#[test]
fn a_narrow_uplink_is_the_publishers_own_trouble() {
    for_seeds("narrow uplink", 3, |seed| {
        let mut world = World::new(seed);
        world.set_default_path(delay(25), delay(25));
        let all = everyone_sees_everyone(&mut world, 3);
        world.run_for(s(3));
        let squeezed = all[0];
        world.set_path(squeezed, narrow(300), delay(25));
        world.run_for(s(15));
        for client in world.clients() {
            for (mid, video) in client.videos().filter(|(_, video)| video.shown[0].1 != squeezed.0) {
                assert_eq!(video.stats.freezes, 0, "{} {mid}: {:?}", client.number, video.stats);
            }
        }
        world.set_path(squeezed, delay(25), delay(25));
        world.run_for(s(5));
        let freezes = |world: &World| {
            world.clients().flat_map(|it| it.videos()).map(|(_, it)| it.stats.freezes).sum::<u64>()
        };
        let before = freezes(&world);
        world.run_for(s(10));
        assert_eq!(freezes(&world), before, "freezes go on after the path has healed");
        world.assert_sound();
    });
}

#[test]
fn a_path_that_is_down_for_five_seconds_comes_back() {
    for_seeds("outage", 3, |seed| {
        let mut world = World::new(seed);
        world.set_default_path(delay(25), delay(25));
        let all = everyone_sees_everyone(&mut world, 3);
        world.run_for(s(3));
        let down = Condition { is_down: true, ..Condition::default() };
        world.set_path(all[0], down, down);
        world.run_for(s(5));
        world.set_path(all[0], delay(25), delay(25));
        let healed = world.now();
        let is_back = world.run_until(s(5), |world| {
            let videos = world.clients().flat_map(|client| client.videos());
            videos.map(|(_, video)| video.last).all(|last| last.is_some_and(|(at, _)| at > healed))
        });
        assert!(is_back, "a picture is missing 5 s after the path came back");
        let took = world.now() - healed;
        assert!(took < ms(1_500), "the last picture came back after {took:?}");
        world.run_for(s(5));
        world.assert_sound();
    });
}
