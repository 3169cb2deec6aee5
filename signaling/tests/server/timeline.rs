//! Connection timelines: kept by session, shown to whom they belong, with a diagnosis.

use patchbay_protocol::node::NodeEvent;
use patchbay_protocol::{FailCode, Step, TimelineStep};
use serde_json::{Value, json};

use crate::support::{Client, Connect, KEYS, TestServer, claims, http, offer, token};
use patchbay_signaling::Keys;

fn step(at_ms: u64, step: Step) -> TimelineStep {
    TimelineStep { at_ms, step }
}

async fn timeline(server: &TestServer, session: &str, secret: Option<&str>) -> (u16, Value) {
    let authorization = format!("Bearer {}", secret.unwrap_or("none"));
    let path = format!("/v1/timelines/{session}");
    let response = http(server, "GET", &path, &[("authorization", &authorization)], "").await;
    (response.status, serde_json::from_str(&response.body).unwrap_or_default())
}

#[tokio::test]
async fn a_failed_join_is_explained_to_whom_it_belongs() {
    let (server, mut node) = TestServer::with_node(|config| config.keys = Keys::parse(KEYS).unwrap()).await;
    let token = token(&claims("demo", "ada"));
    let connect = Connect { token: Some(&token), ..Connect::default() };
    let mut client = Client::try_connect(&server, connect).await.unwrap();
    client.hello().await;
    let description = json!({"sdp": offer(&[("audio", "sendrecv")]), "publications": [], "slots": []});
    let joined = client.ok(json!({"type": "join", "room": "demo", "offer": description})).await;
    let (session, secret) = (joined["session"].as_str().unwrap(), joined["secret"].as_str().unwrap());
    let transport = node.expect_transport().await;

    let candidates = vec!["10.0.0.5:7882".to_owned()];
    node.say(NodeEvent::Timeline { transport, steps: vec![step(0, Step::Answered { candidates })] }).await;
    client.ok(json!({"type": "trouble", "kind": "turn_refused", "detail": "turn:t.example.org: 401"})).await;
    let words = "no connectivity check ever arrived".to_owned();
    let failed = Step::Failed { reason: FailCode::NoCheck, words };
    node.say(NodeEvent::Timeline { transport, steps: vec![step(20_000, failed)] }).await;
    // Events are in order, so once this one is through, the steps are.
    let state = patchbay_protocol::TransportState::Failed { reason: "x".into() };
    node.say(NodeEvent::Transport { transport, state }).await;
    client.event("transport").await;

    let (status, told) = timeline(&server, session, Some(secret)).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&told["room"], &told["identity"], &told["connected"]),
        (&json!("demo"), &json!("ada"), &json!(false))
    );
    assert_eq!(told["steps"][0]["step"], "answered");
    assert_eq!(told["steps"][1]["at_ms"], 20_000);
    assert!(told["steps"][0]["words"].as_str().unwrap().contains("10.0.0.5:7882"));
    assert_eq!(told["troubles"][0]["kind"], "turn_refused");
    assert_eq!(told["diagnosis"]["cause"], "turn_refused");
    assert!(told["diagnosis"]["remedy"].as_str().unwrap().contains("static-auth-secret"));

    // Nobody else learns anything, not even that there is such a session.
    assert_eq!(timeline(&server, session, None).await.0, 401);
    assert_eq!(timeline(&server, "another", Some(secret)).await.0, 401);
    assert_eq!(http(&server, "GET", "/v1/timelines", &[], "").await.status, 403);
    let origin = [("origin", "https://evil.example")];
    assert_eq!(http(&server, "GET", &format!("/v1/timelines/{session}"), &origin, "").await.status, 403);
}

#[tokio::test]
async fn an_open_server_on_loopback_tells_of_everybody() {
    let (server, _node) = TestServer::with_node(|_| {}).await;
    let (mut ada, joined) = Client::join(&server, "demo", "ada").await;
    let list = http(&server, "GET", "/v1/timelines", &[], "").await;
    let list: Value = serde_json::from_str(&list.body).unwrap();
    assert_eq!((&list[0]["identity"], &list[0]["session"]), (&json!("ada"), &joined["session"]));
    assert_eq!(timeline(&server, joined["session"].as_str().unwrap(), None).await.0, 200);
    assert_eq!(timeline(&server, "another", None).await.0, 404);

    let too_long = json!({"type": "trouble", "kind": "other", "detail": "x".repeat(513)});
    assert_eq!(ada.refusal(too_long).await, "invalid_argument");
    assert_eq!(
        ada.refusal(json!({"type": "trouble", "kind": "unheard", "detail": "x"})).await,
        "malformed_message"
    );
}
