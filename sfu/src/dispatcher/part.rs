//! What a node holds, in parts that fit into messages.
//!
//! A room's texts may be many megabytes, and a node holds many rooms: one message for all of it would be over what signaling
//! takes, and hold up everything behind it.

use std::collections::BTreeMap;

use patchbay_protocol::node::{NodeState, RoomState, TransportSnapshot};

/// About how many bytes a part has, as JSON. A single text may make it larger, by twice `limit::BLOB_BYTES` at most.
pub(super) const PART_BYTES: usize = 1024 * 1024;

/// Splits what a node holds. A room whose texts are in several parts is named in each of them.
pub(super) fn parts(state: NodeState, bytes: usize) -> Vec<NodeState> {
    let mut parts = vec![NodeState::default()];
    let mut filled = 0;
    let mut is_next = |size: usize| {
        filled += size;
        let is_over = filled > bytes && filled > size;
        if is_over {
            filled = size;
        }
        is_over
    };
    for RoomState { room, blobs } in state.rooms {
        if is_next(32) {
            parts.push(NodeState::default());
        }
        if let Some(part) = parts.last_mut() {
            part.rooms.push(RoomState { room, blobs: BTreeMap::new() });
        }
        for (key, text) in blobs {
            // Quotation marks are escaped once more inside a text: JSON grows by a fifth or so.
            if is_next(16 + key.len() + text.len() + text.len() / 4) {
                let rooms = vec![RoomState { room, blobs: BTreeMap::new() }];
                parts.push(NodeState { rooms, transports: Vec::new() });
            }
            if let Some(last) = parts.last_mut().and_then(|part| part.rooms.last_mut()) {
                last.blobs.insert(key, text);
            }
        }
    }
    for snapshot in state.transports {
        if is_next(size(&snapshot)) {
            parts.push(NodeState::default());
        }
        if let Some(part) = parts.last_mut() {
            part.transports.push(snapshot);
        }
    }
    parts
}

/// A transport as JSON, near enough.
fn size(snapshot: &TransportSnapshot) -> usize {
    128 + 64 * snapshot.publications.len() + 96 * snapshot.slots.len()
}

#[cfg(test)]
mod tests {
    use patchbay_protocol::{ParticipantNumber, RoomId, TransportId};

    use super::*;

    fn state(rooms: u64, texts: u64, bytes: usize, transports: u64) -> NodeState {
        let room = |room| RoomState {
            room: RoomId(room),
            blobs: (0..texts).map(|key| (key.to_string(), "x".repeat(bytes))).collect(),
        };
        let transport = |transport| TransportSnapshot {
            transport: TransportId(transport),
            room: RoomId(transport % rooms.max(1)),
            participant: ParticipantNumber(1),
            connected: true,
            publications: Vec::new(),
            slots: Vec::new(),
        };
        NodeState {
            rooms: (0..rooms).map(room).collect(),
            transports: (0..transports).map(transport).collect(),
        }
    }

    /// What signaling makes of the parts.
    fn joined(parts: Vec<NodeState>) -> NodeState {
        let mut rooms: BTreeMap<RoomId, BTreeMap<String, String>> = BTreeMap::new();
        let mut transports = Vec::new();
        for part in parts {
            for room in part.rooms {
                rooms.entry(room.room).or_default().extend(room.blobs);
            }
            transports.extend(part.transports);
        }
        let rooms = rooms.into_iter().map(|(room, blobs)| RoomState { room, blobs }).collect();
        NodeState { rooms, transports }
    }

    #[test]
    fn a_node_that_holds_little_says_it_in_one() {
        assert_eq!(parts(NodeState::default(), 1_000).len(), 1);
        assert_eq!(parts(state(2, 2, 10, 2), 1_000), [state(2, 2, 10, 2)]);
    }

    #[test]
    fn parts_are_bounded_and_together_they_are_the_whole() {
        for (rooms, texts, bytes, transports) in
            [(1, 1_000, 12_000, 1_000), (500, 4, 600, 2_000), (3, 0, 0, 9)]
        {
            let whole = state(rooms, texts, bytes, transports);
            let parts = parts(whole.clone(), PART_BYTES);
            for part in &parts {
                let json = serde_json::to_string(part).expect("JSON");
                assert!(json.len() <= PART_BYTES + PART_BYTES / 4, "{} bytes", json.len());
            }
            assert_eq!(joined(parts), whole);
        }
    }

    #[test]
    fn one_text_over_the_bound_has_a_part_of_its_own() {
        let whole = state(1, 3, 5_000, 1);
        let parts = parts(whole.clone(), 1_000);
        assert_eq!(joined(parts.clone()), whole);
        assert!(parts.iter().all(|part| part.rooms.iter().all(|room| room.blobs.len() <= 1)));
    }
}
