//! The keys in use: those the server started with, or those that stand in their file now.

use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::{KeyError, Keys};

/// Why a file of keys can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Missing, or not ours to read.
    #[error("can't read it: {0}")]
    Read(#[from] std::io::Error),
    /// Not keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// Without a key the server would be open.
    #[error("there is no key in it")]
    Empty,
}

/// The keys in use. They can be exchanged while the server runs; whether there are any can't.
#[derive(Debug)]
pub(crate) struct KeyRing {
    current: RwLock<Arc<Keys>>,
    file: Option<PathBuf>,
}

impl KeyRing {
    /// Starts with these. `file`: where others may come from later.
    pub(crate) fn new(keys: Keys, file: Option<PathBuf>) -> Self {
        Self { current: RwLock::new(Arc::new(keys)), file }
    }

    /// The keys in use.
    pub(crate) fn current(&self) -> Arc<Keys> {
        self.current.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// Reads the file again if it says something else than what is in use. True if keys changed.
    ///
    /// # Errors
    /// The file can't be used; the keys in use stay.
    pub(crate) fn reload(&self) -> Result<bool, KeyFileError> {
        let Some(file) = &self.file else { return Ok(false) };
        let keys = Keys::parse(&std::fs::read_to_string(file)?)?;
        if keys.is_empty() {
            return Err(KeyFileError::Empty);
        }
        if keys == *self.current() {
            return Ok(false);
        }
        *self.current.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = Arc::new(keys);
        Ok(true)
    }

    /// Looks at the file on SIGHUP and every `period`, for ever.
    pub(crate) async fn keep_fresh(&self, period: Duration) {
        let Some(file) = &self.file else { return };
        let Ok(mut hang_up) = signal(SignalKind::hangup()) else { return };
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut complaint = None;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = hang_up.recv() => complaint = None,
            }
            match self.reload() {
                Ok(false) => complaint = None,
                Ok(true) => {
                    complaint = None;
                    info!("new keys in use: {}", self.current().ids().collect::<Vec<_>>().join(", "));
                }
                // Once for each fault, not every few seconds.
                Err(error) => {
                    let words = error.to_string();
                    if complaint.as_ref() != Some(&words) {
                        warn!("the keys in {} are not taken, the old ones stay: {words}", file.display());
                        complaint = Some(words);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_file_never_replaces_good_keys() {
        let path = std::env::temp_dir().join(format!("patchbay-keys-{:016x}", rand::random::<u64>()));
        let first = "a:0123456789abcdef";
        std::fs::write(&path, first).unwrap();
        let ring = KeyRing::new(Keys::parse(first).unwrap(), Some(path.clone()));
        assert!(!ring.reload().unwrap());
        std::fs::write(&path, "# rotated\nb:fedcba9876543210\n").unwrap();
        assert!(ring.reload().unwrap());
        assert_eq!(ring.current().ids().collect::<Vec<_>>(), ["b"]);
        for bad in ["", "# nothing\n", "b:short", "no colon"] {
            std::fs::write(&path, bad).unwrap();
            assert!(ring.reload().is_err(), "{bad}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(ring.reload(), Err(KeyFileError::Read(_))));
        assert_eq!(ring.current().ids().collect::<Vec<_>>(), ["b"]);
    }
}
