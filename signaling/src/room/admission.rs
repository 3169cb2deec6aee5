//! Who may come in: bans, the lock, the bound, and the waiting room.

use patchbay_protocol::{
    Description, ErrorCode, LeaveReason, ParticipantNumber, ProtocolError, RequestId, ServerEvent,
    WaitingParticipant,
};
use tracing::info;

use super::member::Stage;
use super::{Join, MemberId, Output, Room};

/// Who may wait at a time. Cost of raising: their offers are kept, up to 256 KiB each.
const WAITING: usize = 100;
/// Identities that may come back without asking.
const RETURNING: usize = 256;

/// How somebody comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// At once.
    Enter,
    /// When a moderator says so.
    Wait,
}

impl Room {
    /// Whether somebody may come in, and how.
    pub(super) fn admission(&self, join: &Join) -> Result<Admission, ProtocolError> {
        if self.bans.contains(&join.identity) {
            return Err(ProtocolError::new(ErrorCode::Banned, "this identity was banned from the room"));
        }
        let grants = &join.grants;
        let returns = !grants.hidden
            && (self.number_of(&join.identity).is_some() || self.returning.contains(&join.identity));
        let may_pass = grants.moderate || returns;
        if self.info.locked && !may_pass {
            return Err(ProtocolError::new(ErrorCode::RoomLocked, "the room is locked"));
        }
        if self.info.waiting_room && !may_pass {
            // Nobody is shown who waits hidden, and so nobody could let it in.
            if grants.hidden {
                return Err(ProtocolError::new(ErrorCode::Denied, "the room has a waiting room"));
            }
            if self.queue.len() >= WAITING {
                return Err(ProtocolError::new(ErrorCode::TooMany, "too many wait for the room already"));
            }
            return Ok(Admission::Wait);
        }
        self.check_space(&join.identity, grants.hidden)?;
        Ok(Admission::Enter)
    }

    /// Whether there is a place for one more. Whoever replaces somebody takes its place.
    fn check_space(&self, identity: &str, hidden: bool) -> Result<(), ProtocolError> {
        let replaced = usize::from(!hidden && self.number_of(identity).is_some());
        let everybody = self.members.values().filter(|entry| !entry.is_waiting());
        let seen = everybody.clone().filter(|entry| !entry.grants.hidden).count();
        let most = usize::try_from(self.info.max_participants).unwrap_or(usize::MAX);
        if everybody.count() - replaced >= self.config.capacity || (!hidden && seen - replaced >= most) {
            let message = "the room holds as many participants as it may";
            return Err(ProtocolError::new(ErrorCode::RoomFull, message));
        }
        Ok(())
    }

    /// A join waits for a moderator: its reply comes when it is decided.
    pub(super) fn wait_in_line(&mut self, member: MemberId, id: RequestId, offer: Option<Description>) {
        let Some(entry) = self.members.get_mut(&member) else { return };
        entry.stage = Stage::Waiting(id, offer);
        let waiting = WaitingParticipant {
            participant: entry.number,
            identity: entry.identity.clone(),
            name: entry.name.clone(),
        };
        info!(participant = %waiting.participant, identity = waiting.identity, "waits to be admitted");
        self.queue.push_back(member);
        self.tell_position(member, self.queue.len());
        self.tell_moderators(ServerEvent::ParticipantWaiting { waiting });
    }

    /// Everybody who waits, in order.
    pub(super) fn waiting(&self) -> Vec<WaitingParticipant> {
        let waiting = self.queue.iter().filter_map(|member| self.members.get(member));
        waiting
            .map(|entry| WaitingParticipant {
                participant: entry.number,
                identity: entry.identity.clone(),
                name: entry.name.clone(),
            })
            .collect()
    }

    /// Somebody who waits, by number.
    pub(super) fn waiting_member(&self, number: ParticipantNumber) -> Option<MemberId> {
        let is_meant = |member: &&MemberId| {
            self.members.get(*member).is_some_and(|entry| entry.number == number && entry.is_waiting())
        };
        self.queue.iter().find(is_meant).copied()
    }

    /// Lets somebody in who waits.
    pub(super) fn admit(&mut self, member: MemberId) -> Result<(), ProtocolError> {
        let Some(entry) = self.members.get(&member) else { return Ok(()) };
        self.check_space(&entry.identity, false)?;
        let Some(entry) = self.members.get_mut(&member) else { return Ok(()) };
        let number = entry.number;
        let Stage::Waiting(id, offer) = std::mem::replace(&mut entry.stage, Stage::Joined) else {
            return Ok(());
        };
        entry.stage = Stage::Joining(id);
        self.leave_line(member, number);
        self.enter(member, id, offer);
        Ok(())
    }

    /// Sends somebody away who waits.
    pub(super) fn turn_away(&mut self, member: MemberId, code: ErrorCode, message: &str) {
        let Some(entry) = self.take_member(member) else { return };
        info!(participant = %entry.number, identity = entry.identity, ?code, "not admitted");
        if let Stage::Waiting(id, _) = entry.stage {
            self.refuse(member, id, code, message);
        }
        self.outputs.push_back(Output::Detached { member, close: None });
        self.leave_line(member, entry.number);
    }

    /// The waiting room was closed: everybody comes in for whom there is a place.
    pub(super) fn admit_all(&mut self) {
        let waiting: Vec<MemberId> = self.queue.iter().copied().collect();
        for member in waiting {
            if let Err(error) = self.admit(member) {
                self.turn_away(member, error.code, &error.message);
            }
        }
    }

    /// Somebody waits no longer, for whatever reason. Those behind move up.
    pub(super) fn leave_line(&mut self, member: MemberId, number: ParticipantNumber) {
        let Some(place) = self.queue.iter().position(|waiting| *waiting == member) else { return };
        self.queue.remove(place);
        self.tell_moderators(ServerEvent::ParticipantWaitingEnded { participant: number });
        let behind: Vec<(usize, MemberId)> = self
            .queue
            .iter()
            .copied()
            .enumerate()
            .skip(place)
            .map(|(index, member)| (index + 1, member))
            .collect();
        for (position, member) in behind {
            self.tell_position(member, position);
        }
    }

    fn tell_position(&mut self, member: MemberId, position: usize) {
        let position = u32::try_from(position).unwrap_or(u32::MAX);
        self.event_to(member, ServerEvent::Waiting { position });
    }

    pub(super) fn tell_moderators(&mut self, event: ServerEvent) {
        let is_moderator = |entry: &super::Member| entry.has_joined() && entry.grants.moderate;
        let to: Vec<MemberId> =
            self.members.iter().filter(|(_, entry)| is_moderator(entry)).map(|(member, _)| *member).collect();
        if !to.is_empty() {
            self.outputs.push_back(Output::Event { to, event });
        }
    }

    /// Whoever falls out through no will of its own may come back past lock and waiting room.
    pub(super) fn expect_return(&mut self, identity: &str, reason: LeaveReason) {
        self.returning.retain(|known| known != identity);
        let lost = matches!(
            reason,
            LeaveReason::ConnectionLost | LeaveReason::TransportLost | LeaveReason::NodeLost
        );
        if lost {
            self.returning.push_back(identity.to_owned());
            if self.returning.len() > RETURNING {
                self.returning.pop_front();
            }
        }
    }
}
