//! Places for those who are here at the same time: so many in all, and so many from one household.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Household;

/// Counts those who are here. Clones count together.
#[derive(Debug, Clone)]
pub(crate) struct Crowd {
    /// In all.
    places: usize,
    /// From one household.
    places_of_one: usize,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_household: HashMap<Household, usize>,
}

/// One of those who are here, until dropped.
#[derive(Debug)]
pub(crate) struct Place {
    crowd: Crowd,
    /// Whose count it stands in; some are counted in all only.
    household: Option<Household>,
}

impl Crowd {
    /// So many places in all, and so many for one household.
    pub(crate) fn new(places: usize, places_of_one: usize) -> Self {
        Self { places, places_of_one, counts: Arc::default() }
    }

    /// A place for somebody, if there is one.
    pub(crate) fn enter(&self, from: IpAddr) -> Option<Place> {
        let household = Household::of(from);
        let mut counts = self.counts();
        let here = counts.by_household.get(&household).copied().unwrap_or_default();
        if counts.all >= self.places || here >= self.places_of_one {
            return None;
        }
        counts.all += 1;
        counts.by_household.insert(household, here + 1);
        Some(Place { crowd: self.clone(), household: Some(household) })
    }

    /// A place for somebody who stands for many, such as a proxy.
    pub(crate) fn enter_for_many(&self) -> Option<Place> {
        let mut counts = self.counts();
        if counts.all >= self.places {
            return None;
        }
        counts.all += 1;
        Some(Place { crowd: self.clone(), household: None })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.crowd.counts();
        counts.all = counts.all.saturating_sub(1);
        let Some(household) = self.household else { return };
        match counts.by_household.get_mut(&household) {
            Some(here) if *here > 1 => *here -= 1,
            _ => drop(counts.by_household.remove(&household)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_leaves_room_for_others_and_nothing_is_remembered() {
        let crowd = Crowd::new(4_096, 256);
        let from = |last: u8| IpAddr::from([192, 0, 2, last]);
        let mut places: Vec<_> = (0..1_000).map_while(|_| crowd.enter(from(1))).collect();
        assert_eq!(places.len(), 256);
        let other = crowd.enter(from(2));
        assert!(other.is_some());
        places.pop();
        assert!(crowd.enter(from(1)).is_some());
        drop((places, other));
        let counts = crowd.counts();
        assert!(counts.all == 0 && counts.by_household.is_empty());
    }

    #[test]
    fn there_is_an_end_in_all() {
        let crowd = Crowd::new(4_096, 256);
        let mut places: Vec<_> = (0..20_000u32).filter_map(|n| crowd.enter(n.to_be_bytes().into())).collect();
        assert_eq!(places.len(), 4_096);
        assert!(crowd.enter_for_many().is_none());
        places.truncate(4_000);
        places.extend((0..200).map_while(|_| crowd.enter_for_many()));
        assert_eq!(places.len(), 4_096, "who stands for many is counted in all only");
    }
}
