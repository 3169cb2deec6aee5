//! Revoking from outside of the server's own protocol.

use patchbay_protocol::RoomName;

use super::{RevocationError, Revoked};
use crate::app::App;

/// Takes back what tokens allow, at once. Clones do the same.
///
/// Both ways close the live sessions concerned (4403, reason `revoked`), and refuse what was revoked from then on:
/// joins, resumes and refreshes alike. On an open server there is nothing to refuse, so an identity is only sent out.
#[derive(Clone)]
pub struct Revoker(App);

impl Revoker {
    pub(crate) fn new(app: App) -> Self {
        Self(app)
    }

    /// One token, by its `jti`.
    ///
    /// # Errors
    /// [`RevocationError::Full`]: nothing was done. [`RevocationError::File`]: it holds, but not after a restart.
    pub async fn revoke_token(&self, jti: &str) -> Result<(), RevocationError> {
        self.0.revoke(Revoked::Token { jti: jti.to_owned() }).await
    }

    /// Every token of an identity that was issued until now, in one room or in all. One that does not say when it was
    /// issued (`iat`) counts as issued before.
    ///
    /// # Errors
    /// As [`Self::revoke_token`].
    pub async fn revoke_identity(
        &self,
        room: Option<&RoomName>,
        identity: &str,
    ) -> Result<(), RevocationError> {
        self.0.revoke(Revoked::Identity { room: room.cloned(), identity: identity.to_owned() }).await
    }
}
