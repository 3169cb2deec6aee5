//! Continuous picture ids and TL0PICIDX of VP8 (RFC 7741 §4.2) and VP9 (RFC 9628 §4.2): a decoder freezes when they
//! jump at a switch.

use patchbay_wire::codec::PictureId;

/// Picture ids wrap at 15 bits; those of 7 bits are widened.
const PICTURE_ID_MASK: u16 = 0x7fff;

/// The running numbers of a packet as it came, where it has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SourceNumbers {
    /// Number of the picture.
    pub(crate) picture_id: Option<PictureId>,
    /// Number of the last picture of temporal layer 0.
    pub(crate) tl0_index: Option<u8>,
}

/// The same as they go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PictureNumbers {
    /// Number of the picture, 15 bits.
    pub(crate) picture_id: Option<u16>,
    /// Number of the last picture of temporal layer 0.
    pub(crate) tl0_index: Option<u8>,
}

/// Maps the numbers of the current source to those of the outgoing stream, where picture ids always have 15 bits.
#[derive(Debug)]
pub(crate) struct PictureRewriter {
    picture_offset: u16,
    tl0_offset: u8,
    highest_picture: Option<u16>,
    highest_tl0: Option<u8>,
    /// The last picture id of the source, widened.
    source_picture: Option<u16>,
    is_switching: bool,
}

impl PictureRewriter {
    /// A stream whose first picture will have this id.
    pub(crate) fn new(first_picture: u16) -> Self {
        Self {
            picture_offset: 0,
            tl0_offset: 0,
            highest_picture: Some(first_picture.wrapping_sub(1) & PICTURE_ID_MASK),
            highest_tl0: None,
            source_picture: None,
            is_switching: true,
        }
    }

    /// Begins a source: its first packet continues the numbers.
    pub(crate) fn switch(&mut self) {
        self.is_switching = true;
        self.source_picture = None;
    }

    /// The outgoing numbers of a packet of the current source.
    pub(crate) fn rewrite(&mut self, source: SourceNumbers) -> PictureNumbers {
        let picture = source.picture_id.map(|id| self.widen(id));
        if std::mem::take(&mut self.is_switching) {
            if let (Some(picture), Some(highest)) = (picture, self.highest_picture) {
                self.picture_offset = highest.wrapping_add(1).wrapping_sub(picture) & PICTURE_ID_MASK;
            }
            if let (Some(tl0), Some(highest)) = (source.tl0_index, self.highest_tl0) {
                self.tl0_offset = highest.wrapping_add(1).wrapping_sub(tl0);
            }
        }
        let picture = picture.map(|picture| picture.wrapping_add(self.picture_offset) & PICTURE_ID_MASK);
        let tl0 = source.tl0_index.map(|tl0| tl0.wrapping_add(self.tl0_offset));
        if let Some(picture) = picture
            && self.highest_picture.is_none_or(|highest| is_ahead(picture, highest))
        {
            self.highest_picture = Some(picture);
        }
        if let Some(tl0) = tl0
            && self.highest_tl0.is_none_or(|highest| (tl0.wrapping_sub(highest) as i8) > 0)
        {
            self.highest_tl0 = Some(tl0);
        }
        PictureNumbers { picture_id: picture, tl0_index: tl0 }
    }

    /// A short id becomes the long one nearest to the last.
    fn widen(&mut self, id: PictureId) -> u16 {
        let wide = match (id, self.source_picture) {
            (PictureId::Long(id), _) => id & PICTURE_ID_MASK,
            (PictureId::Short(id), None) => u16::from(id & 0x7f),
            (PictureId::Short(id), Some(last)) => {
                // The difference in 7 bits, signed.
                let step = (u16::from(id).wrapping_sub(last) & 0x7f) as i16;
                let step = if step >= 64 { step - 128 } else { step };
                last.wrapping_add_signed(step) & PICTURE_ID_MASK
            }
        };
        if self.source_picture.is_none_or(|last| is_ahead(wide, last)) {
            self.source_picture = Some(wide);
        }
        wide
    }
}

/// Whether one 15-bit id comes after another.
fn is_ahead(id: u16, than: u16) -> bool {
    let distance = id.wrapping_sub(than) & PICTURE_ID_MASK;
    distance != 0 && distance < 1 << 14
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn descriptor(picture_id: Option<PictureId>, tl0_index: Option<u8>) -> SourceNumbers {
        SourceNumbers { picture_id, tl0_index }
    }

    fn long(picture: u16, tl0: u8) -> SourceNumbers {
        descriptor(Some(PictureId::Long(picture)), Some(tl0))
    }

    fn rewrite(rewriter: &mut PictureRewriter, source: SourceNumbers) -> (Option<u16>, Option<u8>) {
        let ids = rewriter.rewrite(source);
        (ids.picture_id, ids.tl0_index)
    }

    #[test]
    fn a_switch_continues_both_numbers() {
        let mut rewriter = PictureRewriter::new(0x7ffe);
        assert_eq!(rewrite(&mut rewriter, long(500, 9)), (Some(0x7ffe), Some(9)));
        assert_eq!(rewrite(&mut rewriter, long(501, 10)), (Some(0x7fff), Some(10)));
        assert_eq!(rewrite(&mut rewriter, long(502, 10)), (Some(0), Some(10)));
        assert_eq!(rewrite(&mut rewriter, long(500, 9)), (Some(0x7ffe), Some(9)), "late");
        rewriter.switch();
        assert_eq!(rewrite(&mut rewriter, long(3, 255)), (Some(1), Some(11)));
        assert_eq!(rewrite(&mut rewriter, long(4, 0)), (Some(2), Some(12)));
    }

    #[test]
    fn a_source_without_ids_gets_none_and_the_next_goes_on() {
        let mut rewriter = PictureRewriter::new(7);
        assert_eq!(rewrite(&mut rewriter, long(1, 1)), (Some(7), Some(1)));
        rewriter.switch();
        assert_eq!(rewrite(&mut rewriter, descriptor(None, None)), (None, None));
        rewriter.switch();
        assert_eq!(rewrite(&mut rewriter, long(90, 90)), (Some(8), Some(2)));
    }

    #[test]
    fn short_ids_are_widened_across_their_wrap() {
        let mut rewriter = PictureRewriter::new(1_000);
        for picture in 0..500u16 {
            let short = PictureId::Short(((picture + 100) & 0x7f) as u8);
            let ids = rewrite(&mut rewriter, descriptor(Some(short), None));
            assert_eq!(ids, (Some(1_000 + picture), None));
        }
    }

    #[test]
    fn pictures_are_continuous_over_random_sources_with_reordering() {
        for seed in 0..100 {
            let mut rng = StdRng::seed_from_u64(seed);
            let first = rng.random_range(0..0x8000);
            let mut rewriter = PictureRewriter::new(first);
            let mut next = first;
            for _ in 0..5 {
                rewriter.switch();
                let base: u16 = rng.random();
                let count = rng.random_range(1..300u16);
                let mut order: Vec<u16> = (0..count).collect();
                for at in 2..order.len() {
                    let other = rng.random_range(at.saturating_sub(3).max(1)..=at);
                    order.swap(at, other);
                }
                let mut out: Vec<u16> = order
                    .iter()
                    .map(|n| {
                        let (picture, _) = rewrite(&mut rewriter, long(base.wrapping_add(*n), 0));
                        picture.unwrap().wrapping_sub(next) & PICTURE_ID_MASK
                    })
                    .collect();
                out.sort_unstable();
                assert_eq!(out, (0..count).collect::<Vec<_>>(), "seed {seed}");
                next = next.wrapping_add(count) & PICTURE_ID_MASK;
            }
        }
    }
}
