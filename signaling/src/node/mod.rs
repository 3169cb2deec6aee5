//! SFU nodes as signaling sees them: which are there, what is placed on them, which commands wait for an answer.
//!
//! [`NodeHub::attach`] takes the two ends of a link, whichever way it is carried: in memory (the embedded node) or over
//! `GET /v1/nodes` (see `socket`). A node that loses its link keeps its rooms for a grace time; when it is back, a `sync`
//! shows what it still holds. Commands that had no answer are sent again with their ids, which is safe: a node never
//! executes an id twice.

mod link;
mod socket;
mod table;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use patchbay_protocol::node::{Command, Event, NodeCommand};
use patchbay_protocol::{Epoch, ErrorCode, NodeName, RoomId};
use tokio::sync::{Notify, mpsc, watch};

pub(crate) use socket::node_socket;
use table::{Destination, Table};

use crate::metric::NodeGauges;
use crate::room::Ticket;
use crate::rooms::Mailbox;
use crate::timeline::Timelines;

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
    /// How many nodes are attached, for `/readyz` and for whoever waits.
    attached: watch::Sender<usize>,
}

impl NodeHub {
    /// A hub without nodes.
    pub fn new(timing: LinkTiming) -> Self {
        let unix_ms =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_millis() as u64);
        let table = Table::new(Epoch(unix_ms));
        let timelines = table.timelines();
        let shared = Shared {
            table: Mutex::new(table),
            wake: Notify::new(),
            timing,
            attached: watch::Sender::new(0),
            timelines,
        };
        Self { shared: Arc::new(shared) }
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
