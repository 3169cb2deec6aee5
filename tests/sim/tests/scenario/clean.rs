//! A call on a perfect network is perfect.

use patchbay_sim::{World, for_seeds};

use crate::common::{delay, everyone_sees_everyone, s};

#[test]
fn three_see_and_hear_one_another_without_a_flaw() {
    for_seeds("clean call", 4, |seed| {
        let mut world = World::new(seed);
        world.set_default_path(delay(20), delay(20));
        everyone_sees_everyone(&mut world, 3);
        world.run_for(s(20));
        world.assert_sound();
        for client in world.clients() {
            for (mid, video) in client.videos() {
                assert!(video.stats.decoded >= 585, "{} {mid}: {:?}", client.number, video.stats);
                assert_eq!(video.stats.freezes, 0, "{} {mid}: {:?}", client.number, video.stats);
                assert_eq!(video.stats.keyframe_requests, 0, "{} {mid}: {:?}", client.number, video.stats);
                assert_eq!(video.shown.len(), 1, "one source, shown once");
            }
            for (mid, audio) in client.audios() {
                assert!(audio.packets >= 985, "{} {mid}: {} packets", client.number, audio.packets);
                assert_eq!(audio.lost(), 0);
            }
            let stats = client.stats();
            assert_eq!((stats.nacks_out, stats.nacks_in, stats.resent, stats.dropped), (0, 0, 0, 0));
        }
        for name in ["nack_sent", "nack_received", "rtx_sent", "rtp_given_up", "rtp_duplicate", "rtp_unbound"]
        {
            assert_eq!(world.counter(name), 0, "{name}");
        }
        let dropped: Vec<_> =
            world.counters().into_iter().filter(|(name, _)| name.starts_with("dropped")).collect();
        assert!(dropped.is_empty(), "{dropped:?}");
    });
}
