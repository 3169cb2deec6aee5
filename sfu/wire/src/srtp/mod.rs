//! SRTP and SRTCP in place (RFC 3711, RFC 7714), keyed by DTLS (RFC 5764).
//!
//! [`SrtpKeys`] come out of the DTLS handshake; [`SrtpSender`] encrypts packets at the end of an outgoing buffer,
//! [`SrtpReceiver`] decrypts datagrams where they lie. Neither allocates per packet once a stream is known.
//!
//! Both ends keep windows per SSRC. The receiver's refuses replays, and only authenticated packets change anything.
//! The sender's refuses to encrypt twice under one packet index, since AES-GCM loses all its protection when a nonce
//! is used for two different packets (RFC 7714 §8.4).
mod cipher;
mod keys;
mod receiver;
mod sender;
mod streams;
mod window;

pub use keys::{DtlsRole, SrtpKeys};
pub use receiver::{SrtpReceiver, UnprotectedRtp};
pub use sender::SrtpSender;

/// How many streams one peer may send; the packets of further ones are refused. A browser that sends camera, screen
/// and microphone with simulcast and RTX uses about 15.
pub const MAX_RECEIVE_STREAMS: usize = 512;

/// How many streams may be sent to one peer under one key. Streams are never forgotten, since their nonces must not
/// come back.
pub const MAX_SEND_STREAMS: usize = 4096;

/// SRTCP packets carry their index in 31 bits (RFC 3711 §3.4).
const MAX_SRTCP_INDEX: u32 = 0x7fff_ffff;

/// A protection profile: cipher, key lengths and tag length, by its `use_srtp` number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SrtpProfile {
    /// `SRTP_AEAD_AES_128_GCM` (RFC 7714 §14.2): what we prefer, about four times faster than AES-CM with SHA-1.
    AeadAes128Gcm,
    /// `SRTP_AEAD_AES_256_GCM` (RFC 7714 §14.2).
    AeadAes256Gcm,
    /// `SRTP_AES128_CM_HMAC_SHA1_80` (RFC 5764 §4.1.2): what every peer has.
    Aes128CmHmacSha1_80,
}

impl SrtpProfile {
    /// All profiles, best first.
    pub const ALL: [Self; 3] = [Self::AeadAes128Gcm, Self::AeadAes256Gcm, Self::Aes128CmHmacSha1_80];

    /// The name IANA has for it, without the `SRTP_` in front.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Self::Aes128CmHmacSha1_80 => "AES128_CM_HMAC_SHA1_80",
        }
    }

    /// The number in DTLS's `use_srtp` extension.
    #[must_use]
    pub const fn dtls_id(self) -> u16 {
        match self {
            Self::Aes128CmHmacSha1_80 => 0x0001,
            Self::AeadAes128Gcm => 0x0007,
            Self::AeadAes256Gcm => 0x0008,
        }
    }

    /// The profile with this number in DTLS's `use_srtp` extension, if it is one of ours.
    #[must_use]
    pub const fn from_dtls_id(id: u16) -> Option<Self> {
        match id {
            0x0001 => Some(Self::Aes128CmHmacSha1_80),
            0x0007 => Some(Self::AeadAes128Gcm),
            0x0008 => Some(Self::AeadAes256Gcm),
            _ => None,
        }
    }

    /// Length of master key and session encryption key, in bytes.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::Aes128CmHmacSha1_80 => 16,
            Self::AeadAes256Gcm => 32,
        }
    }

    /// Length of master salt and session salt, in bytes.
    #[must_use]
    pub const fn salt_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
            Self::Aes128CmHmacSha1_80 => 14,
        }
    }

    /// Length of the authentication tag on every packet, in bytes.
    #[must_use]
    pub const fn tag_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
            Self::Aes128CmHmacSha1_80 => 10,
        }
    }

    /// How many bytes protection adds to an RTP packet.
    #[must_use]
    pub const fn rtp_overhead(self) -> usize {
        self.tag_len()
    }

    /// How many bytes protection adds to an RTCP packet: tag and index word.
    #[must_use]
    pub const fn rtcp_overhead(self) -> usize {
        self.tag_len() + 4
    }

    /// How many bytes of keying material to export from DTLS under the label `EXTRACTOR-dtls_srtp`.
    #[must_use]
    pub const fn keying_material_len(self) -> usize {
        2 * (self.key_len() + self.salt_len())
    }
}

/// Why a packet was not protected or not accepted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SrtpError {
    /// Shorter than header, tag and index together. The peer's fault, or not from the peer at all.
    #[error("packet too short to be protected")]
    TooShort,
    /// The tag is wrong: forged, damaged, or another key. Nothing was changed.
    #[error("authentication failed")]
    AuthenticationFailed,
    /// Seen before, or too old to tell. Nothing was changed.
    #[error("replayed packet")]
    Replayed,
    /// An SRTCP packet without encryption, which nobody negotiated.
    #[error("RTCP packet is not encrypted")]
    NotEncrypted,
    /// More streams than [`MAX_RECEIVE_STREAMS`] or [`MAX_SEND_STREAMS`].
    #[error("too many streams")]
    TooManyStreams,
    /// A packet with this SSRC and index was encrypted before, or so long ago that nobody can tell. Our own fault:
    /// resend the stored ciphertext or use RTX.
    #[error("packet index was used before")]
    NonceReuse,
    /// The packet in the buffer and the index given for it do not belong together. Our own fault.
    #[error("sequence number and packet index differ")]
    WrongIndex,
    /// All indices of this key are used up (RFC 3711 §9.2): the transport must end.
    #[error("key is exhausted")]
    KeyExhausted,
    /// The exported keying material has another length than the profile needs.
    #[error("keying material is {actual} bytes long instead of {expected}")]
    WrongKeyingMaterial {
        /// [`SrtpProfile::keying_material_len`].
        expected: usize,
        /// What was given.
        actual: usize,
    },
    /// The crypto provider refused a key or an operation.
    #[error("crypto provider: {0}")]
    Provider(#[from] rtc_crypto::CryptoError),
}
