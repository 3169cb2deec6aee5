//! Whatever two ends do, in whatever sequence, over whatever link: every promise is kept. A failure names its seed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use patchbay_sctp::{Event, Limit};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::world::{CLEAN, Link, World, message};

const SEEDS: u64 = 400;
const STREAMS: u16 = 4;

/// What an end has done on its streams, in order.
#[derive(Debug, Clone, Copy)]
enum Done {
    Sent { number: u32, is_ordered: bool, is_reliable: bool, bytes: usize },
    Reset,
}

/// A message that says which it is.
fn payload(number: u32, bytes: usize) -> Bytes {
    let mut payload = vec![number as u8; bytes];
    payload[..4].copy_from_slice(&number.to_be_bytes());
    payload.into()
}

fn any_link(random: &mut StdRng) -> Link {
    Link {
        delay: Duration::from_millis(random.random_range(1..80)),
        jitter: Duration::from_millis([0, 0, 5, 40][random.random_range(0..4)]),
        loss: [0.0, 0.02, 0.1, 0.3, 1.0][random.random_range(0..5)],
        repetition: [0.0, 0.1][random.random_range(0..2)],
    }
}

/// Lets both ends do this and that. Returns what they did.
fn play(world: &mut World, random: &mut StdRng) -> [BTreeMap<u16, Vec<Done>>; 2] {
    let mut done = [BTreeMap::<u16, Vec<Done>>::new(), BTreeMap::new()];
    let mut number = 0;
    for _ in 0..random.random_range(10..60) {
        let at = random.random_range(0..2);
        let stream = random.random_range(0..STREAMS);
        let of_stream = done[at].entry(stream).or_default();
        match random.random_range(0..20) {
            0 => world.link = any_link(random),
            1 => world.ends[at].set_held_bytes([0, 30_000, 3_000_000][random.random_range(0..3)]),
            2 => {
                world.ends[at].reset_stream(stream);
                of_stream.push(Done::Reset);
            }
            3..8 => world.run_for(Duration::from_millis([0, 1, 30, 300, 4_000][random.random_range(0..5)])),
            _ => {
                let longest = [8, 300, 2_000, 5_000][random.random_range(0..4)];
                for _ in 0..random.random_range(1..20) {
                    // Whoever has queues waits for room; what opens a channel does not.
                    if !world.ends[at].has_room() && random.random_bool(0.9) {
                        world.ends[at].note_limiting();
                        break;
                    }
                    let limit = Limit {
                        max_retransmits: [None, None, Some(0), Some(2)][random.random_range(0..4)],
                        expires: random
                            .random_bool(0.2)
                            .then(|| world.now + Duration::from_millis(random.random_range(0..300))),
                    };
                    let bytes = random.random_range(4..longest);
                    let is_ordered = random.random_bool(0.7);
                    let is_reliable = limit == Limit::default();
                    number += 1;
                    of_stream.push(Done::Sent { number, is_ordered, is_reliable, bytes });
                    let message = message(stream, payload(number, bytes), is_ordered, limit);
                    assert!(world.ends[at].send(message));
                }
            }
        }
    }
    done
}

/// Compares what was done on a stream with what the other end saw of it.
fn compare(done: &[Done], seen: &[Event]) {
    // How often the stream had begun anew when a message was sent, and what it was.
    let mut sent = BTreeMap::new();
    let mut resets = 0;
    for it in done {
        match it {
            Done::Reset => resets += 1,
            Done::Sent { number, .. } => {
                sent.insert(*number, (resets, *it));
            }
        }
    }
    let (mut arrived, mut begun, mut last) = (BTreeSet::new(), 0, 0);
    for it in seen {
        let Event::Message { payload: whole, .. } = it else {
            begun += 1;
            continue;
        };
        let number = u32::from_be_bytes(whole[..4].try_into().unwrap());
        let Some((resets, Done::Sent { is_ordered, is_reliable, bytes, .. })) = sent.get(&number) else {
            panic!("{number} was never sent");
        };
        assert_eq!(*whole, payload(number, *bytes), "{number} is another");
        assert!(arrived.insert(number), "{number} came twice");
        assert!(!is_reliable || *resets == begun, "{number}, sent after {resets} resets, came after {begun}");
        if *is_ordered {
            assert!(number > last, "{number} came after {last}");
            last = number;
        }
    }
    assert_eq!(begun, resets, "resets");
    for (number, (_, it)) in sent {
        let Done::Sent { is_reliable, .. } = it else { unreachable!() };
        assert!(!is_reliable || arrived.contains(&number), "{it:?} never came");
    }
}

fn check(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let windows = [(); 2].map(|()| [20_000, 100_000, 1024 * 1024][random.random_range(0..3)]);
    let mut world = World::new(seed, Link { loss: 0.1, ..CLEAN }, windows);
    world.connect(random.random());
    world.link = any_link(&mut random);
    let done = play(&mut world, &mut random);

    // The path is back, and nobody is held up any more.
    world.link = Link { loss: 0.05, ..CLEAN };
    world.ends.iter_mut().for_each(|it| it.set_held_bytes(0));
    world.settle();

    for (at, done) in done.iter().enumerate() {
        for (stream, done) in done {
            let is_of = |it: &&Event| match it {
                Event::Message { stream: of, .. } => of == stream,
                Event::Reset(streams) => streams.contains(stream),
                _ => false,
            };
            let seen: Vec<Event> = world.events[1 - at].iter().filter(is_of).cloned().collect();
            compare(done, &seen);
        }
        let bytes = |it: &Done| if let Done::Sent { bytes, .. } = it { *bytes } else { 0 };
        assert_eq!(
            world.released_bytes(at),
            done.values().flatten().map(bytes).sum::<usize>(),
            "bytes released and sent"
        );
        assert_eq!((world.ends[at].in_flight_bytes(), world.ends[at].pending_bytes()), (0, 0));
    }
}

#[test]
fn every_promise_is_kept() {
    let failed: Vec<u64> = (0..SEEDS)
        .filter(|seed| {
            let result = std::panic::catch_unwind(|| check(*seed));
            if result.is_err() {
                println!("seed {seed}");
            }
            result.is_err()
        })
        .collect();
    assert!(failed.is_empty(), "seeds {failed:?}");
}
