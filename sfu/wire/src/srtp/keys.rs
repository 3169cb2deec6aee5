//! Master keys from DTLS, session keys from master keys (RFC 5764 §4.2, RFC 3711 §4.3, RFC 7714 §11).
use rtc_crypto::{BlockCipherAlgorithm, RTCCrypto, SecretVec};

use super::{SrtpError, SrtpProfile};

/// Which end of the DTLS handshake we were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtlsRole {
    /// We sent the ClientHello.
    Client,
    /// We answered it.
    Server,
}

/// The master keys of both directions of one transport. Wiped from memory when dropped; never printed.
pub struct SrtpKeys {
    profile: SrtpProfile,
    pub(super) outbound: MasterKey,
    pub(super) inbound: MasterKey,
}

impl SrtpKeys {
    /// Splits the material that DTLS exported under the label `EXTRACTOR-dtls_srtp`: client key, server key, client
    /// salt, server salt (RFC 5764 §4.2).
    ///
    /// # Errors
    /// [`SrtpError::WrongKeyingMaterial`] unless `material` is [`SrtpProfile::keying_material_len`] bytes long.
    pub fn from_exported(profile: SrtpProfile, material: &[u8], role: DtlsRole) -> Result<Self, SrtpError> {
        let (key_len, salt_len) = (profile.key_len(), profile.salt_len());
        let wrong = || SrtpError::WrongKeyingMaterial {
            expected: profile.keying_material_len(),
            actual: material.len(),
        };
        if material.len() != profile.keying_material_len() {
            return Err(wrong());
        }
        let (keys, salts) = material.split_at_checked(2 * key_len).ok_or_else(wrong)?;
        let (client_key, server_key) = keys.split_at_checked(key_len).ok_or_else(wrong)?;
        let (client_salt, server_salt) = salts.split_at_checked(salt_len).ok_or_else(wrong)?;
        let client = MasterKey::new(client_key, client_salt);
        let server = MasterKey::new(server_key, server_salt);
        let (outbound, inbound) = match role {
            DtlsRole::Client => (client, server),
            DtlsRole::Server => (server, client),
        };
        Ok(Self { profile, outbound, inbound })
    }

    /// The profile the keys are for.
    #[must_use]
    pub const fn profile(&self) -> SrtpProfile {
        self.profile
    }
}

impl std::fmt::Debug for SrtpKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SrtpKeys").field("profile", &self.profile).finish_non_exhaustive()
    }
}

/// Master key and salt of one direction.
pub(super) struct MasterKey {
    key: SecretVec,
    salt: SecretVec,
}

impl MasterKey {
    fn new(key: &[u8], salt: &[u8]) -> Self {
        Self { key: SecretVec::new(key.to_vec()), salt: SecretVec::new(salt.to_vec()) }
    }
}

/// What the session keys are for: first labels of RFC 3711 §4.3.2.
#[derive(Clone, Copy)]
pub(super) enum Usage {
    Rtp,
    Rtcp,
}

/// Length in bytes of the HMAC-SHA1 key (RFC 3711 §5.2).
pub(super) const AUTH_KEY_LEN: usize = 20;

/// Session keys of one direction, for RTP or for RTCP.
pub(super) struct SessionKeys {
    pub(super) encryption: SecretVec,
    pub(super) authentication: SecretVec,
    pub(super) salt: SecretVec,
}

impl SessionKeys {
    /// Derives the session keys; the key derivation rate is zero, as DTLS-SRTP demands.
    pub(super) fn derive(
        profile: SrtpProfile,
        master: &MasterKey,
        usage: Usage,
        crypto: &dyn RTCCrypto,
    ) -> Result<Self, SrtpError> {
        let first_label: u8 = match usage {
            Usage::Rtp => 0,
            Usage::Rtcp => 3,
        };
        let derive = |label: u8, len| derive_bytes(master, first_label + label, len, crypto);
        Ok(Self {
            encryption: derive(0, profile.key_len())?,
            authentication: derive(1, AUTH_KEY_LEN)?,
            salt: derive(2, profile.salt_len())?,
        })
    }
}

/// The AES counter mode generator of RFC 3711 §4.3.3. A 12-byte salt is extended with zeros on the right (RFC 7714
/// §11), and a 32-byte key asks for AES-256 (RFC 6188 §2).
fn derive_bytes(
    master: &MasterKey,
    label: u8,
    len: usize,
    crypto: &dyn RTCCrypto,
) -> Result<SecretVec, SrtpError> {
    const BLOCK_LEN: usize = 16;
    /// The label stands above the 48-bit index, which is always zero here.
    const LABEL_AT: usize = 7;
    let key = master.key.as_ref();
    let algorithm = if key.len() == 32 { BlockCipherAlgorithm::Aes256 } else { BlockCipherAlgorithm::Aes128 };
    let mut output = SecretVec::new(vec![0; len]);
    for (counter, chunk) in output.as_mut().chunks_mut(BLOCK_LEN).enumerate() {
        let mut block = [0u8; BLOCK_LEN];
        for (at, byte) in block.iter_mut().enumerate() {
            *byte = master.salt.as_ref().get(at).copied().unwrap_or(0);
            if at == LABEL_AT {
                *byte ^= label;
            }
            if at == BLOCK_LEN - 1 {
                *byte = counter as u8;
            }
        }
        crypto.block_encrypt(algorithm, key, &mut block)?;
        for (to, from) in chunk.iter_mut().zip(block) {
            *to = from;
        }
    }
    Ok(output)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::srtp) fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    /// RFC 3711 appendix B.3.
    #[test]
    fn rfc3711_key_derivation() {
        let provider = rtc_crypto::default_provider().unwrap();
        let master =
            MasterKey::new(&hex("E1F97A0D3E018BE0D64FA32C06DE4139"), &hex("0EC675AD498AFEEBB6960B3AABE6"));
        let derive = |label, len| derive_bytes(&master, label, len, provider.crypto()).unwrap().into_bytes();
        assert_eq!(derive(0, 16), hex("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(derive(2, 14), hex("30CBBC08863D8C85D49DB34A9AE1"));
        assert_eq!(
            derive(1, 94),
            hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCE
                 E049646C43D9327AD175578EF72270986371C10C9A369AC2F94A8C5FBCDDDC25
                 6D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2")
        );
    }

    /// RFC 6188 §7.2: the generator with a 256-bit key.
    #[test]
    fn rfc6188_key_derivation() {
        let provider = rtc_crypto::default_provider().unwrap();
        let master = MasterKey::new(
            &hex("F0F04914B513F2763A1B1FA130F10E2998F6F6E43E4309D1E622A0E332B9F1B6"),
            &hex("3B04803DE51EE7C96423AB5B78D2"),
        );
        let derived = derive_bytes(&master, 0, 32, provider.crypto()).unwrap().into_bytes();
        assert_eq!(derived, hex("5BA1064E30EC51613CAD926C5A28EF731EC7FB397F70A960653CAF06554CD8C4"));
    }

    #[test]
    fn exported_material_is_split_by_role() {
        for profile in SrtpProfile::ALL {
            let (key_len, salt_len) = (profile.key_len(), profile.salt_len());
            let material: Vec<u8> = [(b'K', key_len), (b'k', key_len), (b'S', salt_len), (b's', salt_len)]
                .into_iter()
                .flat_map(|(byte, len)| std::iter::repeat_n(byte, len))
                .collect();
            let client = SrtpKeys::from_exported(profile, &material, DtlsRole::Client).unwrap();
            assert_eq!(client.outbound.key.as_ref(), vec![b'K'; key_len]);
            assert_eq!(client.outbound.salt.as_ref(), vec![b'S'; salt_len]);
            assert_eq!(client.inbound.key.as_ref(), vec![b'k'; key_len]);
            assert_eq!(client.inbound.salt.as_ref(), vec![b's'; salt_len]);
            let server = SrtpKeys::from_exported(profile, &material, DtlsRole::Server).unwrap();
            assert_eq!(server.outbound.key.as_ref(), vec![b'k'; key_len]);
            assert_eq!(server.inbound.salt.as_ref(), vec![b'S'; salt_len]);
            assert!(SrtpKeys::from_exported(profile, &material[1..], DtlsRole::Client).is_err());
            assert!(!format!("{client:?}").contains('K'.to_string().repeat(2).as_str()));
        }
    }
}
