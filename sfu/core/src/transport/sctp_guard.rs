//! Keeps from the SCTP machine what would make it panic, work without end, or fill memory.
//!
//! DTLS has authenticated the peer by then, but the peer is whoever joined, and `rtc-sctp` 0.21.1 trusts it:
//! - an error cause in ABORT or ERROR longer than its chunk (`chunk/mod.rs`), and a COOKIE-ECHO or INIT longer than the packet
//!   when it comes first (`packet.rs`), are slices out of bounds;
//! - FORWARD-TSN is walked one number at a time (`handle_forward_tsn`), up to 2^31 steps;
//! - gap blocks in SACK are walked however often they repeat the same range (`process_selective_ack`);
//! - stream reset requests that cannot be performed yet are kept without bound, and all of them are answered again with every
//!   DATA chunk (`handle_peer_last_tsn_and_acknowledgement`);
//! - a stream is made for any of 65,536 ids, whatever was negotiated (`get_or_create_stream`), and DATA without a
//!   byte costs memory that no window accounts for;
//! - while its window is closed it takes what fills gaps, and whatever is next of a message that is not complete, for as long
//!   as somebody sends it (`handle_data`).
//!
//! So packets that no honest peer sends are dropped before. What is still ahead of its time is repeated by the peer.

use super::data::MAX_STREAMS;

const COMMON_HEADER_BYTES: usize = 12;
const CHUNK_HEADER_BYTES: usize = 4;
const INIT_BYTES: usize = 20;
const INIT_TSN_AT: usize = 12;
/// Longest SCTP packet. What comes through DTLS keeps to the MTU.
const MAX_PACKET_BYTES: usize = 2 * 1024;
/// How far ahead of what has arrived in sequence a TSN may be: 8,192 chunks in flight.
const TSN_WINDOW: u32 = 8 * 1024;
/// The same while our window is closed: what an honest peer had under way when it closed.
const CLOSED_TSN_WINDOW: u32 = 1024;
/// Chunks that may come in sequence while our window is closed: about 1 MiB, the rest of a message that is too long. A peer
/// that goes on is cut off.
const MAX_OVERRUN: u32 = 1024;
/// A fragment that does not end its message is at least this long (10 bytes is the least that Chromium sends).
const MIN_FRAGMENT_BYTES: usize = 10;

pub(super) const DATA: u8 = 0;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
pub(super) const SACK: u8 = 3;
const ABORT: u8 = 6;
const ERROR: u8 = 9;
const RECONFIG: u8 = 130;
const FORWARD_TSN: u8 = 192;

const OUTGOING_RESET_REQUEST: u16 = 13;

/// What is known of the peer's numbers.
#[derive(Debug, Default)]
pub(super) struct SctpGuard {
    /// The highest TSN up to which everything has arrived, at least.
    in_sequence: Option<u32>,
    /// The receive window that we told the peer last, in bytes.
    window_sent: Option<u32>,
    /// Chunks that came in sequence since it was closed.
    overrun: u32,
    /// The TSN that we acknowledged last.
    acknowledged: u32,
    /// Whether the last packet that was checked carries DATA.
    had_data: bool,
}

impl SctpGuard {
    /// Whether the machine may see a packet.
    pub(super) fn check(&mut self, packet: &[u8], is_up: bool) -> bool {
        self.had_data = false;
        let has_sound_lengths = packet.len() <= MAX_PACKET_BYTES && chunks(packet).all(|it| it.is_some());
        has_sound_lengths
            && chunks(packet).next().is_some()
            && chunks(packet)
                .flatten()
                .all(|(kind, flags, value)| self.is_admissible(kind, flags, value, is_up))
    }

    /// Whether the last packet that was checked carries DATA.
    pub(super) fn had_data(&self) -> bool {
        self.had_data
    }

    /// Reads in a SACK that we send how far the machine has got, and what it has room for.
    pub(super) fn note_sack_sent(&mut self, value: &[u8]) {
        let (Some(acknowledged), Some(window)) = (word(value, 0), word(value, 4)) else { return };
        let was_closed = self.window_sent.replace(window) == Some(0);
        if window > 0 {
            self.overrun = 0;
        } else if was_closed {
            self.overrun = self.overrun.saturating_add(acknowledged.wrapping_sub(self.acknowledged));
        }
        self.acknowledged = acknowledged;
        if self.in_sequence.is_some_and(|known| is_ahead(acknowledged, known)) {
            self.in_sequence = Some(acknowledged);
        }
    }

    /// The receive window that we told the peer last, in bytes.
    pub(super) fn window_sent(&self) -> u32 {
        self.window_sent.unwrap_or(u32::MAX)
    }

    /// Whether more has come against a closed window than an honest peer sends.
    pub(super) fn is_overrun(&self) -> bool {
        self.overrun > MAX_OVERRUN
    }

    /// Begins anew, for another association.
    pub(super) fn forget_overrun(&mut self) {
        (self.window_sent, self.overrun) = (None, 0);
    }

    fn is_admissible(&mut self, kind: u8, flags: u8, value: &[u8], is_up: bool) -> bool {
        match kind {
            DATA => self.is_data_admissible(flags, value),
            INIT | INIT_ACK => {
                let Some(tsn) =
                    word(value, INIT_TSN_AT).filter(|_| value.len() + CHUNK_HEADER_BYTES >= INIT_BYTES)
                else {
                    return false;
                };
                if !is_up {
                    self.in_sequence = Some(tsn.wrapping_sub(1));
                }
                !is_up
            }
            SACK => are_gaps_sound(value),
            ABORT | ERROR => are_causes_sound(value),
            RECONFIG => self.are_resets_due(value),
            FORWARD_TSN => word(value, 0).is_some_and(|tsn| self.is_within_window(tsn)),
            _ => true,
        }
    }

    fn is_data_admissible(&mut self, flags: u8, value: &[u8]) -> bool {
        const ENDS: u8 = 1;
        let (Some(tsn), Some(&[s0, s1])) = (word(value, 0), value.get(4..6).and_then(|it| it.first_chunk()))
        else {
            return false;
        };
        let payload_bytes = value.len().saturating_sub(12);
        let is_long_enough = payload_bytes >= MIN_FRAGMENT_BYTES || (flags & ENDS != 0 && payload_bytes > 0);
        if !is_long_enough || u16::from_be_bytes([s0, s1]) >= MAX_STREAMS || !self.is_within_window(tsn) {
            return false;
        }
        if self.in_sequence.is_some_and(|known| known.wrapping_add(1) == tsn) {
            self.in_sequence = Some(tsn);
        }
        self.had_data = true;
        true
    }

    /// Old numbers are fine: they are repetitions.
    fn is_within_window(&self, tsn: u32) -> bool {
        let window = if self.window_sent == Some(0) { CLOSED_TSN_WINDOW } else { TSN_WINDOW };
        self.in_sequence.is_some_and(|known| !is_ahead(tsn, known) || tsn.wrapping_sub(known) <= window)
    }

    /// Whether stream resets can be performed at once, all data before them being there (RFC 6525 §5.2.2).
    fn are_resets_due(&self, mut parameters: &[u8]) -> bool {
        const SENDER_LAST_TSN_AT: usize = 12;
        while let Some(&[t0, t1, l0, l1]) = parameters.first_chunk() {
            let length = usize::from(u16::from_be_bytes([l0, l1]));
            let Some(parameter) = parameters.get(..length).filter(|_| length >= 4) else { return false };
            if u16::from_be_bytes([t0, t1]) == OUTGOING_RESET_REQUEST {
                let last = word(parameter, SENDER_LAST_TSN_AT);
                if last.zip(self.in_sequence).is_none_or(|(last, known)| is_ahead(last, known)) {
                    return false;
                }
            }
            parameters = parameters.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        true
    }
}

/// Chunks with type, flags and value; `None` for one whose length is not true.
pub(super) fn chunks(packet: &[u8]) -> impl Iterator<Item = Option<(u8, u8, &[u8])>> {
    let mut rest = packet.get(COMMON_HEADER_BYTES..).unwrap_or_default();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((header, length)) = rest.first_chunk().map(|it: &[u8; 4]| {
            let [_, _, l0, l1] = *it;
            (*it, usize::from(u16::from_be_bytes([l0, l1])))
        }) else {
            rest = &[];
            return Some(None);
        };
        let value = rest.get(CHUNK_HEADER_BYTES..length);
        // The last chunk may lack its padding.
        rest = if value.is_some() { rest.get(length.next_multiple_of(4)..).unwrap_or_default() } else { &[] };
        let [kind, flags, _, _] = header;
        Some(value.map(|value| (kind, flags, value)))
    })
}

/// Gap blocks rise and do not overlap, and there are as many as the chunk says (RFC 9260 §3.3.4).
fn are_gaps_sound(value: &[u8]) -> bool {
    const BLOCKS_AT: usize = 12;
    let Some(&[n0, n1, _, _]) = value.get(8..).and_then(|it| it.first_chunk()) else { return false };
    let count = usize::from(u16::from_be_bytes([n0, n1]));
    let Some(blocks) = value.get(BLOCKS_AT..BLOCKS_AT + 4 * count) else { return false };
    let mut before = 0;
    blocks.chunks_exact(4).all(|block| {
        let &[s0, s1, e0, e1] = block else { return false };
        let (start, end) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([e0, e1]));
        let is_sound = start > before && end >= start;
        before = end;
        is_sound
    })
}

/// Error causes back to back (RFC 9260 §3.3.10). The machine takes no padding between them into account, so neither does this.
fn are_causes_sound(mut causes: &[u8]) -> bool {
    while let Some(&[_, _, l0, l1]) = causes.first_chunk() {
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if length < 4 || length > causes.len() {
            return false;
        }
        causes = causes.get(length..).unwrap_or_default();
    }
    true
}

pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|it| u32::from_be_bytes(*it))
}

/// Serial number arithmetic (RFC 1982).
pub(super) fn is_ahead(tsn: u32, of: u32) -> bool {
    tsn != of && tsn.wrapping_sub(of) < 1 << 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(chunks: &[&[u8]]) -> Vec<u8> {
        let mut packet = vec![0; COMMON_HEADER_BYTES];
        packet.extend(chunks.concat());
        packet
    }

    fn chunk(kind: u8, flags: u8, value: &[u8]) -> Vec<u8> {
        let mut chunk = vec![kind, flags];
        chunk.extend_from_slice(&(value.len() as u16 + 4).to_be_bytes());
        chunk.extend_from_slice(value);
        chunk.resize(chunk.len().next_multiple_of(4), 0);
        chunk
    }

    fn data(tsn: u32, stream: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
        let value = [&tsn.to_be_bytes()[..], &stream.to_be_bytes(), &[0; 6], payload].concat();
        packet(&[&chunk(DATA, flags, &value)])
    }

    fn at(tsn: u32) -> SctpGuard {
        SctpGuard { in_sequence: Some(tsn), ..SctpGuard::default() }
    }

    #[test]
    fn lengths_have_to_be_true() {
        let is_sound = |chunks: &[&[u8]]| SctpGuard::default().check(&packet(chunks), false);
        assert!(is_sound(&[&[10, 0, 0, 8, 1, 2, 3, 4]]));
        assert!(is_sound(&[&[11, 0, 0, 4], &[4, 0, 0, 5, 9]]));
        assert!(is_sound(&[&[ABORT, 0, 0, 8, 0, 12, 0, 4]]));
        assert!(!is_sound(&[]));
        assert!(!is_sound(&[&[10, 0, 0, 9, 1, 2, 3, 4]]));
        assert!(!is_sound(&[&[10, 0, 0, 3]]));
        assert!(!is_sound(&[&[10, 0]]));
        assert!(!is_sound(&[&[INIT, 0, 0, 8, 1, 2, 3, 4]]));
        assert!(!is_sound(&[&[ABORT, 0, 0, 8, 0, 12, 0, 5]]));
        assert!(!is_sound(&[&[ERROR, 0, 0, 8, 0, 12, 0, 0]]));
        assert!(!is_sound(&[&[0; MAX_PACKET_BYTES]]));
    }

    #[test]
    fn numbers_stay_within_a_window() {
        let last = u32::MAX - 1;
        assert!(at(last).check(&data(last.wrapping_add(1), 0, 3, b"x"), true));
        assert!(at(last).check(&data(last.wrapping_add(TSN_WINDOW), 0, 3, b"x"), true));
        assert!(at(last).check(&data(last.wrapping_sub(100), 0, 3, b"x"), true), "a repetition");
        assert!(!at(last).check(&data(last.wrapping_add(TSN_WINDOW + 1), 0, 3, b"x"), true));
        let forward = |tsn: u32| packet(&[&chunk(FORWARD_TSN, 0, &tsn.to_be_bytes())]);
        assert!(at(5).check(&forward(TSN_WINDOW), true));
        assert!(!at(5).check(&forward(1 << 30), true));
        assert!(!SctpGuard::default().check(&forward(1), true), "before any INIT");

        let mut guard = at(5);
        guard.check(&data(6, 0, 3, b"x"), true);
        guard.check(&data(8, 0, 3, b"x"), true);
        assert_eq!(guard.in_sequence, Some(6));
        guard.note_sack_sent(&[0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(guard.in_sequence, Some(8));
    }

    #[test]
    fn a_closed_window_is_minded() {
        let mut guard = at(5);
        let mut sack = |tsn: u32, window: u8| {
            guard.note_sack_sent(&[&tsn.to_be_bytes()[..], &[0, 0, 0, window], &[0; 4]].concat());
            let is_far_taken = guard.check(&data(tsn + CLOSED_TSN_WINDOW + 1, 0, 3, b"x"), true);
            (guard.is_overrun(), is_far_taken, guard.window_sent())
        };
        assert_eq!(sack(5, 1), (false, true, 1));
        assert_eq!(sack(5_000, 0), (false, false, 0), "what came before it was closed");
        assert_eq!(sack(5_000 + MAX_OVERRUN, 0), (false, false, 0));
        assert_eq!(sack(5_000 + MAX_OVERRUN, 9), (false, true, 9));
        assert_eq!(sack(8_000, 0), (false, false, 0));
        assert_eq!(sack(8_000 + MAX_OVERRUN + 1, 0), (true, false, 0));
    }

    #[test]
    fn a_packet_with_data_is_known() {
        let mut guard = at(5);
        guard.check(&data(6, 0, 3, b"x"), true);
        assert!(guard.had_data());
        guard.check(&packet(&[&[10, 0, 0, 8, 1, 2, 3, 4]]), true);
        assert!(!guard.had_data());
    }

    #[test]
    fn wasteful_data_is_refused() {
        assert!(!at(5).check(&data(6, 0, 3, b""), true));
        assert!(!at(5).check(&data(6, MAX_STREAMS, 3, b"x"), true));
        assert!(!at(5).check(&data(6, 0, 2, b"tiny"), true), "a beginning of four bytes");
        assert!(at(5).check(&data(6, 0, 1, b"tiny"), true), "an end of four bytes");
    }

    #[test]
    fn resets_come_after_their_data() {
        let request = |last_tsn: u32| {
            let parameter = [&[0, 13, 0, 18][..], &[0; 8], &last_tsn.to_be_bytes(), &[0, 4, 0, 0]].concat();
            packet(&[&chunk(RECONFIG, 0, &parameter)])
        };
        assert!(at(5).check(&request(5), true));
        assert!(at(5).check(&request(4), true));
        assert!(!at(5).check(&request(6), true));
    }

    #[test]
    fn gaps_rise() {
        let sack = |blocks: &[[u16; 2]]| {
            let mut value = vec![0; 8];
            value.extend_from_slice(&(blocks.len() as u16).to_be_bytes());
            value.extend_from_slice(&[0, 0]);
            value.extend(blocks.iter().flatten().flat_map(|it| it.to_be_bytes()));
            SctpGuard::default().check(&packet(&[&chunk(SACK, 0, &value)]), true)
        };
        assert!(sack(&[]) && sack(&[[2, 3], [5, 5]]));
        assert!(!sack(&[[2, 3], [3, 5]]));
        assert!(!sack(&[[2, 1]]));
        assert!(!sack(&[[0, 1]]));
    }

    #[test]
    fn a_new_beginning_is_refused_once_there_is_one() {
        let init = packet(&[&chunk(INIT, 0, &[9; 16])]);
        assert!(SctpGuard::default().check(&init, false));
        assert!(!SctpGuard::default().check(&init, true));
    }
}
