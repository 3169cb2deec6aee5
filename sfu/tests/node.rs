//! A node as its owner sees it: starting, stopping, commands over the in-memory link.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::Duration;

use patchbay_protocol::node::{Command, CommandResult, NodeCommand, NodeEvent};
use patchbay_protocol::{CommandId, Epoch, ErrorCode, NodeName, RoomId, TrackId, TransportId};
use patchbay_sfu::{Node, NodeConfig, NodeLink, StartError};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);
const EPOCH: Epoch = Epoch(7);

fn config() -> NodeConfig {
    NodeConfig {
        workers: Some(2),
        bind: vec![Ipv4Addr::LOCALHOST.into()],
        ..NodeConfig::new(NodeName::new("node"), 0)
    }
}

async fn send(link: &NodeLink, id: u64, epoch: Epoch, command: NodeCommand) {
    link.commands
        .send(Command { id: CommandId(id), epoch, traceparent: None, command })
        .await
        .expect("the node is there");
}

async fn answer(link: &mut NodeLink, id: u64) -> CommandResult {
    let answered = async {
        loop {
            let event = link.events.recv().await.expect("the node is there");
            if let NodeEvent::Done { command, result } = event.event
                && command == CommandId(id)
            {
                return result;
            }
        }
    };
    timeout(PATIENCE, answered).await.expect("an answer in time")
}

async fn ask(link: &mut NodeLink, id: u64, command: NodeCommand) -> CommandResult {
    send(link, id, EPOCH, command).await;
    answer(link, id).await
}

fn code(result: &CommandResult) -> Option<ErrorCode> {
    match result {
        CommandResult::Failed { error } => Some(error.code),
        _ => None,
    }
}

#[tokio::test]
async fn starts_on_all_interfaces_and_stops() {
    let node = Node::start(NodeConfig::new(NodeName::new("node"), 0)).expect("started");
    assert!(!node.candidates().is_empty());
    assert!(node.local_addresses().iter().all(|a| a.port() != 0));
    for candidate in node.candidates() {
        let bound = node.local_addresses();
        assert!(bound.iter().any(|b| b.port() == candidate.port() && b.is_ipv4() == candidate.is_ipv4()));
    }
    let ports: Vec<_> = node.local_addresses().to_vec();
    timeout(PATIENCE, node.shutdown()).await.expect("stopped");
    UdpSocket::bind(ports[0]).expect("the port is free again");
}

#[tokio::test]
async fn a_taken_port_is_explained_and_nothing_keeps_running() {
    let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let media_port = taken.local_addr().expect("bound").port();
    let config = NodeConfig { media_port, workers: Some(1), ..config() };
    let error = Node::start(config.clone()).expect_err("the port is taken");
    assert!(matches!(error, StartError::PortTaken { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(&media_port.to_string()) && text.contains("--media-port"), "{text}");

    drop(taken);
    let node = Node::start(config).expect("free now");
    assert_eq!(node.local_addresses()[0].port(), media_port);
    node.shutdown().await;
}

#[tokio::test]
async fn a_public_address_is_announced_with_each_workers_port() {
    let public: IpAddr = "203.0.113.7".parse().expect("an address");
    let node = Node::start(NodeConfig { public_ips: vec![public], ..config() }).expect("started");
    let announced = node.candidates().iter().filter(|c| c.ip() == public).count();
    assert_eq!(announced, 2);
    assert_eq!(node.candidates()[0].ip(), public);
    node.shutdown().await;
}

#[tokio::test]
async fn unknown_ids_are_refused_each_with_its_code() {
    let node = Node::start(config()).expect("started");
    let mut link = node.link();
    let mute = NodeCommand::SetMuted { room: RoomId(1), track: TrackId(1), muted: true };
    assert_eq!(code(&ask(&mut link, 1, mute).await), Some(ErrorCode::UnknownRoom));
    let candidate = NodeCommand::Candidate { transport: TransportId(1), candidate: String::new() };
    assert_eq!(code(&ask(&mut link, 2, candidate).await), Some(ErrorCode::UnknownTransport));
    let close = NodeCommand::CloseTransport { transport: TransportId(1) };
    assert_eq!(ask(&mut link, 3, close).await, CommandResult::Done {});
    let close = NodeCommand::CloseRoom { room: RoomId(1) };
    assert_eq!(ask(&mut link, 4, close).await, CommandResult::Done {});
    let CommandResult::Synced { state } = ask(&mut link, 5, NodeCommand::Sync {}).await else {
        panic!("not synced")
    };
    assert!(state.rooms.is_empty() && state.transports.is_empty());
    node.shutdown().await;
}

#[tokio::test]
async fn a_room_with_texts_stays_without_transports_until_it_is_closed() {
    let node = Node::start(config()).expect("started");
    let mut link = node.link();
    let store = |blobs: &[(&str, Option<&str>)]| NodeCommand::StoreBlob {
        room: RoomId(1),
        blobs: blobs.iter().map(|(key, text)| ((*key).to_owned(), text.map(str::to_owned))).collect(),
    };
    let first = ask(&mut link, 1, store(&[("room", Some("x")), ("member/1", Some("y"))])).await;
    assert_eq!(first, CommandResult::Done {});
    assert_eq!(ask(&mut link, 2, store(&[("member/1", None)])).await, CommandResult::Done {});
    drop(link);
    let mut link = node.link();
    let CommandResult::Synced { state } = ask(&mut link, 3, NodeCommand::Sync {}).await else {
        panic!("not synced")
    };
    let texts: Vec<(&str, &str)> =
        state.rooms[0].blobs.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
    assert_eq!((state.rooms[0].room, &texts[..]), (RoomId(1), &[("room", "x")][..]));
    let long = "x".repeat(patchbay_protocol::limit::BLOB_BYTES + 1);
    let refused = ask(&mut link, 4, store(&[("member/2", Some(&long))])).await;
    assert_eq!(code(&refused), Some(ErrorCode::TooMany));
    assert_eq!(ask(&mut link, 5, NodeCommand::CloseRoom { room: RoomId(1) }).await, CommandResult::Done {});
    let CommandResult::Synced { state } = ask(&mut link, 6, NodeCommand::Sync {}).await else {
        panic!("not synced")
    };
    assert!(state.rooms.is_empty());
    node.shutdown().await;
}

#[tokio::test]
async fn what_does_not_fit_into_one_message_is_told_in_parts() {
    let node = Node::start(config()).expect("started");
    let mut link = node.link();
    let text = "\"".repeat(64 * 1024);
    for room in 1..=40 {
        let blobs = [("room".to_owned(), Some(text.clone()))].into();
        let store = NodeCommand::StoreBlob { room: RoomId(room), blobs };
        assert_eq!(ask(&mut link, room, store).await, CommandResult::Done {});
    }
    send(&link, 100, EPOCH, NodeCommand::Sync {}).await;
    let mut rooms = std::collections::BTreeSet::new();
    let mut parts = 0;
    loop {
        let event = timeout(PATIENCE, link.events.recv()).await.expect("in time").expect("an event").event;
        match event {
            NodeEvent::Held { command: CommandId(100), state } => {
                parts += 1;
                rooms.extend(state.rooms.into_iter().map(|room| room.room));
            }
            NodeEvent::Done { command: CommandId(100), result: CommandResult::Synced { state } } => {
                rooms.extend(state.rooms.into_iter().map(|room| room.room));
                break;
            }
            _ => {}
        }
    }
    assert!(parts >= 2, "{parts} parts");
    assert_eq!(rooms, (1..=40).map(RoomId).collect());
    node.shutdown().await;
}

#[tokio::test]
async fn a_repeated_command_gets_the_first_answer_and_a_stale_one_none_but_that() {
    let node = Node::start(config()).expect("started");
    let mut link = node.link();
    let mute = |room| NodeCommand::SetMuted { room: RoomId(room), track: TrackId(1), muted: true };
    let first = ask(&mut link, 1, mute(1)).await;
    assert_eq!(code(&first), Some(ErrorCode::UnknownRoom));
    // The same id with something else in it is still the same command.
    assert_eq!(ask(&mut link, 1, mute(2)).await, first);

    send(&link, 1, Epoch(8), NodeCommand::CloseRoom { room: RoomId(1) }).await;
    assert_eq!(answer(&mut link, 1).await, CommandResult::Done {}, "a new epoch starts anew");
    send(&link, 2, EPOCH, NodeCommand::CloseRoom { room: RoomId(1) }).await;
    assert_eq!(code(&answer(&mut link, 2).await), Some(ErrorCode::StaleEpoch));
    send(&link, 3, EPOCH, NodeCommand::Sync {}).await;
    assert_eq!(code(&answer(&mut link, 3).await), Some(ErrorCode::StaleEpoch));
    node.shutdown().await;
}

#[tokio::test]
async fn a_newer_link_replaces_the_one_before_and_events_stay_numbered() {
    let node = Node::start(config()).expect("started");
    let mut first = node.link();
    ask(&mut first, 1, NodeCommand::CloseRoom { room: RoomId(1) }).await;
    let mut second = node.link();
    // The first link ends when the node has let go of it.
    timeout(PATIENCE, first.commands.closed()).await.expect("replaced");
    send(&second, 2, EPOCH, NodeCommand::Sync {}).await;
    let event = timeout(PATIENCE, second.events.recv()).await.expect("in time").expect("an event");
    assert!(event.seq > 1, "numbers go on over links: {}", event.seq);
    node.shutdown().await;
}

#[tokio::test]
async fn datagrams_reach_the_worker_and_are_reported() {
    let node = Node::start(config()).expect("started");
    let mut link = node.link();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    for address in node.local_addresses() {
        for length in [0, 1, 12, 20, 1_200] {
            socket.send_to(&vec![0xA5; length], address).expect("sent");
        }
    }
    let reported = async {
        loop {
            let event = link.events.recv().await.expect("the node is there");
            if let NodeEvent::Report { counters } = event.event {
                let value = |name: &str| counters.iter().find(|(n, _)| n == name).map(|(_, v)| *v);
                if value("udp_received_total") == Some(10) {
                    assert!(counters.is_sorted_by(|a, b| a.0 < b.0), "sorted by name, each once");
                    assert_eq!(value("udp_received_bytes_total"), Some(2 * (1 + 12 + 20 + 1_200)));
                    assert_eq!(value("workers"), Some(2));
                    assert_eq!(value("worker_panics_total"), Some(0));
                    assert!(value("udp_receive_buffer_bytes").is_some_and(|bytes| bytes > 0));
                    return;
                }
            }
        }
    };
    timeout(PATIENCE, reported).await.expect("reported in time");
    node.shutdown().await;
}

#[tokio::test]
async fn a_node_that_is_dropped_ends_its_threads() {
    let node = Node::start(NodeConfig { workers: Some(1), ..config() }).expect("started");
    let address = node.local_addresses()[0];
    let mut link = node.link();
    drop(node);
    timeout(PATIENCE, async { while link.events.recv().await.is_some() {} }).await.expect("the link ends");
    // The thread closes its socket as it ends; a few milliseconds may pass.
    let free = async {
        while UdpSocket::bind(address).is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, free).await.expect("the port is free again");
}
