//! What a transport is authenticated by: ICE credentials, certificate fingerprints, and who starts DTLS.

use std::fmt;

use crate::text::is_ice_text;

/// ICE user name fragment and password (RFC 8839, section 5.4). `Debug` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// User name fragment, 4 to 256 ice-chars.
    pub ufrag: String,
    /// Password, 22 to 256 ice-chars.
    pub pwd: String,
}

impl IceCredentials {
    /// Credentials, if both texts have the form RFC 8839 asks for.
    pub fn new(ufrag: &str, pwd: &str) -> Option<Self> {
        (is_ice_text(ufrag, 4, 256) && is_ice_text(pwd, 22, 256))
            .then(|| Self { ufrag: ufrag.to_owned(), pwd: pwd.to_owned() })
    }
}

impl fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceCredentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

/// Hash function of a certificate fingerprint (RFC 8122).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashAlgorithm {
    /// `sha-1`, 20 bytes: read, but too weak to be trusted alone.
    Sha1,
    /// `sha-256`, 32 bytes: what every browser sends.
    Sha256,
    /// `sha-384`, 48 bytes.
    Sha384,
    /// `sha-512`, 64 bytes.
    Sha512,
}

impl HashAlgorithm {
    /// Name in a description.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha-1",
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// Length of a digest in bytes.
    pub fn digest_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512]
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }
}

/// Digest of a DTLS certificate (RFC 8122).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// Hash function.
    pub algorithm: HashAlgorithm,
    /// The digest, as long as the hash function's output.
    pub bytes: Vec<u8>,
}

impl Fingerprint {
    /// A SHA-256 fingerprint.
    pub fn sha256(digest: [u8; 32]) -> Self {
        Self { algorithm: HashAlgorithm::Sha256, bytes: digest.to_vec() }
    }

    /// Reads `sha-256 AB:CD:…`. `Ok(None)` for a hash function this side does not know, `Err` for a malformed one.
    #[allow(clippy::result_unit_err)]
    pub(crate) fn parse(value: &str) -> Result<Option<Self>, ()> {
        let (name, digest) = value.trim().split_once(' ').ok_or(())?;
        let Some(algorithm) = HashAlgorithm::from_name(name) else { return Ok(None) };
        let bytes = digest
            .trim()
            .split(':')
            .take(algorithm.digest_bytes() + 1)
            .map(|pair| {
                let is_pair = pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
                if is_pair { u8::from_str_radix(pair, 16).map_err(|_| ()) } else { Err(()) }
            })
            .collect::<Result<Vec<_>, ()>>()?;
        if bytes.len() != algorithm.digest_bytes() {
            return Err(());
        }
        Ok(Some(Self { algorithm, bytes }))
    }
}

impl fmt::Display for Fingerprint {
    /// As it stands after `a=fingerprint:`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.algorithm.name())?;
        for (index, byte) in self.bytes.iter().enumerate() {
            write!(f, "{}{byte:02X}", if index == 0 { ' ' } else { ':' })?;
        }
        Ok(())
    }
}

/// Value of `a=setup` (RFC 4145, RFC 5763).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// Either side may start DTLS. Also taken when the offer says nothing.
    ActPass,
    /// The offerer starts.
    Active,
    /// The answerer starts.
    Passive,
    /// Nobody starts for now.
    HoldConn,
}

impl Setup {
    pub(crate) fn parse(value: &str) -> Option<Self> {
        match value.trim() {
            "actpass" => Some(Self::ActPass),
            "active" => Some(Self::Active),
            "passive" => Some(Self::Passive),
            "holdconn" => Some(Self::HoldConn),
            _ => None,
        }
    }
}

/// The answering side's part in the DTLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DtlsRole {
    /// Waits for a ClientHello (`a=setup:passive`). Taken whenever the offer allows it.
    Server,
    /// Sends the ClientHello (`a=setup:active`).
    Client,
}

impl DtlsRole {
    /// Value of `a=setup` in the answer.
    pub fn setup(self) -> &'static str {
        match self {
            Self::Server => "passive",
            Self::Client => "active",
        }
    }
}
