//! What comes in: DATA and FORWARD-TSN become messages and SACKs.

mod assemble;
mod track;

use std::time::Instant;

use bytes::Bytes;

pub(crate) use self::assemble::Received;
use self::assemble::{Assembler, Fragment};
pub(crate) use self::track::TSN_WINDOW;
use self::track::{Arrival, Tracker};
use crate::packet::{BEGINS, Builder, Chunk, ENDS, IMMEDIATE, UNORDERED, half, word};
use crate::tsn::first;

/// The receiving half of an association.
#[derive(Debug)]
pub(crate) struct Receiver {
    tracker: Tracker,
    assembler: Assembler,
    max_streams: u16,
    /// Bytes that are kept at most of what cannot be given on.
    window_bytes: u32,
    /// Bytes of messages that were given on and wait there.
    held_bytes: usize,
    /// What the peer was told last that there is room for.
    told: u32,
    /// Whether this packet has DATA, and whether any of it asks for a SACK at once.
    in_packet: Option<bool>,
}

impl Receiver {
    /// `initial` is the peer's first TSN.
    pub(crate) fn new(initial: u32, window_bytes: u32, max_message_bytes: usize, max_streams: u16) -> Self {
        Self {
            tracker: Tracker::new(first(initial)),
            assembler: Assembler::new(max_message_bytes),
            max_streams,
            window_bytes,
            held_bytes: 0,
            told: window_bytes,
            in_packet: None,
        }
    }

    /// A DATA chunk (RFC 9260 §3.3.1). What is not sound, or too far ahead, is as if it had been lost.
    pub(crate) fn handle_data(&mut self, chunk: Chunk<'_>, packet: &Bytes) {
        let (Some(tsn), Some(stream), Some(ssn), Some(ppid), Some(payload)) = (
            word(chunk.value, 0),
            half(chunk.value, 4),
            half(chunk.value, 6),
            word(chunk.value, 8),
            chunk.value.get(12..).filter(|it| !it.is_empty()),
        ) else {
            return;
        };
        let is_immediate = self.in_packet.unwrap_or(false) || chunk.flags & IMMEDIATE != 0;
        self.in_packet = Some(is_immediate);
        let extended = self.tracker.extend(tsn);
        match self.tracker.look(extended) {
            Arrival::Duplicate => return self.tracker.note_duplicate(tsn),
            Arrival::TooFar => return,
            Arrival::New => {}
        }
        // Twice what the peer was told of: whatever was under way when the window closed, and no more.
        if self.kept_bytes() > 2 * self.window_bytes as usize {
            return;
        }
        self.tracker.note_new(extended);
        if stream >= self.max_streams {
            return;
        }
        // A little of a packet would keep all of it.
        let payload = if 2 * payload.len() < packet.len() {
            Bytes::copy_from_slice(payload)
        } else {
            packet.slice_ref(payload)
        };
        self.assembler.add(Fragment {
            tsn: extended,
            stream,
            ssn: (chunk.flags & UNORDERED == 0).then_some(ssn),
            ppid,
            begins: chunk.flags & BEGINS != 0,
            ends: chunk.flags & ENDS != 0,
            payload,
        });
    }

    /// A FORWARD-TSN chunk (RFC 3758 §3.2).
    pub(crate) fn handle_forward(&mut self, value: &[u8]) {
        let Some(to) = word(value, 0) else { return };
        let to = self.tracker.extend(to);
        if self.tracker.forward(to) {
            let skipped = value.get(4..).unwrap_or_default().chunks_exact(4);
            let skipped = skipped.filter_map(|it| Some((half(it, 0)?, half(it, 2)?)));
            self.assembler.forward(to, skipped.filter(|(stream, _)| *stream < self.max_streams));
        }
    }

    /// A packet was read to its end.
    pub(crate) fn end_packet(&mut self, now: Instant) {
        if let Some(is_immediate) = self.in_packet.take() {
            self.tracker.note_packet(now, is_immediate);
        }
    }

    /// The next message.
    pub(crate) fn pop(&mut self) -> Option<Received> {
        self.assembler.pop()
    }

    /// So many bytes of messages that were given on wait there, and count for the window.
    pub(crate) fn set_held_bytes(&mut self, bytes: usize) {
        self.held_bytes = bytes;
        // A sender that was stopped has to hear that it may go on.
        let half = self.window_bytes / 2;
        if self.told < half && self.window() >= half {
            self.tracker.hurry();
        }
    }

    /// Whether everything up to a TSN has arrived.
    pub(crate) fn has_all_up_to(&self, tsn: u32) -> bool {
        self.tracker.extend(tsn) <= self.tracker.cumulative()
    }

    /// Streams begin anew; all, if none is named.
    pub(crate) fn reset(&mut self, streams: &[u16]) {
        self.assembler.reset(streams);
    }

    /// When a SACK is due, if not now.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.tracker.deadline()
    }

    /// Whether a SACK is to be sent.
    pub(crate) fn is_sack_due(&self, now: Instant, is_packet_sent: bool) -> bool {
        self.tracker.is_due(now, is_packet_sent)
    }

    /// Writes it.
    pub(crate) fn write_sack(&mut self, packet: &mut Builder) {
        self.told = self.window();
        self.tracker.write(packet, self.told);
    }

    fn kept_bytes(&self) -> usize {
        self.assembler.buffered_bytes() + self.held_bytes
    }

    fn window(&self) -> u32 {
        self.window_bytes.saturating_sub(u32::try_from(self.kept_bytes()).unwrap_or(u32::MAX))
    }
}
