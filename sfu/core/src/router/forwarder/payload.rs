//! What is rewritten inside payloads, by format.

use patchbay_wire::codec::{PayloadFormat, Vp8Descriptor};

use super::rewrite::{PREFIX_BYTES, Vp8Ids, Vp8Rewriter};

/// The rewriter of a slot's payloads. It lasts longer than one source, as its numbers go on.
#[derive(Debug)]
pub(super) enum PayloadRewriter {
    /// Payloads pass as they are, so far.
    None,
    /// There was VP8 in the slot.
    Vp8(Vp8Rewriter),
}

impl PayloadRewriter {
    /// Begins a source of this format.
    pub(super) fn switch(&mut self, format: PayloadFormat) {
        match self {
            Self::None if format == PayloadFormat::Vp8 => *self = Self::Vp8(Vp8Rewriter::new(0)),
            Self::None => {}
            Self::Vp8(rewriter) => rewriter.switch(),
        }
    }

    /// The numbers of a packet, given its descriptor if it is VP8.
    #[inline]
    pub(super) fn rewrite(&mut self, vp8: Option<&Vp8Descriptor>) -> Option<Vp8Ids> {
        match (self, vp8) {
            (Self::Vp8(rewriter), Some(descriptor)) => Some(rewriter.rewrite(descriptor)),
            _ => None,
        }
    }
}

/// Rewritten bytes that stand in place of the first ones of a payload.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Prefix {
    bytes: [u8; PREFIX_BYTES],
    len: u8,
    replaced: u8,
}

impl Prefix {
    /// Most bytes a prefix can have.
    pub(crate) const MAX_BYTES: usize = PREFIX_BYTES;

    /// The prefix that gives a payload these numbers; empty if there are none.
    #[inline]
    pub(crate) fn write(vp8: Option<Vp8Ids>, payload: &[u8]) -> Self {
        let mut prefix = Self::default();
        if let Some((len, replaced)) = vp8.and_then(|ids| ids.write(payload, &mut prefix.bytes)) {
            prefix.len = len as u8;
            prefix.replaced = replaced as u8;
        }
        prefix
    }

    /// The bytes to be sent first.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// What of the payload comes after them.
    pub(crate) fn rest<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
        payload.get(usize::from(self.replaced)..).unwrap_or_default()
    }
}
