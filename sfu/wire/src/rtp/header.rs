//! Reads an RTP header once into a small copyable struct (RFC 3550 §5.1, §5.3.1).
use std::ops::Range;

use super::{ExtensionForm, Extensions, FIXED_HEADER_LEN, PayloadType, RtpTimestamp, SequenceNumber, Ssrc};

/// Why bytes are not an RTP packet, or fields not writable as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtpError {
    /// Shorter than the header it announces. The sender's fault.
    #[error("RTP packet is shorter than its header says")]
    Truncated,
    /// The version is not 2. The sender's fault.
    #[error("RTP version is not 2")]
    WrongVersion,
    /// The padding count is zero or larger than what follows the header. The sender's fault.
    #[error("RTP padding does not fit the packet")]
    BadPadding,
    /// A header extension element has id 0, or is longer than 255 bytes, or all are longer than 2^18 bytes together.
    /// Our own fault.
    #[error("header extension cannot be written")]
    UnwritableExtension,
}

/// An RTP header without its variable parts, which are kept as ranges into the packet it was parsed from.
///
/// All accessors that take `packet` expect the same packet (before or after decryption: the header is the same) and
/// give empty results, never a panic, when given another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpHeader {
    /// Marker bit: for video the last packet of a frame, for audio the first after silence.
    pub marker: bool,
    /// Payload type, 0..=127.
    pub payload_type: PayloadType,
    /// Sequence number.
    pub sequence: SequenceNumber,
    /// Timestamp in ticks of the payload's clock.
    pub timestamp: RtpTimestamp,
    /// Synchronisation source.
    pub ssrc: Ssrc,
    /// True when the padding bit is set: the last byte of the plaintext says how many bytes to drop.
    pub has_padding: bool,
    /// Number of contributing sources, 0..=15.
    pub csrc_count: u8,
    extension_form: ExtensionForm,
    extension_start: u32,
    header_len: u32,
}

impl RtpHeader {
    /// Reads the header at the start of `packet`, which may still be encrypted.
    ///
    /// # Errors
    /// [`RtpError::Truncated`] or [`RtpError::WrongVersion`].
    #[inline]
    pub fn parse(packet: &[u8]) -> Result<Self, RtpError> {
        let fixed: &[u8; FIXED_HEADER_LEN] = packet.first_chunk().ok_or(RtpError::Truncated)?;
        let &[flags, kind, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = fixed;
        if flags >> 6 != 2 {
            return Err(RtpError::WrongVersion);
        }
        let csrc_count = flags & 0x0f;
        let mut header_len = FIXED_HEADER_LEN + 4 * usize::from(csrc_count);
        let mut extension_form = ExtensionForm::None;
        let mut extension_start = header_len;
        if flags & 0x10 != 0 {
            let &[p0, p1, l0, l1] =
                packet.get(header_len..).and_then(|rest| rest.first_chunk()).ok_or(RtpError::Truncated)?;
            extension_form = ExtensionForm::from_profile(u16::from_be_bytes([p0, p1]));
            extension_start = header_len + 4;
            header_len = extension_start + 4 * usize::from(u16::from_be_bytes([l0, l1]));
        }
        if packet.len() < header_len {
            return Err(RtpError::Truncated);
        }
        Ok(Self {
            marker: kind & 0x80 != 0,
            payload_type: PayloadType(kind & 0x7f),
            sequence: SequenceNumber(u16::from_be_bytes([s0, s1])),
            timestamp: RtpTimestamp(u32::from_be_bytes([t0, t1, t2, t3])),
            ssrc: Ssrc(u32::from_be_bytes([c0, c1, c2, c3])),
            has_padding: flags & 0x20 != 0,
            csrc_count,
            extension_form,
            // A header is at most 12 + 60 + 4 + 4 * 65535 bytes long.
            extension_start: extension_start as u32,
            header_len: header_len as u32,
        })
    }

    /// Length in bytes of the whole header, contributing sources and extensions included.
    #[inline]
    #[must_use]
    pub const fn header_len(&self) -> usize {
        self.header_len as usize
    }

    /// Where the payload lies in the decrypted packet `plaintext` (without authentication tag), padding taken off.
    /// A packet of padding only has an empty payload.
    ///
    /// # Errors
    /// [`RtpError::Truncated`] if `plaintext` is shorter than the header, [`RtpError::BadPadding`] if the padding
    /// count is zero or reaches into the header.
    #[inline]
    pub fn payload_range(&self, plaintext: &[u8]) -> Result<Range<usize>, RtpError> {
        let start = self.header_len();
        let body = plaintext.get(start..).ok_or(RtpError::Truncated)?;
        if !self.has_padding {
            return Ok(start..plaintext.len());
        }
        let padding = usize::from(*body.last().ok_or(RtpError::BadPadding)?);
        if padding == 0 || padding > body.len() {
            return Err(RtpError::BadPadding);
        }
        Ok(start..plaintext.len() - padding)
    }

    /// The payload of the decrypted packet: [`payload_range`](Self::payload_range) applied.
    ///
    /// # Errors
    /// As [`payload_range`](Self::payload_range).
    #[inline]
    pub fn payload<'a>(&self, plaintext: &'a [u8]) -> Result<&'a [u8], RtpError> {
        let range = self.payload_range(plaintext)?;
        plaintext.get(range).ok_or(RtpError::Truncated)
    }

    /// The contributing sources, in packet order.
    #[inline]
    #[must_use]
    pub fn csrcs<'a>(&self, packet: &'a [u8]) -> Csrcs<'a> {
        let end = FIXED_HEADER_LEN + 4 * usize::from(self.csrc_count);
        Csrcs { rest: packet.get(FIXED_HEADER_LEN..end).unwrap_or_default() }
    }

    /// Which form the extension block has.
    #[inline]
    #[must_use]
    pub const fn extension_form(&self) -> ExtensionForm {
        self.extension_form
    }

    /// Where the extension elements lie in the packet, without the block's own four bytes; empty when there are none.
    #[inline]
    #[must_use]
    pub const fn extension_range(&self) -> Range<usize> {
        self.extension_start as usize..self.header_len as usize
    }

    /// The header extension elements, in packet order. Elements of a block in an unknown profile are not seen.
    #[inline]
    #[must_use]
    pub fn extensions<'a>(&self, packet: &'a [u8]) -> Extensions<'a> {
        Extensions::new(self.extension_form, packet.get(self.extension_range()).unwrap_or_default())
    }
}

/// Iterator over contributing sources; see [`RtpHeader::csrcs`].
#[derive(Clone, Debug)]
pub struct Csrcs<'a> {
    rest: &'a [u8],
}

impl Iterator for Csrcs<'_> {
    type Item = Ssrc;

    #[inline]
    fn next(&mut self) -> Option<Ssrc> {
        let (source, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(Ssrc(u32::from_be_bytes(*source)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::ExtensionId;

    const PACKET: &[u8] = &[
        0x92, 0xe0, 0x12, 0x34, 0, 0, 0x03, 0xc0, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 1, 0, 0, 0, 2, 0xbe, 0xde,
        0, 2, 0x10, 0xaa, 0x22, 1, 2, 3, 0, 0, b'p', b'a', b'y',
    ];

    #[test]
    fn reads_every_field() {
        let header = RtpHeader::parse(PACKET).unwrap();
        assert!(header.marker);
        assert_eq!(header.payload_type, PayloadType(96));
        assert_eq!(header.sequence, SequenceNumber(0x1234));
        assert_eq!(header.timestamp, RtpTimestamp(960));
        assert_eq!(header.ssrc, Ssrc(0xdead_beef));
        assert_eq!(header.csrcs(PACKET).collect::<Vec<_>>(), [Ssrc(1), Ssrc(2)]);
        assert_eq!(header.extension_form(), ExtensionForm::OneByte);
        assert_eq!(header.extension_range(), 24..32);
        assert_eq!(
            header.extensions(PACKET).collect::<Vec<_>>(),
            [(ExtensionId(1), &[0xaa][..]), (ExtensionId(2), &[1, 2, 3][..])]
        );
        assert_eq!(header.header_len(), 32);
        assert_eq!(header.payload(PACKET).unwrap(), b"pay");
    }

    #[test]
    fn every_truncation_of_the_header_is_refused() {
        for len in 0..32 {
            assert_eq!(RtpHeader::parse(&PACKET[..len]), Err(RtpError::Truncated), "{len}");
        }
        assert!(RtpHeader::parse(&PACKET[..32]).unwrap().payload(&PACKET[..32]).unwrap().is_empty());
    }

    #[test]
    fn other_versions_are_refused() {
        let mut packet = PACKET.to_vec();
        for version in [0u8, 1, 3] {
            packet[0] = version << 6;
            assert_eq!(RtpHeader::parse(&packet), Err(RtpError::WrongVersion));
        }
    }

    #[test]
    fn padding_is_taken_off_and_checked() {
        let mut packet = vec![0xa0, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 1, 2, 3, 0, 0, 3];
        let header = RtpHeader::parse(&packet).unwrap();
        assert_eq!(header.payload(&packet).unwrap(), [1, 2, 3]);
        packet[17] = 6;
        assert!(header.payload(&packet).unwrap().is_empty(), "padding only");
        for bad in [0, 7, 255] {
            packet[17] = bad;
            assert_eq!(header.payload_range(&packet), Err(RtpError::BadPadding));
        }
        assert_eq!(
            header.payload_range(&packet[..12]),
            Err(RtpError::BadPadding),
            "no byte to hold the count"
        );
        assert_eq!(header.payload_range(&packet[..11]), Err(RtpError::Truncated));
    }
}
