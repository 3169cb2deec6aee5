//! Remembers which checks came where, so that one that was overheard is worth nothing when it is sent from elsewhere.
//!
//! A check proves who made it, not who sent it: whoever sees one on its way can send it again from an address of its own.
//! A full agent notices by a check of its own (RFC 8445 §7.3.1.4), a lite agent sends none. Each check of a peer has its
//! own transaction, and is only ever repeated on the same path, so a known transaction on another path is somebody else's.

use std::collections::VecDeque;

use crate::Path;

/// Checks remembered: over ten minutes of one browser's. Cost of raising: about 80 bytes each.
const MAX_CHECKS: usize = 256;

/// The last authenticated checks of one transport.
#[derive(Debug, Default)]
pub(super) struct SeenChecks {
    seen: VecDeque<([u8; 12], Path)>,
}

impl SeenChecks {
    /// Takes note of an authenticated check. Returns false if it was seen on another path before.
    pub(super) fn admit(&mut self, transaction: [u8; 12], path: Path) -> bool {
        if let Some((_, known)) = self.seen.iter().find(|(known, _)| *known == transaction) {
            return *known == path;
        }
        if self.seen.len() == MAX_CHECKS {
            self.seen.pop_front();
        }
        self.seen.push_back((transaction, path));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_good_on_its_own_path_only() {
        let path = |port| Path::udp(([10, 0, 0, 1], 3478).into(), ([10, 0, 0, 2], port).into());
        let mut checks = SeenChecks::default();
        assert!(checks.admit([1; 12], path(1)));
        assert!(checks.admit([1; 12], path(1)), "repeated, as its answer was lost");
        assert!(!checks.admit([1; 12], path(2)));
        assert!(checks.admit([2; 12], path(2)));
    }

    #[test]
    fn memory_has_an_end() {
        let path = Path::udp(([10, 0, 0, 1], 3478).into(), ([10, 0, 0, 2], 1).into());
        let mut checks = SeenChecks::default();
        for number in 0..10_000u32 {
            let mut transaction = [0; 12];
            transaction[..4].copy_from_slice(&number.to_be_bytes());
            assert!(checks.admit(transaction, path));
        }
        assert_eq!(checks.seen.len(), MAX_CHECKS);
    }
}
