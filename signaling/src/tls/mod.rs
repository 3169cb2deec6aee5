//! The server's certificate: where it comes from, which one is in use, and how it is renewed without a restart.
//!
//! Goes in: files that change, or the wish for a certificate of one's own. Comes out: the configuration that the next
//! connection's handshake uses (TLS 1.2 and 1.3, rustls with ring). A file that can't be used never replaces one that can.

mod certificate;
mod self_signed;

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

pub use self::certificate::{Certificate, CertificateInfo, TlsError};
pub use self::self_signed::{SELF_SIGNED_FILE, host_names};

/// Warnings begin when a certificate has less than this left: renewals happen a month before, so it failed several times.
const EXPIRES_SOON: Duration = Duration::from_secs(14 * 86_400);
/// How often an expiry is complained about.
const COMPLAIN_EVERY: Duration = Duration::from_secs(86_400);

/// Where the certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsSource {
    /// PEM files that somebody else keeps fresh. They are looked at again on SIGHUP and when they change.
    Files {
        /// The server's certificate, then those that vouch for it.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// A certificate that the server signs itself, for a network where nobody else would.
    SelfSigned {
        /// Names and addresses it is for.
        names: Vec<String>,
        /// Where it survives a restart, so that a browser that was told to trust it need not be told again.
        state_dir: Option<PathBuf>,
    },
}

/// The certificate in use.
pub(crate) struct Tls {
    source: TlsSource,
    current: RwLock<Arc<Certificate>>,
}

impl Tls {
    /// Loads or makes the certificate.
    pub(crate) fn load(source: TlsSource) -> Result<Self, TlsError> {
        let certificate = Arc::new(obtain(&source)?);
        Ok(Self { source, current: RwLock::new(certificate) })
    }

    /// The certificate in use.
    pub(crate) fn current(&self) -> Arc<Certificate> {
        self.current.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// What the next handshake uses.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.current().config.clone()
    }

    /// Whether browsers may be told to insist on TLS: not if they must be told to accept the certificate first.
    pub(crate) fn is_vouched_for(&self) -> bool {
        !self.current().info.is_self_signed
    }

    /// Looks for a new certificate on SIGHUP and every `period`, for ever.
    pub(crate) async fn keep_fresh(self: Arc<Self>, period: Duration) {
        let Ok(mut hang_up) = signal(SignalKind::hangup()) else { return };
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut seen, mut complained) = (self.signature(), None::<SystemTime>);
        loop {
            let is_asked = tokio::select! {
                _ = ticks.tick() => false,
                _ = hang_up.recv() => true,
            };
            let signature = self.signature();
            let is_due = match &self.source {
                TlsSource::Files { .. } => is_asked || signature != seen,
                TlsSource::SelfSigned { .. } => {
                    is_asked || self.current().info.is_ending(SystemTime::now(), EXPIRES_SOON)
                }
            };
            if is_due {
                // Files that are written one after the other are a pair only in the end: the next look sees to that.
                seen = signature;
                self.reload();
            }
            let now = SystemTime::now();
            let is_due =
                complained.is_none_or(|at| now.duration_since(at).unwrap_or_default() >= COMPLAIN_EVERY);
            if let Some(words) = self.current().info.trouble(now, EXPIRES_SOON).filter(|_| is_due) {
                warn!("the certificate {words}");
                complained = Some(now);
            }
        }
    }

    /// Takes a new certificate if there is a good one.
    fn reload(&self) {
        match obtain(&self.source) {
            Ok(certificate) => {
                let info = certificate.info.clone();
                *self.current.write().unwrap_or_else(|poisoned| poisoned.into_inner()) =
                    Arc::new(certificate);
                info!("new certificate in use: {info}");
            }
            Err(error) => warn!("the old certificate stays in use: {error}"),
        }
    }

    /// What tells that a file is another one: renewals replace files or the links to them.
    fn signature(&self) -> Vec<Option<(SystemTime, u64)>> {
        let look = |path: &Path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        match &self.source {
            TlsSource::Files { certificate, key } => vec![look(certificate), look(key)],
            TlsSource::SelfSigned { .. } => Vec::new(),
        }
    }
}

fn obtain(source: &TlsSource) -> Result<Certificate, TlsError> {
    match source {
        TlsSource::Files { certificate, key } => Certificate::read(certificate, key),
        TlsSource::SelfSigned { names, state_dir } => self_signed::obtain(names, state_dir.as_deref()),
    }
}
