//! A server that is killed and starts again: rooms are rebuilt from what nodes hold, and sessions are taken up again.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use patchbay_protocol::node::{NodeCommand, NodeEvent, NodeState, RoomState};
use patchbay_protocol::{Mid, RoomId, SlotSource, SlotState, TransportState};
use patchbay_signaling::{Config, Secret, Server};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::support::{Client, PATIENCE, ScriptedNode, offer};

const SECRET: &str = "a node's secret";

/// A directory of one test's own, which goes with it.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("patchbay-rebuild-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One life of a server, on threads of its own, which can be ended as by a signal that can't be caught.
struct Life {
    runtime: Option<Runtime>,
    address: SocketAddr,
}

impl Life {
    async fn start(directory: &Directory, adjust: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new("127.0.0.1:0".parse().unwrap());
        config.state_dir = Some(directory.0.clone());
        config.node_secret = Some(Secret::new(SECRET));
        adjust(&mut config);
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = runtime.spawn(Server::bind(config)).await.unwrap().unwrap();
        let address = server.local_addr();
        runtime.spawn(server.serve(std::future::pending()));
        Self { runtime: Some(runtime), address }
    }

    /// Nothing is said to anybody.
    fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    async fn node(&self, held: NodeState) -> ScriptedNode {
        ScriptedNode::dial(self.address, SECRET, "node-1", 7, held).await
    }

    async fn client(&self) -> Client {
        Client::connect_to(self.address).await
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a client keeps of its session.
struct Kept {
    session: Value,
    secret: Value,
    epoch: Value,
}

impl Kept {
    fn resume(&self) -> Value {
        let (session, secret, epoch) = (&self.session, &self.secret, &self.epoch);
        let resume = json!({"session": session, "secret": secret, "epoch": epoch, "last_seq": 2});
        json!({"type": "hello", "version": 1, "resume": resume})
    }
}

async fn hello(client: &mut Client) -> Kept {
    let welcome = client.ok(json!({"type": "hello", "version": 1})).await;
    let field = |name: &str| welcome[name].clone();
    Kept { session: field("session"), secret: field("secret"), epoch: field("epoch") }
}

fn join(identity: &str) -> Value {
    let slots = json!([{"mid": "1", "source": {"speaker": 1}}]);
    let offer = json!({
        "sdp": offer(&[("audio", "sendonly"), ("video", "recvonly")]),
        "publications": [{"mid": "0", "source": "microphone"}],
        "slots": slots,
    });
    json!({"type": "join", "room": "demo", "identity": identity, "offer": offer})
}

/// Waits until the node holds what is looked for.
async fn until_held(node: &ScriptedNode, is_there: impl Fn(&NodeState) -> bool) -> NodeState {
    let look = async {
        loop {
            let held = node.held();
            if is_there(&held) {
                return held;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, look).await.expect("the node should be told")
}

fn holds(state: &NodeState, text: &str) -> bool {
    state.rooms.iter().any(|room| room.blobs.values().any(|stored| stored.contains(text)))
}

#[tokio::test]
async fn a_killed_server_comes_back_with_its_rooms_and_everybody_in_them() {
    let directory = Directory::new();
    let first = Life::start(&directory, |_| {}).await;
    let mut node = first.node(NodeState::default()).await;
    let (mut ada, mut grace) = (first.client().await, first.client().await);
    let (ada_kept, grace_kept) = (hello(&mut ada).await, hello(&mut grace).await);
    // Nodes attach in their own time.
    let joined = loop {
        let reply = ada.request(join("ada")).await;
        if reply["type"] == "ok" {
            break reply["result"].clone();
        }
        assert_eq!(reply["code"], "no_node", "{reply}");
    };
    // Told that it joined: from here on it must come back, whatever else was not stored yet.
    assert!(holds(&node.held(), "\"ada\""), "the node has it by the time it answers");
    let transport = node.expect_transport().await;
    // Without media, but in the room all the same.
    grace.ok(json!({"type": "join", "room": "demo", "identity": "grace", "name": "Grace \"H\""})).await;
    ada.ok(json!({"type": "update", "name": "Ada L", "hand_raised": true})).await;
    let track = joined["participant"]["tracks"][0]["id"].clone();
    ada.ok(json!({"type": "mute", "track": track, "muted": true})).await;
    let mut held = until_held(&node, |held| holds(held, "Ada L") && holds(held, "Grace")).await;
    held.transports[0].publications[0].muted = true;

    first.kill();
    node.ended().await;
    let second = Life::start(&directory, |_| {}).await;
    // They are there before the node is, as is somebody new, and none of them is in a room of its own.
    let (mut ada, mut grace, mut linus) =
        (second.client().await, second.client().await, second.client().await);
    hello(&mut linus).await;
    let linus_joins = linus.send(json!({"type": "join", "room": "demo", "identity": "linus"})).await;
    let resume = ada_kept.resume();
    let (resumed, mut node) = tokio::join!(ada.ok(resume), second.node(held));

    assert!(resumed["epoch"].as_u64() > ada_kept.epoch.as_u64(), "{resumed}");
    assert_eq!((&resumed["type"], &resumed["next_seq"]), (&json!("resumed"), &json!(1)));
    let snapshot = &resumed["snapshot"];
    assert_eq!(snapshot["session"], ada_kept.session);
    assert_eq!((&snapshot["room"], &snapshot["answer"]), (&json!("demo"), &Value::Null));
    let own = &snapshot["participant"];
    assert_eq!(
        (&own["number"], &own["name"], &own["hand_raised"]),
        (&json!(1), &json!("Ada L"), &json!(true))
    );
    assert_eq!((&own["tracks"][0]["id"], &own["tracks"][0]["muted"]), (&track, &json!(true)));
    let others = snapshot["participants"].as_array().unwrap();
    assert!(others.iter().any(|other| other["name"] == "Grace \"H\"" && other["number"] == 2), "{others:?}");

    let snapshot = grace.ok(grace_kept.resume()).await["snapshot"].clone();
    assert_eq!(snapshot["participant"]["number"], 2);
    let joined = linus.reply(linus_joins).await["result"].clone();
    assert_eq!(joined["participant"]["number"], 3, "numbers go on: {joined}");
    assert_eq!(joined["participants"].as_array().unwrap().len(), 2);

    // The room works on: what the node says reaches its participant, and what a participant says its node.
    let (mid, source) = (Mid::new("1"), Some(SlotSource::Speaker { speaker: 1 }));
    let state = SlotState { source, participant: None, track: None, paused: None };
    node.say(NodeEvent::Slot { transport, mid: mid.clone(), state }).await;
    assert_eq!(ada.event("slot").await["mid"], "1");
    ada.ok(json!({"type": "slot", "mid": "1", "source": {"speaker": 2}})).await;
    let switched = node
        .expect(|command| match command {
            NodeCommand::SetSlot { transport, mid, .. } => Some((*transport, mid.clone())),
            _ => None,
        })
        .await;
    assert_eq!(switched, (transport, mid));
    grace.ok(json!({"type": "update", "hand_raised": true})).await;
    assert_eq!(ada.event("participant_updated").await["participant"]["number"], 2);
    let silence = TransportState::Failed { reason: "silence".into() };
    node.say(NodeEvent::Transport { transport, state: silence }).await;
    assert_eq!(grace.event("participant_left").await["reason"], "transport_lost");
}

#[tokio::test]
async fn secrets_count_and_windows_end() {
    let directory = Directory::new();
    let first = Life::start(&directory, |_| {}).await;
    let mut node = first.node(NodeState::default()).await;
    let (mut ada, mut grace) = (first.client().await, first.client().await);
    let (ada_kept, mut grace_kept) = (hello(&mut ada).await, hello(&mut grace).await);
    while ada.request(join("ada")).await["type"] != "ok" {}
    grace.ok(join("grace")).await;
    let held = until_held(&node, |held| held.transports.len() == 2).await;
    first.kill();
    node.ended().await;

    let window = Duration::from_millis(700);
    let second = Life::start(&directory, |config| config.resume_window = window).await;
    let node = second.node(held).await;
    let (mut ada, mut grace) = (second.client().await, second.client().await);
    let secret = std::mem::replace(&mut grace_kept.secret, ada_kept.secret.clone());
    assert_eq!(grace.refusal(grace_kept.resume()).await, "session_gone", "somebody else's secret");
    grace_kept.secret = secret;
    ada.ok(ada_kept.resume()).await;
    assert_eq!(ada.event("participant_left").await["reason"], "connection_lost");
    assert_eq!(grace.refusal(grace_kept.resume()).await, "session_gone", "too late");
    until_held(&node, |held| held.transports.len() == 1 && !holds(held, "\"identity\":\"grace\"")).await;
    // On the same connection it comes in afresh.
    hello(&mut grace).await;
    let joined = grace.ok(join("grace")).await;
    assert_eq!(joined["participant"]["number"], 3);
}

#[tokio::test]
async fn rooms_that_nobody_can_read_are_closed_and_all_that_is_in_them() {
    let directory = Directory::new();
    let life = Life::start(&directory, |_| {}).await;
    let blobs = [("room".to_owned(), "{\"version\":99}".to_owned())].into();
    let rooms =
        vec![RoomState { room: RoomId(1), blobs }, RoomState { room: RoomId(2), blobs: Default::default() }];
    let node = life.node(NodeState { rooms, transports: Vec::new() }).await;
    until_held(&node, |held| held.rooms.is_empty()).await;
}

#[tokio::test]
async fn whoever_comes_after_the_wait_opens_the_room_anew_and_the_older_one_ends() {
    let directory = Directory::new();
    let first = Life::start(&directory, |_| {}).await;
    let mut node = first.node(NodeState::default()).await;
    let mut ada = first.client().await;
    let kept = hello(&mut ada).await;
    while ada.request(join("ada")).await["type"] != "ok" {}
    let held = until_held(&node, |held| holds(held, "\"ada\"")).await;
    first.kill();
    node.ended().await;

    // The node does not come for so long that nobody waits for it any more.
    std::fs::remove_file(directory.0.join("nodes.json")).unwrap();
    let second = Life::start(&directory, |_| {}).await;
    let mut linus = second.client().await;
    hello(&mut linus).await;
    linus.ok(json!({"type": "join", "room": "demo", "identity": "linus"})).await;
    let mut ada = second.client().await;
    assert_eq!(ada.refusal(kept.resume()).await, "session_gone", "nobody is expected");
    let node = second.node(held).await;
    let held = until_held(&node, |held| held.transports.is_empty()).await;
    assert!(!holds(&held, "\"ada\""));
    hello(&mut ada).await;
    ada.ok(join("ada")).await;
    assert_eq!(linus.event("participant_joined").await["participant"]["identity"], "ada");
}
