//! A peer that keeps to the format and to nothing else: nothing panics, goes on without end or fills memory.

use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use patchbay_sctp::{Association, Limit};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::world::{CLEAN, World, message};

const DATA: u8 = 0;
const SACK: u8 = 3;
const HEARTBEAT: u8 = 4;
const RE_CONFIG: u8 = 130;
const FORWARD_TSN: u8 = 192;

/// One end that is up, and what its peer needs to speak to it.
struct Victim {
    now: Instant,
    end: Association,
    /// Ports and tag of what it takes.
    header: Bytes,
    /// The last TSN that it has seen, and that it has sent.
    seen: u32,
    sent: u32,
}

impl Victim {
    fn new(seed: u64) -> Self {
        let mut world = World::up(seed, CLEAN, false);
        // A message each way, of which the packet tells the rest.
        let mut packets: Vec<Bytes> = (0..2)
            .map(|at| {
                world.ends[at].send(message(1, "first", true, Limit::default()));
                world.ends[at].poll_transmit(world.now).expect("a packet")
            })
            .collect();
        let tsn = |packet: &Bytes| u32::from_be_bytes(packet[16..20].try_into().expect("four bytes"));
        let (sent, seen) = (tsn(&packets[0]), tsn(&packets[1]).wrapping_sub(1));
        let header = packets.remove(1).slice(..8);
        let [end, _] = world.ends;
        Self { now: world.now, end, header, seen, sent }
    }

    /// Takes a packet of such chunks, and answers. Returns the answers.
    fn take(&mut self, chunks: &[(u8, u8, Vec<u8>)]) -> Vec<Bytes> {
        let mut packet = BytesMut::from(&self.header[..]);
        packet.put_u32(0);
        for (kind, flags, value) in chunks {
            packet.put_slice(&[*kind, *flags]);
            packet.put_u16(4 + value.len() as u16);
            packet.put_slice(value);
            packet.put_bytes(0, value.len().next_multiple_of(4) - value.len());
        }
        let sum = crc32c::crc32c(&packet).to_le_bytes();
        packet[8..12].copy_from_slice(&sum);
        assert!(self.end.handle(self.now, &packet.freeze()));
        while self.end.poll_event().is_some() {}
        self.answers()
    }

    fn answers(&mut self) -> Vec<Bytes> {
        let answers: Vec<Bytes> =
            std::iter::from_fn(|| self.end.poll_transmit(self.now)).take(10_000).collect();
        assert!(answers.len() < 10_000, "it has no end");
        answers
    }

    /// So much it keeps, roughly: the length of what it says of itself.
    fn size(&self) -> usize {
        format!("{:?}", self.end).len()
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|it| it.to_be_bytes()).collect()
}

fn data(tsn: u32, stream: u16, ssn: u16, payload: &[u8]) -> Vec<u8> {
    let mut value = words(&[tsn, u32::from(stream) << 16 | u32::from(ssn), 53]);
    value.extend_from_slice(payload);
    value
}

#[test]
fn streams_that_there_are_not_are_not_remembered() {
    let mut victim = Victim::new(1);
    let before = victim.size();
    for first in (1_024..u16::MAX - 200).step_by(200) {
        victim.seen = victim.seen.wrapping_add(1);
        let streams = (first..first + 200).map(|it| u32::from(it) << 16 | 5);
        let value: Vec<u32> = std::iter::once(victim.seen).chain(streams).collect();
        victim.take(&[(FORWARD_TSN, 0, words(&value))]);
    }
    assert!(victim.size() < before + 1_000, "{} and {before}", victim.size());
}

#[test]
fn what_was_never_sent_cannot_be_acknowledged() {
    let mut victim = Victim::new(2);
    for ahead in [1, 2, 1_000, 1 << 30, 1 << 31] {
        let before = victim.end.in_flight_bytes();
        victim.take(&[(SACK, 0, words(&[victim.sent.wrapping_add(ahead), 1_000_000, 0]))]);
        assert_eq!(victim.end.in_flight_bytes(), before, "{ahead}");
    }
    // Nor by a gap far above, and a window without end is one like any other.
    let value = [words(&[victim.sent.wrapping_sub(1), u32::MAX, 1 << 16]), words(&[0x0001_ffff])].concat();
    victim.take(&[(SACK, 0, value)]);
    assert_eq!(victim.end.in_flight_bytes(), 0);
    assert!(victim.end.has_room());
}

#[test]
fn answers_are_few() {
    let mut victim = Victim::new(3);
    victim.answers();
    assert!(victim.take(&vec![(HEARTBEAT, 0, vec![]); 400]).len() <= 17);
    let reset = |number: u32| (RE_CONFIG, 0, words(&[13 << 16 | 16, number, 0, victim.seen]));
    let requests: Vec<_> = (0..90).map(|it| reset(victim.seen.wrapping_add(1 + it))).collect();
    assert!(victim.take(&requests).len() <= 2);
}

#[test]
fn fragments_without_end_fill_no_memory() {
    for (flags, is_spread) in [(0, false), (2, false), (4, true), (6, false), (1, true)] {
        let mut victim = Victim::new(4);
        let most = 20_000;
        for at in 0..most {
            victim.seen = victim.seen.wrapping_add(if is_spread { 2 } else { 1 });
            victim.take(&[(DATA, flags, data(victim.seen, at as u16 % 1_024, at as u16, &[1; 1_000]))]);
            if is_spread && at % 4_000 == 3_999 {
                victim.take(&[(FORWARD_TSN, 0, words(&[victim.seen]))]);
            }
        }
        // Bytes are shown as up to four characters, and a window is kept twice.
        assert!(victim.size() < 4 * 2 * 1024 * 1024 + 3_000_000, "{} with {flags}", victim.size());
    }
}

/// Chunks of every kind with numbers around those that make sense.
#[test]
fn any_numbers_are_taken() {
    for seed in 0..60 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut victim = Victim::new(seed);
        for _ in 0..300 {
            let mut near = |it: u32| match random.random_range(0..4) {
                0 => it.wrapping_add(random.random_range(0..5)),
                1 => it.wrapping_sub(random.random_range(0..5)),
                2 => it.wrapping_add(random.random_range(0..9_000)),
                _ => random.random(),
            };
            let (seen, sent) = (near(victim.seen), near(victim.sent));
            let mut small = || random.random_range(0..5_u16);
            let chunk = match small() {
                0 => {
                    let gaps = small();
                    let value = words(&[sent, [0, 100_000][small() as usize % 2], u32::from(gaps) << 16]);
                    let mut at = 0;
                    let gaps = (0..gaps).flat_map(|_| {
                        let first = at + 1 + small();
                        at = first + small();
                        [first.to_be_bytes(), at.to_be_bytes()].concat()
                    });
                    (SACK, 0, value.into_iter().chain(gaps).collect())
                }
                1 => {
                    let streams = (0..small()).map(|_| u32::from(small()) << 16 | u32::from(small()));
                    (FORWARD_TSN, 0, words(&std::iter::once(seen).chain(streams).collect::<Vec<_>>()))
                }
                2 => {
                    let value = words(&[(13 + u32::from(small())) << 16 | 16, seen, sent, seen]);
                    (RE_CONFIG, 0, value)
                }
                _ => {
                    let flags = small() as u8 + 2 * (small() as u8 % 4);
                    (DATA, flags, data(seen, small(), small(), &[1; 50]))
                }
            };
            victim.take(&[chunk]);
            if victim.end.has_room() || random.random_bool(0.2) {
                let limit = Limit { max_retransmits: random.random_bool(0.5).then_some(0), expires: None };
                let bytes = random.random_range(1..4_000);
                victim.end.send(message(random.random_range(0..5), vec![1; bytes], random.random(), limit));
            }
            if random.random_bool(0.05) {
                victim.end.reset_stream(random.random_range(0..5));
            }
            victim.sent = victim.sent.wrapping_add(victim.answers().len() as u32);
            victim.now += Duration::from_millis(random.random_range(0..40));
            let mut calls = 0;
            while victim.end.deadline().is_some_and(|due| due <= victim.now) {
                victim.end.handle_timeout(victim.now);
                victim.answers();
                calls += 1;
                assert!(calls < 5, "seed {seed}: it is never done with what is due");
            }
        }
    }
}
