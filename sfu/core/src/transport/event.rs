//! What a transport tells its worker.

use bytes::Bytes;
use patchbay_wire::srtp::SrtpProfile;

use super::data::ChannelInfo;
use crate::{ChannelKey, Path};

/// What happened to a transport. Events are to be polled after every `handle_*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransportEvent {
    /// The peer has authenticated itself on this path: datagrams on it are ours until [`Self::AddressUnbound`].
    AddressBound(Path),
    /// Nothing more is accepted on this path.
    AddressUnbound(Path),
    /// This local user name fragment is out of use: an ICE restart has come to its end.
    UfragRetired(String),
    /// DTLS is done; media and data flow from here on. `None`: the peer wants no SRTP, only data.
    Connected {
        /// What protects the media.
        srtp_profile: Option<SrtpProfile>,
    },
    /// Media goes to another path from now on. Video wants a keyframe at once, or it stands still for seconds.
    PathChanged(Path),
    /// A data channel is open both ways.
    ChannelOpened(ChannelInfo),
    /// The peer closed a data channel.
    ChannelClosed(ChannelKey),
    /// A message came on a data channel.
    Message {
        /// The channel.
        channel: ChannelKey,
        /// Text or binary.
        kind: MessageKind,
        /// The payload. Text is valid UTF-8.
        payload: Bytes,
    },
    /// A message that came on a data channel is longer than may be and was thrown away. The channel stays.
    MessageTooLong {
        /// The channel.
        channel: ChannelKey,
        /// How long it was, in bytes.
        bytes: usize,
    },
    /// A data channel that was above its high-water mark, or refused a message, has room again.
    Writable {
        /// The channel.
        channel: ChannelKey,
    },
    /// The transport is dead. Nothing follows.
    Failed(FailReason),
    /// The peer closed the transport (DTLS close_notify). Nothing follows.
    Closed,
}

/// What a data channel message is to a browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// A string.
    Text,
    /// Bytes.
    Binary,
}

/// Why a transport died, in words for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FailReason {
    /// Not one STUN check arrived.
    #[error(
        "no connectivity check ever arrived: UDP and TCP between the client and this server's media ports are blocked, or the \
         server announces an address that the client cannot reach"
    )]
    NoCheck,
    /// Checks arrived, but none with the right password.
    #[error(
        "connectivity checks arrived, but none with the password that this server gave: stale or altered SDP"
    )]
    BadPassword,
    /// ICE worked and the peer never began DTLS.
    #[error("connectivity checks succeeded, but the DTLS handshake never began")]
    DtlsNeverBegan,
    /// DTLS began and did not end in time.
    #[error(
        "the DTLS handshake did not finish in time: packets of a certain size or kind may be lost on the way"
    )]
    DtlsTimeout,
    /// DTLS was refused by one of the two sides.
    #[error("the DTLS handshake failed: {0}")]
    DtlsHandshake(String),
    /// The certificate is not the one that the SDP promised.
    #[error("the peer's certificate does not match the fingerprint in its SDP")]
    FingerprintMismatch,
    /// The connection was up and went silent.
    #[error("nothing authenticated came from the peer for {} s", super::LIVENESS_TIMEOUT.as_secs())]
    Silent,
    /// Our own fault.
    #[error("internal error: {0}")]
    Internal(String),
}

/// Why a transport could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The offer has fingerprints, but no SHA-256 one. The client's fault.
    #[error("the offer has no SHA-256 certificate fingerprint")]
    NoUsableFingerprint,
    /// The crypto provider cannot do what is needed, or no certificate could be made. Our own fault.
    #[error("cryptography: {0}")]
    Crypto(String),
}

impl From<rtc_crypto::CryptoError> for TransportError {
    fn from(error: rtc_crypto::CryptoError) -> Self {
        Self::Crypto(error.to_string())
    }
}
