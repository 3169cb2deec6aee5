use std::collections::BTreeMap;
use std::time::Duration;

use patchbay_protocol::node::{
    CommandResult, NodeCommand, NodeEvent, NodeState, RoomState, TransportSnapshot,
};
use patchbay_protocol::{
    CommandId, Epoch, ErrorCode, NodeName, ParticipantNumber, RoomId, TransportId, TransportState,
};
use tokio::sync::mpsc;

use super::table::{Destination, Generation, Table};
use crate::room::{Input, Ticket};
use crate::rooms::{Mail, Mailbox};

const ROOM: RoomId = RoomId(1);

fn node() -> NodeName {
    NodeName::new("node")
}

fn mailbox() -> Mailbox {
    mpsc::channel(16).0
}

fn negotiate(transport: u64) -> NodeCommand {
    NodeCommand::Negotiate {
        transport: TransportId(transport),
        room: ROOM,
        participant: ParticipantNumber(1),
        sdp: String::new(),
        publications: Vec::new(),
        slots: Vec::new(),
        data: false,
        topics: Vec::new(),
        channels: Vec::new(),
    }
}

fn snapshot(transport: u64, room: u64) -> TransportSnapshot {
    TransportSnapshot {
        transport: TransportId(transport),
        room: RoomId(room),
        participant: ParticipantNumber(1),
        connected: true,
        publications: Vec::new(),
        slots: Vec::new(),
    }
}

fn room(room: u64, texts: &[(&str, &str)]) -> RoomState {
    let blobs = texts.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
    RoomState { room: RoomId(room), blobs }
}

/// What waits to be written, with its id.
fn written(table: &mut Table, generation: Generation) -> Vec<(CommandId, NodeCommand)> {
    std::iter::from_fn(|| table.next_unwritten(&node(), generation))
        .map(|command| (command.id, command.command))
        .collect()
}

/// A table whose node has attached, with the id of its `sync`.
fn attached(epoch: u64) -> (Table, Generation, CommandId) {
    let mut table = Table::new(Epoch(epoch));
    let (generation, _) = table.attach(&node(), Epoch(1));
    let first = written(&mut table, generation);
    let [(sync, NodeCommand::Sync {})] = first[..] else { panic!("{first:?}") };
    (table, generation, sync)
}

fn synced(command: CommandId, rooms: Vec<RoomState>, transports: Vec<TransportSnapshot>) -> NodeEvent {
    NodeEvent::Done { command, result: CommandResult::Synced { state: NodeState { rooms, transports } } }
}

#[test]
fn a_node_that_returns_as_another_takes_nothing_of_a_room_it_does_not_hold() {
    let (mut table, _, _) = attached(5);
    assert_eq!(table.place(ROOM, &mailbox()), Some(node()));
    let to = Destination::Room(ROOM, Some(Ticket(1)));
    assert_eq!(table.submit(&node(), to, negotiate(1)), Ok(()));
    let (generation, lost) = table.attach(&node(), Epoch(2));
    assert!(matches!(&lost[..], [(_, Mail::Input(Input::Done { .. })), (_, Mail::Input(Input::NodeLost))]));

    // The room has not heard of it yet.
    assert_eq!(table.submit(&node(), to, negotiate(1)), Err(ErrorCode::NoNode));
    let close = NodeCommand::CloseTransport { transport: TransportId(1) };
    assert_eq!(table.submit(&node(), Destination::Room(ROOM, None), close), Ok(()), "it is closed already");
    table.release(&node(), ROOM);
    assert!(matches!(written(&mut table, generation)[..], [(_, NodeCommand::Sync {})]));
}

#[test]
fn what_a_node_holds_may_come_in_parts_and_events_about_it_before_it_is_taken_in() {
    let (mut table, _, sync) = attached(5);
    let held = |state| NodeEvent::Held { command: sync, state };
    let part = NodeState { rooms: vec![room(1, &[("a", "1")])], transports: Vec::new() };
    assert!(table.handle_event(&node(), held(part)).orphans.is_empty());
    let part =
        NodeState { rooms: vec![room(1, &[("b", "2")]), room(2, &[])], transports: vec![snapshot(1, 1)] };
    table.handle_event(&node(), held(part));
    let failed = TransportState::Failed { reason: "silence".into() };
    let early = NodeEvent::Transport { transport: TransportId(1), state: failed };
    assert!(table.handle_event(&node(), early).deliveries.is_empty(), "nobody knows it yet");

    let outcome = table.handle_event(&node(), synced(sync, Vec::new(), vec![snapshot(2, 1)]));
    assert!(outcome.is_synced);
    let orphans: Vec<(u64, BTreeMap<&str, &str>, usize)> = outcome
        .orphans
        .iter()
        .map(|orphan| {
            let blobs = orphan.blobs.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
            (orphan.room.0, blobs, orphan.transports.len())
        })
        .collect();
    assert_eq!(orphans, [(1, [("a", "1"), ("b", "2")].into(), 2), (2, [].into(), 0)]);

    table.enlist(&node(), ROOM, &mailbox(), &[TransportId(1), TransportId(2)]);
    let late = table.end_sync(&node());
    assert!(matches!(&late[..], [(_, Mail::Input(Input::Node(NodeEvent::Transport { .. })))]));
    assert!(table.end_sync(&node()).is_empty(), "told once");
}

#[test]
fn a_room_that_is_known_is_told_what_its_node_holds_and_strangers_in_it_are_closed() {
    let (mut table, _, sync) = attached(5);
    table.handle_event(&node(), synced(sync, Vec::new(), Vec::new()));
    table.place(ROOM, &mailbox());
    table.submit(&node(), Destination::Room(ROOM, None), negotiate(1)).expect("placed");
    table.expire(&node(), Duration::ZERO);
    let (generation, _) = table.attach(&node(), Epoch(1));
    let sync = written(&mut table, generation).last().expect("a sync").0;
    let transports = vec![snapshot(1, 1), snapshot(9, 1), snapshot(8, 77)];
    let outcome = table.handle_event(&node(), synced(sync, vec![room(1, &[("room", "x")])], transports));
    let [(_, Mail::Synced { blobs, transports })] = &outcome.deliveries[..] else {
        panic!("{:?}", outcome.deliveries)
    };
    assert_eq!((blobs.len(), transports.len()), (1, 1));
    let closed: Vec<NodeCommand> =
        written(&mut table, generation).into_iter().map(|(_, command)| command).collect();
    let close = |transport| NodeCommand::CloseTransport { transport: TransportId(transport) };
    assert_eq!(closed, [close(9), close(8)]);
}

#[test]
fn a_sync_that_brings_nothing_is_asked_again() {
    let (mut table, generation, sync) = attached(5);
    let refused = CommandResult::failed(ErrorCode::Overloaded, "not now");
    let outcome = table.handle_event(&node(), NodeEvent::Done { command: sync, result: refused });
    assert!(!outcome.is_synced);
    let patience = Duration::from_secs(60);
    table.expire(&node(), patience);
    let again = written(&mut table, generation);
    assert!(matches!(again[..], [(_, NodeCommand::Sync {})]), "{again:?}");
    table.expire(&node(), patience);
    assert!(written(&mut table, generation).is_empty(), "one at a time");
    table.expire(&node(), Duration::ZERO);
    let again = written(&mut table, generation);
    let [(third, NodeCommand::Sync {})] = again[..] else { panic!("{again:?}") };
    assert!(table.handle_event(&node(), synced(third, vec![room(3, &[])], Vec::new())).is_synced);
}

#[test]
fn ids_of_a_new_life_are_above_those_of_the_one_before() {
    let (_, _, before) = attached(5);
    let (_, _, after) = attached(6);
    assert!(after > before);
}
