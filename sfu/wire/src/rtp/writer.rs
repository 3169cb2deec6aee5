//! Writes fresh RTP headers straight into an outgoing buffer.
use std::num::NonZeroU8;

use super::{ExtensionId, FIXED_HEADER_LEN, PayloadType, RtpError, RtpTimestamp, SequenceNumber, Ssrc};

/// What goes into an outgoing header. Headers are always built anew, never patched from the incoming packet, so that
/// nothing of the publisher's header gets through unseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RtpFields {
    /// Marker bit.
    pub marker: bool,
    /// Payload type, 0..=127; the upper bit is dropped.
    pub payload_type: PayloadType,
    /// Sequence number.
    pub sequence: SequenceNumber,
    /// Timestamp.
    pub timestamp: RtpTimestamp,
    /// Synchronisation source.
    pub ssrc: Ssrc,
    /// The one contributing source, if any: whose media this is.
    pub csrc: Option<Ssrc>,
}

impl RtpFields {
    /// Appends the header to `out` and returns its length in bytes, a multiple of four.
    ///
    /// Elements are written in the one-byte form, or all in the two-byte form if one of them has an id above 14, no
    /// bytes, or more than 16 (RFC 8285 §4.1.2). Give ids 1..=14 and short values to peers that did not offer
    /// `extmap-allow-mixed`. Allocates only if `out` has no room left.
    ///
    /// # Errors
    /// [`RtpError::UnwritableExtension`]; `out` is then as it was.
    #[inline]
    pub fn write(&self, extensions: &[(ExtensionId, &[u8])], out: &mut Vec<u8>) -> Result<usize, RtpError> {
        let start = out.len();
        let has_csrc = self.csrc.is_some();
        let has_extensions = !extensions.is_empty();
        let block = if has_extensions { Some(Block::measure(extensions)?) } else { None };

        let [s0, s1] = self.sequence.0.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.0.to_be_bytes();
        let [c0, c1, c2, c3] = self.ssrc.0.to_be_bytes();
        let flags = 0x80 | u8::from(has_extensions) << 4 | u8::from(has_csrc);
        let kind = u8::from(self.marker) << 7 | self.payload_type.0 & 0x7f;
        let fixed: [u8; FIXED_HEADER_LEN] = [flags, kind, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3];
        out.extend_from_slice(&fixed);
        if let Some(csrc) = self.csrc {
            out.extend_from_slice(&csrc.0.to_be_bytes());
        }
        if let Some(block) = block {
            block.write(extensions, out);
        }
        Ok(out.len() - start)
    }
}

/// Size and form of an extension block.
struct Block {
    is_two_byte: bool,
    padding: usize,
    words: u16,
}

impl Block {
    #[inline]
    fn measure(extensions: &[(ExtensionId, &[u8])]) -> Result<Self, RtpError> {
        let mut is_two_byte = false;
        let mut values_len = 0;
        for (id, value) in extensions {
            if id.0 == 0 || value.len() > 255 {
                return Err(RtpError::UnwritableExtension);
            }
            is_two_byte |= id.0 > 14 || value.is_empty() || value.len() > 16;
            values_len += value.len();
        }
        let len = values_len + extensions.len() * if is_two_byte { 2 } else { 1 };
        let padded = len.next_multiple_of(4);
        let words = u16::try_from(padded / 4).map_err(|_| RtpError::UnwritableExtension)?;
        Ok(Self { is_two_byte, padding: padded - len, words })
    }

    #[inline]
    fn write(&self, extensions: &[(ExtensionId, &[u8])], out: &mut Vec<u8>) {
        let profile: u16 = if self.is_two_byte { 0x1000 } else { 0xbede };
        out.extend_from_slice(&profile.to_be_bytes());
        out.extend_from_slice(&self.words.to_be_bytes());
        for (id, value) in extensions {
            // `measure` has made sure that both fit.
            if self.is_two_byte {
                out.extend_from_slice(&[id.0, value.len() as u8]);
            } else {
                out.push(id.0 << 4 | (value.len() as u8).wrapping_sub(1) & 0x0f);
            }
            out.extend_from_slice(value);
        }
        out.resize(out.len() + self.padding, 0);
    }
}

/// Appends `count` bytes of padding to the packet that starts at `packet_start` and ends with `buffer`, and sets its
/// padding bit (RFC 3550 §5.1). Call it before encryption, once per packet. Does nothing if no packet starts there.
#[inline]
pub fn append_padding(buffer: &mut Vec<u8>, packet_start: usize, count: NonZeroU8) {
    let Some(flags) = buffer.get_mut(packet_start) else { return };
    *flags |= 0x20;
    buffer.resize(buffer.len() + usize::from(count.get()) - 1, 0);
    buffer.push(count.get());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::{ExtensionForm, RtpHeader};
    use rand::{Rng, SeedableRng, rngs::StdRng};

    const FIELDS: RtpFields = RtpFields {
        marker: true,
        payload_type: PayloadType(111),
        sequence: SequenceNumber(65_535),
        timestamp: RtpTimestamp(u32::MAX),
        ssrc: Ssrc(0x0102_0304),
        csrc: Some(Ssrc(42)),
    };

    #[test]
    fn one_byte_form_bytes() {
        let mut out = vec![0xee];
        let len = FIELDS.write(&[(ExtensionId(1), &[0xff]), (ExtensionId(14), &[1, 2])], &mut out).unwrap();
        let expected = [
            0x91, 0xef, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 0, 0, 0, 42, 0xbe, 0xde, 0, 2, 0x10,
            0xff, 0xe1, 1, 2, 0, 0, 0,
        ];
        assert_eq!(out[1..], expected);
        assert_eq!(len, expected.len());
    }

    #[test]
    fn impossible_extensions_leave_the_buffer_alone() {
        let long = [0; 256];
        let mut out = vec![7];
        for bad in [(ExtensionId(0), &long[..1]), (ExtensionId(1), &long[..])] {
            assert_eq!(FIELDS.write(&[bad], &mut out), Err(RtpError::UnwritableExtension));
            assert_eq!(out, [7]);
        }
        let many = vec![(ExtensionId(1), &long[..255]); 1_100];
        assert_eq!(FIELDS.write(&many, &mut out), Err(RtpError::UnwritableExtension));
        assert_eq!(out, [7]);
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let mut rng = StdRng::seed_from_u64(1);
        let bytes: Vec<u8> = (0..300).map(|_| rng.random()).collect();
        for _ in 0..2_000 {
            let fields = RtpFields {
                marker: rng.random(),
                payload_type: PayloadType(rng.random_range(0..128)),
                sequence: SequenceNumber(rng.random()),
                timestamp: RtpTimestamp(rng.random()),
                ssrc: Ssrc(rng.random()),
                csrc: rng.random::<bool>().then(|| Ssrc(rng.random())),
            };
            let two_byte = rng.random_bool(0.3);
            let extensions: Vec<(ExtensionId, &[u8])> = (0..rng.random_range(0..6))
                .map(|_| {
                    let (ids, lens) = if two_byte { (1..=255, 0..=255) } else { (1..=14, 1..=16) };
                    (ExtensionId(rng.random_range(ids)), &bytes[..rng.random_range(lens)])
                })
                .collect();
            let mut out = Vec::new();
            let len = fields.write(&extensions, &mut out).unwrap();
            assert_eq!(len % 4, 0);
            out.extend_from_slice(b"payload");
            if rng.random() {
                append_padding(&mut out, 0, NonZeroU8::new(rng.random_range(1..=255)).unwrap());
            }
            let header = RtpHeader::parse(&out).unwrap();
            assert_eq!(header.header_len(), len);
            assert_eq!(header.marker, fields.marker);
            assert_eq!(header.payload_type, fields.payload_type);
            assert_eq!(header.sequence, fields.sequence);
            assert_eq!(header.timestamp, fields.timestamp);
            assert_eq!(header.ssrc, fields.ssrc);
            assert_eq!(header.csrcs(&out).collect::<Vec<_>>(), fields.csrc.into_iter().collect::<Vec<_>>());
            assert_eq!(header.extensions(&out).collect::<Vec<_>>(), extensions);
            assert_eq!(header.payload(&out).unwrap(), b"payload");
            if !two_byte && !extensions.is_empty() {
                assert_eq!(header.extension_form(), ExtensionForm::OneByte);
            }
        }
    }
}
