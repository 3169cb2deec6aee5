//! Data channels: a label is a topic, and reliability is what the opener asked for.

use patchbay_protocol::{ChannelDeclaration, ParticipantNumber};
use patchbay_sim::{ChannelKey, Condition, Plan, Reliability, World, for_seeds};
use rand::Rng;

use crate::common::{ROOM, delay, ms, s};

fn room_with_data(world: &mut World, count: u32) -> Vec<ParticipantNumber> {
    let plan = Plan { has_data: true, ..Plan::default() };
    let all: Vec<_> = (0..count).map(|_| world.join(ROOM, &plan)).collect();
    assert!(world.run_until(s(10), |world| world.clients().all(|client| client.connected.is_some())));
    all
}

fn open(
    world: &mut World,
    who: &[ParticipantNumber],
    label: &str,
    is_ordered: bool,
    how: Reliability,
) -> Vec<ChannelKey> {
    let channels: Vec<_> = who.iter().map(|who| world.open_channel(*who, label, is_ordered, how)).collect();
    let is_open = world.run_until(s(20), |world| {
        who.iter().zip(&channels).all(|(who, channel)| world.client(*who).channels.contains(channel))
    });
    assert!(is_open, "{label} is not open");
    // The last acknowledgement may say that a channel is open before its opener's request for it was seen.
    world.run_for(s(1));
    channels
}

/// A message that names its sender and number, of some length.
fn message(sender: ParticipantNumber, number: u32, bytes: usize) -> Vec<u8> {
    let mut message = [sender.0.to_be_bytes(), number.to_be_bytes()].concat();
    message.resize(bytes.max(8), (number & 0xff) as u8);
    message
}

/// Sender and number of each message on a channel.
fn received(world: &World, who: ParticipantNumber, channel: ChannelKey) -> Vec<(u32, u32)> {
    let messages = world.client(who).messages.iter().filter(|(on, _)| *on == channel);
    messages
        .map(|(_, payload)| {
            let word = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
            assert!(
                payload[8..].iter().all(|byte| u32::from(*byte) == word(4) & 0xff),
                "a message was damaged"
            );
            (word(0), word(4))
        })
        .collect()
}

const LOSSY: Condition = Condition {
    loss: 0.05,
    duplicate: 0.01,
    delay: ms(25),
    jitter: ms(5),
    reorder: 0.02,
    rate_bps: None,
    queue: ms(0),
    is_down: false,
};

#[test]
fn reliable_messages_arrive_in_order_and_completely_under_loss() {
    for_seeds("reliable data", 4, |seed| {
        let mut world = World::new(seed);
        world.set_default_path(LOSSY, LOSSY);
        let all = room_with_data(&mut world, 3);
        let chat = open(&mut world, &all, "chat", true, Reliability::Reliable);
        let other = open(&mut world, &all[..2], "other", true, Reliability::Reliable);
        let count = 150;
        for number in 0..count {
            for (who, channel) in all.iter().zip(&chat) {
                let bytes = if number % 10 == 0 { 20_000 } else { world.rng.random_range(8..900) };
                assert!(world.send_message(*who, *channel, &message(*who, number, bytes)), "no room");
            }
            world.run_for(ms(20));
        }
        let is_complete = world.run_until(s(60), |world| {
            all.iter().all(|who| world.client(*who).messages.len() == 2 * count as usize)
        });
        for (who, channel) in all.iter().zip(&chat) {
            let received = received(&world, *who, *channel);
            for sender in &all {
                let of_sender: Vec<_> =
                    received.iter().filter(|it| it.0 == sender.0).map(|it| it.1).collect();
                let expected = if sender == who { 0 } else { count };
                let counts = world.counters();
                assert_eq!(of_sender, (0..expected).collect::<Vec<_>>(), "{who} from {sender}, {counts:?}");
            }
        }
        assert!(is_complete);
        assert!(
            all[..2].iter().zip(&other).all(|(who, channel)| received(&world, *who, *channel).is_empty())
        );
        assert_eq!(world.counter("data_dropped"), 0);
        world.assert_sound();
    });
}

#[test]
fn one_message_at_a_time_is_not_held_up() {
    // Each message travels alone, so a lost one is only found by the timers of those who relay it.
    for_seeds("sparse data", 4, |seed| {
        let mut world = World::new(seed);
        world.set_default_path(LOSSY, LOSSY);
        let all = room_with_data(&mut world, 2);
        let chat = open(&mut world, &all, "chat", true, Reliability::Reliable);
        for number in 0..60 {
            assert!(world.send_message(all[0], chat[0], &message(all[0], number, 100)));
            let sent = world.elapsed();
            let has_arrived =
                world.run_until(s(15), |world| world.client(all[1]).messages.len() == number as usize + 1);
            let took = world.elapsed() - sent;
            // RFC 9260 §6.3.1: a timer runs out after 1 s at first, then after twice as long.
            assert!(has_arrived && took < s(8), "message {number} took {took:?}");
            world.run_for(ms(300));
        }
        world.assert_sound();
    });
}

#[test]
fn a_lost_message_is_sent_again_when_its_timer_runs_out() {
    for_seeds("lost message", 2, |seed| {
        let mut world = World::new(seed);
        world.set_default_path(delay(20), delay(20));
        let all = room_with_data(&mut world, 2);
        let chat = open(&mut world, &all, "chat", true, Reliability::Reliable);
        let down = Condition { is_down: true, ..Condition::default() };
        for number in (1..40).step_by(2) {
            // One that gets through lets the round trip be measured, which ends the back-off of the last time-out.
            assert!(world.send_message(all[0], chat[0], &message(all[0], number - 1, 100)));
            world.run_for(ms(500));
            // What relays it loses it, and has nothing else to do that could remind it.
            world.set_path(all[1], delay(20), down);
            assert!(world.send_message(all[0], chat[0], &message(all[0], number, 100)));
            world.run_for(ms(100));
            world.set_path(all[1], delay(20), delay(20));
            // RFC 9260 §15: the first time-out is 1 s. The one who relays began to count after 20 ms.
            let has_arrived = world
                .run_until(ms(1_000), |world| world.client(all[1]).messages.len() == number as usize + 1);
            assert!(has_arrived, "message {number} was not sent again in time");
            world.run_for(ms(1_337));
        }
        world.assert_sound();
    });
}

#[test]
fn unreliable_messages_are_never_late_twice_or_invented() {
    for_seeds("unreliable data", 4, |seed| {
        let mut world = World::new(seed);
        world.set_default_path(LOSSY, LOSSY);
        let all = room_with_data(&mut world, 2);
        let moves = open(&mut world, &all, "moves", false, Reliability::MaxRetransmits(0));
        let count = 600;
        for number in 0..count {
            assert!(world.send_message(all[0], moves[0], &message(all[0], number, 60)));
            world.run_for(ms(33));
        }
        world.run_for(s(5));
        let numbers: Vec<_> = received(&world, all[1], moves[1]).into_iter().map(|it| it.1).collect();
        let mut unique = numbers.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), numbers.len(), "messages came twice");
        let ratio = numbers.len() as f64 / f64::from(count);
        assert!((0.80..1.0).contains(&ratio), "{ratio} of all messages at about 10 % loss");
        world.assert_sound();
    });
}

#[test]
fn a_slow_receiver_delays_nobody() {
    for_seeds("slow receiver", 2, |seed| {
        let mut world = World::new(seed);
        world.set_default_path(delay(20), delay(20));
        let all = room_with_data(&mut world, 3);
        let chat = open(&mut world, &all, "chat", true, Reliability::Reliable);
        let narrow = Condition { rate_bps: Some(64_000), queue: ms(200), ..delay(20) };
        world.set_path(all[2], delay(20), narrow);
        let mut slowest = ms(0);
        for number in 0..200 {
            assert!(world.send_message(all[0], chat[0], &message(all[0], number, 1_000)));
            let sent = world.elapsed();
            let done =
                world.run_until(s(5), |world| world.client(all[1]).messages.len() == number as usize + 1);
            assert!(done, "message {number} did not arrive");
            slowest = slowest.max(world.elapsed() - sent);
        }
        assert!(slowest < ms(200), "a message took {slowest:?} because somebody else is slow");
        world.set_path(all[2], delay(20), delay(20));
        assert!(
            world.run_until(s(60), |world| world.client(all[2]).messages.len() == 200),
            "the slow one lacks some"
        );
        world.assert_sound();
    });
}

#[test]
fn a_channel_negotiated_out_of_band_is_on_the_topic_of_its_label() {
    for_seeds("declared channels", 4, |seed| {
        let mut world = World::new(seed);
        world.set_default_path(LOSSY, LOSSY);
        let all = room_with_data(&mut world, 3);
        let in_band = open(&mut world, &all[..1], "game", true, Reliability::Reliable)[0];
        let declaration = |id| ChannelDeclaration {
            id,
            label: "game".to_owned(),
            protocol: String::new(),
            ordered: true,
            max_retransmits: None,
            max_lifetime_ms: None,
        };
        let channels: Vec<_> = all[1..]
            .iter()
            .zip([100, 1001])
            .map(|(who, id)| world.declare_channel(*who, declaration(id)))
            .collect();
        world.run_for(s(5));
        let channels = [in_band, channels[0], channels[1]];
        for number in 0..30 {
            for (who, channel) in all.iter().zip(channels) {
                assert!(world.send_message(*who, channel, &message(*who, number, 100)));
            }
            world.run_for(ms(20));
        }
        let is_complete =
            world.run_until(s(60), |world| all.iter().all(|who| world.client(*who).messages.len() == 60));
        assert!(is_complete);
        // Another offer says the same again, and nothing changes.
        all.iter().for_each(|who| world.renegotiate(*who));
        assert!(world.send_message(all[2], channels[2], &message(all[2], 30, 100)));
        assert!(world.run_until(s(20), |world| world.client(all[0]).messages.len() == 61));
        world.assert_sound();
    });
}
