//! Keeps from the DTLS machine what no honest peer sends.
//!
//! `rtc-dtls` 0.21.1 queues without bound what is ahead of its epoch, keeps handshake fragments by the claimed message
//! number without counting empty ones, reassembles them by recursion (`fragment_buffer/mod.rs`: one stack frame per
//! fragment), and answers some plaintext records with a fatal alert. So that a peer cannot use up memory or stack, every
//! datagram passes here first; only records of a shape that a handshake can have go on.

/// Longest DTLS datagram. Handshake flights keep to the MTU, and so do SCTP packets.
const MAX_DATAGRAM_BYTES: usize = 4 * 1024;
/// Longest handshake message: a certificate chain of four RSA certificates fits.
pub(super) const MAX_MESSAGE_BYTES: usize = 16 * 1024;
/// Shortest fragment that does not end its message. Bounds the recursion of reassembly.
const MIN_FRAGMENT_BYTES: usize = 48;
/// A handshake has 4 messages from the client and 6 from the server, HelloVerifyRequest included.
const MAX_MESSAGE_NUMBER: u16 = 12;
/// Datagrams that a handshake may take, repetitions included: 20 s of a client that repeats three of them every 50 ms.
const HANDSHAKE_DATAGRAMS: u32 = 1200;
/// Bytes that a handshake may take.
const HANDSHAKE_BYTES: usize = 512 * 1024;
/// Handshake records after the handshake: the peer repeating its last flight because ours was lost.
const LATE_HANDSHAKE_RECORDS: u32 = 64;
/// An encrypted Finished is 48 bytes (AES-GCM) with its record header 61.
const MAX_ENCRYPTED_HANDSHAKE_BYTES: usize = 96;

pub(super) const RECORD_HEADER_BYTES: usize = 13;
pub(super) const FRAGMENT_HEADER_BYTES: usize = 12;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// What becomes of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    /// Not DTLS, or of a shape that is never needed.
    Bad,
    /// Fine by itself, but too much.
    Flood,
}

/// Counts what the handshake has taken so far.
#[derive(Default)]
pub(super) struct Guard {
    datagrams: u32,
    bytes: usize,
    late_records: u32,
}

impl Guard {
    /// Looks at a datagram before the DTLS machine does.
    pub(super) fn check(&mut self, datagram: &[u8], is_connected: bool) -> Verdict {
        if datagram.len() > MAX_DATAGRAM_BYTES || datagram.is_empty() {
            return Verdict::Bad;
        }
        let mut late_records = 0;
        let mut rest = datagram;
        while !rest.is_empty() {
            let Some((record, further)) = split_record(rest) else { return Verdict::Bad };
            rest = further;
            let is_admissible = match (is_connected, record.epoch) {
                (false, 0) => match record.kind {
                    HANDSHAKE => are_fragments_sound(record.body),
                    CHANGE_CIPHER_SPEC => record.body.len() == 1,
                    ALERT => record.body.len() == 2,
                    _ => false,
                },
                (_, 1) => {
                    if record.kind == HANDSHAKE {
                        late_records += u32::from(is_connected);
                        record.body.len() <= MAX_ENCRYPTED_HANDSHAKE_BYTES
                    } else {
                        matches!(record.kind, ALERT | APPLICATION_DATA)
                    }
                }
                // The peer repeats its last flight; anything else in the clear is stale or forged.
                (true, 0) => {
                    late_records += 1;
                    match record.kind {
                        HANDSHAKE => are_fragments_sound(record.body),
                        CHANGE_CIPHER_SPEC => record.body.len() == 1,
                        _ => false,
                    }
                }
                _ => false,
            };
            if !is_admissible {
                return Verdict::Bad;
            }
        }
        if is_connected {
            if self.late_records + late_records > LATE_HANDSHAKE_RECORDS {
                return Verdict::Flood;
            }
            self.late_records += late_records;
            return Verdict::Pass;
        }
        self.datagrams += 1;
        self.bytes += datagram.len();
        if self.datagrams > HANDSHAKE_DATAGRAMS || self.bytes > HANDSHAKE_BYTES {
            return Verdict::Flood;
        }
        Verdict::Pass
    }
}

/// One record (RFC 6347 §4.1).
pub(super) struct Record<'a> {
    pub(super) kind: u8,
    pub(super) epoch: u16,
    pub(super) header: &'a [u8; RECORD_HEADER_BYTES],
    pub(super) body: &'a [u8],
}

/// The first record and what follows it.
pub(super) fn split_record(datagram: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let (header, rest) = datagram.split_first_chunk::<RECORD_HEADER_BYTES>()?;
    let &[kind, major, minor, e0, e1, _, _, _, _, _, _, l0, l1] = header;
    // DTLS 1.0 in the record header of a first ClientHello, 1.2 everywhere else.
    if major != 0xfe || !matches!(minor, 0xff | 0xfd) {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let (body, rest) = rest.split_at_checked(length)?;
    // The DTLS machine takes a datagram that ends in an empty record for cut off.
    (!body.is_empty()).then_some((Record { kind, epoch: u16::from_be_bytes([e0, e1]), header, body }, rest))
}

/// One fragment of a handshake message (RFC 6347 §4.2.2).
pub(super) struct Fragment<'a> {
    pub(super) kind: u8,
    pub(super) message_length: usize,
    pub(super) number: u16,
    pub(super) offset: usize,
    pub(super) body: &'a [u8],
}

/// The first fragment of a handshake record and what follows it. `None` if it does not fit its own message.
pub(super) fn split_fragment(record: &[u8]) -> Option<(Fragment<'_>, &[u8])> {
    let (header, rest) = record.split_first_chunk::<FRAGMENT_HEADER_BYTES>()?;
    let &[kind, l0, l1, l2, n0, n1, o0, o1, o2, f0, f1, f2] = header;
    let u24 = |a: u8, b: u8, c: u8| usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
    let (message_length, offset, length) = (u24(l0, l1, l2), u24(o0, o1, o2), u24(f0, f1, f2));
    let (body, rest) = rest.split_at_checked(length)?;
    let is_whole = length == message_length && offset == 0;
    let ends = offset + length == message_length;
    let is_sound = message_length <= MAX_MESSAGE_BYTES
        && offset + length <= message_length
        && (is_whole || (length > 0 && (ends || length >= MIN_FRAGMENT_BYTES)));
    let fragment = Fragment { kind, message_length, number: u16::from_be_bytes([n0, n1]), offset, body };
    is_sound.then_some((fragment, rest))
}

fn are_fragments_sound(mut record: &[u8]) -> bool {
    while !record.is_empty() {
        let Some((fragment, rest)) = split_fragment(record) else { return false };
        if fragment.number > MAX_MESSAGE_NUMBER {
            return false;
        }
        record = rest;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, epoch: u16, body: &[u8]) -> Vec<u8> {
        let mut record = vec![kind, 0xfe, 0xfd];
        record.extend_from_slice(&epoch.to_be_bytes());
        record.extend_from_slice(&[0; 6]);
        record.extend_from_slice(&(body.len() as u16).to_be_bytes());
        record.extend_from_slice(body);
        record
    }

    fn fragment(length: u32, number: u16, offset: u32, body: &[u8]) -> Vec<u8> {
        let mut fragment = vec![1];
        fragment.extend_from_slice(&length.to_be_bytes()[1..]);
        fragment.extend_from_slice(&number.to_be_bytes());
        fragment.extend_from_slice(&offset.to_be_bytes()[1..]);
        fragment.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
        fragment.extend_from_slice(body);
        fragment
    }

    fn verdict(datagram: &[u8], is_connected: bool) -> Verdict {
        Guard::default().check(datagram, is_connected)
    }

    #[test]
    fn honest_records_pass() {
        let hello = record(HANDSHAKE, 0, &fragment(300, 0, 0, &[7; 200]));
        assert_eq!(verdict(&hello, false), Verdict::Pass);
        let mut last_flight = record(HANDSHAKE, 0, &fragment(66, 4, 0, &[7; 66]));
        last_flight.extend(record(CHANGE_CIPHER_SPEC, 0, &[1]));
        last_flight.extend(record(HANDSHAKE, 1, &[9; 48]));
        assert_eq!(verdict(&last_flight, false), Verdict::Pass);
        assert_eq!(verdict(&last_flight, true), Verdict::Pass);
        assert_eq!(verdict(&record(APPLICATION_DATA, 1, &[9; 1200]), true), Verdict::Pass);
        assert_eq!(verdict(&record(HANDSHAKE, 0, &fragment(0, 5, 0, &[])), false), Verdict::Pass);
    }

    #[test]
    fn what_exhausts_the_machine_does_not_pass() {
        let tiny = record(HANDSHAKE, 0, &fragment(10_000, 0, 17, &[7; 1]));
        let empty = record(HANDSHAKE, 0, &fragment(10_000, 0, 17, &[]));
        let giant = record(HANDSHAKE, 0, &fragment(1 << 20, 0, 0, &[7; 100]));
        let far = record(HANDSHAKE, 0, &fragment(100, 99, 0, &[7; 100]));
        let beyond = record(HANDSHAKE, 0, &fragment(100, 0, 90, &[7; 60]));
        for bad in
            [tiny, empty, giant, far, beyond, record(APPLICATION_DATA, 0, &[1]), record(ALERT, 2, &[1, 0])]
        {
            assert_eq!(verdict(&bad, false), Verdict::Bad);
            assert_eq!(verdict(&bad, true), Verdict::Bad);
        }
        assert_eq!(verdict(&record(ALERT, 0, &[2, 40]), true), Verdict::Bad);
        assert_eq!(verdict(&record(HANDSHAKE, 1, &[9; 1000]), true), Verdict::Bad);
    }

    #[test]
    fn there_is_an_end_to_repetition() {
        let mut guard = Guard::default();
        let hello = record(HANDSHAKE, 0, &fragment(300, 0, 0, &[7; 200]));
        let passed = (0..10_000).filter(|_| guard.check(&hello, false) == Verdict::Pass).count();
        assert_eq!(passed, HANDSHAKE_DATAGRAMS as usize);
        let passed = (0..10_000).filter(|_| guard.check(&hello, true) == Verdict::Pass).count();
        assert_eq!(passed, LATE_HANDSHAKE_RECORDS as usize);
        assert_eq!(guard.check(&record(APPLICATION_DATA, 1, &[9; 1200]), true), Verdict::Pass);
    }
}
