//! The values that a topic keeps: the newest of each sender and key, as the frame that tells it.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use patchbay_frame::Cell;
use slab::Slab;

use super::limit;

/// One value.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) sender: u32,
    pub(super) key: Box<str>,
    pub(super) cell: Option<Cell>,
    /// The message that tells it: encoded once, the same for every receiver. Of an ended value: its tombstone.
    pub(super) frame: Bytes,
    pub(super) sequence: u32,
    pub(super) updated: Instant,
    pub(super) has_ended: bool,
    /// Channels that have it on their lists.
    pub(super) owed: u32,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Store {
    values: Slab<Value>,
    index: BTreeMap<u32, BTreeMap<Box<str>, u32>>,
    bytes: usize,
    ended: usize,
}

/// There is no room for another value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StoreFull;

/// What a stored value replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) id: u32,
    /// Where the value was before, if it had a cell and lived.
    pub(super) former_cell: Option<Cell>,
}

/// Bytes that a value costs beside its key and frame.
const OVERHEAD_BYTES: usize = 150;

impl Store {
    #[inline]
    pub(super) fn get(&self, id: u32) -> Option<&Value> {
        self.values.get(id as usize)
    }

    /// Living values in the order of their ids.
    pub(super) fn living(&self) -> impl Iterator<Item = (u32, &Value)> {
        let living = self.values.iter().filter(|(_, value)| !value.has_ended);
        living.map(|(id, value)| (id as u32, value))
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// Ended values that somebody has yet to be told of.
    pub(super) fn ended(&self) -> usize {
        self.ended
    }

    /// The living value of a sender and key.
    pub(super) fn find(&self, sender: u32, key: &str) -> Option<u32> {
        let id = *self.index.get(&sender)?.get(key)?;
        self.get(id).filter(|value| !value.has_ended).map(|_| id)
    }

    /// Whether anything is kept of a sender.
    pub(super) fn holds_of(&self, sender: u32) -> bool {
        self.index.contains_key(&sender)
    }

    /// The living values of a sender.
    pub(super) fn of_sender(&self, sender: u32) -> Vec<u32> {
        let ids = self.index.get(&sender).into_iter().flat_map(BTreeMap::values).copied();
        ids.filter(|id| self.get(*id).is_some_and(|value| !value.has_ended)).collect()
    }

    /// Makes this the value of its sender and key.
    ///
    /// # Errors
    /// [`StoreFull`] if there is none yet and no room for it.
    pub(super) fn put(
        &mut self,
        now: Instant,
        sender: u32,
        key: &str,
        sequence: u32,
        cell: Option<Cell>,
        frame: &Bytes,
    ) -> Result<Stored, StoreFull> {
        let of_sender = self.index.get(&sender);
        if let Some(&id) = of_sender.and_then(|keys| keys.get(key)) {
            let Some(value) = self.values.get_mut(id as usize) else { return Err(StoreFull) };
            if self.bytes - value.frame.len() + frame.len() > limit::VALUE_BYTES {
                return Err(StoreFull);
            }
            self.bytes = self.bytes - value.frame.len() + frame.len();
            self.ended -= usize::from(value.has_ended);
            let former_cell = value.cell.filter(|_| !value.has_ended);
            (value.cell, value.sequence, value.updated, value.has_ended) = (cell, sequence, now, false);
            value.frame = frame.clone();
            return Ok(Stored { id, former_cell });
        }
        let cost = OVERHEAD_BYTES + 2 * key.len() + frame.len();
        if self.values.len() >= limit::VALUES
            || of_sender.is_some_and(|keys| keys.len() >= limit::PARTICIPANT_VALUES)
            || self.bytes + cost > limit::VALUE_BYTES
        {
            return Err(StoreFull);
        }
        self.bytes += cost;
        let id = self.values.insert(Value {
            sender,
            key: key.into(),
            cell,
            frame: frame.clone(),
            sequence,
            updated: now,
            has_ended: false,
            owed: 0,
        }) as u32;
        self.index.entry(sender).or_default().insert(key.into(), id);
        Ok(Stored { id, former_cell: None })
    }

    /// Ends a value: its frame is the tombstone from now on. It goes when nobody is owed it any more.
    pub(super) fn end(&mut self, id: u32, tombstone: Bytes) {
        let Some(value) = self.values.get_mut(id as usize) else { return };
        self.ended += usize::from(!value.has_ended);
        self.bytes = self.bytes - value.frame.len() + tombstone.len();
        (value.has_ended, value.frame) = (true, tombstone);
    }

    /// So many more channels have it on their lists.
    #[inline]
    pub(super) fn owe(&mut self, id: u32, channels: u32) {
        if let Some(value) = self.values.get_mut(id as usize) {
            value.owed += channels;
        }
    }

    /// A channel has one less on its list.
    pub(super) fn settle(&mut self, id: u32) {
        if let Some(value) = self.values.get_mut(id as usize) {
            value.owed = value.owed.saturating_sub(1);
            self.collect(id);
        }
    }

    /// Lets go of an ended value that nobody is owed.
    pub(super) fn collect(&mut self, id: u32) {
        if !self.values.get(id as usize).is_some_and(|value| value.has_ended && value.owed == 0) {
            return;
        }
        let Some(value) = self.values.try_remove(id as usize) else { return };
        self.ended -= 1;
        self.bytes -= OVERHEAD_BYTES + 2 * value.key.len() + value.frame.len();
        if let Some(keys) = self.index.get_mut(&value.sender) {
            keys.remove(&value.key);
            if keys.is_empty() {
                self.index.remove(&value.sender);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(
        store: &mut Store,
        now: Instant,
        sender: u32,
        key: &str,
        bytes: usize,
    ) -> Result<Stored, StoreFull> {
        store.put(now, sender, key, 1, None, &Bytes::from(vec![0; bytes]))
    }

    #[test]
    fn memory_is_bounded() {
        let now = Instant::now();
        let mut store = Store::default();
        let count = |store: &mut Store, sender| {
            (0..20_000).filter(|key| put(store, now, sender, &key.to_string(), 10).is_ok()).count()
        };
        assert_eq!(count(&mut store, 1), limit::PARTICIPANT_VALUES);
        assert_eq!((2..8).map(|sender| count(&mut store, sender)).sum::<usize>(), limit::VALUES - 4_096);
        assert!(put(&mut store, now, 1, "7", 20).is_ok(), "a value that is there can be renewed");
        assert_eq!(put(&mut store, now, 1, "7", limit::VALUE_BYTES), Err(StoreFull));
        for sender in 1..8 {
            for id in store.of_sender(sender) {
                store.end(id, Bytes::new());
                store.collect(id);
            }
        }
        assert_eq!((store.len(), store.bytes, store.ended, store.index.len()), (0, 0, 0, 0));
        let large = (0..1_000).filter(|key| put(&mut store, now, 1, &key.to_string(), 100_000).is_ok());
        assert_eq!(large.count(), limit::VALUE_BYTES / 100_200);
    }

    #[test]
    fn an_ended_value_stays_until_nobody_is_owed_it() {
        let now = Instant::now();
        let mut store = Store::default();
        let id = put(&mut store, now, 1, "a", 10).unwrap().id;
        store.owe(id, 2);
        store.end(id, Bytes::from_static(b"gone"));
        store.collect(id);
        assert_eq!((store.find(1, "a"), store.len(), store.ended()), (None, 1, 1));
        store.settle(id);
        assert_eq!(put(&mut store, now, 1, "a", 5).unwrap().id, id, "it lives again");
        assert_eq!((store.find(1, "a"), store.ended()), (Some(id), 0));
        store.settle(id);
        store.end(id, Bytes::new());
        store.collect(id);
        assert!(!store.holds_of(1));
    }
}
