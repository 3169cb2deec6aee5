//! The certificate that a node shows in DTLS.

use patchbay_sdp::Fingerprint;
use rtc_crypto::{HashAlgorithm, RTCCryptoProvider};
use rtc_dtls::crypto::Certificate;

use super::event::TransportError;

/// A self-signed certificate (ECDSA P-256), its key, and its fingerprint. Made once per node; all transports share it.
#[derive(Clone)]
pub struct Identity {
    pub(super) certificate: Certificate,
    fingerprint: [u8; 32],
}

impl Identity {
    /// Makes a new certificate. Expensive: about a millisecond.
    ///
    /// # Errors
    /// [`TransportError::Crypto`] if the provider cannot sign or hash.
    pub fn generate(crypto: &dyn RTCCryptoProvider) -> Result<Self, TransportError> {
        let certificate = Certificate::generate_self_signed(vec!["patchbay".to_owned()], crypto.crypto())
            .map_err(|error| TransportError::Crypto(error.to_string()))?;
        let der = certificate.certificate.first().map(AsRef::<[u8]>::as_ref).unwrap_or_default();
        let digest = crypto.crypto().hash(HashAlgorithm::Sha256, der)?;
        let fingerprint = digest
            .try_into()
            .map_err(|_| TransportError::Crypto("SHA-256 digest of wrong length".to_owned()))?;
        Ok(Self { certificate, fingerprint })
    }

    /// What stands in our answers (RFC 8122).
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::sha256(self.fingerprint)
    }
}
