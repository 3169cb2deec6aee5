//! Who wants what, in *interest* mode: receivers by cell, by key and by prefix.

use std::collections::BTreeMap;

use patchbay_frame::{Area, Cell, Filter};

use super::limit::INDEXED_CELLS;

/// One filter of one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    Key(Box<str>),
    Prefix(Box<str>),
    Area {
        area: Area,
        /// Whether its cells are in the index; if not, every message is compared with it.
        is_indexed: bool,
    },
}

/// The filters of one channel.
#[derive(Debug, Default)]
pub(super) struct Wants {
    list: Vec<Wanted>,
    indexed_cells: u64,
}

/// The filters of all channels of a topic, for finding the receivers of a message without asking each.
#[derive(Debug, Default)]
pub(super) struct Interest {
    cells: BTreeMap<Cell, Vec<u32>>,
    areas: Vec<(Area, u32)>,
    keys: BTreeMap<Box<str>, Vec<u32>>,
    prefixes: Vec<(Box<str>, u32)>,
}

impl Wants {
    /// Whether one of the filters matches.
    pub(super) fn matches(&self, key: &str, cell: Option<Cell>) -> bool {
        self.list.iter().any(|wanted| match wanted {
            Wanted::Key(wanted) => **wanted == *key,
            Wanted::Prefix(prefix) => key.starts_with(&**prefix),
            Wanted::Area { area, .. } => cell.is_some_and(|cell| area.contains(cell)),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Adds a filter for a channel, unless it is there.
    pub(super) fn add(&mut self, filter: Filter<'_>, channel: u32, interest: &mut Interest) {
        if self.position(filter).is_some() {
            return;
        }
        let wanted = match filter {
            Filter::Key(key) => Wanted::Key(key.into()),
            Filter::Prefix(prefix) => Wanted::Prefix(prefix.into()),
            Filter::Area(area) => {
                let cells = area.cells();
                let is_indexed = self.indexed_cells.saturating_add(cells) <= INDEXED_CELLS;
                self.indexed_cells += if is_indexed { cells } else { 0 };
                Wanted::Area { area, is_indexed }
            }
        };
        interest.add(&wanted, channel);
        self.list.push(wanted);
    }

    /// Takes a filter away from a channel.
    pub(super) fn remove(&mut self, filter: Filter<'_>, channel: u32, interest: &mut Interest) {
        if let Some(at) = self.position(filter) {
            let wanted = self.list.remove(at);
            self.forget(&wanted, channel, interest);
        }
    }

    /// Takes all filters away from a channel.
    pub(super) fn clear(&mut self, channel: u32, interest: &mut Interest) {
        for wanted in std::mem::take(&mut self.list) {
            self.forget(&wanted, channel, interest);
        }
    }

    fn forget(&mut self, wanted: &Wanted, channel: u32, interest: &mut Interest) {
        if let Wanted::Area { area, is_indexed: true } = wanted {
            self.indexed_cells = self.indexed_cells.saturating_sub(area.cells());
        }
        interest.remove(wanted, channel);
    }

    fn position(&self, filter: Filter<'_>) -> Option<usize> {
        self.list.iter().position(|wanted| match (wanted, filter) {
            (Wanted::Key(wanted), Filter::Key(key)) => **wanted == *key,
            (Wanted::Prefix(wanted), Filter::Prefix(prefix)) => **wanted == *prefix,
            (Wanted::Area { area, .. }, Filter::Area(other)) => *area == other,
            _ => false,
        })
    }
}

impl Interest {
    /// Calls back for each channel with a filter that matches; for one with several, perhaps more than once.
    pub(super) fn find(&self, key: &str, cell: Option<Cell>, mut found: impl FnMut(u32)) {
        if let Some(cell) = cell {
            self.find_cell(cell, &mut found);
        }
        if let Some(channels) = self.keys.get(key) {
            channels.iter().for_each(|channel| found(*channel));
        }
        let by_prefix = self.prefixes.iter().filter(|(prefix, _)| key.starts_with(&**prefix));
        by_prefix.for_each(|(_, channel)| found(*channel));
    }

    /// The same for a cell alone.
    pub(super) fn find_cell(&self, cell: Cell, mut found: impl FnMut(u32)) {
        if let Some(channels) = self.cells.get(&cell) {
            channels.iter().for_each(|channel| found(*channel));
        }
        let by_area = self.areas.iter().filter(|(area, _)| area.contains(cell));
        by_area.for_each(|(_, channel)| found(*channel));
    }

    fn add(&mut self, wanted: &Wanted, channel: u32) {
        match wanted {
            Wanted::Key(key) => self.keys.entry(key.clone()).or_default().push(channel),
            Wanted::Prefix(prefix) => self.prefixes.push((prefix.clone(), channel)),
            Wanted::Area { area, is_indexed: true } => {
                for cell in cells(*area) {
                    self.cells.entry(cell).or_default().push(channel);
                }
            }
            Wanted::Area { area, is_indexed: false } => self.areas.push((*area, channel)),
        }
    }

    fn remove(&mut self, wanted: &Wanted, channel: u32) {
        match wanted {
            Wanted::Key(key) => {
                if let Some(channels) = self.keys.get_mut(key) {
                    remove_one(channels, |known| *known == channel);
                    if channels.is_empty() {
                        self.keys.remove(key);
                    }
                }
            }
            Wanted::Prefix(prefix) => {
                remove_one(&mut self.prefixes, |(known, owner)| known == prefix && *owner == channel);
            }
            Wanted::Area { area, is_indexed: true } => {
                for cell in cells(*area) {
                    if let Some(channels) = self.cells.get_mut(&cell) {
                        remove_one(channels, |known| *known == channel);
                        if channels.is_empty() {
                            self.cells.remove(&cell);
                        }
                    }
                }
            }
            Wanted::Area { area, is_indexed: false } => {
                remove_one(&mut self.areas, |(known, owner)| known == area && *owner == channel);
            }
        }
    }
}

fn cells(area: Area) -> impl Iterator<Item = Cell> {
    (area.from.x..=area.to.x).flat_map(move |x| (area.from.y..=area.to.y).map(move |y| Cell { x, y }))
}

fn remove_one<T>(list: &mut Vec<T>, is_it: impl FnMut(&T) -> bool) {
    if let Some(at) = list.iter().position(is_it) {
        list.swap_remove(at);
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn random_filter(rng: &mut StdRng) -> Wanted {
        let text = "aabab".get(..rng.random_range(0..=3)).unwrap();
        match rng.random_range(0..4) {
            0 => Wanted::Key(text.into()),
            1 => Wanted::Prefix(text.into()),
            _ => {
                let from = Cell { x: rng.random_range(-20..20), y: rng.random_range(-20..20) };
                let side = if rng.random_bool(0.1) { 60 } else { 6 };
                let to =
                    Cell { x: from.x + rng.random_range(0..side), y: from.y + rng.random_range(0..side) };
                Wanted::Area { area: Area { from, to }, is_indexed: false }
            }
        }
    }

    fn filter(wanted: &Wanted) -> Filter<'_> {
        match wanted {
            Wanted::Key(key) => Filter::Key(key),
            Wanted::Prefix(prefix) => Filter::Prefix(prefix),
            Wanted::Area { area, .. } => Filter::Area(*area),
        }
    }

    #[test]
    fn the_index_finds_whom_comparing_finds() {
        let mut rng = StdRng::seed_from_u64(17);
        let mut interest = Interest::default();
        let mut all: Vec<Wants> = (0..40).map(|_| Wants::default()).collect();
        let mut hits = 0;
        for _ in 0..4_000 {
            let channel = rng.random_range(0..all.len());
            let chosen = random_filter(&mut rng);
            match rng.random_range(0..10) {
                0 => all[channel].clear(channel as u32, &mut interest),
                1..4 => {
                    let known = all[channel].list.first().cloned().unwrap_or(chosen);
                    all[channel].remove(filter(&known), channel as u32, &mut interest);
                }
                _ => all[channel].add(filter(&chosen), channel as u32, &mut interest),
            }
            let key = "aabab".get(..rng.random_range(0..=4)).unwrap();
            let cell = Cell { x: rng.random_range(-25..30), y: rng.random_range(-25..30) };
            let cell = rng.random_bool(0.8).then_some(cell);
            let mut found = Vec::new();
            interest.find(key, cell, |channel| found.push(channel as usize));
            found.sort_unstable();
            found.dedup();
            let compared: Vec<_> = (0..all.len()).filter(|at| all[*at].matches(key, cell)).collect();
            assert_eq!(found, compared);
            hits += found.len();
        }
        assert!(hits > 4_000);
        for (channel, wants) in all.iter_mut().enumerate() {
            wants.clear(channel as u32, &mut interest);
            assert_eq!((wants.len(), wants.indexed_cells), (0, 0));
        }
        assert!(interest.cells.is_empty() && interest.areas.is_empty());
        assert!(interest.keys.is_empty() && interest.prefixes.is_empty());
    }

    #[test]
    fn large_rectangles_are_compared() {
        let mut interest = Interest::default();
        let mut wants = Wants::default();
        let (least, most) = (Cell { x: i16::MIN, y: i16::MIN }, Cell { x: i16::MAX, y: i16::MAX });
        wants.add(Filter::Area(Area { from: least, to: most }), 3, &mut interest);
        assert!(interest.cells.is_empty());
        let mut found = Vec::new();
        interest.find("", Some(most), |channel| found.push(channel));
        assert_eq!(found, [3]);
    }
}
