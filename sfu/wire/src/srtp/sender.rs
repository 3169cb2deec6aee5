//! Encrypts what goes to one peer.
use super::cipher::{RTCP_CLEAR_LEN, SRTCP_ENCRYPTED, SessionCipher};
use super::keys::{SessionKeys, SrtpKeys, Usage};
use super::streams::Streams;
use super::{MAX_SEND_STREAMS, MAX_SRTCP_INDEX, SrtpError, SrtpProfile};
use crate::rtp::{ExtendedSequence, FIXED_HEADER_LEN, Ssrc};

/// The highest SRTP packet index: 32 bits of roll-over and 16 of sequence (RFC 3711 §3.3.1).
const MAX_SRTP_INDEX: u64 = (1 << 48) - 1;

/// The sending half of one transport's SRTP.
///
/// Invariant: no (SSRC, index) is ever encrypted twice, whatever the caller asks for.
pub struct SrtpSender {
    profile: SrtpProfile,
    rtp: SessionCipher,
    rtcp: SessionCipher,
    streams: Streams,
    /// The index of the last RTCP packet; one series for all SSRCs, which keeps it rising for each.
    rtcp_index: u32,
}

impl SrtpSender {
    /// Derives the session keys of the outbound direction.
    ///
    /// # Errors
    /// [`SrtpError::Provider`] if the crypto provider lacks the profile's algorithms.
    pub fn new(keys: &SrtpKeys) -> Result<Self, SrtpError> {
        let provider = rtc_crypto::default_provider()?;
        let profile = keys.profile();
        let cipher = |usage| {
            let session = SessionKeys::derive(profile, &keys.outbound, usage, provider.crypto())?;
            SessionCipher::new(profile, &session, provider.crypto())
        };
        Ok(Self {
            profile,
            rtp: cipher(Usage::Rtp)?,
            rtcp: cipher(Usage::Rtcp)?,
            streams: Streams::new(MAX_SEND_STREAMS),
            rtcp_index: 0,
        })
    }

    /// The profile in use.
    #[inline]
    #[must_use]
    pub const fn profile(&self) -> SrtpProfile {
        self.profile
    }

    /// Encrypts in place the RTP packet that starts at `packet_start` and ends with `buffer`, and appends its tag:
    /// [`SrtpProfile::rtp_overhead`] bytes. Earlier packets in the buffer are not touched, so that a run of packets
    /// is built in one buffer. Allocates only if the buffer has no room for the tag, or for a new stream.
    ///
    /// `header_len` is what stays in the clear: the value that [`RtpFields::write`](crate::rtp::RtpFields::write)
    /// returned. `index` is the packet's sequence number with its roll-over counter, which must start at zero for
    /// every new SSRC.
    ///
    /// # Errors
    /// [`SrtpError::NonceReuse`] if this SSRC and index were encrypted before, or lie further back than the last 960
    /// indices of the stream. [`SrtpError::WrongIndex`], [`SrtpError::TooShort`], [`SrtpError::TooManyStreams`],
    /// [`SrtpError::KeyExhausted`]. The buffer is then as it was; with [`SrtpError::Provider`] the packet's bytes are
    /// undefined and the caller truncates the buffer to `packet_start`.
    #[inline]
    pub fn protect_rtp(
        &mut self,
        buffer: &mut Vec<u8>,
        packet_start: usize,
        header_len: usize,
        index: ExtendedSequence,
    ) -> Result<(), SrtpError> {
        let packet = buffer.get(packet_start..).ok_or(SrtpError::TooShort)?;
        let &[_, _, s0, s1, _, _, _, _, c0, c1, c2, c3] =
            packet.first_chunk::<FIXED_HEADER_LEN>().ok_or(SrtpError::TooShort)?;
        if packet.len() < header_len || header_len < FIXED_HEADER_LEN {
            return Err(SrtpError::TooShort);
        }
        if index.sequence().0 != u16::from_be_bytes([s0, s1]) {
            return Err(SrtpError::WrongIndex);
        }
        if index.0 > MAX_SRTP_INDEX {
            return Err(SrtpError::KeyExhausted);
        }
        let ssrc = Ssrc(u32::from_be_bytes([c0, c1, c2, c3]));
        let window = self.streams.find_or_add(ssrc)?;
        if !window.is_fresh(index.0) {
            return Err(SrtpError::NonceReuse);
        }
        // Used up from here on, even if the cipher should fail half-way.
        window.accept(index.0);

        let tag_start = buffer.len() - packet_start;
        buffer.resize(buffer.len() + self.profile.tag_len(), 0);
        let packet = buffer.get_mut(packet_start..).ok_or(SrtpError::TooShort)?;
        let (packet, tag) = packet.split_at_mut_checked(tag_start).ok_or(SrtpError::TooShort)?;
        let (header, payload) = packet.split_at_mut_checked(header_len).ok_or(SrtpError::TooShort)?;
        self.rtp.seal_rtp(ssrc, index, header, payload, tag)
    }

    /// Encrypts in place the compound RTCP packet that starts at `packet_start` and ends with `buffer`, and appends
    /// tag and index: [`SrtpProfile::rtcp_overhead`] bytes.
    ///
    /// # Errors
    /// [`SrtpError::TooShort`] for less than eight bytes, [`SrtpError::KeyExhausted`] after 2^31 packets; the buffer is
    /// then as it was. With [`SrtpError::Provider`] the packet's bytes are undefined and the caller truncates the
    /// buffer to `packet_start`.
    pub fn protect_rtcp(&mut self, buffer: &mut Vec<u8>, packet_start: usize) -> Result<(), SrtpError> {
        let packet = buffer.get(packet_start..).ok_or(SrtpError::TooShort)?;
        let &clear = packet.first_chunk::<RTCP_CLEAR_LEN>().ok_or(SrtpError::TooShort)?;
        let body_len = packet.len() - RTCP_CLEAR_LEN;
        let [_, _, _, _, c0, c1, c2, c3] = clear;
        let ssrc = Ssrc(u32::from_be_bytes([c0, c1, c2, c3]));
        if self.rtcp_index >= MAX_SRTCP_INDEX {
            return Err(SrtpError::KeyExhausted);
        }
        self.rtcp_index += 1;

        let word = (SRTCP_ENCRYPTED | self.rtcp_index).to_be_bytes();
        let mut tag = [0; 16];
        let tag = tag.get_mut(..self.profile.tag_len()).ok_or(SrtpError::TooShort)?;
        let body_start = buffer.len() - body_len;
        let body = buffer.get_mut(body_start..).ok_or(SrtpError::TooShort)?;
        self.rtcp.seal_rtcp(ssrc, self.rtcp_index, &clear, body, tag)?;
        match self.profile {
            SrtpProfile::AeadAes128Gcm | SrtpProfile::AeadAes256Gcm => {
                buffer.extend_from_slice(tag);
                buffer.extend_from_slice(&word);
            }
            SrtpProfile::Aes128CmHmacSha1_80 => {
                buffer.extend_from_slice(&word);
                buffer.extend_from_slice(tag);
            }
        }
        Ok(())
    }

    /// How many streams were sent under this key.
    #[must_use]
    pub fn stream_count(&self) -> usize {
        self.streams.len()
    }
}

impl std::fmt::Debug for SrtpSender {
    /// Names profile and number of streams; never key material.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SrtpSender")
            .field("profile", &self.profile)
            .field("streams", &self.stream_count())
            .finish_non_exhaustive()
    }
}
