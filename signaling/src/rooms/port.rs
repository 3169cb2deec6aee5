//! Where a room's replies and events for one member go.

use std::sync::Arc;

use patchbay_protocol::{CloseCode, ProtocolError, Reply, RequestId};

use crate::connection::{Body, Session};
use crate::room::MemberId;
use crate::whip::Resource;

/// A member's end: a session, or a WHIP or WHEP resource.
#[derive(Debug, Clone)]
pub(crate) enum Port {
    Session(Arc<Session>),
    Resource(Arc<Resource>),
}

impl Port {
    pub(super) fn reply(&self, id: RequestId, result: Result<Reply, ProtocolError>) {
        match self {
            Self::Session(session) => session.reply(id, result),
            Self::Resource(resource) => resource.reply(id, result),
        }
    }

    /// Resources hear no events: their protocols have no way to tell.
    pub(super) fn event(&self, body: &Body) {
        if let Self::Session(session) = self {
            session.push(body);
        }
    }

    pub(super) fn detach(&self, member: MemberId, close: Option<CloseCode>) {
        match self {
            Self::Session(session) => session.detach(member, close),
            Self::Resource(resource) => resource.detach(),
        }
    }
}
