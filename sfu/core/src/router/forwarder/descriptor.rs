//! Payload descriptors: read once per packet at ingress, written anew for each slot with its own numbers.

use patchbay_wire::codec::{PayloadFormat, PictureId, Vp8Descriptor, Vp8Rewrite, Vp9Descriptor};

use super::rewrite::{PictureNumbers, SourceNumbers};

/// VP9 descriptor flags (RFC 9628 §4.2): picture id present, layers present, flexible mode.
const VP9_PICTURE_ID: u8 = 0x80;
const VP9_LAYERS: u8 = 0x20;
const VP9_FLEXIBLE: u8 = 0x10;

/// What the descriptor of a packet says, as far as forwarding needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Descriptor {
    /// Running numbers that have to be continued. None for formats without, and for damaged payloads.
    pub(crate) numbers: Option<SourceNumbers>,
    /// A decoder can start here: the first packet of a keyframe, or any packet of sound.
    pub(crate) is_start: bool,
}

impl Descriptor {
    /// Reads what stands at the beginning of a payload.
    #[inline]
    pub(crate) fn parse(format: PayloadFormat, payload: &[u8]) -> Self {
        match format {
            PayloadFormat::Vp8 => {
                Vp8Descriptor::parse(payload).map_or_else(Self::default, |descriptor| Self {
                    numbers: Some(SourceNumbers {
                        picture_id: descriptor.picture_id,
                        tl0_index: descriptor.tl0_picture_index,
                    }),
                    is_start: descriptor.is_keyframe_start,
                })
            }
            PayloadFormat::Vp9 => Vp9Descriptor::parse(payload).map_or_else(Self::default, |descriptor| {
                // A 7-bit id has the bit before it clear.
                let is_long = payload.get(1).is_some_and(|high| high & 0x80 != 0);
                let width =
                    |id| if is_long { PictureId::Long(id) } else { PictureId::Short((id & 0x7f) as u8) };
                Self {
                    numbers: Some(SourceNumbers {
                        picture_id: descriptor.picture_id.map(width),
                        tl0_index: descriptor.tl0_picture_index,
                    }),
                    is_start: descriptor.is_keyframe_start(),
                }
            }),
            _ => Self { numbers: None, is_start: format.is_keyframe_start(payload) },
        }
    }
}

/// Rewritten bytes that stand in place of the first ones of a payload.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Prefix {
    bytes: [u8; Prefix::MAX_BYTES],
    len: u8,
    replaced: u8,
}

impl Prefix {
    /// Most bytes a prefix can have: a VP8 descriptor whose picture id was widened.
    pub(crate) const MAX_BYTES: usize = Vp8Descriptor::MAX_LEN + 1;

    /// The prefix that gives a payload these numbers; empty if there are none.
    #[inline]
    pub(crate) fn write(format: PayloadFormat, numbers: Option<PictureNumbers>, payload: &[u8]) -> Self {
        let mut prefix = Self::default();
        let written = numbers.and_then(|numbers| match format {
            PayloadFormat::Vp8 => write_vp8(numbers, payload, &mut prefix.bytes),
            PayloadFormat::Vp9 => write_vp9(numbers, payload, &mut prefix.bytes),
            _ => None,
        });
        if let Some((len, replaced)) = written {
            prefix.len = len as u8;
            prefix.replaced = replaced as u8;
        }
        prefix
    }

    /// The bytes to be sent first.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// What of the payload comes after them.
    #[inline]
    pub(crate) fn rest<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
        payload.get(usize::from(self.replaced)..).unwrap_or_default()
    }
}

/// Writes a VP8 descriptor with these numbers. Returns its length in the buffer and in the payload.
fn write_vp8(
    numbers: PictureNumbers,
    payload: &[u8],
    prefix: &mut [u8; Prefix::MAX_BYTES],
) -> Option<(usize, usize)> {
    let mut descriptor = Vp8Descriptor::parse(payload)?;
    let original = payload.get(..descriptor.len)?;
    let mut len = descriptor.len;
    if let Some(PictureId::Short(_)) = descriptor.picture_id {
        // A 15-bit id in place of a 7-bit one: everything behind it moves by a byte.
        let (head, tail) = original.split_at_checked(2)?;
        prefix.get_mut(..2)?.copy_from_slice(head);
        prefix.get_mut(3..len + 1)?.copy_from_slice(tail);
        descriptor.picture_id = Some(PictureId::Long(0));
        len += 1;
    } else {
        prefix.get_mut(..len)?.copy_from_slice(original);
    }
    let rewrite = Vp8Rewrite {
        picture_id: numbers.picture_id.unwrap_or_default(),
        tl0_picture_index: numbers.tl0_index.unwrap_or_default(),
    };
    descriptor.rewrite(prefix.get_mut(..len)?, rewrite);
    Some((len, original.len()))
}

/// Writes the first fields of a VP9 descriptor with these numbers; the rest of it stays in the payload. `None`: it has no
/// picture id, and then no number to rewrite.
fn write_vp9(
    numbers: PictureNumbers,
    payload: &[u8],
    prefix: &mut [u8; Prefix::MAX_BYTES],
) -> Option<(usize, usize)> {
    let picture = numbers.picture_id?;
    let (&flags, rest) = payload.split_first()?;
    if flags & VP9_PICTURE_ID == 0 {
        return None;
    }
    let id_bytes = if rest.first()? & 0x80 != 0 { 2 } else { 1 };
    let [high, low] = (picture | 0x8000).to_be_bytes();
    prefix.get_mut(..3)?.copy_from_slice(&[flags, high, low]);
    if flags & VP9_LAYERS == 0 {
        return Some((3, 1 + id_bytes));
    }
    let layers = *rest.get(id_bytes)?;
    *prefix.get_mut(3)? = layers;
    if flags & VP9_FLEXIBLE != 0 {
        return Some((4, 2 + id_bytes));
    }
    *prefix.get_mut(4)? = numbers.tl0_index?;
    Some((5, 3 + id_bytes))
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    const NUMBERS: PictureNumbers = PictureNumbers { picture_id: Some(0x1234), tl0_index: Some(9) };

    fn rewritten(format: PayloadFormat, payload: &[u8]) -> Vec<u8> {
        let prefix = Prefix::write(format, Some(NUMBERS), payload);
        [prefix.bytes(), prefix.rest(payload)].concat()
    }

    #[test]
    fn vp8_descriptors_are_written_with_long_ids() {
        let written = |payload: &[u8]| rewritten(PayloadFormat::Vp8, payload);
        assert_eq!(
            written(&[0x90, 0xe0, 0x93, 0x21, 5, 0x20, 0xaa, 0xbb]),
            [0x90, 0xe0, 0x92, 0x34, 9, 0x20, 0xaa, 0xbb]
        );
        assert_eq!(written(&[0x90, 0xe0, 0x21, 5, 0x20, 0xaa]), [0x90, 0xe0, 0x92, 0x34, 9, 0x20, 0xaa]);
        assert_eq!(written(&[0x10, 0]), [0x10, 0]);
        assert!(written(&[]).is_empty());
    }

    #[test]
    fn vp9_descriptors_are_written_with_long_ids() {
        let written = |payload: &[u8]| rewritten(PayloadFormat::Vp9, payload);
        assert_eq!(written(&[0xaa, 0x81, 0x02, 0x30, 7, 0x18]), [0xaa, 0x92, 0x34, 0x30, 9, 0x18]);
        assert_eq!(written(&[0xaa, 0x51, 0x30, 7, 0x18]), [0xaa, 0x92, 0x34, 0x30, 9, 0x18], "7 bits");
        assert_eq!(written(&[0xb8, 0x81, 0x02, 0x30, 0x18]), [0xb8, 0x92, 0x34, 0x30, 0x18], "flexible");
        assert_eq!(written(&[0x88, 0x81, 0x02, 0x18]), [0x88, 0x92, 0x34, 0x18], "no layers");
        assert_eq!(written(&[0x08, 0x18]), [0x08, 0x18], "no picture id");
        assert_eq!(written(&[0xaa]), [0xaa]);
    }

    #[test]
    fn what_is_written_is_read_again_and_nothing_else_changes() {
        let mut rng = StdRng::seed_from_u64(3);
        for _ in 0..5_000 {
            let payload: Vec<u8> = (0..rng.random_range(1..12)).map(|_| rng.random()).collect();
            for format in [PayloadFormat::Vp8, PayloadFormat::Vp9] {
                let before = Descriptor::parse(format, &payload);
                let after = Descriptor::parse(format, &rewritten(format, &payload));
                let Some(numbers) = before.numbers else { continue };
                assert_eq!(after.is_start, before.is_start);
                let expected = SourceNumbers {
                    picture_id: numbers.picture_id.map(|_| PictureId::Long(0x1234)),
                    // Without a picture id VP9 is left as it is.
                    tl0_index: match (format, numbers.picture_id) {
                        (PayloadFormat::Vp9, None) => numbers.tl0_index,
                        _ => numbers.tl0_index.map(|_| 9),
                    },
                };
                assert_eq!(after.numbers, Some(expected), "{format:?} {payload:x?}");
            }
        }
    }
}
