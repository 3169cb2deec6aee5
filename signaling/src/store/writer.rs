//! The thread that owns the database: takes what waits, commits it at once, says so.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use patchbay_protocol::RoomName;
use tokio::sync::oneshot;
use tracing::{error, info};

use super::database::{Failure, RoomDatabase};
use super::{Kept, StoreError, StoreLimit, StoreWrite, Written};

/// Writes in one commit. Cost of raising: a longer wait for the first of them.
const BATCH: usize = 256;
/// A database that failed is opened again after this long at the earliest.
const REOPEN: Duration = Duration::from_secs(1);

/// What the thread is asked.
pub(super) enum Job {
    /// Everything that is kept of a room.
    Load { room: RoomName, sender: oneshot::Sender<Kept> },
    /// A write, and whom to tell.
    Write { room: RoomName, write: StoreWrite, completion: Completion },
}

impl Job {
    /// Says no.
    pub(super) fn refuse(self, error: StoreError) {
        if let Self::Write { completion, .. } = self {
            completion.complete(Err(error));
        }
    }
}

/// Whom to tell, exactly once, whatever happens: dropped unheard, it says that the write is lost.
pub(super) struct Completion(Option<Box<dyn FnOnce(Written) + Send>>);

impl Completion {
    pub(super) fn new(done: impl FnOnce(Written) + Send + 'static) -> Self {
        Self(Some(Box::new(done)))
    }

    pub(super) fn complete(mut self, written: Written) {
        if let Some(done) = self.0.take() {
            done(written);
        }
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        if let Some(done) = self.0.take() {
            done(Err(StoreError::Unavailable));
        }
    }
}

/// Works until the store is dropped.
pub(super) fn run(path: &Path, limit: StoreLimit, jobs: &Receiver<Job>) {
    let mut keeper = Keeper { path, limit, database: None, failed: None };
    keeper.reopen();
    while let Ok(first) = jobs.recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Ok(next) = jobs.try_recv()
        {
            batch.push(next);
        }
        keeper.work(batch);
    }
}

struct Keeper<'a> {
    path: &'a Path,
    limit: StoreLimit,
    database: Option<RoomDatabase>,
    /// When it failed last.
    failed: Option<Instant>,
}

impl Keeper<'_> {
    fn work(&mut self, batch: Vec<Job>) {
        self.reopen();
        let mut writes = Vec::new();
        let mut completions = Vec::new();
        let mut loads = Vec::new();
        for job in batch {
            match job {
                Job::Load { room, sender } => loads.push((room, sender)),
                Job::Write { room, write, completion } => {
                    writes.push((room, write));
                    completions.push(completion);
                }
            }
        }
        if !writes.is_empty() {
            // Whatever fails, each of `completions` is told: those that are left are dropped.
            if let Some(results) = self.attempt(|database| database.apply(&writes)) {
                for (completion, result) in completions.into_iter().zip(results) {
                    completion.complete(result);
                }
            }
        }
        for (room, sender) in loads {
            if let Some(kept) = self.attempt(|database| database.load(&room)) {
                let _ = sender.send(kept);
            }
        }
    }

    /// Opens the database unless it is open, or failed just now.
    fn reopen(&mut self) {
        if self.database.is_some() || self.failed.is_some_and(|failed| failed.elapsed() < REOPEN) {
            return;
        }
        match guarded(|| RoomDatabase::open(self.path, self.limit)) {
            Ok(database) => {
                if self.failed.take().is_some() {
                    info!("the store of rooms is open again");
                }
                self.database = Some(database);
            }
            Err(failure) => self.fail(&failure),
        }
    }

    fn attempt<T>(&mut self, work: impl FnOnce(&mut RoomDatabase) -> Result<T, Failure>) -> Option<T> {
        let database = self.database.as_mut()?;
        match guarded(|| work(database)) {
            Ok(done) => Some(done),
            Err(failure) => {
                self.fail(&failure);
                None
            }
        }
    }

    /// After an error the database takes nothing more; it recovers by being opened again.
    fn fail(&mut self, failure: &Failure) {
        error!(path = %self.path.display(), %failure, "the store of rooms failed: chat is refused until it works again");
        self.failed = Some(Instant::now());
        if let Some(database) = self.database.take() {
            // Closing one that failed may fail as well.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
        }
    }
}

/// A file that somebody broke must not take the thread with it.
fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Failure::Panicked))
}
