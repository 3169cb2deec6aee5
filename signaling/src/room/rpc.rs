//! Calls between participants, and from the server's API into the room.
//!
//! A call goes through the room: it is bounded, it ends in time whatever the callee does, and it ends at once if the callee
//! leaves. The room never looks into what is said.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use patchbay_protocol::{ErrorCode, ParticipantNumber, ProtocolError, Reply, RequestId, ServerEvent, limit};

use super::{Due, MemberId, Moment, Room};

/// Calls of one caller that may wait for their answers. Cost of raising: up to 15 KiB each in the callee's outbox.
const CALLS_OUT: usize = 32;
/// Calls that may wait for one callee, whoever calls.
const CALLS_IN: usize = 256;

/// A call of the server's API, as the API names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ServerCall(pub(crate) u64);

/// Who called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    Member(MemberId, RequestId),
    Server(ServerCall),
}

/// A call that waits for its answer.
#[derive(Debug)]
struct Call {
    caller: Caller,
    callee: MemberId,
    due: Instant,
}

/// All calls of a room that wait.
#[derive(Debug, Default)]
pub(super) struct Calls {
    waiting: BTreeMap<u64, Call>,
    last: u64,
}

impl Calls {
    fn of_caller(&self, caller: Caller) -> usize {
        let is_of = |call: &&Call| match (call.caller, caller) {
            (Caller::Member(one, _), Caller::Member(other, _)) => one == other,
            (Caller::Server(_), Caller::Server(_)) => true,
            _ => false,
        };
        self.waiting.values().filter(is_of).count()
    }

    fn of_callee(&self, member: MemberId) -> usize {
        self.waiting.values().filter(|call| call.callee == member).count()
    }
}

impl Room {
    #[expect(clippy::too_many_arguments, reason = "the fields of one message")]
    pub(super) fn handle_rpc(
        &mut self,
        now: Moment,
        member: MemberId,
        id: RequestId,
        to: ParticipantNumber,
        method: String,
        payload: String,
        timeout_ms: Option<u32>,
    ) {
        let Some(entry) = self.members.get(&member) else { return };
        let from = entry.number;
        let caller = Caller::Member(member, id);
        if let Err(error) = self.call(now, caller, Some(from), to, method, payload, timeout_ms) {
            self.reply(member, id, Err(error));
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one message")]
    pub(super) fn call(
        &mut self,
        now: Moment,
        caller: Caller,
        from: Option<ParticipantNumber>,
        to: ParticipantNumber,
        method: String,
        payload: String,
        timeout_ms: Option<u32>,
    ) -> Result<(), ProtocolError> {
        let refuse = |code, message: &str| Err(ProtocolError::new(code, message));
        if !limit::is_plain_text(&method, limit::RPC_METHOD_BYTES) {
            let message = "a method is 1 to 64 bytes of text without control characters";
            return refuse(ErrorCode::InvalidArgument, message);
        }
        if payload.len() > limit::RPC_BYTES {
            return refuse(ErrorCode::InvalidArgument, "a payload is at most 15 KiB");
        }
        let wait = timeout_ms.map_or(limit::RPC_TIMEOUT, |ms| Duration::from_millis(ms.into()));
        if wait.is_zero() || wait > limit::RPC_LONGEST_TIMEOUT {
            return refuse(ErrorCode::InvalidArgument, "a call waits 1 to 60,000 ms");
        }
        let Some((callee, _)) = self.visible(to) else {
            return refuse(ErrorCode::UnknownParticipant, "no such participant in this room");
        };
        if self.calls.of_caller(caller) >= CALLS_OUT {
            return refuse(ErrorCode::TooMany, "too many calls wait for their answers");
        }
        if self.calls.of_callee(callee) >= CALLS_IN {
            return refuse(ErrorCode::TooMany, "too many calls wait for this participant");
        }
        self.calls.last += 1;
        let call = self.calls.last;
        let due = now.at + wait;
        self.calls.waiting.insert(call, Call { caller, callee, due });
        self.deadlines.insert((due, Due::Call(call)));
        let timeout_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        self.event_to(callee, ServerEvent::RpcRequest { call, from, method, payload, timeout_ms });
        Ok(())
    }

    pub(super) fn handle_rpc_reply(
        &mut self,
        member: MemberId,
        id: RequestId,
        call: u64,
        payload: Option<String>,
        error: Option<String>,
    ) {
        let result = match (payload, error) {
            (Some(payload), None) if payload.len() <= limit::RPC_BYTES => Ok(payload),
            (None, Some(error)) if error.len() <= limit::RPC_ERROR_BYTES => {
                Err(ProtocolError::new(ErrorCode::RpcFailed, error))
            }
            (Some(_), None) | (None, Some(_)) => {
                let message = "a payload is at most 15 KiB, an error at most 512 bytes";
                return self.refuse(member, id, ErrorCode::InvalidArgument, message);
            }
            _ => {
                let message = "an answer is a payload or an error";
                return self.refuse(member, id, ErrorCode::InvalidArgument, message);
            }
        };
        if self.calls.waiting.get(&call).is_none_or(|waiting| waiting.callee != member) {
            return self.refuse(
                member,
                id,
                ErrorCode::UnknownCall,
                "no such call waits; it was too late, perhaps",
            );
        }
        self.reply(member, id, Ok(Reply::Done {}));
        self.end_call(call, result);
    }

    /// The callee did not answer in time.
    pub(super) fn expire_call(&mut self, call: u64) {
        self.end_call(
            call,
            Err(ProtocolError::new(ErrorCode::RpcTimeout, "the method was not answered in time")),
        );
    }

    fn end_call(&mut self, call: u64, result: Result<String, ProtocolError>) {
        let Some(ended) = self.calls.waiting.remove(&call) else { return };
        self.deadlines.remove(&(ended.due, Due::Call(call)));
        self.answer(ended.caller, result.map(|payload| Reply::RpcDone { payload }));
    }

    /// A member is out: calls to it fail, and nobody waits for answers to its own, whose requests are returned.
    pub(super) fn end_calls_of(&mut self, member: MemberId) -> Vec<RequestId> {
        let mut asked = Vec::new();
        let mut failed = Vec::new();
        for (number, call) in &self.calls.waiting {
            match call.caller {
                Caller::Member(caller, id) if caller == member => asked.push((*number, id)),
                _ if call.callee == member => failed.push(*number),
                _ => {}
            }
        }
        for call in failed {
            let error = ProtocolError::new(ErrorCode::RpcFailed, "the participant left before it answered");
            self.end_call(call, Err(error));
        }
        for (number, _) in &asked {
            if let Some(call) = self.calls.waiting.remove(number) {
                self.deadlines.remove(&(call.due, Due::Call(*number)));
            }
        }
        asked.into_iter().map(|(_, id)| id).collect()
    }
}
