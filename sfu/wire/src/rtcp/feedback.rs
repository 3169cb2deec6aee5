//! Feedback about single streams: NACK, PLI (RFC 4585), FIR (RFC 5104), REMB (draft-alvestrand-rmcat-remb-03).
use super::packet::write_packet;
use super::report::{Ssrcs, split_ssrc};
use super::{FORMAT_APPLICATION, FORMAT_FIR, FORMAT_NACK, FORMAT_PLI, PAYLOAD_FEEDBACK, TRANSPORT_FEEDBACK};
use crate::rtp::{SequenceNumber, Ssrc};

/// Splits off the two SSRCs every feedback packet begins with: who sends it, and the stream it is about.
pub(super) fn split_feedback(body: &[u8]) -> Option<(Ssrc, Ssrc, &[u8])> {
    let (sender, rest) = split_ssrc(body)?;
    let (media, rest) = split_ssrc(rest)?;
    Some((sender, media, rest))
}

/// Packets asked for again (RFC 4585 §6.2.1).
#[derive(Clone, Debug)]
pub struct Nack<'a> {
    /// Who asks.
    pub sender: Ssrc,
    /// The stream.
    pub media: Ssrc,
    entries: &'a [u8],
}

impl<'a> Nack<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let (sender, media, entries) = split_feedback(body)?;
        Some(Self { sender, media, entries })
    }

    /// The sequence numbers asked for, in packet order. One packet can name 17 for every 4 bytes, so the caller
    /// bounds how many it serves.
    #[must_use]
    pub fn sequences(&self) -> NackSequences<'a> {
        NackSequences { rest: self.entries, base: SequenceNumber(0), pending: 0 }
    }
}

/// Iterator over the sequence numbers of a NACK.
#[derive(Clone, Debug)]
pub struct NackSequences<'a> {
    rest: &'a [u8],
    /// The number that bit 0 of `pending` stands for.
    base: SequenceNumber,
    /// Bit 0 is the packet id itself, bits 1..=16 the bitmask after it.
    pending: u32,
}

impl Iterator for NackSequences<'_> {
    type Item = SequenceNumber;

    fn next(&mut self) -> Option<SequenceNumber> {
        if self.pending == 0 {
            let (&[p0, p1, b0, b1], rest) = self.rest.split_first_chunk()?;
            self.rest = rest;
            self.base = SequenceNumber(u16::from_be_bytes([p0, p1]));
            self.pending = u32::from(u16::from_be_bytes([b0, b1])) << 1 | 1;
        }
        let offset = self.pending.trailing_zeros();
        self.pending &= self.pending - 1;
        Some(self.base.wrapping_add(offset as u16))
    }
}

/// Appends a NACK for `lost`, best given in rising order: numbers up to 16 after one another share an entry. Nothing
/// if there are none.
pub fn write_nack(
    sender: Ssrc,
    media: Ssrc,
    lost: impl IntoIterator<Item = SequenceNumber>,
    out: &mut Vec<u8>,
) {
    let mut lost = lost.into_iter();
    let Some(mut base) = lost.next() else { return };
    write_packet(FORMAT_NACK, TRANSPORT_FEEDBACK, out, |out| {
        out.extend_from_slice(&sender.0.to_be_bytes());
        out.extend_from_slice(&media.0.to_be_bytes());
        let mut write_entry = |base: SequenceNumber, mask: u16| {
            out.extend_from_slice(&base.0.to_be_bytes());
            out.extend_from_slice(&mask.to_be_bytes());
        };
        let mut mask = 0u16;
        for sequence in lost {
            match sequence.0.wrapping_sub(base.0) {
                0 => {}
                offset @ 1..=16 => mask |= 1 << (offset - 1),
                _ => {
                    write_entry(base, mask);
                    (base, mask) = (sequence, 0);
                }
            }
        }
        write_entry(base, mask);
    });
}

/// Picture loss indication (RFC 4585 §6.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pli {
    /// Who asks.
    pub sender: Ssrc,
    /// The stream that should send a keyframe.
    pub media: Ssrc,
}

impl Pli {
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let (sender, media, _) = split_feedback(body)?;
        Some(Self { sender, media })
    }
}

/// Appends a picture loss indication.
pub fn write_pli(sender: Ssrc, media: Ssrc, out: &mut Vec<u8>) {
    write_packet(FORMAT_PLI, PAYLOAD_FEEDBACK, out, |out| {
        out.extend_from_slice(&sender.0.to_be_bytes());
        out.extend_from_slice(&media.0.to_be_bytes());
    });
}

/// Full intra request (RFC 5104 §4.3.1).
#[derive(Clone, Debug)]
pub struct Fir<'a> {
    /// Who asks.
    pub sender: Ssrc,
    requests: &'a [u8],
}

impl<'a> Fir<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let (sender, _, requests) = split_feedback(body)?;
        Some(Self { sender, requests })
    }

    /// The streams that should send a keyframe, each with the number of the request: a repetition has the same.
    #[must_use]
    pub fn requests(&self) -> FirRequests<'a> {
        FirRequests { rest: self.requests }
    }
}

/// Iterator over the requests of a FIR.
#[derive(Clone, Debug)]
pub struct FirRequests<'a> {
    rest: &'a [u8],
}

impl Iterator for FirRequests<'_> {
    type Item = (Ssrc, u8);

    fn next(&mut self) -> Option<(Ssrc, u8)> {
        let (&[a, b, c, d, number, _, _, _], rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some((Ssrc(u32::from_be_bytes([a, b, c, d])), number))
    }
}

/// Appends a full intra request for these streams, each with its request number; nothing if there are none.
pub fn write_fir(sender: Ssrc, requests: &[(Ssrc, u8)], out: &mut Vec<u8>) {
    if requests.is_empty() {
        return;
    }
    write_packet(FORMAT_FIR, PAYLOAD_FEEDBACK, out, |out| {
        out.extend_from_slice(&sender.0.to_be_bytes());
        out.extend_from_slice(&[0; 4]);
        for (ssrc, number) in requests {
            out.extend_from_slice(&ssrc.0.to_be_bytes());
            out.extend_from_slice(&[*number, 0, 0, 0]);
        }
    });
}

const REMB_ID: &[u8; 4] = b"REMB";

/// Receiver estimated maximum bitrate.
#[derive(Clone, Debug)]
pub struct Remb<'a> {
    /// Who estimates.
    pub sender: Ssrc,
    /// The estimate for all the streams together, in bits per second.
    pub bitrate_bps: u64,
    sources: Ssrcs<'a>,
}

impl<'a> Remb<'a> {
    /// True if this application feedback has REMB's unique identifier.
    pub(super) fn is_remb(body: &[u8]) -> bool {
        split_feedback(body).is_some_and(|(_, _, rest)| rest.starts_with(REMB_ID))
    }

    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let (sender, _, rest) = split_feedback(body)?;
        let (&[r, e, m, b, count, m0, m1, m2], rest) = rest.split_first_chunk()?;
        if [r, e, m, b] != *REMB_ID {
            return None;
        }
        let mantissa = u64::from(m0 & 0x03) << 16 | u64::from(m1) << 8 | u64::from(m2);
        let exponent = u32::from(m0 >> 2);
        // An exponent above 46 can overflow 64 bits: no such path exists, so the largest number does as well.
        let bitrate_bps = if exponent > mantissa.leading_zeros() { u64::MAX } else { mantissa << exponent };
        let sources = Ssrcs { rest: rest.get(..4 * usize::from(count))? };
        Some(Self { sender, bitrate_bps, sources })
    }

    /// The streams the estimate is for.
    #[must_use]
    pub fn sources(&self) -> Ssrcs<'a> {
        self.sources.clone()
    }
}

/// Appends a receiver estimate of `bitrate_bps` bits per second, rounded down to 18 significant bits, for up to 255
/// streams.
pub fn write_remb(sender: Ssrc, bitrate_bps: u64, sources: &[Ssrc], out: &mut Vec<u8>) {
    const MANTISSA_BITS: u32 = 18;
    let sources = sources.get(..255).unwrap_or(sources);
    let exponent = (u64::BITS - bitrate_bps.leading_zeros()).saturating_sub(MANTISSA_BITS);
    let [_, m0, m1, m2] = ((bitrate_bps >> exponent) as u32).to_be_bytes();
    write_packet(FORMAT_APPLICATION, PAYLOAD_FEEDBACK, out, |out| {
        out.extend_from_slice(&sender.0.to_be_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(REMB_ID);
        out.extend_from_slice(&[sources.len() as u8, (exponent as u8) << 2 | m0, m1, m2]);
        sources.iter().for_each(|source| out.extend_from_slice(&source.0.to_be_bytes()));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::{RtcpError, RtcpPacket, packets};
    use rand::{Rng, SeedableRng, rngs::StdRng};
    use std::collections::BTreeSet;

    fn only(bytes: &[u8]) -> Result<RtcpPacket<'_>, RtcpError> {
        let mut packets = packets(bytes);
        let packet = packets.next().unwrap();
        assert!(packets.next().is_none());
        packet
    }

    #[test]
    fn nack_packs_neighbours_together() {
        let mut out = Vec::new();
        write_nack(Ssrc(1), Ssrc(2), [65_535, 0, 15, 16, 40].map(SequenceNumber), &mut out);
        let expected = [
            0x81, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, //
            0xff, 0xff, 0x80, 0x01, 0, 16, 0, 0, 0, 40, 0, 0,
        ];
        assert_eq!(out, expected);
        let mut none = Vec::new();
        write_nack(Ssrc(1), Ssrc(2), [], &mut none);
        assert!(none.is_empty());
    }

    #[test]
    fn nack_round_trips() {
        let mut rng = StdRng::seed_from_u64(9);
        for _ in 0..500 {
            let start: u16 = rng.random();
            let offsets: BTreeSet<u16> =
                (0..rng.random_range(1..60)).map(|_| rng.random_range(0..400)).collect();
            let lost: Vec<_> =
                offsets.iter().map(|offset| SequenceNumber(start.wrapping_add(*offset))).collect();
            let mut out = Vec::new();
            write_nack(Ssrc(1), Ssrc(2), lost.iter().copied(), &mut out);
            let Ok(RtcpPacket::Nack(nack)) = only(&out) else { panic!() };
            assert_eq!((nack.sender, nack.media), (Ssrc(1), Ssrc(2)));
            assert_eq!(nack.sequences().collect::<Vec<_>>(), lost);
        }
    }

    #[test]
    fn keyframe_requests_round_trip() {
        let mut out = Vec::new();
        write_pli(Ssrc(1), Ssrc(2), &mut out);
        assert_eq!(out, [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
        assert!(matches!(only(&out), Ok(RtcpPacket::Pli(Pli { sender: Ssrc(1), media: Ssrc(2) }))));

        let requests = [(Ssrc(7), 255), (Ssrc(8), 0)];
        let mut out = Vec::new();
        write_fir(Ssrc(1), &requests, &mut out);
        write_fir(Ssrc(1), &[], &mut out);
        let Ok(RtcpPacket::Fir(fir)) = only(&out) else { panic!() };
        assert_eq!(fir.sender, Ssrc(1));
        assert_eq!(fir.requests().collect::<Vec<_>>(), requests);
    }

    #[test]
    fn remb_round_trips_to_18_bits() {
        let mut rng = StdRng::seed_from_u64(10);
        let random = (0..200).map(|_| rng.random::<u64>() >> rng.random_range(0..64)).collect::<Vec<_>>();
        for bitrate in [0, 1, 262_143, 262_144, 2_500_000, u64::MAX].into_iter().chain(random) {
            let mut out = Vec::new();
            write_remb(Ssrc(1), bitrate, &[Ssrc(2), Ssrc(3)], &mut out);
            let Ok(RtcpPacket::Remb(remb)) = only(&out) else { panic!() };
            assert!(remb.bitrate_bps <= bitrate && bitrate - remb.bitrate_bps <= bitrate >> 17);
            assert_eq!(remb.sources().collect::<Vec<_>>(), [Ssrc(2), Ssrc(3)]);
        }
    }

    #[test]
    fn remb_with_a_huge_exponent_saturates() {
        let mut out = Vec::new();
        write_remb(Ssrc(1), 1, &[], &mut out);
        let at = out.len() - 3;
        out[at] = 0xff;
        assert!(matches!(only(&out), Ok(RtcpPacket::Remb(remb)) if remb.bitrate_bps == u64::MAX));
        out[at - 1] = 1;
        assert!(
            matches!(only(&out), Err(RtcpError::Malformed { packet_type: 206 })),
            "more sources than bytes"
        );
        out[at - 5] = b'X';
        assert!(matches!(only(&out), Ok(RtcpPacket::Other { packet_type: 206, format: 15 })));
    }
}
