//! Every request by somebody who may do everything, and by somebody who lacks one grant, against the real server.

use patchbay_protocol::{Claims, Grants, Source};
use patchbay_signaling::Keys;
use serde_json::{Value, json};

use crate::support::{Client, Connect, KEYS, TestServer, claims, offer, token};

/// Every request that needs a grant, with what it needs. Those that need none stand in [`FREE`].
fn guarded() -> Vec<(&'static str, Value)> {
    let sdp = offer(&[("audio", "sendrecv")]);
    let publish = |source: &str| json!({"type": "offer", "sdp": sdp, "publications": [{"mid": "0", "source": source}], "slots": []});
    let moderate = |action: Value| {
        let mut request = json!({"type": "moderate"});
        request.as_object_mut().unwrap().extend(action.as_object().unwrap().clone());
        request
    };
    vec![
        ("microphone", publish("microphone")),
        ("camera", publish("camera")),
        ("screen", publish("screen")),
        ("screen_audio", publish("screen_audio")),
        ("subscribe", json!({"type": "offer", "sdp": sdp, "publications": [], "slots": [{"mid": "0"}]})),
        ("subscribe", json!({"type": "slot", "mid": "0", "source": null})),
        (
            "data",
            json!({"type": "offer", "sdp": sdp, "publications": [], "slots": [],
                   "channels": [{"id": 1, "label": "a"}]}),
        ),
        ("data", json!({"type": "chat", "text": "hello"})),
        ("data", json!({"type": "rpc", "to": 999, "method": "a", "payload": ""})),
        ("data", json!({"type": "topic_open", "label": "a", "protocol": "patchbay"})),
        ("data", json!({"type": "topic_send", "channel": 1, "messages": []})),
        ("moderate", moderate(json!({"action": "mute", "track": 999}))),
        ("moderate", moderate(json!({"action": "stop_video", "participant": 999}))),
        ("moderate", moderate(json!({"action": "remove", "participant": 999}))),
        ("moderate", moderate(json!({"action": "ban", "participant": 999}))),
        ("moderate", moderate(json!({"action": "unban", "identity": "nobody"}))),
        ("moderate", moderate(json!({"action": "admit", "participant": 999}))),
        ("moderate", moderate(json!({"action": "deny", "participant": 999}))),
        ("moderate", moderate(json!({"action": "promote", "participant": 999, "grants": {}}))),
        ("moderate", moderate(json!({"action": "lower_hand", "participant": 999}))),
        ("moderate", moderate(json!({"action": "update_room", "locked": false}))),
        ("moderate", moderate(json!({"action": "close_room"}))),
    ]
}

/// Requests that are open to whoever is in the room.
const FREE: [&str; 8] = [
    r#"{"type": "ping"}"#,
    r#"{"type": "mute", "track": 999, "muted": true}"#,
    r#"{"type": "update", "hand_raised": true}"#,
    r#"{"type": "presence", "state": "away"}"#,
    r#"{"type": "chat_history"}"#,
    r#"{"type": "rpc_reply", "call": 999, "payload": ""}"#,
    r#"{"type": "topic_close", "channel": 1}"#,
    r#"{"type": "trouble", "kind": "other", "detail": "x"}"#,
];

fn without(need: &str) -> Grants {
    let mut grants = Grants { moderate: true, ..Grants::default() };
    let keep = |source: &Source| serde_json::to_value(source).unwrap() != json!(need);
    grants.publish.retain(keep);
    match need {
        "subscribe" => grants.subscribe = false,
        "data" => grants.data = false,
        "moderate" => grants.moderate = false,
        _ => {}
    }
    grants
}

async fn enter(server: &TestServer, identity: &str, grants: Grants) -> Client {
    let token = token(&Claims { grants, ..claims("demo", identity) });
    let connect = Connect { token: Some(&token), ..Connect::default() };
    let mut client = Client::try_connect(server, connect).await.unwrap();
    client.hello().await;
    client.ok(json!({"type": "join", "room": "demo"})).await;
    client
}

#[tokio::test]
async fn each_request_needs_its_grant_and_no_other() {
    let (server, _node) = TestServer::with_node(|config| config.keys = Keys::parse(KEYS).unwrap()).await;
    let needs = ["microphone", "camera", "screen", "screen_audio", "subscribe", "data", "moderate"];
    for lacking in needs {
        for (need, request) in guarded() {
            // A close ends the room, so each has a room of its own.
            let mut client = enter(&server, "ada", without(lacking)).await;
            let reply = client.request(request.clone()).await;
            let is_refused = reply["code"] == "not_allowed";
            assert_eq!(is_refused, need == lacking, "{request} without {lacking}: {reply}");
        }
        let mut client = enter(&server, "ada", without(lacking)).await;
        for request in FREE {
            let reply = client.request(serde_json::from_str(request).unwrap()).await;
            assert_ne!(reply["code"], "not_allowed", "{request} without {lacking}");
        }
    }
}

#[tokio::test]
async fn who_is_hidden_is_neither_seen_nor_heard() {
    let (server, _node) = TestServer::with_node(|config| config.keys = Keys::parse(KEYS).unwrap()).await;
    let hidden = Grants { hidden: true, moderate: true, ..Grants::default() };
    for (need, request) in guarded() {
        let mut client = enter(&server, "ghost", hidden.clone()).await;
        let reply = client.request(request.clone()).await;
        let kind = request["type"].as_str().unwrap();
        let is_loud = ["microphone", "camera", "screen", "screen_audio"].contains(&need)
            || ["chat", "rpc"].contains(&kind);
        assert_eq!(reply["code"] == "not_allowed", is_loud, "{request}: {reply}");
        client.drop_connection();
    }
}

#[tokio::test]
async fn nothing_is_done_before_a_join() {
    let server = TestServer::start(|_| {}).await;
    let mut client = Client::connect(&server).await;
    client.hello().await;
    for (_, request) in guarded() {
        assert_eq!(client.refusal(request.clone()).await, "not_joined", "{request}");
    }
    for request in FREE.iter().filter(|text| !text.contains("ping")) {
        assert_eq!(client.refusal(serde_json::from_str(request).unwrap()).await, "not_joined", "{request}");
    }
}
