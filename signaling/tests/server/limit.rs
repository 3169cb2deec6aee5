//! How much one may ask: each bound is reached, told with a code and a time, and gone when that time is over.

use std::time::Duration;

use patchbay_signaling::{AddressHeader, Config, Rate, TrustedProxies};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{Client, HttpResponse, PATIENCE, TestServer, http, offer};

const SDP: (&str, &str) = ("content-type", "application/sdp");
const HELLO: &str = r#"{"id":1,"type":"hello","version":1}"#;

fn behind_loopback(config: &mut Config) {
    config.proxies = TrustedProxies {
        networks: vec!["127.0.0.0/8".parse().unwrap()],
        header: AddressHeader::XForwardedFor,
    };
}

/// A refusal over HTTP says what, and when to try again, in body and header.
fn assert_refused(response: &HttpResponse, status: u16, code: &str) {
    assert_eq!(response.status, status, "{}", response.body);
    let body: Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(body["code"], code);
    assert!(!body["message"].as_str().unwrap().is_empty());
    let retry_ms = body["retry_after_ms"].as_u64().expect("when to try again");
    let header: u64 = response.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!(retry_ms >= 1 && header >= 1 && header * 1_000 >= retry_ms, "{retry_ms} ms, {header} s");
}

/// A connection that is held open by a request that is not complete.
async fn hold(server: &TestServer, forwarded: Option<&str>) -> TcpStream {
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let forwarded = forwarded.map_or(String::new(), |it| format!("x-forwarded-for: {it}\r\n"));
    let head = format!("POST /v1/hello HTTP/1.1\r\nhost: a\r\n{forwarded}content-length: 10\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    socket
}

#[tokio::test]
async fn connections_of_one_address_have_an_end() {
    let server = TestServer::start(|config| config.connections_per_address = 3).await;
    // Whatever they carry.
    let socket = Client::connect(&server).await;
    let (one, two) = (hold(&server, None).await, hold(&server, None).await);
    let refused = async {
        loop {
            let response = http(&server, "GET", "/healthz", &[], "").await;
            if response.status != 200 {
                break response;
            }
        }
    };
    let refused = tokio::time::timeout(PATIENCE, refused).await.expect("a refusal should come");
    assert_refused(&refused, 429, "too_many");
    // Also to one who would like to stay: this reads to the end of the connection.
    let stay = http(&server, "GET", "/healthz", &[("connection", "keep-alive")], "").await;
    assert_eq!((stay.status, stay.header("connection")), (429, Some("close")));
    // Who is told is told quickly; who comes then in great numbers is not even told.
    let mut crowd = Vec::new();
    for _ in 0..100 {
        crowd.push(TcpStream::connect(server.address).await.unwrap());
    }
    drop((one, two, crowd, socket));
    let served = async { while http(&server, "GET", "/healthz", &[], "").await.status != 200 {} };
    tokio::time::timeout(PATIENCE, served).await.expect("places should be given back");
    // A header from somebody who is no trusted proxy makes nobody another one.
    let held = [hold(&server, Some("203.0.113.1")).await, hold(&server, Some("203.0.113.2")).await];
    let other = hold(&server, Some("203.0.113.3")).await;
    let forged = async {
        while http(&server, "GET", "/healthz", &[("x-forwarded-for", "203.0.113.4")], "").await.status != 429
        {
        }
    };
    tokio::time::timeout(PATIENCE, forged).await.expect("a forged header should not help");
    drop((held, other));
}

#[tokio::test]
async fn behind_a_proxy_each_client_has_its_own_count() {
    let server = TestServer::start(|config| {
        behind_loopback(config);
        config.connections_per_address = 2;
    })
    .await;
    let get = async |from: &str| http(&server, "GET", "/healthz", &[("x-forwarded-for", from)], "").await;
    // In one hop, or by way of another proxy of ours, or with a lie in front.
    let held = [
        hold(&server, Some("203.0.113.1")).await,
        hold(&server, Some("1.2.3.4, 203.0.113.1, 127.0.0.2")).await,
    ];
    let refused = async {
        loop {
            let response = get("203.0.113.1").await;
            if response.status != 200 {
                break response;
            }
        }
    };
    let refused = tokio::time::timeout(PATIENCE, refused).await.expect("a refusal should come");
    assert_refused(&refused, 429, "too_many");
    assert_eq!(get("203.0.113.2").await.status, 200);
    assert_eq!(get("203.0.113.1, 203.0.113.9").await.status, 200, "the rightmost is the client");
    let v6 = [hold(&server, Some("2001:db8:1:1::1")).await, hold(&server, Some("2001:db8:1:1::2")).await];
    let refused = async { while get("2001:db8:1:1:ffff::3").await.status != 429 {} };
    tokio::time::timeout(PATIENCE, refused).await.expect("64 bits are one");
    assert_eq!(get("2001:db8:1:2::1").await.status, 200);
    drop((held, v6));
    let served = async { while get("203.0.113.1").await.status != 200 {} };
    tokio::time::timeout(PATIENCE, served).await.expect("places should be given back");
}

#[tokio::test]
async fn joins_of_one_address_have_a_rate() {
    let (server, _node) = TestServer::with_node(|config| {
        behind_loopback(config);
        config.joins = Rate { per_second: 2, burst: 6 };
    })
    .await;
    let from = |address: &'static str| [("x-forwarded-for", address), SDP];
    for _ in 0..6 {
        let hello = http(&server, "POST", "/v1/hello", &from("203.0.113.1"), HELLO).await;
        assert_eq!(hello.status, 200, "{}", hello.body);
    }
    let audio = offer(&[("audio", "sendonly")]);
    for (path, body) in [("/v1/hello", HELLO), ("/whip/demo", audio.as_str()), ("/whep/demo", audio.as_str())]
    {
        let refused = http(&server, "POST", path, &from("203.0.113.1"), body).await;
        assert_refused(&refused, 429, "rate_limited");
    }
    let other = http(&server, "POST", "/whip/demo", &from("203.0.113.2"), &audio).await;
    assert_eq!(other.status, 201, "{}", other.body);

    // Over a WebSocket, hello and joins alike: all of this address's, with the time in which the next may come.
    let mut client = Client::connect(&server).await;
    client.hello().await;
    let refused = async {
        loop {
            let reply = client.request(json!({"type": "join", "room": "demo"})).await;
            if reply["type"] == "error" {
                break reply;
            }
            client.ok(json!({"type": "leave"})).await;
        }
    };
    let refused = tokio::time::timeout(PATIENCE, refused).await.expect("a refusal should come");
    assert_eq!(refused["code"], "rate_limited");
    let wait = refused["retry_after_ms"].as_u64().unwrap();
    assert!((1..=1_000).contains(&wait), "{wait}");
    tokio::time::sleep(Duration::from_millis(wait)).await;
    client.ok(json!({"type": "join", "room": "demo"})).await;
}

#[tokio::test]
async fn bytes_of_one_session_have_a_rate() {
    let server = TestServer::start(|config| {
        config.byte_rate = Rate { per_second: 20_000, burst: 600_000 };
    })
    .await;
    let (mut client, _) = Client::join(&server, "demo", "ada").await;
    let long = "x".repeat(4_000);
    let refused = loop {
        let reply = client.request(json!({"type": "chat", "text": long})).await;
        if reply["type"] == "error" {
            break reply;
        }
    };
    assert_eq!(refused["code"], "rate_limited");
    let wait = refused["retry_after_ms"].as_u64().unwrap();
    assert!((1..=220).contains(&wait), "{wait}");
    tokio::time::sleep(Duration::from_millis(wait)).await;
    client.ok(json!({"type": "chat", "text": "after that time it goes on"})).await;
}

#[tokio::test]
async fn rooms_and_what_is_in_them_have_bounds() {
    let (server, _node) = TestServer::with_node(|config| {
        config.max_rooms = 2;
        config.room_capacity = 2;
        config.bounds.tracks = 1;
        config.bounds.slots = 1;
        config.bounds.metadata_bytes = 20;
        config.bounds.attribute_bytes = 10;
    })
    .await;
    let (mut ada, _) = Client::join(&server, "one", "ada").await;
    let (_ben, _) = Client::join(&server, "one", "ben").await;
    let (_eve, _) = Client::join(&server, "two", "eve").await;
    let mut late = Client::connect(&server).await;
    late.hello().await;
    let full = late.request(json!({"type": "join", "room": "one"})).await;
    assert_eq!(full["code"], "room_full");
    let third = late.request(json!({"type": "join", "room": "three"})).await;
    assert_eq!(third["code"], "overloaded");
    assert!(third["retry_after_ms"].as_u64().unwrap() >= 1_000);
    let audio = offer(&[("audio", "sendonly")]);
    assert_refused(&http(&server, "POST", "/whip/three", &[SDP], &audio).await, 503, "overloaded");

    let offered = |publications: Value, slots: Value| {
        let sdp = offer(&[("audio", "sendonly"), ("video", "sendonly")]);
        json!({"type": "offer", "sdp": sdp, "publications": publications, "slots": slots})
    };
    let tracks = json!([{"mid": "0", "source": "microphone"}, {"mid": "1", "source": "camera"}]);
    assert_eq!(ada.refusal(offered(tracks, json!([]))).await, "too_many");
    assert_eq!(ada.refusal(offered(json!([]), json!([{"mid": "0"}, {"mid": "1"}]))).await, "too_many");
    ada.ok(json!({"type": "update", "metadata": {"a": "short"}})).await;
    let long = json!({"type": "update", "metadata": {"a": "far too long for this"}});
    assert_eq!(ada.refusal(long).await, "invalid_argument");
    ada.ok(json!({"type": "update", "attributes": {"a": "123456789"}})).await;
    assert_eq!(ada.refusal(json!({"type": "update", "attributes": {"b": "1"}})).await, "invalid_argument");
    assert_eq!(
        late.refusal(json!({"type": "join", "room": "two", "metadata": {"a": "far too long for this"}}))
            .await,
        "invalid_argument"
    );
}
