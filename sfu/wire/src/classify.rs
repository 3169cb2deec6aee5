//! Tells apart what shares one socket, by the first bytes (RFC 7983 §7, RFC 5761 §4).

/// What a datagram claims to be. Nothing is checked beyond the first two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DatagramKind {
    /// STUN, first byte 0..=3.
    Stun,
    /// DTLS, first byte 20..=63.
    Dtls,
    /// RTP or SRTP, first byte 128..=191.
    Rtp,
    /// RTCP or SRTCP: as RTP, with a packet type of 192..=223 in the second byte.
    Rtcp,
    /// Anything else: ZRTP, TURN channels, empty datagrams, noise.
    Other,
}

/// Says what kind of datagram this is.
#[inline]
#[must_use]
pub fn classify(datagram: &[u8]) -> DatagramKind {
    match datagram {
        [0..=3, ..] => DatagramKind::Stun,
        [20..=63, ..] => DatagramKind::Dtls,
        [128..=191, 192..=223, ..] => DatagramKind::Rtcp,
        [128..=191, _, ..] => DatagramKind::Rtp,
        _ => DatagramKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_decide() {
        let cases: [(&[u8], DatagramKind); 16] = [
            (&[], DatagramKind::Other),
            (&[0, 1], DatagramKind::Stun),
            (&[3], DatagramKind::Stun),
            (&[4, 0], DatagramKind::Other),
            (&[19, 0], DatagramKind::Other),
            (&[20, 254], DatagramKind::Dtls),
            (&[63], DatagramKind::Dtls),
            (&[64, 0], DatagramKind::Other),
            (&[127, 0], DatagramKind::Other),
            (&[128], DatagramKind::Other),
            (&[128, 96], DatagramKind::Rtp),
            (&[0x90, 0x80 | 111], DatagramKind::Rtp),
            (&[0x80, 200], DatagramKind::Rtcp),
            (&[0x8f, 206], DatagramKind::Rtcp),
            (&[191, 224], DatagramKind::Rtp),
            (&[192, 200], DatagramKind::Other),
        ];
        for (datagram, kind) in cases {
            assert_eq!(classify(datagram), kind, "{datagram:?}");
        }
    }
}
