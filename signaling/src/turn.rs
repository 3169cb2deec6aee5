//! Short-lived TURN credentials, as coturn's `use-auth-secret` checks them (draft-uberti-behave-turn-rest): the user name
//! is `EXPIRY:SESSION`, the password the base64 of its HMAC-SHA1 under a secret that both servers share.
//!
//! The expiry is Unix time in seconds. A session's id is random and says nothing about anybody; coturn counts its quota
//! by it, so that no session takes the relay for itself.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use patchbay_protocol::{IceServer, SessionId};
use sha1::Sha1;

use crate::auth::Secret;

/// TURN servers that share a secret with us.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Their `turn:` and `turns:` URLs (RFC 7065).
    pub urls: Vec<String>,
    /// coturn's `static-auth-secret`.
    pub secret: Secret,
    /// How long credentials hold. Cost of raising: whoever steals one relays to the SFU for as long.
    pub ttl: Duration,
}

/// What everybody who joins is told of ICE servers.
#[derive(Debug, Clone, Default)]
pub(crate) struct IceServers {
    /// Handed out as they are.
    pub(crate) fixed: Vec<IceServer>,
    /// Handed out with credentials of their own for every session.
    pub(crate) turn: Option<Turn>,
}

impl Turn {
    /// Credentials for one session, which hold from `now` (since the Unix epoch) for the configured time.
    pub fn credentials(&self, session: &str, now: Duration) -> (String, String) {
        let username = format!("{}:{session}", (now + self.ttl).as_secs());
        let password = credential(self.secret.as_str(), &username);
        (username, password)
    }
}

impl IceServers {
    /// The servers for a session, from now on.
    pub(crate) fn issue(&self, session: &SessionId, unix_ms: u64) -> Vec<IceServer> {
        let mut servers = self.fixed.clone();
        if let Some(turn) = &self.turn {
            let expiry = unix_ms / 1_000 + turn.ttl.as_secs();
            let username = format!("{expiry}:{session}");
            let credential = credential(turn.secret.as_str(), &username);
            servers.push(IceServer {
                urls: turn.urls.clone(),
                username: Some(username),
                credential: Some(credential),
            });
        }
        servers
    }

    /// After which time they are to be issued again: a quarter of their life is left for a client to come back.
    pub(crate) fn refresh_after(&self) -> Option<Duration> {
        self.turn.as_ref().map(|turn| turn.ttl * 3 / 4)
    }
}

fn credential(secret: &str, username: &str) -> String {
    // An HMAC takes keys of any length, so there is no failure to report.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(username.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers() -> IceServers {
        let fixed =
            IceServer { urls: vec!["stun:stun.example.org".into()], username: None, credential: None };
        let turn = Turn {
            urls: vec!["turn:turn.example.org:3478?transport=udp".into()],
            secret: Secret::new("key"),
            ttl: Duration::from_secs(3_600),
        };
        IceServers { fixed: vec![fixed], turn: Some(turn) }
    }

    #[test]
    fn the_password_is_the_hmac_of_the_name() {
        // RFC 2202 has no such case; this one is widely published: HMAC_SHA1("key", "The quick brown fox…").
        let text = "The quick brown fox jumps over the lazy dog";
        assert_eq!(credential("key", text), "3nybhbi3iqa8ino29wqQcBydtNk=");
    }

    #[test]
    fn credentials_are_of_one_session_and_one_time() {
        let session = SessionId::new("8c0f1de2");
        let issued = servers().issue(&session, 1_795_370_000_999);
        assert_eq!(issued.len(), 2);
        assert_eq!((&issued[0].username, &issued[0].credential), (&None, &None));
        assert_eq!(issued[1].username.as_deref(), Some("1795373600:8c0f1de2"));
        let later = servers().issue(&session, 1_795_370_001_999);
        assert_ne!(issued[1].credential, later[1].credential);
        assert_eq!(servers().refresh_after(), Some(Duration::from_secs(2_700)));
    }

    #[test]
    fn no_log_shows_the_secret() {
        let mut servers = servers();
        if let Some(turn) = &mut servers.turn {
            turn.secret = Secret::new("north-wind");
        }
        assert!(!format!("{servers:?}").contains("north-wind"));
    }
}
