//! Fresh TURN credentials for those who stay longer than the ones they got at their join.

use patchbay_protocol::ServerEvent;

use super::{Due, MemberId, Moment, Room};

impl Room {
    pub(super) fn schedule_ice_refresh(&mut self, now: Moment, member: MemberId) {
        let Some(after) = self.config.ice_servers.refresh_after() else { return };
        let Some(entry) = self.members.get_mut(&member) else { return };
        let due = now.at + after;
        entry.ice_refresh = Some(due);
        self.deadlines.insert((due, Due::IceServers(member)));
    }

    /// Issues ICE servers again.
    pub(super) fn refresh_ice_servers(&mut self, now: Moment, member: MemberId) {
        let Some(entry) = self.members.get_mut(&member) else { return };
        let ice_servers = self.config.ice_servers.issue(&entry.session, now.unix_ms);
        if entry.has_joined() {
            self.event_to(member, ServerEvent::IceServers { ice_servers });
        } else {
            entry.ice_servers = ice_servers;
        }
        self.schedule_ice_refresh(now, member);
    }
}
