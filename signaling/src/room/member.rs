//! One member of a room: data only.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use patchbay_protocol::{
    Attributes, Description, Grants, IceServer, Mid, Participant, ParticipantNumber, PresenceState,
    RequestId, SessionId, SlotSource, SlotState, Source, Track, TrackId, TransportId,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::persist::Resumption;
use super::topic::SignaledTopics;
use super::{Negotiation, Watch};
use crate::auth::Credential;

/// One stay of somebody in a room. A rejoin is a new member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct MemberId(pub(crate) u64);

/// How far a member has come.
#[derive(Debug)]
pub(super) enum Stage {
    /// A moderator decides whether it comes in. With its offer.
    Waiting(RequestId, Option<Description>),
    /// Its first offer is with the node; the request that will be answered.
    Joining(RequestId),
    /// In the room.
    Joined,
}

/// A track that the node has accepted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct MemberTrack {
    pub(super) mid: Mid,
    pub(super) id: TrackId,
    pub(super) source: Source,
    pub(super) muted: bool,
}

/// Who somebody is and what the room knows about them.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) stage: Stage,
    pub(super) number: ParticipantNumber,
    pub(super) identity: String,
    pub(super) name: String,
    pub(super) metadata: Option<Value>,
    pub(super) attributes: Attributes,
    pub(super) hand_raised: bool,
    pub(super) presence: PresenceState,
    /// It types now, and until when that is believed.
    pub(super) typing_until: Option<Instant>,
    /// When others were last told of its presence, and when they are told next.
    pub(super) presence_told: Option<Instant>,
    pub(super) presence_due: Option<Instant>,
    pub(super) grants: Grants,
    /// A moderator stopped its video: what it publishes is muted, and stays so.
    pub(super) video_stopped: bool,
    /// The token says the name, so that its bearer can't change it.
    pub(super) name_fixed: bool,
    /// The token says the metadata.
    pub(super) metadata_fixed: bool,
    pub(super) transport: TransportId,
    /// The node has been told of the transport and not of its end.
    pub(super) on_node: bool,
    /// When it came, Unix time in milliseconds.
    pub(super) joined_at_ms: u64,
    pub(super) session: SessionId,
    /// It came over HTTP: nobody takes it up again, and it lasts as long as its transport.
    pub(super) is_resource: bool,
    /// It was found on a node after a restart, and its session is not taken up yet.
    pub(super) resumption: Option<Resumption>,
    pub(super) secret: String,
    /// What it came in by; nothing on an open server.
    pub(super) credential: Option<Credential>,
    /// When that is looked at next.
    pub(super) expiry: Option<Instant>,
    /// It was told that its token expires soon.
    pub(super) is_told_of_expiry: bool,
    /// For the reply to `join`; taken by it.
    pub(super) ice_servers: Vec<IceServer>,
    /// When they are to be issued again.
    pub(super) ice_refresh: Option<Instant>,
    pub(super) tracks: Vec<MemberTrack>,
    /// Its slots, as the last answer has them.
    pub(super) slots: Vec<Mid>,
    /// What each of them shall show, for a node that missed it.
    pub(super) shown: BTreeMap<Mid, Option<SlotSource>>,
    /// What flows in them, for whoever takes the session up again.
    pub(super) flows: BTreeMap<Mid, SlotState>,
    /// Its topics over signaling.
    pub(super) topics: SignaledTopics,
    pub(super) watches: Vec<Watch>,
    /// The offer that is with the node.
    pub(super) negotiation: Option<Negotiation>,
    /// Offers that wait for it.
    pub(super) offers: VecDeque<(RequestId, Description)>,
}

impl Member {
    pub(super) fn has_joined(&self) -> bool {
        matches!(self.stage, Stage::Joined)
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Waiting(..))
    }

    pub(super) fn is_in_roster(&self) -> bool {
        self.has_joined() && !self.grants.hidden
    }

    /// Whether it stays when its transport fails: topics and calls go over signaling, and nothing else was on it.
    pub(super) fn lives_without_media(&self) -> bool {
        self.has_joined() && !self.is_resource && self.tracks.is_empty() && self.slots.is_empty()
    }

    /// The entry others see.
    pub(super) fn participant(&self) -> Participant {
        Participant {
            number: self.number,
            identity: self.identity.clone(),
            name: self.name.clone(),
            metadata: self.metadata.clone(),
            attributes: self.attributes.clone(),
            presence: self.presence,
            hand_raised: self.hand_raised,
            tracks: self.tracks.iter().map(MemberTrack::entry).collect(),
        }
    }
}

impl MemberTrack {
    pub(super) fn entry(&self) -> Track {
        Track { id: self.id, source: self.source, kind: self.source.kind(), muted: self.muted }
    }
}
