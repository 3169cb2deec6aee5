//! Tokens that run out, are refreshed, or are revoked.

use std::time::Duration;

use patchbay_protocol::{Claims, ErrorCode, LeaveReason, Reply, RequestId, ServerEvent};

use super::{Due, MemberId, Moment, Room};
use crate::auth::{Credential, LEEWAY_SECONDS, Revocation};

/// How long before the end of its time here a client is told, which is a minute before its token expires: enough for a few
/// attempts to get another one.
const NOTICE: Duration = Duration::from_secs(60 + LEEWAY_SECONDS);
/// How soon somebody who is not in yet is looked at again: it can be told nothing.
const LATER: Duration = Duration::from_secs(1);

impl Room {
    /// Sets when a member's token is to be looked at next. Times on the wall may be set meanwhile, so they are looked at anew.
    pub(super) fn schedule_expiry(&mut self, now: Moment, member: MemberId) {
        let Some(entry) = self.members.get_mut(&member) else { return };
        if let Some(due) = entry.expiry.take() {
            self.deadlines.remove(&(due, Due::Expiry(member)));
        }
        let Some(credential) = &entry.credential else { return };
        let left = credential.time_left(now.unix_ms);
        let wait = match left.checked_sub(NOTICE) {
            Some(wait) if !entry.is_told_of_expiry => wait,
            _ if !entry.is_told_of_expiry && !entry.has_joined() => left.min(LATER),
            _ => left,
        };
        let due = now.at + wait;
        entry.expiry = Some(due);
        self.deadlines.insert((due, Due::Expiry(member)));
    }

    /// Tells a member that its token expires soon, or removes it.
    pub(super) fn expire(&mut self, now: Moment, member: MemberId) {
        let Some(entry) = self.members.get_mut(&member) else { return };
        entry.expiry = None;
        let Some(credential) = &entry.credential else { return };
        let left = credential.time_left(now.unix_ms);
        if left.is_zero() {
            return self.remove(member, LeaveReason::TokenExpired);
        }
        if left <= NOTICE && !entry.is_told_of_expiry && entry.has_joined() {
            entry.is_told_of_expiry = true;
            let expires_at_ms = credential.exp.saturating_mul(1_000);
            self.event_to(member, ServerEvent::TokenExpiring { expires_at_ms });
        }
        self.schedule_expiry(now, member);
    }

    /// A token that was found to hold takes the place of the one that a member came with.
    pub(super) fn refresh(&mut self, now: Moment, member: MemberId, id: RequestId, claims: Claims) {
        let Some(entry) = self.members.get_mut(&member) else {
            return self.refuse(member, id, ErrorCode::NotJoined, "join a room first");
        };
        if claims.room != self.name {
            return self.refuse(member, id, ErrorCode::WrongRoom, "the token is for another room");
        }
        if claims.identity != entry.identity {
            return self.refuse(member, id, ErrorCode::NotAllowed, "the token is somebody else's");
        }
        // A token that allows the same as before does not undo what a moderator decided meanwhile.
        let before = entry.credential.replace(Credential::of(&claims));
        let is_new = before.is_none_or(|before| before.grants != claims.grants);
        entry.is_told_of_expiry = false;
        self.schedule_expiry(now, member);
        self.reply(member, id, Ok(Reply::Done {}));
        if is_new {
            self.change_grants(member, claims.grants);
        }
    }

    /// Whoever is here by what was revoked goes.
    pub(super) fn revoke(&mut self, revocation: &Revocation) {
        let gone: Vec<MemberId> = self
            .members
            .iter()
            .filter(|(_, entry)| revocation.covers(&self.name, &entry.identity, entry.credential.as_ref()))
            .map(|(member, _)| *member)
            .collect();
        for member in gone {
            self.remove(member, LeaveReason::Revoked);
        }
    }
}
