//! Those at the door who have not said what they want: so many in all, and so many from one source.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// In all. Each holds up to 20 KB while a TLS handshake is under way.
const PLACES: usize = 4_096;
/// From one source. A greeting takes a round trip or two, so this is not how many a large office may have connected.
const PLACES_PER_SOURCE: usize = 256;

/// Counts those at the door. Clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct Crowd(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// One of those at the door, until dropped.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Crowd,
    source: IpAddr,
}

impl Crowd {
    /// A place for somebody, if there is one.
    pub(super) fn enter(&self, from: IpAddr) -> Option<Place> {
        let source = source(from);
        let mut counts = self.counts();
        let here = counts.by_source.get(&source).copied().unwrap_or_default();
        if counts.all >= PLACES || here >= PLACES_PER_SOURCE {
            return None;
        }
        counts.all += 1;
        counts.by_source.insert(source, here + 1);
        Some(Place { crowd: self.clone(), source })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.crowd.counts();
        counts.all = counts.all.saturating_sub(1);
        match counts.by_source.get_mut(&self.source) {
            Some(here) if *here > 1 => *here -= 1,
            _ => drop(counts.by_source.remove(&self.source)),
        }
    }
}

/// Who is one and the same: an IPv4 address, or an IPv6 network of 64 bits.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_leaves_room_for_others_and_nothing_is_remembered() {
        let crowd = Crowd::default();
        let from = |last: u8| IpAddr::from([192, 0, 2, last]);
        let mut places: Vec<_> = (0..1_000).map_while(|_| crowd.enter(from(1))).collect();
        assert_eq!(places.len(), PLACES_PER_SOURCE);
        let other = crowd.enter(from(2));
        assert!(other.is_some());
        places.pop();
        assert!(crowd.enter(from(1)).is_some());
        drop((places, other));
        let counts = crowd.counts();
        assert!(counts.all == 0 && counts.by_source.is_empty());
    }

    #[test]
    fn there_is_an_end_in_all() {
        let crowd = Crowd::default();
        let places: Vec<_> = (0..20_000u32).filter_map(|n| crowd.enter(n.to_be_bytes().into())).collect();
        assert_eq!(places.len(), PLACES);
    }
}
