//! One member of a room: data only.

use std::collections::VecDeque;
use std::time::Instant;

use patchbay_protocol::{
    Description, Grants, IceServer, Mid, Participant, ParticipantNumber, RequestId, SessionId, Source, Track,
    TrackId, TransportId,
};
use serde_json::Value;

use super::{Negotiation, Watch};

/// One stay of somebody in a room. A rejoin is a new member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct MemberId(pub(crate) u64);

/// How far a member has come.
#[derive(Debug)]
pub(super) enum Stage {
    /// Its first offer is with the node; the request that will be answered.
    Joining(RequestId),
    /// In the room.
    Joined,
}

/// A track that the node has accepted.
#[derive(Debug)]
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
    pub(super) hand_raised: bool,
    pub(super) grants: Grants,
    /// The token says the name, so that its bearer can't change it.
    pub(super) name_fixed: bool,
    /// The token says the metadata.
    pub(super) metadata_fixed: bool,
    pub(super) transport: TransportId,
    /// The node has been told of the transport and not of its end.
    pub(super) on_node: bool,
    pub(super) session: SessionId,
    pub(super) secret: String,
    /// For the reply to `join`; taken by it.
    pub(super) ice_servers: Vec<IceServer>,
    /// When they are to be issued again.
    pub(super) ice_refresh: Option<Instant>,
    pub(super) tracks: Vec<MemberTrack>,
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

    pub(super) fn is_in_roster(&self) -> bool {
        self.has_joined() && !self.grants.hidden
    }

    /// The entry others see.
    pub(super) fn participant(&self) -> Participant {
        Participant {
            number: self.number,
            identity: self.identity.clone(),
            name: self.name.clone(),
            metadata: self.metadata.clone(),
            attributes: patchbay_protocol::Attributes::new(),
            presence: patchbay_protocol::PresenceState::Active,
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
