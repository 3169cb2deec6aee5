//! What a data channel message costs: `cargo bench --package patchbay-sfu-core --bench data`.
//!
//! Two ends in one process, SCTP in DTLS, no sockets and no loss. Told apart are the sender (queue, SCTP, encryption), the
//! receiver (decryption, guard, SCTP, message) and what the SACKs cost both. Lone messages are flushed one by one, batches are
//! queued together, as what a worker relays between two looks at its sockets. Printed are medians over rounds.

#![allow(clippy::disallowed_methods, reason = "what is measured here is real time")]

#[path = "../forward/allocation.rs"]
mod allocation;
mod ends;

use std::time::Duration;

use bytes::Bytes;
use patchbay_sfu_core::transport::Reliability;

use ends::Ends;

const ROUNDS: usize = 11;

/// What to send.
struct Load {
    name: &'static str,
    bytes: usize,
    /// Messages that are queued together.
    batch: usize,
    /// Batches in a round.
    count: usize,
    reliability: Reliability,
    has_dtls: bool,
}

/// What a round cost.
#[derive(Debug, Default, Clone, Copy)]
struct Cost {
    sender: Duration,
    receiver: Duration,
    acknowledgements: Duration,
    packets: u64,
    allocations: u64,
}

impl Cost {
    fn total(&self) -> Duration {
        self.sender + self.receiver + self.acknowledgements
    }
}

fn main() {
    let small = |name, batch, reliability| Load {
        name,
        bytes: 100,
        batch,
        count: 2_000,
        reliability,
        has_dtls: true,
    };
    let unreliable = Reliability::MaxRetransmits(0);
    let loads = [
        small("reliable_100", 1, Reliability::Reliable),
        small("reliable_100_by_10", 10, Reliability::Reliable),
        small("unreliable_100", 1, unreliable),
        small("unreliable_100_by_10", 10, unreliable),
        Load { has_dtls: false, ..small("unreliable_100_sctp", 1, unreliable) },
        Load { has_dtls: false, ..small("unreliable_100_by_10_sctp", 10, unreliable) },
        Load { bytes: 1_100, ..small("unreliable_1100", 1, unreliable) },
        Load { bytes: 16 * 1024, count: 500, ..small("reliable_16k_by_4", 4, Reliability::Reliable) },
        Load {
            bytes: 16 * 1024,
            count: 500,
            has_dtls: false,
            ..small("reliable_16k_by_4_sctp", 4, Reliability::Reliable)
        },
        Load { bytes: 256 * 1024, count: 50, ..small("reliable_256k", 1, Reliability::Reliable) },
    ];
    for load in loads {
        measure(&load);
    }
}

fn measure(load: &Load) {
    let mut ends = Ends::connect(load.reliability, load.has_dtls);
    let message = Bytes::from(vec![7; load.bytes]);
    let mut round = || {
        let mut cost = Cost::default();
        for _ in 0..load.count {
            ends.exchange(&message, load.batch, &mut cost);
        }
        cost
    };
    round();
    let mut rounds: Vec<Cost> = (0..ROUNDS).map(|_| round()).collect();
    rounds.sort_by_key(Cost::total);
    let median = rounds[ROUNDS / 2];
    let messages = (load.count * load.batch) as f64;
    let nanos = |time: Duration| time.as_nanos() as f64 / messages;
    let rate = messages * load.bytes as f64 / median.total().as_secs_f64() / 1e6;
    println!(
        "{}: {:.0} ns per message (sender {:.0}, receiver {:.0}, SACKs {:.0}), {:.2} packets and {:.1} allocations per message, \
         {rate:.0} MB/s",
        load.name,
        nanos(median.total()),
        nanos(median.sender),
        nanos(median.receiver),
        nanos(median.acknowledgements),
        median.packets as f64 / messages,
        median.allocations as f64 / messages,
    );
    println!("FIGURE data_{}_ns {:.0} ns", load.name, nanos(median.total()));
    if load.bytes > 10_000 {
        println!("FIGURE data_{}_rate {rate:.1} MB/s", load.name);
    }
}
