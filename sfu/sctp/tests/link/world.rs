//! Two associations, and what is on its way between them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use patchbay_sctp::{Association, Config, Event, Limit, Message, ppid};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

pub(crate) const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// What a link does to packets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link {
    pub(crate) delay: Duration,
    pub(crate) jitter: Duration,
    pub(crate) loss: f64,
    pub(crate) repetition: f64,
}

pub(crate) const CLEAN: Link =
    Link { delay: Duration::from_millis(10), jitter: Duration::ZERO, loss: 0.0, repetition: 0.0 };

/// Both ends and what is on its way between them.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) start: Instant,
    random: StdRng,
    pub(crate) link: Link,
    pub(crate) ends: [Association; 2],
    /// By arrival: to whom, and what.
    pub(crate) packets: BTreeMap<(Instant, u64), (usize, Bytes)>,
    count: u64,
    sent: [usize; 2],
    pub(crate) events: [Vec<Event>; 2],
}

impl World {
    pub(crate) fn new(seed: u64, link: Link, receive_windows: [u32; 2]) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut end = |receive_window| {
            Association::new(Config {
                receive_window,
                max_streams: 1024,
                max_message_bytes: MAX_MESSAGE_BYTES,
                tag: random.random_range(1..=u32::MAX),
                // Near the end of the numbers, so that they wrap.
                first_tsn: u32::MAX - random.random_range(0..200),
                secret: random.random(),
            })
        };
        let ends = receive_windows.map(&mut end);
        let now = Instant::now();
        Self {
            now,
            start: now,
            random,
            link,
            ends,
            packets: BTreeMap::new(),
            count: 0,
            sent: [0; 2],
            events: [Vec::new(), Vec::new()],
        }
    }

    /// Connected, with one end beginning, or both.
    pub(crate) fn up(seed: u64, link: Link, both: bool) -> Self {
        let mut world = Self::new(seed, link, [1024 * 1024; 2]);
        world.connect(both);
        world
    }

    /// Connects, with one end beginning, or both.
    pub(crate) fn connect(&mut self, both: bool) {
        self.ends[0].connect();
        if both {
            self.ends[1].connect();
        }
        self.run_until(Duration::from_secs(60), |it| it.ends.iter().all(Association::is_up));
    }

    pub(crate) fn flush(&mut self) {
        for (at, end) in self.ends.iter_mut().enumerate() {
            while let Some(packet) = end.poll_transmit(self.now) {
                self.sent[at] += 1;
                let copies = 1 + usize::from(self.random.random_bool(self.link.repetition));
                for _ in 0..copies {
                    if self.random.random_bool(self.link.loss) {
                        continue;
                    }
                    let jitter = self.link.jitter.mul_f64(self.random.random());
                    self.count += 1;
                    self.packets
                        .insert((self.now + self.link.delay + jitter, self.count), (1 - at, packet.clone()));
                }
            }
            self.events[at].extend(std::iter::from_fn(|| end.poll_event()));
        }
    }

    /// One step: to the next packet or the next timer. Says whether there was one.
    pub(crate) fn step(&mut self) -> bool {
        self.flush();
        let timers = self.ends.iter().filter_map(Association::deadline);
        let Some(next) = timers.chain(self.packets.keys().next().map(|it| it.0)).min() else { return false };
        self.now = self.now.max(next);
        while let Some(entry) = self.packets.first_entry().filter(|it| it.key().0 <= self.now) {
            let (to, packet) = entry.remove();
            self.ends[to].handle(self.now, &packet);
        }
        for end in &mut self.ends {
            if end.deadline().is_some_and(|due| due <= self.now) {
                end.handle_timeout(self.now);
            }
        }
        self.flush();
        true
    }

    pub(crate) fn run_until(&mut self, at_most: Duration, mut done: impl FnMut(&Self) -> bool) {
        let end = self.now + at_most;
        while !done(self) {
            assert!(self.step(), "nothing happens any more");
            assert!(self.now < end, "after {:?}: {:?}", self.now - self.start, self.ends[0]);
        }
    }

    /// Runs for some time.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            self.flush();
            let timers = self.ends.iter().filter_map(Association::deadline);
            let next = timers.chain(self.packets.keys().next().map(|it| it.0)).min();
            if next.is_none_or(|next| next > until) {
                break;
            }
            self.step();
        }
        self.now = until;
    }

    /// Runs until nothing is on its way and no timer is set.
    pub(crate) fn settle(&mut self) {
        let end = self.now + Duration::from_secs(120);
        while self.step() {
            assert!(self.now < end, "it does not come to rest: {:?}", self.ends);
        }
    }

    /// Bytes that an end was told of as arrived or given up.
    pub(crate) fn released_bytes(&self, at: usize) -> usize {
        let of = |it: &Event| if let Event::Released { bytes, .. } = it { *bytes } else { 0 };
        self.events[at].iter().map(of).sum()
    }

    pub(crate) fn messages(&self, at: usize) -> Vec<(u16, Bytes)> {
        let of = |it: &Event| match it {
            Event::Message { stream, payload, .. } => Some((*stream, payload.clone())),
            _ => None,
        };
        self.events[at].iter().filter_map(of).collect()
    }
}

pub(crate) fn message(stream: u16, payload: impl Into<Bytes>, is_ordered: bool, limit: Limit) -> Message {
    Message { stream, ppid: ppid::BINARY, payload: payload.into(), is_ordered, limit }
}
