//! What is done with a client's requests: `join` here, everything else in the room.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use patchbay_protocol::{
    Claims, ClientMessage, ClientRequest, CloseCode, ErrorCode, ProtocolError, Reply, RequestId, TroubleKind,
    limit,
};
use tracing::{debug, info};

use super::envelope::{Unreadable, kind, parse, peek_id};
use crate::Config;
use crate::app::App;
use crate::auth::Secret;
use crate::entrance::{Visitor, admit};
use crate::limit::SessionRate;
use crate::permission::{self, Act, Stage};
use crate::room::Input;
use crate::rooms::{Mail, Port};
use crate::session::{Attachment, Session, not_joined};

/// Refusals in a row by the rate limit after which the session is closed.
const REFUSALS: u32 = 1_000;

/// What a session may still ask, whatever connection brings it.
#[derive(Debug)]
pub(crate) struct Requests {
    token: Option<Secret>,
    /// Where the first connection came from.
    address: IpAddr,
    rate: SessionRate,
    refusals: u32,
}

impl Requests {
    pub(crate) fn new(config: &Config, token: Option<Secret>, address: IpAddr) -> Self {
        let rate = SessionRate::new(Instant::now(), config.rate, config.byte_rate);
        Self { token, address, rate, refusals: 0 }
    }

    /// A later connection brought another token.
    pub(crate) fn set_token(&mut self, token: Secret) {
        self.token = Some(token);
    }

    /// A binary message: this protocol has none.
    pub(super) fn handle_binary(&mut self, session: &Arc<Session>) {
        if self.is_within_rate(session, "") {
            let error = ProtocolError::new(ErrorCode::MalformedMessage, "messages are text");
            session.refuse(None, error);
        }
    }

    /// One text message.
    ///
    /// May be given up while it waits: whatever waits does so before anything is done.
    pub(super) async fn handle_text(&mut self, app: &App, attachment: &Attachment, text: &str) {
        if self.is_within_rate(attachment.session(), text) {
            self.carry_out(app, attachment, text).await;
        }
    }

    /// Takes what a message costs, or says when it may come again. What is refused is not read.
    pub(super) fn take(&mut self, session: &Session, text: &str) -> Result<(), Duration> {
        let Err(wait) = self.rate.take(Instant::now(), text.len()) else {
            self.refusals = 0;
            return Ok(());
        };
        self.refusals += 1;
        if self.refusals > REFUSALS {
            session.close(CloseCode::RateLimited);
        }
        Err(wait)
    }

    /// Does what a message asks that has been paid for.
    pub(super) async fn carry_out(&mut self, app: &App, attachment: &Attachment, text: &str) {
        let session = attachment.session();
        let ClientMessage { id, ack, request } = match parse(text) {
            Ok(message) => message,
            Err(Unreadable { id, error }) => return session.refuse(id, error),
        };
        let kind = kind(&request);
        app.metrics.message(kind);
        if let Some(seq) = ack {
            session.ack(seq);
        }
        // Between a join and its reply the room knows more; it asks the table again.
        let stage = if session.membership().is_some() { Stage::Joined } else { Stage::Greeted };
        if let Err(error) = permission::check_stage(Act::of(&request), stage) {
            if session.take_id(id, kind) {
                session.reply(id, Err(error));
            }
            return;
        }
        match request {
            // A heartbeat changes nothing, so its id is not worth remembering.
            ClientRequest::Ping {} => {
                session.heard_ping();
                session.reply(id, Ok(Reply::Done {}));
            }
            ClientRequest::Join { .. } => {
                if session.take_id(id, kind) {
                    self.handle_join(app, session, id, request);
                }
            }
            ClientRequest::Trouble { kind: trouble, detail } => {
                if session.take_id(id, kind) {
                    handle_trouble(app, session, id, trouble, detail);
                }
            }
            ClientRequest::Refresh { token } => self.handle_refresh(app, attachment, id, token).await,
            request => hand_on(attachment, id, kind, Asked::Room(request)).await,
        }
    }

    fn handle_join(&mut self, app: &App, session: &Arc<Session>, id: RequestId, request: ClientRequest) {
        let ClientRequest::Join { room, identity, name, metadata, offer } = request else { return };
        let fail = |error| session.reply(id, Err(error));
        let visitor = Visitor {
            identity,
            name,
            metadata,
            address: Some(self.address),
            session: Some((session.id().clone(), app.sessions.secret(session.id()))),
            minted_prefix: "guest",
        };
        let join = match admit(app, &room, self.token.as_ref().map(Secret::as_str), visitor) {
            Ok(join) => join.with_offer(offer, Vec::new()),
            Err(error) => {
                let hopeless = is_token_hopeless(error.code);
                info!(%room, code = ?error.code, "join refused");
                fail(error);
                if hopeless {
                    session.close(CloseCode::Unauthorized);
                }
                return;
            }
        };
        app.metrics.joins.add(1);
        debug!(%room, "join");
        let member = app.mint_member();
        let port = Port::Session(session.clone());
        let joined = session.attach(member, || app.rooms.join(&room, member, id, join, port));
        if let Err(error) = joined {
            fail(error);
        }
    }

    /// A token that holds goes to the room, which knows whether it is the right one.
    async fn handle_refresh(&mut self, app: &App, attachment: &Attachment, id: RequestId, token: String) {
        let session = attachment.session();
        let claims = match app.authority.check(Some(&token)) {
            Ok(Some(claims)) => claims,
            failed => {
                let open = || ProtocolError::new(ErrorCode::InvalidArgument, "this server takes no tokens");
                if session.take_id(id, "refresh") {
                    session.reply(id, Err(failed.err().unwrap_or_else(open)));
                }
                return;
            }
        };
        self.token = Some(Secret::new(token));
        hand_on(attachment, id, "refresh", Asked::Refresh(Box::new(claims))).await;
    }

    /// Takes from the rate. What comes too fast is refused unread, and its id may be used again.
    fn is_within_rate(&mut self, session: &Arc<Session>, text: &str) -> bool {
        let Err(wait) = self.take(session, text) else { return true };
        let error =
            ProtocolError::new(ErrorCode::RateLimited, "too many messages; slow down").retry_after(wait);
        session.refuse(peek_id(text), error);
        false
    }
}

fn handle_trouble(app: &App, session: &Arc<Session>, id: RequestId, kind: TroubleKind, detail: String) {
    let fail = |error| session.reply(id, Err(error));
    if !limit::is_plain_text(&detail, limit::TROUBLE_BYTES) {
        let message = "a detail is 1 to 512 bytes of text without control characters";
        return fail(ProtocolError::new(ErrorCode::InvalidArgument, message));
    }
    app.hub.timelines().add_trouble(session.id(), kind, detail);
    session.reply(id, Ok(Reply::Done {}));
}

/// What is asked of a room.
enum Asked {
    /// As the client said it.
    Room(ClientRequest),
    /// By a token that holds.
    Refresh(Box<Claims>),
}

/// A request that is the room's to answer.
async fn hand_on(attachment: &Attachment, id: RequestId, kind: &'static str, asked: Asked) {
    let session = attachment.session();
    let membership = session.membership();
    // A place first: a connection that ends while the room is busy leaves nothing half done.
    let place = match &membership {
        Some(membership) => membership.mailbox.reserve().await.ok(),
        None => None,
    };
    if !attachment.is_current() || !session.take_id(id, kind) {
        return;
    }
    let (Some(membership), Some(place)) = (&membership, place) else {
        return session.reply(id, Err(not_joined()));
    };
    let member = membership.member;
    place.send(Mail::Input(match asked {
        Asked::Refresh(claims) => Input::Refresh { member, id, claims },
        Asked::Room(request) => {
            if matches!(request, ClientRequest::Leave {}) {
                session.leave();
            }
            Input::Request { member, id, request }
        }
    }));
}

/// A token can't be changed within a connection, so with these the session is of no use.
fn is_token_hopeless(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::TokenMissing
            | ErrorCode::TokenInvalid
            | ErrorCode::TokenWrongAlgorithm
            | ErrorCode::TokenUnknownKey
            | ErrorCode::TokenExpired
            | ErrorCode::TokenNotYetValid
            | ErrorCode::TokenRevoked
    )
}
