//! The server's API over real HTTP: every operation, who may, and what happens in rooms.

use patchbay_protocol::NodeName;
use patchbay_protocol::node::NodeCommand;
use patchbay_signaling::{ApiClaims, Keys, SCOPES};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{
    Client, Connect, HttpResponse, KEYS, PATIENCE, TestServer, claims, http, token, unix_now,
};

fn api_token(scopes: &[&str]) -> String {
    let claims = ApiClaims {
        api: scopes.iter().map(|&scope| scope.to_owned()).collect(),
        exp: unix_now() + 600,
        nbf: None,
        iat: None,
        jti: Some("an-api-token".into()),
    };
    Keys::parse(KEYS).unwrap().mint_api(&claims, None).unwrap()
}

async fn ask_as(
    server: &TestServer,
    token: Option<&str>,
    method: &str,
    path: &str,
    body: &str,
) -> HttpResponse {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![];
    if let Some(bearer) = &bearer {
        headers.push(("authorization", bearer.as_str()));
    }
    if !body.is_empty() {
        headers.push(("content-type", "application/json"));
    }
    http(server, method, path, &headers, body).await
}

/// An answer of an open server, and its body as JSON.
async fn ask(server: &TestServer, method: &str, path: &str, body: Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let response = ask_as(server, None, method, path, &body).await;
    let json = serde_json::from_str(&response.body).unwrap_or(Value::Null);
    (response.status, json)
}

async fn get(server: &TestServer, path: &str) -> Value {
    let (status, body) = ask(server, "GET", path, Value::Null).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

async fn refusal(server: &TestServer, method: &str, path: &str, body: Value) -> (u16, String) {
    let (status, body) = ask(server, method, path, body).await;
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

/// Every operation with something that reads well, and the scope it needs.
fn operations() -> Vec<(&'static str, &'static str, &'static str, &'static str)> {
    let who = "/v1/rooms/demo/participants/ada";
    let leak = |path: String| -> &'static str { Box::leak(path.into_boxed_str()) };
    vec![
        ("GET", "/v1/rooms", "", "rooms:read"),
        ("POST", "/v1/rooms", r#"{"room":"demo"}"#, "rooms:write"),
        ("GET", "/v1/rooms/demo", "", "rooms:read"),
        ("PATCH", "/v1/rooms/demo", "{}", "rooms:write"),
        ("GET", "/v1/rooms/demo/tracks", "", "rooms:read"),
        ("DELETE", "/v1/rooms/demo/bans/eve", "", "rooms:write"),
        ("GET", "/v1/rooms/demo/participants", "", "rooms:read"),
        ("GET", who, "", "rooms:read"),
        ("PATCH", who, "{}", "rooms:write"),
        ("DELETE", who, "", "rooms:write"),
        ("POST", leak(format!("{who}/mute")), r#"{"source":"camera","muted":true}"#, "rooms:write"),
        ("POST", leak(format!("{who}/admit")), "", "rooms:write"),
        ("POST", leak(format!("{who}/deny")), "", "rooms:write"),
        ("POST", leak(format!("{who}/rpc")), r#"{"method":"m"}"#, "data"),
        ("GET", "/v1/rooms/demo/chat", "", "rooms:read"),
        ("POST", "/v1/rooms/demo/chat", r#"{"text":"hello"}"#, "data"),
        ("POST", "/v1/rooms/demo/data", r#"{"topic":"t","text":"x","to":["nobody"]}"#, "data"),
        ("POST", "/v1/tokens", r#"{"room":"demo","identity":"ada"}"#, "tokens"),
        ("POST", "/v1/revocations", r#"{"identity":"eve"}"#, "tokens"),
        ("GET", "/v1/status", "", "status"),
        ("GET", "/v1/events?types=none", "", "events"),
        ("DELETE", "/v1/rooms/demo", "", "rooms:write"),
    ]
}

#[tokio::test]
async fn every_operation_needs_its_scope() {
    let (server, _node) = TestServer::with_node(|config| config.keys = Keys::parse(KEYS).unwrap()).await;
    for (method, path, body, scope) in operations() {
        let missing = ask_as(&server, None, method, path, body).await;
        assert_eq!(missing.status, 401, "{method} {path}");
        assert!(missing.body.contains("token_missing") && missing.header("www-authenticate").is_some());
        let others: Vec<&str> = SCOPES.into_iter().filter(|other| *other != scope).collect();
        let refused = ask_as(&server, Some(&api_token(&others)), method, path, body).await;
        assert_eq!(refused.status, 403, "{method} {path} with {others:?}");
        assert!(refused.body.contains("not_allowed"), "{}", refused.body);
        for scopes in [&[scope][..], &["*"]] {
            let allowed = ask_as(&server, Some(&api_token(scopes)), method, path, body).await;
            let expected: &[u16] = match path {
                "/v1/rooms" if method == "POST" => &[200, 201],
                "/v1/tokens" => &[201],
                "/v1/events?types=none" => &[400],
                _ if path.contains("/participants/ada") => &[404],
                "/v1/rooms/demo/data" => &[422],
                // The room is closed by then.
                "/v1/rooms/demo" if method == "DELETE" && scopes == ["*"] => &[204, 404],
                _ => &[200, 204],
            };
            assert!(
                expected.contains(&allowed.status),
                "{method} {path}: {} {}",
                allowed.status,
                allowed.body
            );
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn tokens_fail_with_their_codes() {
    let (server, _node) = TestServer::with_node(|config| config.keys = Keys::parse(KEYS).unwrap()).await;
    let keys = |text: &str| Keys::parse(text).unwrap();
    let with = |exp, nbf| ApiClaims { api: vec!["*".into()], exp, nbf, iat: None, jti: Some("j".into()) };
    let good = with(unix_now() + 60, None);
    let cases = [
        (keys(KEYS).mint_api(&with(unix_now() - 60, None), None).unwrap(), 401, "token_expired"),
        (
            keys(KEYS).mint_api(&with(unix_now() + 600, Some(unix_now() + 300)), None).unwrap(),
            401,
            "token_not_yet_valid",
        ),
        (keys("main:another-secret-another-secret").mint_api(&good, None).unwrap(), 401, "token_invalid"),
        (
            keys("other:0123456789abcdef0123456789abcdef").mint_api(&good, None).unwrap(),
            401,
            "token_unknown_key",
        ),
        ("eyJhbGciOiJub25lIn0.e30.".into(), 401, "token_wrong_algorithm"),
        ("nonsense".into(), 401, "token_invalid"),
        // A participant's token opens a room, and nothing of the API.
        (token(&claims("demo", "ada")), 403, "not_allowed"),
    ];
    for (token, status, code) in cases {
        let response = ask_as(&server, Some(&token), "GET", "/v1/rooms", "").await;
        assert_eq!(response.status, status, "{code}");
        assert!(response.body.contains(code), "{code}: {}", response.body);
    }
    // And the API's opens no room.
    let mut client =
        Client::try_connect(&server, Connect { token: Some(&api_token(&["*"])), ..Connect::default() })
            .await
            .unwrap();
    client.hello().await;
    assert_eq!(client.refusal(json!({"type": "join", "room": "demo"})).await, "token_invalid");
    let good = api_token(&["*"]);
    let revoke = r#"{"jti":"an-api-token"}"#;
    assert_eq!(ask_as(&server, Some(&good), "POST", "/v1/revocations", revoke).await.status, 204);
    let revoked = ask_as(&server, Some(&good), "GET", "/v1/rooms", "").await;
    assert!(revoked.status == 401 && revoked.body.contains("token_revoked"));
    server.stop().await;
}

#[tokio::test]
async fn an_open_server_has_an_api_for_its_own_machine() {
    let (server, _node) = TestServer::with_node(|_| {}).await;
    get(&server, "/v1/rooms").await;
    for (name, value) in [("origin", "https://example.org"), ("host", "evil.example")] {
        let response = http(&server, "GET", "/v1/rooms", &[(name, value)], "").await;
        assert_eq!(response.status, 403, "{name}: {value}");
    }
    server.stop().await;
    let (server, _node) = TestServer::with_node(|config| {
        config.listen = "0.0.0.0:0".parse().unwrap();
        config.insecure_open = true;
    })
    .await;
    assert_eq!(http(&server, "GET", "/v1/rooms", &[("host", "127.0.0.1")], "").await.status, 403);
    server.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_said_in_one_shape() {
    let (server, _node) = TestServer::with_node(|_| {}).await;
    let cases = [
        ("GET", "/v1/rooms/none", "", 404, "unknown_room"),
        ("GET", "/v1/rooms/a/b/c", "", 404, "unknown_path"),
        ("GET", "/v1/rooms/.hidden", "", 400, "invalid_argument"),
        ("GET", "/v1/rooms?limit=0", "", 400, "invalid_argument"),
        ("GET", "/v1/rooms?limit=x", "", 400, "invalid_argument"),
        ("PUT", "/v1/rooms", "", 405, "method_not_allowed"),
        ("POST", "/v1/rooms", "{", 400, "malformed_message"),
        ("POST", "/v1/rooms", r#"{"room":"demo","colour":"red"}"#, 422, "invalid_argument"),
        ("POST", "/v1/rooms", r#"{"room":"demo","max_participants":0}"#, 400, "invalid_argument"),
        ("POST", "/v1/rooms", r#"{"room":"demo","empty_timeout_s":0}"#, 400, "invalid_argument"),
        ("POST", "/v1/revocations", "{}", 400, "invalid_argument"),
        ("POST", "/v1/tokens", r#"{"room":"demo","identity":"ada"}"#, 409, "no_keys"),
        ("GET", "/v1/events?types=cinema", "", 400, "invalid_argument"),
    ];
    for (method, path, body, status, code) in cases {
        let response = ask_as(&server, None, method, path, body).await;
        let json: Value = serde_json::from_str(&response.body).unwrap_or_default();
        assert_eq!((response.status, json["code"].as_str()), (status, Some(code)), "{method} {path} {body}");
        assert!(!json["message"].as_str().unwrap().is_empty());
        assert_eq!(response.header("content-type"), Some("application/json"));
    }
    let plain = http(&server, "POST", "/v1/rooms", &[("content-type", "text/plain")], "{}").await;
    assert!(plain.status == 415 && plain.body.contains("unsupported_media_type"));
    let large = format!(r#"{{"room":"{}"}}"#, "x".repeat(500_000));
    let large = ask_as(&server, None, "POST", "/v1/rooms", &large).await;
    assert!(large.status == 413 && large.body.contains("message_too_large"));
    let put = ask_as(&server, None, "PUT", "/v1/rooms", "").await;
    assert_eq!(put.header("allow"), Some("GET,HEAD,POST"));
    let document = get(&server, "/v1/openapi.json").await;
    assert!(document["paths"]["/v1/rooms"]["get"].is_object());
    server.stop().await;
}

#[tokio::test]
async fn requests_have_a_rate() {
    let (server, _node) = TestServer::with_node(|config| config.api_rate.burst = 3).await;
    for _ in 0..3 {
        get(&server, "/v1/rooms").await;
    }
    let mut refused = None;
    for _ in 0..200 {
        let response = ask_as(&server, None, "GET", "/v1/rooms", "").await;
        if response.status == 429 {
            refused = Some(response);
            break;
        }
    }
    let refused = refused.expect("200 requests in a row should be more than 100 a second");
    assert!(refused.body.contains("rate_limited") && refused.body.contains("retry_after_ms"));
    assert!(refused.header("retry-after").is_some());
    server.stop().await;
}

#[tokio::test]
async fn rooms_are_made_changed_listed_and_closed() {
    let (server, _node) =
        TestServer::with_node(|config| config.room_linger = std::time::Duration::from_millis(1)).await;
    let new = json!({"room": "demo", "metadata": {"a": 1}, "attributes": {"k": "v"}, "max_participants": 2});
    let (status, room) = ask(&server, "POST", "/v1/rooms", new.clone()).await;
    assert_eq!((status, &room["room"], &room["metadata"]["a"]), (201, &json!("demo"), &json!(1)));
    assert_eq!((&room["max_participants"], &room["empty_timeout_s"]), (&json!(2), &json!(300)));
    assert_eq!(ask(&server, "POST", "/v1/rooms", new).await.0, 200, "it is there already");
    for name in ["alpha", "beta", "gamma"] {
        ask(&server, "POST", "/v1/rooms", json!({"room": name})).await;
    }
    let first = get(&server, "/v1/rooms?limit=2").await;
    let names = |list: &Value| -> Vec<String> {
        list["items"].as_array().unwrap().iter().map(|it| it["room"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((names(&first), &first["next"]), (vec!["alpha".into(), "beta".into()], &json!("beta")));
    let second = get(&server, "/v1/rooms?limit=2&after=beta").await;
    assert_eq!((names(&second), &second["next"]), (vec!["demo".into(), "gamma".into()], &Value::Null));

    let (mut ada, joined) = Client::join(&server, "demo", "ada").await;
    assert_eq!(joined["room_info"]["metadata"]["a"], 1, "it was waiting for her");
    let (status, room) =
        ask(&server, "PATCH", "/v1/rooms/demo", json!({"locked": true, "attributes": {"k": null}})).await;
    assert_eq!((status, &room["locked"], &room["attributes"]), (200, &json!(true), &json!({})));
    assert_eq!(ada.event("room_updated").await["room"]["locked"], true);
    assert_eq!(get(&server, "/v1/rooms/demo").await["participants"], 1);
    assert_eq!(ask(&server, "DELETE", "/v1/rooms/demo", Value::Null).await.0, 204);
    assert_eq!(ada.event("left").await["reason"], "room_closed");
    let status = get(&server, "/v1/status").await;
    assert_eq!(
        (&status["nodes"][0]["name"], &status["nodes"][0]["attached"]),
        (&json!("node-1"), &json!(true))
    );
    assert!(status["messages_in"].as_u64() >= Some(2) && status["joins"] == 1, "{status}");
    server.stop().await;
}

#[tokio::test]
async fn participants_are_shown_changed_and_removed() {
    let (server, _node) = TestServer::with_node(|_| {}).await;
    let (mut ada, _) = Client::join(&server, "demo", "ada").await;
    let (mut grace, _) = Client::join(&server, "demo", "grace/hopper").await;
    let list = get(&server, "/v1/rooms/demo/participants?limit=1").await;
    assert_eq!((&list["items"][0]["identity"], &list["next"]), (&json!("ada"), &json!("ada")));
    assert_eq!(
        (&list["items"][0]["connection"], &list["items"][0]["state"]),
        (&json!("websocket"), &json!("joined"))
    );
    let path = "/v1/rooms/demo/participants/grace%2Fhopper";
    assert_eq!(get(&server, path).await["participant"], 2);
    let change = json!({"name": "Grace", "attributes": {"a": "b"}, "grants": {"data": false}});
    let (status, changed) = ask(&server, "PATCH", path, change).await;
    assert_eq!((status, &changed["name"], &changed["grants"]["data"]), (200, &json!("Grace"), &json!(false)));
    assert_eq!(ada.event("participant_updated").await["participant"]["name"], "Grace");
    assert_eq!(
        grace.event("participant_updated").await["participant"]["name"],
        "Grace",
        "she did not do it herself"
    );
    assert_eq!(grace.event("grants_changed").await["grants"]["data"], false);
    assert_eq!(ask(&server, "DELETE", path, Value::Null).await.0, 204);
    assert_eq!(grace.event("left").await["reason"], "removed");
    assert_eq!(ask(&server, "DELETE", "/v1/rooms/demo/participants/ada?ban=true", Value::Null).await.0, 204);
    assert_eq!(ada.event("left").await["reason"], "banned");
    let mut again = Client::connect(&server).await;
    again.hello().await;
    let join = json!({"type": "join", "room": "demo", "identity": "ada"});
    assert_eq!(again.refusal(join.clone()).await, "banned");
    assert_eq!(ask(&server, "DELETE", "/v1/rooms/demo/bans/ada", Value::Null).await.0, 204);
    again.ok(join).await;
    assert_eq!(
        refusal(&server, "DELETE", "/v1/rooms/demo/participants/eve", Value::Null).await,
        (404, "unknown_participant".into())
    );
    server.stop().await;
}

#[tokio::test]
async fn the_server_admits_denies_and_mutes() {
    let (server, _node) = TestServer::with_node(|_| {}).await;
    ask(&server, "POST", "/v1/rooms", json!({"room": "demo", "waiting_room": true})).await;
    for (identity, verb) in [("ada", "admit"), ("eve", "deny")] {
        let mut client = Client::connect(&server).await;
        client.hello().await;
        let offer = json!({"sdp": crate::support::offer(&[("video", "sendonly")]),
            "publications": [{"mid": "0", "source": "camera"}]});
        let id =
            client.send(json!({"type": "join", "room": "demo", "identity": identity, "offer": offer})).await;
        client.event("waiting").await;
        let path = format!("/v1/rooms/demo/participants/{identity}");
        assert_eq!(get(&server, &path).await["state"], "waiting");
        assert_eq!(ask(&server, "POST", &format!("{path}/{verb}"), Value::Null).await.0, 204);
        let reply = client.reply(id).await;
        if verb == "deny" {
            assert_eq!(reply["code"], "denied");
            continue;
        }
        let track = &reply["result"]["participant"]["tracks"][0]["id"];
        let tracks = get(&server, "/v1/rooms/demo/tracks").await;
        assert_eq!((&tracks["items"][0]["track"], &tracks["items"][0]["identity"]), (track, &json!("ada")));
        for body in [json!({"source": "camera", "muted": true}), json!({"track": track, "muted": false})] {
            assert_eq!(ask(&server, "POST", &format!("{path}/mute"), body.clone()).await.0, 204);
            let event = client.event("track_muted").await;
            assert_eq!((&event["muted"], &event["by"]), (&body["muted"], &Value::Null));
        }
        let none = json!({"source": "screen", "muted": true});
        assert_eq!(
            refusal(&server, "POST", &format!("{path}/mute"), none).await,
            (404, "unknown_track".into())
        );
        let both = json!({"source": "camera", "track": 1, "muted": true});
        assert_eq!(refusal(&server, "POST", &format!("{path}/mute"), both).await.0, 400);
    }
    server.stop().await;
}

#[tokio::test]
async fn the_server_speaks_in_rooms() {
    let (server, mut node) = TestServer::with_node(|_| {}).await;
    let (mut ada, joined) = Client::join(&server, "demo", "ada").await;
    for _ in 0..2 {
        let line = json!({"text": "hello", "name": "Host", "message_id": "m1"});
        let (status, said) = ask(&server, "POST", "/v1/rooms/demo/chat", line).await;
        assert_eq!((status, &said["number"], &said["participant"]), (200, &json!(1), &json!(0)), "said once");
    }
    assert_eq!(ada.event("chat").await["name"], "Host");
    ask(&server, "POST", "/v1/rooms/demo/chat", json!({"text": "two"})).await;
    let newest = get(&server, "/v1/rooms/demo/chat?limit=1").await;
    assert_eq!((&newest["items"][0]["text"], &newest["next"]), (&json!("two"), &json!(2)));
    let older = get(&server, "/v1/rooms/demo/chat?limit=1&before=2").await;
    assert_eq!((&older["items"][0]["text"], &older["next"]), (&json!("hello"), &Value::Null));

    let call = json!({"method": "ping", "payload": "p"});
    let path = "/v1/rooms/demo/participants/ada/rpc";
    let answered = async {
        let request = ada.event("rpc_request").await;
        assert!(request["from"].is_null());
        ada.ok(json!({"type": "rpc_reply", "call": request["call"], "payload": "pong"})).await;
    };
    let ((status, done), ()) = tokio::join!(ask(&server, "POST", path, call.clone()), answered);
    assert_eq!((status, &done["payload"]), (200, &json!("pong")));
    let late = json!({"method": "ping", "timeout_ms": 1});
    assert_eq!(refusal(&server, "POST", path, late).await, (504, "rpc_timeout".into()));

    let data = json!({"topic": "moves", "text": "e4", "key": "k", "to": ["ada"], "settings": "mode=latest"});
    let (status, body) = ask(&server, "POST", "/v1/rooms/demo/data", data.clone()).await;
    assert_eq!(status, 204, "{body}");
    let way = node
        .expect(|command| match command {
            NodeCommand::AttachData { transport, participant, topics, .. } => {
                assert_eq!((participant.0, topics[0].publish, topics[0].subscribe), (0, true, false));
                Some(*transport)
            }
            _ => None,
        })
        .await;
    let channel = node
        .expect(|command| match command {
            NodeCommand::OpenTopic { transport, channel, label, protocol } => {
                assert_eq!(
                    (*transport, label.as_str(), protocol.as_str()),
                    (way, "moves", "patchbay?mode=latest")
                );
                Some(*channel)
            }
            _ => None,
        })
        .await;
    ask(&server, "POST", "/v1/rooms/demo/data", data).await;
    for _ in 0..2 {
        let message = node
            .expect(|command| match command {
                NodeCommand::SendData { transport, channel: on, messages } => {
                    assert_eq!((*transport, *on), (way, channel));
                    Some(messages[0].clone())
                }
                NodeCommand::OpenTopic { .. } => panic!("it is open already"),
                _ => None,
            })
            .await;
        use base64::Engine as _;
        let message = base64::engine::general_purpose::STANDARD.decode(message).unwrap();
        let number = joined["participant"]["number"].as_u64().unwrap() as u32;
        let frames: Vec<_> = patchbay_frame::client_frames(&message).map(Result::unwrap).collect();
        let expected = patchbay_frame::Publish {
            is_text: true,
            key: Some("k"),
            targets: Some(patchbay_frame::Targets::List(&[number])),
            payload: b"e4",
            ..Default::default()
        };
        assert_eq!(frames, [patchbay_frame::ClientFrame::Publish(expected)]);
    }
    for wrong in [
        json!({"topic": "", "text": "x"}),
        json!({"topic": "t"}),
        json!({"topic": "t", "text": "x", "base64": ""}),
        json!({"topic": "t", "base64": "!"}),
        json!({"topic": "t", "text": "x", "settings": "cinema=1"}),
    ] {
        let (status, _) = refusal(&server, "POST", "/v1/rooms/demo/data", wrong.clone()).await;
        assert_eq!(status, 400, "{wrong}");
    }
    server.stop().await;
}

#[tokio::test]
async fn minted_tokens_open_rooms_until_they_are_revoked() {
    let (server, _node) = TestServer::with_node(|config| config.keys = Keys::parse(KEYS).unwrap()).await;
    let api = api_token(&["tokens"]);
    let body = r#"{"room":"demo","identity":"ada","grants":{"publish":[],"moderate":true},"ttl_s":60}"#;
    let minted = ask_as(&server, Some(&api), "POST", "/v1/tokens", body).await;
    let minted: Value = serde_json::from_str(&minted.body).unwrap();
    let token = minted["token"].as_str().unwrap();
    let connect = || Connect { token: Some(token), ..Connect::default() };
    let mut ada = Client::try_connect(&server, connect()).await.unwrap();
    ada.hello().await;
    let joined = ada.ok(json!({"type": "join", "room": "demo"})).await;
    assert_eq!((&joined["grants"]["moderate"], &joined["grants"]["publish"]), (&json!(true), &json!([])));
    let long = r#"{"room":"demo","identity":"ada","ttl_s":2592001}"#;
    assert_eq!(ask_as(&server, Some(&api), "POST", "/v1/tokens", long).await.status, 400);
    let revoke = json!({"jti": minted["jti"]}).to_string();
    assert_eq!(ask_as(&server, Some(&api), "POST", "/v1/revocations", &revoke).await.status, 204);
    let (code, _) = ada.close_code().await;
    assert_eq!(code, 4403);
    let mut again = Client::try_connect(&server, connect()).await.unwrap();
    again.hello().await;
    assert_eq!(again.refusal(json!({"type": "join", "room": "demo"})).await, "token_revoked");
    server.stop().await;
}

/// A stream of events, read as it comes.
struct Stream {
    socket: TcpStream,
    text: String,
}

impl Stream {
    async fn open(server: &TestServer, query: &str, last: Option<&str>) -> Self {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        let last = last.map_or(String::new(), |id| format!("last-event-id: {id}\r\n"));
        let head = format!("GET /v1/events{query} HTTP/1.1\r\nhost: {}\r\n{last}\r\n", server.address);
        socket.write_all(head.as_bytes()).await.unwrap();
        Self { socket, text: String::new() }
    }

    /// The next event that is one: its type, id and data.
    async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some(start) = self.text.find("event: ")
                && let Some(end) = self.text[start..].find("\n\n").map(|end| start + end)
            {
                let event = self.text[start..end].to_owned();
                self.text.drain(..end);
                let (kind, data) = event["event: ".len()..].split_once("\ndata: ").unwrap();
                return (kind.to_owned(), serde_json::from_str(data).unwrap());
            }
            let mut buffer = [0; 4_096];
            let count = timeout(PATIENCE, self.socket.read(&mut buffer)).await.expect("an event").unwrap();
            assert_ne!(count, 0, "the stream ended: {}", self.text);
            self.text += &String::from_utf8_lossy(&buffer[..count]);
        }
    }

    async fn expect(&mut self, kind: &str) -> Value {
        let (got, data) = self.next().await;
        assert_eq!(got, kind, "{data}");
        data
    }
}

#[tokio::test]
async fn events_come_in_order_and_a_stream_goes_on_where_it_was() {
    let (server, _node) =
        TestServer::with_node(|config| config.room_linger = std::time::Duration::from_millis(1)).await;
    let mut all = Stream::open(&server, "", None).await;
    let ready = all.expect("ready").await;
    let mut joins = Stream::open(&server, "?types=participant_joined,participant_left&room=demo", None).await;
    joins.expect("ready").await;

    let (ada, _) = Client::join(&server, "demo", "ada").await;
    let created = all.expect("room_created").await;
    assert_eq!((&created["room"], &created["type"]), (&json!("demo"), &json!("room_created")));
    let came = all.expect("participant_joined").await;
    assert_eq!(
        (&came["participant"]["identity"], &came["participant"]["number"]),
        (&json!("ada"), &json!(1))
    );
    Client::join(&server, "other", "eve").await.0.ok(json!({"type": "leave"})).await;
    ask(&server, "PATCH", "/v1/rooms/demo", json!({"locked": true})).await;
    ask(&server, "POST", "/v1/rooms/demo/chat", json!({"text": "hi"})).await;
    ask(&server, "PATCH", "/v1/rooms/demo/participants/ada", json!({"name": "Ada"})).await;
    let mut ada = ada;
    ada.ok(json!({"type": "leave"})).await;
    let mut seen = Vec::new();
    while seen.iter().filter(|(kind, _)| kind == "room_closed").count() < 2 {
        seen.push(all.next().await);
    }
    let in_demo = seen.iter().filter(|(_, data)| data["room"] == "demo");
    let kinds: Vec<&str> = in_demo.map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["room_updated", "chat", "participant_updated", "participant_left", "room_closed"]);
    let left = joins.expect("participant_joined").await;
    assert_eq!(left["id"], came["id"], "the same event, whoever reads it");
    assert_eq!(
        joins.expect("participant_left").await["participant"]["identity"],
        "ada",
        "and nothing of other rooms"
    );

    let mut again = Stream::open(&server, "", came["id"].as_str()).await;
    assert_eq!(again.expect("ready").await["id"], came["id"]);
    for (kind, data) in &seen {
        assert_eq!(again.next().await, (kind.clone(), data.clone()), "what was missed, and nothing twice");
    }
    let epoch = ready["id"].as_str().unwrap().split_once('-').unwrap().0.to_owned();
    for lost in ["1-1".to_owned(), format!("{epoch}-999999")] {
        Stream::open(&server, "", Some(&lost)).await.expect("gap").await;
    }
    let nonsense = http(&server, "GET", "/v1/events", &[("last-event-id", "x")], "").await;
    assert_eq!(nonsense.status, 400);
    ada.drop_connection();
    server.stop().await;
    assert_eq!(all.expect("end").await["reason"], "shutdown");
}

#[tokio::test]
async fn nodes_that_come_and_go_are_told() {
    let server = TestServer::start(|config| config.link.grace = std::time::Duration::from_millis(50)).await;
    let mut events = Stream::open(&server, "?types=node_attached,node_lost", None).await;
    events.expect("ready").await;
    let node = crate::support::ScriptedNode::attach(&server.hub, "node-1", 1).await;
    assert_eq!(events.expect("node_attached").await["node"], json!(NodeName::new("node-1")));
    node.crash().await;
    assert_eq!(events.expect("node_lost").await["node"], "node-1");
    server.stop().await;
}
