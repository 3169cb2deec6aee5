//! Two associations over a link that loses, delays, reorders and repeats: every promise is kept, whatever the link does.

mod hostile;
mod random;
mod stall;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use patchbay_sctp::{Association, Event, Limit, Message};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use self::world::{CLEAN, Link, MAX_MESSAGE_BYTES, World, message};

#[test]
fn either_end_may_begin_and_so_may_both() {
    for both in [false, true] {
        for seed in 0..50 {
            let world = World::up(
                seed,
                Link { loss: 0.3, jitter: Duration::from_millis(30), repetition: 0.2, ..CLEAN },
                both,
            );
            assert!(world.events.iter().all(|it| it.iter().filter(|it| **it == Event::Up).count() == 1));
        }
        let world = World::up(1, CLEAN, both);
        assert!(world.now - world.start <= Duration::from_millis(60), "{:?}", world.now - world.start);
    }
}

#[test]
fn what_is_reliable_arrives_whole_and_in_order() {
    for (seed, loss) in [(1, 0.0), (2, 0.05), (3, 0.2), (4, 0.4)] {
        let link = Link { loss, jitter: Duration::from_millis(8), repetition: 0.02, ..CLEAN };
        let mut world = World::up(seed, link, false);
        let mut expected = BTreeMap::<u16, Vec<Bytes>>::new();
        let mut left: Vec<Message> = (0..600_u32)
            .map(|number| {
                let length =
                    if number % 50 == 0 { MAX_MESSAGE_BYTES / 4 } else { 1 + (number as usize * 37) % 3_000 };
                let mut payload = vec![number as u8; length];
                payload[0] = (number / 256) as u8;
                let message = message((number % 3) as u16, payload, true, Limit::default());
                expected.entry(message.stream).or_default().push(message.payload.clone());
                message
            })
            .collect();
        left.reverse();
        let end = world.now + Duration::from_secs(900);
        while !left.is_empty() || world.messages(1).len() < 600 {
            while world.ends[0].has_room()
                && let Some(message) = left.pop()
            {
                assert!(world.ends[0].send(message));
            }
            world.ends[0].note_limiting();
            assert!(world.step() && world.now < end, "{} left", left.len());
        }
        world.settle();
        let mut received = BTreeMap::<u16, Vec<Bytes>>::new();
        world
            .messages(1)
            .into_iter()
            .for_each(|(stream, payload)| received.entry(stream).or_default().push(payload));
        assert_eq!(received, expected, "{loss}");
        assert_eq!((world.ends[0].in_flight_bytes(), world.ends[0].pending_bytes()), (0, 0));
        let bytes: usize = expected.values().flatten().map(Bytes::len).sum();
        assert_eq!(world.released_bytes(0), bytes);
    }
}

#[test]
fn what_is_not_repeated_stops_nobody() {
    for (is_ordered, limit) in [
        (false, Limit { max_retransmits: Some(0), expires: None }),
        (true, Limit { max_retransmits: Some(0), expires: None }),
        (true, Limit { max_retransmits: Some(1), expires: None }),
    ] {
        let mut world = World::up(7, Link { loss: 0.1, ..CLEAN }, true);
        for number in 0..2_000_u16 {
            // Some in several chunks, of which the loss of one is the loss of all.
            let length = if number % 10 == 0 { 5_000 } else { 50 };
            let mut payload = vec![0; length];
            payload[..2].copy_from_slice(&number.to_be_bytes());
            world.ends[0].send(message(1, payload, is_ordered, limit));
            world.run_for(Duration::from_millis(5));
        }
        world.ends[0].send(message(1, "end", is_ordered, Limit::default()));
        world.settle();
        let numbers: Vec<u16> = world
            .messages(1)
            .iter()
            .filter(|it| it.1.len() > 3)
            .map(|it| u16::from_be_bytes([it.1[0], it.1[1]]))
            .collect();
        let least = if limit.max_retransmits == Some(1) { 1_900 } else { 1_600 };
        assert!((least..2_000).contains(&numbers.len()), "{} of 2,000 with {limit:?}", numbers.len());
        assert!(!is_ordered || numbers.is_sorted());
        assert!(
            world.messages(1).iter().any(|it| it.1 == "end"),
            "what is reliable arrives on the same stream"
        );
        assert_eq!((world.ends[0].in_flight_bytes(), world.ends[0].pending_bytes()), (0, 0));
    }
}

#[test]
fn what_has_expired_is_given_up_half_way() {
    let mut world = World::up(3, CLEAN, false);
    let expires = Some(world.now + Duration::from_millis(30));
    world.ends[0].send(message(1, vec![1; MAX_MESSAGE_BYTES], true, Limit { expires, ..Limit::default() }));
    world.step();
    // Nothing arrives until it is too late.
    world.link.loss = 1.0;
    world.run_for(Duration::from_millis(200));
    world.link.loss = 0.0;
    world.ends[0].send(message(1, "next", true, Limit::default()));
    world.settle();
    assert_eq!(world.messages(1), [(1, Bytes::from("next"))]);
    assert_eq!(world.released_bytes(0), MAX_MESSAGE_BYTES + 4);
}

#[test]
fn what_is_too_long_is_told_of_and_the_stream_goes_on() {
    let mut world = World::up(3, Link { loss: 0.05, ..CLEAN }, false);
    world.ends[0].send(message(1, vec![1; 3 * MAX_MESSAGE_BYTES], true, Limit::default()));
    world.ends[0].send(message(1, "next", true, Limit::default()));
    world.settle();
    let told = Event::TooLong { stream: 1, bytes: 3 * MAX_MESSAGE_BYTES };
    assert!(world.events[1].contains(&told));
    assert_eq!(world.messages(1), [(1, Bytes::from("next"))]);
}

#[test]
fn what_is_held_closes_the_window_and_opens_it_again() {
    let mut world = World::up(3, CLEAN, false);
    world.ends[1].set_held_bytes(2 * 1024 * 1024);
    let mut sent = 0;
    // One message, so that the peer hears of the window.
    world.ends[0].send(message(1, "first", true, Limit::default()));
    for _ in 0..100 {
        world.run_for(Duration::from_millis(50));
        while world.ends[0].has_room() && sent < 10_000 {
            world.ends[0].send(message(1, vec![2; 1_000], true, Limit::default()));
            sent += 1;
        }
        world.ends[0].note_limiting();
    }
    assert!(sent < 10, "{sent}");
    world.ends[1].set_held_bytes(0);
    while sent < 3_000 {
        while world.ends[0].has_room() && sent < 3_000 {
            world.ends[0].send(message(1, vec![2; 1_000], true, Limit::default()));
            sent += 1;
        }
        world.ends[0].note_limiting();
        assert!(
            world.step() && world.now - world.start < Duration::from_secs(60),
            "{sent} {:?}",
            world.ends[0]
        );
    }
    world.settle();
    assert_eq!(world.messages(1).len(), 3_001);
}

#[test]
fn a_stream_begins_anew_after_what_was_sent_on_it() {
    for seed in 0..20 {
        let mut world = World::up(seed, Link { loss: 0.2, jitter: Duration::from_millis(10), ..CLEAN }, true);
        for number in 0..20_u8 {
            world.ends[0].send(message(5, vec![number], true, Limit::default()));
        }
        world.ends[0].reset_stream(5);
        world.settle();
        let events: Vec<_> =
            world.events[1].iter().filter(|it| !matches!(it, Event::Up | Event::Released { .. })).collect();
        assert_eq!(events.len(), 21, "{events:?}");
        assert_eq!(*events[20], Event::Reset(vec![5]));
        world.ends[0].send(message(5, "anew", true, Limit::default()));
        world.settle();
        assert_eq!(world.messages(1).last(), Some(&(5, Bytes::from("anew"))));
    }
}

#[test]
fn an_end_is_told() {
    let mut world = World::up(3, CLEAN, false);
    world.ends[0].abort();
    world.settle();
    assert!(world.ends.iter().all(Association::is_closed));
    assert!(world.events.iter().all(|it| it.last() == Some(&Event::Closed)));
}

/// Whatever is done to packets: nothing panics, nothing goes on forever, and memory stays bounded.
#[test]
fn mutations_hurt_nobody() {
    for seed in 0..300 {
        let mut world =
            World::up(seed, Link { loss: 0.05, jitter: Duration::from_millis(5), ..CLEAN }, seed % 2 == 0);
        let mut random = StdRng::seed_from_u64(seed);
        for round in 0..60_u16 {
            for at in 0..2 {
                let limit = Limit { max_retransmits: random.random_bool(0.5).then_some(0), expires: None };
                let length = random.random_range(1..3_000);
                world.ends[at].send(message(round % 5, vec![1; length], random.random(), limit));
                if random.random_bool(0.05) {
                    world.ends[at].reset_stream(round % 5);
                }
            }
            world.flush();
            let keys: Vec<_> = world.packets.keys().copied().collect();
            for key in keys {
                if !random.random_bool(0.3) {
                    continue;
                }
                let (to, packet) = world.packets[&key].clone();
                let mut bytes = packet.to_vec();
                for _ in 0..random.random_range(1..4) {
                    match random.random_range(0..4) {
                        0 => bytes.truncate(random.random_range(0..=bytes.len())),
                        1 if bytes.len() > 12 => {
                            let at = random.random_range(12..bytes.len());
                            bytes[at] = random.random();
                        }
                        2 if bytes.len() > 16 => {
                            let at = random.random_range(12..bytes.len() - 3);
                            bytes[at..at + 4].copy_from_slice(&random.random::<[u8; 4]>());
                        }
                        _ => bytes.extend(random.random::<[u8; 16]>()),
                    }
                }
                if bytes.len() >= 12 {
                    bytes[8..12].fill(0);
                    let sum = crc32c::crc32c(&bytes).to_le_bytes();
                    bytes[8..12].copy_from_slice(&sum);
                }
                world.packets.insert((key.0, key.1 + 1_000_000), (to, Bytes::from(bytes)));
            }
            for _ in 0..20 {
                world.step();
            }
        }
    }
}
