//! Who may come in: every way a token can be wrong at every entrance, origins, expiry, refresh, keys that change and
//! what is revoked.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use patchbay_protocol::{Claims, Grants, RoomName};
use patchbay_signaling::{Config, KeyError, Keys};
use serde_json::{Value, json};

use crate::support::{
    Client, Connect, HttpResponse, KEYS, PATIENCE, TestServer, claims, http, offer, token, unix_now,
};

const SDP: (&str, &str) = ("content-type", "application/sdp");
const HELLO: &str = r#"{"id":1,"type":"hello","version":1}"#;

fn with_keys(config: &mut Config) {
    config.keys = Keys::parse(KEYS).unwrap();
}

/// The same claims under another header, signed with nothing or as before.
fn with_header(good: &str, header: &Value, is_signed: bool) -> String {
    let (_, rest) = good.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let header = URL_SAFE_NO_PAD.encode(header.to_string());
    format!("{header}.{claims}.{}", if is_signed { signature } else { "" })
}

fn sign_with(keys: &str, claims: &Claims) -> Result<String, KeyError> {
    Keys::parse(keys)?.mint(claims, None)
}

/// What is wrong, the token, and how it is refused.
fn bad_tokens() -> Vec<(&'static str, Option<String>, &'static str)> {
    let good = claims("demo", "ada");
    let signed = token(&good);
    let (head, tail) = signed.split_at(signed.len() - 10);
    let forged = format!("{head}{}{}", if tail.starts_with('A') { 'B' } else { 'A' }, &tail[1..]);
    let header = |alg: &str, kid: &str| json!({"alg": alg, "typ": "JWT", "kid": kid});
    let late = |by: u64| token(&Claims { exp: unix_now() - by, ..good.clone() });
    vec![
        ("none", None, "token_missing"),
        ("no token at all", Some("nonsense".into()), "token_invalid"),
        ("dots", Some("a.b.c".into()), "token_invalid"),
        ("too long", Some("x".repeat(9_000)), "token_invalid"),
        ("a changed signature", Some(forged), "token_invalid"),
        ("without a signature", Some(with_header(&signed, &header("HS256", "main"), false)), "token_invalid"),
        (
            "another secret",
            Some(sign_with("main:another secret of some length", &good).unwrap()),
            "token_invalid",
        ),
        (
            "a key that is not there",
            Some(sign_with("other:another secret of some length", &good).unwrap()),
            "token_unknown_key",
        ),
        ("no key named", Some(with_header(&signed, &json!({"alg": "HS256"}), true)), "token_unknown_key"),
        (
            "none as algorithm",
            Some(with_header(&signed, &header("none", "main"), false)),
            "token_wrong_algorithm",
        ),
        (
            "None as algorithm",
            Some(with_header(&signed, &header("None", "main"), true)),
            "token_wrong_algorithm",
        ),
        ("HS512", Some(with_header(&signed, &header("HS512", "main"), true)), "token_wrong_algorithm"),
        ("RS256", Some(with_header(&signed, &header("RS256", "main"), true)), "token_wrong_algorithm"),
        ("over", Some(late(6)), "token_expired"),
        ("long over", Some(late(86_400)), "token_expired"),
        (
            "for later",
            Some(token(&Claims { nbf: Some(unix_now() + 60), ..good.clone() })),
            "token_not_yet_valid",
        ),
        (
            "for ever",
            Some(token(&Claims { exp: unix_now() + 800 * 86_400, ..good.clone() })),
            "token_invalid",
        ),
        ("revoked", Some(token(&Claims { jti: Some("stolen".into()), ..good })), "token_revoked"),
    ]
}

fn headers<'a>(token: &'a Option<String>, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut headers = more.to_vec();
    headers.extend(token.as_deref().map(|value| ("authorization", value)));
    headers
}

fn code(response: &HttpResponse) -> String {
    let body: Value = serde_json::from_str(&response.body)
        .unwrap_or_else(|_| panic!("{}: {:?}", response.status, response.body));
    body["code"].as_str().unwrap_or_default().to_owned()
}

async fn connect(server: &TestServer, token: &str) -> Client {
    let connect = Connect { token: Some(token), ..Connect::default() };
    let mut client = Client::try_connect(server, connect).await.unwrap();
    client.hello().await;
    client
}

#[tokio::test]
async fn every_bad_token_is_refused_at_every_entrance_with_its_code() {
    let (server, _node) = TestServer::with_node(with_keys).await;
    server.revoker.revoke_token("stolen").await.unwrap();
    let mut inside = connect(&server, &token(&claims("demo", "ada"))).await;
    inside.ok(json!({"type": "join", "room": "demo"})).await;
    let mut audio = offer(&[("audio", "sendonly")]);
    for (what, given, expected) in bad_tokens() {
        let connect = Connect { token: given.as_deref(), ..Connect::default() };
        // A browser's subprotocol takes no more than a header does, so an oversized one may be refused before.
        let mut client = Client::try_connect(&server, connect).await.unwrap();
        client.hello().await;
        assert_eq!(client.refusal(json!({"type": "join", "room": "demo"})).await, expected, "join: {what}");
        assert_eq!(client.close_code().await.0, 4401, "join: {what}");

        let authorization = given.as_deref().map(|token| format!("Bearer {token}"));
        let hello = http(&server, "POST", "/v1/hello", &headers(&authorization, &[]), HELLO).await;
        assert_eq!((hello.status, code(&hello).as_str()), (401, expected), "hello: {what}");
        assert_eq!(hello.header("www-authenticate"), Some("Bearer"));

        for path in ["/whip/demo", "/whep/demo"] {
            let made = http(&server, "POST", path, &headers(&authorization, &[SDP]), &audio).await;
            assert_eq!((made.status, code(&made).as_str()), (401, expected), "{path}: {what}");
        }
        if let Some(given) = given {
            assert_eq!(
                inside.refusal(json!({"type": "refresh", "token": given})).await,
                expected,
                "refresh: {what}"
            );
        }
    }
    inside.ok(json!({"type": "ping"})).await;

    // One for another room opens nothing here, and does not say what it would open.
    let other = token(&claims("other", "ada"));
    let mut client = connect(&server, &other).await;
    assert_eq!(client.refusal(json!({"type": "join", "room": "demo"})).await, "wrong_room");
    client.ok(json!({"type": "join", "room": "other"})).await;
    let authorization = Some(format!("Bearer {other}"));
    audio = offer(&[("audio", "sendonly")]);
    for path in ["/whip/demo", "/whep/demo"] {
        let made = http(&server, "POST", path, &headers(&authorization, &[SDP]), &audio).await;
        assert_eq!((made.status, code(&made).as_str()), (403, "wrong_room"), "{path}");
    }
    assert_eq!(inside.refusal(json!({"type": "refresh", "token": other})).await, "wrong_room");
    let eve = token(&claims("demo", "eve"));
    assert_eq!(inside.refusal(json!({"type": "refresh", "token": eve})).await, "not_allowed");
}

#[tokio::test]
async fn a_foreign_origin_gets_in_nowhere() {
    let (server, _node) = TestServer::with_node(with_keys).await;
    let good = token(&claims("demo", "ada"));
    let authorization = Some(format!("Bearer {good}"));
    for origin in ["https://evil.example", "null", "http://127.0.0.1.evil.example", "http://127.0.0.1"] {
        let connect = Connect { token: Some(&good), origin: Some(origin), ..Connect::default() };
        assert_eq!(Client::try_connect(&server, connect).await.err(), Some(403), "{origin}");
        let entrances = [
            ("POST", "/v1/hello", HELLO),
            ("POST", "/v1/send", "[]"),
            ("GET", "/v1/sse", ""),
            ("GET", "/v1/poll", ""),
            ("POST", "/whip/demo", ""),
            ("POST", "/whep/demo", ""),
        ];
        for (method, path, body) in entrances {
            let headers = headers(&authorization, &[("origin", origin), SDP]);
            let refused = http(&server, method, path, &headers, body).await;
            assert_eq!(refused.status, 403, "{origin} {path}");
            assert_eq!(refused.header("access-control-allow-origin"), None, "{origin} {path}");
        }
    }
}

#[tokio::test]
async fn a_bad_message_is_told_and_the_session_goes_on() {
    let server = TestServer::start(|_| {}).await;
    let mut client = Client::connect(&server).await;
    client.hello().await;
    for (text, expected) in [
        ("", "malformed_message"),
        ("{", "malformed_message"),
        ("null", "malformed_message"),
        ("[]", "malformed_message"),
        ("{\"id\":1}", "malformed_message"),
        ("{\"id\":-1,\"type\":\"ping\"}", "malformed_message"),
        ("{\"id\":4294967296,\"type\":\"ping\"}", "malformed_message"),
        ("{\"type\":\"ping\"}", "malformed_message"),
        ("{\"id\":900,\"type\":\"dance\"}", "unknown_type"),
        ("{\"id\":901,\"type\":\"join\",\"room\":7}", "malformed_message"),
        ("{\"id\":902,\"type\":\"moderate\",\"action\":\"dance\"}", "malformed_message"),
        ("{\"id\":903,\"type\":\"refresh\"}", "malformed_message"),
        ("{\"id\":904,\"type\":\"refresh\",\"token\":\"x\"}", "not_joined"),
        ("{\"id\":905,\"type\":\"moderate\",\"action\":\"close_room\"}", "not_joined"),
        ("{\"id\":906,\"type\":\"join\",\"room\":\"../etc\"}", "invalid_argument"),
    ] {
        client.send_text(text).await;
        let error = client.next().await;
        assert_eq!(
            (error["type"].as_str(), error["code"].as_str()),
            (Some("error"), Some(expected)),
            "{text}"
        );
        let hello = http(&server, "POST", "/v1/hello", &[], text).await;
        assert_eq!(hello.status, 400, "{text} begins no session");
    }
    client.ok(json!({"type": "ping"})).await;
}

#[tokio::test]
async fn who_does_not_refresh_in_time_goes() {
    let (server, _node) = TestServer::with_node(with_keys).await;
    // Over already, but for the difference that clocks may have.
    let short = |identity: &str| token(&Claims { exp: unix_now() - 2, ..claims("demo", identity) });
    let mut late = connect(&server, &short("late")).await;
    late.ok(json!({"type": "join", "room": "demo"})).await;
    let mut early = connect(&server, &short("early")).await;
    early.ok(json!({"type": "join", "room": "demo"})).await;
    let expiring = early.event("token_expiring").await;
    assert!(expiring["expires_at_ms"].as_u64().unwrap() < (unix_now() + 60) * 1_000);

    let mut better = claims("demo", "early");
    better.grants = Grants { moderate: true, ..Grants::default() };
    early.ok(json!({"type": "refresh", "token": token(&better)})).await;
    assert_eq!(early.event("grants_changed").await["grants"]["moderate"], true);

    late.event("token_expiring").await;
    assert_eq!(late.event("left").await["reason"], "token_expired");
    assert_eq!(late.close_code().await.0, 4401);
    assert_eq!(early.event("participant_left").await["reason"], "token_expired");
    early.ok(json!({"type": "chat", "text": "still here"})).await;
    // What came with the connection is forgotten: a later join is by the new token.
    early.ok(json!({"type": "leave"})).await;
    let joined = early.ok(json!({"type": "join", "room": "demo"})).await;
    assert_eq!(joined["grants"]["moderate"], true);
}

#[tokio::test]
async fn a_player_over_whep_goes_with_its_token() {
    let (server, _node) = TestServer::with_node(with_keys).await;
    let short = token(&Claims { exp: unix_now() - 3, ..claims("demo", "tv") });
    let authorization = Some(format!("Bearer {short}"));
    let play = offer(&[("video", "recvonly")]);
    let made = http(&server, "POST", "/whep/demo", &headers(&authorization, &[SDP]), &play).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let location = made.header("location").unwrap();
    let gone = async {
        loop {
            let patched = http(&server, "PATCH", location, &headers(&authorization, &[]), "").await;
            if patched.status == 404 {
                break;
            }
            assert_eq!(patched.status, 415, "{}", patched.body);
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the resource should end");
}

#[tokio::test]
async fn what_is_revoked_goes_at_once_and_does_not_come_back() {
    let directory =
        std::env::temp_dir().join(format!("patchbay-access-{}-{}", std::process::id(), unix_now()));
    let keep = |config: &mut Config| {
        with_keys(config);
        config.state_dir = Some(directory.clone());
        config.drain.spread = std::time::Duration::from_millis(10);
    };
    let demo = RoomName::new("demo");
    let issued = |identity: &str, jti: &str, iat: u64| {
        token(&Claims { jti: Some(jti.into()), iat: Some(iat), ..claims("demo", identity) })
    };
    let before = unix_now() - 10;
    let (ada, ben) = (issued("ada", "a-1", before), issued("ben", "b-1", before));
    let (server, _node) = TestServer::with_node(keep).await;
    let mut by_token = connect(&server, &ada).await;
    let joined = by_token.ok(json!({"type": "join", "room": "demo"})).await;
    let mut by_identity = connect(&server, &ben).await;
    by_identity.ok(json!({"type": "join", "room": "demo"})).await;
    let door = Some(format!("Bearer {}", issued("door", "d-1", before)));
    let audio = offer(&[("audio", "sendonly")]);
    let made = http(&server, "POST", "/whip/demo", &headers(&door, &[SDP]), &audio).await;
    assert_eq!(made.status, 201, "{}", made.body);

    server.revoker.revoke_token("a-1").await.unwrap();
    assert_eq!(by_token.event("left").await["reason"], "revoked");
    assert_eq!(by_token.close_code().await.0, 4403);
    assert_eq!(by_identity.event("participant_left").await["reason"], "revoked");
    let resume = json!({"session": joined["session"], "secret": joined["secret"], "last_seq": 1});
    let mut again =
        Client::try_connect(&server, Connect { token: Some(&ada), ..Connect::default() }).await.unwrap();
    let resumed = again.refusal(json!({"type": "hello", "version": 1, "resume": resume})).await;
    assert_eq!(resumed, "session_gone", "its session is over with it");

    server.revoker.revoke_identity(Some(&demo), "ben").await.unwrap();
    assert_eq!(by_identity.event("left").await["reason"], "revoked");
    assert_eq!(by_identity.close_code().await.0, 4403);
    server.revoker.revoke_identity(None, "door").await.unwrap();
    let gone = async {
        while http(&server, "PATCH", made.header("location").unwrap(), &headers(&door, &[]), "").await.status
            != 404
        {}
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the resource should end");

    let later = issued("ben", "b-2", unix_now() + 2);
    server.stop().await;
    let (server, _node) = TestServer::with_node(keep).await;
    for revoked in [&ada, &ben, &issued("ben", "b-3", before), &token(&claims("demo", "ben"))] {
        let mut client = connect(&server, revoked).await;
        let refused = client.refusal(json!({"type": "join", "room": "demo"})).await;
        assert_eq!(refused, "token_revoked", "also after a restart");
    }
    let mut client = connect(&server, &later).await;
    client.ok(json!({"type": "join", "room": "demo"})).await;
    let refused = client.refusal(json!({"type": "refresh", "token": ben})).await;
    assert_eq!(refused, "token_revoked");
    let mut other_room = connect(&server, &token(&claims("other", "ben"))).await;
    other_room.ok(json!({"type": "join", "room": "other"})).await;
    server.stop().await;
    std::fs::remove_dir_all(&directory).unwrap();
}

#[tokio::test]
async fn keys_change_while_the_server_runs() {
    let path = std::env::temp_dir().join(format!("patchbay-keys-{}-{}", std::process::id(), unix_now()));
    let (old, new) = ("old:0123456789abcdef0123456789abcdef", "new:fedcba9876543210fedcba9876543210");
    std::fs::write(&path, old).unwrap();
    let (server, _node) = TestServer::with_node(|config| {
        config.keys = Keys::parse(old).unwrap();
        config.keys_file = Some(path.clone());
        config.keys_refresh = std::time::Duration::from_millis(20);
    })
    .await;
    let by = |keys: &str, identity: &str| sign_with(keys, &claims("demo", identity)).unwrap();
    let mut inside = connect(&server, &by(old, "ada")).await;
    inside.ok(json!({"type": "join", "room": "demo"})).await;

    let status = async |token: String| {
        let authorization = Some(format!("Bearer {token}"));
        let hello = http(&server, "POST", "/v1/hello", &headers(&authorization, &[]), HELLO).await;
        if hello.status == 200 { "welcome".to_owned() } else { code(&hello) }
    };
    assert_eq!(status(by(new, "ben")).await, "token_unknown_key");
    for (text, of_old, of_new) in [
        (format!("{new}\n{old}\n"), "welcome", "welcome"),
        (format!("{new}\n"), "token_unknown_key", "welcome"),
        // A file without keys changes nothing, and opens nothing.
        ("# empty\n".to_owned(), "token_unknown_key", "welcome"),
    ] {
        std::fs::write(&path, &text).unwrap();
        let taken = async {
            while (status(by(old, "old")).await.as_str(), status(by(new, "new")).await.as_str())
                != (of_old, of_new)
            {}
        };
        tokio::time::timeout(PATIENCE, taken).await.unwrap_or_else(|_| panic!("not taken: {text}"));
    }
    assert_eq!(status("nonsense".into()).await, "token_invalid");
    inside.ok(json!({"type": "chat", "text": "who is in stays in"})).await;
    assert_eq!(
        inside.refusal(json!({"type": "refresh", "token": by(old, "ada")})).await,
        "token_unknown_key"
    );
    inside.ok(json!({"type": "refresh", "token": by(new, "ada")})).await;
    std::fs::remove_file(&path).unwrap();
}
