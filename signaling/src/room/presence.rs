//! One's own entry in the roster, and what passes: presence and typing.

use std::time::Duration;

use patchbay_protocol::{
    AttributeChanges, ErrorCode, PresenceState, ProtocolError, Reply, RequestId, ServerEvent,
};
use serde_json::Value;

use super::{Due, MemberId, Moment, Room, check};

/// How long somebody is believed to type who says nothing more.
const TYPING: Duration = Duration::from_secs(6);
/// How often others are told of one participant's presence at most. What changes in between is told at the end of it.
const TOLD: Duration = Duration::from_millis(500);

impl Room {
    pub(super) fn update(
        &mut self,
        member: MemberId,
        by_server: bool,
        name: Option<String>,
        metadata: Option<Value>,
        attributes: Option<AttributeChanges>,
        hand_raised: Option<bool>,
    ) -> Result<(), ProtocolError> {
        let Some(entry) = self.members.get_mut(&member) else { return Ok(()) };
        if let Some(name) = &name {
            check::check_name(name)?;
            if entry.name_fixed && !by_server && *name != entry.name {
                return Err(ProtocolError::new(ErrorCode::NotAllowed, "the token says the name"));
            }
        }
        if let Some(metadata) = &metadata {
            check::check_metadata(metadata, &self.config.bounds)?;
            if entry.metadata_fixed && !by_server {
                return Err(ProtocolError::new(ErrorCode::NotAllowed, "the token says the metadata"));
            }
        }
        if let Some(changes) = attributes {
            entry.attributes = check::changed_attributes(&entry.attributes, changes, &self.config.bounds)?;
        }
        if let Some(name) = name {
            entry.name = name;
        }
        if metadata.is_some() {
            entry.metadata = metadata;
        }
        if let Some(hand_raised) = hand_raised {
            entry.hand_raised = hand_raised;
        }
        let (participant, shown) = (entry.participant(), entry.is_in_roster());
        if shown {
            let except = (!by_server).then_some(member);
            self.broadcast(except, ServerEvent::ParticipantUpdated { participant });
        }
        Ok(())
    }

    pub(super) fn handle_presence(
        &mut self,
        now: Moment,
        member: MemberId,
        id: RequestId,
        state: Option<PresenceState>,
        typing: Option<bool>,
    ) {
        let Some(entry) = self.members.get_mut(&member) else { return };
        if entry.grants.hidden {
            return self.refuse(member, id, ErrorCode::NotAllowed, "a hidden participant has no presence");
        }
        let before = entry.presence;
        entry.presence = state.unwrap_or(before);
        let changed = entry.presence != before;
        let typing_changed = typing.is_some_and(|typing| self.set_typing(now, member, typing));
        self.reply(member, id, Ok(Reply::Done {}));
        if changed || typing_changed {
            self.tell_presence(now, member);
        }
    }

    /// Somebody types, or no longer does. True if that is news.
    pub(super) fn set_typing(&mut self, now: Moment, member: MemberId, typing: bool) -> bool {
        let Some(entry) = self.members.get_mut(&member) else { return false };
        let until = typing.then(|| now.at + TYPING);
        let before = std::mem::replace(&mut entry.typing_until, until);
        if let Some(before) = before {
            self.deadlines.remove(&(before, Due::Typing(member)));
        }
        if let Some(until) = until {
            self.deadlines.insert((until, Due::Typing(member)));
        }
        before.is_some() != typing
    }

    /// Nothing was heard of the typing for a while.
    pub(super) fn expire_typing(&mut self, now: Moment, member: MemberId) {
        if self.set_typing(now, member, false) {
            self.tell_presence(now, member);
        }
    }

    /// Tells others now, or when they may be told again.
    pub(super) fn tell_presence(&mut self, now: Moment, member: MemberId) {
        let Some(entry) = self.members.get_mut(&member) else { return };
        if entry.presence_due.is_some() {
            return;
        }
        match entry.presence_told.map(|told| told + TOLD).filter(|due| *due > now.at) {
            Some(due) => {
                entry.presence_due = Some(due);
                self.deadlines.insert((due, Due::Presence(member)));
            }
            None => self.tell_delayed_presence(now, member),
        }
    }

    pub(super) fn tell_delayed_presence(&mut self, now: Moment, member: MemberId) {
        let Some(entry) = self.members.get_mut(&member) else { return };
        entry.presence_due = None;
        entry.presence_told = Some(now.at);
        let event = ServerEvent::Presence {
            participant: entry.number,
            state: entry.presence,
            typing: entry.typing_until.is_some(),
        };
        if entry.is_in_roster() {
            self.broadcast(Some(member), event);
        }
    }
}
