//! A slot's source is switched a hundred times: no broken picture, and each new one soon.

use patchbay_protocol::Source;
use patchbay_sim::{Condition, Plan, World, figure, for_seeds, median};
use rand::Rng;

use crate::common::{ROOM, delay, ms, of, publisher, s};

/// Switches among five publishers at random moments; returns the times to the first picture, in milliseconds.
fn switch_a_hundred_times(seed: u64, path: Condition, patience_ms: u64) -> Vec<f64> {
    let mut world = World::new(seed);
    world.set_default_path(path, path);
    let publishers: Vec<_> = (0..5).map(|_| world.join(ROOM, &publisher())).collect();
    let plan = Plan {
        audio_slots: vec![of(publishers[0], Source::Microphone)],
        video_slots: vec![of(publishers[0], Source::Camera)],
        ..Plan::default()
    };
    let viewer = world.join(ROOM, &plan);
    let shows = |world: &World, whom| world.client(viewer).video("v0").last.is_some_and(|it| it.1 == whom);
    assert!(world.run_until(s(5), |world| shows(world, publishers[0].0)), "no first picture");
    let mut shown = 0;
    (0..100)
        .map(|_| {
            let pause = world.rng.random_range(50..400);
            world.run_for(ms(pause));
            shown = (shown + world.rng.random_range(1..5)) % 5;
            let whom = publishers[shown];
            world.set_slot(viewer, "v0", of(whom, Source::Camera));
            world.set_slot(viewer, "a0", of(whom, Source::Microphone));
            let asked = world.elapsed();
            let is_shown = world.run_until(ms(patience_ms), |world| shows(world, whom.0));
            assert!(is_shown, "{whom} not shown {patience_ms} ms after a switch: {:?}", world.counters());
            world.assert_sound();
            let took = world.elapsed() - asked;
            // The sound has followed by now, or will within a few packets.
            let is_heard = world.run_until(ms(100 + patience_ms / 2), |world| {
                let heard = world.client(viewer).audio("a0").heard.get(&whom.0);
                heard.is_some_and(|(at, _)| world.now() - *at < ms(100))
            });
            assert!(is_heard, "{whom} is seen but not heard");
            took.as_secs_f64() * 1_000.0
        })
        .collect()
}

#[test]
fn a_hundred_switches_at_fifty_milliseconds_round_trip() {
    let times = for_seeds("switching", 3, |seed| switch_a_hundred_times(seed, delay(25), 1_000));
    let all: Vec<_> = times.into_iter().flatten().collect();
    let worst = all.iter().copied().fold(0.0, f64::max);
    figure("sim_switch_median_ms", median(all), "ms");
    figure("sim_switch_worst_ms", worst, "ms");
}

#[test]
fn a_hundred_switches_on_a_lossy_path() {
    let lossy = Condition {
        loss: 0.05,
        duplicate: 0.02,
        delay: ms(25),
        jitter: ms(10),
        reorder: 0.02,
        ..Condition::default()
    };
    let times = for_seeds("lossy switching", 2, |seed| switch_a_hundred_times(seed, lossy, 4_000));
    figure("sim_switch_loss5_median_ms", median(times.into_iter().flatten().collect()), "ms");
}
