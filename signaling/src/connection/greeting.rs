//! `hello`: the first thing a client says on a connection. It begins a session, or takes one up again.

use std::net::IpAddr;
use std::sync::Arc;

use patchbay_protocol::{
    ClientRequest, CloseCode, ErrorCode, Joined, PROTOCOL_VERSION, ProtocolError, Reply, RequestId, Resume,
    Resumed, ServerEvent, Welcome, limit,
};
use tracing::{debug, info};

use super::envelope::{Unreadable, parse};
use super::request::Requests;
use crate::app::App;
use crate::auth::Secret;
use crate::entrance::check_join_rate;
use crate::metric::ResumeOutcome;
use crate::refusal::spread_retry;
use crate::rooms::Port;
use crate::session::{Attachment, Body, Carrier, Entry, Gap, Membership, Session};

/// Whoever has just connected.
pub(super) struct Stranger {
    pub(super) app: App,
    pub(super) token: Option<Secret>,
    /// Where it comes from, as far as is known.
    pub(super) address: IpAddr,
}

/// What a first message led to.
pub(super) enum Greeted {
    /// A new session: `welcome` is its first message.
    Begun(Attachment),
    /// The session goes on. The reply stands before its messages.
    Resumed(Attachment, String),
    /// Neither.
    Refused(Refused),
}

/// A refusal before there is a session.
pub(super) struct Refused {
    pub(super) id: Option<RequestId>,
    pub(super) error: ProtocolError,
    /// Whether that is all.
    pub(super) close: Option<CloseCode>,
}

impl Refused {
    fn new(id: impl Into<Option<RequestId>>, code: ErrorCode, message: impl Into<String>) -> Self {
        Self { id: id.into(), error: ProtocolError::new(code, message), close: None }
    }

    /// As a message, outside the numbering.
    pub(super) fn text(self) -> String {
        Body::event(&ServerEvent::Error { id: self.id, error: self.error }).numbered(0)
    }
}

impl Stranger {
    /// Reads a first message.
    pub(super) async fn greet(&self, text: &str, carrier: Carrier) -> Greeted {
        match self.answer(text, carrier).await {
            Ok(greeted) => greeted,
            Err(refused) => {
                self.app.metrics.error(refused.error.code);
                Greeted::Refused(refused)
            }
        }
    }

    async fn answer(&self, text: &str, carrier: Carrier) -> Result<Greeted, Refused> {
        let message = parse(text).map_err(|Unreadable { id, error }| Refused { id, error, close: None })?;
        let id = message.id;
        let ClientRequest::Hello { version, client, resume } = message.request else {
            return Err(Refused::new(id, ErrorCode::HelloExpected, "say hello first"));
        };
        self.app.metrics.message("hello");
        if version != PROTOCOL_VERSION {
            let message = format!("this server speaks version {PROTOCOL_VERSION}, not {version}");
            let close = Some(CloseCode::ProtocolViolation);
            return Err(Refused { close, ..Refused::new(id, ErrorCode::UnsupportedVersion, message) });
        }
        let client: String =
            client.as_deref().unwrap_or("?").chars().filter(|c| !c.is_control()).take(64).collect();
        debug!(client, is_resume = resume.is_some(), "hello");
        let drain = &self.app.drain;
        let open = match &resume {
            None => drain.check_new(),
            Some(resume) => drain.check_resume(&resume.session),
        };
        open.map_err(|error| Refused { id: Some(id), error, close: Some(CloseCode::GoingAway) })?;
        match resume {
            None => self.begin(id, carrier).map(Greeted::Begun),
            Some(resume) => self.resume(id, resume, carrier).await,
        }
    }

    fn begin(&self, id: RequestId, carrier: Carrier) -> Result<Attachment, Refused> {
        let refused = |error| Refused { id: Some(id), error, close: None };
        check_join_rate(&self.app, self.address).map_err(refused)?;
        // Over HTTP a status can say what is wrong; over a WebSocket the reply to the join does.
        if matches!(carrier, Carrier::Http(_)) {
            self.app.authority.check(self.token.as_ref().map(Secret::as_str)).map_err(refused)?;
        }
        let begun = self.app.sessions.begin(self.requests());
        let session = begun.ok_or_else(|| Refused {
            id: Some(id),
            error: ProtocolError::new(ErrorCode::Overloaded, "the server holds as many sessions as it may")
                .retry_after(spread_retry()),
            close: None,
        })?;
        let welcome = Welcome {
            version: PROTOCOL_VERSION,
            server: concat!("patchbay/", env!("CARGO_PKG_VERSION")).into(),
            epoch: self.app.hub.epoch(),
            heartbeat_ms: limit::HEARTBEAT_INTERVAL.as_millis() as u64,
            secret: self.app.sessions.secret(session.id()),
            session: session.id().clone(),
            resume_window_ms: self.app.sessions.window().as_millis() as u64,
        };
        session.take_id(id, "hello");
        session.reply(id, Ok(Reply::Welcome(welcome)));
        session.connect(carrier, Entry::First).map_err(|_| gone(id))
    }

    async fn resume(&self, id: RequestId, resume: Resume, carrier: Carrier) -> Result<Greeted, Refused> {
        let taken = match self.take_up(&resume, carrier).await {
            Some(taken) => taken,
            None => {
                self.app.metrics.resumed(ResumeOutcome::Gone);
                return Err(gone(id));
            }
        };
        let (attachment, next_seq, snapshot) = taken;
        let is_rebuilt = snapshot.is_some();
        self.app.metrics.resumed(if is_rebuilt { ResumeOutcome::Rebuilt } else { ResumeOutcome::Resumed });
        info!(session = %resume.session, last_seq = resume.last_seq, is_rebuilt, "session resumed");
        let resumed = Resumed {
            epoch: self.app.hub.epoch(),
            next_seq,
            heartbeat_ms: limit::HEARTBEAT_INTERVAL.as_millis() as u64,
            resume_window_ms: self.app.sessions.window().as_millis() as u64,
            snapshot,
        };
        let reply = ServerEvent::Ok { id, result: Reply::Resumed(resumed) };
        Ok(Greeted::Resumed(attachment, Body::event(&reply).numbered(0)))
    }

    async fn take_up(
        &self,
        resume: &Resume,
        carrier: Carrier,
    ) -> Option<(Attachment, u64, Option<Box<Joined>>)> {
        let sessions = &self.app.sessions;
        if !sessions.is_secret_of(&resume.session, &resume.secret) {
            return None;
        }
        let _returning = sessions.returning(&resume.session).await;
        let is_of_this_life = resume.epoch.is_none_or(|epoch| epoch == self.app.hub.epoch());
        if is_of_this_life && let Some(session) = sessions.find(&resume.session) {
            if let Some(token) = &self.token {
                session.requests.lock().await.set_token(token.clone());
            }
            return match session.connect(carrier, Entry::Resume(resume.last_seq)) {
                Ok(attachment) => Some((attachment, resume.last_seq + 1, None)),
                Err(Gap::Forgotten) => {
                    // Its client says itself that it can't go on.
                    sessions.finish(&session, patchbay_protocol::LeaveReason::ConnectionLost);
                    None
                }
                Err(Gap::Stale | Gap::Ahead) => None,
            };
        }
        let session = sessions.make(resume.session.clone(), self.requests());
        let (membership, snapshot) = reclaim(&self.app, &session).await?;
        session.reclaim(membership);
        let attachment = session.connect(carrier, Entry::First).ok()?;
        sessions.replace(session);
        Some((attachment, 1, Some(snapshot)))
    }

    fn requests(&self) -> Requests {
        Requests::new(&self.app.config, self.token.clone(), self.address)
    }
}

/// The member that a session was before the server was restarted, if its node still knows it.
async fn reclaim(app: &App, session: &Arc<Session>) -> Option<(Membership, Box<Joined>)> {
    app.rooms.reclaim(session.id(), Port::Session(session.clone())).await
}

fn gone(id: RequestId) -> Refused {
    Refused::new(id, ErrorCode::SessionGone, "there is no such session; say hello and join again")
}
