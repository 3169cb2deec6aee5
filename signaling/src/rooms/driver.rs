//! The task that drives one room: mail in, replies, events and commands out. It never waits for a client or a node.

use std::collections::HashMap;

use patchbay_protocol::node::{CommandResult, NodeCommand, NodeEvent};
use patchbay_protocol::{
    ErrorCode, Joined, NodeName, ParticipantNumber, Reply, RoomId, RoomName, ServerEvent,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tracing::{Instrument, Span, info, info_span};

use super::adoption::{Adopted, JOINS_WAIT};
use super::record::{Changes, Records};
use super::{Answer, Mail, Mailbox, Port, Rooms, now, random_53_bits};
use crate::metric::Share;
use crate::node::NodeHub;
use crate::room::{Input, MemberId, Output, Room, ServerCall, ServerReply, Ticket};
use crate::session::Body;
use crate::store::Written;

/// The result of a write.
type Stored = (Ticket, Written);

struct Driver {
    room: Room,
    ports: HashMap<MemberId, Port>,
    node: Option<NodeName>,
    /// It was there before this life of the server.
    is_rebuilt: bool,
    mailbox: Mailbox,
    rooms: Rooms,
    records: Records,
    /// Whoever of the server's API waits for an answer.
    asked: HashMap<ServerCall, oneshot::Sender<Answer>>,
    last_call: u64,
    people: Share,
    /// Traces of members whose media is not connected yet.
    traces: HashMap<MemberId, Span>,
    /// The trace of what is handled now.
    trace: Span,
    /// Results of the store, of which no more are under way than the room waits for.
    stored: (mpsc::UnboundedSender<Stored>, mpsc::UnboundedReceiver<Stored>),
}

/// Runs a room until it is over: what a node may still bring of it, or else a new one.
pub(super) async fn run(
    name: RoomName,
    adopted: Option<oneshot::Receiver<Box<Adopted>>>,
    mailbox: Mailbox,
    inbox: mpsc::Receiver<Mail>,
    rooms: Rooms,
) {
    if let Some(mut adopted) = adopted {
        rooms.shared.hub.expected_until(JOINS_WAIT, || !adopted.is_empty()).await;
        if let Some(adopted) = rooms.end_wait(&name, &mut adopted) {
            return run_adopted(*adopted, mailbox, inbox, rooms).await;
        }
    }
    let room = Room::new(now(), name, RoomId(random_53_bits()), rooms.shared.config.clone());
    start(room, None, Records::default(), mailbox, inbox, rooms).await;
}

/// Runs a room that was rebuilt.
pub(super) async fn run_adopted(
    adopted: Adopted,
    mailbox: Mailbox,
    inbox: mpsc::Receiver<Mail>,
    rooms: Rooms,
) {
    let Adopted { room, node, records } = adopted;
    start(room, Some(node), records, mailbox, inbox, rooms).await;
}

async fn start(
    room: Room,
    node: Option<NodeName>,
    records: Records,
    mailbox: Mailbox,
    inbox: mpsc::Receiver<Mail>,
    rooms: Rooms,
) {
    let span = info_span!("room", room = %room.name());
    let stored = mpsc::unbounded_channel();
    let people = rooms.shared.metrics.participants();
    let (traces, trace) = (HashMap::new(), Span::none());
    let driver = Driver {
        room,
        ports: HashMap::new(),
        is_rebuilt: node.is_some(),
        node,
        mailbox,
        rooms,
        records,
        asked: HashMap::new(),
        last_call: 0,
        people,
        traces,
        trace,
        stored,
    };
    driver.run(inbox).instrument(span).await;
}

impl Driver {
    async fn run(mut self, mut inbox: mpsc::Receiver<Mail>) {
        // Before anybody comes in, so that whoever joins first has the history.
        if self.rooms.shared.store.is_kept() {
            let kept = self.rooms.shared.store.load(self.room.name()).await;
            self.room.handle(now(), Input::Restored(kept));
        }
        info!("room opened");
        if !self.is_rebuilt {
            self.rooms.shared.journal.room_created(self.room.name(), self.room.info().clone());
        }
        // What is to be done for a rebuilt room before anybody says anything.
        self.carry_out();
        loop {
            let store = self.records.due(now().at, self.room.len());
            let deadline = [self.room.deadline(), store].into_iter().flatten().min();
            let due = async {
                match deadline {
                    Some(deadline) => sleep_until(Instant::from_std(deadline)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                mail = inbox.recv() => match mail {
                    Some(mail) => self.handle(mail),
                    None => break,
                },
                Some((ticket, result)) = self.stored.1.recv() => {
                    self.room.handle(now(), Input::Stored { ticket, result });
                }
                () = due => {
                    let now = now();
                    if self.room.deadline().is_some_and(|deadline| deadline <= now.at) {
                        self.room.handle_deadline(now);
                        self.records.mark();
                    }
                }
            }
            if self.carry_out() && self.rooms.close(self.room.name(), &inbox) {
                break;
            }
        }
        if let Some(node) = self.node.take() {
            self.hub().release(&node, self.room.id());
        }
        info!("room closed");
        self.rooms.shared.journal.room_closed(self.room.name());
    }

    fn handle(&mut self, mail: Mail) {
        match mail {
            Mail::Join { member, id, join, port } => {
                let is_resource = matches!(port, Port::Resource(_));
                self.ports.insert(member, port);
                self.trace = info_span!(target: patchbay_trace::TARGET, parent: &join.trace, "room");
                self.traces.insert(member, join.trace.clone());
                self.room.handle(now(), Input::Join { member, id, join });
                if is_resource {
                    self.room.set_resource(member);
                }
                self.records.mark();
            }
            Mail::Reclaim { member, port, reply } => self.reclaim(member, port, reply),
            Mail::Ask { request, reply } => {
                self.last_call += 1;
                let call = ServerCall(self.last_call);
                self.asked.insert(call, reply);
                self.records.mark();
                self.room.handle(now(), Input::Server { call, request });
            }
            Mail::Synced { blobs, transports } => {
                self.records = Records::holding(&blobs);
                self.room.handle(now(), Input::Synced(transports));
            }
            Mail::Input(input) => {
                if matches!(input, Input::NodeLost) {
                    self.node = None;
                    self.records = Records::default();
                }
                // What flows and who speaks changes nothing of what is stored, and comes often.
                if !matches!(input, Input::Node(NodeEvent::Slot { .. } | NodeEvent::Speakers { .. })) {
                    self.records.mark();
                }
                self.room.handle(now(), input);
            }
        }
    }

    fn reclaim(&mut self, member: MemberId, port: Port, reply: oneshot::Sender<Option<Box<Joined>>>) {
        let joined = self.room.reclaim(now(), member).map(Box::new);
        let is_there = joined.is_some();
        if reply.send(joined).is_err() {
            // Whoever asked is gone by now; somebody may ask again.
            if !self.ports.contains_key(&member) {
                self.room.lay_down(now(), member);
            }
        } else if is_there {
            self.ports.insert(member, port);
        }
    }

    /// Does what the room wants done. True once the room is over.
    fn carry_out(&mut self) -> bool {
        let trace = std::mem::replace(&mut self.trace, Span::none());
        let over = trace.in_scope(|| self.carry_out_all());
        self.people.set(self.room.len());
        let time = now().at;
        if self.records.due(time, self.room.len()).is_some_and(|due| due <= time) {
            for changes in self.records.all(time, self.room.records()) {
                self.store(changes);
            }
        }
        over
    }

    /// Has texts kept with the room on its node. A room goes to a node for that alone.
    fn store(&mut self, changes: Changes) {
        if changes.is_empty() {
            return;
        }
        if self.node.is_none() {
            self.node = self.hub().place(self.room.id(), &self.mailbox);
        }
        let Some(node) = &self.node else {
            // There is nowhere to keep it. The next node gets all of it.
            self.records = Records::default();
            return;
        };
        let command = NodeCommand::StoreBlob { room: self.room.id(), blobs: changes.clone() };
        if self.hub().submit(node, self.room.id(), None, command).is_err() {
            self.records.take_back(&changes);
        }
    }

    /// Stores what a member is rebuilt from, before the node or the member itself hears more.
    fn store_member(&mut self, number: ParticipantNumber) {
        let changes = self.records.some(self.room.records_of(number));
        self.store(changes);
    }

    fn carry_out_all(&mut self) -> bool {
        let mut over = false;
        loop {
            while let Some(notice) = self.room.poll_notice() {
                self.rooms.shared.journal.notice(self.room.name(), notice);
            }
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
                if let Ok(Reply::Joined(joined)) = &result {
                    self.store_member(joined.participant.number);
                    info!(participant = %joined.participant.number, session = %joined.session, "joined");
                }
                if let Some(port) = self.ports.get(&member) {
                    port.reply(id, result);
                }
            }
            Output::Event { to, event } => {
                if let ServerEvent::Transport { .. } = event {
                    // Connected, or never: the way to media ends here.
                    to.iter().for_each(|member| drop(self.traces.remove(member)));
                }
                if let ServerEvent::Chat { .. } = event {
                    self.rooms.shared.metrics.chat_lines.add(1);
                }
                let body = Body::event(&event);
                for port in to.iter().filter_map(|member| self.ports.get(member)) {
                    port.event(&body);
                }
            }
            Output::Detached { member, close } => {
                self.rooms.shared.waiting.forget(member);
                self.traces.remove(&member);
                if let Some(port) = self.ports.remove(&member) {
                    port.detach(close);
                }
            }
            Output::Command { ticket, command } => {
                if self.node.is_none() && ticket.is_some() {
                    self.node = self.hub().place(self.room.id(), &self.mailbox);
                }
                if let NodeCommand::Negotiate { participant, .. } = &command {
                    // First, so that the node has it by the time it answers: who is told that it joined can come back.
                    self.store_member(*participant);
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
            Output::Store { ticket, write } => {
                let stored = self.stored.0.clone();
                self.rooms.shared.store.submit(self.room.name(), write, move |result| {
                    let _ = stored.send((ticket, result));
                });
            }
            Output::Answer { call, result } => {
                if let Some(reply) = self.asked.remove(&call) {
                    // Whoever asked may be gone by now.
                    let _ = reply.send(result.map(|answer| self.complete(answer)));
                }
            }
            Output::Over => return true,
        }
        false
    }

    /// With what only the driver knows.
    fn complete(&self, mut reply: ServerReply) -> ServerReply {
        match &mut reply {
            ServerReply::Room(room) => room.node = self.node.clone(),
            ServerReply::Participants(all) => {
                for one in all {
                    one.connection = self.ports.get(&one.member).and_then(Port::connection);
                    one.connected = one.connection.is_some();
                }
            }
            ServerReply::Said(_) => {}
        }
        reply
    }

    fn hub(&self) -> &NodeHub {
        &self.rooms.shared.hub
    }
}
