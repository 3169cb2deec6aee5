//! The requests of a session, remembered so that a repeated one is not carried out twice.
//!
//! Replies need not be: the outbox keeps each until its client has it, so the first one always comes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use patchbay_protocol::RequestId;

/// Requests that are remembered. Cost of raising: 40 bytes each.
const REQUESTS: usize = 256;

/// What was asked, and when.
type Pending = (&'static str, Instant);

/// The last requests, oldest first, and which of them have no reply yet.
#[derive(Debug, Default)]
pub(super) struct RequestLog {
    entries: VecDeque<(RequestId, Option<Pending>)>,
}

impl RequestLog {
    /// Takes a request's id. False if it was taken before.
    pub(super) fn take(&mut self, now: Instant, id: RequestId, kind: &'static str) -> bool {
        if self.entries.iter().any(|(known, _)| *known == id) {
            return false;
        }
        if self.entries.len() >= REQUESTS {
            self.entries.pop_front();
        }
        self.entries.push_back((id, Some((kind, now))));
        true
    }

    /// Notes that a request has its reply. Says what was asked, and how long the reply took.
    pub(super) fn answer(&mut self, now: Instant, id: RequestId) -> Option<(&'static str, Duration)> {
        let (_, pending) = self.entries.iter_mut().find(|(known, _)| *known == id)?;
        let (kind, since) = pending.take()?;
        Some((kind, now.saturating_duration_since(since)))
    }

    /// Whether a request has no reply yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.entries.iter().any(|(_, pending)| pending.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_once_and_answered_once() {
        let (mut log, start) = (RequestLog::default(), Instant::now());
        assert!(log.take(start, RequestId(1), "chat"));
        assert!(!log.take(start, RequestId(1), "chat"));
        assert!(log.is_waiting());
        let later = start + Duration::from_millis(20);
        assert_eq!(log.answer(later, RequestId(1)), Some(("chat", Duration::from_millis(20))));
        assert_eq!(log.answer(later, RequestId(1)), None);
        assert_eq!(log.answer(later, RequestId(2)), None);
        assert!(!log.is_waiting() && !log.take(later, RequestId(1), "chat"));
    }

    #[test]
    fn the_newest_are_remembered() {
        let (mut log, now) = (RequestLog::default(), Instant::now());
        (0..10_000).for_each(|id| assert!(log.take(now, RequestId(id), "chat")));
        assert_eq!(log.entries.len(), REQUESTS);
        assert!(!log.take(now, RequestId(9_999 - REQUESTS as u32 + 1), "chat"));
        assert!(log.take(now, RequestId(0), "chat"));
    }
}
