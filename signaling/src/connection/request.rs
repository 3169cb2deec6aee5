//! What a connection does with a message: `hello` and `join` here, everything else in the room.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use patchbay_protocol::{
    ClientRequest, CloseCode, ErrorCode, PROTOCOL_VERSION, ProtocolError, Reply, RequestId, SessionId,
    TroubleKind, Welcome, limit,
};
use tracing::{debug, info};

use super::envelope::{Unreadable, kind, parse, peek_id};
use super::session::{Seen, Session, not_joined};
use crate::app::App;
use crate::auth::Secret;
use crate::entrance::{Visitor, admit};
use crate::limit::TokenBucket;
use crate::room::Input;
use crate::rooms::{Mail, Port};

/// Refusals in a row by the rate limit after which the connection is closed.
const REFUSALS: u32 = 1_000;

/// The reading half of a connection.
pub(super) struct Requests {
    app: App,
    session: Arc<Session>,
    token: Option<Secret>,
    /// Where the connection comes from; a proxy, perhaps.
    address: IpAddr,
    /// The last join's session.
    joined: Option<SessionId>,
    bucket: TokenBucket,
    refusals: u32,
    has_said_hello: bool,
}

impl Requests {
    pub(super) fn new(app: App, session: Arc<Session>, token: Option<Secret>, address: IpAddr) -> Self {
        let bucket = TokenBucket::new(Instant::now(), app.config.rate);
        Self { app, session, token, address, joined: None, bucket, refusals: 0, has_said_hello: false }
    }

    /// Whether the client has introduced itself.
    pub(super) fn has_said_hello(&self) -> bool {
        self.has_said_hello
    }

    /// A binary message: this protocol has none.
    pub(super) fn handle_binary(&mut self) {
        if self.is_within_rate(None) {
            let error = ProtocolError::new(ErrorCode::MalformedMessage, "messages are text");
            self.session.refuse(None, error);
        }
    }

    /// One text message.
    pub(super) async fn handle_text(&mut self, text: &str) {
        if !self.is_within_rate(Some(text)) {
            return;
        }
        let message = match parse(text) {
            Ok(message) => message,
            Err(Unreadable { id, error }) => return self.session.refuse(id, error),
        };
        let (id, request) = (message.id, message.request);
        self.app.metrics.message(kind(&request));
        match request {
            // A heartbeat changes nothing, so its id is not worth remembering.
            ClientRequest::Ping {} => return self.session.reply(id, Ok(Reply::Done {})),
            _ => {
                if self.session.take_id(id) != Seen::New {
                    return;
                }
            }
        }
        match request {
            ClientRequest::Hello { version, client, .. } => self.handle_hello(id, version, client.as_deref()),
            _ if !self.has_said_hello => {
                self.fail(id, ProtocolError::new(ErrorCode::HelloExpected, "say hello first"));
            }
            ClientRequest::Join { .. } => self.handle_join(id, request),
            ClientRequest::Trouble { kind, detail } => self.handle_trouble(id, kind, detail),
            request => self.hand_on(id, request).await,
        }
    }

    fn handle_hello(&mut self, id: RequestId, version: u32, client: Option<&str>) {
        if self.has_said_hello {
            return self.fail(id, ProtocolError::new(ErrorCode::AlreadyJoined, "hello was said already"));
        }
        if version != PROTOCOL_VERSION {
            let message = format!("this server speaks version {PROTOCOL_VERSION}, not {version}");
            self.fail(id, ProtocolError::new(ErrorCode::UnsupportedVersion, message));
            return self.session.close(CloseCode::ProtocolViolation);
        }
        self.has_said_hello = true;
        let client: String = client.unwrap_or("?").chars().filter(|c| !c.is_control()).take(64).collect();
        debug!(client, "hello");
        let welcome = Welcome {
            version: PROTOCOL_VERSION,
            server: concat!("patchbay/", env!("CARGO_PKG_VERSION")).into(),
            epoch: self.app.hub.epoch(),
            heartbeat_ms: limit::HEARTBEAT_INTERVAL.as_millis() as u64,
            session: SessionId::new(uuid::Uuid::new_v4().to_string()),
            secret: String::new(),
            resume_window_ms: 0,
        };
        self.session.reply(id, Ok(Reply::Welcome(welcome)));
    }

    fn handle_join(&mut self, id: RequestId, request: ClientRequest) {
        let ClientRequest::Join { room, identity, name, metadata, offer } = request else { return };
        if self.session.membership().is_some() {
            return self
                .fail(id, ProtocolError::new(ErrorCode::AlreadyJoined, "this session is in a room already"));
        }
        let visitor =
            Visitor { identity, name, metadata, address: Some(self.address), minted_prefix: "guest" };
        let join = match admit(&self.app, &room, self.token.as_ref().map(Secret::as_str), visitor) {
            Ok(join) => join.with_offer(offer, Vec::new()),
            Err(error) => {
                let hopeless = is_token_hopeless(error.code);
                info!(%room, code = ?error.code, "join refused");
                self.fail(id, error);
                if hopeless {
                    self.session.close(CloseCode::Unauthorized);
                }
                return;
            }
        };
        self.app.metrics.joins.add(1);
        self.joined = Some(join.session.clone());
        let member = self.app.mint_member();
        let port = Port::Session(self.session.clone());
        let joined = self.session.attach(member, || self.app.rooms.join(&room, member, id, join, port));
        if let Err(error) = joined {
            self.fail(id, error);
        }
    }

    fn handle_trouble(&mut self, id: RequestId, kind: TroubleKind, detail: String) {
        let (Some(session), Some(_)) = (&self.joined, self.session.membership()) else {
            return self.fail(id, not_joined());
        };
        if !limit::is_plain_text(&detail, limit::TROUBLE_BYTES) {
            let message = "a detail is 1 to 512 bytes of text without control characters";
            return self.fail(id, ProtocolError::new(ErrorCode::InvalidArgument, message));
        }
        self.app.hub.timelines().add_trouble(session, kind, detail);
        self.session.reply(id, Ok(Reply::Done {}));
    }

    /// A request that is the room's to answer.
    async fn hand_on(&mut self, id: RequestId, request: ClientRequest) {
        let Some(membership) = self.session.membership() else { return self.fail(id, not_joined()) };
        let mail = Mail::Input(Input::Request { member: membership.member, id, request });
        if membership.mailbox.send(mail).await.is_err() {
            self.fail(id, not_joined());
        }
    }

    /// Takes from the bucket. What comes too fast is refused unread, and its id may be used again.
    fn is_within_rate(&mut self, text: Option<&str>) -> bool {
        let Err(wait) = self.bucket.take(Instant::now()) else {
            self.refusals = 0;
            return true;
        };
        self.refusals += 1;
        if self.refusals > REFUSALS {
            self.session.close(CloseCode::RateLimited);
            return false;
        }
        let error =
            ProtocolError::new(ErrorCode::RateLimited, "too many messages; slow down").retry_after(wait);
        self.session.refuse(text.and_then(peek_id), error);
        false
    }

    fn fail(&self, id: RequestId, error: ProtocolError) {
        self.session.reply(id, Err(error));
    }
}

/// A token can't be changed within a connection, so with these the connection is of no use.
fn is_token_hopeless(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::TokenMissing
            | ErrorCode::TokenInvalid
            | ErrorCode::TokenExpired
            | ErrorCode::TokenNotYetValid
    )
}
