//! What is rewritten inside payloads, by format.

use patchbay_wire::codec::PayloadFormat;

use super::rewrite::{PictureNumbers, PictureRewriter, SourceNumbers};

/// The rewriter of a slot's payloads. It lasts longer than one source, as its numbers go on.
#[derive(Debug)]
pub(super) enum PayloadRewriter {
    /// Payloads pass as they are, so far.
    None,
    /// There was VP8 or VP9 in the slot, whose pictures are numbered.
    Pictures(PictureRewriter),
}

impl PayloadRewriter {
    /// Begins a source of this format.
    pub(super) fn switch(&mut self, format: PayloadFormat) {
        match self {
            Self::None if matches!(format, PayloadFormat::Vp8 | PayloadFormat::Vp9) => {
                *self = Self::Pictures(PictureRewriter::new(0));
            }
            Self::None => {}
            Self::Pictures(rewriter) => rewriter.switch(),
        }
    }

    /// The numbers of a packet, given those it came with.
    #[inline]
    pub(super) fn rewrite(&mut self, numbers: Option<SourceNumbers>) -> Option<PictureNumbers> {
        match (self, numbers) {
            (Self::Pictures(rewriter), Some(numbers)) => Some(rewriter.rewrite(numbers)),
            _ => None,
        }
    }
}
