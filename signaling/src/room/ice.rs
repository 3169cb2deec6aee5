//! Fresh TURN credentials for those who stay longer than the ones they got at their join.

use patchbay_protocol::ServerEvent;

use super::member::Member;
use super::{MemberId, Moment, Room};

impl Room {
    pub(super) fn schedule_ice_refresh(&mut self, now: Moment, member: MemberId) {
        let Some(after) = self.config.ice_servers.refresh_after() else { return };
        let Some(entry) = self.members.get_mut(&member) else { return };
        let due = now.at + after;
        entry.ice_refresh = Some(due);
        self.ice_refreshes.insert((due, member));
    }

    pub(super) fn forget_ice_refresh(&mut self, member: MemberId, entry: &Member) {
        if let Some(due) = entry.ice_refresh {
            self.ice_refreshes.remove(&(due, member));
        }
    }

    /// Issues ICE servers again to whom it is due.
    pub(super) fn refresh_ice_servers(&mut self, now: Moment) {
        while let Some((due, member)) = self.ice_refreshes.first().copied()
            && due <= now.at
        {
            self.ice_refreshes.pop_first();
            let Some(entry) = self.members.get_mut(&member) else { continue };
            let ice_servers = self.config.ice_servers.issue(&entry.session, now.unix_ms);
            if entry.has_joined() {
                self.event_to(member, ServerEvent::IceServers { ice_servers });
            } else {
                entry.ice_servers = ice_servers;
            }
            self.schedule_ice_refresh(now, member);
        }
    }
}
