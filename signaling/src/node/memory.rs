//! What the hub remembers over a restart, in the state directory: the last epoch, and which nodes were attached.
//!
//! An epoch is the wall clock's milliseconds at the start, unless an earlier life had as high a one: a clock that was set
//! back must not make nodes refuse every command as stale. Without a directory there is nothing but the clock.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fs, process};

use patchbay_protocol::{Epoch, NodeName, limit};
use tracing::warn;

/// In the state directory: the epoch of the latest life.
const EPOCH_FILE: &str = "epoch";
/// In the state directory: names of nodes, as a JSON array.
const NODES_FILE: &str = "nodes.json";
/// Epochs beyond this are no clock's: a broken file must not fence the server out for ever. The year 2100.
const EPOCH_MOST: u64 = 4_102_444_800_000;
/// Names that are remembered.
const NODES: usize = 256;

/// The memory. Failing to write it is logged and changes nothing else.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    directory: Option<PathBuf>,
}

impl Memory {
    /// Of this directory, which is made when something is to be written.
    pub(crate) fn new(directory: Option<PathBuf>) -> Self {
        Self { directory }
    }

    /// Whether anything outlives a restart.
    pub(super) fn is_lasting(&self) -> bool {
        self.directory.is_some()
    }

    /// Begins a life: an epoch higher than every one before.
    pub(super) fn begin(&self) -> Epoch {
        let unix_ms =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_millis() as u64);
        self.begin_at(unix_ms)
    }

    fn begin_at(&self, unix_ms: u64) -> Epoch {
        let Some(directory) = &self.directory else { return Epoch(unix_ms) };
        let last: u64 =
            read(&directory.join(EPOCH_FILE)).and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        let epoch = if last < EPOCH_MOST { unix_ms.max(last + 1) } else { unix_ms };
        if epoch > unix_ms {
            warn!(
                ahead_ms = epoch - unix_ms,
                "the clock was set back since the last start; the epoch goes on from there"
            );
        }
        self.write(EPOCH_FILE, &epoch.to_string());
        Epoch(epoch)
    }

    /// The nodes that were attached when the last life ended.
    pub(super) fn nodes(&self) -> BTreeSet<NodeName> {
        let Some(directory) = &self.directory else { return BTreeSet::new() };
        let names: Vec<String> = read(&directory.join(NODES_FILE))
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        let names = names.into_iter().filter(|name| limit::is_plain_text(name, limit::NAME_BYTES));
        names.take(NODES).map(NodeName::new).collect()
    }

    /// Remembers which nodes there are now.
    pub(super) fn keep_nodes(&self, names: &BTreeSet<NodeName>) {
        if self.directory.is_some()
            && let Ok(text) = serde_json::to_string(names)
        {
            self.write(NODES_FILE, &text);
        }
    }

    /// Whole or not at all, whenever the process ends.
    fn write(&self, file: &str, text: &str) {
        let Some(directory) = &self.directory else { return };
        let path = directory.join(file);
        let fresh = directory.join(format!("{file}.{}", process::id()));
        let written = fs::create_dir_all(directory)
            .and_then(|()| fs::write(&fresh, text))
            .and_then(|()| fs::File::open(&fresh)?.sync_all())
            .and_then(|()| fs::rename(&fresh, &path));
        if let Err(error) = written {
            warn!(path = %path.display(), %error, "what should survive a restart can't be written");
        }
    }
}

fn read(path: &Path) -> Option<String> {
    match fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            warn!(path = %path.display(), %error, "what an earlier life wrote can't be read");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of this test's own, which goes with it.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("patchbay-memory-{name}-{}", process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }

        fn memory(&self) -> Memory {
            Memory::new(Some(self.0.clone()))
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn epochs_rise_from_life_to_life_whatever_the_clock_does() {
        let directory = Directory::new("epoch");
        assert_eq!(directory.memory().begin_at(5_000), Epoch(5_000));
        assert_eq!(directory.memory().begin_at(5_000), Epoch(5_001), "twice within a millisecond");
        assert_eq!(directory.memory().begin_at(1_000), Epoch(5_002), "the clock was set back");
        assert_eq!(directory.memory().begin_at(9_000), Epoch(9_000));
        assert_eq!(Memory::default().begin_at(7), Epoch(7));
    }

    #[test]
    fn a_broken_file_is_no_obstacle() {
        let directory = Directory::new("broken");
        directory.memory().begin_at(5_000);
        for text in ["", "abc", "18446744073709551615", "-1"] {
            fs::write(directory.0.join(EPOCH_FILE), text).expect("written");
            assert_eq!(directory.memory().begin_at(6_000), Epoch(6_000), "{text:?}");
        }
        fs::write(directory.0.join(NODES_FILE), "[\"\\u0000\", 7]").expect("written");
        assert!(directory.memory().nodes().is_empty());
    }

    #[test]
    fn nodes_are_remembered() {
        let directory = Directory::new("nodes");
        assert!(directory.memory().nodes().is_empty());
        let names: BTreeSet<NodeName> = ["b", "a"].map(NodeName::new).into();
        directory.memory().keep_nodes(&names);
        assert_eq!(directory.memory().nodes(), names);
        Memory::default().keep_nodes(&names);
        assert!(Memory::default().nodes().is_empty() && !Memory::default().is_lasting());
    }
}
