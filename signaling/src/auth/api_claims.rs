//! Tokens of the server's API: what they say, and what they allow.

use serde::{Deserialize, Serialize};

/// What a part of the API is called in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Looks at rooms, participants, tracks and chat.
    RoomsRead,
    /// Makes, changes and ends rooms, and acts on participants.
    RoomsWrite,
    /// Speaks into rooms: chat, topics, calls.
    Data,
    /// Mints tokens of participants, and revokes.
    Tokens,
    /// Follows events.
    Events,
    /// Looks at the server itself.
    Status,
}

/// All scopes, as tokens have them. `*` stands for all.
pub const SCOPES: [&str; 6] = ["rooms:read", "rooms:write", "data", "tokens", "events", "status"];

impl Scope {
    /// As it stands in tokens.
    pub fn name(self) -> &'static str {
        match self {
            Self::RoomsRead => "rooms:read",
            Self::RoomsWrite => "rooms:write",
            Self::Data => "data",
            Self::Tokens => "tokens",
            Self::Events => "events",
            Self::Status => "status",
        }
    }
}

/// The claims of a token of the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiClaims {
    /// Scopes. A token of a participant has none.
    #[serde(default)]
    pub api: Vec<String>,
    /// Expiry, Unix time in seconds. Required.
    pub exp: u64,
    /// Not valid before, Unix time in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// When it was issued, Unix time in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<u64>,
    /// Names the token, so that it can be revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
}

impl ApiClaims {
    /// Whether it allows what needs a scope.
    pub fn allows(&self, scope: Scope) -> bool {
        self.api.iter().any(|one| one == "*" || one == scope.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_is_listed_and_stands_for_itself() {
        let all =
            [Scope::RoomsRead, Scope::RoomsWrite, Scope::Data, Scope::Tokens, Scope::Events, Scope::Status];
        assert_eq!(all.map(Scope::name), SCOPES);
        for scope in all {
            let with =
                |api: &str| ApiClaims { api: vec![api.into()], exp: 0, nbf: None, iat: None, jti: None };
            assert!(with("*").allows(scope) && with(scope.name()).allows(scope));
            assert!(
                all.iter().filter(|other| **other != scope).all(|other| !with(other.name()).allows(scope))
            );
        }
    }
}
