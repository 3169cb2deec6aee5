//! What belongs to a room as a whole, and what one participant may do to others in it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Grants, ParticipantNumber, TrackId};

/// Application's own texts by key, seen by everybody in the room.
pub type Attributes = BTreeMap<String, String>;

/// Changes to [`Attributes`]: `null` deletes a key, keys that are absent stay.
pub type AttributeChanges = BTreeMap<String, Option<String>>;

/// A room as everybody in it sees it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RoomInfo {
    /// Whatever the application put there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// The same, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: Attributes,
    /// Nobody else may join.
    #[serde(default)]
    pub locked: bool,
    /// Who joins waits until a moderator admits it.
    #[serde(default)]
    pub waiting_room: bool,
    /// How many participants it holds at most.
    pub max_participants: u32,
    /// Unix time in milliseconds.
    pub created_at_ms: u64,
}

/// Changes to a room. Absent fields stay.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RoomChanges {
    /// Replaces the metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// Changes attributes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<AttributeChanges>,
    /// Locks or unlocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
    /// Opens or ends the waiting room. Ending it admits everybody who waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_room: Option<bool>,
    /// Bounds the room. Nobody who is in it is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_participants: Option<u32>,
}

/// Whether somebody is at the screen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PresenceState {
    /// There.
    #[default]
    Active,
    /// Not looking.
    Away,
}

/// Somebody who waits to be admitted, as moderators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingParticipant {
    /// The number it will have.
    pub participant: ParticipantNumber,
    /// Who it is.
    pub identity: String,
    /// The name to show.
    pub name: String,
}

/// What a moderator can do, by `action`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Moderation {
    /// Silences a track. Its owner may unmute it.
    Mute {
        /// The track.
        track: TrackId,
    },
    /// Mutes camera and screen of a participant, who may not unmute them until it is promoted anew.
    StopVideo {
        /// Whose.
        participant: ParticipantNumber,
    },
    /// Removes somebody, who may join again.
    Remove {
        /// Whom.
        participant: ParticipantNumber,
    },
    /// Removes somebody, whose identity may not join again.
    Ban {
        /// Whom.
        participant: ParticipantNumber,
    },
    /// Lets a banned identity in again.
    Unban {
        /// Whom.
        identity: String,
    },
    /// Lets somebody in who waits.
    Admit {
        /// Whom.
        participant: ParticipantNumber,
    },
    /// Sends somebody away who waits.
    Deny {
        /// Whom.
        participant: ParticipantNumber,
    },
    /// Changes what somebody may do.
    Promote {
        /// Whom.
        participant: ParticipantNumber,
        /// What it may do from now on; all of it.
        grants: Grants,
    },
    /// Lowers a raised hand.
    LowerHand {
        /// Whose.
        participant: ParticipantNumber,
    },
    /// Changes the room.
    UpdateRoom {
        /// How.
        #[serde(flatten)]
        changes: RoomChanges,
    },
    /// Removes everybody and ends the room.
    CloseRoom {},
}
