//! Makes commands idempotent by id and fences them by epoch.
//!
//! In: a command's epoch and id, and later what came of it. Out: whether to carry it out. The log belongs to one node and
//! knows nothing of what the commands do.

use std::collections::{HashMap, VecDeque};

use patchbay_protocol::node::CommandResult;
use patchbay_protocol::{CommandId, Epoch, ErrorCode, ProtocolError};

/// How many commands are remembered. A commander repeats a command within seconds; at 1,000 commands per second this is a
/// minute. Cost of raising: about 100 bytes each, besides the answers.
pub const COMMANDS: usize = 65_536;
/// How many bytes of answers are remembered. An answer with many sections is about 50 KB.
pub const ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Whether to carry a command out.
#[derive(Debug, PartialEq)]
pub enum Admission {
    /// New: carry it out, then call [`CommandLog::finish`].
    Execute,
    /// It is being carried out. Its one answer is still to come.
    InProgress,
    /// It was carried out: this was its answer.
    Answered(CommandResult),
    /// It must not be carried out.
    Refused(ProtocolError),
}

/// The commands of the highest epoch seen, with their answers.
#[derive(Debug)]
pub struct CommandLog {
    epoch: Epoch,
    entries: HashMap<CommandId, Entry>,
    /// Answered commands, oldest first: only these may be forgotten.
    answered: VecDeque<CommandId>,
    answer_bytes: usize,
    max_commands: usize,
    max_answer_bytes: usize,
}

#[derive(Debug)]
enum Entry {
    InProgress,
    Answered { result: CommandResult, bytes: usize },
}

impl Default for CommandLog {
    fn default() -> Self {
        Self::new(COMMANDS, ANSWER_BYTES)
    }
}

impl CommandLog {
    /// An empty log that remembers at most so many commands and so many bytes of answers.
    pub fn new(max_commands: usize, max_answer_bytes: usize) -> Self {
        Self {
            epoch: Epoch(0),
            entries: HashMap::new(),
            answered: VecDeque::new(),
            answer_bytes: 0,
            max_commands,
            max_answer_bytes,
        }
    }

    /// The highest epoch seen.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// How many commands are remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no command is remembered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Says what to do with a command that has arrived.
    ///
    /// A higher epoch is a new life of the commander, whose ids start anew: everything from before is forgotten.
    pub fn admit(&mut self, epoch: Epoch, id: CommandId) -> Admission {
        if !self.advance(epoch) {
            return Admission::Refused(stale(epoch, self.epoch));
        }
        match self.entries.get(&id) {
            Some(Entry::InProgress) => Admission::InProgress,
            Some(Entry::Answered { result, .. }) => Admission::Answered(result.clone()),
            None if self.entries.len() - self.answered.len() >= self.max_commands => Admission::Refused(
                ProtocolError::new(ErrorCode::Overloaded, "too many commands are in progress on this node")
                    .retry_after(std::time::Duration::from_millis(500)),
            ),
            None => {
                self.entries.insert(id, Entry::InProgress);
                self.forget();
                Admission::Execute
            }
        }
    }

    /// Checks a command that changes nothing and may therefore be carried out anew each time it comes (`sync`).
    pub fn fence(&mut self, epoch: Epoch) -> Result<(), ProtocolError> {
        if self.advance(epoch) { Ok(()) } else { Err(stale(epoch, self.epoch)) }
    }

    /// Keeps what came of a command. Returns whether its commander still wants to know: false after a newer epoch began.
    pub fn finish(&mut self, epoch: Epoch, id: CommandId, result: &CommandResult) -> bool {
        if epoch != self.epoch {
            return false;
        }
        let Some(entry) = self.entries.get_mut(&id) else { return false };
        if matches!(entry, Entry::Answered { .. }) {
            return false;
        }
        let bytes = answer_bytes(result);
        *entry = Entry::Answered { result: result.clone(), bytes };
        self.answer_bytes += bytes;
        self.answered.push_back(id);
        self.forget();
        true
    }

    /// Takes a command back that could not even be started, so that a repeat is tried anew.
    pub fn withdraw(&mut self, epoch: Epoch, id: CommandId) {
        if epoch == self.epoch && matches!(self.entries.get(&id), Some(Entry::InProgress)) {
            self.entries.remove(&id);
        }
    }

    fn advance(&mut self, epoch: Epoch) -> bool {
        if epoch > self.epoch {
            self.epoch = epoch;
            self.entries.clear();
            self.answered.clear();
            self.answer_bytes = 0;
        }
        epoch == self.epoch
    }

    fn forget(&mut self) {
        while self.entries.len() > self.max_commands || self.answer_bytes > self.max_answer_bytes {
            let Some(oldest) = self.answered.pop_front() else { return };
            if let Some(Entry::Answered { bytes, .. }) = self.entries.remove(&oldest) {
                self.answer_bytes = self.answer_bytes.saturating_sub(bytes);
            }
        }
    }
}

fn stale(epoch: Epoch, highest: Epoch) -> ProtocolError {
    ProtocolError::new(ErrorCode::StaleEpoch, format!("epoch {epoch} is over: this node has seen {highest}"))
}

/// What an answer weighs, near enough for a bound: only an SDP is ever large.
fn answer_bytes(result: &CommandResult) -> usize {
    match result {
        CommandResult::Answered { sdp, publications, slots } => {
            sdp.len() + 32 * publications.len() + 64 * slots.len()
        }
        CommandResult::Failed { error } => error.message.len(),
        CommandResult::Done {} | CommandResult::Synced { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Epoch = Epoch(10);
    const DONE: CommandResult = CommandResult::Done {};

    fn answered(sdp: &str) -> CommandResult {
        CommandResult::Answered { sdp: sdp.into(), publications: Vec::new(), slots: Vec::new() }
    }

    #[test]
    fn a_repeat_gets_the_first_answer() {
        let mut log = CommandLog::default();
        assert_eq!(log.admit(FIRST, CommandId(1)), Admission::Execute);
        assert_eq!(log.admit(FIRST, CommandId(1)), Admission::InProgress);
        assert!(log.finish(FIRST, CommandId(1), &answered("v=0")));
        assert_eq!(log.admit(FIRST, CommandId(1)), Admission::Answered(answered("v=0")));
        assert!(!log.finish(FIRST, CommandId(1), &DONE), "the first answer stays");
        assert_eq!(log.admit(FIRST, CommandId(1)), Admission::Answered(answered("v=0")));
    }

    #[test]
    fn an_older_epoch_is_refused_and_a_newer_one_starts_afresh() {
        let mut log = CommandLog::default();
        assert_eq!(log.admit(FIRST, CommandId(1)), Admission::Execute);
        assert_eq!(log.admit(Epoch(11), CommandId(1)), Admission::Execute, "ids start anew with an epoch");
        assert!(!log.finish(FIRST, CommandId(1), &DONE), "nobody waits for the old answer");
        let Admission::Refused(error) = log.admit(FIRST, CommandId(2)) else { panic!("admitted") };
        assert_eq!(error.code, ErrorCode::StaleEpoch);
        assert!(log.fence(FIRST).is_err());
        assert!(log.fence(Epoch(11)).is_ok());
    }

    #[test]
    fn forgets_the_oldest_answers_first_and_never_a_command_in_progress() {
        let mut log = CommandLog::new(2, 1_000);
        assert_eq!(log.admit(FIRST, CommandId(1)), Admission::Execute);
        for id in 2..=4 {
            assert_eq!(log.admit(FIRST, CommandId(id)), Admission::Execute);
            log.finish(FIRST, CommandId(id), &DONE);
        }
        assert_eq!(log.len(), 2);
        assert_eq!(log.admit(FIRST, CommandId(1)), Admission::InProgress);
        assert_eq!(log.admit(FIRST, CommandId(4)), Admission::Answered(DONE));
    }

    #[test]
    fn answers_are_bounded_by_bytes() {
        let mut log = CommandLog::new(100, 25);
        for id in 1..=3 {
            log.admit(FIRST, CommandId(id));
            log.finish(FIRST, CommandId(id), &answered("0123456789"));
        }
        assert_eq!(log.len(), 2);
        assert_eq!(log.admit(FIRST, CommandId(1)), Admission::Execute, "forgotten");
    }

    #[test]
    fn commands_in_progress_are_bounded() {
        let mut log = CommandLog::new(1, 1_000);
        assert_eq!(log.admit(FIRST, CommandId(1)), Admission::Execute);
        let Admission::Refused(error) = log.admit(FIRST, CommandId(2)) else { panic!("admitted") };
        assert_eq!(error.code, ErrorCode::Overloaded);
        assert!(error.retry_after_ms.is_some());
    }

    #[test]
    fn a_withdrawn_command_may_come_again() {
        let mut log = CommandLog::default();
        assert_eq!(log.admit(FIRST, CommandId(1)), Admission::Execute);
        log.withdraw(FIRST, CommandId(1));
        assert_eq!(log.admit(FIRST, CommandId(1)), Admission::Execute);
    }
}
