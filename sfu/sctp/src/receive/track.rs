//! Which TSNs have arrived, and when to say so (RFC 9260 §6.2).

use std::time::{Duration, Instant};

use bytes::BufMut;

use crate::packet::{Builder, CHUNK_HEADER_BYTES, SACK};
use crate::tsn::{Tsn, extend};

/// How far ahead of what has arrived in sequence a TSN may be, either way: 8,192 chunks under way.
pub(crate) const TSN_WINDOW: u64 = 8 * 1024;
/// A SACK waits for a second packet at most this long. The longest that RFC 9260 allows is 200 ms.
const SACK_DELAY: Duration = Duration::from_millis(50);
/// Gap blocks that are told of, the lowest first: what is above them is told of when they are closed.
const MAX_GAP_BLOCKS: usize = 64;
/// TSNs that arrived twice that are told of.
const MAX_DUPLICATES: usize = 16;

/// What became of a TSN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    New,
    Duplicate,
    /// So far ahead that no honest peer sends it.
    TooFar,
}

/// The TSNs of the peer.
#[derive(Debug)]
pub(crate) struct Tracker {
    /// Everything up to here has arrived or was given up.
    cumulative: Tsn,
    /// First and last of what has arrived beyond: apart from one another, rising.
    ranges: Vec<(Tsn, Tsn)>,
    duplicates: Vec<u32>,
    /// Packets with DATA since the last SACK.
    unacknowledged: u32,
    is_due_now: bool,
    due: Option<Instant>,
}

impl Tracker {
    /// Nothing has arrived, and this will come first.
    pub(crate) fn new(first: Tsn) -> Self {
        Self {
            cumulative: first - 1,
            ranges: Vec::new(),
            duplicates: Vec::new(),
            unacknowledged: 0,
            is_due_now: false,
            due: None,
        }
    }

    pub(crate) fn cumulative(&self) -> Tsn {
        self.cumulative
    }

    /// What a TSN on the wire stands for.
    pub(crate) fn extend(&self, tsn: u32) -> Tsn {
        extend(tsn, self.cumulative)
    }

    /// What a TSN would be, were it noted.
    pub(crate) fn look(&self, tsn: Tsn) -> Arrival {
        if tsn <= self.cumulative {
            return Arrival::Duplicate;
        }
        if tsn - self.cumulative > TSN_WINDOW {
            return Arrival::TooFar;
        }
        let at = self.ranges.partition_point(|(_, last)| *last < tsn);
        if self.ranges.get(at).is_some_and(|(first, _)| *first <= tsn) {
            Arrival::Duplicate
        } else {
            Arrival::New
        }
    }

    /// A TSN has arrived for the first time.
    pub(crate) fn note_new(&mut self, tsn: Tsn) {
        if tsn == self.cumulative + 1 {
            self.cumulative = tsn;
            self.close_gap();
            return;
        }
        let at = self.ranges.partition_point(|(_, last)| *last < tsn);
        let joins_before =
            at.checked_sub(1).and_then(|it| self.ranges.get(it)).is_some_and(|it| it.1 + 1 == tsn);
        let joins_behind = self.ranges.get(at).is_some_and(|it| it.0 == tsn + 1);
        match (joins_before, joins_behind) {
            (true, true) => {
                let (_, last) = self.ranges.remove(at);
                self.ranges.get_mut(at - 1).into_iter().for_each(|it| it.1 = last);
            }
            (true, false) => self.ranges.get_mut(at - 1).into_iter().for_each(|it| it.1 = tsn),
            (false, true) => self.ranges.get_mut(at).into_iter().for_each(|it| it.0 = tsn),
            (false, false) => self.ranges.insert(at, (tsn, tsn)),
        }
    }

    /// A TSN has arrived once more: the peer does not know that it has.
    pub(crate) fn note_duplicate(&mut self, tsn: u32) {
        self.is_due_now = true;
        if self.duplicates.len() < MAX_DUPLICATES {
            self.duplicates.push(tsn);
        }
    }

    /// The peer has given up everything up to this (RFC 3758 §3.6), however far that is: it may have sent for long into a path
    /// that carried nothing. Says whether that is new.
    pub(crate) fn forward(&mut self, to: Tsn) -> bool {
        // It is answered in any case: the answer to the one before may have been lost.
        self.is_due_now = true;
        if to <= self.cumulative {
            return false;
        }
        self.cumulative = to;
        let is_below = |range: &(Tsn, Tsn)| range.1 <= to;
        let below = self.ranges.iter().take_while(|it| is_below(it)).count();
        self.ranges.drain(..below);
        if let Some(range) = self.ranges.first_mut() {
            range.0 = range.0.max(self.cumulative + 1);
        }
        self.close_gap();
        true
    }

    /// A packet with DATA was taken.
    pub(crate) fn note_packet(&mut self, now: Instant, is_immediate: bool) {
        self.unacknowledged += 1;
        self.is_due_now |= is_immediate || self.unacknowledged >= 2 || !self.ranges.is_empty();
        self.due.get_or_insert(now + SACK_DELAY);
    }

    /// The peer should hear of it at once, whatever has arrived.
    pub(crate) fn hurry(&mut self) {
        self.is_due_now = true;
    }

    /// When a SACK is due, if not now.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Whether a SACK is to be sent: now at the latest, or because a packet is on its way anyway.
    pub(crate) fn is_due(&self, now: Instant, is_packet_sent: bool) -> bool {
        self.is_due_now || self.due.is_some_and(|due| is_packet_sent || due <= now)
    }

    /// Writes a SACK (RFC 9260 §3.3.4).
    pub(crate) fn write(&mut self, packet: &mut Builder, window: u32) {
        const FIXED_BYTES: usize = CHUNK_HEADER_BYTES + 12;
        let room = packet.room().saturating_sub(FIXED_BYTES) / 4;
        let gaps = self.ranges.len().min(MAX_GAP_BLOCKS).min(room);
        let duplicates = self.duplicates.len().min(room - gaps);
        packet.chunk(SACK, 0, |bytes| {
            bytes.put_u32(self.cumulative as u32);
            bytes.put_u32(window);
            bytes.put_u16(gaps as u16);
            bytes.put_u16(duplicates as u16);
            for (first, last) in self.ranges.iter().take(gaps) {
                bytes.put_u16((first - self.cumulative) as u16);
                bytes.put_u16((last - self.cumulative) as u16);
            }
            self.duplicates.iter().take(duplicates).for_each(|tsn| bytes.put_u32(*tsn));
        });
        self.duplicates.clear();
        (self.unacknowledged, self.is_due_now, self.due) = (0, false, None);
    }

    fn close_gap(&mut self) {
        if self.ranges.first().is_some_and(|it| it.0 == self.cumulative + 1) {
            self.cumulative = self.ranges.remove(0).1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Header, parse};

    fn tracker(tsns: &[u64]) -> Tracker {
        let mut tracker = Tracker::new(1 << 32);
        for tsn in tsns {
            let tsn = (1 << 32) + tsn;
            assert_eq!(tracker.look(tsn), Arrival::New);
            tracker.note_new(tsn);
            assert_eq!(tracker.look(tsn), Arrival::Duplicate);
        }
        tracker
    }

    fn sack(tracker: &mut Tracker) -> Vec<u8> {
        let mut packet = Builder::new(Header { source_port: 1, destination_port: 2, tag: 3 });
        tracker.write(&mut packet, 77);
        let packet = packet.finish();
        let (_, mut chunks) = parse(&packet).unwrap();
        chunks.next().unwrap().value.to_vec()
    }

    #[test]
    fn gaps_are_told_of_and_closed() {
        let mut it = tracker(&[0, 1, 3, 5, 6, 9]);
        it.note_duplicate(8);
        assert_eq!(
            sack(&mut it),
            [0, 0, 0, 1, 0, 0, 0, 77, 0, 3, 0, 1, 0, 2, 0, 2, 0, 4, 0, 5, 0, 8, 0, 8, 0, 0, 0, 8]
        );
        it.note_new((1 << 32) + 4);
        assert_eq!(it.ranges, [((1 << 32) + 3, (1 << 32) + 6), ((1 << 32) + 9, (1 << 32) + 9)]);
        it.note_new((1 << 32) + 2);
        assert_eq!(sack(&mut it), [0, 0, 0, 6, 0, 0, 0, 77, 0, 1, 0, 0, 0, 3, 0, 3]);
    }

    #[test]
    fn what_was_given_up_is_skipped() {
        let mut it = tracker(&[0, 3, 4, 6, 9]);
        assert!(it.forward((1 << 32) + 3));
        assert_eq!((it.cumulative(), it.ranges.len()), ((1 << 32) + 4, 2));
        assert!(!it.forward((1 << 32) + 2), "an old one");
        assert_eq!(it.cumulative(), (1 << 32) + 4);
        assert!(it.forward((1 << 32) + 20));
        assert_eq!((it.cumulative(), it.ranges.len()), ((1 << 32) + 20, 0));
        assert!(it.forward((1 << 32) + 21 + 3 * TSN_WINDOW), "far ahead");
        assert_eq!(it.cumulative(), (1 << 32) + 21 + 3 * TSN_WINDOW);
    }

    #[test]
    fn a_sack_waits_for_a_second_packet() {
        let start = Instant::now();
        let mut it = tracker(&[0]);
        it.note_packet(start, false);
        assert!(!it.is_due(start, false) && it.is_due(start, true) && it.is_due(start + SACK_DELAY, false));
        it.note_packet(start, false);
        assert!(it.is_due(start, false));
        sack(&mut it);
        assert!(!it.is_due(start, true) && it.deadline().is_none());
        it.note_packet(start, true);
        assert!(it.is_due(start, false), "asked for");
        sack(&mut it);
        it.note_new((1 << 32) + 5);
        it.note_packet(start, false);
        assert!(it.is_due(start, false), "a gap");
        assert_eq!(it.look((1 << 32) + 1 + TSN_WINDOW), Arrival::TooFar);
    }
}
