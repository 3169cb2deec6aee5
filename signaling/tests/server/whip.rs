//! WHIP and WHEP: every status code, trickle, ICE restart, and the room behind them.

use patchbay_protocol::node::{NodeCommand, NodeEvent};
use patchbay_protocol::{Claims, IceServer, ParticipantNumber, SlotSource, Source, TransportState};
use patchbay_signaling::Keys;
use serde_json::json;

use crate::support::{Client, HttpResponse, KEYS, TestServer, claims, http, offer, token};

const SDP: (&str, &str) = ("content-type", "application/sdp");
const FRAGMENT: (&str, &str) = ("content-type", "application/trickle-ice-sdpfrag");
const CANDIDATE: &str = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n\
                         a=candidate:1 1 udp 2122260223 192.0.2.9 61764 typ host\r\n";
const RESTART: &str = "a=ice-ufrag:wxyz\r\na=ice-pwd:9876543210987654321098\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n\
                       a=candidate:1 1 udp 2122260223 192.0.2.9 61764 typ host\r\n";

/// Method, path, headers, body, expected status.
type Case<'a> = (&'a str, &'a str, Vec<(&'a str, &'a str)>, &'a str, u16);

async fn publish(server: &TestServer, path: &str) -> HttpResponse {
    let offer = offer(&[("audio", "sendonly"), ("video", "sendonly")]);
    http(server, "POST", path, &[SDP], &offer).await
}

#[tokio::test]
async fn a_publisher_comes_and_goes() {
    let (server, mut node) = TestServer::with_node(|config| {
        config.ice_servers = vec![
            IceServer { urls: vec!["stun:stun.example.org".into()], username: None, credential: None },
            IceServer {
                urls: vec!["turn:turn.example.org".into()],
                username: Some("me".into()),
                credential: Some("p\"w".into()),
            },
        ];
    })
    .await;
    let (mut watcher, _) = Client::join(&server, "demo", "watcher").await;
    let made = publish(&server, "/whip/demo?identity=camera-1&name=Door").await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.header("content-type"), Some("application/sdp"));
    assert!(made.body.starts_with("v=0"));
    let location = made.header("location").unwrap().to_owned();
    assert!(location.starts_with("/whip/demo/") && location.len() == "/whip/demo/".len() + 32, "{location}");
    let etag = made.header("etag").unwrap().to_owned();
    let links: Vec<&str> =
        made.headers.iter().filter(|(name, _)| name == "link").map(|(_, value)| value.as_str()).collect();
    assert_eq!(links[0], "<stun:stun.example.org>; rel=\"ice-server\"");
    assert!(
        links[1].contains("username=\"me\"; credential=\"p\\\"w\"; credential-type=\"password\""),
        "{}",
        links[1]
    );

    let joined = watcher.event("participant_joined").await;
    assert_eq!(
        (&joined["participant"]["identity"], &joined["participant"]["name"]),
        (&json!("camera-1"), &json!("Door"))
    );
    let sources: Vec<&str> = joined["participant"]["tracks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|track| track["source"].as_str().unwrap())
        .collect();
    assert_eq!(sources, ["microphone", "camera"]);

    let trickled = http(&server, "PATCH", &location, &[FRAGMENT, ("if-match", &etag)], CANDIDATE).await;
    assert_eq!((trickled.status, trickled.body.as_str()), (204, ""));
    let candidate = node
        .expect(|command| match command {
            NodeCommand::Candidate { candidate, .. } => Some(candidate.clone()),
            _ => None,
        })
        .await;
    assert!(candidate.starts_with("candidate:1 1 udp 2122260223 192.0.2.9"), "{candidate}");

    let restarted = http(&server, "PATCH", &location, &[FRAGMENT, ("if-match", "*")], RESTART).await;
    assert_eq!(restarted.status, 200, "{}", restarted.body);
    assert_eq!(restarted.header("content-type"), Some("application/trickle-ice-sdpfrag"));
    assert!(
        restarted.body.contains("a=ice-ufrag:node") && restarted.body.contains("192.0.2.1 7882"),
        "{}",
        restarted.body
    );
    let new_etag = restarted.header("etag").unwrap().to_owned();
    assert_ne!(new_etag, etag);
    let (sdp, tracks) = node
        .expect(|command| match command {
            NodeCommand::Negotiate { sdp, publications, .. } => Some((sdp.clone(), publications.len())),
            _ => None,
        })
        .await;
    assert!(sdp.contains("a=ice-ufrag:wxyz") && !sdp.contains("abcd"));
    assert_eq!(tracks, 2);
    let stale = http(&server, "PATCH", &location, &[FRAGMENT, ("if-match", &etag)], RESTART).await;
    assert_eq!(stale.status, 412);
    let current = http(&server, "PATCH", &location, &[FRAGMENT, ("if-match", &new_etag)], RESTART).await;
    assert_eq!(current.status, 204);

    assert_eq!(http(&server, "DELETE", &location, &[], "").await.status, 200);
    assert_eq!(watcher.event("participant_left").await["reason"], "left");
    assert_eq!(http(&server, "DELETE", &location, &[], "").await.status, 404);
}

#[tokio::test]
async fn every_bad_input_has_its_status() {
    let (server, _node) =
        TestServer::with_node(|config| config.allowed_origins = vec!["https://example.org".into()]).await;
    let good = offer(&[("audio", "sendonly")]);
    let huge = format!("{good}{}", "a=x\r\n".repeat(60_000));
    let three = offer(&[("audio", "sendonly"); 3]);
    let receives = offer(&[("audio", "recvonly")]);
    let plain = ("content-type", "text/plain");
    let foreign = ("origin", "https://evil.example");
    let refused = good.replace("s=-", "s=refuse me");
    let cases: Vec<Case<'_>> = vec![
        ("POST", "/whip/demo", vec![SDP], "", 400),
        ("POST", "/whip/demo", vec![SDP], "hello", 400),
        ("POST", "/whip/demo", vec![], &good, 415),
        ("POST", "/whip/demo", vec![plain], &good, 415),
        ("POST", "/whip/demo", vec![SDP, ("accept", "text/html")], &good, 406),
        ("POST", "/whip/demo", vec![SDP], &huge, 413),
        ("POST", "/whip/demo", vec![SDP], &three, 422),
        ("POST", "/whip/demo", vec![SDP], &receives, 422),
        ("POST", "/whip/demo", vec![SDP], &refused, 422),
        ("POST", "/whip/.demo", vec![SDP], &good, 400),
        ("POST", "/whip/demo?identity=a%0Ab", vec![SDP], &good, 400),
        ("POST", "/whip/demo", vec![SDP, foreign], &good, 403),
        ("GET", "/whip/demo", vec![], "", 405),
        ("HEAD", "/whip/demo", vec![], "", 405),
        ("PUT", "/whip/demo", vec![], "", 405),
        ("DELETE", "/whip/demo", vec![], "", 405),
        ("POST", "/whep/demo", vec![], "", 406),
        ("POST", "/whep/demo", vec![SDP], &good, 422),
        ("POST", "/whep/demo?source=nobody", vec![SDP], &receives, 400),
        ("POST", "/whep/demo?source=speaker:0", vec![SDP], &receives, 400),
        ("GET", "/whip/demo/x", vec![], "", 405),
        ("HEAD", "/whep/demo/x", vec![], "", 405),
        ("PUT", "/whip/demo/x", vec![], "", 405),
        ("POST", "/whip/demo/x", vec![], "", 405),
        ("PATCH", "/whip/demo/x", vec![FRAGMENT, ("if-match", "*")], RESTART, 404),
        ("DELETE", "/whip/demo/x", vec![], "", 404),
    ];
    for (method, path, headers, body, expected) in cases {
        let response = http(&server, method, path, &headers, body).await;
        assert_eq!(response.status, expected, "{method} {path} {headers:?}: {}", response.body);
        if expected == 405 {
            assert!(response.header("allow").is_some(), "{method} {path}");
        }
    }

    let location = publish(&server, "/whip/demo").await.header("location").unwrap().to_owned();
    let elsewhere = location.replace("/whip/demo", "/whip/other");
    let as_whep = location.replace("/whip/", "/whep/");
    for (path, headers, body, expected) in [
        (&location, vec![FRAGMENT], CANDIDATE, 428),
        (&location, vec![FRAGMENT, ("if-match", "\"old\"")], CANDIDATE, 412),
        (&location, vec![SDP, ("if-match", "*")], CANDIDATE, 415),
        (&location, vec![FRAGMENT, ("if-match", "*")], "a=ice-ufrag:x\r\na=ice-pwd:y\r\n", 400),
        (&elsewhere, vec![FRAGMENT, ("if-match", "*")], CANDIDATE, 404),
        (&as_whep, vec![FRAGMENT, ("if-match", "*")], CANDIDATE, 404),
    ] {
        let response = http(&server, "PATCH", path, &headers, body).await;
        assert_eq!(response.status, expected, "{path} {headers:?}: {}", response.body);
    }

    let preflight = http(&server, "OPTIONS", "/whip/demo", &[("origin", "https://example.org")], "").await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("accept-post"), Some("application/sdp"));
    assert_eq!(preflight.header("access-control-allow-origin"), Some("https://example.org"));
    assert!(preflight.header("access-control-allow-headers").unwrap().contains("If-Match"));
    let headers = [SDP, ("origin", "https://example.org")];
    let made = http(&server, "POST", "/whip/demo", &headers, &good).await;
    assert!(made.header("access-control-expose-headers").unwrap().contains("Location, ETag, Link"));
}

#[tokio::test]
async fn without_a_node_nobody_publishes() {
    let server = TestServer::start(|_| {}).await;
    let refused = publish(&server, "/whip/demo").await;
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").is_some());
}

#[tokio::test]
async fn resources_are_bounded_and_one_that_ends_makes_room() {
    let (server, _node) = TestServer::with_node(|config| config.max_connections = 1).await;
    let first = publish(&server, "/whip/demo").await;
    assert_eq!(first.status, 201);
    let refused = publish(&server, "/whip/other").await;
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.header("retry-after").is_some());
    let location = first.header("location").unwrap().to_owned();
    assert_eq!(http(&server, "DELETE", &location, &[], "").await.status, 200);
    assert_eq!(publish(&server, "/whip/other").await.status, 201);
}

#[tokio::test]
async fn tokens_open_rooms_and_resources() {
    let (server, _node) = TestServer::with_node(|config| config.keys = Keys::parse(KEYS).unwrap()).await;
    let offer = offer(&[("audio", "sendonly")]);
    let bearer = |token: &str| format!("Bearer {token}");
    let status = async |path: &str, authorization: Option<&str>| {
        let mut headers = vec![SDP];
        headers.extend(authorization.map(|value| ("authorization", value)));
        http(&server, "POST", path, &headers, &offer).await
    };
    let good = bearer(&token(&claims("demo", "camera-1")));
    let other = bearer(&token(&claims("other", "camera-1")));
    let late = bearer(&token(&Claims { exp: 1, ..claims("demo", "camera-1") }));
    let mut mute = claims("demo", "camera-1");
    mute.grants.publish = Vec::new();
    let mute = bearer(&token(&mute));

    let missing = status("/whip/demo", None).await;
    assert_eq!((missing.status, missing.header("www-authenticate")), (401, Some("Bearer")));
    assert_eq!(status("/whip/demo", Some("Bearer nonsense")).await.status, 401);
    assert_eq!(status("/whip/demo", Some(&late)).await.status, 401);
    assert_eq!(status("/whip/demo", Some(&other)).await.status, 403);
    assert_eq!(status("/whip/demo", Some(&mute)).await.status, 403);
    let made = status("/whip/demo?identity=somebody", Some(&good)).await;
    assert_eq!(made.status, 201);
    let location = made.header("location").unwrap();
    assert_eq!(http(&server, "DELETE", location, &[], "").await.status, 401);
    assert_eq!(http(&server, "DELETE", location, &[("authorization", &other)], "").await.status, 403);
    assert_eq!(http(&server, "DELETE", location, &[("authorization", &good)], "").await.status, 200);
}

#[tokio::test]
async fn a_player_is_hidden_and_waits_for_who_it_names() {
    let (server, mut node) = TestServer::with_node(|_| {}).await;
    let (mut watcher, _) = Client::join(&server, "demo", "watcher").await;
    let play = offer(&[("video", "recvonly"), ("audio", "recvonly"), ("video", "recvonly")]);
    let made = http(&server, "POST", "/whep/demo?source=participant:ada%20l", &[SDP], &play).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let (transport, slots) = node
        .expect(|command| match command {
            NodeCommand::Negotiate { transport, slots, .. } => Some((*transport, slots.clone())),
            _ => None,
        })
        .await;
    let sources: Vec<Option<SlotSource>> = slots.iter().map(|slot| slot.source).collect();
    assert_eq!(sources, [None, None, Some(SlotSource::Speaker { speaker: 1 })]);
    assert_eq!(slots[0].group, slots[1].group);

    let (_ada, joined) = Client::join(&server, "demo", "ada l").await;
    let number: u32 = serde_json::from_value(joined["participant"]["number"].clone()).unwrap();
    assert_eq!(joined["participants"].as_array().unwrap().len(), 1, "players are in no roster");
    assert_eq!(watcher.next().await["participant"]["identity"], "ada l");
    for (mid, source) in [("0", Source::Camera), ("1", Source::Microphone)] {
        let found = node
            .expect(|command| match command {
                NodeCommand::SetSlot { transport: of, mid, source } if *of == transport => {
                    Some((mid.to_string(), *source))
                }
                _ => None,
            })
            .await;
        let expected = SlotSource::Participant { participant: ParticipantNumber(number), source };
        assert_eq!(found, (mid.to_owned(), Some(expected)));
    }

    // The identity is there already when the next player comes.
    http(&server, "POST", "/whep/demo?source=participant:ada%20l", &[SDP], &play).await;
    let first = node
        .expect(|command| match command {
            NodeCommand::Negotiate { slots, .. } => slots.first().and_then(|slot| slot.source),
            _ => None,
        })
        .await;
    assert_eq!(
        first,
        SlotSource::Participant { participant: ParticipantNumber(number), source: Source::Camera }
    );
}

#[tokio::test]
async fn a_resource_ends_with_its_transport() {
    let (server, mut node) = TestServer::with_node(|_| {}).await;
    let (mut watcher, _) = Client::join(&server, "demo", "watcher").await;
    let location = publish(&server, "/whip/demo?identity=cam").await.header("location").unwrap().to_owned();
    let transport = node.expect_transport().await;
    let state = TransportState::Failed { reason: "silence".into() };
    node.say(NodeEvent::Transport { transport, state }).await;
    assert_eq!(watcher.event("participant_left").await["reason"], "transport_lost");
    assert_eq!(http(&server, "DELETE", &location, &[], "").await.status, 404);
}

#[tokio::test]
async fn turn_credentials_are_the_resource_s_own_and_fresh_after_a_restart() {
    let (server, _node) = TestServer::with_node(|config| {
        config.turn = Some(patchbay_signaling::Turn {
            urls: vec!["turn:t.example.org?transport=udp".into(), "turns:t.example.org:443".into()],
            secret: patchbay_signaling::Secret::new("0123456789abcdef"),
            ttl: std::time::Duration::from_secs(3_600),
        });
    })
    .await;
    let links = |response: &HttpResponse| -> Vec<String> {
        let headers = response.headers.iter().filter(|(name, _)| name == "link");
        headers.map(|(_, value)| value.clone()).collect()
    };
    let (first, second) = (publish(&server, "/whip/demo").await, publish(&server, "/whip/demo").await);
    let made = links(&first);
    assert_eq!(made.len(), 2, "{made:?}");
    assert!(made[0].starts_with("<turn:t.example.org?transport=udp>; rel=\"ice-server\"; username=\""));
    assert!(made.iter().all(|link| link.contains("credential-type=\"password\"")), "{made:?}");
    assert_ne!(made, links(&second), "two resources never share credentials");

    let location = first.header("location").unwrap();
    let headers = [FRAGMENT, ("if-match", "*")];
    let restarted = http(&server, "PATCH", location, &headers, RESTART).await;
    assert_eq!(restarted.status, 200, "{}", restarted.body);
    let renewed = links(&restarted);
    let session = |link: &str| {
        let name = link.split("username=\"").nth(1).and_then(|rest| rest.split('"').next());
        name.and_then(|name| name.split_once(':')).map(|(_, session)| session.to_owned())
    };
    assert!(session(&made[0]).is_some_and(|session| !session.is_empty()));
    assert_eq!(session(&renewed[0]), session(&made[0]), "the session stays the same");
}
