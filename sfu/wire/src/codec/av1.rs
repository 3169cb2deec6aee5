//! AV1 aggregation header (RTP payload format for AV1 1.0, §4.4).

/// The byte before the OBU elements of an AV1 payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Av1Descriptor {
    /// The first OBU continues one of the packet before (Z).
    pub continues_previous: bool,
    /// The last OBU goes on in the next packet (Y).
    pub continues_in_next: bool,
    /// Number of OBU elements, or 0 when each has a length (W), 0..=3.
    pub element_count: u8,
    /// First packet of a coded video sequence (N): a keyframe with its sequence header.
    pub starts_sequence: bool,
}

impl Av1Descriptor {
    /// Reads the aggregation header; `None` for an empty payload.
    #[inline]
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let first = *payload.first()?;
        Some(Self {
            continues_previous: first & 0x80 != 0,
            continues_in_next: first & 0x40 != 0,
            element_count: first >> 4 & 0x03,
            starts_sequence: first & 0x08 != 0,
        })
    }

    /// The first packet of a keyframe: N=1, with which Z=1 is forbidden.
    #[inline]
    #[must_use]
    pub const fn is_keyframe_start(&self) -> bool {
        self.starts_sequence && !self.continues_previous
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_n_bit_starts_a_keyframe() {
        let parse = |byte| Av1Descriptor::parse(&[byte, 0x0a]).unwrap();
        assert!(parse(0x18).is_keyframe_start());
        assert!(!parse(0x10).is_keyframe_start());
        assert!(!parse(0x98).is_keyframe_start(), "a continuation cannot start anything");
        assert_eq!(parse(0x70).element_count, 3);
        assert!(parse(0x70).continues_in_next);
        assert_eq!(Av1Descriptor::parse(&[]), None);
    }
}
