//! `patchbay token`: mints a JWT and prints it.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use patchbay_protocol::{Claims, Grants, RoomName, Source, limit};
use patchbay_signaling::{ApiClaims, SCOPES};

use crate::args;
use crate::config::{duration, keys};
use crate::run::Failure;

/// Prints a token for what was asked.
pub(crate) fn mint(raw: args::Token) -> Result<(), Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let token = sign(&raw, now)?;
    writeln!(std::io::stdout(), "{token}")?;
    Ok(())
}

fn sign(raw: &args::Token, now: Duration) -> Result<String, Failure> {
    let keys = keys(raw.keys.as_deref(), raw.keys_file.as_deref())?;
    if keys.is_empty() {
        return Err(Failure::Token("no key to sign with: give --keys or --keys-file".into()));
    }
    let kid = raw.key.as_deref();
    let signed = if raw.api.is_empty() {
        keys.mint(&claims(raw, now)?, kid)
    } else {
        keys.mint_api(&api_claims(raw, now)?, kid)
    };
    signed.map_err(|error| Failure::Token(error.to_string()))
}

fn claims(raw: &args::Token, now: Duration) -> Result<Claims, Failure> {
    let (room, identity) =
        (raw.room.as_deref().unwrap_or_default(), raw.identity.as_deref().unwrap_or_default());
    if !limit::is_room_name(room) {
        let message = "--room: 1 to 64 of letters, digits, '-', '_' and '.', and no '.' first";
        return Err(Failure::Token(message.into()));
    }
    if !limit::is_plain_text(identity, limit::IDENTITY_BYTES) {
        return Err(Failure::Token("--identity: 1 to 128 bytes of text without control characters".into()));
    }
    let ttl = lifetime(raw)?;
    let metadata = match raw.metadata.as_deref().map(serde_json::from_str).transpose() {
        Ok(metadata) => metadata,
        Err(error) => return Err(Failure::Token(format!("--metadata is no JSON: {error}"))),
    };
    let defaults = Grants::default();
    let publish = match &raw.publish {
        Some(list) => sources(list)?,
        None if raw.hidden => Vec::new(),
        None => defaults.publish,
    };
    Ok(Claims {
        room: RoomName::new(room),
        identity: identity.to_owned(),
        name: raw.name.clone(),
        metadata,
        grants: Grants {
            publish,
            subscribe: !raw.no_subscribe,
            data: !raw.no_data,
            moderate: raw.moderate,
            hidden: raw.hidden,
            record: raw.record,
            topics: Vec::new(),
        },
        exp: (now + ttl).as_secs(),
        nbf: None,
        iat: Some(now.as_secs()),
        // So that it can be revoked.
        jti: Some(format!("{:032x}", rand::random::<u128>())),
    })
}

fn lifetime(raw: &args::Token) -> Result<Duration, Failure> {
    let bad = || Failure::Token("--ttl: a number with s, m, h or d, such as 90m".into());
    duration(&raw.ttl).ok_or_else(bad)
}

fn api_claims(raw: &args::Token, now: Duration) -> Result<ApiClaims, Failure> {
    if let Some(bad) = raw.api.iter().find(|scope| *scope != "*" && !SCOPES.contains(&scope.as_str())) {
        let message = format!("--api: no scope {bad:?}; there are {} and *", SCOPES.join(", "));
        return Err(Failure::Token(message));
    }
    let ttl = lifetime(raw)?;
    Ok(ApiClaims {
        api: raw.api.clone(),
        exp: (now + ttl).as_secs(),
        nbf: None,
        iat: Some(now.as_secs()),
        // So that it can be revoked.
        jti: Some(format!("{:032x}", rand::random::<u128>())),
    })
}

fn sources(list: &str) -> Result<Vec<Source>, Failure> {
    list.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| {
            serde_json::from_value(serde_json::Value::String(name.to_owned()))
                .map_err(|_| Failure::Token(format!("--publish: no source {name:?}")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use patchbay_signaling::Keys;

    use super::*;
    use crate::args::{Arguments, Command};

    fn token(line: &str) -> Result<Claims, Failure> {
        let words = [
            "patchbay",
            "token",
            "--keys",
            "a:0123456789abcdef,b:fedcba9876543210",
            "--room",
            "demo",
            "--identity",
            "ada",
        ];
        let arguments = Arguments::try_parse_from(words.into_iter().chain(line.split_whitespace())).unwrap();
        let Some(Command::Token(raw)) = arguments.command else { panic!() };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let keys = Keys::parse("b:fedcba9876543210,a:0123456789abcdef").unwrap();
        Ok(keys.verify(&sign(&raw, now)?).unwrap())
    }

    #[test]
    fn a_token_of_the_api_has_scopes_and_no_room() {
        let keys = "a:0123456789abcdef";
        let mint = |line: &str| {
            let words = ["patchbay", "token", "--keys", keys].into_iter().chain(line.split_whitespace());
            let Some(Command::Token(raw)) = Arguments::try_parse_from(words).ok()?.command else {
                return None;
            };
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            let token = sign(&raw, now).ok()?;
            Some(Keys::parse(keys).unwrap().verify_api(&token).unwrap())
        };
        let claims = mint("--api rooms:read,status").unwrap();
        assert_eq!(claims.api, ["rooms:read", "status"]);
        assert!(claims.jti.is_some() && mint("--api *").is_some());
        for bad in ["--api cinema", "--api * --room demo", "--api * --moderate", "--room demo", ""] {
            assert!(mint(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_token_says_what_was_asked() {
        let claims = token("--key b --name Ada --publish camera --no-data --metadata {\"a\":1}").unwrap();
        assert_eq!((claims.identity.as_str(), claims.name.as_deref()), ("ada", Some("Ada")));
        assert_eq!(claims.grants.publish, [Source::Camera]);
        assert!(claims.grants.subscribe && !claims.grants.data);
        assert!(token("--hidden").unwrap().grants.publish.is_empty());
        for bad in ["--ttl x", "--ttl 0", "--publish camera,cinema", "--key c", "--metadata {"] {
            assert!(matches!(token(bad), Err(Failure::Token(_))), "{bad}");
        }
    }
}
