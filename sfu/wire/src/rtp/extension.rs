//! Header extension elements (RFC 8285): iteration over both forms.
use super::ExtensionId;

/// How the elements of a header extension block are laid out, by the block's 16-bit profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ExtensionForm {
    /// The packet has no extension block.
    #[default]
    None,
    /// Profile `0xBEDE` (RFC 8285 §4.2): ids 1..=14, 1..=16 bytes each.
    OneByte,
    /// Profile `0x1000`..=`0x100F` (RFC 8285 §4.3): ids 1..=255, 0..=255 bytes each.
    TwoByte,
    /// Some other profile, whose contents are opaque; the profile is kept.
    Unknown(u16),
}

impl ExtensionForm {
    /// The form a block's profile field announces.
    #[inline]
    #[must_use]
    pub const fn from_profile(profile: u16) -> Self {
        match profile {
            0xbede => Self::OneByte,
            0x1000..=0x100f => Self::TwoByte,
            other => Self::Unknown(other),
        }
    }
}

/// Iterator over the `(id, value)` elements of one extension block, in packet order.
///
/// Padding is skipped. An element that reaches past the block ends the iteration, and so does the reserved id 15 of
/// the one-byte form (RFC 8285 §4.2).
#[derive(Clone, Debug)]
pub struct Extensions<'a> {
    form: ExtensionForm,
    rest: &'a [u8],
}

impl<'a> Extensions<'a> {
    /// Iterates over `block`: the elements only, without profile and length.
    #[inline]
    #[must_use]
    pub const fn new(form: ExtensionForm, block: &'a [u8]) -> Self {
        Self { form, rest: block }
    }

    /// The value of the first element with this id.
    #[inline]
    #[must_use]
    pub fn find(mut self, id: ExtensionId) -> Option<&'a [u8]> {
        Iterator::find(&mut self, |(found, _)| *found == id).map(|(_, value)| value)
    }

    fn next_element(&mut self) -> Option<(ExtensionId, &'a [u8])> {
        loop {
            let (&first, rest) = self.rest.split_first()?;
            if first == 0 {
                // Padding is a lone zero byte in both forms.
                self.rest = rest;
                continue;
            }
            let (id, len, rest) = match self.form {
                ExtensionForm::OneByte => {
                    let id = first >> 4;
                    if id == 15 {
                        return None;
                    }
                    (id, usize::from(first & 0x0f) + 1, rest)
                }
                ExtensionForm::TwoByte => {
                    let (&len, rest) = rest.split_first()?;
                    (first, usize::from(len), rest)
                }
                ExtensionForm::None | ExtensionForm::Unknown(_) => return None,
            };
            let (value, rest) = rest.split_at_checked(len)?;
            self.rest = rest;
            if id == 0 {
                // One-byte form, id 0 with a length: skipped like padding (RFC 8285 §4.2).
                continue;
            }
            return Some((ExtensionId(id), value));
        }
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = (ExtensionId, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let element = self.next_element();
        if element.is_none() {
            self.rest = &[];
        }
        element
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(form: ExtensionForm, block: &[u8]) -> Vec<(u8, Vec<u8>)> {
        Extensions::new(form, block).map(|(id, value)| (id.0, value.to_vec())).collect()
    }

    #[test]
    fn one_byte_form() {
        let block = [0x10, 7, 0, 0, 0x32, 1, 2, 3, 0x5f, 9];
        assert_eq!(
            all(ExtensionForm::OneByte, &block),
            [(1, vec![7]), (3, vec![1, 2, 3])],
            "the last element reaches past the block"
        );
        assert_eq!(all(ExtensionForm::OneByte, &[0xf0, 1, 0x10, 2]), [], "id 15 ends the block");
        assert_eq!(
            Extensions::new(ExtensionForm::OneByte, &block).find(ExtensionId(3)),
            Some(&[1, 2, 3][..])
        );
        assert_eq!(Extensions::new(ExtensionForm::OneByte, &block).find(ExtensionId(4)), None);
    }

    #[test]
    fn two_byte_form() {
        let block = [200, 0, 0, 15, 2, 8, 9, 0, 4, 3, 1];
        assert_eq!(all(ExtensionForm::TwoByte, &block), [(200, vec![]), (15, vec![8, 9])]);
        assert_eq!(all(ExtensionForm::TwoByte, &[7]), []);
    }

    #[test]
    fn unknown_profiles_are_opaque() {
        assert_eq!(ExtensionForm::from_profile(0xabcd), ExtensionForm::Unknown(0xabcd));
        assert_eq!(ExtensionForm::from_profile(0x1007), ExtensionForm::TwoByte);
        assert_eq!(all(ExtensionForm::Unknown(0xabcd), &[0x10, 7]), []);
    }
}
