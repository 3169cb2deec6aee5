//! Who somebody is and what they may do, settled from a token or, on an open server, from what they say.

use std::net::IpAddr;
use std::time::Duration;

use patchbay_protocol::{
    Description, ErrorCode, Grants, ProtocolError, RoomName, SessionId, TransportId, limit,
};
use serde_json::Value;

use crate::app::App;
use crate::auth::Credential;
use crate::room::{Join, Watch, check_identity, check_metadata, check_name};
use crate::rooms::random_53_bits;
use crate::timeline::Opening;

/// What somebody asks for at the door.
#[derive(Debug, Default)]
pub(crate) struct Visitor {
    pub(crate) identity: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) metadata: Option<Value>,
    /// Where it comes from, if that is known.
    pub(crate) address: Option<IpAddr>,
    /// Its session and that one's secret. Whoever has none gets them here.
    pub(crate) session: Option<(SessionId, String)>,
    /// Start of a minted identity.
    pub(crate) minted_prefix: &'static str,
}

/// Settles identity, name, metadata and grants. The offer and watches are the caller's to add.
pub(crate) fn admit(
    app: &App,
    room: &RoomName,
    token: Option<&str>,
    visitor: Visitor,
) -> Result<Join, ProtocolError> {
    app.drain.check_new()?;
    if let Some(address) = visitor.address {
        check_join_rate(app, address)?;
    }
    if !limit::is_room_name(room.as_str()) {
        let message = "a room name is 1 to 64 of letters, digits, '-', '_' and '.', and starts with no '.'";
        return Err(ProtocolError::new(ErrorCode::InvalidArgument, message));
    }
    let (session, secret) = visitor
        .session
        .unwrap_or_else(|| (SessionId::new(uuid::Uuid::new_v4().to_string()), random_secret()));
    let mut join = Join {
        trace: tracing::info_span!(target: patchbay_trace::TARGET, parent: None, "join", %room, %session),
        identity: String::new(),
        name: String::new(),
        metadata: visitor.metadata,
        grants: Grants::default(),
        credential: None,
        name_fixed: false,
        metadata_fixed: false,
        session,
        secret,
        transport: TransportId(random_53_bits()),
        data_transport: TransportId(random_53_bits()),
        offer: None,
        watches: Vec::new(),
    };
    let (mut identity, mut name) = (visitor.identity, visitor.name);
    if let Some(claims) = app.authority.check_for(token, room)? {
        join.credential = Some(Credential::of(&claims));
        identity = Some(claims.identity);
        join.name_fixed = claims.name.is_some();
        name = claims.name.or(name);
        join.metadata_fixed = claims.metadata.is_some();
        join.metadata = claims.metadata.or(join.metadata);
        join.grants = claims.grants;
    }
    join.identity =
        identity.unwrap_or_else(|| format!("{}-{:08x}", visitor.minted_prefix, rand::random::<u32>()));
    join.name = name.unwrap_or_else(|| join.identity.clone());
    check_identity(&join.identity)?;
    check_name(&join.name)?;
    if let Some(metadata) = &join.metadata {
        check_metadata(metadata, &app.config.bounds)?;
    }
    app.hub.timelines().open(&Opening {
        session: &join.session,
        secret: &join.secret,
        transport: join.transport,
        room,
        identity: &join.identity,
        client: visitor.address,
    });
    Ok(join)
}

/// Counts something that costs as much as a join against its address.
pub(crate) fn check_join_rate(app: &App, address: IpAddr) -> Result<(), ProtocolError> {
    app.join_rate.take(address).map_err(|wait| {
        // Rounded up, and spread a little: others of the same address wait for the same moment.
        let spread = Duration::from_millis(1 + u64::from(rand::random::<u8>()));
        ProtocolError::new(ErrorCode::RateLimited, "too many joins from this address")
            .retry_after(wait + spread)
    })
}

impl Join {
    /// With a first offer, and slots that wait for identities.
    pub(crate) fn with_offer(mut self, offer: Option<Description>, watches: Vec<Watch>) -> Self {
        self.offer = offer;
        self.watches = watches;
        self
    }
}

/// 128 random bits that nobody can guess, as hexadecimal digits.
pub(crate) fn random_secret() -> String {
    uuid::Uuid::from_u128(rand::random()).simple().to_string()
}
