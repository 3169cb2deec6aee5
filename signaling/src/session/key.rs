//! The secrets of sessions: each is an HMAC of the session's id, so that none has to be stored and all hold after a restart.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use patchbay_protocol::SessionId;
use sha2::Sha256;

/// The file in the state directory: 32 random bytes as base64url, for the owner's eyes only.
pub const SESSION_KEY_FILE: &str = "session.key";
/// Bytes of a key: as many as the hash gives (RFC 2104 §3).
const KEY_BYTES: usize = 32;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum SessionKeyError {
    /// The file or its directory can't be read or made.
    #[error("{}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{} holds no key of sessions; remove it, and a new one is made", .0.display())]
    Shape(PathBuf),
}

/// What the secrets of sessions are made with. No log shows it.
#[derive(Clone)]
pub(crate) struct SessionKey([u8; KEY_BYTES]);

impl SessionKey {
    /// A key for one life of the server.
    pub(crate) fn random() -> Self {
        Self(rand::random())
    }

    /// The key in a directory, which is made with it if it is not there.
    pub(crate) fn load(directory: &Path) -> Result<Self, SessionKeyError> {
        let path = directory.join(SESSION_KEY_FILE);
        let failed = |source| SessionKeyError::File { path: path.clone(), source };
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text).ok_or_else(|| SessionKeyError::Shape(path.clone())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                keep(directory, &path, &Self::random()).map_err(failed)?;
                // Whoever came first has made the key.
                let text = fs::read_to_string(&path).map_err(failed)?;
                Self::parse(&text).ok_or_else(|| SessionKeyError::Shape(path.clone()))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// The secret of a session: base64url of its HMAC-SHA256.
    pub(crate) fn secret(&self, session: &SessionId) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(session).finalize().into_bytes())
    }

    /// Whether a secret is that session's. Takes as long for any wrong one.
    pub(crate) fn is_secret_of(&self, session: &SessionId, secret: &str) -> bool {
        URL_SAFE_NO_PAD.decode(secret).is_ok_and(|given| self.mac(session).verify_slice(&given).is_ok())
    }

    fn mac(&self, session: &SessionId) -> Hmac<Sha256> {
        let mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.0);
        // HMAC takes keys of any length.
        mac.unwrap_or_else(|_| unreachable!("a key of this length")).chain_update(session.as_str())
    }

    fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text.trim()).ok()?.try_into().ok().map(Self)
    }
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKey(…)")
    }
}

/// Writes a file that nobody else can read, whole or not at all, and never over another.
fn keep(directory: &Path, path: &Path, key: &SessionKey) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let temporary = path.with_extension(format!("new-{:016x}", rand::random::<u64>()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let written = writeln!(file, "{}", URL_SAFE_NO_PAD.encode(key.0))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&temporary, path));
    let _ = fs::remove_file(&temporary);
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_one_sessions_and_one_keys() {
        let (key, other) = (SessionKey::random(), SessionKey::random());
        let (ada, grace) = (SessionId::new("ada"), SessionId::new("grace"));
        let secret = key.secret(&ada);
        assert!(key.is_secret_of(&ada, &secret));
        assert!(!key.is_secret_of(&grace, &secret));
        assert!(!other.is_secret_of(&ada, &secret));
        for wrong in ["", "x", "????", &secret[..42], &format!("{secret}A")] {
            assert!(!key.is_secret_of(&ada, wrong), "{wrong}");
        }
        assert_eq!(format!("{key:?}"), "SessionKey(…)");
    }

    #[test]
    fn the_kept_key_is_the_same_after_a_restart_and_nobody_elses_to_read() {
        let directory = std::env::temp_dir().join(format!("patchbay-key-{:016x}", rand::random::<u64>()));
        let state = directory.join("state");
        let ada = SessionId::new("ada");
        let secret = SessionKey::load(&state).unwrap().secret(&ada);
        assert!(SessionKey::load(&state).unwrap().is_secret_of(&ada, &secret));
        let file = state.join(SESSION_KEY_FILE);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&state).unwrap().count(), 1, "nothing is left lying about");
        fs::write(&file, "nonsense").unwrap();
        assert!(matches!(SessionKey::load(&state), Err(SessionKeyError::Shape(_))));
        fs::remove_dir_all(&directory).unwrap();
    }
}
