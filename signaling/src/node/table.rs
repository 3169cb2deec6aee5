//! The hub's table, as plain data: nodes, the rooms on them, and commands without an answer.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use patchbay_protocol::node::{Command, CommandResult, NodeCommand, NodeEvent, NodeState, RoomState};
use patchbay_protocol::{CommandId, Epoch, ErrorCode, NodeName, RoomId, TransportId, TransportState};
use tracing::{Span, info_span, warn};

use crate::metric::NodeGauges;
use crate::room::{Input, Ticket};
use crate::rooms::{Mail, Mailbox, Orphan};
use crate::timeline::Timelines;

/// Commands of one node without an answer. Past it requests are refused as `overloaded`; ends are still taken, as there
/// can be no more of them than there are transports.
const PENDING: usize = 16_384;

/// Events about rooms that nobody knows yet, which are kept until a `sync` is through.
const EARLY: usize = 65_536;

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
pub(super) type Delivery = (Mailbox, Mail);

/// What an event of a node means for others.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) deliveries: Vec<Delivery>,
    /// After a `sync`: rooms of an earlier life of signaling.
    pub(super) orphans: Vec<Orphan>,
    /// Whether a `sync` was answered by this.
    pub(super) is_synced: bool,
}

struct Pending {
    to: Destination,
    command: NodeCommand,
    since: Instant,
    /// Of the trace of a join: how long the node takes, with the way there and back.
    span: Span,
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
    /// It goes away once nobody is on it: nothing new is placed there.
    draining: bool,
    rooms: BTreeMap<RoomId, Mailbox>,
    transports: HashMap<TransportId, Placed>,
    pending: BTreeMap<CommandId, Pending>,
    /// Commands that the link has not written yet.
    unwritten: VecDeque<CommandId>,
    counters: Vec<(String, u64)>,
    reported_at_ms: u64,
    /// A `sync` is under way. What it told so far.
    syncing: Option<NodeState>,
    /// It went unanswered, or could not be answered, and is to be asked again.
    is_sync_due: bool,
    /// Events about rooms that `sync` may still bring.
    early: Vec<NodeEvent>,
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
            draining: false,
            rooms: BTreeMap::new(),
            transports: HashMap::new(),
            pending: BTreeMap::new(),
            unwritten: VecDeque::new(),
            counters: Vec::new(),
            reported_at_ms: 0,
            syncing: None,
            is_sync_due: false,
            early: Vec::new(),
        });
        node.generation = generation;
        node.attached = true;
        // One that still is says so again.
        node.draining = false;
        node.syncing = Some(NodeState::default());
        node.is_sync_due = false;
        node.early.clear();
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

    /// Whether a room could be placed.
    pub(super) fn has_place(&self) -> bool {
        self.nodes.values().any(|node| node.attached && !node.draining)
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
                deliveries.push((mailbox.clone(), Input::Done { ticket, result }.into()));
            }
        }
        deliveries.extend(node.rooms.into_values().map(|mailbox| (mailbox, Input::NodeLost.into())));
        deliveries
    }

    pub(super) fn place(&mut self, room: RoomId, mailbox: &Mailbox) -> Option<NodeName> {
        let open = self.nodes.iter_mut().filter(|(_, node)| node.attached && !node.draining);
        let (name, node) = open.min_by_key(|(_, node)| node.rooms.len())?;
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
        // A node that returned as another holds nothing of a room that has not heard of the loss yet.
        if let Destination::Room(room, _) = to
            && !node.rooms.contains_key(&room)
        {
            return if is_end { Ok(()) } else { Err(ErrorCode::NoNode) };
        }
        if node.pending.len() >= PENDING && !is_end {
            return Err(ErrorCode::Overloaded);
        }
        let id = CommandId(self.next_command);
        self.next_command += 1;
        let span = match &command {
            // Of a join, whose trace is entered: later offers have none.
            NodeCommand::Negotiate { transport, .. } if patchbay_trace::is_in_trace() => {
                info_span!(target: patchbay_trace::TARGET, "link", node = %name, %transport)
            }
            _ => Span::none(),
        };
        match &command {
            NodeCommand::Negotiate { transport, room, .. }
            | NodeCommand::AttachData { transport, room, .. } => {
                node.transports.insert(*transport, Placed { room: *room, since: id });
            }
            NodeCommand::CloseTransport { transport } => {
                node.transports.remove(transport);
            }
            _ => {}
        }
        node.pending.insert(id, Pending { to, command, since: Instant::now(), span });
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

    /// A room that was rebuilt from what the node holds.
    pub(super) fn enlist(
        &mut self,
        name: &NodeName,
        room: RoomId,
        mailbox: &Mailbox,
        transports: &[TransportId],
    ) -> bool {
        let Some(node) = self.nodes.get_mut(name) else { return false };
        node.rooms.insert(room, mailbox.clone());
        let placed = transports.iter().map(|transport| (*transport, Placed { room, since: CommandId(0) }));
        node.transports.extend(placed);
        true
    }

    /// The rooms that a `sync` brought are taken in: what was told about them meanwhile.
    pub(super) fn end_sync(&mut self, name: &NodeName) -> Vec<Delivery> {
        let Some(node) = self.nodes.get_mut(name) else { return Vec::new() };
        node.syncing = None;
        let early = std::mem::take(&mut node.early);
        early.into_iter().flat_map(|event| self.handle_event(name, event).deliveries).collect()
    }

    /// The nodes that are attached, or may come back.
    pub(super) fn names(&self) -> BTreeSet<NodeName> {
        self.nodes.keys().cloned().collect()
    }

    /// The next command for the link to write.
    pub(super) fn next_unwritten(&mut self, name: &NodeName, generation: Generation) -> Option<Command> {
        let epoch = self.epoch;
        let node = self.nodes.get_mut(name).filter(|node| node.generation == generation)?;
        while let Some(id) = node.unwritten.pop_front() {
            if let Some(pending) = node.pending.get(&id) {
                let traceparent = patchbay_trace::traceparent(&pending.span);
                return Some(Command { id, epoch, traceparent, command: pending.command.clone() });
            }
        }
        None
    }

    /// An event of the node: where it goes.
    pub(super) fn handle_event(&mut self, name: &NodeName, event: NodeEvent) -> Outcome {
        let Some(node) = self.nodes.get_mut(name) else { return Outcome::default() };
        let mailbox = match &event {
            NodeEvent::Done { command, .. } => {
                let command = *command;
                let Some(pending) = node.pending.remove(&command) else { return Outcome::default() };
                let NodeEvent::Done { result, .. } = event else { return Outcome::default() };
                return self.handle_done(name, command, pending, result);
            }
            NodeEvent::Held { command, .. } => {
                let is_asked =
                    node.pending.get(command).is_some_and(|pending| pending.to == Destination::Hub);
                if let (true, Some(held), NodeEvent::Held { state, .. }) =
                    (is_asked, &mut node.syncing, event)
                {
                    add(held, state);
                }
                return Outcome::default();
            }
            NodeEvent::Transport { transport, .. }
            | NodeEvent::Candidate { transport, .. }
            | NodeEvent::Slot { transport, .. }
            | NodeEvent::Data { transport, .. }
            | NodeEvent::TopicClosed { transport, .. } => {
                node.transports.get(transport).and_then(|placed| node.rooms.get(&placed.room)).cloned()
            }
            NodeEvent::Speakers { room, .. } => node.rooms.get(room).cloned(),
            NodeEvent::Timeline { .. } => {
                if let NodeEvent::Timeline { transport, steps } = event {
                    self.timelines.add(transport, steps);
                }
                return Outcome::default();
            }
            NodeEvent::Report { .. } => {
                if let NodeEvent::Report { counters } = event {
                    node.counters = counters;
                    node.reported_at_ms = unix_ms();
                }
                return Outcome::default();
            }
            NodeEvent::Draining {} => {
                node.draining = true;
                return Outcome::default();
            }
            NodeEvent::Hello { .. } => return Outcome::default(),
        };
        let Some(mailbox) = mailbox else {
            if node.syncing.is_some() && node.early.len() < EARLY {
                node.early.push(event);
            }
            return Outcome::default();
        };
        if let NodeEvent::Transport { transport, state: TransportState::Failed { .. } } = &event {
            node.transports.remove(transport);
        }
        Outcome { deliveries: vec![(mailbox, Input::Node(event).into())], ..Outcome::default() }
    }

    fn handle_done(
        &mut self,
        name: &NodeName,
        command: CommandId,
        pending: Pending,
        result: CommandResult,
    ) -> Outcome {
        let Some(node) = self.nodes.get_mut(name) else { return Outcome::default() };
        match (pending.to, result) {
            (Destination::Room(room, Some(ticket)), result) => {
                let mailbox = node.rooms.get(&room).cloned();
                let delivery = mailbox.map(|mailbox| (mailbox, Input::Done { ticket, result }.into()));
                Outcome { deliveries: delivery.into_iter().collect(), ..Outcome::default() }
            }
            (Destination::Hub, CommandResult::Synced { state }) => {
                let mut held = node.syncing.take().unwrap_or_default();
                // Until the rooms it brings are taken in.
                node.syncing = Some(NodeState::default());
                add(&mut held, state);
                self.compare(name, command, held)
            }
            (Destination::Room(..), CommandResult::Failed { error })
                if matches!(pending.command, NodeCommand::StoreBlob { .. }) =>
            {
                warn!(node = %name, code = ?error.code, "the node does not keep what the room would be rebuilt from");
                Outcome::default()
            }
            (Destination::Hub, CommandResult::Failed { error })
                if matches!(pending.command, NodeCommand::Sync {}) =>
            {
                warn!(node = %name, code = ?error.code, "the node can't tell what it holds; it is asked again");
                node.is_sync_due = true;
                Outcome::default()
            }
            _ => Outcome::default(),
        }
    }

    /// Commands that went without an answer for too long. A `sync` is asked again: rooms may depend on it.
    pub(super) fn expire(&mut self, name: &NodeName, timeout: Duration) -> Vec<Delivery> {
        let Some(node) = self.nodes.get_mut(name) else { return Vec::new() };
        let mut deliveries = Vec::new();
        let rooms = &node.rooms;
        let mut is_sync_due = std::mem::take(&mut node.is_sync_due);
        node.pending.retain(|_, pending| {
            if pending.since.elapsed() < timeout {
                return true;
            }
            is_sync_due |= matches!(pending.command, NodeCommand::Sync {});
            if let Destination::Room(room, Some(ticket)) = pending.to
                && let Some(mailbox) = rooms.get(&room)
            {
                let result =
                    CommandResult::failed(ErrorCode::Overloaded, "the media node did not answer in time");
                deliveries.push((mailbox.clone(), Input::Done { ticket, result }.into()));
            }
            false
        });
        if is_sync_due && node.attached {
            node.syncing = Some(NodeState::default());
            let _ = self.submit(name, Destination::Hub, NodeCommand::Sync {});
        }
        deliveries
    }

    /// What the node holds against what it should hold: it ends what nobody knows, rooms are told what is missing and what
    /// there is, and rooms of an earlier life are for others to take in.
    fn compare(&mut self, name: &NodeName, sync: CommandId, state: NodeState) -> Outcome {
        let Some(node) = self.nodes.get_mut(name) else { return Outcome::default() };
        let held: BTreeSet<TransportId> =
            state.transports.iter().map(|snapshot| snapshot.transport).collect();
        // A transport whose offer has no answer yet may or may not be there.
        let on_the_way: BTreeSet<TransportId> = node
            .pending
            .values()
            .filter_map(|pending| match &pending.command {
                NodeCommand::Negotiate { transport, .. } | NodeCommand::AttachData { transport, .. } => {
                    Some(*transport)
                }
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
                deliveries.push((mailbox.clone(), Input::TransportGone(transport).into()));
            }
        }

        let mut by_room: BTreeMap<RoomId, Orphan> = BTreeMap::new();
        for RoomState { room, blobs } in state.rooms {
            by_room.insert(room, Orphan { room, blobs, transports: Vec::new() });
        }
        let mut unknown_transports = Vec::new();
        for snapshot in state.transports {
            let is_known = node.transports.contains_key(&snapshot.transport);
            match by_room.get_mut(&snapshot.room) {
                Some(held) if is_known || !node.rooms.contains_key(&snapshot.room) => {
                    held.transports.push(snapshot);
                }
                _ if is_known => {}
                _ => unknown_transports.push(snapshot.transport),
            }
        }
        for (room, mailbox) in &node.rooms {
            let (blobs, transports) =
                by_room.remove(room).map(|held| (held.blobs, held.transports)).unwrap_or_default();
            deliveries.push((mailbox.clone(), Mail::Synced { blobs, transports }));
        }
        for transport in unknown_transports {
            let _ = self.submit(name, Destination::Hub, NodeCommand::CloseTransport { transport });
        }
        Outcome { deliveries, orphans: by_room.into_values().collect(), is_synced: true }
    }

    pub(super) fn gauges(&self) -> Vec<NodeGauges> {
        let gauges = |(name, node): (&NodeName, &Node)| NodeGauges {
            node: name.clone(),
            attached: node.attached,
            draining: node.draining,
            rooms: node.rooms.len() as u64,
            pending_commands: node.pending.len() as u64,
            reported_at_ms: node.reported_at_ms,
            counters: node.counters.clone(),
        };
        self.nodes.iter().map(gauges).collect()
    }
}

/// Hands mail to rooms. A room never waits for a node, so this can't stall for long.
pub(super) async fn deliver(deliveries: Vec<Delivery>) {
    for (mailbox, mail) in deliveries {
        let _ = mailbox.send(mail).await;
    }
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Adds a part to what other parts told. A room's texts may come in several.
fn add(held: &mut NodeState, part: NodeState) {
    for state in part.rooms {
        match held.rooms.last_mut() {
            Some(last) if last.room == state.room => last.blobs.extend(state.blobs),
            _ => held.rooms.push(state),
        }
    }
    held.transports.extend(part.transports);
}
