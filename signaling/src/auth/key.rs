//! Keys and the tokens they sign.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use patchbay_protocol::{Claims, ErrorCode, ProtocolError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{ApiClaims, LEEWAY_SECONDS, Secret};

/// Bytes of the longest token that is looked at.
const TOKEN_BYTES: usize = 8 * 1024;
/// Bytes of the shortest key. HS256 wants 32 (RFC 7518 §3.2); fewer than 16 can be guessed offline from one token.
pub const KEY_BYTES: usize = 16;

/// Why keys can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// An entry without a colon.
    #[error("a key is written as kid:secret")]
    Shape,
    /// An empty or repeated id.
    #[error("the key id {0:?} is empty or there twice")]
    Id(String),
    /// A secret that can be guessed.
    #[error("the secret of key {0:?} is shorter than {KEY_BYTES} bytes")]
    TooShort(String),
    /// The token could not be signed.
    #[error("the token could not be signed")]
    Signing,
    /// No key of that id.
    #[error("there is no key {0:?}")]
    Unknown(String),
}

/// The keys that tokens are signed with, by `kid`. Several, so that they can be changed without a gap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    by_id: BTreeMap<String, Secret>,
    /// Signs new tokens: the one that was named first.
    first: Option<String>,
}

impl Keys {
    /// Reads `kid:secret`, separated by commas or line ends. Empty lines and lines that start with `#` are skipped.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut keys = Self::default();
        for entry in
            text.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(|line| line.split(','))
        {
            let entry = entry.trim();
            if entry.is_empty() {
                continue;
            }
            let (id, secret) = entry.split_once(':').ok_or(KeyError::Shape)?;
            if id.is_empty() || keys.by_id.contains_key(id) {
                return Err(KeyError::Id(id.to_owned()));
            }
            if secret.len() < KEY_BYTES {
                return Err(KeyError::TooShort(id.to_owned()));
            }
            keys.first.get_or_insert_with(|| id.to_owned());
            keys.by_id.insert(id.to_owned(), Secret::new(secret));
        }
        Ok(keys)
    }

    /// Without keys there are no tokens, and the server is open.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Their ids.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.by_id.keys().map(String::as_str)
    }

    /// Signs a token with the key of this id, or with the first.
    pub fn mint(&self, claims: &Claims, kid: Option<&str>) -> Result<String, KeyError> {
        self.sign(claims, kid)
    }

    /// Signs a token of the server's API with the key of this id, or with the first.
    pub fn mint_api(&self, claims: &ApiClaims, kid: Option<&str>) -> Result<String, KeyError> {
        self.sign(claims, kid)
    }

    fn sign(&self, claims: &impl Serialize, kid: Option<&str>) -> Result<String, KeyError> {
        let kid = kid.or(self.first.as_deref()).unwrap_or_default();
        let secret = self.by_id.get(kid).ok_or_else(|| KeyError::Unknown(kid.to_owned()))?;
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::HS256) };
        encode(&header, claims, &EncodingKey::from_secret(secret.as_str().as_bytes()))
            .map_err(|_| KeyError::Signing)
    }

    /// Reads a token whose signature and time hold.
    pub fn verify(&self, token: &str) -> Result<Claims, ProtocolError> {
        self.read(token)
    }

    /// The same, of a token of the server's API. One of a participant has no scopes.
    pub fn verify_api(&self, token: &str) -> Result<ApiClaims, ProtocolError> {
        self.read(token)
    }

    fn read<T: DeserializeOwned + Clone>(&self, token: &str) -> Result<T, ProtocolError> {
        let invalid = || {
            ProtocolError::new(
                ErrorCode::TokenInvalid,
                "the token can't be read or its signature does not hold",
            )
        };
        if token.len() > TOKEN_BYTES {
            return Err(invalid());
        }
        // Read by ourselves, as an algorithm that the library does not know is no header to it.
        let header = token.split_once('.').and_then(|(header, _)| read_header(header)).ok_or_else(invalid)?;
        // The algorithm is ours to choose, never the token's (RFC 8725 §3.1).
        if header.alg != "HS256" {
            let message = "the token names another algorithm than HS256";
            return Err(ProtocolError::new(ErrorCode::TokenWrongAlgorithm, message));
        }
        let secret = header.kid.and_then(|kid| self.by_id.get(&kid)).ok_or_else(|| {
            ProtocolError::new(
                ErrorCode::TokenUnknownKey,
                "the token names a key that this server does not have",
            )
        })?;
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        validation.validate_aud = false;
        let key = DecodingKey::from_secret(secret.as_str().as_bytes());
        decode::<T>(token, &key, &validation).map(|token| token.claims).map_err(|error| match error.kind() {
            ErrorKind::ExpiredSignature => {
                ProtocolError::new(ErrorCode::TokenExpired, "the token's time is over")
            }
            ErrorKind::ImmatureSignature => {
                ProtocolError::new(ErrorCode::TokenNotYetValid, "the token's time has not come yet")
            }
            _ => invalid(),
        })
    }
}

/// What a token says of itself, before anything is believed.
#[derive(Deserialize)]
struct Announced {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
}

fn read_header(text: &str) -> Option<Announced> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use patchbay_protocol::{Grants, RoomName};

    use super::*;

    fn claims(exp: u64) -> Claims {
        Claims {
            room: RoomName::new("demo"),
            identity: "ada".into(),
            name: None,
            metadata: None,
            grants: Grants::default(),
            exp,
            nbf: None,
            iat: None,
            jti: None,
        }
    }

    fn now() -> u64 {
        jsonwebtoken::get_current_timestamp()
    }

    #[test]
    fn every_way_to_fail_has_its_code() {
        let keys = Keys::parse("a:0123456789abcdef, b:fedcba9876543210").unwrap();
        let code = |token: &str| keys.verify(token).map(|_| ()).map_err(|error| error.code);

        let good = keys.mint(&claims(now() + 60), Some("b")).unwrap();
        assert_eq!(code(&good), Ok(()));
        assert_eq!(code(&keys.mint(&claims(now() - 60), None).unwrap()), Err(ErrorCode::TokenExpired));
        let early = Claims { nbf: Some(now() + 60), ..claims(now() + 120) };
        assert_eq!(code(&keys.mint(&early, None).unwrap()), Err(ErrorCode::TokenNotYetValid));

        let mut forged = good.clone();
        let last = forged.pop().unwrap();
        forged.push(if last == 'A' { 'Q' } else { 'A' });
        assert_eq!(code(&forged), Err(ErrorCode::TokenInvalid));
        assert_eq!(code(""), Err(ErrorCode::TokenInvalid));
        assert_eq!(code("a.b.c"), Err(ErrorCode::TokenInvalid));
        assert_eq!(code(&"x".repeat(TOKEN_BYTES + 1)), Err(ErrorCode::TokenInvalid));

        let strangers = Keys::parse("c:0123456789abcdef").unwrap();
        assert_eq!(
            code(&strangers.mint(&claims(now() + 60), None).unwrap()),
            Err(ErrorCode::TokenUnknownKey)
        );
        let other_secret = Keys::parse("a:another secret that is long").unwrap();
        assert_eq!(
            code(&other_secret.mint(&claims(now() + 60), None).unwrap()),
            Err(ErrorCode::TokenInvalid)
        );
    }

    #[test]
    fn another_algorithm_is_refused_even_with_the_right_secret() {
        let keys = Keys::parse("a:0123456789abcdef").unwrap();
        let header = Header { kid: Some("a".into()), ..Header::new(Algorithm::HS512) };
        let key = EncodingKey::from_secret(b"0123456789abcdef");
        let token = encode(&header, &claims(now() + 60), &key).unwrap();
        assert_eq!(keys.verify(&token).unwrap_err().code, ErrorCode::TokenWrongAlgorithm);
        let good = keys.mint(&claims(now() + 60), None).unwrap();
        let (_, rest) = good.split_once('.').unwrap();
        for alg in ["none", "None", "NONE", "hs256", "RS256", "HS257", ""] {
            let header = URL_SAFE_NO_PAD.encode(format!("{{\"alg\":\"{alg}\",\"kid\":\"a\"}}"));
            for token in
                [format!("{header}.{rest}"), format!("{header}.{}.", rest.split_once('.').unwrap().0)]
            {
                assert_eq!(keys.verify(&token).unwrap_err().code, ErrorCode::TokenWrongAlgorithm, "{alg}");
            }
        }
    }

    #[test]
    fn a_token_without_a_key_id_is_of_no_known_key() {
        let keys = Keys::parse("a:0123456789abcdef").unwrap();
        let key = EncodingKey::from_secret(b"0123456789abcdef");
        let token = encode(&Header::new(Algorithm::HS256), &claims(now() + 60), &key).unwrap();
        assert_eq!(keys.verify(&token).unwrap_err().code, ErrorCode::TokenUnknownKey);
    }

    #[test]
    fn keys_are_checked() {
        assert_eq!(Keys::parse("no colon").unwrap_err(), KeyError::Shape);
        assert_eq!(Keys::parse("a:short").unwrap_err(), KeyError::TooShort("a".into()));
        let twice = Keys::parse("a:0123456789abcdef\na:0123456789abcdef");
        assert_eq!(twice.unwrap_err(), KeyError::Id("a".into()));
        assert!(Keys::parse("# nothing\n\n").unwrap().is_empty());
        assert!(!format!("{:?}", Keys::parse("a:0123456789abcdef").unwrap()).contains("0123456789abcdef"));
    }
}
