//! Topics in framed mode, over real transports with everything between: modes, slow receivers, and who has no transport.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use patchbay_frame::{ClientFrame, Publish, ServerFrame, client_frames, server_frames};
use patchbay_protocol::node::{NodeCommand, NodeEvent};
use patchbay_protocol::{ParticipantNumber, TransportId};
use patchbay_sim::{ChannelKey, Condition, Plan, Reliability, World, figure, for_seeds};

use crate::common::{ROOM, delay, ms, s};

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

fn join(world: &mut World, count: u32) -> Vec<ParticipantNumber> {
    let plan = Plan { has_data: true, ..Plan::default() };
    let all: Vec<_> = (0..count).map(|_| world.join(ROOM, &plan)).collect();
    assert!(world.run_until(s(10), |world| world.clients().all(|client| client.connected.is_some())));
    all
}

fn open(world: &mut World, who: ParticipantNumber, protocol: &str, how: Reliability) -> ChannelKey {
    let channel = world.open_topic(who, "game", protocol, how == Reliability::Reliable, how);
    assert!(world.run_until(s(20), |world| world.client(who).channels.contains(&channel)), "not open");
    channel
}

fn publish(world: &mut World, who: ParticipantNumber, channel: ChannelKey, key: &str, payload: &[u8]) {
    let mut message = Vec::new();
    ClientFrame::Publish(Publish { key: Some(key), payload, ..Publish::default() }).write(&mut message);
    assert!(world.send_message(who, channel, &message), "no room");
}

/// When the newest of each sender and key was taken by the server, and what it is, as a receiver knows them.
fn known<'a>(messages: impl Iterator<Item = &'a [u8]>) -> BTreeMap<(u32, String), (u64, Vec<u8>)> {
    let mut known = BTreeMap::new();
    for frame in messages.flat_map(server_frames) {
        if let ServerFrame::Message(message) = frame.unwrap() {
            let name = (message.sender, message.key.unwrap_or_default().to_owned());
            if message.is_tombstone {
                known.remove(&name);
            } else {
                known.insert(name, (message.time, message.payload.to_vec()));
            }
        }
    }
    known
}

fn known_to(world: &World, who: ParticipantNumber) -> BTreeMap<(u32, String), (u64, Vec<u8>)> {
    known(world.client(who).messages.iter().map(|(_, message)| &message[..]))
}

#[test]
fn everybody_ends_with_the_newest_under_loss() {
    for_seeds("latest under loss", 3, |seed| {
        let mut world = World::new(seed);
        world.set_default_path(LOSSY, LOSSY);
        let all = join(&mut world, 4);
        let channels: Vec<_> = all
            .iter()
            .map(|who| open(&mut world, *who, "patchbay?mode=latest", Reliability::Reliable))
            .collect();
        for number in 0..100u32 {
            for (who, channel) in all.iter().zip(&channels) {
                publish(&mut world, *who, *channel, &(number % 3).to_string(), &number.to_be_bytes());
            }
            world.run_for(ms(20));
        }
        world.run_for(s(10));
        for who in &all {
            let known = known_to(&world, *who);
            for sender in all.iter().filter(|sender| *sender != who) {
                for number in 97..100u32 {
                    let value = known.get(&(sender.0, (number % 3).to_string()));
                    assert_eq!(value.unwrap().1, number.to_be_bytes(), "{who} of {sender}");
                }
            }
            assert_eq!(known.len(), 9, "{who} heard itself");
        }
        world.assert_sound();
    });
}

#[test]
fn who_comes_late_has_the_snapshot_after_one_round_trip() {
    let mut world = World::new(1);
    world.set_default_path(delay(25), delay(25));
    let all = join(&mut world, 3);
    let first = open(&mut world, all[0], "patchbay?mode=latest", Reliability::Reliable);
    // SCTP begins with a window of 32 KiB: what fits takes one round trip.
    let mut took = Vec::new();
    for (count, late) in [(25, all[1]), (200, all[2])] {
        for key in 0..count {
            publish(&mut world, all[0], first, &key.to_string(), &[7; 100]);
        }
        world.run_for(s(1));
        let asked = world.elapsed();
        let channel = world.open_topic(late, "game", "patchbay", true, Reliability::Reliable);
        assert!(world.run_until(s(2), |world| known_to(world, late).len() == count));
        assert!(world.client(late).channels.contains(&channel));
        took.push(world.elapsed() - asked);
    }
    figure("topic_snapshot_of_25_after_opening", took[0].as_millis() as f64, "ms");
    figure("topic_snapshot_of_200_after_opening", took[1].as_millis() as f64, "ms");
    assert!(took.iter().all(|it| *it <= ms(60)), "{took:?} with a round trip of 50 ms");
    world.assert_sound();
}

#[test]
fn a_narrow_receiver_is_fresh_and_a_frozen_one_in_nobodys_way() {
    const MOVING: usize = 20;
    for (seed, queue) in [(1, 200), (2, 500)] {
        let mut world = World::new(seed);
        world.set_default_path(delay(20), delay(20));
        let all = join(&mut world, MOVING as u32 + 2);
        let lossy = Reliability::MaxRetransmits(0);
        let channels: Vec<_> =
            all.iter().map(|who| open(&mut world, *who, "patchbay?mode=latest", lossy)).collect();
        let (narrow, frozen) = (all[MOVING], all[MOVING + 1]);
        world.set_path(
            narrow,
            delay(20),
            Condition { rate_bps: Some(64_000), queue: ms(queue), ..delay(20) },
        );
        world.set_path(frozen, delay(20), Condition { is_down: true, ..delay(20) });
        let (mut oldest, mut slowest) = (Vec::new(), 0);
        for number in 0..300u32 {
            for (who, channel) in all.iter().zip(&channels).take(MOVING) {
                let payload = [number.to_be_bytes(), [0; 4]].concat().repeat(12);
                publish(&mut world, *who, *channel, "position", &payload);
            }
            world.run_for(ms(33));
            // Within two and a half seconds it is known how little passes, though half a second of it lies in the queue.
            if number < 75 {
                continue;
            }
            let now = world.unix_micros();
            let age = |who| {
                let known = known_to(&world, who);
                let oldest = known.values().map(|(time, _)| now - time).max();
                oldest.filter(|_| known.len() + 1 >= MOVING).unwrap_or(u64::MAX)
            };
            oldest.push(age(narrow));
            slowest = slowest.max(age(all[0]));
        }
        oldest.sort_unstable();
        let (middle, oldest) = (oldest[oldest.len() / 2], oldest[oldest.len() - 1]);
        figure(&format!("topic_age_on_64_kbit_queue_{queue}_p50"), middle as f64 / 1_000.0, "ms");
        figure(&format!("topic_age_on_64_kbit_queue_{queue}_max"), oldest as f64 / 1_000.0, "ms");
        figure("topic_age_beside_slow_receivers", slowest as f64 / 1_000.0, "ms");
        assert!(oldest <= 1_000_000, "a value was {} ms old", oldest / 1_000);
        assert!(slowest <= 70_000, "somebody else's was {} ms old", slowest / 1_000);
        assert_eq!(world.counter("data_cut"), 0);
        world.set_path(frozen, delay(20), delay(20));
        world.assert_sound();
    }
}

#[test]
fn who_has_no_transport_hears_and_is_heard() {
    let mut world = World::new(3);
    world.set_default_path(delay(20), delay(20));
    let all = join(&mut world, 1);
    let channel = open(&mut world, all[0], "patchbay?mode=latest", Reliability::Reliable);
    publish(&mut world, all[0], channel, "a", b"early");
    world.run_for(ms(100));
    let (transport, participant) = (TransportId(4_000), ParticipantNumber(77));
    let (label, protocol) = ("game".to_owned(), "patchbay".to_owned());
    world.command(NodeCommand::AttachData { transport, room: ROOM, participant, topics: Vec::new() });
    world.command(NodeCommand::OpenTopic { transport, channel: 5, label, protocol });
    let mut message = Vec::new();
    let publish_frame = Publish { key: Some("b"), payload: b"over signaling", ..Publish::default() };
    ClientFrame::Publish(publish_frame).write(&mut message);
    assert_eq!(client_frames(&message).count(), 1);
    let messages = vec![STANDARD.encode(&message)];
    world.command(NodeCommand::SendData { transport, channel: 5, messages });
    publish(&mut world, all[0], channel, "a", b"late");
    world.run_for(s(1));
    assert_eq!(known_to(&world, all[0])[&(77, "b".to_owned())].1, b"over signaling");
    let heard = |world: &World| -> Vec<Vec<u8>> {
        let data = world.events.iter().filter_map(|(_, event)| match event {
            NodeEvent::Data { transport: to, channel: 5, messages } if *to == transport => Some(messages),
            _ => None,
        });
        data.flatten().map(|message| STANDARD.decode(message).unwrap()).collect()
    };
    let messages = heard(&world);
    assert!(
        matches!(server_frames(&messages[0]).next(), Some(Ok(ServerFrame::Welcome(it))) if it.participant == 77)
    );
    let known = known(messages.iter().map(|message| &message[..]));
    assert_eq!(known.len(), 1, "it does not hear itself");
    assert_eq!(known[&(all[0].0, "a".to_owned())].1, b"late");
    // Without the grant the topic is closed, and told so.
    world.command(NodeCommand::SetData { transport, data: false, topics: Vec::new() });
    world.run_for(ms(100));
    let is_closed = |event: &NodeEvent| matches!(event, NodeEvent::TopicClosed { channel: 5, .. });
    assert!(world.events.iter().any(|(_, event)| is_closed(event)));
    world.command(NodeCommand::CloseTransport { transport });
    world.run_for(ms(100));
    assert!(known_to(&world, all[0]).is_empty(), "its value went with it");
    world.assert_sound();
}

#[test]
fn who_does_not_pace_itself_waits_for_a_slow_receiver_and_loses_nothing() {
    for_seeds("slow=wait", 1, |seed| {
        let mut world = World::new(seed);
        world.set_default_path(delay(20), delay(20));
        let all = join(&mut world, 3);
        let protocol = "patchbay?mode=relay&slow=wait";
        let channels: Vec<_> =
            all.iter().map(|who| open(&mut world, *who, protocol, Reliability::Reliable)).collect();
        let slow = Condition { rate_bps: Some(1_000_000), queue: ms(200), ..LOSSY };
        world.set_path(all[1], delay(20), slow);
        let lengths: Vec<usize> = (0..1_000u32)
            .map(|number| match number {
                it if it % 50 == 33 => 200 * 1024,
                it => 1 + it.wrapping_mul(2_654_435_761) as usize % 8_000,
            })
            .collect();
        let payload = |number: usize| -> Vec<u8> {
            let bytes = (0..lengths[number]).map(|at| (at * (number | 1)) as u8);
            (number as u32).to_be_bytes().into_iter().chain(bytes).collect()
        };
        let heard = |world: &World, who: ParticipantNumber| -> usize {
            world.client(who).messages.iter().map(|(_, message)| message.len()).sum()
        };
        // As fast as its own transport takes them.
        let (mut number, mut most_between) = (0, 0);
        let (begun, mut sent_bytes) = (world.elapsed(), 0);
        while number < lengths.len() {
            let mut message = Vec::new();
            let payload = payload(number);
            ClientFrame::Publish(Publish { payload: &payload, ..Publish::default() }).write(&mut message);
            if world.send_message(all[0], channels[0], &message) {
                (number, sent_bytes) = (number + 1, sent_bytes + message.len());
            } else {
                world.run_for(ms(50));
            }
            most_between = most_between.max(sent_bytes.saturating_sub(heard(&world, all[1])));
            assert!(world.elapsed() < s(600), "{number} taken, {:?}", world.counters());
        }
        let took = world.elapsed() - begun;
        let total: usize = lengths.iter().sum();
        for _ in 0..300 {
            if heard(&world, all[1]) >= total {
                break;
            }
            world.run_for(s(1));
        }
        // The last ones, which the frames' own bytes stood for.
        world.run_for(s(5));
        for who in &all[1..] {
            let messages = world.client(*who).messages.iter();
            let frames = messages.flat_map(|(_, message)| server_frames(message)).filter_map(|it| match it {
                Ok(ServerFrame::Message(message)) => Some(message.payload.to_vec()),
                _ => None,
            });
            let frames: Vec<_> = frames.collect();
            assert_eq!(frames.len(), lengths.len());
            assert!(frames.iter().enumerate().all(|(number, it)| *it == payload(number)), "{who}");
        }
        assert!(world.counter("data_blocked") > 0, "the sender was never held");
        assert_eq!(world.counter("data_cut") + world.counter("data_dropped"), 0);
        // What is under way is bounded by queues: the sender's 1 MiB, the server's on both sides.
        assert!(most_between < 4 * 1024 * 1024, "{most_between} bytes were between sender and receiver");
        figure("topic_wait_sender_slowed_to", sent_bytes as f64 * 8.0 / took.as_secs_f64() / 1e6, "Mbit/s");
        figure("topic_wait_most_under_way", most_between as f64 / 1024.0, "KiB");
        // A frozen one holds everybody up, until it is gone.
        world.set_path(all[1], delay(20), Condition { is_down: true, ..delay(20) });
        let mut message = Vec::new();
        ClientFrame::Publish(Publish { payload: &[9; 60_000], ..Publish::default() }).write(&mut message);
        let (before, mut more) = (heard(&world, all[2]), 0);
        while world.send_message(all[0], channels[0], &message) || more < 30 {
            more += 1;
            world.run_for(ms(50));
            assert!(more < 200, "nobody holds the sender up");
        }
        let held = heard(&world, all[2]) - before;
        world.leave(all[1]);
        let has_more = world.run_until(s(10), |world| heard(world, all[2]) - before > held + 500_000);
        assert!(has_more, "the sender was not let go, {:?}", world.counters());
        world.assert_sound();
    });
}
