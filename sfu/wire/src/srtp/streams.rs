//! A bounded table of windows by SSRC.
use super::window::Window;
use super::{SrtpError, SrtpProfile};
use crate::rtp::Ssrc;

/// Windows of the streams seen so far, found by binary search, the last one found first: packets come and go in runs
/// of one stream.
pub(super) struct Streams {
    /// Sorted by SSRC; the number is a place in `windows`.
    places: Vec<(Ssrc, u32)>,
    windows: Vec<Window>,
    last: (Ssrc, u32),
    limit: usize,
}

impl Streams {
    pub(super) fn new(limit: usize) -> Self {
        Self { places: Vec::new(), windows: Vec::new(), last: (Ssrc(0), u32::MAX), limit }
    }

    /// The window of a known stream.
    #[inline]
    pub(super) fn find(&mut self, ssrc: Ssrc) -> Option<&mut Window> {
        if self.last.0 != ssrc || self.last.1 == u32::MAX {
            let at = self.places.binary_search_by_key(&ssrc, |(known, _)| *known).ok()?;
            self.last = *self.places.get(at)?;
        }
        self.windows.get_mut(self.last.1 as usize)
    }

    /// True if there is no room for one more stream.
    #[inline]
    fn is_full(&self) -> bool {
        self.windows.len() >= self.limit
    }

    /// The window of this stream, new if need be.
    #[inline]
    pub(super) fn find_or_add(&mut self, ssrc: Ssrc) -> Result<&mut Window, SrtpError> {
        if self.find(ssrc).is_none() {
            if self.is_full() {
                return Err(SrtpError::TooManyStreams);
            }
            let place = self.windows.len() as u32;
            let at = self.places.partition_point(|(known, _)| *known < ssrc);
            self.places.insert(at, (ssrc, place));
            self.windows.push(Window::default());
        }
        self.find(ssrc).ok_or(SrtpError::TooManyStreams)
    }

    pub(super) fn len(&self) -> usize {
        self.windows.len()
    }
}

/// Where the parts of a protected RTCP packet lie.
pub(super) struct SrtcpLayout {
    /// End of the ciphertext.
    pub(super) body_end: usize,
    /// Start of the word that holds the encryption flag and the index.
    pub(super) word_start: usize,
}

impl SrtcpLayout {
    /// With AES-GCM the tag stands before the index word (RFC 7714 §9.2), with AES-CM after it (RFC 3711 §3.4).
    #[inline]
    pub(super) fn of(profile: SrtpProfile, packet_len: usize) -> Result<Self, SrtpError> {
        let body_end = packet_len.checked_sub(profile.rtcp_overhead()).ok_or(SrtpError::TooShort)?;
        if body_end < super::cipher::RTCP_CLEAR_LEN {
            return Err(SrtpError::TooShort);
        }
        let word_start = match profile {
            SrtpProfile::AeadAes128Gcm | SrtpProfile::AeadAes256Gcm => body_end + profile.tag_len(),
            SrtpProfile::Aes128CmHmacSha1_80 => body_end,
        };
        Ok(Self { body_end, word_start })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_added_and_no_more_than_the_limit() {
        let mut streams = Streams::new(100);
        assert!(streams.find(Ssrc(0)).is_none(), "nothing is known at first");
        for n in 0..100u32 {
            let ssrc = Ssrc(n.wrapping_mul(2_654_435_761));
            assert!(!streams.is_full());
            streams.find_or_add(ssrc).unwrap().accept(u64::from(n));
        }
        for n in 0..100u32 {
            let ssrc = Ssrc(n.wrapping_mul(2_654_435_761));
            assert_eq!(streams.find(ssrc).unwrap().highest(), Some(u64::from(n)));
        }
        assert!(streams.is_full());
        assert_eq!(streams.find_or_add(Ssrc(1)).unwrap_err(), SrtpError::TooManyStreams);
        assert_eq!(streams.len(), 100);
    }
}
