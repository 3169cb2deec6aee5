//! Connections: who may open one, what is refused and how, and how they end.

use std::time::Duration;

use crate::support::{Client, Connect, KEYS, TestServer, claims, http, offer, token, unix_now};
use futures_util::SinkExt;
use patchbay_protocol::{Claims, Grants, Source};
use patchbay_signaling::{Keys, OutboxLimit, Rate, Server, StartError};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn hello_is_first_and_its_version_counts() {
    let (server, _node) = TestServer::with_node(|_| {}).await;
    let mut client = Client::connect(&server).await;
    assert_eq!(client.refusal(json!({"type": "join", "room": "demo"})).await, "hello_expected");
    let welcome = client.ok(json!({"type": "hello", "version": 1, "client": "test"})).await;
    assert_eq!((&welcome["type"], &welcome["version"]), (&json!("welcome"), &json!(1)));
    assert_eq!(client.refusal(json!({"type": "hello", "version": 1})).await, "already_joined");

    let mut stranger = Client::connect(&server).await;
    assert_eq!(stranger.refusal(json!({"type": "hello", "version": 2})).await, "unsupported_version");
    assert_eq!(stranger.close_code().await.0, 4400);
}

#[tokio::test]
async fn who_says_no_hello_or_nothing_is_cut_off() {
    let (server, _node) = TestServer::with_node(|config| {
        config.timing.hello = Duration::from_millis(200);
    })
    .await;
    let mut client = Client::connect(&server).await;
    assert_eq!(client.close_code().await.0, 4400);
}

#[tokio::test]
async fn half_open_connections_are_found_and_their_participants_leave() {
    let (server, _node) = TestServer::with_node(|config| {
        config.timing.ping = Duration::from_millis(100);
        config.timing.silence = Duration::from_millis(700);
        config.resume_window = Duration::from_millis(100);
    })
    .await;
    // A client that reads (and so answers pings) stays; one that does neither goes.
    let (mut watcher, _) = Client::join(&server, "demo", "watcher").await;
    let (silent, joined) = Client::join(&server, "demo", "silent").await;
    let left = watcher.event("participant_left").await;
    assert_eq!(left["participant"], joined["participant"]["number"]);
    assert_eq!(left["reason"], "connection_lost");
    drop(silent);
}

#[tokio::test]
async fn malformed_messages_get_their_codes_and_the_session_goes_on() {
    let (server, _node) = TestServer::with_node(|_| {}).await;
    let (mut client, _) = Client::join(&server, "demo", "ada").await;
    for (text, code) in [
        ("{", "malformed_message"),
        ("[]", "malformed_message"),
        ("null", "malformed_message"),
        (r#"{"type":"ping"}"#, "malformed_message"),
        (r#"{"id":"x","type":"ping"}"#, "malformed_message"),
        (r#"{"id":90,"type":"dance"}"#, "unknown_type"),
        (r#"{"id":91,"type":"mute","track":"x"}"#, "malformed_message"),
        (r#"{"id":92}"#, "malformed_message"),
    ] {
        client.send_text(text).await;
        let error = client.next().await;
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)), "{text}");
    }
    client.socket.send(Message::binary(vec![0, 1, 2])).await.unwrap();
    assert_eq!(client.next().await["code"], "malformed_message");
    client.send_text("x".repeat(600 * 1024)).await;
    assert_eq!(client.next().await["code"], "message_too_large");
    assert_eq!(client.ok(json!({"type": "chat", "text": "still here"})).await["type"], "chatted");
}

#[tokio::test]
async fn a_message_over_the_hard_limit_ends_the_connection() {
    let (server, _node) = TestServer::with_node(|_| {}).await;
    let mut client = Client::connect(&server).await;
    client.hello().await;
    let _ = client.socket.send(Message::text("x".repeat(1024 * 1024 + 1))).await;
    assert_eq!(client.close_code().await.0, 1009);
}

#[tokio::test]
async fn garbage_and_mutations_hurt_nobody() {
    let (server, _node) =
        TestServer::with_node(|config| config.rate = Rate { per_second: 1_000_000, burst: 1_000_000 }).await;
    let (mut bystander, _) = Client::join(&server, "demo", "bystander").await;
    let golden = include_str!("../../../protocol/golden/client.json");
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for round in 0..4 {
        let (mut client, _) = Client::join(&server, "demo", &format!("chaos-{round}")).await;
        for _ in 0..400 {
            let lines: Vec<&str> = golden.lines().collect();
            let mut bytes = lines[random(lines.len())].as_bytes().to_vec();
            for _ in 0..=random(4) {
                let at = random(bytes.len());
                match random(3) {
                    0 => bytes[at] = (random(94) + 33) as u8,
                    1 => bytes.truncate(at.max(1)),
                    _ => bytes.insert(at, b"\"{}[],:0-"[random(9)]),
                }
            }
            client.send_text(String::from_utf8_lossy(&bytes).into_owned()).await;
        }
        // Valid messages out of their files' wrapping, in any order and with ids that repeat.
        for _ in 0..100 {
            let entries: Vec<serde_json::Value> = serde_json::from_str(golden).unwrap();
            let mut message = entries[random(entries.len())]["message"].clone();
            if message["type"] == "leave" || message["type"] == "hello" {
                continue;
            }
            message["id"] = json!(1000 + random(50));
            client.send_text(message.to_string()).await;
        }
        client.send_text(r#"{"id":777777,"type":"ping"}"#).await;
        while client.read().await["id"] != json!(777_777) {}
    }
    bystander.ok(json!({"type": "chat", "text": "unhurt"})).await;
}

#[tokio::test]
async fn origins_and_subprotocols_are_checked_before_the_upgrade() {
    let (server, _node) =
        TestServer::with_node(|config| config.allowed_origins = vec!["https://example.org".into()]).await;
    let own = format!("http://{}", server.address);
    for (origin, expected) in [
        (own.as_str(), Ok(())),
        ("https://example.org", Ok(())),
        ("https://evil.example", Err(403)),
        ("null", Err(403)),
    ] {
        let connect = Connect { origin: Some(origin), ..Connect::default() };
        assert_eq!(Client::try_connect(&server, connect).await.map(|_| ()), expected, "{origin}");
    }
    let rebound =
        Connect { origin: Some("http://evil.example"), host: Some("evil.example"), ..Connect::default() };
    assert_eq!(Client::try_connect(&server, rebound).await.map(|_| ()), Err(403));
    let future = Connect { protocols: Some("patchbay.v9"), ..Connect::default() };
    assert_eq!(Client::try_connect(&server, future).await.map(|_| ()), Err(400));
    let none = Connect { protocols: Some(""), ..Connect::default() };
    assert!(Client::try_connect(&server, none).await.is_ok());
}

#[tokio::test]
async fn a_full_server_refuses_before_the_upgrade() {
    let (server, _node) = TestServer::with_node(|config| config.max_connections = 2).await;
    let first = Client::connect(&server).await;
    let _second = Client::connect(&server).await;
    assert_eq!(Client::try_connect(&server, Connect::default()).await.map(|_| ()), Err(503));
    let headers = [
        ("upgrade", "websocket"),
        ("connection", "upgrade, close"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let refused = http(&server, "GET", "/v1/ws", &headers, "").await;
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    first.drop_connection();
    loop {
        match Client::try_connect(&server, Connect::default()).await {
            Ok(_) => break,
            Err(status) => assert_eq!(status, 503),
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_repeated_id_is_not_done_twice_and_has_one_reply() {
    let (server, _node) = TestServer::with_node(|_| {}).await;
    let (mut client, _) = Client::join(&server, "demo", "ada").await;
    let line = r#"{"id":500,"type":"chat","text":"once"}"#;
    client.send_text(line).await;
    client.reply(500).await;
    client.send_text(line).await;
    client.ok(json!({"type": "chat", "text": "last"})).await;
    let mut heard = Vec::new();
    while heard.last() != Some(&json!("last")) {
        let message = client.next().await;
        assert_ne!(message["id"], json!(500), "{message}");
        if message["type"] == "chat" {
            heard.push(message["text"].clone());
        }
    }
    assert_eq!(heard, ["once", "last"]);
}

#[tokio::test]
async fn too_many_messages_are_refused_with_a_hint() {
    let (server, _node) =
        TestServer::with_node(|config| config.rate = Rate { per_second: 1, burst: 5 }).await;
    let mut client = Client::connect(&server).await;
    client.hello().await;
    let mut refused = None;
    for _ in 0..10 {
        let reply = client.request(json!({"type": "ping"})).await;
        if reply["type"] == "error" {
            refused = Some(reply);
        }
    }
    let refused = refused.expect("ten messages at once are too many here");
    assert_eq!(refused["code"], "rate_limited");
    assert!(refused["retry_after_ms"].as_u64().unwrap() <= 1_000);
}

#[tokio::test]
async fn who_never_listens_to_reason_is_closed() {
    let (server, _node) =
        TestServer::with_node(|config| config.rate = Rate { per_second: 1, burst: 1 }).await;
    let mut client = Client::connect(&server).await;
    for _ in 0..1_100 {
        if client.socket.send(Message::text(r#"{"id":1,"type":"ping"}"#)).await.is_err() {
            break;
        }
    }
    assert_eq!(client.close_code().await.0, 4429);
}

#[tokio::test]
async fn a_slow_consumer_is_cut_off_and_delays_nobody() {
    let (server, _node) = TestServer::with_node(|config| {
        config.outbox = OutboxLimit { messages: 512, bytes: 1024 * 1024 };
        config.resume_window = Duration::from_millis(100);
        // However long it takes to fill the sockets, silence is not what ends it.
        config.timing.silence = Duration::from_secs(600);
        config.rate = Rate { per_second: 100_000, burst: 100_000 };
        config.byte_rate = Rate { per_second: 1_000_000_000, burst: 1_000_000_000 };
    })
    .await;
    let (mut slow, joined) = Client::join(&server, "demo", "slow").await;
    let number = joined["participant"]["number"].clone();
    let (mut fast, _) = Client::join(&server, "demo", "fast").await;
    // The slow one reads nothing: what the sockets between buffer is used up first, then its outbox.
    let text = "x".repeat(4_000);
    let mut has_left = false;
    for _ in 0..500 {
        let mut waiting = Vec::new();
        for _ in 0..40 {
            waiting.push(json!(fast.send(json!({"type": "chat", "text": text})).await));
        }
        while !waiting.is_empty() {
            let message = fast.read().await;
            has_left |= message["type"] == "participant_left" && message["participant"] == number;
            waiting.retain(|id| message["id"] != *id);
        }
        if has_left {
            break;
        }
    }
    assert!(has_left, "the slow one should be cut off");
    assert_eq!(slow.close_code().await.0, 4413);
}

#[tokio::test]
async fn tokens_are_checked_at_the_join() {
    let (server, _node) = TestServer::with_node(|config| config.keys = Keys::parse(KEYS).unwrap()).await;
    let good = claims("demo", "ada");
    let stranger = Keys::parse("main:another secret of some length").unwrap().mint(&good, None).unwrap();
    let cases = [
        (None, "token_missing"),
        (Some("nonsense".to_owned()), "token_invalid"),
        (Some(stranger), "token_invalid"),
        (Some(token(&Claims { exp: unix_now() - 60, ..good.clone() })), "token_expired"),
        (Some(token(&Claims { nbf: Some(unix_now() + 50), ..good.clone() })), "token_not_yet_valid"),
    ];
    for (given, code) in cases {
        let connect = Connect { token: given.as_deref(), ..Connect::default() };
        let mut client = Client::try_connect(&server, connect).await.unwrap();
        client.hello().await;
        assert_eq!(client.refusal(json!({"type": "join", "room": "demo"})).await, code);
        assert_eq!(client.close_code().await.0, 4401, "{code}");
    }

    let good = token(&good);
    for connect in [
        Connect { token: Some(&good), ..Connect::default() },
        Connect { bearer: Some(&good), ..Connect::default() },
    ] {
        let mut client = Client::try_connect(&server, connect).await.unwrap();
        client.hello().await;
        assert_eq!(client.refusal(json!({"type": "join", "room": "other"})).await, "wrong_room");
        let joined = client.ok(json!({"type": "join", "room": "demo", "identity": "somebody else"})).await;
        assert_eq!(joined["participant"]["identity"], "ada", "the token's identity wins");
        client.ok(json!({"type": "leave"})).await;
    }
}

#[tokio::test]
async fn grants_hold() {
    let (server, _node) = TestServer::with_node(|config| config.keys = Keys::parse(KEYS).unwrap()).await;
    let grants =
        Grants { publish: vec![Source::Microphone], subscribe: false, data: false, ..Grants::default() };
    let mut limited = claims("demo", "limited");
    (limited.grants, limited.name) = (grants, Some("Fixed".into()));
    let limited = token(&limited);
    let mut client =
        Client::try_connect(&server, Connect { token: Some(&limited), ..Connect::default() }).await.unwrap();
    client.hello().await;
    let sdp = offer(&[("audio", "sendrecv")]);
    let join = |extra: serde_json::Value| {
        let mut offer = json!({"sdp": sdp});
        offer.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({"type": "join", "room": "demo", "name": "Mine", "offer": offer})
    };
    let camera = join(json!({"publications": [{"mid": "0", "source": "camera"}]}));
    assert_eq!(client.refusal(camera).await, "not_allowed");
    let slot = join(json!({"slots": [{"mid": "0", "source": {"speaker": 1}}]}));
    assert_eq!(client.refusal(slot).await, "not_allowed");
    let joined = client.ok(join(json!({"publications": [{"mid": "0", "source": "microphone"}]}))).await;
    assert_eq!(joined["participant"]["name"], "Fixed");
    assert_eq!(joined["grants"]["subscribe"], false);
    assert_eq!(client.refusal(json!({"type": "chat", "text": "hi"})).await, "not_allowed");
    assert_eq!(
        client.refusal(json!({"type": "slot", "mid": "0", "source": {"speaker": 1}})).await,
        "not_allowed"
    );
    assert_eq!(client.refusal(json!({"type": "update", "name": "Other"})).await, "not_allowed");

    // Somebody hidden sees all and is seen by nobody.
    let mut hidden = claims("demo", "ghost");
    hidden.grants.hidden = true;
    let hidden = token(&hidden);
    let mut ghost =
        Client::try_connect(&server, Connect { token: Some(&hidden), ..Connect::default() }).await.unwrap();
    ghost.hello().await;
    let joined = ghost.ok(json!({"type": "join", "room": "demo"})).await;
    assert_eq!(joined["participants"].as_array().unwrap().len(), 1);
    client.ok(json!({"type": "update", "hand_raised": true})).await;
    assert_eq!(ghost.event("participant_updated").await["participant"]["identity"], "limited");
    ghost.ok(json!({"type": "leave"})).await;
    let plain = token(&claims("demo", "plain"));
    let mut plain =
        Client::try_connect(&server, Connect { token: Some(&plain), ..Connect::default() }).await.unwrap();
    plain.hello().await;
    plain.ok(json!({"type": "join", "room": "demo"})).await;
    assert_eq!(client.next().await["participant"]["identity"], "plain", "the first that is heard of anybody");
}

#[tokio::test]
async fn an_open_server_listens_on_loopback_only() {
    let mut config = patchbay_signaling::Config::new("0.0.0.0:0".parse().unwrap());
    assert!(matches!(Server::bind(config.clone()).await.err(), Some(StartError::Open(_))));
    config.insecure_open = true;
    assert!(Server::bind(config.clone()).await.is_ok());
    config.insecure_open = false;
    config.keys = Keys::parse(KEYS).unwrap();
    assert!(Server::bind(config).await.is_ok());
}

#[tokio::test]
async fn a_server_that_stops_says_so() {
    let (server, _node) = TestServer::with_node(|_| {}).await;
    let (mut member, _) = Client::join(&server, "demo", "ada").await;
    let mut visitor = Client::connect(&server).await;
    visitor.hello().await;
    let stopping = tokio::spawn(server.stop());
    let (code, messages) = member.close_code().await;
    assert_eq!(code, 1001);
    assert_eq!(messages.last().unwrap()["reason"], "shutdown");
    assert_eq!(visitor.close_code().await.0, 1001);
    drop((member, visitor));
    stopping.await.unwrap();
}
