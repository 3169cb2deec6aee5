//! Streams that begin anew, so that their numbers can be used again (RFC 6525): what closing a data channel is (RFC 8831 §6.7).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::BufMut;

use crate::packet::{Builder, RE_CONFIG, half, parameters, put_parameter, word};
use crate::receive::Receiver;

const OUTGOING_RESET_REQUEST: u16 = 13;
const INCOMING_RESET_REQUEST: u16 = 14;
const RESPONSE: u16 = 16;
const ADD_OUTGOING_STREAMS: u16 = 17;
const ADD_INCOMING_STREAMS: u16 = 18;

/// Results (RFC 6525 §4.4).
const PERFORMED: u32 = 1;
const DENIED: u32 = 2;
const WRONG_NUMBER: u32 = 5;
const IN_PROGRESS: u32 = 6;

/// Streams in one request.
const MAX_STREAMS_AT_ONCE: usize = 256;
/// How long a request waits for its answer, at first and at most.
const FIRST_DELAY: Duration = Duration::from_millis(500);
const MAX_DELAY: Duration = Duration::from_secs(3);

/// A request of ours that has no answer.
#[derive(Debug)]
pub(crate) struct Request {
    number: u32,
    /// How often it had another number before.
    renumbered: u32,
    pub(crate) last_tsn: u32,
    pub(crate) streams: Vec<u16>,
    due: Option<Instant>,
    delay: Duration,
}

/// Requests of both ends.
#[derive(Debug)]
pub(crate) struct Resets {
    /// Number of our next request.
    next: u32,
    /// Number of the peer's next request, and what its last one came to.
    peer_next: u32,
    peer_result: u32,
    wanted: BTreeSet<u16>,
    current: Option<Request>,
    /// Answers that have not left.
    answers: Vec<(u32, u32)>,
    /// Streams that the peer has begun anew, since this was last asked; none named means all.
    performed: Vec<Vec<u16>>,
}

impl Resets {
    /// Both ends number their requests from their first TSN (RFC 6525 §5.1.1).
    pub(crate) fn new(own_tsn: u32, peer_tsn: u32) -> Self {
        Self {
            next: own_tsn,
            peer_next: peer_tsn,
            peer_result: PERFORMED,
            wanted: BTreeSet::new(),
            current: None,
            answers: Vec::new(),
            performed: Vec::new(),
        }
    }

    /// Whether a stream of ours is to begin anew, and the peer has not agreed yet.
    pub(crate) fn has(&self, stream: u16) -> bool {
        self.wanted.contains(&stream) || self.current.as_ref().is_some_and(|it| it.streams.contains(&stream))
    }

    /// A stream of ours is to begin anew.
    pub(crate) fn want(&mut self, stream: u16) {
        self.wanted.insert(stream);
    }

    /// Asks for what is wanted and `may` be asked for now, if nothing else is asked. Returns the streams: they begin anew with what
    /// is sent next.
    pub(crate) fn begin(&mut self, last_tsn: u32, may: impl Fn(u16) -> bool) -> &[u16] {
        if self.current.is_some() || self.wanted.is_empty() {
            return &[];
        }
        let streams: Vec<u16> =
            self.wanted.iter().copied().filter(|it| may(*it)).take(MAX_STREAMS_AT_ONCE).collect();
        if streams.is_empty() {
            return &[];
        }
        streams.iter().for_each(|it| {
            self.wanted.remove(it);
        });
        let (number, delay) = (self.next, FIRST_DELAY);
        let request = Request { number, renumbered: 0, last_tsn, streams, due: None, delay };
        self.next = self.next.wrapping_add(1);
        &self.current.insert(request).streams
    }

    /// A RE-CONFIG chunk. Returns the request of ours that it answers.
    pub(crate) fn handle(&mut self, value: &[u8], receiver: &mut Receiver) -> Option<Request> {
        let mut answered = None;
        for (kind, parameter) in parameters(value) {
            let Some(number) = word(parameter, 0) else { continue };
            match kind {
                OUTGOING_RESET_REQUEST => {
                    let Some(last_tsn) = word(parameter, 8) else { continue };
                    let ids = parameter.get(12..).unwrap_or_default().chunks_exact(2);
                    let streams: Vec<u16> = ids.filter_map(|it| half(it, 0)).collect();
                    if number == self.peer_next && !receiver.has_all_up_to(last_tsn) {
                        // Asked again, as it will be, it can be performed.
                        continue;
                    }
                    if self.is_next(number, PERFORMED) {
                        receiver.reset(&streams);
                        self.performed.push(streams);
                    }
                }
                INCOMING_RESET_REQUEST | ADD_OUTGOING_STREAMS | ADD_INCOMING_STREAMS => {
                    self.is_next(number, DENIED);
                }
                RESPONSE => answered = self.handle_response(number, word(parameter, 4)).or(answered),
                _ => {}
            }
        }
        answered
    }

    /// Streams that the peer has begun anew.
    pub(crate) fn take_performed(&mut self) -> Vec<Vec<u16>> {
        std::mem::take(&mut self.performed)
    }

    /// When something is to be sent again.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.current.as_ref().and_then(|it| it.due)
    }

    /// Whether something is to be sent.
    pub(crate) fn has_something(&self, now: Instant) -> bool {
        !self.answers.is_empty()
            || self.current.as_ref().is_some_and(|it| it.due.is_none_or(|due| due <= now))
    }

    /// Writes answers and the request that is due, a chunk each (RFC 6525 §3.1).
    pub(crate) fn write(&mut self, now: Instant, packet: &mut Builder) {
        for (number, result) in self.answers.drain(..) {
            packet.chunk(RE_CONFIG, 0, |bytes| {
                put_parameter(bytes, RESPONSE, |bytes| {
                    bytes.put_u32(number);
                    bytes.put_u32(result);
                });
            });
        }
        let Some(request) = self.current.as_mut().filter(|it| it.due.is_none_or(|due| due <= now)) else {
            return;
        };
        packet.chunk(RE_CONFIG, 0, |bytes| {
            put_parameter(bytes, OUTGOING_RESET_REQUEST, |bytes| {
                bytes.put_u32(request.number);
                bytes.put_u32(self.peer_next.wrapping_sub(1));
                bytes.put_u32(request.last_tsn);
                request.streams.iter().for_each(|it| bytes.put_u16(*it));
            });
        });
        request.due = Some(now + request.delay);
        request.delay = (2 * request.delay).min(MAX_DELAY);
    }

    /// Whether a request is the next one. An old one has the answer that it had.
    fn is_next(&mut self, number: u32, result: u32) -> bool {
        const MAX_ANSWERS: usize = 8;
        let is_next = number == self.peer_next;
        let answer = if is_next {
            self.peer_next = number.wrapping_add(1);
            self.peer_result = result;
            result
        } else if number == self.peer_next.wrapping_sub(1) {
            self.peer_result
        } else {
            WRONG_NUMBER
        };
        if self.answers.len() < MAX_ANSWERS {
            self.answers.push((number, answer));
        }
        is_next
    }

    fn handle_response(&mut self, number: u32, result: Option<u32>) -> Option<Request> {
        let request = self.current.as_mut()?;
        if result == Some(IN_PROGRESS) {
            // Asked again under a new number, when the peer has had time (RFC 6525 §5.2.7).
            if request.number == number {
                (request.number, request.renumbered) = (self.next, request.renumbered + 1);
                self.next = self.next.wrapping_add(1);
            }
            return None;
        }
        // What was in progress may be answered once more under its old number, and is done then.
        self.current.take_if(|it| it.number.wrapping_sub(number) <= it.renumbered)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::packet::{Header, parse};

    /// The number under which a request is sent, if one is due.
    fn sent(resets: &mut Resets, now: Instant) -> Option<u32> {
        let mut packet = Builder::new(Header { source_port: 1, destination_port: 2, tag: 3 });
        resets.write(now, &mut packet);
        let packet = packet.finish();
        let (_, mut chunks) = parse(&packet)?;
        parameters(chunks.next()?.value).find_map(|(_, it)| word(it, 0))
    }

    fn answer(resets: &mut Resets, number: u32, result: u32) -> Option<Vec<u16>> {
        let mut value = BytesMut::new();
        put_parameter(&mut value, RESPONSE, |bytes| {
            bytes.put_u32(number);
            bytes.put_u32(result);
        });
        resets.handle(&value, &mut Receiver::new(1, 1_000, 1_000, 10)).map(|it| it.streams)
    }

    #[test]
    fn what_was_in_progress_may_be_answered_under_its_old_number() {
        for numbers in [u32::MAX - 1, 7] {
            let mut now = Instant::now();
            let mut resets = Resets::new(numbers, 1);
            resets.want(5);
            assert_eq!(resets.begin(1, |_| true), [5]);
            assert_eq!(sent(&mut resets, now), Some(numbers));
            for number in 1..4 {
                assert_eq!(answer(&mut resets, numbers.wrapping_add(number - 1), IN_PROGRESS), None);
                assert_eq!(answer(&mut resets, numbers.wrapping_add(number - 1), IN_PROGRESS), None, "again");
                assert_eq!(sent(&mut resets, now), None, "the peer needs time");
                now += MAX_DELAY;
                assert_eq!(sent(&mut resets, now), Some(numbers.wrapping_add(number)));
            }
            assert!(resets.has(5));
            assert_eq!(answer(&mut resets, numbers.wrapping_sub(1), PERFORMED), None, "an older request");
            assert_eq!(
                answer(&mut resets, numbers.wrapping_add(4), PERFORMED),
                None,
                "one that there is not"
            );
            assert_eq!(answer(&mut resets, numbers.wrapping_add(1), PERFORMED), Some(vec![5]));
            assert!(!resets.has(5) && resets.deadline().is_none());
        }
    }
}
