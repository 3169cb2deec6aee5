//! What belongs to the room as a whole: metadata, attributes, lock, waiting room, bound.

use patchbay_protocol::{ErrorCode, ProtocolError, RoomChanges, RoomInfo, ServerEvent};
use tracing::info;

use super::{Moment, Room, RoomConfig, check};

/// A room that nobody has changed.
pub(super) fn initial(now: Moment, config: &RoomConfig) -> RoomInfo {
    RoomInfo {
        max_participants: u32::try_from(config.capacity).unwrap_or(u32::MAX),
        created_at_ms: now.unix_ms,
        ..RoomInfo::default()
    }
}

impl Room {
    /// Changes what the room says of itself; all or nothing.
    pub(super) fn change_info(&mut self, changes: RoomChanges) -> Result<(), ProtocolError> {
        let mut info = self.info.clone();
        if let Some(metadata) = changes.metadata {
            check::check_metadata(&metadata, &self.config.bounds)?;
            info.metadata = Some(metadata);
        }
        if let Some(changes) = changes.attributes {
            info.attributes = check::changed_attributes(&info.attributes, changes, &self.config.bounds)?;
        }
        if let Some(most) = changes.max_participants {
            let capacity = u32::try_from(self.config.capacity).unwrap_or(u32::MAX);
            if !(1..=capacity).contains(&most) {
                let message = format!("a room holds 1 to {capacity} participants");
                return Err(ProtocolError::new(ErrorCode::InvalidArgument, message));
            }
            info.max_participants = most;
        }
        info.locked = changes.locked.unwrap_or(info.locked);
        info.waiting_room = changes.waiting_room.unwrap_or(info.waiting_room);
        if info == self.info {
            return Ok(());
        }
        info!(
            locked = info.locked,
            waiting_room = info.waiting_room,
            most = info.max_participants,
            "room changed"
        );
        self.info = info.clone();
        self.broadcast(None, ServerEvent::RoomUpdated { room: info });
        if !self.info.waiting_room {
            self.admit_all();
        }
        Ok(())
    }
}
