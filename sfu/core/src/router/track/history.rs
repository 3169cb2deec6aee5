//! The last packets of a track, shared by everything that may send them again.

use std::sync::Arc;

use patchbay_wire::rtp::{PayloadType, RtpTimestamp};

use crate::router::extension::Passthrough;

/// What a packet says beside its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PacketMeta {
    /// Extended sequence number at ingress.
    pub(crate) sequence: u64,
    /// Timestamp at ingress.
    pub(crate) timestamp: RtpTimestamp,
    /// Payload type at ingress.
    pub(crate) payload_type: PayloadType,
    /// Marker bit.
    pub(crate) marker: bool,
    /// Header extensions to pass on.
    pub(crate) extensions: Passthrough,
}

/// One packet of the history.
#[derive(Debug)]
pub(crate) struct Packet {
    /// All but the payload.
    pub(crate) meta: PacketMeta,
    /// The payload without padding. Counted, so that another thread may hold on to it; while nobody else does, its
    /// memory is used again for a later packet.
    pub(crate) payload: Arc<Vec<u8>>,
}

/// A ring of packets, by extended sequence number. It grows to its capacity once and allocates nothing after that.
#[derive(Debug)]
pub(crate) struct History {
    ring: Vec<Option<Packet>>,
    capacity: usize,
    highest: u64,
}

/// What came of an insertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Insertion {
    /// It was new.
    New,
    /// It is there already.
    Duplicate,
    /// It is older than anything kept.
    TooOld,
}

impl History {
    /// An empty history of this many packets. Cost: about 1.2 KB each, for a video track.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { ring: Vec::new(), capacity: capacity.max(1), highest: 0 }
    }

    /// Whether a packet would be new, without adding it.
    pub(crate) fn check(&self, sequence: u64) -> Insertion {
        if self.highest >= self.capacity as u64 && sequence <= self.highest - self.capacity as u64 {
            return Insertion::TooOld;
        }
        match self.find(sequence) {
            Some(_) => Insertion::Duplicate,
            None => Insertion::New,
        }
    }

    /// Keeps a packet.
    pub(crate) fn insert(&mut self, meta: PacketMeta, payload: &[u8]) -> Insertion {
        let insertion = self.check(meta.sequence);
        if insertion != Insertion::New {
            return insertion;
        }
        self.highest = self.highest.max(meta.sequence);
        if self.ring.is_empty() {
            self.ring.resize_with(self.capacity, || None);
        }
        let place = self.place(meta.sequence);
        let Some(entry) = self.ring.get_mut(place) else { return insertion };
        if let Some(packet) = entry
            && let Some(bytes) = Arc::get_mut(&mut packet.payload)
        {
            packet.meta = meta;
            bytes.clear();
            bytes.extend_from_slice(payload);
        } else {
            *entry = Some(Packet { meta, payload: Arc::new(payload.to_vec()) });
        }
        insertion
    }

    /// The packet with this extended sequence number.
    pub(crate) fn find(&self, sequence: u64) -> Option<&Packet> {
        let packet = self.ring.get(self.place(sequence))?.as_ref()?;
        (packet.meta.sequence == sequence).then_some(packet)
    }

    fn place(&self, sequence: u64) -> usize {
        (sequence % self.capacity as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(sequence: u64) -> PacketMeta {
        PacketMeta {
            sequence,
            timestamp: RtpTimestamp(sequence as u32),
            payload_type: PayloadType(96),
            marker: false,
            extensions: Passthrough::default(),
        }
    }

    #[test]
    fn keeps_the_last_and_knows_duplicates() {
        let mut history = History::new(4);
        for sequence in 65_536..65_542 {
            assert_eq!(history.insert(meta(sequence), &[sequence as u8]), Insertion::New);
        }
        assert_eq!(history.insert(meta(65_541), &[9]), Insertion::Duplicate);
        assert_eq!(history.insert(meta(65_537), &[9]), Insertion::TooOld);
        assert!(history.find(65_537).is_none());
        assert_eq!(*history.find(65_538).unwrap().payload, [2]);
    }

    #[test]
    fn payloads_held_elsewhere_are_left_alone_and_others_used_again() {
        let mut history = History::new(2);
        history.insert(meta(65_536), &[1, 1]);
        history.insert(meta(65_537), &[2, 2]);
        let held = Arc::clone(&history.find(65_536).unwrap().payload);
        let reused = Arc::as_ptr(&history.find(65_537).unwrap().payload);
        history.insert(meta(65_538), &[3, 3]);
        history.insert(meta(65_539), &[4, 4]);
        assert_eq!(*held, [1, 1]);
        assert_eq!(*history.find(65_538).unwrap().payload, [3, 3]);
        assert_eq!(Arc::as_ptr(&history.find(65_539).unwrap().payload), reused);
    }
}
