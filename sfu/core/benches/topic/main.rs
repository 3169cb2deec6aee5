//! What a topic costs before SCTP: `cargo bench --package patchbay-sfu-core --bench topic`.
//!
//! A router with members whose transports take everything: measured is all between a message that came and the messages to be
//! sent, in virtual time with 30 messages of 100 bytes a second from everybody. Told are nanoseconds and allocations for
//! each delivery (one published message to one receiver), medians over rounds.

#![allow(clippy::disallowed_methods, reason = "what is measured here is real time")]

#[path = "../forward/allocation.rs"]
mod allocation;

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use patchbay_frame::{Area, Cell, ClientFrame, Filter, Filters, Publish};
use patchbay_protocol::{ParticipantNumber, TransportId};
use patchbay_sfu_core::router::{Intake, Router};
use patchbay_sfu_core::transport::{ChannelInfo, MessageKind, Reliability};
use patchbay_sfu_core::{
    ChannelKey, DataMessage, Egress, OutgoingRtp, Repetition, SendOutcome, TransportKey,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const TICK: Duration = Duration::from_nanos(33_333_333);
const PAYLOAD: [u8; 100] = [0x5a; 100];
/// Cells of the world, one way and the other: 200 players in it have about 20 neighbours in 3 × 3 cells.
const WORLD: (i16, i16) = (10, 9);
/// Ticks in a round.
const TICKS: usize = 60;
const ROUNDS: usize = 11;

fn main() {
    for (name, protocol, members) in [
        ("plain_25", "", 25),
        ("relay_25", "patchbay", 25),
        ("relay_50", "patchbay", 50),
        ("latest_50", "patchbay?mode=latest", 50),
        ("interest_200", "patchbay?mode=interest", 200),
    ] {
        let mut game = Game::new(protocol, members);
        (0..TICKS).for_each(|_| game.tick());
        let mut rounds: Vec<Cost> = (0..ROUNDS).map(|_| game.round()).collect();
        rounds.sort_by(|a, b| a.nanos.total_cmp(&b.nanos));
        let Cost { nanos, allocations, deliveries, messages } = rounds[ROUNDS / 2];
        println!("FIGURE topic_{name}_delivery {nanos:.1} ns");
        println!("FIGURE topic_{name}_allocations {allocations:.3} per_delivery");
        println!("FIGURE topic_{name}_frames_per_message {:.2} frames", deliveries / messages);
        println!("FIGURE topic_{name}_deliveries_in_a_tick {:.0} deliveries", deliveries / TICKS as f64);
    }
}

/// Of a round: time and allocations for each delivery, and how many there were.
#[derive(Clone, Copy)]
struct Cost {
    nanos: f64,
    allocations: f64,
    deliveries: f64,
    messages: f64,
}

/// Transports that take everything.
#[derive(Default)]
struct Sink {
    bytes: usize,
}

impl Egress for Sink {
    fn send_rtp(&mut self, _: TransportKey, _: &OutgoingRtp<'_>) {}
    fn send_rtcp(&mut self, _: TransportKey, _: &[u8]) {}

    fn send_message(
        &mut self,
        _: TransportKey,
        _: ChannelKey,
        message: DataMessage<'_>,
        _: Repetition,
    ) -> SendOutcome {
        let (DataMessage::Text(message) | DataMessage::Binary(message)) = message;
        // A transport keeps a reference until the message has left.
        self.bytes += black_box(message.clone()).len();
        SendOutcome::Queued
    }

    fn channel_room(&self, _: TransportKey, _: ChannelKey) -> usize {
        64 * 1024
    }
}

struct Game {
    now: Instant,
    router: Router,
    sink: Sink,
    is_framed: bool,
    /// Where everybody is, in a world of cells, if there is one.
    places: Vec<Option<Cell>>,
    rng: StdRng,
    /// Real time spent in the router.
    spent: Duration,
    allocations: u64,
}

impl Game {
    fn new(protocol: &str, members: u32) -> Self {
        let now = Instant::now();
        let mut game = Self {
            now,
            router: Router::new(now, 1_800_000_000_000_000_000, 1),
            sink: Sink::default(),
            is_framed: !protocol.is_empty(),
            places: Vec::new(),
            rng: StdRng::seed_from_u64(1),
            spent: Duration::ZERO,
            allocations: 0,
        };
        for member in 0..members {
            let key = TransportKey(member);
            game.router.attach(now, key, TransportId(member.into()), ParticipantNumber(member + 1));
            let info = ChannelInfo {
                key: ChannelKey(0),
                label: "game".to_owned(),
                protocol: protocol.to_owned(),
                is_ordered: false,
                reliability: Reliability::MaxRetransmits(0),
            };
            assert!(game.router.handle_channel_opened(now, key, &info, &mut game.sink));
            let place = protocol
                .contains("interest")
                .then(|| Cell { x: game.rng.random_range(0..WORLD.0), y: game.rng.random_range(0..WORLD.1) });
            game.places.push(place);
            if let Some(place) = place {
                let message = watch(place);
                game.handle(member, message);
            }
        }
        game
    }

    fn round(&mut self) -> Cost {
        (self.spent, self.allocations) = (Duration::ZERO, 0);
        let before = *self.router.counters();
        (0..TICKS).for_each(|_| self.tick());
        let after = self.router.counters();
        let deliveries = (after.data_forwarded - before.data_forwarded) as f64;
        assert!(deliveries > 0.0 && after.data_dropped == before.data_dropped, "{after:?}");
        Cost {
            nanos: self.spent.as_nanos() as f64 / deliveries,
            allocations: self.allocations as f64 / deliveries,
            deliveries,
            messages: (after.data_sent - before.data_sent) as f64,
        }
    }

    /// Everybody says where it is, one after another.
    fn tick(&mut self) {
        let end = self.now + TICK;
        let gap = TICK / self.places.len() as u32;
        for member in 0..self.places.len() as u32 {
            self.pass(gap);
            let mut message = Vec::new();
            let place = &mut self.places[member as usize];
            if let Some(place) = place
                && self.rng.random_bool(1.0 / 30.0)
            {
                place.x = (place.x + self.rng.random_range(-1..=1)).clamp(0, WORLD.0 - 1);
                place.y = (place.y + self.rng.random_range(-1..=1)).clamp(0, WORLD.1 - 1);
                message = watch(*place);
            }
            if self.is_framed {
                let publish = Publish { cell: *place, payload: &PAYLOAD, ..Publish::default() };
                ClientFrame::Publish(publish).write(&mut message);
            } else {
                message.extend_from_slice(&PAYLOAD);
            }
            self.handle(member, message);
        }
        self.pass(end.saturating_duration_since(self.now));
    }

    fn handle(&mut self, member: u32, message: Vec<u8>) {
        let message = Bytes::from(message);
        let (now, key) = (self.now, TransportKey(member));
        self.timed(|router, sink| {
            let intake = router.handle_message(now, key, ChannelKey(0), MessageKind::Binary, message, sink);
            assert_eq!(intake, Intake::Taken);
        });
    }

    fn pass(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(due) = self.router.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            let now = self.now;
            self.timed(|router, sink| router.handle_timeout(now, sink));
        }
        self.now = end;
    }

    fn timed(&mut self, act: impl FnOnce(&mut Router, &mut Sink)) {
        let (allocations, start) = (allocation::count(), Instant::now());
        act(&mut self.router, &mut self.sink);
        self.spent += start.elapsed();
        self.allocations += allocation::count() - allocations;
    }
}

/// Asks for the cells around a place, and no others any longer.
fn watch(place: Cell) -> Vec<u8> {
    let area =
        Area { from: Cell { x: place.x - 1, y: place.y - 1 }, to: Cell { x: place.x + 1, y: place.y + 1 } };
    let mut message = Vec::new();
    let filters = Filters::List(&[Filter::Area(area)]);
    ClientFrame::Subscribe { replace: true, filters }.write(&mut message);
    message
}
