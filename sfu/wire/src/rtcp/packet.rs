//! Walks a compound RTCP packet (RFC 3550 §6.1).
use super::{
    Bye, FORMAT_APPLICATION, FORMAT_FIR, FORMAT_NACK, FORMAT_PLI, FORMAT_TWCC, Fir, GOODBYE, Nack,
    PAYLOAD_FEEDBACK, Pli, RECEIVER_REPORT, ReceiverReport, Remb, SENDER_REPORT, SenderReport,
    TRANSPORT_FEEDBACK, TwccFeedback,
};

/// Why bytes are not an RTCP packet. Always the sender's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtcpError {
    /// The compound packet cannot be walked further: a header or length does not fit, or the version is not 2.
    #[error("compound RTCP packet is damaged")]
    BrokenCompound,
    /// One packet's contents do not fit its length; those after it are not affected.
    #[error("RTCP packet of type {packet_type} is malformed")]
    Malformed {
        /// The packet type, 192..=223.
        packet_type: u8,
    },
}

/// One packet out of a compound packet. What has been parsed can be iterated without further errors.
#[derive(Clone, Debug)]
pub enum RtcpPacket<'a> {
    /// Sender report.
    SenderReport(SenderReport<'a>),
    /// Receiver report.
    ReceiverReport(ReceiverReport<'a>),
    /// Streams that have ended.
    Bye(Bye<'a>),
    /// Generic NACK: packets asked for again.
    Nack(Nack<'a>),
    /// Picture loss indication: a keyframe request.
    Pli(Pli),
    /// Full intra request: a keyframe request too.
    Fir(Fir<'a>),
    /// Receiver estimated maximum bitrate.
    Remb(Remb<'a>),
    /// Transport-wide congestion control feedback.
    Twcc(TwccFeedback<'a>),
    /// Anything else, skipped.
    Other {
        /// The packet type.
        packet_type: u8,
        /// The count or format field, 0..=31.
        format: u8,
    },
}

/// The packets of a decrypted compound packet, in order.
#[inline]
#[must_use]
pub const fn packets(compound: &[u8]) -> Packets<'_> {
    Packets { rest: compound }
}

/// Iterator over the packets of a compound packet. After [`RtcpError::BrokenCompound`] it ends; after
/// [`RtcpError::Malformed`] it goes on.
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<RtcpPacket<'a>, RtcpError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let Some((header, body, rest)) = split_packet(self.rest) else {
            self.rest = &[];
            return Some(Err(RtcpError::BrokenCompound));
        };
        self.rest = rest;
        Some(parse(header, body).ok_or(RtcpError::Malformed { packet_type: header.packet_type }))
    }
}

#[derive(Clone, Copy)]
struct Header {
    /// Count of blocks, or format of feedback.
    format: u8,
    packet_type: u8,
}

/// Splits off the first packet: its header, its body without padding, and what follows.
fn split_packet(compound: &[u8]) -> Option<(Header, &[u8], &[u8])> {
    let (&[flags, packet_type, l0, l1], after) = compound.split_first_chunk()?;
    if flags >> 6 != 2 {
        return None;
    }
    let (mut body, rest) = after.split_at_checked(4 * usize::from(u16::from_be_bytes([l0, l1])))?;
    if flags & 0x20 != 0 {
        let padding = usize::from(*body.last()?);
        if padding == 0 {
            return None;
        }
        body = body.get(..body.len().checked_sub(padding)?)?;
    }
    Some((Header { format: flags & 0x1f, packet_type }, body, rest))
}

fn parse(header: Header, body: &[u8]) -> Option<RtcpPacket<'_>> {
    let Header { format, packet_type } = header;
    Some(match (packet_type, format) {
        (SENDER_REPORT, count) => RtcpPacket::SenderReport(SenderReport::parse(count, body)?),
        (RECEIVER_REPORT, count) => RtcpPacket::ReceiverReport(ReceiverReport::parse(count, body)?),
        (GOODBYE, count) => RtcpPacket::Bye(Bye::parse(count, body)?),
        (TRANSPORT_FEEDBACK, FORMAT_NACK) => RtcpPacket::Nack(Nack::parse(body)?),
        (TRANSPORT_FEEDBACK, FORMAT_TWCC) => RtcpPacket::Twcc(TwccFeedback::parse(body)?),
        (PAYLOAD_FEEDBACK, FORMAT_PLI) => RtcpPacket::Pli(Pli::parse(body)?),
        (PAYLOAD_FEEDBACK, FORMAT_FIR) => RtcpPacket::Fir(Fir::parse(body)?),
        (PAYLOAD_FEEDBACK, FORMAT_APPLICATION) if Remb::is_remb(body) => RtcpPacket::Remb(Remb::parse(body)?),
        _ => RtcpPacket::Other { packet_type, format },
    })
}

/// Appends a packet header (RFC 3550 §6.4.1) for `body_words` 32-bit words after it.
pub(super) fn write_header(format: u8, packet_type: u8, body_words: usize, out: &mut Vec<u8>) {
    let [l0, l1] = (body_words as u16).to_be_bytes();
    out.extend_from_slice(&[0x80 | format & 0x1f, packet_type, l0, l1]);
}

/// Appends a packet whose body `write` appends; the length is filled in afterwards, and the body padded with zeros to
/// a whole number of words.
pub(super) fn write_packet(format: u8, packet_type: u8, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    write_header(format, packet_type, 0, out);
    let body_start = out.len();
    write(out);
    out.resize(body_start + (out.len() - body_start).next_multiple_of(4), 0);
    let words = ((out.len() - body_start) / 4) as u16;
    if let Some(length) = out.get_mut(start + 2..).and_then(|rest| rest.first_chunk_mut()) {
        *length = words.to_be_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::Ssrc;

    #[test]
    fn a_compound_packet_is_walked_to_its_end() {
        // Receiver report without blocks, XR, PLI, empty BYE with padding.
        let compound = [
            0x80, 201, 0, 1, 0, 0, 0, 1, //
            0x80, 207, 0, 2, 0, 0, 0, 1, 4, 0, 0, 0, //
            0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, //
            0xa0, 203, 0, 1, 0, 0, 0, 4,
        ];
        let all: Vec<_> = packets(&compound).map(Result::unwrap).collect();
        assert_eq!(all.len(), 4);
        assert!(matches!(&all[0], RtcpPacket::ReceiverReport(report) if report.sender == Ssrc(1)));
        assert!(matches!(all[1], RtcpPacket::Other { packet_type: 207, format: 0 }));
        assert!(matches!(all[2], RtcpPacket::Pli(Pli { sender: Ssrc(1), media: Ssrc(2) })));
        assert!(matches!(&all[3], RtcpPacket::Bye(bye) if bye.sources().count() == 0));
    }

    #[test]
    fn a_malformed_packet_does_not_hide_the_next() {
        let compound = [0x81, 201, 0, 1, 0, 0, 0, 1, 0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
        let all: Vec<_> = packets(&compound).collect();
        assert_eq!(all[0].as_ref().unwrap_err(), &RtcpError::Malformed { packet_type: 201 });
        assert!(matches!(all[1], Ok(RtcpPacket::Pli(_))));
    }

    #[test]
    fn damage_ends_the_walk() {
        for bad in [
            &[0x80, 201, 0][..],
            &[0x80, 201, 0, 2, 0, 0, 0, 1],
            &[0x40, 201, 0, 0],
            &[0xa0, 203, 0, 0],
            &[0xa0, 203, 0, 1, 0, 0, 0, 5],
            &[0xa0, 203, 0, 1, 0, 0, 0, 0],
        ] {
            let all: Vec<_> = packets(bad).collect();
            assert_eq!(all.len(), 1, "{bad:?}");
            assert_eq!(all[0].as_ref().unwrap_err(), &RtcpError::BrokenCompound);
        }
        assert_eq!(packets(&[]).count(), 0);
    }
}
