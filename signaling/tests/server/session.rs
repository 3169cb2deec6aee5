//! Sessions over connections of every kind: resumed, taken over, refused and ended.

use std::collections::BTreeSet;
use std::time::Duration;

use patchbay_signaling::{OutboxLimit, Rate};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{
    Client, HttpResponse, Incoming, KEYS, Kind, Lost, PATIENCE, TestServer, Wanderer, claims, http, token,
};

const KINDS: [Kind; 3] = [Kind::Socket, Kind::Sse, Kind::Poll];

async fn joined(server: &TestServer, kind: Kind, identity: &str) -> Wanderer {
    let mut new = Wanderer::begin(server.address, kind).await;
    new.ok(json!({"type": "join", "room": "demo", "identity": identity})).await;
    new
}

/// How a connection ends.
async fn end(wanderer: &mut Wanderer) -> Lost {
    let steps = async {
        loop {
            if let Err(lost) = wanderer.step().await {
                return lost;
            }
        }
    };
    timeout(PATIENCE, steps).await.expect("the connection should end")
}

/// The next event of a type, from those that came or will come.
async fn event(wanderer: &mut Wanderer, kind: &str) -> Value {
    let find = async {
        loop {
            if let Some(at) = wanderer.events.iter().position(|event| event["type"] == kind) {
                return wanderer.events.drain(..=at).next_back().unwrap();
            }
            wanderer.step().await.unwrap();
        }
    };
    timeout(PATIENCE, find).await.expect("an event should come")
}

fn text(said: &str) -> Value {
    json!({"type": "chat", "text": said})
}

#[tokio::test]
async fn every_kind_of_connection_goes_on_where_every_other_broke() {
    let (server, _node) = TestServer::with_node(|_| {}).await;
    let (mut ada, _) = Client::join(&server, "demo", "ada").await;
    for before in KINDS {
        for after in KINDS {
            let name = format!("{before:?}-{after:?}");
            let mut wanderer = joined(&server, before, &name).await;
            let mut own = wanderer.ok(text("before")).await;
            wanderer.cut();
            ada.ok(text("meanwhile")).await;
            wanderer.connect(after).await.unwrap();
            own = if own["type"] == "chatted" { own["line"].clone() } else { own };
            assert!(own.is_object());
            wanderer.ok(text("after")).await;
            for said in ["before", "meanwhile", "after"] {
                assert_eq!(event(&mut wanderer, "chat").await["text"], said, "{name}");
            }
            // Nobody noticed.
            loop {
                let heard = ada.next().await;
                assert_ne!(heard["type"], "participant_left", "{name}");
                if heard["text"] == "after" {
                    break;
                }
            }
            wanderer.ok(json!({"type": "leave"})).await;
            assert_eq!(ada.event("participant_left").await["reason"], "left");
        }
    }
}

#[tokio::test]
async fn a_newer_connection_takes_over_whatever_the_older_is() {
    let (server, _node) = TestServer::with_node(|_| {}).await;
    for before in KINDS {
        for after in KINDS {
            let mut old = joined(&server, before, "ada").await;
            // A request that waits, as it does between messages.
            while timeout(Duration::from_millis(20), old.step()).await.is_ok() {}
            let mut new = old.twin();
            new.connect(after).await.unwrap();
            assert_eq!(end(&mut old).await, Lost::Closed(4410), "{before:?}, then {after:?}");
            new.ok(text("still here")).await;
            new.ok(json!({"type": "leave"})).await;
        }
    }
}

#[tokio::test]
async fn what_the_old_connection_over_http_still_sends_is_refused() {
    let (server, _node) = TestServer::with_node(|_| {}).await;
    let mut old = joined(&server, Kind::Poll, "ada").await;
    let mut new = old.twin();
    new.connect(Kind::Socket).await.unwrap();
    assert_eq!(old.send(text("too late")).await.1, Err(Lost::Closed(4410)));
    // It is told so by its next request for messages, too.
    assert_eq!(end(&mut old).await, Lost::Closed(4410));
    new.ok(text("the only one")).await;
    assert_eq!(event(&mut new, "chat").await["text"], "the only one");
}

#[tokio::test]
async fn a_session_that_nobody_comes_back_to_ends_after_its_window() {
    let (server, _node) =
        TestServer::with_node(|config| config.resume_window = Duration::from_millis(300)).await;
    let (mut witness, _) = Client::join(&server, "demo", "witness").await;
    let mut wanderer = joined(&server, Kind::Socket, "ada").await;
    witness.event("participant_joined").await;
    wanderer.cut();
    let left = witness.event("participant_left").await;
    assert_eq!(left["reason"], "connection_lost");
    for kind in KINDS {
        assert_eq!(wanderer.connect(kind).await, Err(Lost::Gone), "{kind:?}");
    }
    // On the same connection the client may begin anew.
    let mut client = Client::connect(&server).await;
    let resume = json!({"session": wanderer.session, "secret": wanderer.secret, "last_seq": 1});
    let gone = client.request(json!({"type": "hello", "version": 1, "resume": resume})).await;
    assert_eq!((&gone["seq"], &gone["code"]), (&json!(0), &json!("session_gone")));
    client.hello().await;
    client.ok(json!({"type": "join", "room": "demo", "identity": "ada"})).await;
}

#[tokio::test]
async fn who_says_goodbye_is_not_waited_for_and_who_goes_away_is() {
    let (server, _node) = TestServer::with_node(|_| {}).await;
    let (mut witness, _) = Client::join(&server, "demo", "witness").await;
    let mut normal = joined(&server, Kind::Socket, "normal").await;
    normal.close(1000).await;
    assert_eq!(witness.event("participant_left").await["reason"], "left");
    assert_eq!(normal.connect(Kind::Socket).await, Err(Lost::Gone));

    for code in [1001, 4408] {
        let mut away = joined(&server, Kind::Socket, "away").await;
        away.close(code).await;
        away.connect(Kind::Poll).await.unwrap();
        away.ok(text("back")).await;
        away.ok(json!({"type": "leave"})).await;
        assert_eq!(witness.event("participant_left").await["reason"], "left", "only now");
    }

    // After `leave` there is nothing to come back to, once the connection is gone.
    let mut left = joined(&server, Kind::Socket, "left").await;
    left.ok(json!({"type": "leave"})).await;
    left.cut();
    while left.connect(Kind::Socket).await != Err(Lost::Gone) {
        left.cut();
    }
}

#[tokio::test]
async fn secrets_and_numbers_that_do_not_fit_are_refused_alike() {
    let (server, _node) = TestServer::with_node(|_| {}).await;
    let wanderer = joined(&server, Kind::Socket, "ada").await;
    let other = joined(&server, Kind::Socket, "grace").await;
    let good = (wanderer.session.as_str(), wanderer.secret.as_str());
    for (session, secret, last_seq) in [
        (good.0, "", 1),
        (good.0, other.secret.as_str(), 1),
        ("nobody", good.1, 1),
        (other.session.as_str(), good.1, 1),
        (good.0, good.1, 999),
    ] {
        let resume = json!({"session": session, "secret": secret, "last_seq": last_seq});
        let hello = json!({"id": 1, "type": "hello", "version": 1, "resume": resume});
        let refused = http(&server, "POST", "/v1/hello", &[], &hello.to_string()).await;
        assert_eq!(refused.status, 401, "{hello}");
        let body: Value = serde_json::from_str(&refused.body).unwrap();
        assert_eq!(
            body,
            json!({"code": "session_gone", "message": "there is no such session; say hello and join again"})
        );
        let bearer = format!("Bearer {session}.{secret}");
        if last_seq == 1 {
            let refused = http(&server, "GET", "/v1/poll", &[("authorization", &bearer)], "").await;
            assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")));
        }
    }
    let refused = http(&server, "POST", "/v1/send", &[], "{}").await;
    assert_eq!(refused.status, 401);
    let mut wanderer = wanderer;
    wanderer.ok(text("unimpressed")).await;
}

#[tokio::test]
async fn a_session_of_another_life_of_the_server_is_gone_unless_a_room_knows_it() {
    let directory = std::env::temp_dir().join(format!("patchbay-session-{:016x}", rand::random::<u64>()));
    let state = directory.clone();
    let (server, _node) = TestServer::with_node(|config| config.state_dir = Some(state)).await;
    let wanderer = joined(&server, Kind::Socket, "ada").await;
    let resume = |epoch: u64| json!({"session": wanderer.session, "secret": wanderer.secret, "last_seq": 1, "epoch": epoch});
    let mut client = Client::connect(&server).await;
    let hello = json!({"type": "hello", "version": 1, "resume": resume(1)});
    let reply = client.request(hello).await;
    assert!(reply["code"] == "session_gone" || reply["result"]["snapshot"].is_object(), "{reply}");
    std::fs::remove_dir_all(&directory).unwrap();
}

#[tokio::test]
async fn a_slow_client_is_cut_off_and_comes_back_for_all_of_it() {
    for kind in [Kind::Sse, Kind::Poll] {
        let (server, _node) = TestServer::with_node(|config| {
            config.outbox = OutboxLimit { messages: 6_000, bytes: 256 * 1024 * 1024 };
            config.rate = Rate { per_second: 100_000, burst: 100_000 };
            config.byte_rate = Rate { per_second: 1_000_000_000, burst: 1_000_000_000 };
        })
        .await;
        let mut slow = joined(&server, kind, "slow").await;
        let (mut fast, _) = Client::join(&server, "demo", "fast").await;
        // What the sockets between them buffer is used up first.
        let padding = "x".repeat(4_000);
        let mut said = 0;
        let code = loop {
            said += 1;
            fast.ok(json!({"type": "chat", "text": format!("{said} {padding}")})).await;
            if said % 100 == 0 {
                // The session is cut off from its connection: what is sent over it is refused.
                if let (_, Err(lost)) = slow.send(json!({"type": "ping"})).await {
                    break lost;
                }
            }
            assert!(said < 20_000, "it should be cut off");
        };
        assert_eq!(code, Lost::Closed(4413), "{kind:?}");
        if kind == Kind::Poll {
            assert_eq!(end(&mut slow).await, Lost::Closed(4413));
        }
        slow.connect(Kind::Socket).await.unwrap();
        slow.ok(text("caught up")).await;
        let heard: Vec<&Value> = slow.events.iter().filter(|event| event["type"] == "chat").collect();
        let numbers: Vec<u64> = heard
            .iter()
            .filter_map(|event| event["text"].as_str()?.split(' ').next()?.parse().ok())
            .collect();
        assert_eq!(numbers, (1..=said).collect::<Vec<u64>>(), "{kind:?}");
    }
}

#[tokio::test]
async fn a_stream_tells_its_reader_why_it_ends() {
    let (server, _node) = TestServer::with_node(|_| {}).await;
    let mut ada = joined(&server, Kind::Sse, "ada").await;
    while timeout(Duration::from_millis(20), ada.step()).await.is_ok() {}
    let _again = joined(&server, Kind::Poll, "ada").await;
    assert_eq!(end(&mut ada).await, Lost::Closed(4409));
    assert_eq!(event(&mut ada, "left").await["reason"], "replaced");
    assert_eq!(ada.connect(Kind::Sse).await, Err(Lost::Gone));
}

#[tokio::test]
async fn connections_over_http_that_fall_silent_are_found() {
    for (kind, pings) in [(Kind::Sse, true), (Kind::Poll, true), (Kind::Poll, false)] {
        let (server, _node) = TestServer::with_node(|config| {
            config.timing.silence = Duration::from_millis(400);
            config.timing.ping = Duration::from_millis(100);
            config.resume_window = Duration::from_millis(200);
        })
        .await;
        let mut ada = Wanderer::begin(server.address, kind).await;
        let identities: BTreeSet<&str> = BTreeSet::from(["ada"]);
        ada.ok(json!({"type": "join", "room": "demo", "identity": "ada"})).await;
        if pings {
            ada.ok(json!({"type": "ping"})).await;
            // A request for messages stays open; nothing else is heard.
            let lost = end(&mut ada).await;
            assert_eq!(lost, Lost::Closed(4408), "{kind:?}");
        } else {
            ada.cut();
        }
        let (mut witness, joined) = Client::join(&server, "demo", "witness").await;
        let there = joined["participants"].as_array().unwrap();
        if there.iter().any(|entry| identities.contains(entry["identity"].as_str().unwrap())) {
            // The witness has nothing to say, but its heart beats.
            let left = witness.event("participant_left").await;
            assert_eq!(left["reason"], "connection_lost", "{kind:?}");
        }
    }
}

fn json_of(response: &HttpResponse) -> Value {
    serde_json::from_str(&response.body).unwrap_or_else(|_| panic!("no JSON: {response:?}"))
}

#[tokio::test]
async fn polls_wait_and_streams_are_made_for_proxies() {
    let (server, _node) =
        TestServer::with_node(|config| config.timing.ping = Duration::from_millis(50)).await;
    let ada = joined(&server, Kind::Poll, "ada").await;
    let bearer = ada.authorization();
    let last = ada.last_seq.to_string();
    let headers = [("authorization", bearer.as_str()), ("last-event-id", last.as_str())];
    let empty = http(&server, "GET", "/v1/poll?wait_ms=50", &headers, "").await;
    assert_eq!((empty.status, empty.body.as_str()), (204, ""));
    let ahead = http(&server, "GET", "/v1/poll", &[headers[0], ("last-event-id", "9999")], "").await;
    assert_eq!((ahead.status, json_of(&ahead)["code"].clone()), (400, json!("invalid_argument")));
    let odd = http(&server, "GET", "/v1/poll?wait_ms=soon", &headers, "").await;
    assert_eq!(odd.status, 400);

    let ping = r#"{"id":70,"type":"ping"}"#;
    assert_eq!(http(&server, "POST", "/v1/send", &headers, ping).await.status, 202);
    let address = server.address;
    let request = format!(
        "GET /v1/sse HTTP/1.1\r\nhost: {address}\r\nauthorization: {bearer}\r\nlast-event-id: {last}\r\n\r\n"
    );
    let mut stream = Incoming::request(address, &request).await.unwrap();
    let comments = async {
        while !stream.text().ends_with("\n\n:\n\n:\n\n") {
            stream.step().await.unwrap();
        }
    };
    timeout(PATIENCE, comments).await.expect("a silent stream should show that it lives");
    let head = stream.head.clone().unwrap();
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert_eq!(head.header("cache-control"), Some("no-store, no-transform"));
    assert_eq!(head.header("x-accel-buffering"), Some("no"));
    assert_eq!(head.header("content-encoding"), None);
    let text = stream.text();
    let (padding, rest) = text.split_once("\n\n").unwrap();
    assert!(padding.starts_with(':') && padding.len() > 2_048);
    assert!(rest.starts_with("id: 3\ndata: {\"seq\":3,"), "{rest}");
}

#[tokio::test]
async fn what_is_sent_over_http_is_held_to_the_same_bounds() {
    let (server, _node) =
        TestServer::with_node(|config| config.rate = Rate { per_second: 1, burst: 6 }).await;
    let mut ada = joined(&server, Kind::Poll, "ada").await;
    let bearer = ada.authorization();
    let headers = [("authorization", bearer.as_str())];
    let send = async |body: String| http(&server, "POST", "/v1/send", &headers, &body).await;
    for (body, status, code) in [
        ("[".to_owned(), 400, "malformed_message"),
        (format!("[{}]", "x".repeat(100)), 400, "malformed_message"),
        ("x".repeat(1024 * 1024 + 1), 413, "message_too_large"),
    ] {
        let refused = send(body).await;
        assert_eq!((refused.status, json_of(&refused)["code"].clone()), (status, json!(code)));
    }
    // Several at once, in order; one that can't be read hurts no other.
    let several = json!([{"id": 70, "type": "chat", "text": "one"}, {"id": 71}, {"id": 72, "type": "chat", "text": "two"}]);
    let taken = send(several.to_string()).await;
    assert_eq!((taken.status, taken.body.as_str()), (202, ""));
    for said in ["one", "two"] {
        assert_eq!(event(&mut ada, "chat").await["text"], said);
    }
    let mut refused = send(json!({"id": 73, "type": "ping"}).to_string()).await;
    while refused.status == 202 {
        refused = send(json!({"id": 73, "type": "ping"}).to_string()).await;
    }
    assert_eq!(refused.status, 429);
    assert!(refused.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    let body = json_of(&refused);
    assert_eq!(body["code"], "rate_limited");
    assert!(body["retry_after_ms"].as_u64().unwrap() <= 1_000);
}

#[tokio::test]
async fn hello_over_http_says_what_is_wrong() {
    let (server, _node) = TestServer::with_node(|config| config.max_connections = 1).await;
    for (body, status, code) in [
        ("nonsense", 400, "malformed_message"),
        (r#"{"id":1,"type":"ping"}"#, 400, "hello_expected"),
        (r#"{"id":1,"type":"hello","version":7}"#, 400, "unsupported_version"),
    ] {
        let refused = http(&server, "POST", "/v1/hello", &[], body).await;
        assert_eq!((refused.status, json_of(&refused)["code"].clone()), (status, json!(code)), "{body}");
    }
    let hello = r#"{"id":1,"type":"hello","version":1}"#;
    let welcome = http(&server, "POST", "/v1/hello", &[], hello).await;
    assert_eq!((welcome.status, welcome.header("content-type")), (200, Some("application/json")));
    let full = http(&server, "POST", "/v1/hello", &[], hello).await;
    assert_eq!((full.status, json_of(&full)["code"].clone()), (503, json!("overloaded")));
    assert!(full.header("retry-after").is_some());
}

#[tokio::test]
async fn pages_of_other_origins_are_kept_out_and_allowed_ones_told() {
    let (server, _node) =
        TestServer::with_node(|config| config.allowed_origins = vec!["https://example.org".into()]).await;
    for (method, path) in
        [("POST", "/v1/hello"), ("POST", "/v1/send"), ("GET", "/v1/sse"), ("GET", "/v1/poll")]
    {
        let evil = http(&server, method, path, &[("origin", "https://evil.example")], "{}").await;
        assert_eq!(evil.status, 403, "{path}");
        let asked = http(&server, "OPTIONS", path, &[("origin", "https://example.org")], "").await;
        assert_eq!(asked.status, 204);
        assert_eq!(asked.header("access-control-allow-origin"), Some("https://example.org"));
        assert_eq!(
            asked.header("access-control-allow-headers"),
            Some("Authorization, Content-Type, Last-Event-ID")
        );
        let refused = http(&server, method, path, &[("origin", "https://example.org")], "").await;
        assert_eq!(refused.header("access-control-allow-origin"), Some("https://example.org"));
    }
}

#[tokio::test]
async fn a_token_comes_with_hello_over_http() {
    let keys = patchbay_signaling::Keys::parse(KEYS).unwrap();
    let (server, _node) = TestServer::with_node(|config| config.keys = keys).await;
    let hello = r#"{"id":1,"type":"hello","version":1}"#;
    let bearer = format!("Bearer {}", token(&claims("demo", "ada")));
    let welcome = http(&server, "POST", "/v1/hello", &[("authorization", &bearer)], hello).await;
    let welcome = json_of(&welcome)[0]["result"].clone();
    let session =
        format!("Bearer {}.{}", welcome["session"].as_str().unwrap(), welcome["secret"].as_str().unwrap());
    let headers = [("authorization", session.as_str()), ("last-event-id", "1")];
    let join = r#"{"id":2,"type":"join","room":"demo"}"#;
    assert_eq!(http(&server, "POST", "/v1/send", &headers, join).await.status, 202);
    let joined = http(&server, "GET", "/v1/poll", &headers, "").await;
    let joined = json_of(&joined)[0]["result"].clone();
    assert_eq!(joined["participant"]["identity"], "ada");
    assert_eq!((&joined["session"], &joined["secret"]), (&welcome["session"], &welcome["secret"]));
}

#[tokio::test]
async fn one_that_reads_nothing_holds_up_nobody() {
    let (server, _node) = TestServer::with_node(|config| {
        config.rate = Rate { per_second: 100_000, burst: 100_000 };
        config.byte_rate = Rate { per_second: 1_000_000_000, burst: 1_000_000_000 };
    })
    .await;
    let mut stuck = joined(&server, Kind::Sse, "stuck").await;
    // The stream is open, and from here on nobody reads it.
    while timeout(Duration::from_millis(20), stuck.step()).await.is_ok() {}
    let (mut ada, _) = Client::join(&server, "demo", "ada").await;
    let padding = "x".repeat(4_000);
    for count in 0..2_000 {
        ada.ok(json!({"type": "chat", "text": format!("{count} {padding}")})).await;
    }
    let (mut grace, joined) = Client::join(&server, "demo", "grace").await;
    assert_eq!(joined["participants"].as_array().unwrap().len(), 2);
    grace.ok(text("as ever")).await;
}
