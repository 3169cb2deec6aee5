//! Names of things within one router: an index for speed, and a serial number so that an old name finds nothing.

use slab::Slab;

/// A member of the room: one transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct MemberKey(Key);

/// A track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TrackKey(Key);

/// A slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SlotKey(Key);

impl TrackKey {
    /// The place in the table, for lists that lie beside it.
    pub(crate) fn index(self) -> usize {
        self.0.index as usize
    }
}

/// Index and serial number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    index: u32,
    serial: u32,
}

/// A key of one kind of thing.
pub(crate) trait TypedKey: Copy {
    fn from_key(key: Key) -> Self;
    fn key(self) -> Key;
}

macro_rules! typed_key {
    ($($name:ident),*) => {$(
        impl TypedKey for $name {
            fn from_key(key: Key) -> Self {
                Self(key)
            }

            fn key(self) -> Key {
                self.0
            }
        }
    )*};
}

typed_key!(MemberKey, TrackKey, SlotKey);

/// Things of one kind, by key. Iteration is by index, so it is the same on every run.
#[derive(Debug)]
pub(crate) struct Table<K, T> {
    entries: Slab<(u32, T)>,
    next_serial: u32,
    key: std::marker::PhantomData<K>,
}

impl<K: TypedKey, T> Table<K, T> {
    pub(crate) fn new() -> Self {
        Self { entries: Slab::new(), next_serial: 0, key: std::marker::PhantomData }
    }

    pub(crate) fn insert(&mut self, thing: T) -> K {
        let serial = self.next_serial;
        self.next_serial = serial.wrapping_add(1);
        let index = self.entries.insert((serial, thing)) as u32;
        K::from_key(Key { index, serial })
    }

    #[inline]
    pub(crate) fn get(&self, key: K) -> Option<&T> {
        let Key { index, serial } = key.key();
        self.entries.get(index as usize).filter(|(found, _)| *found == serial).map(|(_, thing)| thing)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: K) -> Option<&mut T> {
        let Key { index, serial } = key.key();
        self.entries.get_mut(index as usize).filter(|(found, _)| *found == serial).map(|(_, thing)| thing)
    }

    pub(crate) fn remove(&mut self, key: K) -> Option<T> {
        self.get(key)?;
        self.entries.try_remove(key.key().index as usize).map(|(_, thing)| thing)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        self.entries.iter().map(|(index, (serial, thing))| {
            (K::from_key(Key { index: index as u32, serial: *serial }), thing)
        })
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (K, &mut T)> {
        self.entries.iter_mut().map(|(index, (serial, thing))| {
            (K::from_key(Key { index: index as u32, serial: *serial }), thing)
        })
    }

    /// All keys lie at indices below this.
    pub(crate) fn end(&self) -> usize {
        self.entries.iter().next_back().map_or(0, |(index, _)| index + 1)
    }

    /// The key of what lies at an index, so that the table can be changed while walking it.
    pub(crate) fn key_at(&self, index: usize) -> Option<K> {
        let (serial, _) = self.entries.get(index)?;
        Some(K::from_key(Key { index: index as u32, serial: *serial }))
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_key_finds_nothing_in_a_place_used_again() {
        let mut table: Table<SlotKey, &str> = Table::new();
        let first = table.insert("first");
        assert_eq!(table.remove(first), Some("first"));
        let second = table.insert("second");
        assert_eq!((table.get(first), table.get(second)), (None, Some(&"second")));
        assert_eq!(table.remove(first), None);
        assert_eq!(table.len(), 1);
    }
}
