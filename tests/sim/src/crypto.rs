//! Real cryptography with a seeded source of randomness.

use std::sync::{Arc, Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use rtc_crypto::{CryptoError, RTCCrypto, RTCCryptoProvider, RTCRandom, default_provider};

/// The default provider's ciphers; random bytes from a seed. Key exchange inside the ciphers stays truly random, which
/// changes keys but no decision.
pub struct SeededCrypto {
    real: Arc<dyn RTCCryptoProvider>,
    random: SeededRandom,
}

struct SeededRandom(Mutex<StdRng>);

impl SeededCrypto {
    /// A provider whose random bytes follow from `seed`. `None` if the build has no cryptography.
    pub fn new(seed: u64) -> Option<Arc<Self>> {
        let real = default_provider().ok()?;
        Some(Arc::new(Self { real, random: SeededRandom(Mutex::new(StdRng::seed_from_u64(seed))) }))
    }
}

impl RTCCryptoProvider for SeededCrypto {
    fn name(&self) -> &'static str {
        "seeded"
    }

    fn crypto(&self) -> &dyn RTCCrypto {
        self.real.crypto()
    }

    fn random(&self) -> &dyn RTCRandom {
        &self.random
    }
}

impl RTCRandom for SeededRandom {
    fn fill(&self, output: &mut [u8]) -> Result<(), CryptoError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(output);
        Ok(())
    }
}
