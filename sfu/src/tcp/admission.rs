//! Who may connect: bounds on connections, per source and in all, and the time that strangers have.
//!
//! A stranger is a connection on which nobody has authenticated himself. Anybody can open one, so they are few, they live
//! for seconds, and when their places are taken, the newest takes that of the oldest: whoever is honest authenticates within a
//! round trip. Pure: keys and times in, decisions out.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// How many, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Connections in all. Cost of raising: a file descriptor each, some KiB, and up to 640 KiB while its peer is slow.
    pub(crate) connections: usize,
    /// Connections from one source: a large office behind one address has to fit.
    pub(crate) connections_per_source: usize,
    /// Strangers in all.
    pub(crate) strangers: usize,
    /// Strangers from one source.
    pub(crate) strangers_per_source: usize,
    /// How long a stranger may stay one.
    pub(crate) stranger_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4_096,
            connections_per_source: 512,
            strangers: 512,
            strangers_per_source: 64,
            stranger_time: Duration::from_secs(5),
        }
    }
}

/// Names one connection for good, unlike its place in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entrant {
    /// Its place in the table.
    pub(crate) key: usize,
    /// How many came before it.
    pub(crate) number: u64,
}

/// Counts and waiting list.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: Limits,
    sources: HashMap<IpAddr, Presence>,
    connections: usize,
    strangers: usize,
    /// The oldest first. Those that are strangers no longer, or gone, are skipped when their turn comes.
    waiting: VecDeque<(Instant, Entrant)>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Presence {
    connections: usize,
    strangers: usize,
}

impl Admission {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, sources: HashMap::new(), connections: 0, strangers: 0, waiting: VecDeque::new() }
    }

    /// Whether one more may come from here. If so, it is counted as a stranger.
    pub(crate) fn admit(&mut self, from: IpAddr) -> bool {
        let presence = self.sources.get(&source(from)).copied().unwrap_or_default();
        if self.connections >= self.limits.connections
            || presence.connections >= self.limits.connections_per_source
            || presence.strangers >= self.limits.strangers_per_source
        {
            return false;
        }
        let presence = self.sources.entry(source(from)).or_default();
        presence.connections += 1;
        presence.strangers += 1;
        self.connections += 1;
        self.strangers += 1;
        true
    }

    /// Starts the time of a stranger that was admitted.
    pub(crate) fn watch(&mut self, now: Instant, entrant: Entrant) {
        self.waiting.push_back((now + self.limits.stranger_time, entrant));
    }

    /// A stranger has become known.
    pub(crate) fn recognise(&mut self, from: IpAddr) {
        self.strangers = self.strangers.saturating_sub(1);
        if let Some(presence) = self.sources.get_mut(&source(from)) {
            presence.strangers = presence.strangers.saturating_sub(1);
        }
    }

    /// A connection has ended.
    pub(crate) fn leave(&mut self, from: IpAddr, is_stranger: bool) {
        if is_stranger {
            self.recognise(from);
        }
        self.connections = self.connections.saturating_sub(1);
        if let Some(presence) = self.sources.get_mut(&source(from)) {
            presence.connections = presence.connections.saturating_sub(1);
            if presence.connections == 0 {
                self.sources.remove(&source(from));
            }
        }
    }

    /// The next stranger whose time is up, or whose place is needed. `is_stranger` says whether an entrant still is one.
    pub(crate) fn expire(&mut self, now: Instant, is_stranger: impl Fn(Entrant) -> bool) -> Option<Entrant> {
        while let Some(&(deadline, entrant)) = self.waiting.front() {
            let is_due = deadline <= now || self.strangers > self.limits.strangers;
            let is_one = is_stranger(entrant);
            if is_one && !is_due {
                return None;
            }
            self.waiting.pop_front();
            if is_one {
                return Some(entrant);
            }
        }
        None
    }

    /// When the next stranger's time is up, or what was one when it came.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.waiting.front().map(|(deadline, _)| *deadline)
    }

    /// Connections there are now.
    pub(crate) fn connections(&self) -> usize {
        self.connections
    }
}

/// Who is one and the same: an IPv4 address, or an IPv6 network of 64 bits, which is the least that a customer gets
/// (RFC 6177).
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        connections: 10,
        connections_per_source: 4,
        strangers: 5,
        strangers_per_source: 3,
        stranger_time: Duration::from_secs(5),
    };

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn one_source_has_an_end_and_does_not_keep_others_out() {
        let mut admission = Admission::new(LIMITS);
        assert_eq!((0..9).filter(|_| admission.admit(ip(1))).count(), 3);
        admission.recognise(ip(1));
        assert_eq!((0..9).filter(|_| admission.admit(ip(1))).count(), 1, "known ones count, too");
        assert!(admission.admit(ip(2)));
        admission.leave(ip(1), false);
        assert!(!admission.admit(ip(1)), "three strangers are still there");
        admission.leave(ip(1), true);
        assert!(admission.admit(ip(1)));
    }

    #[test]
    fn there_is_an_end_in_all() {
        let mut admission = Admission::new(LIMITS);
        let admitted = (0..99).filter(|n| admission.admit(ip(*n))).inspect(|_| {}).count();
        assert_eq!(admitted, LIMITS.connections);
        for n in 0..10 {
            admission.leave(ip(n), true);
        }
        assert_eq!(admission.connections(), 0);
        assert!(admission.sources.is_empty(), "nothing is remembered of who is gone");
    }

    #[test]
    fn a_whole_ipv6_network_is_one_source() {
        let mut admission = Admission::new(LIMITS);
        let at = |host: u16| IpAddr::from([0x2001, 0xdb8, 1, 2, 0, 0, 0, host]);
        assert_eq!((0..9).filter(|n| admission.admit(at(*n))).count(), 3);
        assert!(admission.admit("2001:db8:1:3::1".parse().expect("an address")));
        assert_eq!(source("::ffff:192.0.2.7".parse().expect("an address")), ip(7));
    }

    #[test]
    fn strangers_leave_in_time_and_make_room_for_newer_ones() {
        let start = Instant::now();
        let mut admission = Admission::new(LIMITS);
        for key in 0..6 {
            assert!(admission.admit(ip(key as u8)));
            admission.watch(start + Duration::from_secs(key as u64), Entrant { key, number: 0 });
        }
        let all = |_: Entrant| true;
        assert_eq!(admission.expire(start, all).map(|it| it.key), Some(0), "six strangers are one too many");
        admission.leave(ip(0), true);
        assert_eq!(admission.expire(start, all), None);
        assert_eq!(admission.deadline(), Some(start + Duration::from_secs(6)));
        let due = start + Duration::from_secs(7);
        assert_eq!(admission.expire(due, |it| it.key != 1).map(|it| it.key), Some(2), "1 is known by now");
        assert_eq!(admission.expire(due, all), None);
    }
}
