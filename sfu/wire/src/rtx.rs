//! Retransmission payloads (RFC 4588 §4): the original sequence number, then the original payload.
use crate::rtp::SequenceNumber;

/// Length in bytes of the original sequence number before the payload.
pub const ORIGINAL_SEQUENCE_LEN: usize = 2;

/// Splits the payload of an RTX packet into the sequence number of the packet it repeats and that packet's payload.
/// `None` for a payload of less than two bytes, such as that of a padding-only probe.
#[inline]
#[must_use]
pub fn split_payload(payload: &[u8]) -> Option<(SequenceNumber, &[u8])> {
    let (sequence, original) = payload.split_first_chunk::<ORIGINAL_SEQUENCE_LEN>()?;
    Some((SequenceNumber(u16::from_be_bytes(*sequence)), original))
}

/// Appends the original sequence number, after which the caller appends the original payload.
#[inline]
pub fn write_original_sequence(original: SequenceNumber, out: &mut Vec<u8>) {
    out.extend_from_slice(&original.0.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let mut payload = Vec::new();
        write_original_sequence(SequenceNumber(0x1234), &mut payload);
        payload.extend_from_slice(b"frame");
        assert_eq!(split_payload(&payload), Some((SequenceNumber(0x1234), &b"frame"[..])));
        assert_eq!(split_payload(&payload[..2]), Some((SequenceNumber(0x1234), &b""[..])));
        assert_eq!(split_payload(&payload[..1]), None);
    }
}
