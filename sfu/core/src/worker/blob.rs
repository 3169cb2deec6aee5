//! The texts that signaling keeps with a room, to rebuild it from after its own restart. Nobody here reads them.

use std::collections::BTreeMap;

use patchbay_protocol::{ErrorCode, ProtocolError, limit};

/// Bytes of a key.
const KEY_BYTES: usize = 64;

/// Texts by key, within [`limit::BLOBS`] and [`limit::ROOM_BLOB_BYTES`].
#[derive(Debug, Default)]
pub(super) struct Blobs {
    texts: BTreeMap<String, String>,
    /// Of all keys and texts.
    bytes: usize,
}

impl Blobs {
    /// Stores texts and forgets those without any. What is over a bound is refused; the rest is stored.
    pub(super) fn store(&mut self, changes: BTreeMap<String, Option<String>>) -> Result<(), ProtocolError> {
        let mut refused = None;
        for (key, text) in changes {
            let before = self.texts.remove(&key).map_or(0, |text| key.len() + text.len());
            self.bytes -= before;
            let Some(text) = text else { continue };
            let added = key.len() + text.len();
            let fits = key.len() <= KEY_BYTES
                && text.len() <= limit::BLOB_BYTES
                && self.texts.len() < limit::BLOBS
                && self.bytes + added <= limit::ROOM_BLOB_BYTES;
            if fits {
                self.bytes += added;
                self.texts.insert(key, text);
            } else {
                refused = Some(ProtocolError::new(
                    ErrorCode::TooMany,
                    "the texts of a room are too many or too long; the one before is forgotten",
                ));
            }
        }
        refused.map_or(Ok(()), Err)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// All of them.
    pub(super) fn all(&self) -> BTreeMap<String, String> {
        self.texts.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(key: &str, text: Option<&str>) -> BTreeMap<String, Option<String>> {
        BTreeMap::from([(key.to_owned(), text.map(str::to_owned))])
    }

    #[test]
    fn texts_are_replaced_and_forgotten_by_key_and_their_bytes_with_them() {
        let mut blobs = Blobs::default();
        blobs.store(set("a", Some("one"))).expect("fits");
        blobs.store(set("b", Some("two"))).expect("fits");
        blobs.store(set("a", Some("three"))).expect("fits");
        assert_eq!(blobs.bytes, 2 + 5 + 3);
        blobs.store(set("b", None)).expect("fits");
        assert_eq!(blobs.all(), BTreeMap::from([("a".to_owned(), "three".to_owned())]));
        blobs.store(set("a", None)).expect("fits");
        assert!(blobs.is_empty() && blobs.bytes == 0);
    }

    #[test]
    fn what_is_over_a_bound_is_refused_and_nothing_stale_stays() {
        let mut blobs = Blobs::default();
        blobs.store(set("a", Some("one"))).expect("fits");
        let long = "x".repeat(limit::BLOB_BYTES + 1);
        let refused = blobs.store(set("a", Some(&long))).expect_err("too long");
        assert_eq!(refused.code, ErrorCode::TooMany);
        assert!(blobs.is_empty(), "an old text would rebuild what no longer is");
        assert!(blobs.store(set(&"k".repeat(KEY_BYTES + 1), Some("x"))).is_err());

        let full = "x".repeat(limit::BLOB_BYTES - 2);
        let fit =
            (0..100).take_while(|at| blobs.store(set(&format!("{at:02}"), Some(&full))).is_ok()).count();
        assert_eq!(fit, limit::ROOM_BLOB_BYTES / limit::BLOB_BYTES);
        assert_eq!(blobs.bytes, limit::ROOM_BLOB_BYTES);
    }

    #[test]
    fn keys_are_bounded() {
        let mut blobs = Blobs::default();
        for key in 0..limit::BLOBS {
            blobs.store(set(&key.to_string(), Some(""))).expect("fits");
        }
        assert!(blobs.store(set("one more", Some(""))).is_err());
        blobs.store(set("0", Some("replaced"))).expect("not one more");
    }
}
