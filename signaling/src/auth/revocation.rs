//! What was revoked before its time: tokens by their names, and everything an identity was given until some moment.
//!
//! The list is in memory, where every join looks, and in one small file of the state directory, which is replaced whole
//! before anybody is told that something is revoked. An entry goes when no token can be left that it speaks of.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use patchbay_protocol::RoomName;
use serde::{Deserialize, Serialize};

use super::{Credential, LEEWAY_SECONDS};

/// The file in the state directory.
pub const REVOCATION_FILE: &str = "revocations.json";
/// Entries of the list. Cost of raising: about 150 bytes of memory each, and as much to write at each revocation.
const ENTRIES: usize = 50_000;

/// Why something could not be revoked, or the list not be read.
#[derive(Debug, thiserror::Error)]
pub enum RevocationError {
    /// The list is as long as it may be.
    #[error("{ENTRIES} revocations stand already; exchange the key instead")]
    Full,
    /// The file can't be read or written.
    #[error("{}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no list of revocations. To start without it would make good what was revoked.
    #[error("{} can't be understood: {words}", .path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        words: String,
    },
}

/// What is revoked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Revoked {
    /// One token, by its `jti`.
    Token {
        /// Its name.
        jti: String,
    },
    /// All tokens of an identity that were issued so far, in one room or in all.
    Identity {
        /// The room; all rooms when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        room: Option<RoomName>,
        /// Whose.
        identity: String,
    },
}

/// One entry of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Revocation {
    /// What.
    #[serde(flatten)]
    pub(crate) what: Revoked,
    /// When, Unix time in seconds.
    pub(crate) at: u64,
    /// When the last token has expired that it may speak of.
    until: u64,
}

impl Revocation {
    /// Whether it speaks of somebody. Without a credential, on an open server, an identity can still be sent out.
    pub(crate) fn covers(&self, room: &RoomName, identity: &str, credential: Option<&Credential>) -> bool {
        match &self.what {
            Revoked::Token { jti } => credential.and_then(|it| it.jti.as_ref()) == Some(jti),
            Revoked::Identity { room: only, identity: whose } => {
                // A token that does not say when it was issued can't show that it came later.
                let is_later = credential.and_then(|it| it.iat).is_some_and(|iat| iat > self.at);
                whose == identity && only.as_ref().is_none_or(|only| only == room) && !is_later
            }
        }
    }
}

/// The list.
#[derive(Debug)]
pub(crate) struct Revocations {
    entries: Mutex<HashMap<Revoked, Revocation>>,
    /// Held while the file is written, so that a later list is never replaced by an earlier one.
    file: Option<Mutex<PathBuf>>,
    /// Seconds that the longest-lived token holds.
    longest_token: u64,
    capacity: usize,
}

impl Revocations {
    /// With what stands in the state directory, if there is one.
    ///
    /// # Errors
    /// There is a file and it can't be used.
    pub(crate) fn load(
        state_dir: Option<&Path>,
        longest_token: u64,
        now: u64,
    ) -> Result<Self, RevocationError> {
        let mut entries = HashMap::new();
        let path = state_dir.map(|directory| directory.join(REVOCATION_FILE));
        if let Some(path) = &path {
            let list: Vec<Revocation> = match fs::read(path) {
                Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| RevocationError::Malformed {
                    path: path.clone(),
                    words: error.to_string(),
                })?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
                Err(source) => return Err(RevocationError::File { path: path.clone(), source }),
            };
            entries.extend(
                list.into_iter().filter(|it| it.until > now).take(ENTRIES).map(|it| (it.what.clone(), it)),
            );
        }
        let file = path.map(Mutex::new);
        Ok(Self { entries: Mutex::new(entries), file, longest_token, capacity: ENTRIES })
    }

    /// Takes an entry into the list, and returns it. From here on it is refused; [`Self::keep`] makes it last.
    pub(crate) fn add(&self, what: Revoked, now: u64) -> Result<Revocation, RevocationError> {
        let mut entries = self.entries();
        if entries.len() >= self.capacity && !entries.contains_key(&what) {
            entries.retain(|_, entry| entry.until > now);
            if entries.len() >= self.capacity {
                return Err(RevocationError::Full);
            }
        }
        let until = now.saturating_add(self.longest_token).saturating_add(LEEWAY_SECONDS);
        let entry = Revocation { what: what.clone(), at: now, until };
        entries.insert(what, entry.clone());
        Ok(entry)
    }

    /// Writes the list to its file. Blocks.
    ///
    /// # Errors
    /// The disk refuses. What was revoked stays so until the server ends.
    pub(crate) fn keep(&self) -> Result<(), RevocationError> {
        let Some(file) = &self.file else { return Ok(()) };
        let path = file.lock().unwrap_or_else(PoisonError::into_inner);
        let list: Vec<Revocation> = self.entries().values().cloned().collect();
        write(&path, &list).map_err(|source| RevocationError::File { path: path.clone(), source })
    }

    /// Whether a token, or its bearer, was revoked.
    pub(crate) fn cover(&self, room: &RoomName, identity: &str, credential: &Credential) -> bool {
        let entries = self.entries();
        let has = |what: Revoked| {
            entries.get(&what).is_some_and(|entry| entry.covers(room, identity, Some(credential)))
        };
        if entries.is_empty() {
            return false;
        }
        credential.jti.as_ref().is_some_and(|jti| has(Revoked::Token { jti: jti.clone() }))
            || has(Revoked::Identity { room: Some(room.clone()), identity: identity.to_owned() })
            || has(Revoked::Identity { room: None, identity: identity.to_owned() })
    }

    /// Whether a token was revoked by its name.
    pub(crate) fn cover_token(&self, jti: &str) -> bool {
        self.entries().contains_key(&Revoked::Token { jti: jti.to_owned() })
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.entries().len()
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Revoked, Revocation>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Replaces the file whole: whoever reads it finds the old list or the new one, also after a crash.
fn write(path: &Path, list: &[Revocation]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let beside = path.with_extension("json.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(&serde_json::to_vec(list)?)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn identity(room: Option<&str>, identity: &str) -> Revoked {
        Revoked::Identity { room: room.map(RoomName::new), identity: identity.to_owned() }
    }

    fn issued(iat: Option<u64>) -> Credential {
        Credential { iat, exp: 2_000, ..Credential::default() }
    }

    #[test]
    fn what_came_before_is_refused_and_what_came_later_holds() {
        let list = Revocations::load(None, DAY, 0).unwrap();
        let (demo, other) = (RoomName::new("demo"), RoomName::new("other"));
        list.add(identity(Some("demo"), "ada"), 1_000).unwrap();
        assert!(list.cover(&demo, "ada", &issued(Some(999))));
        assert!(list.cover(&demo, "ada", &issued(Some(1_000))), "the same second counts as before");
        assert!(list.cover(&demo, "ada", &issued(None)), "who does not say when came before");
        assert!(!list.cover(&demo, "ada", &issued(Some(1_001))));
        assert!(!list.cover(&demo, "bob", &issued(None)) && !list.cover(&other, "ada", &issued(None)));
        list.add(identity(None, "ada"), 1_500).unwrap();
        assert!(
            list.cover(&other, "ada", &issued(Some(1_400))) && list.cover(&demo, "ada", &issued(Some(1_400)))
        );
        let named = |jti: &str| Credential {
            jti: Some(jti.into()),
            iat: Some(9_000),
            exp: 10_000,
            ..Credential::default()
        };
        list.add(Revoked::Token { jti: "t-1".into() }, 1_500).unwrap();
        assert!(list.cover(&demo, "eve", &named("t-1")) && !list.cover(&demo, "eve", &named("t-2")));
    }

    #[test]
    fn the_list_is_bounded_and_entries_go_when_no_token_is_left() {
        let mut list = Revocations::load(None, DAY, 0).unwrap();
        list.capacity = 3;
        for name in ["a", "b", "c"] {
            list.add(identity(None, name), 1_000).unwrap();
        }
        assert!(matches!(list.add(identity(None, "d"), 1_001), Err(RevocationError::Full)));
        assert!(list.add(identity(None, "a"), 1_001).is_ok(), "what stands there can be renewed");
        assert!(list.add(identity(None, "d"), 1_000 + DAY + LEEWAY_SECONDS).is_ok());
        assert_eq!(list.len(), 2);
    }

    #[test]
    fn the_file_outlives_the_server() {
        let directory = std::env::temp_dir().join(format!("patchbay-revoked-{:016x}", rand::random::<u64>()));
        let list = Revocations::load(Some(&directory), DAY, 0).unwrap();
        list.add(identity(Some("demo"), "ada"), 1_000).unwrap();
        list.add(Revoked::Token { jti: "t-1".into() }, 2_000).unwrap();
        list.keep().unwrap();
        let again = Revocations::load(Some(&directory), DAY, 2_000).unwrap();
        assert!(again.cover(&RoomName::new("demo"), "ada", &issued(None)));
        assert_eq!(again.len(), 2);
        let later = Revocations::load(Some(&directory), DAY, 1_500 + DAY).unwrap();
        assert_eq!(later.len(), 1, "what speaks of no living token is not taken back");
        fs::write(directory.join(REVOCATION_FILE), "[{\"kind\":").unwrap();
        assert!(matches!(
            Revocations::load(Some(&directory), DAY, 0),
            Err(RevocationError::Malformed { .. })
        ));
        fs::remove_dir_all(&directory).unwrap();
    }
}
