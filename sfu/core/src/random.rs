//! Numbers and texts that must not be guessed, drawn from the injected source.

use std::sync::Arc;

use patchbay_wire::rtp::Ssrc;
use rtc_crypto::{CryptoError, RTCCryptoProvider};

/// RFC 8839 §5.1: ALPHA, DIGIT, `+`, `/`.
const ICE_CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Workers that a node may have: so many can be told apart by two characters of a user name fragment.
pub const MAX_WORKERS: usize = 64 * 64;

/// The worker that drew this user name fragment, if one of this node did.
pub(crate) fn worker_of_ufrag(ufrag: &[u8]) -> Option<u16> {
    let &[high, low] = ufrag.first_chunk()?;
    let digit = |byte| ICE_CHARS.iter().position(|&it| it == byte).and_then(|at| u16::try_from(at).ok());
    Some(digit(high)? << 6 | digit(low)?)
}

/// The ICE character of the lowest six bits.
fn ice_char(bits: u16) -> Option<char> {
    ICE_CHARS.get(usize::from(bits & 63)).copied().map(char::from)
}

/// Draws from the crypto provider's random source. In a simulation that source is seeded.
#[derive(Clone)]
pub(crate) struct Random {
    crypto: Arc<dyn RTCCryptoProvider>,
}

impl Random {
    pub(crate) fn new(crypto: Arc<dyn RTCCryptoProvider>) -> Self {
        Self { crypto }
    }

    /// An ICE user name fragment (RFC 8839 §5.4: at least 24 bits): two characters that name the worker, and 36 bits.
    pub(crate) fn ice_ufrag(&self, worker: u16) -> Result<String, CryptoError> {
        let prefix: String = [worker >> 6, worker].into_iter().filter_map(ice_char).collect();
        Ok(prefix + &self.text::<6>()?)
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
        let mut bytes = [0; N];
        self.crypto.random().fill(&mut bytes)?;
        Ok(bytes.into_iter().map(u16::from).filter_map(ice_char).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_names_its_worker() {
        let random = Random::new(rtc_crypto::default_provider().unwrap());
        for worker in [0, 1, 63, 64, 65, 4095] {
            let ufrag = random.ice_ufrag(worker).unwrap();
            assert_eq!((ufrag.len(), worker_of_ufrag(ufrag.as_bytes())), (8, Some(worker)), "{ufrag}");
        }
        for foreign in [&b""[..], b"A", b"-A", b"A\xff"] {
            assert_eq!(worker_of_ufrag(foreign), None);
        }
    }
}
