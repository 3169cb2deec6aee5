//! 5 % random loss each way, 50 ms there and back, jitter, reordering and duplicates: the picture goes on.

use patchbay_protocol::{ParticipantNumber, Source};
use patchbay_sim::{Condition, VideoStats, World, figure, for_seeds};

use crate::common::{everyone_sees_everyone, ms, s};

/// What happened in a third of a minute, over all slots.
#[derive(Debug, Clone, Copy, Default)]
struct Third {
    sent: u64,
    decoded: u64,
    freezes: u64,
}

#[test]
fn video_goes_on_at_five_percent_loss_each_way() {
    let lossy = Condition {
        loss: 0.05,
        duplicate: 0.01,
        delay: ms(25),
        jitter: ms(8),
        reorder: 0.02,
        ..Condition::default()
    };
    let runs = for_seeds("5 % loss", 4, |seed| {
        let mut world = World::new(seed);
        world.set_default_path(lossy, lossy);
        let numbers = everyone_sees_everyone(&mut world, 3);
        world.run_for(s(2));
        let total = |world: &World| {
            let slots = world.clients().flat_map(|client| client.videos().map(|(_, video)| video.stats));
            let sum = slots.fold(VideoStats::default(), |sum, slot| VideoStats {
                decoded: sum.decoded + slot.decoded,
                freezes: sum.freezes + slot.freezes,
                ..sum
            });
            // Everybody's frames go to two others.
            let sent = world.clients().map(|client| u64::from(client.frames_sent().0) * 2).sum::<u64>();
            Third { sent, decoded: sum.decoded, freezes: sum.freezes }
        };
        let mut before = total(&world);
        let thirds: Vec<_> = (0..3)
            .map(|_| {
                world.run_for(s(20));
                let now = total(&world);
                let third = Third {
                    sent: now.sent - before.sent,
                    decoded: now.decoded - before.decoded,
                    freezes: now.freezes - before.freezes,
                };
                before = now;
                third
            })
            .collect();
        world.assert_sound();
        for third in &thirds {
            let ratio = third.decoded as f64 / third.sent as f64;
            assert!(ratio > 0.97, "{ratio:.3} of all frames decoded: {thirds:?} {:?}", world.counters());
        }
        // Six slots, 20 s each: at most a freeze in a slot now and then, and not more of them as time goes on.
        assert!(thirds[2].freezes <= thirds[0].freezes + 3, "freezes grow: {thirds:?}");
        for name in ["nack_sent", "rtx_received", "nack_received", "rtx_sent"] {
            assert!(world.counter(name) > 500, "{name}: {:?}", world.counters());
        }
        // What is under way arrives; then every frame since the first one shown should have been.
        for who in &numbers {
            world.set_sending(*who, Source::Camera, false);
        }
        world.run_for(s(1));
        let (mut expected, mut decoded) = (0.0, 0.0);
        for (mid, video) in world.clients().flat_map(|client| client.videos()) {
            let publisher = video.shown.first().map(|(_, publisher)| ParticipantNumber(*publisher));
            let first = publisher.zip(video.first);
            let (publisher, first) = first.unwrap_or_else(|| panic!("{mid} never showed anything"));
            expected += f64::from(world.client(publisher).frames_sent().0 - first + 1);
            decoded += video.stats.decoded as f64;
        }
        let sum = |pick: fn(&Third) -> u64| thirds.iter().map(pick).sum::<u64>() as f64;
        let lost =
            world.clients().flat_map(|it| it.audios()).map(|(_, audio)| audio.lost()).sum::<u64>() as f64;
        let heard =
            world.clients().flat_map(|it| it.audios()).map(|(_, audio)| audio.packets).sum::<u64>() as f64;
        (decoded / expected, sum(|it| it.freezes), heard / (heard + lost))
    });
    let count = runs.len() as f64;
    figure("sim_loss5_decoded_ratio", runs.iter().map(|run| run.0).sum::<f64>() / count, "ratio");
    figure(
        "sim_loss5_freezes",
        runs.iter().map(|run| run.1).sum::<f64>() / count / 6.0,
        "per_slot_and_minute",
    );
    figure("sim_loss5_audio_ratio", runs.iter().map(|run| run.2).sum::<f64>() / count, "ratio");
}
