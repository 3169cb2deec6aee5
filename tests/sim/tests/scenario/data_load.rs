//! Data channels under load and loss: what a transport's many channels do to each other, and what reliability costs.

use std::time::Duration;

use patchbay_protocol::ParticipantNumber;
use patchbay_sim::{ChannelKey, Condition, Plan, Reliability, World, figure, for_seeds};
use rand::Rng;

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
    world.run_for(s(1));
    channels
}

/// A message that carries its number, of some length, each byte of which depends on number and place.
fn message(number: u32, bytes: usize) -> Vec<u8> {
    let mut message = number.to_be_bytes().to_vec();
    message.extend((4..bytes.max(4)).map(|at| (at as u32).wrapping_mul(number | 1) as u8));
    message
}

fn number_of(message: &[u8]) -> u32 {
    u32::from_be_bytes(message[..4].try_into().unwrap())
}

/// When messages of one channel arrive: told of each step, knows each arrival.
struct Watch {
    who: ParticipantNumber,
    channel: ChannelKey,
    seen: usize,
    arrivals: Vec<(u32, Duration)>,
}

impl Watch {
    fn new(who: ParticipantNumber, channel: ChannelKey) -> Self {
        Self { who, channel, seen: 0, arrivals: Vec::new() }
    }

    fn look(&mut self, world: &World) {
        let messages = &world.client(self.who).messages;
        for (channel, payload) in &messages[self.seen..] {
            if *channel == self.channel {
                self.arrivals.push((number_of(payload), world.elapsed()));
            }
        }
        self.seen = messages.len();
    }
}

fn received_bytes(world: &World, who: ParticipantNumber) -> usize {
    world.client(who).messages.iter().map(|(_, it)| it.len()).sum()
}

/// The value below which this share of all lies, in milliseconds.
fn percentile(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    let at = ((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1));
    times.get(at).map_or(0.0, Duration::as_secs_f64) * 1_000.0
}

#[test]
fn small_messages_pass_large_ones_on_another_channel() {
    const LARGE: usize = 256 * 1024;
    let mut world = World::new(1);
    world.set_default_path(delay(50), delay(50));
    let all = room_with_data(&mut world, 3);
    let files = open(&mut world, &all, "file", true, Reliability::Reliable);
    let more_files = open(&mut world, &all, "file 2", true, Reliability::Reliable);
    let moves = open(&mut world, &all, "moves", true, Reliability::Reliable);
    let narrow = Condition { rate_bps: Some(22_000_000), queue: ms(100), ..delay(50) };
    world.set_path(all[2], delay(50), narrow);
    // The first ones find the path cold, and one who can't keep up may be cut off: the window that they open is not what is
    // measured.
    for number in 0..4 {
        assert!(world.send_message(all[0], files[0], &message(number, LARGE)));
        world.run_for(s(1));
    }
    // 20 Mbit/s, on two channels in turn.
    let (mut large, start) = (0, world.elapsed());
    let mut send_large = |world: &mut World| {
        while (world.elapsed() - start).as_secs_f64() * 20e6 / 8.0 > f64::from(large) * LARGE as f64 {
            large += 1;
            let channel = if large % 2 == 0 { files[0] } else { more_files[0] };
            assert!(world.send_message(all[0], channel, &message(large, LARGE)), "no room");
        }
    };
    let mut watch = Watch::new(all[2], moves[2]);
    let mut sent = Vec::new();
    let (begun, before) = (world.elapsed(), received_bytes(&world, all[2]));
    for number in 0..500 {
        send_large(&mut world);
        assert!(world.send_message(all[1], moves[1], &message(number, 100)));
        sent.push(world.elapsed());
        world.run_until(ms(20), |world| {
            watch.look(world);
            false
        });
    }
    world.run_until(s(30), |world| {
        watch.look(world);
        watch.arrivals.len() == sent.len()
    });
    // Whoever brings less than it is given to carry leaves small messages more room.
    let is_complete = world.run_until(s(30), |world| {
        let messages = world.client(all[2]).messages.iter();
        messages.filter(|(_, it)| it.len() == LARGE).count() == 4 + large as usize
    });
    assert!(is_complete, "a large message did not arrive: {:?}", world.counters());
    let mut latencies: Vec<_> =
        watch.arrivals.iter().map(|(number, at)| *at - sent[*number as usize]).collect();
    let bytes = received_bytes(&world, all[2]) - before;
    assert_eq!(watch.arrivals.len(), sent.len());
    figure("data_small_beside_large_p50", percentile(&mut latencies, 0.50), "ms");
    figure("data_small_beside_large_p99", percentile(&mut latencies, 0.99), "ms");
    figure("data_small_beside_large_max", percentile(&mut latencies, 1.0), "ms");
    figure(
        "data_large_beside_small_rate",
        bytes as f64 * 8.0 / (world.elapsed() - begun).as_secs_f64() / 1e6,
        "Mbit/s",
    );
    world.assert_sound();
}

#[test]
fn every_byte_arrives_in_order_under_loss() {
    const COUNT: u32 = 10_000;
    let mut stalls = Vec::new();
    for_seeds("reliable bulk", 4, |seed| {
        let mut world = World::new(seed);
        world.set_default_path(LOSSY, LOSSY);
        let all = room_with_data(&mut world, 2);
        let log = open(&mut world, &all, "log", true, Reliability::Reliable);
        let mut watch = Watch::new(all[1], log[1]);
        // Mostly small, as 5 % loss allows 1 Mbit/s at best: 5 MB in all.
        let lengths: Vec<usize> = (0..COUNT)
            .map(|number| match number {
                it if it % 2_500 == 1_234 => 256 * 1024,
                it if it % 500 == 77 => 64 * 1024,
                _ => world.rng.random_range(4..600),
            })
            .collect();
        let mut number = 0;
        let mut sent = Vec::new();
        let sparse = COUNT - 600;
        while number < sparse {
            // No more under way than a slow receiver's queue at the server holds, which a topic may cut off above that.
            let fits = |number: u32, arrived: usize| {
                let under_way: usize = lengths[arrived..number as usize].iter().sum();
                under_way == 0 || under_way + lengths[number as usize] < 128 * 1024
            };
            while number < sparse
                && fits(number, watch.arrivals.len())
                && world.send_message(all[0], log[0], &message(number, lengths[number as usize]))
            {
                number += 1;
            }
            world.run_until(ms(100), |world| {
                watch.look(world);
                false
            });
            assert!(world.elapsed() < s(3_000), "{number} messages taken, {} arrived", watch.arrivals.len());
        }
        let is_complete =
            world.run_until(s(300), |world| world.client(all[1]).messages.len() == sparse as usize);
        let arrived = world.client(all[1]).messages.len();
        assert!(is_complete, "{arrived} arrived, {:?}", world.counters());
        // One that is longer than may be reaches nobody, and harms nothing behind it.
        world.lift_message_limit(all[0]);
        assert!(world.send_message(all[0], log[0], &message(u32::MAX, 300 * 1024)));
        world.run_for(s(20));
        // Each of the rest travels alone, so that nothing behind it tells of its loss.
        for number in sparse..COUNT {
            watch.look(&world);
            assert!(world.send_message(all[0], log[0], &message(number, lengths[number as usize].min(600))));
            sent.push(world.elapsed());
            world.run_until(ms(1_500), |world| {
                watch.look(world);
                false
            });
        }
        let is_complete = world.run_until(s(60), |world| {
            watch.look(world);
            world.client(all[1]).messages.len() == COUNT as usize
        });
        assert!(is_complete);
        for ((number, &length), (_, payload)) in (0..COUNT).zip(&lengths).zip(&world.client(all[1]).messages)
        {
            let length = if number < sparse { length } else { length.min(600) };
            assert!(*payload == message(number, length), "message {number} was damaged or out of order");
        }
        stalls.extend(
            watch.arrivals[sparse as usize..]
                .iter()
                .map(|(number, at)| *at - sent[(*number - sparse) as usize]),
        );
        assert_eq!(world.counter("data_dropped") + world.counter("data_too_long"), 1);
        world.assert_sound();
    });
    figure("data_reliable_stall_p95", percentile(&mut stalls, 0.95), "ms");
    figure("data_reliable_stall_p50", percentile(&mut stalls, 0.50), "ms");
    figure("data_reliable_stall_p99", percentile(&mut stalls, 0.99), "ms");
    figure("data_reliable_stall_max", percentile(&mut stalls, 1.0), "ms");
}

#[test]
fn what_reaches_a_slow_receiver_is_fresh() {
    let (mut slow_lags, mut fast_lags) = (Vec::new(), Vec::new());
    for_seeds("slow and fresh", 4, |seed| {
        let mut world = World::new(seed);
        world.set_default_path(delay(20), delay(20));
        let all = room_with_data(&mut world, 3);
        let moves = open(&mut world, &all, "moves", false, Reliability::MaxRetransmits(0));
        // Twice as much as passes, and a queue in the network that would hold a second of it.
        let narrow = Condition { rate_bps: Some(64_000), queue: s(1), ..delay(20) };
        world.set_path(all[2], delay(20), narrow);
        let mut watches = [Watch::new(all[1], moves[1]), Watch::new(all[2], moves[2])];
        let mut sent = Vec::new();
        for number in 0..3_000 {
            assert!(world.send_message(all[0], moves[0], &message(number, 200)));
            sent.push(world.elapsed());
            world.run_until(ms(12), |world| {
                watches.iter_mut().for_each(|watch| watch.look(world));
                false
            });
        }
        world.run_until(s(2), |world| {
            watches.iter_mut().for_each(|watch| watch.look(world));
            false
        });
        // The first seconds find out how much passes.
        let lags = |watch: &Watch| -> Vec<Duration> {
            let settled = watch.arrivals.iter().filter(|(number, _)| *number > 400);
            settled.map(|(number, at)| *at - sent[*number as usize]).collect()
        };
        let [fast, slow] = watches;
        assert_eq!(fast.arrivals.len(), sent.len(), "the slow one costs the fast one something");
        assert!(slow.arrivals.len() > sent.len() / 4, "{} of {} arrived", slow.arrivals.len(), sent.len());
        let slow = lags(&slow);
        assert!(
            slow.iter().all(|lag| *lag < s(3)),
            "what arrives is minutes old in the end: {:?}",
            slow.iter().max()
        );
        slow_lags.extend(slow);
        fast_lags.extend(lags(&fast));
        world.assert_sound();
    });
    figure("data_slow_receiver_age_p50", percentile(&mut slow_lags, 0.5), "ms");
    figure("data_slow_receiver_age_p99", percentile(&mut slow_lags, 0.99), "ms");
    figure("data_beside_slow_receiver_p99", percentile(&mut fast_lags, 0.99), "ms");
}

/// A game over a path that loses 2 % each way, which is what radio does, and delays by 50 ms each way: who sends nothing twice
/// waits for nothing.
#[test]
fn chance_losses_delay_nothing_else() {
    const PLAYERS: u32 = 6;
    let mut lags = Vec::new();
    let (mut arrived, mut expected) = (0, 0);
    for_seeds("losses by chance", 3, |seed| {
        let mut world = World::new(seed);
        let path = Condition { loss: 0.02, ..delay(50) };
        world.set_default_path(path, path);
        let all = room_with_data(&mut world, PLAYERS);
        let moves = open(&mut world, &all, "moves", false, Reliability::MaxRetransmits(0));
        let mut watches: Vec<_> =
            all.iter().zip(&moves).map(|(who, channel)| Watch::new(*who, *channel)).collect();
        let mut sent = Vec::new();
        for number in 0..3_000 {
            let who = number as usize % all.len();
            assert!(world.send_message(all[who], moves[who], &message(number, 100)));
            sent.push(world.elapsed());
            world.run_until(Duration::from_micros(5_500), |world| {
                watches.iter_mut().for_each(|watch| watch.look(world));
                false
            });
        }
        world.run_until(s(2), |world| {
            watches.iter_mut().for_each(|watch| watch.look(world));
            false
        });
        for watch in &watches {
            lags.extend(watch.arrivals.iter().map(|(number, at)| *at - sent[*number as usize]));
            arrived += watch.arrivals.len();
        }
        expected += sent.len() * (PLAYERS as usize - 1);
        world.assert_sound();
    });
    figure("data_chance_losses_p50", percentile(&mut lags, 0.50), "ms");
    figure("data_chance_losses_p99", percentile(&mut lags, 0.99), "ms");
    figure("data_chance_losses_max", percentile(&mut lags, 1.0), "ms");
    let share = arrived as f64 / expected as f64;
    figure("data_chance_losses_arrived", 100.0 * share, "%");
    assert!(share > 0.95, "{share}: two ways of 2 % lose 4 %");
    assert!(percentile(&mut lags, 1.0) < 130.0, "nothing that arrives has waited");
}
