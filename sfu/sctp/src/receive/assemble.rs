//! From fragments to messages, in the order that their streams ask for (RFC 9260 §6.5, §6.6, §6.9).

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};

use crate::tsn::Tsn;

/// What a fragment or a message that waits costs beside its bytes.
const OVERHEAD_BYTES: usize = 96;

/// What a DATA chunk carries.
#[derive(Debug, Clone)]
pub(crate) struct Fragment {
    pub(crate) tsn: Tsn,
    pub(crate) stream: u16,
    /// Number of the message in its stream, if it is ordered.
    pub(crate) ssn: Option<u16>,
    pub(crate) ppid: u32,
    pub(crate) begins: bool,
    pub(crate) ends: bool,
    pub(crate) payload: Bytes,
}

/// A message, as it is given on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Received {
    Message {
        stream: u16,
        ppid: u32,
        payload: Bytes,
    },
    /// Its bytes were thrown away when they had become too many.
    TooLong {
        stream: u16,
        bytes: usize,
    },
}

/// Fragments next to one another of one message.
#[derive(Debug)]
struct Run {
    /// The TSN behind the last.
    next: Tsn,
    stream: u16,
    ssn: Option<u16>,
    ppid: u32,
    begins: bool,
    ends: bool,
    parts: VecDeque<Bytes>,
    /// Bytes of the whole, kept or not.
    bytes: usize,
}

/// Messages of a stream that come in order.
#[derive(Debug)]
struct Stream {
    /// Number of the next message; its lower 16 bits are those on the wire.
    next: u64,
    waiting: BTreeMap<u64, Received>,
}

impl Default for Stream {
    fn default() -> Self {
        Self { next: 1 << 16, waiting: BTreeMap::new() }
    }
}

/// Holds what cannot be given on yet.
#[derive(Debug)]
pub(crate) struct Assembler {
    /// By their first TSN.
    runs: BTreeMap<Tsn, Run>,
    streams: BTreeMap<u16, Stream>,
    ready: VecDeque<Received>,
    max_message_bytes: usize,
    buffered_bytes: usize,
}

impl Assembler {
    pub(crate) fn new(max_message_bytes: usize) -> Self {
        Self {
            runs: BTreeMap::new(),
            streams: BTreeMap::new(),
            ready: VecDeque::new(),
            max_message_bytes,
            buffered_bytes: 0,
        }
    }

    /// Bytes of what waits for something missing.
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.buffered_bytes
    }

    /// The next message that is complete and whose turn it is.
    pub(crate) fn pop(&mut self) -> Option<Received> {
        self.ready.pop_front()
    }

    /// Takes a fragment whose TSN is new.
    pub(crate) fn add(&mut self, fragment: Fragment) {
        let Fragment { tsn, stream, ssn, ppid, begins, ends, payload } = fragment;
        if begins && ends {
            let message = if payload.len() > self.max_message_bytes {
                Received::TooLong { stream, bytes: payload.len() }
            } else {
                Received::Message { stream, ppid, payload }
            };
            return self.complete(stream, ssn, message);
        }
        let bytes = payload.len();
        self.buffered_bytes += bytes + OVERHEAD_BYTES;
        let new =
            Run { next: tsn + 1, stream, ssn, ppid, begins, ends, parts: VecDeque::from([payload]), bytes };
        let before = self
            .runs
            .range_mut(..tsn)
            .next_back()
            .filter(|(_, run)| run.next == tsn && run.goes_on_with(&new));
        let first = match before {
            Some((first, run)) => {
                run.append(new);
                *first
            }
            None => {
                self.runs.insert(tsn, new);
                tsn
            }
        };
        let Some(run) = self.runs.get(&first) else { return };
        let next = run.next;
        if self.runs.get(&next).is_some_and(|behind| run.goes_on_with(behind))
            && let Some(behind) = self.runs.remove(&next)
            && let Some(run) = self.runs.get_mut(&first)
        {
            run.append(behind);
        }
        self.finish(first);
    }

    /// Everything up to `to` was given up, and of streams whatever comes up to a number (RFC 3758 §3.6).
    pub(crate) fn forward(&mut self, to: Tsn, skipped: impl Iterator<Item = (u16, u16)>) {
        while let Some(entry) = self.runs.first_entry().filter(|it| *it.key() <= to) {
            let run = entry.remove();
            self.buffered_bytes -= run.kept_bytes();
        }
        for (id, ssn) in skipped {
            let stream = self.streams.entry(id).or_default();
            let last = extend_ssn(ssn, stream.next);
            if last < stream.next {
                continue;
            }
            stream.next = last + 1;
            let behind = stream.waiting.split_off(&stream.next);
            let skipped = std::mem::replace(&mut stream.waiting, behind);
            for message in skipped.into_values() {
                self.buffered_bytes -= message.kept_bytes();
                self.ready.push_back(message);
            }
            self.advance(id);
        }
    }

    /// Streams begin anew; all, if none is named (RFC 6525 §5.2.2).
    pub(crate) fn reset(&mut self, streams: &[u16]) {
        let ids: Vec<u16> =
            if streams.is_empty() { self.streams.keys().copied().collect() } else { streams.to_vec() };
        for id in ids {
            let waiting =
                self.streams.remove(&id).into_iter().flat_map(|stream| stream.waiting.into_values());
            self.buffered_bytes -= waiting.map(|it| it.kept_bytes()).sum::<usize>();
        }
    }

    /// Gives on what began with `first`, if it is complete; throws bytes away that are too many.
    fn finish(&mut self, first: Tsn) {
        let Some(run) = self.runs.get_mut(&first) else { return };
        if run.bytes > self.max_message_bytes && !run.parts.is_empty() {
            self.buffered_bytes -= run.kept_bytes();
            run.parts = VecDeque::new();
            self.buffered_bytes += run.kept_bytes();
        }
        if !(run.begins && run.ends) {
            return;
        }
        let Some(run) = self.runs.remove(&first) else { return };
        self.buffered_bytes -= run.kept_bytes();
        let message = if run.bytes > self.max_message_bytes {
            Received::TooLong { stream: run.stream, bytes: run.bytes }
        } else {
            let mut payload = BytesMut::with_capacity(run.bytes);
            run.parts.iter().for_each(|part| payload.extend_from_slice(part));
            Received::Message { stream: run.stream, ppid: run.ppid, payload: payload.freeze() }
        };
        self.complete(run.stream, run.ssn, message);
    }

    /// A message is complete.
    fn complete(&mut self, id: u16, ssn: Option<u16>, message: Received) {
        let Some(ssn) = ssn else { return self.ready.push_back(message) };
        let stream = self.streams.entry(id).or_default();
        let number = extend_ssn(ssn, stream.next);
        if number == stream.next {
            stream.next += 1;
            self.ready.push_back(message);
            self.advance(id);
        } else if number > stream.next {
            self.buffered_bytes += message.kept_bytes();
            if let Some(before) = stream.waiting.insert(number, message) {
                self.buffered_bytes -= before.kept_bytes();
            }
        }
    }

    /// Gives on what has waited for its turn.
    fn advance(&mut self, id: u16) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        while let Some(message) = stream.waiting.remove(&stream.next) {
            stream.next += 1;
            self.buffered_bytes -= message.kept_bytes();
            self.ready.push_back(message);
        }
    }
}

impl Run {
    /// Whether another run, that begins where this one ends, is of the same message.
    fn goes_on_with(&self, behind: &Run) -> bool {
        !self.ends && !behind.begins && self.stream == behind.stream && self.ssn == behind.ssn
    }

    /// Adds the run behind. What one of them has thrown away stays away.
    fn append(&mut self, mut behind: Run) {
        self.next = behind.next;
        self.ends = behind.ends;
        self.bytes += behind.bytes;
        self.parts.append(&mut behind.parts);
    }

    fn kept_bytes(&self) -> usize {
        self.parts.iter().map(|part| part.len() + OVERHEAD_BYTES).sum::<usize>()
    }
}

impl Received {
    fn kept_bytes(&self) -> usize {
        match self {
            Self::Message { payload, .. } => payload.len() + OVERHEAD_BYTES,
            Self::TooLong { .. } => OVERHEAD_BYTES,
        }
    }
}

/// What a number on the wire stands for: the closest to a known one.
fn extend_ssn(ssn: u16, near: u64) -> u64 {
    near.wrapping_add_signed(i64::from(ssn.wrapping_sub(near as u16) as i16))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(tsn: u64, ssn: Option<u16>, flags: &str, payload: &'static str) -> Fragment {
        let (begins, ends) = (flags.contains('B'), flags.contains('E'));
        Fragment {
            tsn: 100 + tsn,
            stream: 1,
            ssn,
            ppid: 53,
            begins,
            ends,
            payload: Bytes::from_static(payload.as_bytes()),
        }
    }

    fn drain(it: &mut Assembler) -> Vec<String> {
        std::iter::from_fn(|| it.pop())
            .map(|it| match it {
                Received::Message { payload, .. } => String::from_utf8(payload.to_vec()).unwrap(),
                Received::TooLong { bytes, .. } => format!("too long: {bytes}"),
            })
            .collect()
    }

    #[test]
    fn fragments_in_any_sequence_are_one_message() {
        let parts = [(0, "B", "ab"), (1, "", "cd"), (2, "", "ef"), (3, "E", "gh")];
        for seed in 0..24 {
            let mut left = parts.to_vec();
            let mut assembler = Assembler::new(100);
            let mut rest = seed;
            while !left.is_empty() {
                let (tsn, flags, payload) = left.remove(rest % left.len());
                rest /= 4;
                assert!(drain(&mut assembler).is_empty());
                assembler.add(fragment(tsn, None, flags, payload));
            }
            assert_eq!(drain(&mut assembler), ["abcdefgh"]);
            assert_eq!(assembler.buffered_bytes(), 0);
        }
    }

    #[test]
    fn numbers_of_messages_wrap_around() {
        let mut assembler = Assembler::new(1_000);
        for pair in 0..100_000 {
            // Each second one comes first.
            assembler.add(fragment(2 * pair + 1, Some((2 * pair + 1) as u16), "BE", "b"));
            assert_eq!(drain(&mut assembler), [""; 0]);
            assembler.add(fragment(2 * pair, Some((2 * pair) as u16), "BE", "a"));
            assert_eq!(drain(&mut assembler), ["a", "b"]);
        }
        assert_eq!(assembler.buffered_bytes(), 0);
    }

    #[test]
    fn neighbours_are_not_mixed_up() {
        let mut assembler = Assembler::new(100);
        assembler.add(fragment(0, None, "B", "ab"));
        assembler.add(fragment(2, None, "E", "zz"));
        assembler.add(fragment(1, None, "B", "cd"));
        assert_eq!(drain(&mut assembler), ["cdzz"], "a beginning without an end before it");
        let mut other = fragment(1, None, "E", "x");
        other.stream = 2;
        assembler.add(other);
        assert!(drain(&mut assembler).is_empty(), "another stream");
    }

    #[test]
    fn order_is_kept_where_it_is_asked_for() {
        let mut assembler = Assembler::new(100);
        assembler.add(fragment(2, Some(2), "BE", "c"));
        assembler.add(fragment(1, Some(1), "BE", "b"));
        assembler.add(fragment(3, None, "BE", "u"));
        assert_eq!(drain(&mut assembler), ["u"]);
        assembler.add(fragment(0, Some(0), "BE", "a"));
        assert_eq!(drain(&mut assembler), ["a", "b", "c"]);
        assert_eq!(assembler.buffered_bytes(), 0);
        assembler.reset(&[]);
        assembler.add(fragment(4, Some(0), "BE", "again"));
        assert_eq!(drain(&mut assembler), ["again"]);
    }

    #[test]
    fn what_was_given_up_stops_nobody() {
        let mut assembler = Assembler::new(100);
        assembler.add(fragment(0, Some(0), "B", "half"));
        assembler.add(fragment(3, Some(2), "BE", "c"));
        assembler.add(fragment(2, Some(1), "BE", "b"));
        assembler.forward(101, [(1, 0)].into_iter());
        assert_eq!(drain(&mut assembler), ["b", "c"]);
        assembler.add(fragment(6, Some(5), "BE", "f"));
        assembler.add(fragment(5, Some(4), "BE", "e"));
        assembler.forward(104, [(1, 4), (1, 2)].into_iter());
        assert_eq!(drain(&mut assembler), ["e", "f"]);
        assert_eq!(assembler.buffered_bytes(), 0);
    }

    #[test]
    fn what_is_too_long_costs_nothing_and_is_told() {
        let mut assembler = Assembler::new(4);
        assembler.add(fragment(0, Some(0), "B", "abc"));
        assembler.add(fragment(1, Some(0), "", "de"));
        assert_eq!(assembler.buffered_bytes(), 0);
        for tsn in 2..1_000 {
            assembler.add(fragment(tsn, Some(0), "", "x"));
            assert!(assembler.buffered_bytes() <= 1 + OVERHEAD_BYTES);
        }
        assembler.add(fragment(1_000, Some(0), "E", "."));
        assembler.add(fragment(1_001, Some(1), "BE", "next"));
        assert_eq!(drain(&mut assembler), ["too long: 1004", "next"]);
        assert_eq!(assembler.buffered_bytes(), 0);
        assembler.add(fragment(1_003, None, "BE", "12345"));
        assert_eq!(drain(&mut assembler), ["too long: 5"]);
    }
}
