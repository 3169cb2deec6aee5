//! Who may come in: tokens (JWT, HS256, the key chosen by `kid`), what was revoked of them, and the secret of nodes.
//!
//! [`Authority`] is the one place that says whether a token holds. It is made of the keys in use, which may change while
//! the server runs, and of the list of what was revoked. What a room keeps of a token is its [`Credential`].

mod api_claims;
mod authority;
mod credential;
mod key;
mod key_ring;
mod revocation;
mod revoker;

use std::fmt;

use axum::http::{HeaderMap, header};

pub(crate) use api_claims::Scope;
pub use api_claims::{ApiClaims, SCOPES};
pub(crate) use authority::Authority;
pub(crate) use credential::Credential;
pub use key::{KEY_BYTES, KeyError, Keys};
pub use key_ring::KeyFileError;
pub use revocation::{REVOCATION_FILE, RevocationError};
pub(crate) use revocation::{Revocation, Revocations, Revoked};
pub use revoker::Revoker;

/// Clocks of those who mint tokens may differ from ours by this much.
pub(crate) const LEEWAY_SECONDS: u64 = 5;

/// A text that no log and no error shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether somebody knows it.
    pub(crate) fn matches(&self, given: &str) -> bool {
        is_same_secret(given, &self.0)
    }

    /// The secret itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The token of an `Authorization: Bearer` header (RFC 6750 §2.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

/// Compares in a time that depends on the lengths only.
pub(crate) fn is_same_secret(given: &str, expected: &str) -> bool {
    let difference = given.bytes().zip(expected.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    std::hint::black_box(difference) == 0 && given.len() == expected.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_compare() {
        assert!(is_same_secret("abc", "abc"));
        assert!(!is_same_secret("abd", "abc"));
        assert!(!is_same_secret("ab", "abc"));
        assert!(!is_same_secret("", "abc"));
    }
}
