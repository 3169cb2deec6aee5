//! Connection timelines of the last joins: kept a while, shown to whom they belong, and one line in the log for each
//! join that failed.
//!
//! Goes in: joins, what nodes tell of their transports, what clients say went wrong. Comes out: steps and a diagnosis.

mod api;
mod diagnosis;

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use patchbay_protocol::{RoomName, SessionId, Step, TimelineStep, TransportId, TroubleKind};
use tracing::info;

pub(crate) use self::api::routes;
pub use self::diagnosis::is_public;
use self::diagnosis::{Diagnosis, Evidence, diagnose};

/// Joins that are remembered. Cost: about 2 KB each.
const JOINS: usize = 1_000;
/// How long they are.
const KEPT: Duration = Duration::from_secs(3_600);
/// Steps of one join. A node tells 48 of each transport.
const STEPS: usize = 64;
/// Troubles that one client may have.
const TROUBLES: usize = 16;

/// The timelines of the last joins.
#[derive(Default)]
pub(crate) struct Timelines {
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    records: HashMap<SessionId, Record>,
    transports: HashMap<TransportId, SessionId>,
    /// Oldest first.
    order: VecDeque<(Instant, SessionId)>,
}

/// Whose join it is.
pub(crate) struct Opening<'a> {
    pub(crate) session: &'a SessionId,
    pub(crate) secret: &'a str,
    pub(crate) transport: TransportId,
    pub(crate) room: &'a RoomName,
    pub(crate) identity: &'a str,
    pub(crate) client: Option<IpAddr>,
}

struct Record {
    secret: String,
    transport: TransportId,
    room: RoomName,
    identity: String,
    client: Option<IpAddr>,
    since: Instant,
    joined_at: SystemTime,
    steps: Vec<TimelineStep>,
    troubles: Vec<(TroubleKind, String)>,
}

impl Timelines {
    /// Somebody comes in.
    pub(crate) fn open(&self, opening: &Opening<'_>) {
        let now = Instant::now();
        let mut book = self.book();
        book.forget(now);
        let record = Record {
            secret: opening.secret.to_owned(),
            transport: opening.transport,
            room: opening.room.clone(),
            identity: opening.identity.to_owned(),
            client: opening.client,
            since: now,
            joined_at: SystemTime::now(),
            steps: Vec::new(),
            troubles: Vec::new(),
        };
        book.transports.insert(opening.transport, opening.session.clone());
        book.order.push_back((now, opening.session.clone()));
        // A session may join once more; its earlier join is forgotten.
        if let Some(earlier) = book.records.insert(opening.session.clone(), record) {
            book.transports.remove(&earlier.transport);
        }
    }

    /// A node tells what happened to a transport.
    pub(crate) fn add(&self, transport: TransportId, steps: Vec<TimelineStep>) {
        let mut book = self.book();
        let Some(session) = book.transports.get(&transport).cloned() else { return };
        let Some(record) = book.records.get_mut(&session) else { return };
        let is_end = steps.iter().any(|it| matches!(it.step, Step::Failed { .. }));
        record.steps.extend(steps.into_iter().take(STEPS.saturating_sub(record.steps.len())));
        if is_end && let Some(found) = record.diagnosis() {
            let Record { room, identity, .. } = record;
            let has_worked = record.steps.iter().any(|it| matches!(it.step, Step::DtlsDone { .. }));
            let what = if has_worked { "connection lost" } else { "join failed: no media connection" };
            let cause = serde_json::json!(found.cause);
            let cause = cause.as_str().unwrap_or_default();
            info!(%room, identity, cause, words = found.words, remedy = found.remedy, "{what}");
        }
    }

    /// A client says what went wrong at its end.
    pub(crate) fn add_trouble(&self, session: &SessionId, kind: TroubleKind, detail: String) {
        let mut book = self.book();
        let Some(record) = book.records.get_mut(session) else { return };
        if record.troubles.len() < TROUBLES {
            info!(room = %record.room, identity = record.identity, ?kind, detail, "trouble at the client's end");
            record.troubles.push((kind, detail));
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Book {
    /// Makes room for one more.
    fn forget(&mut self, now: Instant) {
        while let Some((since, session)) = self.order.front() {
            if self.order.len() < JOINS && now.duration_since(*since) < KEPT {
                return;
            }
            let is_its = self.records.get(session).is_some_and(|record| record.since == *since);
            if is_its && let Some(record) = self.records.remove(session) {
                self.transports.remove(&record.transport);
            }
            self.order.pop_front();
        }
    }
}

impl Record {
    fn diagnosis(&self) -> Option<Diagnosis> {
        diagnose(&Evidence {
            steps: &self.steps,
            troubles: &self.troubles,
            client: self.client,
            elapsed: self.since.elapsed(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_joins_are_kept() {
        let timelines = Timelines::default();
        let room = RoomName::new("demo");
        for number in 0..3_000 {
            let session = SessionId::new(number.to_string());
            let transport = TransportId(number);
            let opening = Opening {
                session: &session,
                secret: "s",
                transport,
                room: &room,
                identity: "ada",
                client: None,
            };
            timelines.open(&opening);
            let step = TimelineStep { at_ms: 0, step: Step::IceRestart {} };
            timelines.add(transport, vec![step; 100]);
            timelines.add_trouble(&session, TroubleKind::Other, "x".into());
        }
        let book = timelines.book();
        assert_eq!((book.records.len(), book.transports.len(), book.order.len()), (JOINS, JOINS, JOINS));
        assert!(
            book.records.values().all(|record| record.steps.len() == STEPS && record.troubles.len() == 1)
        );
        assert!(book.records.contains_key(&SessionId::new("2999")));
    }
}
