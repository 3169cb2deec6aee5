//! A node without media: it answers commands as a script would, and says what the test tells it to say.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use patchbay_protocol::node::{
    AcceptedPublication, Command, CommandResult, Event, NodeCommand, NodeEvent, NodeState, RoomState,
    TransportSnapshot,
};
use patchbay_protocol::{AnsweredSlot, Epoch, ErrorCode, NodeName, TransportId};
use patchbay_signaling::NodeHub;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::PATIENCE;

/// The far end of a link.
pub(crate) struct ScriptedNode {
    shared: Arc<Shared>,
    commands: mpsc::UnboundedReceiver<Command>,
    task: JoinHandle<()>,
}

struct Shared {
    events: mpsc::Sender<Event>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    seq: u64,
    held: NodeState,
    is_silent: bool,
}

impl ScriptedNode {
    /// Attaches and waits until the server has seen it.
    pub(crate) async fn attach(hub: &NodeHub, name: &str, epoch: u64) -> Self {
        let mut attached = hub.attached();
        let before = *attached.borrow_and_update();
        let node = Self::attach_holding(hub, name, epoch, NodeState::default());
        if before == 0 {
            timeout(PATIENCE, attached.wait_for(|count| *count > 0)).await.unwrap().unwrap();
        }
        node
    }

    /// Attaches with what it claims to hold.
    pub(crate) fn attach_holding(hub: &NodeHub, name: &str, epoch: u64, held: NodeState) -> Self {
        let (command_sender, mut commands) = mpsc::channel::<Command>(64);
        let (events, event_receiver) = mpsc::channel(64);
        let shared = Arc::new(Shared { events, state: Mutex::new(State { held, ..State::default() }) });
        let (seen, seen_receiver) = mpsc::unbounded_channel();
        let script = shared.clone();
        let task = tokio::spawn(async move {
            while let Some(command) = commands.recv().await {
                let result = script.answer(&command.command);
                let id = command.id;
                let _ = seen.send(command);
                if let Some(result) = result {
                    script.say(NodeEvent::Done { command: id, result }).await;
                }
            }
        });
        hub.attach(NodeName::new(name), Epoch(epoch), command_sender, event_receiver);
        Self { shared, commands: seen_receiver, task }
    }

    /// Attaches over a WebSocket, as a node in another process does. Ends when the server does.
    pub(crate) async fn dial(
        address: SocketAddr,
        secret: &str,
        name: &str,
        epoch: u64,
        held: NodeState,
    ) -> Self {
        let mut request = format!("ws://{address}/v1/nodes").into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {secret}").parse().unwrap());
        request.headers_mut().insert("sec-websocket-protocol", "patchbay.node.v1".parse().unwrap());
        let (mut socket, _) = timeout(PATIENCE, connect_async(request)).await.unwrap().unwrap();
        let (events, mut event_receiver) = mpsc::channel(64);
        let shared = Arc::new(Shared { events, state: Mutex::new(State { held, ..State::default() }) });
        let (seen, seen_receiver) = mpsc::unbounded_channel();
        let script = shared.clone();
        let hello = NodeEvent::Hello { node: NodeName::new(name), epoch: Epoch(epoch), version: "0".into() };
        script.say(hello).await;
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    event = event_receiver.recv() => {
                        let Some(event) = event else { return };
                        if socket.send(Message::text(serde_json::to_string(&event).unwrap())).await.is_err() {
                            return;
                        }
                    }
                    message = socket.next() => match message {
                        Some(Ok(Message::Text(text))) => {
                            let command: Command = serde_json::from_str(&text).unwrap();
                            let (id, result) = (command.id, script.answer(&command.command));
                            let _ = seen.send(command);
                            if let Some(result) = result {
                                script.say(NodeEvent::Done { command: id, result }).await;
                            }
                        }
                        Some(Ok(_)) => {}
                        _ => return,
                    }
                }
            }
        });
        Self { shared, commands: seen_receiver, task }
    }

    /// What the node holds by now, as far as commands told.
    pub(crate) fn held(&self) -> NodeState {
        self.shared.state.lock().unwrap().held.clone()
    }

    /// Waits until the link has ended from the other side.
    pub(crate) async fn ended(&mut self) {
        timeout(PATIENCE, &mut self.task).await.expect("the link should end").unwrap();
    }

    /// Sends an event.
    pub(crate) async fn say(&self, event: NodeEvent) {
        self.shared.say(event).await;
    }

    /// Answers nothing from here on.
    pub(crate) fn fall_silent(&self) {
        self.shared.state.lock().unwrap().is_silent = true;
    }

    /// The next command that `choose` takes; others are skipped.
    pub(crate) async fn expect<T>(&mut self, choose: impl Fn(&NodeCommand) -> Option<T>) -> T {
        let find = async {
            loop {
                let command = self.commands.recv().await.expect("the link should be up");
                if let Some(found) = choose(&command.command) {
                    return found;
                }
            }
        };
        timeout(PATIENCE, find).await.expect("a command should come")
    }

    /// The transport of the next `negotiate`.
    pub(crate) async fn expect_transport(&mut self) -> TransportId {
        self.expect(|command| match command {
            NodeCommand::Negotiate { transport, .. } => Some(*transport),
            _ => None,
        })
        .await
    }

    /// Ends the link as a crash would.
    pub(crate) async fn crash(self) {
        self.task.abort();
        let _ = self.task.await;
        drop(self.shared);
    }
}

impl Shared {
    async fn say(&self, event: NodeEvent) {
        let seq = {
            let mut state = self.state.lock().unwrap();
            state.seq += 1;
            state.seq
        };
        let _ = self.events.send(Event { seq, event }).await;
    }

    fn answer(&self, command: &NodeCommand) -> Option<CommandResult> {
        let mut state = self.state.lock().unwrap();
        if state.is_silent {
            return None;
        }
        hold(&mut state.held, command);
        Some(match command {
            NodeCommand::Negotiate { sdp, .. } if sdp.contains("refuse me") => {
                CommandResult::failed(ErrorCode::InvalidSdp, "this offer can't be carried")
            }
            NodeCommand::Negotiate { publications, slots, .. } => CommandResult::Answered {
                sdp: super::offer(&[("audio", "recvonly")]).replace("abcd", "node")
                    + "a=candidate:1 1 udp 2130706431 192.0.2.1 7882 typ host\r\n",
                publications: publications
                    .iter()
                    .map(|publication| AcceptedPublication {
                        mid: publication.mid.clone(),
                        track: publication.track,
                        kind: publication.source.kind(),
                    })
                    .collect(),
                slots: (1000..)
                    .zip(slots)
                    .map(|(ssrc, slot)| AnsweredSlot { mid: slot.mid.clone(), ssrc, rtx_ssrc: None })
                    .collect(),
            },
            NodeCommand::SetSlot { mid, .. } if mid.as_str() == "missing" => {
                CommandResult::failed(ErrorCode::UnknownSlot, "no such slot")
            }
            NodeCommand::Sync {} => CommandResult::Synced { state: state.held.clone() },
            _ => CommandResult::Done {},
        })
    }
}

/// Keeps what a command has a node hold.
fn hold(held: &mut NodeState, command: &NodeCommand) {
    match command.clone() {
        NodeCommand::Negotiate { sdp, transport, room, participant, publications, slots, .. }
            if !sdp.contains("refuse me") =>
        {
            held.transports.retain(|snapshot| snapshot.transport != transport);
            let connected = true;
            held.transports.push(TransportSnapshot {
                transport,
                room,
                participant,
                connected,
                publications,
                slots,
            });
            if held.rooms.iter().all(|known| known.room != room) {
                held.rooms.push(RoomState { room, blobs: BTreeMap::new() });
            }
        }
        NodeCommand::StoreBlob { room, blobs } => {
            if held.rooms.iter().all(|known| known.room != room) {
                held.rooms.push(RoomState { room, blobs: BTreeMap::new() });
            }
            for known in held.rooms.iter_mut().filter(|known| known.room == room) {
                for (key, text) in blobs.clone() {
                    known.blobs.remove(&key);
                    known.blobs.extend(text.map(|text| (key, text)));
                }
            }
        }
        NodeCommand::CloseTransport { transport } => {
            held.transports.retain(|snapshot| snapshot.transport != transport);
        }
        NodeCommand::CloseRoom { room } => {
            held.transports.retain(|snapshot| snapshot.room != room);
            held.rooms.retain(|known| known.room != room);
        }
        _ => {}
    }
}
