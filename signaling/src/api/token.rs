//! Tokens of participants: minted and revoked.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use patchbay_protocol::{Claims, limit};

use super::error::{ApiError, Body, Outcome};
use super::room::{identity, room_name};
use super::schema::{Minted, NewToken, Revocation};
use crate::app::App;
use crate::auth::{RevocationError, Revoked};
use crate::entrance::random_secret;
use crate::room::{check_metadata, check_name};

/// How long a token holds when nobody says.
const TTL: Duration = Duration::from_secs(6 * 3_600);
/// The longest that one minted here may hold.
const LONGEST_TTL: Duration = Duration::from_secs(30 * 86_400);
/// Bytes of a token's own name.
const JTI_BYTES: usize = 256;

/// Mints a token of a participant.
#[utoipa::path(post, path = "/v1/tokens", tag = "tokens", operation_id = "mint_token", request_body = NewToken,
    security(("bearer" = [])), responses((status = 201, body = Minted)))]
pub(super) async fn mint(
    State(app): State<App>,
    Body(body): Body<NewToken>,
) -> Outcome<(StatusCode, Json<Minted>)> {
    let room = room_name(&body.room.0)?;
    let identity = identity(body.identity)?;
    if let Some(name) = &body.name {
        check_name(name)?;
    }
    if let Some(metadata) = &body.metadata {
        check_metadata(metadata, &app.config.bounds)?;
    }
    let longest = LONGEST_TTL.min(app.authority.longest_token());
    let ttl = body.ttl_s.map_or(TTL.min(longest), |seconds| Duration::from_secs(seconds.into()));
    if ttl.is_zero() || ttl > longest {
        return Err(ApiError::invalid(format!("ttl_s is 1 to {} here", longest.as_secs())));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let exp = now.saturating_add(ttl.as_secs());
    let jti = random_secret();
    let claims = Claims {
        room,
        identity,
        name: body.name,
        metadata: body.metadata,
        grants: body.grants.into(),
        exp,
        nbf: None,
        iat: Some(now),
        jti: Some(jti.clone()),
    };
    let token = app.authority.mint(&claims).map_err(|_| {
        ApiError::new(StatusCode::CONFLICT, "no_keys", "this server has no keys; nobody needs a token here")
    })?;
    Ok((StatusCode::CREATED, Json(Minted { token, jti, expires_at_ms: exp.saturating_mul(1_000) })))
}

/// Revokes a token, or what an identity was given so far. Live sessions concerned are closed at once.
#[utoipa::path(post, path = "/v1/revocations", tag = "tokens", operation_id = "revoke",
    request_body = Revocation, security(("bearer" = [])), responses((status = 204)))]
pub(super) async fn revoke(State(app): State<App>, Body(body): Body<Revocation>) -> Outcome<StatusCode> {
    let what = match body {
        Revocation { jti: Some(jti), identity: None, room: None } => {
            if !limit::is_plain_text(&jti, JTI_BYTES) {
                return Err(ApiError::invalid("a jti is 1 to 256 bytes without control characters"));
            }
            Revoked::Token { jti }
        }
        Revocation { jti: None, identity: Some(who), room } => {
            let room = room.map(|room| room_name(&room.0)).transpose()?;
            Revoked::Identity { room, identity: identity(who)? }
        }
        _ => return Err(ApiError::invalid("jti alone, or identity with or without room")),
    };
    app.revoke(what).await.map_err(|error| match error {
        RevocationError::Full => ApiError::new(StatusCode::CONFLICT, "too_many", error.to_string()),
        _ => {
            tracing::error!(%error, "a revocation holds until the server ends, and not after");
            let message = "revoked, but not after a restart: the server's disk refuses";
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
        }
    })?;
    Ok(StatusCode::NO_CONTENT)
}
