//! A node without media: it answers commands as a script would, and says what the test tells it to say.

use std::sync::{Arc, Mutex};

use patchbay_protocol::node::{
    AcceptedPublication, Command, CommandResult, Event, NodeCommand, NodeEvent, NodeState,
};
use patchbay_protocol::{AnsweredSlot, Epoch, ErrorCode, NodeName, TransportId};
use patchbay_signaling::NodeHub;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

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
        let state = self.state.lock().unwrap();
        if state.is_silent {
            return None;
        }
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
