//! Decrypts what comes from one peer.
use super::cipher::{RTCP_CLEAR_LEN, SRTCP_ENCRYPTED, SessionCipher};
use super::keys::{SessionKeys, SrtpKeys, Usage};
use super::streams::{SrtcpLayout, Streams};
use super::{MAX_RECEIVE_STREAMS, SrtpError, SrtpProfile};
use crate::rtp::{ExtendedSequence, RtpHeader, Ssrc, guess_index};

/// An RTP packet that was authenticated and decrypted in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnprotectedRtp {
    /// Length in bytes of the plaintext packet, header included: the tag that follows it is spent.
    pub len: usize,
    /// The packet's sequence number with its roll-over counter.
    pub index: ExtendedSequence,
}

/// The receiving half of one transport's SRTP.
///
/// Invariant: a packet that does not authenticate, or was seen before, changes nothing.
pub struct SrtpReceiver {
    profile: SrtpProfile,
    rtp: SessionCipher,
    rtcp: SessionCipher,
    rtp_streams: Streams,
    rtcp_streams: Streams,
}

impl SrtpReceiver {
    /// Derives the session keys of the inbound direction.
    ///
    /// # Errors
    /// [`SrtpError::Provider`] if the crypto provider lacks the profile's algorithms.
    pub fn new(keys: &SrtpKeys) -> Result<Self, SrtpError> {
        let provider = rtc_crypto::default_provider()?;
        let profile = keys.profile();
        let cipher = |usage| {
            let session = SessionKeys::derive(profile, &keys.inbound, usage, provider.crypto())?;
            SessionCipher::new(profile, &session, provider.crypto())
        };
        Ok(Self {
            profile,
            rtp: cipher(Usage::Rtp)?,
            rtcp: cipher(Usage::Rtcp)?,
            rtp_streams: Streams::new(MAX_RECEIVE_STREAMS),
            rtcp_streams: Streams::new(MAX_RECEIVE_STREAMS),
        })
    }

    /// The profile in use.
    #[inline]
    #[must_use]
    pub const fn profile(&self) -> SrtpProfile {
        self.profile
    }

    /// Authenticates the RTP datagram `packet`, whose header is `header`, and decrypts it in place. Allocates only
    /// for the first packet of a stream.
    ///
    /// # Errors
    /// [`SrtpError::TooShort`], [`SrtpError::Replayed`], [`SrtpError::AuthenticationFailed`] and
    /// [`SrtpError::TooManyStreams`]. The packet's bytes are then undefined, and nothing else has changed.
    #[inline]
    pub fn unprotect_rtp(
        &mut self,
        packet: &mut [u8],
        header: &RtpHeader,
    ) -> Result<UnprotectedRtp, SrtpError> {
        let len = packet.len().checked_sub(self.profile.tag_len()).ok_or(SrtpError::TooShort)?;
        let (body, tag) = packet.split_at_mut_checked(len).ok_or(SrtpError::TooShort)?;
        let (clear, payload) = body.split_at_mut_checked(header.header_len()).ok_or(SrtpError::TooShort)?;
        let index = match self.rtp_streams.find(header.ssrc) {
            Some(window) => {
                let highest = ExtendedSequence(window.highest().unwrap_or(0));
                let index = guess_index(highest, header.sequence);
                if !window.is_fresh(index.0) {
                    return Err(SrtpError::Replayed);
                }
                index
            }
            None => ExtendedSequence::new(0, header.sequence),
        };
        self.rtp.open_rtp(header.ssrc, index, clear, payload, tag)?;
        self.rtp_streams.find_or_add(header.ssrc)?.accept(index.0);
        Ok(UnprotectedRtp { len, index })
    }

    /// Authenticates the RTCP datagram `packet` and decrypts it in place; gives the length in bytes of the plaintext.
    ///
    /// # Errors
    /// [`SrtpError::TooShort`], [`SrtpError::NotEncrypted`], [`SrtpError::Replayed`],
    /// [`SrtpError::AuthenticationFailed`] and [`SrtpError::TooManyStreams`]. The packet's bytes are then undefined,
    /// and nothing else has changed.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let tag_len = self.profile.tag_len();
        let SrtcpLayout { body_end, word_start } = SrtcpLayout::of(self.profile, packet.len())?;
        let (head, trailer) = packet.split_at_mut_checked(body_end).ok_or(SrtpError::TooShort)?;
        let (clear, body) = head.split_first_chunk_mut::<RTCP_CLEAR_LEN>().ok_or(SrtpError::TooShort)?;
        let word_at = word_start - body_end;
        let tag_at = if word_at == 0 { 4 } else { 0 };
        let word = trailer.get(word_at..).and_then(|word| word.first_chunk()).ok_or(SrtpError::TooShort)?;
        let tag = trailer.get(tag_at..tag_at + tag_len).ok_or(SrtpError::TooShort)?;

        let word = u32::from_be_bytes(*word);
        if word & SRTCP_ENCRYPTED == 0 {
            return Err(SrtpError::NotEncrypted);
        }
        let index = word & !SRTCP_ENCRYPTED;
        let [_, _, _, _, c0, c1, c2, c3] = *clear;
        let ssrc = Ssrc(u32::from_be_bytes([c0, c1, c2, c3]));
        match self.rtcp_streams.find(ssrc) {
            Some(window) if !window.is_fresh(u64::from(index)) => return Err(SrtpError::Replayed),
            _ => {}
        }
        self.rtcp.open_rtcp(ssrc, index, clear, body, tag)?;
        self.rtcp_streams.find_or_add(ssrc)?.accept(u64::from(index));
        Ok(body_end)
    }

    /// How many RTP streams were received under this key.
    #[must_use]
    pub fn stream_count(&self) -> usize {
        self.rtp_streams.len()
    }
}

impl std::fmt::Debug for SrtpReceiver {
    /// Names profile and number of streams; never key material.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SrtpReceiver")
            .field("profile", &self.profile)
            .field("streams", &self.stream_count())
            .finish_non_exhaustive()
    }
}
