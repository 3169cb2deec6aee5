//! What is kept of a token once it was found to hold.

use std::time::Duration;

use patchbay_protocol::{Claims, Grants};
use serde::{Deserialize, Serialize};

use super::LEEWAY_SECONDS;

/// How long a token holds, and how to find it when it is revoked. The token itself is not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Credential {
    /// The token's own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) jti: Option<String>,
    /// When it was issued, Unix time in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) iat: Option<u64>,
    /// Its expiry, Unix time in seconds.
    pub(crate) exp: u64,
    /// What it allows. A moderator may have decided otherwise since.
    #[serde(default)]
    pub(crate) grants: Grants,
}

impl Credential {
    pub(crate) fn of(claims: &Claims) -> Self {
        Self { jti: claims.jti.clone(), iat: claims.iat, exp: claims.exp, grants: claims.grants.clone() }
    }

    /// How long it still holds, the leeway between clocks included.
    pub(crate) fn time_left(&self, unix_ms: u64) -> Duration {
        Duration::from_millis(
            self.exp.saturating_add(LEEWAY_SECONDS).saturating_mul(1_000).saturating_sub(unix_ms),
        )
    }
}
