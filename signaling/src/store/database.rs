//! The tables, and the bounds on what stands in them.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use patchbay_protocol::{ChatLine, RoomName};
use redb::{
    Builder, Database, ReadableTable, ReadableTableMetadata, Table, TableDefinition, WriteTransaction,
    backends::FileBackend,
};
use serde::{Deserialize, Serialize};

use super::{Kept, StoreError, StoreLimit, StoreWrite, Written};

/// Chat lines as JSON, by room and number.
const LINES: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("lines");
/// [`Summary`] as JSON, by room.
const ROOMS: TableDefinition<&str, &[u8]> = TableDefinition::new("rooms");
/// Rooms in the order in which they were written to.
const AGES: TableDefinition<(u64, &str), ()> = TableDefinition::new("ages");
/// Banned identities, by room.
const BANS: TableDefinition<(&str, &str), ()> = TableDefinition::new("bans");
/// Counts over all rooms, by name.
const TOTALS: TableDefinition<&str, u64> = TableDefinition::new("totals");
/// In [`TOTALS`]: bytes of all lines.
const LINE_BYTES: &str = "line_bytes";
/// In [`TOTALS`]: counts the writes, so that rooms have an order.
const WRITES: &str = "writes";
/// Memory for pages. All that is read often are the ends of a few rooms.
const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// What of a room's chat would take a walk over its lines.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Summary {
    next_number: u64,
    lines: u64,
    bytes: u64,
    /// Its place in [`AGES`].
    age: u64,
}

/// Why the database takes nothing more.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Database(#[from] redb::Error),
    #[error("what is kept can't be read: {0}")]
    Json(#[from] serde_json::Error),
    #[error("a fault in the database; its file is broken, perhaps")]
    Panicked,
}

/// redb has an error type for each step.
macro_rules! failure_from {
    ($($error:ident),*) => {
        $(impl From<redb::$error> for Failure {
            fn from(error: redb::$error) -> Self {
                Self::Database(error.into())
            }
        })*
    };
}
failure_from!(CommitError, DatabaseError, StorageError, TableError, TransactionError);

/// An open database.
pub(super) struct RoomDatabase {
    database: Database,
    limit: StoreLimit,
}

impl RoomDatabase {
    /// Opens or makes the file, for its owner's eyes only.
    pub(super) fn open(path: &Path, limit: StoreLimit) -> Result<Self, Failure> {
        if let Some(directory) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let database =
            Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(FileBackend::new(file)?)?;
        Ok(Self { database, limit })
    }

    /// Everything that is kept of a room.
    pub(super) fn load(&self, room: &RoomName) -> Result<Kept, Failure> {
        let transaction = self.database.begin_write()?;
        let name = room.as_str();
        let mut kept = Kept::default();
        {
            let tables = Tables::open(&transaction)?;
            for entry in tables.lines.range((name, 0)..=(name, u64::MAX))? {
                kept.lines.push(serde_json::from_slice(entry?.1.value())?);
            }
            kept.next_number = tables.summary(name)?.next_number.max(1);
            for entry in tables.bans.range((name, "")..)? {
                let (key, _) = entry?;
                let (of, identity) = key.value();
                if of != name {
                    break;
                }
                kept.bans.push(identity.to_owned());
            }
        }
        transaction.abort()?;
        Ok(kept)
    }

    /// Carries out writes in order and flushes them to the disk together.
    pub(super) fn apply(&mut self, writes: &[(RoomName, StoreWrite)]) -> Result<Vec<Written>, Failure> {
        let transaction = self.database.begin_write()?;
        let mut results = Vec::with_capacity(writes.len());
        {
            let mut tables = Tables::open(&transaction)?;
            for (room, write) in writes {
                let room = room.as_str();
                results.push(match write {
                    StoreWrite::Line(line) => Ok(tables.append(room, line, &self.limit)?),
                    StoreWrite::Ban(identity) => tables.ban(room, identity, self.limit.bans)?,
                    StoreWrite::Unban(identity) => {
                        tables.bans.remove((room, identity.as_str()))?;
                        Ok(0)
                    }
                });
            }
        }
        transaction.commit()?;
        Ok(results)
    }
}

/// All tables within one transaction.
struct Tables<'t> {
    lines: Table<'t, (&'static str, u64), &'static [u8]>,
    rooms: Table<'t, &'static str, &'static [u8]>,
    ages: Table<'t, (u64, &'static str), ()>,
    bans: Table<'t, (&'static str, &'static str), ()>,
    totals: Table<'t, &'static str, u64>,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, Failure> {
        Ok(Self {
            lines: transaction.open_table(LINES)?,
            rooms: transaction.open_table(ROOMS)?,
            ages: transaction.open_table(AGES)?,
            bans: transaction.open_table(BANS)?,
            totals: transaction.open_table(TOTALS)?,
        })
    }

    fn summary(&self, room: &str) -> Result<Summary, Failure> {
        match self.rooms.get(room)? {
            Some(entry) => Ok(serde_json::from_slice(entry.value())?),
            None => Ok(Summary::default()),
        }
    }

    fn total(&self, name: &str) -> Result<u64, Failure> {
        Ok(self.totals.get(name)?.map_or(0, |entry| entry.value()))
    }

    /// Adds a line, drops what is over, and returns the line's number.
    fn append(&mut self, room: &str, line: &ChatLine, limit: &StoreLimit) -> Result<u64, Failure> {
        let mut summary = self.summary(room)?;
        let before = summary.bytes;
        let number = line.number.max(summary.next_number).max(1);
        let bytes = serde_json::to_vec(&ChatLine { number, ..line.clone() })?;
        self.lines.insert((room, number), bytes.as_slice())?;
        summary.next_number = number + 1;
        summary.lines += 1;
        summary.bytes += bytes.len() as u64;
        while summary.lines > 1
            && (summary.lines > limit.history.lines as u64 || summary.bytes > limit.history.bytes as u64)
        {
            let oldest = {
                let mut range = self.lines.range((room, 0)..=(room, u64::MAX))?;
                let Some(entry) = range.next() else { break };
                let (key, value) = entry?;
                (key.value().1, value.value().len() as u64)
            };
            self.lines.remove((room, oldest.0))?;
            summary.lines -= 1;
            summary.bytes = summary.bytes.saturating_sub(oldest.1);
        }
        self.ages.remove((summary.age, room))?;
        summary.age = self.total(WRITES)? + 1;
        self.totals.insert(WRITES, summary.age)?;
        self.ages.insert((summary.age, room), ())?;
        self.rooms.insert(room, serde_json::to_vec(&summary)?.as_slice())?;
        let total = self.total(LINE_BYTES)?.saturating_sub(before) + summary.bytes;
        self.totals.insert(LINE_BYTES, total)?;
        self.drop_oldest_rooms(limit)?;
        Ok(number)
    }

    /// Drops whole rooms, the one that was written to longest ago first, until the rest is within bounds. One room stays.
    fn drop_oldest_rooms(&mut self, limit: &StoreLimit) -> Result<(), Failure> {
        while self.rooms.len()? > 1
            && (self.rooms.len()? > limit.rooms || self.total(LINE_BYTES)? > limit.bytes)
        {
            let (age, room) = {
                let Some((key, _)) = self.ages.first()? else { break };
                let (age, room) = key.value();
                (age, room.to_owned())
            };
            let room = room.as_str();
            let summary = self.summary(room)?;
            self.lines.retain_in((room, 0)..=(room, u64::MAX), |_, _| false)?;
            self.ages.remove((age, room))?;
            self.rooms.remove(room)?;
            let total = self.total(LINE_BYTES)?.saturating_sub(summary.bytes);
            self.totals.insert(LINE_BYTES, total)?;
        }
        Ok(())
    }

    fn ban(&mut self, room: &str, identity: &str, most: u64) -> Result<Written, Failure> {
        let is_known = self.bans.get((room, identity))?.is_some();
        if !is_known && self.bans.len()? >= most {
            return Ok(Err(StoreError::Full));
        }
        self.bans.insert((room, identity), ())?;
        Ok(Ok(0))
    }
}
