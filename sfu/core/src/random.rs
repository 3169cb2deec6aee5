//! Numbers and texts that must not be guessed, drawn from the injected source.

use std::sync::Arc;

use patchbay_wire::rtp::Ssrc;
use rtc_crypto::{CryptoError, RTCCryptoProvider};

/// Draws from the crypto provider's random source. In a simulation that source is seeded.
#[derive(Clone)]
pub(crate) struct Random {
    crypto: Arc<dyn RTCCryptoProvider>,
}

impl Random {
    pub(crate) fn new(crypto: Arc<dyn RTCCryptoProvider>) -> Self {
        Self { crypto }
    }

    /// An ICE user name fragment (RFC 8839 §5.4: at least 24 bits).
    pub(crate) fn ice_ufrag(&self) -> Result<String, CryptoError> {
        self.text::<8>()
    }

    /// An ICE password (RFC 8839 §5.4: at least 128 bits).
    pub(crate) fn ice_pwd(&self) -> Result<String, CryptoError> {
        self.text::<24>()
    }

    /// An SSRC that is not zero, as browsers treat zero as absent.
    pub(crate) fn ssrc(&self) -> Result<Ssrc, CryptoError> {
        Ok(Ssrc(self.u32()?.max(1)))
    }

    /// Any number.
    pub(crate) fn u32(&self) -> Result<u32, CryptoError> {
        let mut bytes = [0; 4];
        self.crypto.random().fill(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    /// `N` characters of 6 random bits each, from the ICE alphabet (RFC 8839 §5.1: ALPHA, DIGIT, `+`, `/`).
    fn text<const N: usize>(&self) -> Result<String, CryptoError> {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut bytes = [0; N];
        self.crypto.random().fill(&mut bytes)?;
        Ok(bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 63))).map(|&byte| char::from(byte)).collect())
    }
}
