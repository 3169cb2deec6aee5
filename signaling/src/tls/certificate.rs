//! A certificate with its key, checked before it is used.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{InconsistentKeys, ServerConfig};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing or not ours to read.
    #[error("can't read {}: {source}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file without a certificate.
    #[error("{} has no certificate; it should hold PEM: the server's own first, then those that vouch for it", .0.display())]
    NoCertificate(PathBuf),
    /// A file without a key.
    #[error("{} has no private key; it should hold PEM (PKCS#8, PKCS#1 or SEC1) that is not encrypted", .0.display())]
    NoKey(PathBuf),
    /// A file that is not what its name says.
    #[error("{} can't be understood: {words}", .path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        words: String,
    },
    /// Two files that are no pair.
    #[error("the key in {} does not belong to the certificate in {}", .key.display(), .certificate.display())]
    KeyMismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// A pair that can't serve.
    #[error("the certificate in {} can't be used: {words}", .path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        words: String,
    },
    /// The server could not make its own.
    #[error("can't make a certificate: {0}")]
    Make(String),
    /// The server's own could not be kept.
    #[error("can't keep the certificate in {}: {source}", .path.display())]
    Keep {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// A certificate that can serve.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// What it says.
    pub info: CertificateInfo,
    pub(crate) config: Arc<ServerConfig>,
}

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateInfo {
    /// SHA-256 of its DER, as browsers show it.
    pub fingerprint: String,
    /// Names and addresses it is for.
    pub names: Vec<String>,
    /// When it begins to hold.
    pub not_before: SystemTime,
    /// When it ends to hold.
    pub not_after: SystemTime,
    /// Nobody but itself vouches for it.
    pub is_self_signed: bool,
}

impl Certificate {
    /// Reads a pair of PEM files and checks that they are one.
    ///
    /// # Errors
    /// [`TlsError`], which names the file and what to do.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
        };
        Self::parse((certificate, &read(certificate)?), (key, &read(key)?))
    }

    /// The same from texts; the paths are for words only.
    pub(super) fn parse(
        (certificate_path, certificate): (&Path, &[u8]),
        (key_path, key): (&Path, &[u8]),
    ) -> Result<Self, TlsError> {
        let malformed = |path: &Path, words: String| TlsError::Malformed { path: path.to_owned(), words };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<_, _>>()
            .map_err(|error| malformed(certificate_path, error.to_string()))?;
        let first = chain.first().ok_or_else(|| TlsError::NoCertificate(certificate_path.to_owned()))?;
        let info = CertificateInfo::parse(first).map_err(|words| malformed(certificate_path, words))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            pem::Error::NoItemsFound => TlsError::NoKey(key_path.to_owned()),
            error => malformed(key_path, error.to_string()),
        })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let unusable = |words: String| TlsError::Unusable { path: certificate_path.to_owned(), words };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(error.to_string()))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::KeyMismatch {
                    certificate: certificate_path.to_owned(),
                    key: key_path.to_owned(),
                },
                error => unusable(error.to_string()),
            })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { info, config: Arc::new(config) })
    }
}

impl CertificateInfo {
    /// Reads a certificate's DER.
    pub(super) fn parse(der: &[u8]) -> Result<Self, String> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
        let alternative = certificate.subject_alternative_name().map_err(|error| error.to_string())?;
        let names = alternative
            .map_or_else(Vec::new, |it| it.value.general_names.iter().filter_map(general_name).collect());
        let at = |time: x509_parser::time::ASN1Time| {
            UNIX_EPOCH + Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0))
        };
        Ok(Self {
            fingerprint: fingerprint(der),
            names,
            not_before: at(certificate.validity().not_before),
            not_after: at(certificate.validity().not_after),
            is_self_signed: certificate.issuer() == certificate.subject(),
        })
    }

    /// Whether it holds for less than `margin` more.
    pub fn is_ending(&self, now: SystemTime, margin: Duration) -> bool {
        self.not_after <= now + margin
    }

    /// What is wrong with its times, in words that follow "the certificate".
    pub fn trouble(&self, now: SystemTime, margin: Duration) -> Option<String> {
        let days = |duration: Duration| duration.as_secs() / 86_400;
        if let Ok(since) = now.duration_since(self.not_after) {
            return Some(format!("expired {} days ago: browsers refuse it until it is renewed", days(since)));
        }
        if let Ok(until) = self.not_before.duration_since(now).map(days)
            && now < self.not_before
        {
            return Some(format!("begins to hold only in {until} days: is this machine's clock right?"));
        }
        let left = self.not_after.duration_since(now).unwrap_or_default();
        (left < margin).then(|| format!("expires in {} days: renewing it seems to fail", days(left)))
    }

    /// Whether it is for a host name or address; `*.example.org` stands for one label.
    pub fn is_for(&self, host: &str) -> bool {
        self.names.iter().any(|name| {
            name.eq_ignore_ascii_case(host)
                || name.strip_prefix("*.").is_some_and(|rest| {
                    host.split_once('.').is_some_and(|(_, domain)| domain.eq_ignore_ascii_case(rest))
                })
        })
    }
}

impl fmt::Display for CertificateInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = self.not_after.duration_since(SystemTime::now()).unwrap_or_default();
        let days = left.as_secs() / 86_400;
        write!(f, "for {}, {days} days left, SHA-256 fingerprint {}", self.names.join(", "), self.fingerprint)
    }
}

fn general_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match **bytes {
            [a, b, c, d] => Some(std::net::Ipv4Addr::new(a, b, c, d).to_string()),
            ref bytes => <[u8; 16]>::try_from(bytes).ok().map(|it| std::net::Ipv6Addr::from(it).to_string()),
        },
        _ => None,
    }
}

fn fingerprint(der: &[u8]) -> String {
    let pairs: Vec<String> = Sha256::digest(der).iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}
