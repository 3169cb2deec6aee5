//! The messages of a session: what waits to be written, and what was written and not yet acknowledged.
//!
//! Numbers run from 1 without gaps. What is kept is a contiguous run of them up to the newest, so that a later connection
//! gets exactly what the earlier one missed.

use std::collections::VecDeque;

use super::Body;

/// What a message costs besides its text.
const OVERHEAD: usize = 64;
/// Places that an emptied outbox keeps, so that a burst is no lasting cost.
const SPARE: usize = 16;

/// Bounds of one outbox.
#[derive(Debug, Clone, Copy)]
pub struct OutboxLimit {
    /// Messages that are kept until they are acknowledged; the oldest that were written go first. A connection on which
    /// half as many wait to be written is cut off. Cost of raising: memory per slow or silent client.
    pub messages: usize,
    /// The same in bytes. Half of it must hold a join reply of a full room with full metadata.
    pub bytes: usize,
}

impl Default for OutboxLimit {
    fn default() -> Self {
        Self { messages: 4_096, bytes: 16 * 1024 * 1024 }
    }
}

/// What a message found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// Room.
    Kept,
    /// Room, but so much waits to be written that the connection is too slow.
    TooSlow,
    /// No room, as nothing could be forgotten that was written: the numbering would break.
    Lost,
}

/// Why a connection can't go on from where its client stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Gap {
    /// The client has acknowledged more than that: somebody speaks for an older state of it.
    Stale,
    /// There was no such number.
    Ahead,
    /// What comes next is not kept any more.
    Forgotten,
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// The newest messages, up to number `last_seq`.
    kept: VecDeque<Body>,
    bytes: usize,
    waiting_bytes: usize,
    last_seq: u64,
    /// The newest that was handed to a connection.
    written: u64,
    acked: u64,
    /// What waited when the last connection came, in messages and bytes: nobody is slow for having been away.
    backlog: (u64, usize),
}

impl Outbox {
    /// What the client has acknowledged.
    pub(super) fn acked(&self) -> u64 {
        self.acked
    }

    /// Takes a message in.
    pub(super) fn push(&mut self, body: Body, limit: OutboxLimit) -> Pushed {
        let bytes = cost(&body);
        while !self.kept.is_empty() && (self.kept.len() >= limit.messages || self.bytes + bytes > limit.bytes)
        {
            if self.first() > self.written {
                return Pushed::Lost;
            }
            self.forget_first();
        }
        self.last_seq += 1;
        self.bytes += bytes;
        self.waiting_bytes += bytes;
        self.kept.push_back(body);
        let waiting = self.last_seq - self.written;
        let messages = limit.messages as u64;
        let is_slow = waiting > 1
            && (waiting > (messages / 2).max(self.backlog.0 + messages / 4)
                || self.waiting_bytes > (limit.bytes / 2).max(self.backlog.1 + limit.bytes / 4));
        if is_slow { Pushed::TooSlow } else { Pushed::Kept }
    }

    /// The next message to write, with its number.
    pub(super) fn next(&mut self) -> Option<(u64, Body)> {
        let index = usize::try_from((self.written + 1).checked_sub(self.first())?).ok()?;
        let body = self.kept.get(index)?.clone();
        self.written += 1;
        self.waiting_bytes -= cost(&body);
        if self.written == self.last_seq {
            self.backlog = (0, 0);
        }
        Some((self.written, body))
    }

    /// Forgets what the client has. A number that was not written yet counts as far as was.
    pub(super) fn ack(&mut self, seq: u64) {
        self.acked = self.acked.max(seq.min(self.written));
        while !self.kept.is_empty() && self.first() <= self.acked {
            self.forget_first();
        }
        if self.kept.is_empty() && self.kept.capacity() > 4 * SPARE {
            self.kept.shrink_to(SPARE);
        }
    }

    /// Goes on behind the last message that the client has. Says how many come again.
    pub(super) fn rewind(&mut self, last_seq: u64) -> Result<u64, Gap> {
        if last_seq < self.acked {
            return Err(Gap::Stale);
        }
        if last_seq > self.last_seq {
            return Err(Gap::Ahead);
        }
        if last_seq + 1 < self.first() {
            return Err(Gap::Forgotten);
        }
        let again = self.written.saturating_sub(last_seq);
        self.written = last_seq;
        self.ack(last_seq);
        self.waiting_bytes = self.kept.iter().map(cost).sum();
        self.backlog = (self.last_seq - self.written, self.waiting_bytes);
        Ok(again)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.kept = VecDeque::new();
        (self.bytes, self.waiting_bytes) = (0, 0);
        self.written = self.last_seq;
    }

    /// The number of the oldest message that is kept, or of the next to come.
    fn first(&self) -> u64 {
        self.last_seq + 1 - self.kept.len() as u64
    }

    fn forget_first(&mut self) {
        let Some(body) = self.kept.pop_front() else { return };
        self.bytes -= cost(&body);
    }
}

fn cost(body: &Body) -> usize {
    body.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: OutboxLimit = OutboxLimit { messages: 8, bytes: 4_096 };

    fn body(text: &str) -> Body {
        Body::event(&serde_json::json!({ "text": text }))
    }

    fn drain(outbox: &mut Outbox) -> Vec<u64> {
        std::iter::from_fn(|| outbox.next()).map(|(seq, _)| seq).collect()
    }

    #[test]
    fn what_was_missed_comes_again_once_and_in_order() {
        let mut outbox = Outbox::default();
        for text in ["a", "b", "c", "d"] {
            assert_eq!(outbox.push(body(text), LIMIT), Pushed::Kept);
        }
        assert_eq!(drain(&mut outbox), [1, 2, 3, 4]);
        assert_eq!(outbox.rewind(2), Ok(2));
        assert_eq!(
            outbox.next().map(|(seq, body)| body.numbered(seq)),
            Some(r#"{"seq":3,"text":"c"}"#.into())
        );
        outbox.push(body("e"), LIMIT);
        assert_eq!(drain(&mut outbox), [4, 5]);
        assert_eq!(outbox.rewind(1), Err(Gap::Stale));
        assert_eq!(outbox.rewind(6), Err(Gap::Ahead));
        assert_eq!(outbox.rewind(5), Ok(0));
        assert_eq!(drain(&mut outbox), [0; 0]);
        assert_eq!((outbox.bytes, outbox.waiting_bytes, outbox.kept.len()), (0, 0, 0));
    }

    #[test]
    fn nothing_written_is_acknowledged_by_a_number_from_nowhere() {
        let mut outbox = Outbox::default();
        outbox.push(body("a"), LIMIT);
        outbox.push(body("b"), LIMIT);
        outbox.ack(u64::MAX);
        assert_eq!(drain(&mut outbox), [1, 2]);
        outbox.ack(1);
        assert_eq!(outbox.rewind(1), Ok(1));
        assert_eq!(drain(&mut outbox), [2]);
    }

    #[test]
    fn who_never_acknowledges_is_served_but_cannot_go_far_back() {
        let mut outbox = Outbox::default();
        for round in 1..=100 {
            assert_eq!(outbox.push(body("x"), LIMIT), Pushed::Kept);
            assert_eq!(drain(&mut outbox), [round]);
        }
        assert_eq!(outbox.kept.len(), LIMIT.messages);
        assert_eq!(outbox.rewind(91), Err(Gap::Forgotten));
        assert_eq!(outbox.rewind(92), Ok(8));
        assert_eq!(drain(&mut outbox).len(), 8);
    }

    #[test]
    fn who_reads_nothing_is_slow_at_half_and_lost_at_the_whole() {
        let mut outbox = Outbox::default();
        let pushed: Vec<Pushed> = (0..9).map(|_| outbox.push(body("x"), LIMIT)).collect();
        assert!(pushed.iter().take(4).all(|it| *it == Pushed::Kept));
        assert!(pushed.iter().skip(4).take(4).all(|it| *it == Pushed::TooSlow));
        assert_eq!(pushed.last(), Some(&Pushed::Lost));
        assert_eq!(outbox.rewind(0), Ok(0), "until something is lost all can be had");

        let mut outbox = Outbox::default();
        for _ in 0..5 {
            outbox.push(body("x"), LIMIT);
        }
        outbox.rewind(0).unwrap();
        assert_eq!(outbox.push(body("x"), LIMIT), Pushed::Kept, "who was away has time to catch up");
        assert_eq!(drain(&mut outbox).len(), 6);
        assert!((0..4).all(|_| outbox.push(body("x"), LIMIT) == Pushed::Kept));
        assert_eq!(outbox.push(body("x"), LIMIT), Pushed::TooSlow, "and then none more than others");

        let mut outbox = Outbox::default();
        assert_eq!(outbox.push(body(&"x".repeat(10_000)), LIMIT), Pushed::Kept, "one is never too much");
        assert_eq!(outbox.push(body("y"), LIMIT), Pushed::Lost);
    }

    #[test]
    fn a_burst_leaves_no_memory_behind() {
        let limit = OutboxLimit::default();
        let mut outbox = Outbox::default();
        for _ in 0..4_000 {
            outbox.push(body("x"), limit);
        }
        drain(&mut outbox);
        outbox.ack(4_000);
        assert!(outbox.kept.capacity() <= 4 * SPARE);
    }
}
