//! What a forwarded packet costs before the socket: `cargo bench --package patchbay-sfu-core`.
//!
//! One publisher sends VP8 frames in bursts (30 a second, about 170 packets of 1,100 bytes) to subscribers with one slot each.
//! The peers are real (ICE, DTLS, SRTP with AES-GCM), the worker is the real one, only sockets are missing. Measured is all
//! between a received datagram and the datagrams to be sent: authentication, history, forwarding, encryption, queueing.
//! Printed are medians over rounds; the instruction-for-instruction floor is one AES-GCM seal of the payload.

#![allow(clippy::disallowed_methods, reason = "what is measured here is real time")]

mod allocation;
mod call;

use std::time::{Duration, Instant};

use call::Call;

/// Bursts thrown away before measuring, so that buffers have grown to their size. More than a track's history holds.
const WARM_UP_BURSTS: usize = 400;
/// Bursts in a round.
const BURSTS: usize = 200;
const ROUNDS: usize = 15;

fn main() {
    for subscribers in [1, 20, 50] {
        let mut call = Call::connect(subscribers);
        (0..WARM_UP_BURSTS).for_each(|_| {
            call.burst();
        });
        let mut rounds: Vec<Cost> = (0..ROUNDS).map(|_| measure(&mut call)).collect();
        rounds.sort_by(|a, b| a.nanos_per_packet().total_cmp(&b.nanos_per_packet()));
        report(subscribers, &rounds);
    }
}

/// What forwarding cost.
#[derive(Debug, Default, Clone, Copy)]
struct Cost {
    time: Duration,
    allocations: u64,
    forwarded: u64,
    transmits: u64,
}

impl Cost {
    fn nanos_per_packet(&self) -> f64 {
        self.time.as_nanos() as f64 / self.forwarded as f64
    }
}

fn measure(call: &mut Call) -> Cost {
    let mut total = Cost::default();
    for _ in 0..BURSTS {
        let cost = call.burst();
        total.time += cost.time;
        total.allocations += cost.allocations;
        total.forwarded += cost.forwarded;
        total.transmits += cost.transmits;
    }
    total
}

fn report(subscribers: usize, rounds: &[Cost]) {
    let median = rounds[rounds.len() / 2];
    let (best, worst) = (rounds[0].nanos_per_packet(), rounds[rounds.len() - 1].nanos_per_packet());
    let allocations: u64 = rounds.iter().map(|round| round.allocations).sum();
    let forwarded: u64 = rounds.iter().map(|round| round.forwarded).sum();
    let runs = median.forwarded as f64 / median.transmits as f64;
    println!(
        "1 -> {subscribers}: {:.0} ns per forwarded packet (best round {best:.0}, worst {worst:.0}), {runs:.1} packets per transmit",
        median.nanos_per_packet(),
    );
    if subscribers == 20 {
        println!("FIGURE forward_ns_per_packet {:.0} ns", median.nanos_per_packet());
        println!(
            "FIGURE forward_allocations_per_packet {:.4} allocations",
            allocations as f64 / forwarded as f64
        );
    }
}

/// Runs `work` and says how long it took and how often it allocated.
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration, u64) {
    let allocations = allocation::count();
    let start = Instant::now();
    let result = work();
    (result, start.elapsed(), allocation::count() - allocations)
}
