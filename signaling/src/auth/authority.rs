//! Whether a token holds: the one answer for joins, resumes, refreshes, WHIP and WHEP.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use patchbay_protocol::{Claims, ErrorCode, ProtocolError, RoomName};

use super::key_ring::KeyRing;
use super::{ApiClaims, Credential, LEEWAY_SECONDS, Revocation, RevocationError, Revocations, Revoked};
use crate::Config;

/// The keys in use and what was revoked. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Authority {
    keys: Arc<KeyRing>,
    revocations: Arc<Revocations>,
    /// Nobody needs a token. Settled at the start: a file without keys never opens a server.
    is_open: bool,
    longest_token: Duration,
    keys_refresh: Duration,
}

impl Authority {
    /// From the configuration, with what is revoked still.
    ///
    /// # Errors
    /// The list of what was revoked can't be read.
    pub(crate) fn load(config: &Config) -> Result<Self, RevocationError> {
        let longest = config.longest_token;
        let revocations = Revocations::load(config.state_dir.as_deref(), longest.as_secs(), unix_now())?;
        Ok(Self {
            keys: Arc::new(KeyRing::new(config.keys.clone(), config.keys_file.clone())),
            revocations: Arc::new(revocations),
            is_open: config.is_open(),
            longest_token: longest,
            keys_refresh: config.keys_refresh,
        })
    }

    /// Follows the file of keys, for ever.
    pub(crate) async fn keep_fresh(self) {
        self.keys.keep_fresh(self.keys_refresh).await;
    }

    /// What a token says, if it holds now and was not revoked. `None` on an open server, which looks at none.
    ///
    /// # Errors
    /// `token_missing`, and everything that a token can have wrong with it.
    pub(crate) fn check(&self, token: Option<&str>) -> Result<Option<Claims>, ProtocolError> {
        if self.is_open {
            return Ok(None);
        }
        let token = token.ok_or_else(|| ProtocolError::new(ErrorCode::TokenMissing, "a token is needed"))?;
        let claims = self.keys.current().verify(token)?;
        if claims.exp > unix_now().saturating_add(self.longest_token.as_secs()) {
            let message = "the token holds for longer than this server allows";
            return Err(ProtocolError::new(ErrorCode::TokenInvalid, message));
        }
        self.recheck(&claims.room, &claims.identity, Some(&Credential::of(&claims)))?;
        Ok(Some(claims))
    }

    /// The same for one room.
    ///
    /// # Errors
    /// As [`Self::check`], and `wrong_room`.
    pub(crate) fn check_for(
        &self,
        token: Option<&str>,
        room: &RoomName,
    ) -> Result<Option<Claims>, ProtocolError> {
        let claims = self.check(token)?;
        if claims.as_ref().is_some_and(|claims| claims.room != *room) {
            return Err(ProtocolError::new(ErrorCode::WrongRoom, "the token is for another room"));
        }
        Ok(claims)
    }

    /// Whether somebody whose token held once may go on: when a session is resumed, or a join was under way meanwhile.
    ///
    /// # Errors
    /// `token_revoked`, `token_expired`.
    pub(crate) fn recheck(
        &self,
        room: &RoomName,
        identity: &str,
        credential: Option<&Credential>,
    ) -> Result<(), ProtocolError> {
        let Some(credential) = credential else { return Ok(()) };
        if self.revocations.cover(room, identity, credential) {
            return Err(ProtocolError::new(ErrorCode::TokenRevoked, "the token was revoked"));
        }
        if credential.time_left(unix_now().saturating_mul(1_000)).is_zero() {
            return Err(ProtocolError::new(ErrorCode::TokenExpired, "the token's time is over"));
        }
        Ok(())
    }

    /// Revokes, for good once this returns. Who is in a room already is for [`crate::app::App::revoke`] to send out.
    ///
    /// # Errors
    /// The list is full, or the disk refuses; then it holds until the server ends.
    pub(crate) async fn revoke(&self, what: Revoked) -> (Option<Revocation>, Result<(), RevocationError>) {
        let revocation = match self.revocations.add(what, unix_now()) {
            Ok(revocation) => revocation,
            Err(error) => return (None, Err(error)),
        };
        let list = self.revocations.clone();
        let kept = tokio::task::spawn_blocking(move || list.keep()).await.unwrap_or(Ok(()));
        (Some(revocation), kept)
    }

    /// What a token of the server's API allows, if it holds now and was not revoked. `None` on an open server.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub(crate) fn check_api(&self, token: Option<&str>) -> Result<Option<ApiClaims>, ProtocolError> {
        if self.is_open {
            return Ok(None);
        }
        let token = token.ok_or_else(|| ProtocolError::new(ErrorCode::TokenMissing, "a token is needed"))?;
        let claims = self.keys.current().verify_api(token)?;
        if claims.exp > unix_now().saturating_add(self.longest_token.as_secs()) {
            let message = "the token holds for longer than this server allows";
            return Err(ProtocolError::new(ErrorCode::TokenInvalid, message));
        }
        self.recheck_api(&claims)?;
        Ok(Some(claims))
    }

    /// Whether a token of the server's API that held once still does.
    ///
    /// # Errors
    /// `token_revoked`, `token_expired`.
    pub(crate) fn recheck_api(&self, claims: &ApiClaims) -> Result<(), ProtocolError> {
        if claims.jti.as_ref().is_some_and(|jti| self.revocations.cover_token(jti)) {
            return Err(ProtocolError::new(ErrorCode::TokenRevoked, "the token was revoked"));
        }
        if claims.exp.saturating_add(LEEWAY_SECONDS) <= unix_now() {
            return Err(ProtocolError::new(ErrorCode::TokenExpired, "the token's time is over"));
        }
        Ok(())
    }

    /// The longest that a token may hold.
    pub(crate) fn longest_token(&self) -> Duration {
        self.longest_token
    }

    /// How many revocations stand.
    #[expect(dead_code, reason = "for the metrics")]
    pub(crate) fn revocations(&self) -> usize {
        self.revocations.len()
    }

    /// Signs a token with the first key in use.
    ///
    /// # Errors
    /// There is no key.
    pub(crate) fn mint(&self, claims: &Claims) -> Result<String, super::KeyError> {
        self.keys.current().mint(claims, None)
    }
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
