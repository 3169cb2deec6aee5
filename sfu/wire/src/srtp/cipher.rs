//! The cipher transforms of the profiles, over slices: no state but the keys.
use rtc_crypto::{
    AeadAlgorithm, AeadCipher, HmacAlgorithm, Mac, RTCCrypto, StreamCipher, StreamCipherAlgorithm,
    constant_time_eq,
};

use super::keys::SessionKeys;
use super::{SrtpError, SrtpProfile};
use crate::rtp::{ExtendedSequence, Ssrc};

/// Bytes at the start of an RTCP packet that stay in the clear: first header and SSRC (RFC 3711 §3.4).
pub(super) const RTCP_CLEAR_LEN: usize = 8;

/// The encryption flag in the SRTCP index word.
pub(super) const SRTCP_ENCRYPTED: u32 = 0x8000_0000;

const SHA1_LEN: usize = 20;

/// One direction's cipher, for RTP or for RTCP.
pub(super) enum SessionCipher {
    Gcm { cipher: Box<dyn AeadCipher>, salt: [u8; 12] },
    CounterMode { cipher: Box<dyn StreamCipher>, mac: Box<dyn Mac>, salt: [u8; 16] },
}

/// Which packet of the session a nonce is for.
#[derive(Clone, Copy)]
pub(super) enum PacketIndex {
    Rtp(ExtendedSequence),
    /// 31 bits, without the encryption flag.
    Rtcp(u32),
}

impl SessionCipher {
    pub(super) fn new(
        profile: SrtpProfile,
        keys: &SessionKeys,
        crypto: &dyn RTCCrypto,
    ) -> Result<Self, SrtpError> {
        let key = keys.encryption.as_ref();
        let algorithm = match profile {
            SrtpProfile::AeadAes128Gcm => AeadAlgorithm::Aes128Gcm,
            SrtpProfile::AeadAes256Gcm => AeadAlgorithm::Aes256Gcm,
            SrtpProfile::Aes128CmHmacSha1_80 => {
                return Ok(Self::CounterMode {
                    cipher: crypto.new_stream_cipher(StreamCipherAlgorithm::Aes128Ctr, key)?,
                    mac: crypto.new_hmac(HmacAlgorithm::Sha1, keys.authentication.as_ref())?,
                    salt: padded(keys.salt.as_ref()),
                });
            }
        };
        Ok(Self::Gcm { cipher: crypto.new_aead(algorithm, key)?, salt: padded(keys.salt.as_ref()) })
    }

    /// Encrypts the RTP payload after `header` in place and writes the tag.
    #[inline]
    pub(super) fn seal_rtp(
        &mut self,
        ssrc: Ssrc,
        index: ExtendedSequence,
        header: &[u8],
        payload: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), SrtpError> {
        match self {
            Self::Gcm { cipher, salt } => {
                let nonce = gcm_nonce(salt, ssrc, PacketIndex::Rtp(index));
                cipher.seal_in_place(&nonce, header, payload, tag)?;
            }
            Self::CounterMode { cipher, mac, salt } => {
                cipher.apply_keystream(&counter_iv(salt, ssrc, PacketIndex::Rtp(index)), payload)?;
                sign(mac.as_mut(), &[header, payload, &index.rollover().to_be_bytes()], tag)?;
            }
        }
        Ok(())
    }

    /// Authenticates and decrypts the RTP payload after `header` in place. On an error the payload is undefined.
    #[inline]
    pub(super) fn open_rtp(
        &mut self,
        ssrc: Ssrc,
        index: ExtendedSequence,
        header: &[u8],
        payload: &mut [u8],
        tag: &[u8],
    ) -> Result<(), SrtpError> {
        match self {
            Self::Gcm { cipher, salt } => {
                let nonce = gcm_nonce(salt, ssrc, PacketIndex::Rtp(index));
                cipher
                    .open_in_place(&nonce, header, payload, tag)
                    .map_err(|_| SrtpError::AuthenticationFailed)?;
            }
            Self::CounterMode { cipher, mac, salt } => {
                verify(mac.as_mut(), &[header, payload, &index.rollover().to_be_bytes()], tag)?;
                cipher.apply_keystream(&counter_iv(salt, ssrc, PacketIndex::Rtp(index)), payload)?;
            }
        }
        Ok(())
    }

    /// Encrypts the RTCP `body` after the eight bytes `clear` in place and writes the tag.
    pub(super) fn seal_rtcp(
        &mut self,
        ssrc: Ssrc,
        index: u32,
        clear: &[u8; RTCP_CLEAR_LEN],
        body: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), SrtpError> {
        let word = (SRTCP_ENCRYPTED | index).to_be_bytes();
        match self {
            Self::Gcm { cipher, salt } => {
                let nonce = gcm_nonce(salt, ssrc, PacketIndex::Rtcp(index));
                cipher.seal_in_place(&nonce, &srtcp_aad(clear, word), body, tag)?;
            }
            Self::CounterMode { cipher, mac, salt } => {
                cipher.apply_keystream(&counter_iv(salt, ssrc, PacketIndex::Rtcp(index)), body)?;
                sign(mac.as_mut(), &[clear, body, &word], tag)?;
            }
        }
        Ok(())
    }

    /// Authenticates and decrypts the RTCP `body` after the eight bytes `clear` in place. On an error the body is
    /// undefined.
    pub(super) fn open_rtcp(
        &mut self,
        ssrc: Ssrc,
        index: u32,
        clear: &[u8; RTCP_CLEAR_LEN],
        body: &mut [u8],
        tag: &[u8],
    ) -> Result<(), SrtpError> {
        let word = (SRTCP_ENCRYPTED | index).to_be_bytes();
        match self {
            Self::Gcm { cipher, salt } => {
                let nonce = gcm_nonce(salt, ssrc, PacketIndex::Rtcp(index));
                cipher
                    .open_in_place(&nonce, &srtcp_aad(clear, word), body, tag)
                    .map_err(|_| SrtpError::AuthenticationFailed)?;
            }
            Self::CounterMode { cipher, mac, salt } => {
                verify(mac.as_mut(), &[clear, body, &word], tag)?;
                cipher.apply_keystream(&counter_iv(salt, ssrc, PacketIndex::Rtcp(index)), body)?;
            }
        }
        Ok(())
    }
}

/// The salt, with zeros on the right.
fn padded<const N: usize>(salt: &[u8]) -> [u8; N] {
    let mut padded = [0; N];
    for (to, from) in padded.iter_mut().zip(salt) {
        *to = *from;
    }
    padded
}

/// RFC 7714 §8.1 for RTP, §9.1 for RTCP: two zero bytes, SSRC, then 48 bits of index.
#[inline]
fn gcm_nonce(salt: &[u8; 12], ssrc: Ssrc, index: PacketIndex) -> [u8; 12] {
    let index = match index {
        PacketIndex::Rtp(index) => index.0,
        PacketIndex::Rtcp(index) => u64::from(index),
    };
    let mut nonce = u128::from(ssrc.0) << 48 | u128::from(index & 0xffff_ffff_ffff);
    let [s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11] = *salt;
    nonce ^= u128::from_be_bytes([0, 0, 0, 0, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11]);
    let [_, _, _, _, n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10, n11] = nonce.to_be_bytes();
    [n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10, n11]
}

/// RFC 3711 §4.1.1: salt · 2^16 ⊕ SSRC · 2^64 ⊕ index · 2^16.
#[inline]
fn counter_iv(salt: &[u8; 16], ssrc: Ssrc, index: PacketIndex) -> [u8; 16] {
    let index = match index {
        PacketIndex::Rtp(index) => index.0,
        PacketIndex::Rtcp(index) => u64::from(index),
    };
    let iv =
        u128::from_be_bytes(*salt) ^ u128::from(ssrc.0) << 64 ^ u128::from(index & 0xffff_ffff_ffff) << 16;
    iv.to_be_bytes()
}

/// RFC 7714 §9.2: the clear bytes and the index word.
#[inline]
fn srtcp_aad(clear: &[u8; RTCP_CLEAR_LEN], word: [u8; 4]) -> [u8; 12] {
    let [c0, c1, c2, c3, c4, c5, c6, c7] = *clear;
    let [w0, w1, w2, w3] = word;
    [c0, c1, c2, c3, c4, c5, c6, c7, w0, w1, w2, w3]
}

/// Writes as much of the HMAC as the tag has room for.
fn sign(mac: &mut dyn Mac, input: &[&[u8]], tag: &mut [u8]) -> Result<(), SrtpError> {
    let mut full = [0; SHA1_LEN];
    mac.sign(input, &mut full)?;
    for (to, from) in tag.iter_mut().zip(full) {
        *to = from;
    }
    Ok(())
}

fn verify(mac: &mut dyn Mac, input: &[&[u8]], tag: &[u8]) -> Result<(), SrtpError> {
    let mut full = [0; SHA1_LEN];
    mac.sign(input, &mut full)?;
    let expected = full.get(..tag.len()).ok_or(SrtpError::AuthenticationFailed)?;
    if constant_time_eq(expected, tag) { Ok(()) } else { Err(SrtpError::AuthenticationFailed) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::keys::tests::hex;
    use rtc_crypto::SecretVec;

    fn session(profile: SrtpProfile, key: &str) -> SessionCipher {
        let provider = rtc_crypto::default_provider().unwrap();
        let keys = SessionKeys {
            encryption: SecretVec::new(hex(key)),
            authentication: SecretVec::new(Vec::new()),
            salt: SecretVec::new(hex("517569642070726f2071756f")),
        };
        SessionCipher::new(profile, &keys, provider.crypto()).unwrap()
    }

    const KEY_128: &str = "000102030405060708090a0b0c0d0e0f";
    const KEY_256: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const RTP_HEADER: &str = "8040f17b 8041f8d3 5501a0b2";
    const RTP_PAYLOAD: &str =
        "47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472 6573";

    /// RFC 7714 §16.1.1 and §16.2.1.
    #[test]
    fn rfc7714_rtp() {
        let cases = [
            (
                SrtpProfile::AeadAes128Gcm,
                KEY_128,
                "f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf 8833",
                "899d7f27 beb16a91 52cf765e e4390cce",
            ),
            (
                SrtpProfile::AeadAes256Gcm,
                KEY_256,
                "32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f 1ba63799 b87b",
                "7aa3db36 dfffd6b0 f9bb7878 d7a76c13",
            ),
        ];
        for (profile, key, ciphertext, expected_tag) in cases {
            let mut cipher = session(profile, key);
            let (ssrc, index) = (Ssrc(0x5501_a0b2), ExtendedSequence(0xf17b));
            let header = hex(RTP_HEADER);
            let mut payload = hex(RTP_PAYLOAD);
            let mut tag = [0; 16];
            cipher.seal_rtp(ssrc, index, &header, &mut payload, &mut tag).unwrap();
            assert_eq!(payload, hex(ciphertext), "{profile:?}");
            assert_eq!(tag.to_vec(), hex(expected_tag), "{profile:?}");
            cipher.open_rtp(ssrc, index, &header, &mut payload, &tag).unwrap();
            assert_eq!(payload, hex(RTP_PAYLOAD));
        }
    }

    /// RFC 7714 §17.1.
    #[test]
    fn rfc7714_rtcp() {
        let mut cipher = session(SrtpProfile::AeadAes128Gcm, KEY_128);
        let clear: [u8; 8] = hex("81c8000d 4d617273").try_into().unwrap();
        let plain = "4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
                     deadbeef deadbeef deadbeef deadbeef deadbeef";
        let mut body = hex(plain);
        let mut tag = [0; 16];
        let (ssrc, index) = (Ssrc(0x4d61_7273), 0x5d4);
        cipher.seal_rtcp(ssrc, index, &clear, &mut body, &mut tag).unwrap();
        assert_eq!(
            body,
            hex("63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 86303ded
                 0bb9275b")
        );
        assert_eq!(tag.to_vec(), hex("c84aa458 96cf4d2f c5abf872 45d9eade"));
        cipher.open_rtcp(ssrc, index, &clear, &mut body, &tag).unwrap();
        assert_eq!(body, hex(plain));
    }
}
