//! What a router holds, told for snapshots.

use patchbay_protocol::node::{Publication, Slot as SlotEntry};

use super::Router;
use crate::TransportKey;

impl Router {
    /// The tracks of a transport, as they were applied.
    pub fn publications(&self, transport: TransportKey) -> Vec<Publication> {
        let member = self.member_key(transport).and_then(|key| self.members.get(key));
        let tracks = member.into_iter().flat_map(|member| &member.tracks);
        tracks
            .filter_map(|track| self.tracks.get(*track))
            .map(|track| Publication {
                mid: track.mid.clone(),
                track: track.id,
                source: track.source,
                muted: track.is_muted,
            })
            .collect()
    }

    /// The slots of a transport and what they follow. The router knows nothing of groups, so they are left out.
    pub fn slots(&self, transport: TransportKey) -> Vec<SlotEntry> {
        let member = self.member_key(transport).and_then(|key| self.members.get(key));
        let slots = member.into_iter().flat_map(|member| &member.slots);
        slots
            .filter_map(|slot| self.slots.get(*slot))
            .map(|slot| SlotEntry { mid: slot.mid.clone(), source: slot.source, group: None })
            .collect()
    }
}
