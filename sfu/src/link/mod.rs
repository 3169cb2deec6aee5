//! The link to signaling: typed commands in, typed events out, however it is carried.
//!
//! At most one link is attached at a time; a newer one replaces it. While none is, events are dropped: `sync` follows on
//! re-attachment, and the gap in the event numbers shows that something was missed.

mod backoff;
mod websocket;

use std::collections::VecDeque;

use patchbay_protocol::node::{Command, Event};
use patchbay_protocol::{CommandId, Epoch, NodeName, ProtocolError};
use tokio::sync::{mpsc, oneshot};

pub use websocket::DialError;
pub(crate) use websocket::Dialer;

/// Commands on their way to the dispatcher, which takes them at once.
const COMMANDS: usize = 1_024;
/// Events on their way to signaling.
const EVENTS: usize = 1_024;
/// Events that wait for signaling besides. A signaling that is further behind needs a `sync` anyway.
const OUTBOX: usize = 16_384;

/// The in-memory link, for signaling in the same process. Dropping it detaches it.
#[derive(Debug)]
pub struct NodeLink {
    /// The node.
    pub name: NodeName,
    /// One life of the node.
    pub epoch: Epoch,
    /// Commands to the node. Each is answered by exactly one `done`.
    pub commands: mpsc::Sender<Command>,
    /// Events of the node.
    pub events: mpsc::Receiver<Event>,
}

/// Which link: a later one has a higher number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LinkNumber(pub(crate) u64);

/// What the dispatcher is told, besides commands.
pub(crate) enum Control {
    /// A link is there. It replaces the one before. The number it gets is sent back.
    Attach { attachment: Attachment, number: Option<oneshot::Sender<LinkNumber>> },
    /// A command that could not be read came over a link: it gets its one answer too.
    Refuse { link: LinkNumber, command: CommandId, error: ProtocolError },
    /// The node ends once it holds no transport, which is told then.
    Drain(oneshot::Sender<()>),
    /// The node ends.
    Stop,
}

/// The node's end of a link.
pub(crate) struct Attachment {
    commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<Event>,
    outbox: VecDeque<Event>,
    /// Whether the node introduces itself first.
    pub(crate) says_hello: bool,
}

/// Signaling's end of a link.
pub(crate) struct FarEnd {
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) events: mpsc::Receiver<Event>,
}

/// A new link.
pub(crate) fn pair(says_hello: bool) -> (Attachment, FarEnd) {
    let (commands_in, commands) = mpsc::channel(COMMANDS);
    let (events, events_out) = mpsc::channel(EVENTS);
    let attachment = Attachment { commands, events, outbox: VecDeque::new(), says_hello };
    (attachment, FarEnd { commands: commands_in, events: events_out })
}

impl Attachment {
    /// Queues an event. If signaling is too far behind, the oldest one is dropped and `false` returned.
    pub(crate) fn push(&mut self, event: Event) -> bool {
        self.outbox.push_back(event);
        let fits = self.outbox.len() <= OUTBOX;
        if !fits {
            self.outbox.pop_front();
        }
        fits
    }

    /// Moves events on until a command comes. `None`: the far end is gone. May be dropped and called again at any time.
    pub(crate) async fn next_command(&mut self) -> Option<Command> {
        loop {
            tokio::select! {
                command = self.commands.recv() => return command,
                permit = self.events.reserve(), if !self.outbox.is_empty() => {
                    let permit = permit.ok()?;
                    if let Some(event) = self.outbox.pop_front() {
                        permit.send(event);
                    }
                }
                () = self.events.closed(), if self.outbox.is_empty() => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use patchbay_protocol::node::NodeEvent;

    use super::*;

    fn event(seq: u64) -> Event {
        Event { seq, event: NodeEvent::Report { counters: Vec::new() } }
    }

    #[tokio::test]
    async fn a_slow_far_end_loses_the_oldest_events_and_sees_the_gap() {
        let (mut attachment, mut far) = pair(false);
        for seq in 1..=OUTBOX as u64 {
            assert!(attachment.push(event(seq)));
        }
        assert!(!attachment.push(event(OUTBOX as u64 + 1)));
        let first = tokio::select! {
            _ = attachment.next_command() => panic!("no command was sent"),
            first = far.events.recv() => first,
        };
        assert_eq!(first.map(|e| e.seq), Some(2));
    }

    #[tokio::test]
    async fn notices_that_the_far_end_is_gone() {
        let (mut attachment, far) = pair(false);
        drop(far.events);
        assert!(attachment.next_command().await.is_none());

        let (mut attachment, far) = pair(false);
        attachment.push(event(1));
        drop(far);
        assert!(attachment.next_command().await.is_none());
    }
}
