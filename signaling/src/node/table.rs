//! The hub's table, as plain data: nodes, the rooms on them, and commands without an answer.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use patchbay_protocol::node::{Command, CommandResult, NodeCommand, NodeEvent, NodeState};
use patchbay_protocol::{CommandId, Epoch, ErrorCode, NodeName, RoomId, TransportId};

use crate::metric::NodeGauges;
use crate::room::{Input, Ticket};
use crate::rooms::{Mail, Mailbox};
use crate::timeline::Timelines;

/// Commands of one node without an answer. Past it requests are refused as `overloaded`; ends are still taken, as there
/// can be no more of them than there are transports.
const PENDING: usize = 16_384;

/// Which link of a node is meant: an old link must not speak for a newer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Generation(u64);

/// Who wants the result of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Destination {
    Room(RoomId, Option<Ticket>),
    /// The hub's own `sync`.
    Hub,
}

/// Mail on its way to a room.
pub(super) type Delivery = (Mailbox, Input);

struct Pending {
    to: Destination,
    command: NodeCommand,
    since: Instant,
}

/// A transport that the node was told of.
struct Placed {
    room: RoomId,
    /// Its latest `negotiate`: a `sync` that was asked for before says nothing about it.
    since: CommandId,
}

struct Node {
    epoch: Epoch,
    generation: Generation,
    attached: bool,
    rooms: BTreeMap<RoomId, Mailbox>,
    transports: HashMap<TransportId, Placed>,
    pending: BTreeMap<CommandId, Pending>,
    /// Commands that the link has not written yet.
    unwritten: VecDeque<CommandId>,
    counters: Vec<(String, u64)>,
}

pub(super) struct Table {
    epoch: Epoch,
    next_command: u64,
    next_generation: u64,
    nodes: BTreeMap<NodeName, Node>,
    timelines: Arc<Timelines>,
}

impl Table {
    pub(super) fn new(epoch: Epoch) -> Self {
        // Command ids of different lives don't meet: each life starts where its epoch says, 1,024 ids a millisecond.
        let next_command = epoch.0.saturating_mul(1_024);
        Self { epoch, next_command, next_generation: 1, nodes: BTreeMap::new(), timelines: Arc::default() }
    }

    /// What nodes tell of joins.
    pub(super) fn timelines(&self) -> Arc<Timelines> {
        self.timelines.clone()
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// A link came up. What the node's earlier life held is lost; otherwise commands without an answer go out again.
    pub(super) fn attach(&mut self, name: &NodeName, epoch: Epoch) -> (Generation, Vec<Delivery>) {
        let generation = Generation(self.next_generation);
        self.next_generation += 1;
        let mut lost = Vec::new();
        if self.nodes.get(name).is_some_and(|node| node.epoch != epoch) {
            lost = self.lose(name);
        }
        let node = self.nodes.entry(name.clone()).or_insert_with(|| Node {
            epoch,
            generation,
            attached: true,
            rooms: BTreeMap::new(),
            transports: HashMap::new(),
            pending: BTreeMap::new(),
            unwritten: VecDeque::new(),
            counters: Vec::new(),
        });
        node.generation = generation;
        node.attached = true;
        node.pending.retain(|_, pending| pending.to != Destination::Hub);
        node.unwritten = node.pending.keys().copied().collect();
        let _ = self.submit(name, Destination::Hub, NodeCommand::Sync {});
        (generation, lost)
    }

    /// A link went down. False if it was not the node's latest.
    pub(super) fn detach(&mut self, name: &NodeName, generation: Generation) -> bool {
        match self.nodes.get_mut(name) {
            Some(node) if node.generation == generation => {
                node.attached = false;
                true
            }
            _ => false,
        }
    }

    /// Whether the node has had no link since this one.
    pub(super) fn is_still_away(&self, name: &NodeName, generation: Generation) -> bool {
        self.nodes.get(name).is_some_and(|node| node.generation == generation && !node.attached)
    }

    /// Whether this link is the node's latest.
    pub(super) fn is_current(&self, name: &NodeName, generation: Generation) -> bool {
        self.nodes.get(name).is_some_and(|node| node.generation == generation)
    }

    pub(super) fn attached(&self) -> usize {
        self.nodes.values().filter(|node| node.attached).count()
    }

    /// Forgets a node. Everybody who waits for it is told.
    pub(super) fn lose(&mut self, name: &NodeName) -> Vec<Delivery> {
        let Some(node) = self.nodes.remove(name) else { return Vec::new() };
        let mut deliveries = Vec::new();
        for pending in node.pending.values() {
            if let Destination::Room(room, Some(ticket)) = pending.to
                && let Some(mailbox) = node.rooms.get(&room)
            {
                let result = CommandResult::failed(ErrorCode::NoNode, "the media node went away; join again");
                deliveries.push((mailbox.clone(), Input::Done { ticket, result }));
            }
        }
        deliveries.extend(node.rooms.into_values().map(|mailbox| (mailbox, Input::NodeLost)));
        deliveries
    }

    pub(super) fn place(&mut self, room: RoomId, mailbox: &Mailbox) -> Option<NodeName> {
        let attached = self.nodes.iter_mut().filter(|(_, node)| node.attached);
        let (name, node) = attached.min_by_key(|(_, node)| node.rooms.len())?;
        node.rooms.insert(room, mailbox.clone());
        Some(name.clone())
    }

    pub(super) fn submit(
        &mut self,
        name: &NodeName,
        to: Destination,
        command: NodeCommand,
    ) -> Result<(), ErrorCode> {
        let node = self.nodes.get_mut(name).ok_or(ErrorCode::NoNode)?;
        let is_end = matches!(command, NodeCommand::CloseTransport { .. } | NodeCommand::CloseRoom { .. });
        if node.pending.len() >= PENDING && !is_end {
            return Err(ErrorCode::Overloaded);
        }
        let id = CommandId(self.next_command);
        self.next_command += 1;
        match &command {
            NodeCommand::Negotiate { transport, room, .. } => {
                node.transports.insert(*transport, Placed { room: *room, since: id });
            }
            NodeCommand::CloseTransport { transport } => {
                node.transports.remove(transport);
            }
            _ => {}
        }
        node.pending.insert(id, Pending { to, command, since: Instant::now() });
        node.unwritten.push_back(id);
        Ok(())
    }

    pub(super) fn release(&mut self, name: &NodeName, room: RoomId) {
        let _ = self.submit(name, Destination::Room(room, None), NodeCommand::CloseRoom { room });
        if let Some(node) = self.nodes.get_mut(name) {
            node.rooms.remove(&room);
            node.transports.retain(|_, placed| placed.room != room);
        }
    }

    /// The next command for the link to write.
    pub(super) fn next_unwritten(&mut self, name: &NodeName, generation: Generation) -> Option<Command> {
        let epoch = self.epoch;
        let node = self.nodes.get_mut(name).filter(|node| node.generation == generation)?;
        while let Some(id) = node.unwritten.pop_front() {
            if let Some(pending) = node.pending.get(&id) {
                return Some(Command { id, epoch, command: pending.command.clone() });
            }
        }
        None
    }

    /// An event of the node: where it goes.
    pub(super) fn handle_event(&mut self, name: &NodeName, event: NodeEvent) -> Vec<Delivery> {
        let Some(node) = self.nodes.get_mut(name) else { return Vec::new() };
        match event {
            NodeEvent::Done { command, result } => {
                let Some(pending) = node.pending.remove(&command) else { return Vec::new() };
                match (pending.to, result) {
                    (Destination::Room(room, Some(ticket)), result) => {
                        let delivery = node
                            .rooms
                            .get(&room)
                            .map(|mailbox| (mailbox.clone(), Input::Done { ticket, result }));
                        delivery.into_iter().collect()
                    }
                    (Destination::Hub, CommandResult::Synced { state }) => {
                        self.compare(name, command, &state)
                    }
                    _ => Vec::new(),
                }
            }
            NodeEvent::Transport { transport, .. }
            | NodeEvent::Candidate { transport, .. }
            | NodeEvent::Slot { transport, .. }
            | NodeEvent::Data { transport, .. }
            | NodeEvent::TopicClosed { transport, .. } => {
                let room = node.transports.get(&transport);
                let mailbox = room.and_then(|placed| node.rooms.get(&placed.room)).cloned();
                if matches!(
                    &event,
                    NodeEvent::Transport { state: patchbay_protocol::TransportState::Failed { .. }, .. }
                ) {
                    node.transports.remove(&transport);
                }
                mailbox.map(|mailbox| (mailbox, Input::Node(event))).into_iter().collect()
            }
            NodeEvent::Speakers { room, .. } => {
                let mailbox = node.rooms.get(&room).cloned();
                mailbox.map(|mailbox| (mailbox, Input::Node(event))).into_iter().collect()
            }
            NodeEvent::Timeline { transport, steps } => {
                self.timelines.add(transport, steps);
                Vec::new()
            }
            NodeEvent::Report { counters } => {
                node.counters = counters;
                Vec::new()
            }
            NodeEvent::Hello { .. } => Vec::new(),
        }
    }

    /// Commands that went without an answer for too long.
    pub(super) fn expire(&mut self, name: &NodeName, timeout: Duration) -> Vec<Delivery> {
        let Some(node) = self.nodes.get_mut(name) else { return Vec::new() };
        let mut deliveries = Vec::new();
        let rooms = &node.rooms;
        node.pending.retain(|_, pending| {
            if pending.since.elapsed() < timeout {
                return true;
            }
            if let Destination::Room(room, Some(ticket)) = pending.to
                && let Some(mailbox) = rooms.get(&room)
            {
                let result =
                    CommandResult::failed(ErrorCode::Overloaded, "the media node did not answer in time");
                deliveries.push((mailbox.clone(), Input::Done { ticket, result }));
            }
            false
        });
        deliveries
    }

    /// What the node holds against what it should hold: the first ends what nobody knows, and tells who is missing.
    fn compare(&mut self, name: &NodeName, sync: CommandId, state: &NodeState) -> Vec<Delivery> {
        let Some(node) = self.nodes.get_mut(name) else { return Vec::new() };
        let held: BTreeSet<TransportId> =
            state.transports.iter().map(|snapshot| snapshot.transport).collect();
        // A transport whose offer has no answer yet may or may not be there.
        let on_the_way: BTreeSet<TransportId> = node
            .pending
            .values()
            .filter_map(|pending| match &pending.command {
                NodeCommand::Negotiate { transport, .. } => Some(*transport),
                _ => None,
            })
            .collect();
        let mut missing: Vec<(TransportId, RoomId)> = node
            .transports
            .iter()
            .filter(|(transport, placed)| {
                // The snapshot may be older than the answer to an offer that came after the question.
                placed.since < sync && !held.contains(*transport) && !on_the_way.contains(*transport)
            })
            .map(|(transport, placed)| (*transport, placed.room))
            .collect();
        missing.sort_unstable();
        let mut deliveries = Vec::new();
        for (transport, room) in missing {
            node.transports.remove(&transport);
            if let Some(mailbox) = node.rooms.get(&room) {
                deliveries.push((mailbox.clone(), Input::TransportGone(transport)));
            }
        }
        let unknown_rooms: Vec<RoomId> =
            state.rooms.iter().map(|held| held.room).filter(|room| !node.rooms.contains_key(room)).collect();
        let unknown_transports: Vec<TransportId> = state
            .transports
            .iter()
            .filter(|held| {
                !node.transports.contains_key(&held.transport) && !unknown_rooms.contains(&held.room)
            })
            .map(|held| held.transport)
            .collect();
        for room in unknown_rooms {
            let _ = self.submit(name, Destination::Hub, NodeCommand::CloseRoom { room });
        }
        for transport in unknown_transports {
            let _ = self.submit(name, Destination::Hub, NodeCommand::CloseTransport { transport });
        }
        deliveries
    }

    pub(super) fn gauges(&self) -> Vec<NodeGauges> {
        let gauges = |(name, node): (&NodeName, &Node)| NodeGauges {
            node: name.clone(),
            attached: node.attached,
            rooms: node.rooms.len() as u64,
            pending_commands: node.pending.len() as u64,
            counters: node.counters.clone(),
        };
        self.nodes.iter().map(gauges).collect()
    }
}

/// Hands mail to rooms. A room never waits for a node, so this can't stall for long.
pub(super) async fn deliver(deliveries: Vec<Delivery>) {
    for (mailbox, input) in deliveries {
        let _ = mailbox.send(Mail::Input(input)).await;
    }
}
