//! VP8 payload descriptor (RFC 7741 §4.2): read, and rewritten in place when a slot's source changes.

/// A VP8 picture id in the width the sender chose; the width is kept when it is rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureId {
    /// Seven bits.
    Short(u8),
    /// Fifteen bits.
    Long(u16),
}

impl PictureId {
    /// The number itself.
    #[inline]
    #[must_use]
    pub const fn value(self) -> u16 {
        match self {
            Self::Short(value) => value as u16,
            Self::Long(value) => value,
        }
    }

    /// The largest number of this width: 127 or 32,767.
    #[inline]
    #[must_use]
    pub const fn max(self) -> u16 {
        match self {
            Self::Short(_) => 0x7f,
            Self::Long(_) => 0x7fff,
        }
    }
}

/// Temporal layer of a VP8 packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vp8TemporalLayer {
    /// Layer number, 0..=3, 0 being the base.
    pub index: u8,
    /// The frame depends on layer 0 only: one can go up to this layer here.
    pub is_sync: bool,
}

/// A VP8 payload descriptor, and what the byte after it says about the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vp8Descriptor {
    /// Length in bytes, 1..=6.
    pub len: usize,
    /// No other frame refers to this one (N).
    pub is_non_reference: bool,
    /// The packet begins a partition (S).
    pub starts_partition: bool,
    /// Partition number (PID), 0..=7.
    pub partition: u8,
    /// Picture id, if present.
    pub picture_id: Option<PictureId>,
    /// Running index of base layer frames, if present.
    pub tl0_picture_index: Option<u8>,
    /// Temporal layer, if present.
    pub temporal_layer: Option<Vp8TemporalLayer>,
    /// Temporal key frame index, 0..=31, if present.
    pub key_index: Option<u8>,
    /// The first packet of a keyframe: S=1, PID=0 and P=0 in the payload header (RFC 7741 §4.3).
    pub is_keyframe_start: bool,
}

/// What [`Vp8Descriptor::rewrite`] puts in place of the publisher's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Vp8Rewrite {
    /// Picture id; cut to the width in the packet.
    pub picture_id: u16,
    /// Running index of base layer frames.
    pub tl0_picture_index: u8,
}

impl Vp8Descriptor {
    /// Most bytes a descriptor can have.
    pub const MAX_LEN: usize = 6;

    /// Reads the descriptor at the start of an RTP payload; `None` if the payload ends before it does.
    #[inline]
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (&first, mut rest) = payload.split_first()?;
        let mut next = || {
            let (&byte, after) = rest.split_first()?;
            rest = after;
            Some(byte)
        };
        let mut descriptor = Self {
            len: 0,
            is_non_reference: first & 0x20 != 0,
            starts_partition: first & 0x10 != 0,
            partition: first & 0x07,
            picture_id: None,
            tl0_picture_index: None,
            temporal_layer: None,
            key_index: None,
            is_keyframe_start: false,
        };
        if first & 0x80 != 0 {
            let present = next()?;
            if present & 0x80 != 0 {
                let high = next()?;
                descriptor.picture_id = Some(if high & 0x80 == 0 {
                    PictureId::Short(high)
                } else {
                    PictureId::Long(u16::from_be_bytes([high & 0x7f, next()?]))
                });
            }
            if present & 0x40 != 0 {
                descriptor.tl0_picture_index = Some(next()?);
            }
            if present & 0x30 != 0 {
                let layers = next()?;
                if present & 0x20 != 0 {
                    descriptor.temporal_layer =
                        Some(Vp8TemporalLayer { index: layers >> 6, is_sync: layers & 0x20 != 0 });
                }
                if present & 0x10 != 0 {
                    descriptor.key_index = Some(layers & 0x1f);
                }
            }
        }
        descriptor.len = payload.len() - rest.len();
        descriptor.is_keyframe_start = descriptor.starts_partition
            && descriptor.partition == 0
            && rest.first().is_some_and(|frame| frame & 0x01 == 0);
        Some(descriptor)
    }

    /// Writes new numbers over the old ones in `payload`, a copy of the payload this descriptor was read from. A
    /// number that the packet does not carry is not added, so that lengths stay as they are.
    #[inline]
    pub fn rewrite(&self, payload: &mut [u8], numbers: Vp8Rewrite) {
        // The descriptor's first two bytes are flags; the picture id follows if there is one.
        let mut at = 2;
        match self.picture_id {
            Some(PictureId::Short(_)) => {
                if let Some(byte) = payload.get_mut(at) {
                    *byte = numbers.picture_id as u8 & 0x7f;
                }
                at += 1;
            }
            Some(PictureId::Long(_)) => {
                if let Some(bytes) = payload.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
                    *bytes = (numbers.picture_id | 0x8000).to_be_bytes();
                }
                at += 2;
            }
            None => {}
        }
        if self.tl0_picture_index.is_some()
            && let Some(byte) = payload.get_mut(at)
        {
            *byte = numbers.tl0_picture_index;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    #[test]
    fn libwebrtc_like_keyframe() {
        let payload = [0x90, 0xe0, 0x93, 0x21, 5, 0x20, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a];
        let descriptor = Vp8Descriptor::parse(&payload).unwrap();
        assert_eq!(descriptor.len, 6);
        assert_eq!(descriptor.picture_id, Some(PictureId::Long(0x1321)));
        assert_eq!(descriptor.tl0_picture_index, Some(5));
        assert_eq!(descriptor.temporal_layer, Some(Vp8TemporalLayer { index: 0, is_sync: true }));
        assert_eq!(descriptor.key_index, None);
        assert!(descriptor.is_keyframe_start);
        for len in 0..6 {
            assert_eq!(Vp8Descriptor::parse(&payload[..len]), None, "{len}");
        }
        assert!(!Vp8Descriptor::parse(&payload[..6]).unwrap().is_keyframe_start, "no payload header");
    }

    #[test]
    fn only_the_first_packet_of_a_keyframe_starts_it() {
        let is_start =
            |first: u8, frame: u8| Vp8Descriptor::parse(&[first, frame]).unwrap().is_keyframe_start;
        assert!(is_start(0x10, 0x00));
        assert!(!is_start(0x10, 0x01), "interframe");
        assert!(!is_start(0x00, 0x00), "a later packet");
        assert!(!is_start(0x11, 0x00), "a later partition");
    }

    #[test]
    fn rewriting_changes_the_numbers_and_nothing_else() {
        let mut rng = StdRng::seed_from_u64(8);
        for _ in 0..5_000 {
            let payload: Vec<u8> = (0..rng.random_range(1..12)).map(|_| rng.random()).collect();
            let Some(before) = Vp8Descriptor::parse(&payload) else { continue };
            let mut copy = payload.clone();
            let numbers = Vp8Rewrite { picture_id: rng.random(), tl0_picture_index: rng.random() };
            before.rewrite(&mut copy, numbers);
            let after = Vp8Descriptor::parse(&copy).unwrap();
            let expected = Vp8Descriptor {
                picture_id: before.picture_id.map(|id| match id {
                    PictureId::Short(_) => PictureId::Short(numbers.picture_id as u8 & 0x7f),
                    PictureId::Long(_) => PictureId::Long(numbers.picture_id & 0x7fff),
                }),
                tl0_picture_index: before.tl0_picture_index.map(|_| numbers.tl0_picture_index),
                ..before
            };
            assert_eq!(after, expected);
            assert_eq!(copy[before.len..], payload[before.len..]);
        }
    }

    #[test]
    fn rewriting_a_shorter_slice_does_nothing_bad() {
        let descriptor = Vp8Descriptor::parse(&[0x90, 0xe0, 0x93, 0x21, 5, 0x20, 0]).unwrap();
        for len in 0..6 {
            descriptor.rewrite(&mut vec![0; len], Vp8Rewrite::default());
        }
    }
}
