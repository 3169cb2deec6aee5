//! The requests of a session and their replies, kept so that a repeated request is not carried out twice.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use patchbay_protocol::RequestId;

use super::Body;

/// Requests that are remembered. Cost of raising: 32 bytes each, and a reply while it is not acknowledged.
const REQUESTS: usize = 256;
/// Bytes of replies that are remembered; a join's reply in a large room, or an answer with many sections, is 100 KB. Cost
/// of raising: as much memory for every client that negotiates without end and acknowledges nothing.
const BYTES: usize = 1024 * 1024;

/// What a repeated request id means.
#[derive(Debug)]
pub(super) enum Seen {
    /// Nothing: the id is new, and is taken now.
    New,
    /// Answered with this reply, under this number.
    Answered(u64, Body),
    /// Still being worked on, or answered and acknowledged: there is nothing to say.
    Known,
}

#[derive(Debug)]
enum Answer {
    /// Not yet; what was asked, and when.
    Pending(&'static str, Instant),
    Given(u64, Body),
    Acknowledged,
}

/// The last requests and what was replied, oldest first.
#[derive(Debug, Default)]
pub(super) struct ReplyLog {
    entries: VecDeque<(RequestId, Answer)>,
    bytes: usize,
}

impl ReplyLog {
    /// Takes a request's id.
    pub(super) fn take(&mut self, now: Instant, id: RequestId, kind: &'static str) -> Seen {
        if let Some((_, answer)) = self.entries.iter().find(|(known, _)| *known == id) {
            return match answer {
                Answer::Given(seq, body) => Seen::Answered(*seq, body.clone()),
                Answer::Pending(..) | Answer::Acknowledged => Seen::Known,
            };
        }
        if self.entries.len() >= REQUESTS {
            self.forget(0);
        }
        self.entries.push_back((id, Answer::Pending(kind, now)));
        Seen::New
    }

    /// Keeps the reply to a request, and forgets older ones as far as room is needed. Says what was asked, and how long
    /// the reply took.
    pub(super) fn keep(
        &mut self,
        now: Instant,
        id: RequestId,
        seq: u64,
        reply: &Body,
    ) -> Option<(&'static str, Duration)> {
        let entry = self.entries.iter_mut().find(|(known, _)| *known == id)?;
        self.bytes += reply.len();
        let Answer::Pending(kind, since) = std::mem::replace(&mut entry.1, Answer::Given(seq, reply.clone()))
        else {
            return None;
        };
        self.forget_beyond(id);
        Some((kind, now.saturating_duration_since(since)))
    }

    /// Forgets the oldest replies until there is room, but not the one to this request.
    fn forget_beyond(&mut self, id: RequestId) {
        while self.bytes > BYTES {
            let is_given = |answer: &Answer| matches!(answer, Answer::Given(..));
            let oldest = self.entries.iter().position(|(known, answer)| *known != id && is_given(answer));
            let Some(oldest) = oldest else { return };
            self.forget(oldest);
        }
    }

    /// The client has replies up to a number, and won't ask for them again. That they were given is remembered.
    pub(super) fn ack(&mut self, acked: u64) {
        for (_, answer) in &mut self.entries {
            if let Answer::Given(seq, body) = answer
                && *seq <= acked
            {
                self.bytes -= body.len();
                *answer = Answer::Acknowledged;
            }
        }
    }

    /// Whether a request has no reply yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.entries.iter().any(|(_, answer)| matches!(answer, Answer::Pending(..)))
    }

    fn forget(&mut self, index: usize) {
        if let Some((_, Answer::Given(_, reply))) = self.entries.remove(index) {
            self.bytes -= reply.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(bytes: usize) -> Body {
        Body::event(&"x".repeat(bytes))
    }

    fn take(log: &mut ReplyLog, id: RequestId) -> Seen {
        log.take(Instant::now(), id, "chat")
    }

    #[test]
    fn a_repeat_gets_the_first_reply() {
        let mut log = ReplyLog::default();
        assert!(matches!(take(&mut log, RequestId(1)), Seen::New));
        assert!(matches!(take(&mut log, RequestId(1)), Seen::Known));
        log.keep(Instant::now(), RequestId(1), 7, &body(10));
        let Seen::Answered(7, reply) = take(&mut log, RequestId(1)) else { panic!("it was answered") };
        assert_eq!(reply.len(), 12);
        log.ack(6);
        assert!(matches!(take(&mut log, RequestId(1)), Seen::Answered(..)));
        log.ack(7);
        assert!(
            matches!(take(&mut log, RequestId(1)), Seen::Known),
            "an acknowledged one is still not done twice"
        );
        assert_eq!(log.bytes, 0);
    }

    #[test]
    fn neither_many_nor_large_replies_pile_up() {
        let mut log = ReplyLog::default();
        for id in 0..10_000 {
            assert!(matches!(take(&mut log, RequestId(id)), Seen::New));
            log.keep(Instant::now(), RequestId(id), u64::from(id), &body(100_000));
            assert!(log.bytes <= BYTES && log.entries.len() <= REQUESTS);
        }
        assert!(matches!(take(&mut log, RequestId(9_999)), Seen::Answered(..)), "the newest is kept");
        let given = log.entries.iter().filter_map(|(_, answer)| match answer {
            Answer::Given(_, body) => Some(body.len()),
            _ => None,
        });
        assert_eq!(log.bytes, given.sum::<usize>());
    }

    #[test]
    fn one_reply_over_the_bound_is_kept_until_the_next() {
        let mut log = ReplyLog::default();
        take(&mut log, RequestId(1));
        log.keep(Instant::now(), RequestId(1), 1, &body(2 * BYTES));
        assert!(matches!(take(&mut log, RequestId(1)), Seen::Answered(..)));
        take(&mut log, RequestId(2));
        log.keep(Instant::now(), RequestId(2), 2, &body(10));
        assert!(matches!(take(&mut log, RequestId(1)), Seen::New));
    }
}
