//! SFU nodes as signaling sees them: which are there, what is placed on them, which commands wait for an answer.
//!
//! [`NodeHub::attach`] takes the two ends of a link, whichever way it is carried: in memory (the embedded node) or over
//! `GET /v1/nodes` (see `socket`). A node that loses its link keeps its rooms for a grace time; when it is back, a `sync`
//! shows what it still holds. Commands that had no answer are sent again with their ids, which is safe: a node never
//! executes an id twice.

mod link;
mod memory;
mod socket;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use patchbay_protocol::node::{Command, Event, NodeCommand};
use patchbay_protocol::{Epoch, ErrorCode, NodeName, RoomId, TransportId};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

pub(crate) use memory::Memory;
pub(crate) use socket::node_socket;
use table::{Destination, Table};

use crate::journal::{EventKind, Journal};
use crate::metric::NodeGauges;
use crate::room::Ticket;
use crate::rooms::{Mailbox, Orphan, WeakRooms};
use crate::timeline::Timelines;

/// How long nodes of the last life are remembered after a start.
const EXPECTED: Duration = Duration::from_secs(60);

/// Times of the links.
#[derive(Debug, Clone, Copy)]
pub struct LinkTiming {
    /// How long a node may be without a link before its rooms fail over.
    pub grace: Duration,
    /// How long a command may go without an answer.
    pub command_timeout: Duration,
}

impl Default for LinkTiming {
    fn default() -> Self {
        Self { grace: Duration::from_secs(10), command_timeout: Duration::from_secs(10) }
    }
}

/// All nodes of this server. Clones are the same hub.
#[derive(Clone)]
pub struct NodeHub {
    shared: Arc<Shared>,
}

struct Shared {
    timelines: Arc<Timelines>,
    table: Mutex<Table>,
    /// Woken when a node has commands to be written.
    wake: Notify,
    timing: LinkTiming,
    memory: Memory,
    began: Instant,
    /// Nodes that were attached in the last life and have not told yet what they hold.
    expected: watch::Sender<BTreeSet<NodeName>>,
    /// Where rooms of an earlier life are taken in.
    rooms: OnceLock<WeakRooms>,
    /// Where the world outside is told of nodes.
    journal: OnceLock<Journal>,
    /// How many nodes are attached, for `/readyz` and for whoever waits.
    attached: watch::Sender<usize>,
}

impl NodeHub {
    /// A hub without nodes, which begins a new life.
    pub(crate) fn new(timing: LinkTiming, memory: Memory) -> Self {
        let table = Table::new(memory.begin());
        let timelines = table.timelines();
        let shared = Shared {
            table: Mutex::new(table),
            wake: Notify::new(),
            timing,
            began: Instant::now(),
            expected: watch::Sender::new(memory.nodes()),
            memory,
            rooms: OnceLock::new(),
            journal: OnceLock::new(),
            attached: watch::Sender::new(0),
            timelines,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Has rooms of an earlier life, which nodes still hold, taken in there.
    pub(crate) fn restore_into(&self, rooms: WeakRooms) {
        let _ = self.shared.rooms.set(rooms);
    }

    /// Has nodes that come and go told there.
    pub(crate) fn report_to(&self, journal: Journal) {
        let _ = self.shared.journal.set(journal);
    }

    fn tell(&self, kind: EventKind, node: &NodeName) {
        if let Some(journal) = self.shared.journal.get() {
            journal.node(kind, node);
        }
    }

    /// This life of the server: the epoch of every command.
    pub fn epoch(&self) -> Epoch {
        self.table().epoch()
    }

    /// Connects a node. The link lasts until `events` ends or a newer link of the same name takes over.
    ///
    /// `epoch` is the life of the node: a new one means that it holds nothing from before.
    pub fn attach(
        &self,
        node: NodeName,
        epoch: Epoch,
        commands: mpsc::Sender<Command>,
        events: mpsc::Receiver<Event>,
    ) {
        tokio::spawn(link::run(self.clone(), node, epoch, commands, events));
    }

    /// How many nodes are attached now, and whenever that changes.
    pub fn attached(&self) -> watch::Receiver<usize> {
        self.shared.attached.subscribe()
    }

    /// Whether a room could be placed now.
    pub(crate) fn has_place(&self) -> bool {
        self.table().has_place()
    }

    /// Puts a room on the attached node with the fewest rooms.
    pub(crate) fn place(&self, room: RoomId, mailbox: &Mailbox) -> Option<NodeName> {
        self.table().place(room, mailbox)
    }

    /// Sends a command. With a ticket, the room gets `Input::Done` sooner or later, whatever happens to the node.
    pub(crate) fn submit(
        &self,
        node: &NodeName,
        room: RoomId,
        ticket: Option<Ticket>,
        command: NodeCommand,
    ) -> Result<(), ErrorCode> {
        self.table().submit(node, Destination::Room(room, ticket), command)?;
        self.shared.wake.notify_waiters();
        Ok(())
    }

    /// Ends a room on its node.
    pub(crate) fn release(&self, node: &NodeName, room: RoomId) {
        self.table().release(node, room);
        self.shared.wake.notify_waiters();
    }

    /// Makes a room known that was rebuilt from what a node holds. False if the node is gone.
    pub(crate) fn enlist(
        &self,
        node: &NodeName,
        room: RoomId,
        mailbox: &Mailbox,
        transports: &[TransportId],
    ) -> bool {
        self.table().enlist(node, room, mailbox, transports)
    }

    /// Whether nodes of the last life may still bring rooms, `within` so much of the server's start.
    pub(crate) fn is_expecting(&self, within: Duration) -> bool {
        self.shared.began.elapsed() < within && !self.shared.expected.borrow().is_empty()
    }

    /// Waits until no node of the last life is expected any longer, `within` so much of the server's start, or until what is
    /// looked for is found. It is looked for whenever a node has told what it holds.
    pub(crate) async fn expected_until(&self, within: Duration, mut is_found: impl FnMut() -> bool) {
        let mut expected = self.shared.expected.subscribe();
        let over = expected.wait_for(|expected| is_found() || expected.is_empty());
        let _ = timeout_at(self.shared.began + within, over).await;
    }

    /// Rooms that a node holds and nobody knows: those of an earlier life are rebuilt, all others end.
    fn take_in(&self, node: &NodeName, orphans: Vec<Orphan>) {
        let rooms = self.shared.rooms.get().and_then(WeakRooms::upgrade);
        for orphan in orphans {
            let room = orphan.room;
            let adopted = match &rooms {
                Some(rooms) if self.shared.memory.is_lasting() => rooms.adopt(node, orphan),
                _ => Err("without a state directory nobody could come back to it"),
            };
            if let Err(reason) = adopted {
                warn!(%node, %room, reason, "a room of an earlier life is closed");
                let close = NodeCommand::CloseRoom { room };
                let _ = self.table().submit(node, Destination::Hub, close);
                self.shared.wake.notify_waiters();
            }
        }
    }

    /// A node has told what it holds.
    fn arrive(&self, node: &NodeName) {
        let arrived = |expected: &mut BTreeSet<NodeName>| expected.remove(node);
        if self.shared.expected.send_if_modified(arrived) {
            info!(%node, after_ms = self.shared.began.elapsed().as_millis() as u64, "a node of the last life is back");
        }
    }

    /// Nodes that did not come back in so long a time are no longer waited for, nor after the next restart.
    fn give_up_expected(&self) {
        if self.shared.began.elapsed() < EXPECTED {
            return;
        }
        let given_up = |expected: &mut BTreeSet<NodeName>| !std::mem::take(expected).is_empty();
        if self.shared.expected.send_if_modified(given_up) {
            self.remember_nodes();
        }
    }

    fn remember_nodes(&self) {
        let mut names = self.table().names();
        names.extend(self.shared.expected.borrow().iter().cloned());
        self.shared.memory.keep_nodes(&names);
    }

    /// What happened on the way to media, by session.
    pub(crate) fn timelines(&self) -> &Timelines {
        &self.shared.timelines
    }

    pub(crate) fn gauges(&self) -> Vec<NodeGauges> {
        self.table().gauges()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.shared.table.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
