//! Moderators with real tokens: the waiting room, the lock, and what is done to others.

use patchbay_protocol::Grants;
use patchbay_signaling::Keys;
use serde_json::{Value, json};

use crate::support::{Client, Connect, KEYS, ScriptedNode, TestServer, claims, offer, token};

async fn server() -> (TestServer, ScriptedNode) {
    TestServer::with_node(|config| config.keys = Keys::parse(KEYS).unwrap()).await
}

async fn connect(server: &TestServer, identity: &str, grants: Grants) -> Client {
    let mut claims = claims("demo", identity);
    claims.grants = grants;
    let connect = Connect { token: Some(&token(&claims)), ..Connect::default() };
    let mut client = Client::try_connect(server, connect).await.unwrap();
    client.hello().await;
    client
}

async fn join(server: &TestServer, identity: &str) -> (Client, Value) {
    let mut client = connect(server, identity, Grants::default()).await;
    let joined = client.ok(json!({"type": "join", "room": "demo"})).await;
    (client, joined)
}

async fn join_moderator(server: &TestServer) -> Client {
    let mut client = connect(server, "mod", Grants { moderate: true, ..Grants::default() }).await;
    client.ok(json!({"type": "join", "room": "demo"})).await;
    client
}

#[tokio::test]
async fn the_waiting_room_end_to_end() {
    let (server, _node) = server().await;
    let mut moderator = join_moderator(&server).await;
    moderator.ok(json!({"type": "moderate", "action": "update_room", "waiting_room": true})).await;
    assert_eq!(moderator.event("room_updated").await["room"]["waiting_room"], true);

    let mut ada = connect(&server, "ada", Grants::default()).await;
    let sdp = offer(&[("audio", "sendonly")]);
    let publications = json!([{"mid": "0", "source": "microphone"}]);
    let offer = json!({"sdp": sdp, "publications": publications});
    let ada_joins = ada.send(json!({"type": "join", "room": "demo", "offer": offer})).await;
    assert_eq!(ada.event("waiting").await["position"], 1);
    let mut ben = connect(&server, "ben", Grants::default()).await;
    let ben_joins = ben.send(json!({"type": "join", "room": "demo"})).await;
    assert_eq!(ben.event("waiting").await["position"], 2);
    for identity in ["ada", "ben"] {
        assert_eq!(moderator.event("participant_waiting").await["identity"], identity);
    }
    assert_eq!(ada.refusal(json!({"type": "chat", "text": "hello?"})).await, "not_joined");
    assert_eq!(ada.refusal(json!({"type": "join", "room": "demo"})).await, "already_joined");

    moderator.ok(json!({"type": "moderate", "action": "admit", "participant": 2})).await;
    let joined = ada.reply(ada_joins).await;
    assert_eq!(joined["result"]["answer"]["publications"][0]["source"], "microphone");
    assert_eq!(joined["result"]["room_info"]["waiting_room"], true);
    assert_eq!(moderator.event("participant_waiting_ended").await["participant"], 2);
    assert_eq!(moderator.event("participant_joined").await["participant"]["identity"], "ada");
    assert_eq!(ben.event("waiting").await["position"], 1);

    moderator.ok(json!({"type": "moderate", "action": "deny", "participant": 3})).await;
    assert_eq!(ben.reply(ben_joins).await["code"], "denied");
    moderator.ok(json!({"type": "moderate", "action": "update_room", "waiting_room": false})).await;
    ben.ok(json!({"type": "join", "room": "demo"})).await;
}

#[tokio::test]
async fn a_waiting_client_that_goes_is_gone() {
    let (server, _node) = server().await;
    let mut moderator = join_moderator(&server).await;
    moderator.ok(json!({"type": "moderate", "action": "update_room", "waiting_room": true})).await;
    let mut ada = connect(&server, "ada", Grants::default()).await;
    let joins = ada.send(json!({"type": "join", "room": "demo"})).await;
    ada.event("waiting").await;
    ada.ok(json!({"type": "leave"})).await;
    assert_eq!(ada.reply(joins).await["code"], "not_joined");
    assert_eq!(moderator.event("participant_waiting_ended").await["participant"], 2);
}

#[tokio::test]
async fn removed_banned_and_shut_out() {
    let (server, _node) = server().await;
    let mut moderator = join_moderator(&server).await;
    let (mut ada, _) = join(&server, "ada").await;
    moderator.ok(json!({"type": "moderate", "action": "remove", "participant": 2})).await;
    let (code, messages) = ada.close_code().await;
    assert_eq!((code, &messages.last().unwrap()["reason"]), (4403, &json!("removed")));
    assert_eq!(moderator.event("participant_left").await["reason"], "removed");

    let (mut ada, _) = join(&server, "ada").await;
    moderator.ok(json!({"type": "moderate", "action": "ban", "participant": 3})).await;
    assert_eq!(ada.close_code().await.0, 4403);
    let mut ada = connect(&server, "ada", Grants::default()).await;
    assert_eq!(ada.refusal(json!({"type": "join", "room": "demo"})).await, "banned");
    moderator.ok(json!({"type": "moderate", "action": "unban", "identity": "ada"})).await;
    ada.ok(json!({"type": "join", "room": "demo"})).await;
    moderator.ok(json!({"type": "moderate", "action": "update_room", "locked": true})).await;
    let mut ben = connect(&server, "ben", Grants::default()).await;
    assert_eq!(ben.refusal(json!({"type": "join", "room": "demo"})).await, "room_locked");
    moderator
        .ok(json!({"type": "moderate", "action": "update_room", "locked": false, "max_participants": 2}))
        .await;
    assert_eq!(ben.refusal(json!({"type": "join", "room": "demo"})).await, "room_full");
    assert_eq!(
        ada.refusal(json!({"type": "moderate", "action": "remove", "participant": 1})).await,
        "not_allowed"
    );
    moderator.ok(json!({"type": "moderate", "action": "close_room"})).await;
    assert_eq!(ada.event("left").await["reason"], "room_closed");
    // The connection stays; the room is another one, and nobody has changed it.
    let joined = ada.ok(json!({"type": "join", "room": "demo"})).await;
    assert_eq!(joined["room_info"]["locked"], false);
    ben.ok(json!({"type": "join", "room": "demo"})).await;
}

#[tokio::test]
async fn muted_stopped_promoted_and_lowered() {
    let (server, _node) = server().await;
    let mut moderator = join_moderator(&server).await;
    let mut ada = connect(&server, "ada", Grants::default()).await;
    let description = json!({
        "sdp": offer(&[("audio", "sendonly"), ("video", "sendonly")]),
        "publications": [{"mid": "0", "source": "microphone"}, {"mid": "1", "source": "camera"}],
    });
    ada.ok(json!({"type": "join", "room": "demo", "offer": description})).await;
    moderator.ok(json!({"type": "moderate", "action": "mute", "track": 1})).await;
    let muted = ada.event("track_muted").await;
    assert_eq!((&muted["track"], &muted["muted"], &muted["by"]), (&json!(1), &json!(true), &json!(1)));
    ada.ok(json!({"type": "mute", "track": 1, "muted": false})).await;
    moderator.ok(json!({"type": "moderate", "action": "stop_video", "participant": 2})).await;
    assert_eq!(ada.event("track_muted").await["track"], 2);
    assert_eq!(ada.refusal(json!({"type": "mute", "track": 2, "muted": false})).await, "not_allowed");

    ada.ok(json!({"type": "update", "hand_raised": true})).await;
    moderator.ok(json!({"type": "moderate", "action": "lower_hand", "participant": 2})).await;
    assert_eq!(ada.event("participant_updated").await["participant"]["hand_raised"], false);

    let grants = json!({"publish": ["microphone"], "subscribe": true, "data": false, "moderate": true});
    moderator.ok(json!({"type": "moderate", "action": "promote", "participant": 2, "grants": grants})).await;
    assert_eq!(ada.event("grants_changed").await["grants"]["moderate"], true);
    let gone = moderator.event("track_unpublished").await;
    assert_eq!((&gone["participant"], &gone["track"]), (&json!(2), &json!(2)));
    assert_eq!(ada.refusal(json!({"type": "chat", "text": "x"})).await, "not_allowed");
    ada.ok(json!({"type": "moderate", "action": "update_room", "attributes": {"stage": "open"}})).await;
    assert_eq!(moderator.event("room_updated").await["room"]["attributes"]["stage"], "open");
}
