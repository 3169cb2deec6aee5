//! Where a room's replies and events for one member go.

use std::sync::Arc;

use patchbay_protocol::{CloseCode, ProtocolError, Reply, RequestId};

use crate::room::MemberId;
use crate::session::{Body, Session};
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

    /// What carries the member now, if anything.
    pub(super) fn connection(&self) -> Option<&'static str> {
        match self {
            Self::Session(session) => session.connection_kind(),
            Self::Resource(resource) => Some(resource.protocol()),
        }
    }

    /// The member is out of its room; it may not have been told yet.
    pub(super) fn release(&self, member: MemberId) {
        match self {
            Self::Session(session) => session.release(member),
            Self::Resource(resource) => resource.release(),
        }
    }

    /// The member has been told all it will be told.
    pub(super) fn detach(&self, close: Option<CloseCode>) {
        match self {
            Self::Session(session) => close.into_iter().for_each(|code| session.close(code)),
            Self::Resource(resource) => resource.detach(),
        }
    }
}
