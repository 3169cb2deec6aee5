//! Chat: lines with numbers, the history of the room, and what waits for the store.
//!
//! At least once, and shown once: a client that got no `chatted` sends the line again with its `message_id`, and a
//! line that this identity sent before is answered with what it became. With a store, `chatted` and the event come once
//! the line is on the disk, in the order in which lines came.

use std::collections::VecDeque;
use std::time::Duration;

use patchbay_protocol::{
    ChatLine, ErrorCode, ParticipantNumber, ProtocolError, Reply, RequestId, ServerEvent, limit,
};
use serde::{Deserialize, Serialize};

use super::rpc::Caller;
use super::{MemberId, Moment, Output, Room, Ticket};
use crate::store::{HistoryLimit, Kept, StoreError, StoreWrite, Written};

/// Lines that may wait for the store. Cost of raising: a longer wait for "overloaded" when a disk is slow.
const WAITING: usize = 64;
/// Requests that may wait for one line: the first, and its repetitions.
const ASKERS: usize = 8;
/// Bytes of a line besides its texts.
const LINE_OVERHEAD: usize = 64;

/// What a room knows of its chat.
#[derive(Debug, Default)]
pub(super) struct Chat {
    pub(super) history: History,
    /// Lines on their way to the disk, in order.
    waiting: VecDeque<WaitingLine>,
}

/// Lines that everybody was told of.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct History {
    lines: VecDeque<ChatLine>,
    bytes: usize,
    /// The highest number so far.
    last_number: u64,
}

#[derive(Debug)]
struct WaitingLine {
    ticket: Ticket,
    line: ChatLine,
    askers: Vec<Caller>,
}

/// Who says a line. Number 0 is the server.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) number: ParticipantNumber,
    pub(super) identity: String,
    pub(super) name: String,
}

impl Chat {
    /// A member is out. What it asked and got no answer to is returned; its lines go on to the others.
    pub(super) fn forget(&mut self, member: MemberId) -> Vec<RequestId> {
        let mut asked = Vec::new();
        for waiting in &mut self.waiting {
            waiting.askers.retain(|asker| match *asker {
                Caller::Member(asker, id) if asker == member => {
                    asked.push(id);
                    false
                }
                _ => true,
            });
        }
        asked
    }
}

impl History {
    /// The newest lines, in ascending order.
    pub(super) fn newest(&self, count: usize) -> Vec<ChatLine> {
        self.before(u64::MAX, count).0
    }

    /// Lines below a number, in ascending order, and whether there are older ones.
    fn before(&self, number: u64, count: usize) -> (Vec<ChatLine>, bool) {
        let end = self.lines.partition_point(|line| line.number < number);
        let start = end.saturating_sub(count);
        (self.lines.range(start..end).cloned().collect(), start > 0)
    }

    fn push(&mut self, line: ChatLine, limit: HistoryLimit) {
        self.last_number = self.last_number.max(line.number);
        self.bytes += bytes(&line);
        self.lines.push_back(line);
        while self.lines.len() > 1 && (self.lines.len() > limit.lines || self.bytes > limit.bytes) {
            if let Some(oldest) = self.lines.pop_front() {
                self.bytes -= bytes(&oldest);
            }
        }
    }

    fn find(&self, identity: &str, message_id: &str) -> Option<&ChatLine> {
        self.lines.iter().rev().find(|line| is_same(line, identity, message_id))
    }
}

fn bytes(line: &ChatLine) -> usize {
    let id = line.message_id.as_ref().map_or(0, String::len);
    LINE_OVERHEAD + line.identity.len() + line.name.len() + line.text.len() + id
}

fn is_same(line: &ChatLine, identity: &str, message_id: &str) -> bool {
    line.identity == identity && line.message_id.as_deref() == Some(message_id)
}

impl Room {
    /// What the store holds: chat that was written before the room was opened, and bans.
    pub(super) fn restore(&mut self, kept: Kept) {
        self.bans.extend(kept.bans);
        let history = &mut self.chat.history;
        if !kept.lines.is_empty() {
            *history = History::default();
            for line in kept.lines {
                history.push(line, self.config.history);
            }
        }
        history.last_number = history.last_number.max(kept.next_number.saturating_sub(1));
    }

    pub(super) fn handle_chat(
        &mut self,
        now: Moment,
        member: MemberId,
        id: RequestId,
        text: String,
        message_id: Option<String>,
    ) {
        let Some(entry) = self.members.get(&member) else { return };
        let writer =
            Writer { number: entry.number, identity: entry.identity.clone(), name: entry.name.clone() };
        self.say(now, Caller::Member(member, id), writer, text, message_id);
    }

    /// Takes a line in, of a member or of the server.
    pub(super) fn say(
        &mut self,
        now: Moment,
        caller: Caller,
        writer: Writer,
        text: String,
        message_id: Option<String>,
    ) {
        let invalid = |message: &str| Err(ProtocolError::new(ErrorCode::InvalidArgument, message));
        if text.is_empty() || text.len() > limit::CHAT_BYTES {
            return self.answer(caller, invalid("a chat line is 1 to 4096 bytes of text"));
        }
        if let Some(message_id) = &message_id {
            if !limit::is_plain_text(message_id, limit::MESSAGE_ID_BYTES) {
                let message = "a message_id is 1 to 64 bytes of text without control characters";
                return self.answer(caller, invalid(message));
            }
            if let Some(line) = self.chat.history.find(&writer.identity, message_id) {
                let line = line.clone();
                return self.answer(caller, Ok(Reply::Chatted { line }));
            }
            let mut waiting = self.chat.waiting.iter_mut();
            if let Some(first) = waiting.find(|first| is_same(&first.line, &writer.identity, message_id)) {
                if first.askers.len() < ASKERS {
                    return first.askers.push(caller);
                }
                return self.answer(caller, Err(busy()));
            }
        }
        let line = ChatLine {
            number: self.chat.history.last_number + 1,
            participant: writer.number,
            identity: writer.identity,
            name: writer.name,
            text,
            sent_at_ms: now.unix_ms,
            message_id,
        };
        if self.chat.waiting.len() >= WAITING {
            return self.answer(caller, Err(busy()));
        }
        if let Caller::Member(member, _) = caller
            && self.set_typing(now, member, false)
        {
            self.tell_presence(now, member);
        }
        let askers = vec![caller];
        if !self.config.is_kept {
            return self.tell_line(line, askers);
        }
        let ticket = self.mint_ticket();
        self.chat.waiting.push_back(WaitingLine { ticket, line: line.clone(), askers });
        self.outputs.push_back(Output::Store { ticket, write: StoreWrite::Line(line) });
    }

    /// The store has written something, or could not.
    pub(super) fn handle_stored(&mut self, ticket: Ticket, result: Written) {
        if let Some(caller) = self.ban_writes.remove(&ticket) {
            return self.answer(caller, result.map(|_| Reply::Done {}).map_err(store_error));
        }
        let Some(index) = self.chat.waiting.iter().position(|waiting| waiting.ticket == ticket) else {
            return;
        };
        let Some(WaitingLine { line, askers, .. }) = self.chat.waiting.remove(index) else { return };
        match result {
            Ok(number) => self.tell_line(ChatLine { number, ..line }, askers),
            Err(error) => {
                for caller in askers {
                    self.answer(caller, Err(store_error(error)));
                }
            }
        }
    }

    fn tell_line(&mut self, line: ChatLine, askers: Vec<Caller>) {
        self.chat.history.push(line.clone(), self.config.history);
        for caller in askers {
            self.answer(caller, Ok(Reply::Chatted { line: line.clone() }));
        }
        self.broadcast(None, ServerEvent::Chat { line });
    }

    pub(super) fn handle_chat_history(
        &mut self,
        member: MemberId,
        id: RequestId,
        before: Option<u64>,
        count: Option<u32>,
    ) {
        let result = self.history(before, count);
        self.reply(member, id, result);
    }

    pub(super) fn history(&self, before: Option<u64>, count: Option<u32>) -> Result<Reply, ProtocolError> {
        let count = count.map_or(limit::CHAT_LINES, |count| usize::try_from(count).unwrap_or(usize::MAX));
        if count == 0 || count > limit::CHAT_LINES {
            let message = "1 to 50 lines can be asked for at a time";
            return Err(ProtocolError::new(ErrorCode::InvalidArgument, message));
        }
        let (lines, more) = self.chat.history.before(before.unwrap_or(u64::MAX), count);
        Ok(Reply::History { lines, more })
    }
}

fn busy() -> ProtocolError {
    store_error(StoreError::Busy)
}

/// What a client is told of a write that was refused.
fn store_error(error: StoreError) -> ProtocolError {
    match error {
        StoreError::Busy => ProtocolError::new(ErrorCode::Overloaded, "the server's disk is slow; try again")
            .retry_after(Duration::from_secs(1)),
        StoreError::Full => ProtocolError::new(ErrorCode::Overloaded, "the server keeps as much as it may"),
        StoreError::Unavailable => {
            ProtocolError::new(ErrorCode::Internal, "this can't be kept just now; the server's log says why")
        }
    }
}
