//! What happened in rooms and with nodes, for the world outside: numbered, and kept in memory for a while.
//!
//! Whoever follows it (a stream of `GET /v1/events`, a webhook's target) has a place of its own in it, so that nobody waits
//! for anybody and nothing is queued twice. A place that has fallen out at the old end has missed something.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use patchbay_protocol::{
    ChatLine, Epoch, LeaveReason, NodeName, Participant, ParticipantNumber, RoomInfo, RoomName, ServerEvent,
    Track, TrackId,
};
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::room::Notice;

/// Events that are kept. Cost of raising: a few hundred bytes each.
const EVENTS: usize = 10_000;
/// Bytes of them.
const BYTES: usize = 16 * 1024 * 1024;

/// Types of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventKind {
    RoomCreated,
    RoomUpdated,
    RoomClosed,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    TrackPublished,
    TrackUnpublished,
    TrackMuted,
    Chat,
    NodeAttached,
    NodeLost,
}

impl EventKind {
    pub(crate) const ALL: [Self; 12] = [
        Self::RoomCreated,
        Self::RoomUpdated,
        Self::RoomClosed,
        Self::ParticipantJoined,
        Self::ParticipantLeft,
        Self::ParticipantUpdated,
        Self::TrackPublished,
        Self::TrackUnpublished,
        Self::TrackMuted,
        Self::Chat,
        Self::NodeAttached,
        Self::NodeLost,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RoomCreated => "room_created",
            Self::RoomUpdated => "room_updated",
            Self::RoomClosed => "room_closed",
            Self::ParticipantJoined => "participant_joined",
            Self::ParticipantLeft => "participant_left",
            Self::ParticipantUpdated => "participant_updated",
            Self::TrackPublished => "track_published",
            Self::TrackUnpublished => "track_unpublished",
            Self::TrackMuted => "track_muted",
            Self::Chat => "chat",
            Self::NodeAttached => "node_attached",
            Self::NodeLost => "node_lost",
        }
    }

    /// By its name.
    pub(crate) fn read(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Where an event stands: which life of the server, and which of its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventId {
    pub(crate) epoch: Epoch,
    pub(crate) number: u64,
}

impl EventId {
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (epoch, number) = text.trim().split_once('-')?;
        Some(Self { epoch: Epoch(epoch.parse().ok()?), number: number.parse().ok()? })
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.number)
    }
}

/// Somebody an event is about.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Who {
    /// The whole entry, as the roster has it.
    Entry(Participant),
    /// Only who it is.
    Name { number: ParticipantNumber, identity: String },
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum What {
    Entry(Track),
    Id { id: TrackId },
}

/// One event as it stands in a stream and in a webhook's body.
#[derive(Debug, Serialize)]
struct Body {
    id: String,
    #[serde(rename = "type")]
    kind: EventKind,
    at_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<RoomName>,
    #[serde(flatten)]
    detail: Detail,
}

#[derive(Debug, Default, Serialize)]
struct Detail {
    #[serde(skip_serializing_if = "Option::is_none")]
    participant: Option<Who>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<LeaveReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    track: Option<What>,
    #[serde(skip_serializing_if = "Option::is_none")]
    muted: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<ParticipantNumber>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<ChatLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_info: Option<RoomInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<NodeName>,
}

/// One event, kept.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) id: EventId,
    pub(crate) kind: EventKind,
    pub(crate) room: Option<RoomName>,
    pub(crate) at_ms: u64,
    /// JSON, in one line.
    pub(crate) text: String,
}

/// Which events somebody wants.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// All of them when empty.
    pub(crate) kinds: Vec<EventKind>,
    pub(crate) room: Option<RoomName>,
}

impl Filter {
    fn takes(&self, record: &Record) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&record.kind))
            && self.room.as_ref().is_none_or(|room| record.room.as_ref() == Some(room))
    }
}

/// The journal. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    epoch: Epoch,
    ring: Mutex<Ring>,
    /// The number of the newest event.
    newest: watch::Sender<u64>,
    events: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Ring {
    records: VecDeque<Arc<Record>>,
    bytes: usize,
    newest: u64,
}

impl Ring {
    fn oldest(&self) -> u64 {
        self.records.front().map_or(self.newest + 1, |record| record.id.number)
    }
}

impl Journal {
    pub(crate) fn new(epoch: Epoch) -> Self {
        Self::with_limit(epoch, EVENTS, BYTES)
    }

    pub(crate) fn with_limit(epoch: Epoch, events: usize, bytes: usize) -> Self {
        let shared = Shared { epoch, ring: Mutex::default(), newest: watch::Sender::new(0), events, bytes };
        Self { shared: Arc::new(shared) }
    }

    pub(crate) fn room_created(&self, room: &RoomName, info: RoomInfo) {
        let detail = Detail { room_info: Some(info), ..Detail::default() };
        self.write(EventKind::RoomCreated, Some(room), detail);
    }

    pub(crate) fn room_closed(&self, room: &RoomName) {
        self.write(EventKind::RoomClosed, Some(room), Detail::default());
    }

    pub(crate) fn node(&self, kind: EventKind, node: &NodeName) {
        self.write(kind, None, Detail { node: Some(node.clone()), ..Detail::default() });
    }

    /// What everybody in a room was told.
    pub(crate) fn notice(&self, room: &RoomName, notice: Notice) {
        let Notice { event, identity } = notice;
        let named = |number| Some(Who::Name { number, identity: identity.clone().unwrap_or_default() });
        let none = Detail::default();
        let (kind, detail) = match event {
            ServerEvent::RoomUpdated { room } => {
                (EventKind::RoomUpdated, Detail { room_info: Some(room), ..none })
            }
            ServerEvent::ParticipantJoined { participant } => {
                (EventKind::ParticipantJoined, Detail { participant: Some(Who::Entry(participant)), ..none })
            }
            ServerEvent::ParticipantUpdated { participant } => {
                (EventKind::ParticipantUpdated, Detail { participant: Some(Who::Entry(participant)), ..none })
            }
            ServerEvent::ParticipantLeft { participant, reason } => (
                EventKind::ParticipantLeft,
                Detail { participant: named(participant), reason: Some(reason), ..none },
            ),
            ServerEvent::TrackPublished { participant, track } => (
                EventKind::TrackPublished,
                Detail { participant: named(participant), track: Some(What::Entry(track)), ..none },
            ),
            ServerEvent::TrackUnpublished { participant, track } => (
                EventKind::TrackUnpublished,
                Detail { participant: named(participant), track: Some(What::Id { id: track }), ..none },
            ),
            ServerEvent::TrackMuted { participant, track, muted, by } => {
                let track = Some(What::Id { id: track });
                let detail =
                    Detail { participant: named(participant), track, muted: Some(muted), by, ..none };
                (EventKind::TrackMuted, detail)
            }
            ServerEvent::Chat { line } => {
                let participant = named(line.participant);
                (EventKind::Chat, Detail { participant, line: Some(line), ..none })
            }
            _ => return,
        };
        self.write(kind, Some(room), detail);
    }

    fn write(&self, kind: EventKind, room: Option<&RoomName>, detail: Detail) {
        let at_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let mut ring = self.ring();
        let id = EventId { epoch: self.shared.epoch, number: ring.newest + 1 };
        let body = Body { id: id.to_string(), kind, at_ms, room: room.cloned(), detail };
        let Ok(text) = serde_json::to_string(&body) else { return };
        ring.newest = id.number;
        ring.bytes += text.len();
        ring.records.push_back(Arc::new(Record { id, kind, room: body.room, at_ms, text }));
        while ring.records.len() > self.shared.events || ring.bytes > self.shared.bytes {
            let Some(oldest) = ring.records.pop_front() else { break };
            ring.bytes -= oldest.text.len();
        }
        drop(ring);
        self.shared.newest.send_replace(id.number);
    }

    /// A place before everything.
    pub(crate) fn beginning(&self) -> Place {
        self.at(0)
    }

    /// A place behind everything that happened so far.
    pub(crate) fn end(&self) -> Place {
        self.at(self.ring().newest)
    }

    /// The place behind an event. `None`: what came next can't be told any more, or it is of another life.
    pub(crate) fn behind(&self, id: EventId) -> Option<Place> {
        let ring = self.ring();
        let is_known =
            id.epoch == self.shared.epoch && id.number <= ring.newest && id.number + 1 >= ring.oldest();
        drop(ring);
        is_known.then(|| self.at(id.number))
    }

    fn at(&self, last: u64) -> Place {
        Place { journal: self.clone(), last, newest: self.shared.newest.subscribe() }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.shared.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody's place in the journal.
#[derive(Debug)]
pub(crate) struct Place {
    journal: Journal,
    /// The last event that was passed.
    last: u64,
    newest: watch::Receiver<u64>,
}

/// What comes next at a place.
#[derive(Debug)]
pub(crate) struct Next {
    /// Events that were forgotten before they were read.
    pub(crate) missed: u64,
    pub(crate) records: Vec<Arc<Record>>,
}

impl Place {
    /// The last event that was passed.
    pub(crate) fn id(&self) -> EventId {
        EventId { epoch: self.journal.shared.epoch, number: self.last }
    }

    /// What is there now, at most so many events and, after the first, bytes.
    pub(crate) fn take(&mut self, filter: &Filter, events: usize, bytes: usize) -> Next {
        self.newest.mark_unchanged();
        let ring = self.journal.ring();
        let oldest = ring.oldest();
        let missed = oldest.saturating_sub(self.last + 1);
        let start = usize::try_from((self.last + 1).saturating_sub(oldest)).unwrap_or(usize::MAX);
        let (mut records, mut taken) = (Vec::new(), 0);
        self.last += missed;
        for record in ring.records.iter().skip(start) {
            if filter.takes(record) {
                if records.len() >= events || (!records.is_empty() && taken + record.text.len() > bytes) {
                    break;
                }
                taken += record.text.len();
                records.push(record.clone());
            }
            self.last = record.id.number;
        }
        Next { missed, records }
    }

    /// Waits until there may be something that was not passed.
    pub(crate) async fn changed(&mut self) {
        let last = self.last;
        // The sender lives in the journal, which this holds.
        let _ = self.newest.wait_for(|newest| *newest > last).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(events: usize, bytes: usize) -> (Journal, impl Fn(u64)) {
        let journal = Journal::with_limit(Epoch(7), events, bytes);
        let writer = journal.clone();
        let write = move |count| {
            for number in 0..count {
                writer.room_closed(&RoomName::new(format!("room-{}", number % 2)));
            }
        };
        (journal, write)
    }

    fn numbers(next: &Next) -> Vec<u64> {
        next.records.iter().map(|record| record.id.number).collect()
    }

    #[test]
    fn a_place_gets_everything_once_and_in_order_within_bounds() {
        let (journal, write) = journal(100, 100_000);
        let mut place = journal.end();
        write(10);
        let all = Filter::default();
        assert_eq!(numbers(&place.take(&all, 4, 100_000)), [1, 2, 3, 4]);
        assert_eq!(numbers(&place.take(&all, 100, 1)), [5]);
        assert_eq!(numbers(&place.take(&all, 100, 100_000)), [6, 7, 8, 9, 10]);
        assert!(numbers(&place.take(&all, 100, 100_000)).is_empty());
        let mut again = journal.behind(EventId::read("7-8").unwrap()).unwrap();
        assert_eq!(numbers(&again.take(&all, 100, 100_000)), [9, 10]);
    }

    #[test]
    fn what_was_forgotten_is_told_as_missed_and_resuming_there_is_refused() {
        let (journal, write) = journal(4, 100_000);
        let mut slow = journal.end();
        write(10);
        let next = slow.take(&Filter::default(), 100, 100_000);
        assert_eq!((next.missed, numbers(&next)), (6, vec![7, 8, 9, 10]));
        let behind = |text: &str| journal.behind(EventId::read(text).unwrap()).is_some();
        assert!(behind("7-6") && behind("7-10"));
        assert!(!behind("7-5") && !behind("7-11") && !behind("8-7"));
        let (journal, write) = super::tests::journal(1_000, 500);
        write(100);
        assert!(journal.ring().bytes <= 500 && journal.ring().records.len() > 2, "bytes are bounded, too");
    }

    #[test]
    fn a_filter_passes_over_what_is_not_wanted() {
        let (journal, write) = journal(100, 100_000);
        let mut place = journal.end();
        write(6);
        let filter = Filter { kinds: vec![EventKind::RoomClosed], room: Some(RoomName::new("room-1")) };
        assert_eq!(numbers(&place.take(&filter, 100, 100_000)), [2, 4, 6]);
        assert_eq!(place.id().number, 6);
        write(1);
        assert!(place.take(&Filter { kinds: vec![EventKind::Chat], room: None }, 9, 9).records.is_empty());
        assert_eq!(place.id().number, 7, "it need not look at those again");
    }

    #[test]
    fn names_of_types_are_those_on_the_wire() {
        for kind in EventKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            assert_eq!(EventKind::read(kind.name()), Some(kind));
        }
    }
}
