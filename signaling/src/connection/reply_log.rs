//! The replies of a session, kept so that a repeated request gets the first one.

use std::collections::VecDeque;

use patchbay_protocol::RequestId;

use super::session::{Body, Seen};

/// Requests that are remembered. Cost of raising: one reply each, mostly 50 bytes.
const REQUESTS: usize = 256;
/// Bytes of replies that are remembered; a join's reply in a large room, or an answer with many sections, is 100 KB. Cost
/// of raising: as much memory for every client that negotiates without end.
const BYTES: usize = 1024 * 1024;

/// The last requests and what was replied, oldest first.
#[derive(Debug, Default)]
pub(super) struct ReplyLog {
    entries: VecDeque<(RequestId, Option<Body>)>,
    bytes: usize,
}

impl ReplyLog {
    /// Takes a request's id. With [`Seen::Answered`] comes the reply to repeat.
    pub(super) fn take(&mut self, id: RequestId) -> (Seen, Option<Body>) {
        if let Some((_, reply)) = self.entries.iter().find(|(known, _)| *known == id) {
            return match reply {
                Some(body) => (Seen::Answered, Some(body.clone())),
                None => (Seen::Pending, None),
            };
        }
        if self.entries.len() >= REQUESTS {
            self.forget(0);
        }
        self.entries.push_back((id, None));
        (Seen::New, None)
    }

    /// Keeps the reply to a request, and forgets older ones as far as room is needed.
    pub(super) fn keep(&mut self, id: RequestId, reply: &Body) {
        let Some(entry) = self.entries.iter_mut().find(|(known, _)| *known == id) else { return };
        self.bytes += reply.len();
        entry.1 = Some(reply.clone());
        while self.bytes > BYTES {
            let oldest = self.entries.iter().position(|(known, reply)| *known != id && reply.is_some());
            let Some(oldest) = oldest else { return };
            self.forget(oldest);
        }
    }

    fn forget(&mut self, index: usize) {
        if let Some((_, Some(reply))) = self.entries.remove(index) {
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

    #[test]
    fn a_repeat_gets_the_first_reply() {
        let mut log = ReplyLog::default();
        assert_eq!(log.take(RequestId(1)).0, Seen::New);
        assert_eq!(log.take(RequestId(1)).0, Seen::Pending);
        log.keep(RequestId(1), &body(10));
        let (seen, reply) = log.take(RequestId(1));
        assert_eq!((seen, reply.map(|reply| reply.len())), (Seen::Answered, Some(12)));
    }

    #[test]
    fn neither_many_nor_large_replies_pile_up() {
        let mut log = ReplyLog::default();
        for id in 0..10_000 {
            assert_eq!(log.take(RequestId(id)).0, Seen::New);
            log.keep(RequestId(id), &body(100_000));
            assert!(log.bytes <= BYTES && log.entries.len() <= REQUESTS);
        }
        assert_eq!(log.take(RequestId(9_999)).0, Seen::Answered, "the newest is kept");
        let kept: usize = log.entries.iter().filter_map(|(_, reply)| reply.as_ref()).map(Body::len).sum();
        assert_eq!(log.bytes, kept);
    }

    #[test]
    fn one_reply_over_the_bound_is_kept_until_the_next() {
        let mut log = ReplyLog::default();
        log.take(RequestId(1));
        log.keep(RequestId(1), &body(2 * BYTES));
        assert_eq!(log.take(RequestId(1)).0, Seen::Answered);
        log.take(RequestId(2));
        log.keep(RequestId(2), &body(10));
        assert_eq!(log.take(RequestId(1)).0, Seen::New);
    }
}
