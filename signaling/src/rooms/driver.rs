//! The task that drives one room: mail in, replies, events and commands out. It never waits for a client or a node.

use std::collections::HashMap;

use patchbay_protocol::node::CommandResult;
use patchbay_protocol::{ErrorCode, NodeName};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tracing::{Instrument, info, info_span};

use super::{Mail, Mailbox, Port, Rooms, now};
use crate::connection::Body;
use crate::node::NodeHub;
use crate::room::{Input, MemberId, Output, Room};

struct Driver {
    room: Room,
    ports: HashMap<MemberId, Port>,
    node: Option<NodeName>,
    mailbox: Mailbox,
    rooms: Rooms,
}

/// Runs a room until it is over.
pub(super) async fn run(room: Room, mailbox: Mailbox, inbox: mpsc::Receiver<Mail>, rooms: Rooms) {
    let span = info_span!("room", room = %room.name());
    let driver = Driver { room, ports: HashMap::new(), node: None, mailbox, rooms };
    driver.run(inbox).instrument(span).await;
}

impl Driver {
    async fn run(mut self, mut inbox: mpsc::Receiver<Mail>) {
        info!("room opened");
        loop {
            let deadline = self.room.deadline();
            let due = async {
                match deadline {
                    Some(deadline) => sleep_until(Instant::from_std(deadline)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                mail = inbox.recv() => match mail {
                    Some(Mail::Join { member, id, join, port }) => {
                        self.ports.insert(member, port);
                        self.room.handle(now(), Input::Join { member, id, join });
                    }
                    Some(Mail::Input(input)) => {
                        if matches!(input, Input::NodeLost) {
                            self.node = None;
                        }
                        self.room.handle(now(), input);
                    }
                    None => break,
                },
                () = due => self.room.handle_deadline(now()),
            }
            if self.carry_out() && self.rooms.close(self.room.name(), &inbox) {
                break;
            }
        }
        if let Some(node) = self.node.take() {
            self.hub().release(&node, self.room.id());
        }
        info!("room closed");
    }

    /// Does what the room wants done. True once the room is over.
    fn carry_out(&mut self) -> bool {
        let mut over = false;
        loop {
            let outputs: Vec<Output> = std::iter::from_fn(|| self.room.poll()).collect();
            if outputs.is_empty() {
                return over;
            }
            // Before anything is told: who hears that it is out may join again at once.
            for output in &outputs {
                if let Output::Detached { member, .. } = output
                    && let Some(port) = self.ports.get(member)
                {
                    port.release(*member);
                }
            }
            for output in outputs {
                over |= self.carry_out_one(output);
            }
        }
    }

    fn carry_out_one(&mut self, output: Output) -> bool {
        match output {
            Output::Reply { member, id, result } => {
                if let Some(port) = self.ports.get(&member) {
                    port.reply(id, result);
                }
            }
            Output::Event { to, event } => {
                let body = Body::event(&event);
                for port in to.iter().filter_map(|member| self.ports.get(member)) {
                    port.event(&body);
                }
            }
            Output::Detached { member, close } => {
                if let Some(port) = self.ports.remove(&member) {
                    port.detach(close);
                }
            }
            Output::Command { ticket, command } => {
                if self.node.is_none() && ticket.is_some() {
                    self.node = self.hub().place(self.room.id(), &self.mailbox);
                }
                let sent = match &self.node {
                    Some(node) => self.hub().submit(node, self.room.id(), ticket, command),
                    None => Err(ErrorCode::NoNode),
                };
                if let (Err(code), Some(ticket)) = (sent, ticket) {
                    let result =
                        CommandResult::failed(code, "no media node can take this now; try again soon");
                    self.room.handle(now(), Input::Done { ticket, result });
                }
            }
            Output::Over => return true,
        }
        false
    }

    fn hub(&self) -> &NodeHub {
        &self.rooms.shared.hub
    }
}
