//! Nodes: attaching, losing, coming back, and the WebSocket that carries a link.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use patchbay_protocol::node::{NodeCommand, NodeState, TransportSnapshot};
use patchbay_protocol::{ParticipantNumber, RoomId, TransportId};
use patchbay_signaling::Secret;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Client, Connect, PATIENCE, ScriptedNode, TestServer, http, offer};

fn join(identity: &str) -> Value {
    let offer = json!({"sdp": offer(&[("audio", "sendonly")]), "publications": [{"mid": "0", "source": "microphone"}]});
    json!({"type": "join", "room": "demo", "identity": identity, "offer": offer})
}

#[tokio::test]
async fn a_lost_node_sends_its_participants_home_and_another_takes_over() {
    let (server, mut node) =
        TestServer::with_node(|config| config.link.grace = Duration::from_millis(100)).await;
    let mut client = Client::connect(&server).await;
    client.hello().await;
    client.ok(join("ada")).await;
    node.expect_transport().await;
    let (mut watcher, _) = Client::join(&server, "demo", "watcher").await;
    node.crash().await;
    assert_eq!(client.event("left").await["reason"], "node_lost");
    assert_eq!(watcher.event("participant_left").await["reason"], "node_lost");
    assert_eq!(client.refusal(join("ada")).await, "no_node");
    let mut second = ScriptedNode::attach(&server.hub, "node-2", 5).await;
    client.ok(join("ada")).await;
    second.expect_transport().await;
    assert_eq!(watcher.event("participant_joined").await["participant"]["identity"], "ada");
}

#[tokio::test]
async fn a_node_that_comes_back_is_compared_with_what_it_should_hold() {
    let (server, mut node) = TestServer::with_node(|_| {}).await;
    let mut ada = Client::connect(&server).await;
    ada.hello().await;
    ada.ok(join("ada")).await;
    let kept = node.expect_transport().await;
    let mut grace = Client::connect(&server).await;
    grace.hello().await;
    grace.ok(join("grace")).await;
    let (room, _lost) = node
        .expect(|command| match command {
            NodeCommand::Negotiate { room, transport, .. } => Some((*room, *transport)),
            _ => None,
        })
        .await;
    node.crash().await;

    let snapshot = |transport, room| TransportSnapshot {
        transport,
        room,
        participant: ParticipantNumber(1),
        connected: true,
        publications: Vec::new(),
        slots: Vec::new(),
    };
    let orphan = TransportId(42);
    let held = NodeState {
        rooms: [room, RoomId(7)]
            .map(|room| patchbay_protocol::node::RoomState { room, blobs: Default::default() })
            .to_vec(),
        transports: vec![snapshot(kept, room), snapshot(orphan, room), snapshot(TransportId(43), RoomId(7))],
    };
    let mut node = ScriptedNode::attach_holding(&server.hub, "node-1", 1, held);
    assert_eq!(grace.event("left").await["reason"], "node_lost");
    assert_eq!(ada.event("participant_left").await["reason"], "node_lost");
    let closed = node
        .expect(|command| match command {
            NodeCommand::CloseTransport { transport } => Some(*transport),
            _ => None,
        })
        .await;
    assert_eq!(closed, orphan);
    let closed_room = node
        .expect(|command| match command {
            NodeCommand::CloseRoom { room } => Some(*room),
            _ => None,
        })
        .await;
    assert_eq!(closed_room, RoomId(7));
    ada.ok(json!({"type": "chat", "text": "still here"})).await;
}

#[tokio::test]
async fn a_new_life_of_a_node_holds_nothing() {
    let (server, mut node) = TestServer::with_node(|_| {}).await;
    let mut ada = Client::connect(&server).await;
    ada.hello().await;
    ada.ok(join("ada")).await;
    node.expect_transport().await;
    let mut reborn = ScriptedNode::attach_holding(&server.hub, "node-1", 2, NodeState::default());
    assert_eq!(ada.event("left").await["reason"], "node_lost");
    ada.ok(join("ada")).await;
    reborn.expect_transport().await;
}

#[tokio::test]
async fn commands_without_an_answer_are_sent_again_with_their_ids_or_time_out() {
    let (server, node) =
        TestServer::with_node(|config| config.link.command_timeout = Duration::from_secs(3)).await;
    node.fall_silent();
    let mut ada = Client::connect(&server).await;
    ada.hello().await;
    let id = ada.send(join("ada")).await;
    // The link breaks while the offer is with the node; the next link answers it.
    let mut node = node;
    node.expect_transport().await;
    node.crash().await;
    let mut node = ScriptedNode::attach_holding(&server.hub, "node-1", 1, NodeState::default());
    node.expect_transport().await;
    assert_eq!(ada.reply(id).await["type"], "ok");

    node.fall_silent();
    let mut grace = Client::connect(&server).await;
    grace.hello().await;
    assert_eq!(grace.refusal(join("grace")).await, "overloaded");
}

#[tokio::test]
async fn rooms_go_to_the_node_with_the_fewest() {
    let (server, mut first) = TestServer::with_node(|_| {}).await;
    let mut second = ScriptedNode::attach_holding(&server.hub, "node-2", 1, NodeState::default());
    let mut attached = server.hub.attached();
    timeout(PATIENCE, attached.wait_for(|count| *count == 2)).await.unwrap().unwrap();
    let mut clients = Vec::new();
    for room in ["a", "b"] {
        let mut client = Client::connect(&server).await;
        client.hello().await;
        let mut request = join("ada");
        request["room"] = json!(room);
        client.ok(request).await;
        clients.push(client);
    }
    first.expect_transport().await;
    second.expect_transport().await;
}

fn node_secret(config: &mut patchbay_signaling::Config) {
    config.node_secret = Some(Secret::new("a node's secret"));
}

#[tokio::test]
async fn only_nodes_that_know_the_secret_attach() {
    let server = TestServer::start(node_secret).await;
    let node = |bearer, origin| Connect {
        path: Some("/v1/nodes"),
        protocols: Some("patchbay.node.v1"),
        bearer,
        origin,
        ..Connect::default()
    };
    assert_eq!(Client::try_connect(&server, node(None, None)).await.map(|_| ()), Err(401));
    assert_eq!(Client::try_connect(&server, node(Some("a node's secres"), None)).await.map(|_| ()), Err(401));
    let page = Some("http://localhost");
    assert_eq!(Client::try_connect(&server, node(Some("a node's secret"), page)).await.map(|_| ()), Err(403));
    let without = TestServer::start(|_| {}).await;
    assert_eq!(Client::try_connect(&without, node(Some("x"), None)).await.map(|_| ()), Err(403));
}

#[tokio::test]
async fn a_link_over_a_websocket_carries_commands_and_events() {
    let server = TestServer::start(node_secret).await;
    assert_eq!(http(&server, "GET", "/readyz", &[], "").await.status, 503);
    let connect = Connect {
        path: Some("/v1/nodes"),
        protocols: Some("patchbay.node.v1"),
        bearer: Some("a node's secret"),
        ..Connect::default()
    };
    let mut link = Client::try_connect(&server, connect).await.unwrap().socket;
    let hello = json!({"seq": 1, "type": "hello", "node": "far", "epoch": 9, "version": "0.1.0"});
    link.send(Message::text(hello.to_string())).await.unwrap();
    timeout(PATIENCE, server.hub.attached().wait_for(|count| *count == 1)).await.unwrap().unwrap();
    assert_eq!(http(&server, "GET", "/readyz", &[], "").await.status, 200);

    let mut client = Client::connect(&server).await;
    client.hello().await;
    let id = client.send(join("ada")).await;
    let mut seq = 1;
    let mut kinds = Vec::new();
    while !kinds.contains(&"negotiate".to_owned()) {
        let Some(Ok(Message::Text(text))) = timeout(PATIENCE, link.next()).await.unwrap() else { continue };
        let command: Value = serde_json::from_str(&text).unwrap();
        let kind = command["type"].as_str().unwrap().to_owned();
        let result = match kind.as_str() {
            "sync" => json!({"outcome": "synced", "state": {"rooms": [], "transports": []}}),
            "negotiate" => json!({"outcome": "answered", "sdp": "v=0\r\n", "publications": [
                {"mid": "0", "track": command["publications"][0]["track"], "kind": "audio"}], "slots": []}),
            _ => json!({"outcome": "done"}),
        };
        seq += 1;
        let done = json!({"seq": seq, "type": "done", "command": command["id"], "result": result});
        link.send(Message::text("not an event")).await.unwrap();
        link.send(Message::text(done.to_string())).await.unwrap();
        kinds.push(kind);
    }
    assert_eq!(kinds.first().map(String::as_str), Some("sync"), "a new link is asked first what it holds");
    let joined = client.reply(id).await;
    assert_eq!(joined["result"]["answer"]["publications"][0]["source"], "microphone");

    let report = json!({"seq": seq + 1, "type": "report", "counters": [["datagrams_received", 12]]});
    link.send(Message::text(report.to_string())).await.unwrap();
    let line = "patchbay_sfu_datagrams_received{node=\"far\"} 12";
    let reported = async {
        while !http(&server, "GET", "/metrics", &[], "").await.body.contains(line) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, reported).await.expect("the report should be in the metrics");
}

#[tokio::test]
async fn a_server_that_stops_tells_its_nodes_first_which_transports_are_over() {
    let server = TestServer::start(node_secret).await;
    let connect = Connect {
        path: Some("/v1/nodes"),
        protocols: Some("patchbay.node.v1"),
        bearer: Some("a node's secret"),
        ..Connect::default()
    };
    let mut link = Client::try_connect(&server, connect).await.unwrap().socket;
    let hello = json!({"seq": 1, "type": "hello", "node": "far", "epoch": 9, "version": "0.1.0"});
    link.send(Message::text(hello.to_string())).await.unwrap();
    timeout(PATIENCE, server.hub.attached().wait_for(|count| *count == 1)).await.unwrap().unwrap();
    let mut client = Client::connect(&server).await;
    client.hello().await;
    client.send(join("ada")).await;
    let next = async |link: &mut tokio_tungstenite::WebSocketStream<_>| loop {
        match timeout(PATIENCE, link.next()).await.unwrap() {
            Some(Ok(Message::Text(text))) => {
                return Ok(serde_json::from_str::<Value>(&text).unwrap()["type"]
                    .as_str()
                    .unwrap()
                    .to_owned());
            }
            Some(Ok(Message::Close(frame))) => return Err(frame.map(|frame| u16::from(frame.code))),
            Some(Ok(_)) => {}
            other => panic!("the link broke: {other:?}"),
        }
    };
    while next(&mut link).await != Ok("negotiate".into()) {}
    let stopping = tokio::spawn(server.stop());
    assert_eq!(client.close_code().await.0, 1001);
    drop(client);
    let mut last = None;
    let code = loop {
        match next(&mut link).await {
            Ok(kind) => last = Some(kind),
            Err(code) => break code,
        }
    };
    assert_eq!((last.as_deref(), code), (Some("close_transport"), Some(1001)));
    drop(link);
    stopping.await.unwrap();
}
