//! Datagrams under way, in virtual time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::time::Instant;

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::link::{Condition, Link};

/// One datagram that arrives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Delivery {
    /// When.
    pub at: Instant,
    /// Sending order, so that equal times keep it.
    order: u64,
    /// From where.
    pub source: SocketAddr,
    /// To where.
    pub destination: SocketAddr,
    /// What.
    pub contents: Vec<u8>,
}

/// Every path between every two addresses. Paths not spoken of are perfect.
#[derive(Debug)]
pub struct Network {
    rng: StdRng,
    links: BTreeMap<(SocketAddr, SocketAddr), Link>,
    under_way: BinaryHeap<Reverse<Delivery>>,
    order: u64,
}

impl Network {
    /// An empty network, whose luck is all in `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            links: BTreeMap::new(),
            under_way: BinaryHeap::new(),
            order: 0,
        }
    }

    /// Sets what happens to datagrams from `source` to `destination` from now on.
    pub fn set(&mut self, source: SocketAddr, destination: SocketAddr, condition: Condition) {
        self.links.insert((source, destination), Link::new(condition));
    }

    /// Sends one datagram.
    pub fn send(&mut self, now: Instant, source: SocketAddr, destination: SocketAddr, contents: &[u8]) {
        let arrivals = match self.links.get_mut(&(source, destination)) {
            Some(link) => link.carry(now, contents.len(), &mut self.rng),
            None => [Some(now), None],
        };
        for at in arrivals.into_iter().flatten() {
            self.order += 1;
            let delivery =
                Delivery { at, order: self.order, source, destination, contents: contents.to_vec() };
            self.under_way.push(Reverse(delivery));
        }
    }

    /// When the next datagram arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.under_way.peek().map(|Reverse(delivery)| delivery.at)
    }

    /// The next datagram that has arrived by `now`.
    pub fn receive(&mut self, now: Instant) -> Option<Delivery> {
        self.under_way.peek().filter(|Reverse(delivery)| delivery.at <= now)?;
        self.under_way.pop().map(|Reverse(delivery)| delivery)
    }
}
