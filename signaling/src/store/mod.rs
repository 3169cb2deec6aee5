//! What rooms keep on disk: chat history and bans, in one file of the state directory.
//!
//! One thread owns the database ([redb](https://docs.rs/redb): pure Rust, crash-safe). Rooms hand it writes and go on; it takes
//! all that wait, commits them together with one flush to the disk, and only then says that they are done. So a
//! line that somebody was told of survives a kill, and no task of the runtime ever waits for a disk.
//!
//! A full disk or a broken file costs chat and nothing else: writes are refused, and the file is opened again with the next
//! write once a second has passed. Without a state directory nothing is kept and this is a struct that does nothing.

mod database;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::time::Duration;

use patchbay_protocol::{ChatLine, RoomName};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::{error, warn};

use writer::{Completion, Job};

/// The file in the state directory.
pub(crate) const STORE_FILE: &str = "rooms.redb";
/// Writes that may wait for the disk. Cost of raising: memory while a disk hangs, up to 5 KB each.
const QUEUE: usize = 4_096;
/// How long a room that opens waits for its history.
const LOAD_TIMEOUT: Duration = Duration::from_secs(2);

/// How much is kept. What is over goes, oldest first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoreLimit {
    /// Of each room.
    pub(crate) history: HistoryLimit,
    /// Rooms with chat. The one that was written to longest ago goes first.
    pub(crate) rooms: u64,
    /// Bytes of all lines together. Cost of raising: the file on disk, which is about twice as large.
    pub(crate) bytes: u64,
    /// Bans of all rooms together. They never go by themselves: when there are so many, further ones are refused.
    pub(crate) bans: u64,
}

/// How much of one room's chat is kept, on disk and in memory alike.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HistoryLimit {
    /// Lines.
    pub(crate) lines: usize,
    /// Their bytes, names and all. Cost of raising: memory of every open room.
    pub(crate) bytes: usize,
}

impl Default for HistoryLimit {
    fn default() -> Self {
        Self { lines: 500, bytes: 256 * 1024 }
    }
}

impl Default for StoreLimit {
    fn default() -> Self {
        Self { history: HistoryLimit::default(), rooms: 10_000, bytes: 512 * 1024 * 1024, bans: 100_000 }
    }
}

/// What is kept of one room.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Kept {
    /// Chat, in ascending order.
    pub(crate) lines: Vec<ChatLine>,
    /// The number that comes next.
    pub(crate) next_number: u64,
    /// Identities that may not join.
    pub(crate) bans: Vec<String>,
}

/// A change to what is kept of one room.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum StoreWrite {
    /// Another line. Its number is the least it may get: the store knows what was given out before.
    Line(ChatLine),
    /// An identity is banned.
    Ban(String),
    /// No longer.
    Unban(String),
}

/// Why a write was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreError {
    /// Too much waits for the disk.
    #[error("too much waits for the disk")]
    Busy,
    /// As much is kept as may be.
    #[error("as much is kept as may be")]
    Full,
    /// The database can't be written; the log says why.
    #[error("the database can't be written")]
    Unavailable,
}

/// The number a line got, or 0 for other writes.
pub(crate) type Written = Result<u64, StoreError>;

/// The way to the thread that owns the database.
#[derive(Debug, Default)]
pub(crate) struct Store {
    jobs: Option<SyncSender<Job>>,
}

impl Store {
    /// A store in a directory, which is made if need be; without one, a store that keeps nothing.
    pub(crate) fn open(directory: Option<&Path>) -> Self {
        Self::with_limit(directory, StoreLimit::default())
    }

    /// The same, with other bounds.
    pub(crate) fn with_limit(directory: Option<&Path>, limit: StoreLimit) -> Self {
        let Some(directory) = directory else { return Self::default() };
        let (jobs, waiting) = mpsc::sync_channel(QUEUE);
        let path: PathBuf = directory.join(STORE_FILE);
        let started = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || writer::run(&path, limit, &waiting));
        if let Err(error) = started {
            // Writes find nobody who takes them, and are refused.
            error!(%error, "no thread for the store of rooms: chat can't be kept");
        }
        Self { jobs: Some(jobs) }
    }

    /// Whether anything is kept.
    pub(crate) fn is_kept(&self) -> bool {
        self.jobs.is_some()
    }

    /// What is kept of a room; nothing if it can't be read in time.
    pub(crate) async fn load(&self, room: &RoomName) -> Kept {
        let Some(jobs) = &self.jobs else { return Kept::default() };
        let (sender, receiver) = oneshot::channel();
        if jobs.try_send(Job::Load { room: room.clone(), sender }).is_ok()
            && let Ok(Ok(kept)) = timeout(LOAD_TIMEOUT, receiver).await
        {
            return kept;
        }
        warn!(%room, "what was kept of the room can't be read: it opens without its history");
        Kept::default()
    }

    /// Hands a write over. `done` is called once it is safe on the disk, or refused; never before this returns an error
    /// itself, never twice, and in the order of the writes.
    pub(crate) fn submit(
        &self,
        room: &RoomName,
        write: StoreWrite,
        done: impl FnOnce(Written) + Send + 'static,
    ) {
        let completion = Completion::new(done);
        let Some(jobs) = &self.jobs else { return completion.complete(Err(StoreError::Unavailable)) };
        match jobs.try_send(Job::Write { room: room.clone(), write, completion }) {
            Ok(()) => {}
            Err(TrySendError::Full(job)) => job.refuse(StoreError::Busy),
            Err(TrySendError::Disconnected(job)) => job.refuse(StoreError::Unavailable),
        }
    }
}
