//! Messages of the server's API on a room's topics. To the node, the API is participant 0 with a way over signaling; it
//! sends and hears nothing, so that a busy topic costs nothing here.
//!
//! A topic stays open once it was used, so that values of the server outlive the request that set them; with more than
//! [`TOPICS`] the one that was opened first is closed. All of them end with the room, or with its node.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use patchbay_frame::{ClientFrame, Publish, Settings, Targets, limit as frame_limit};
use patchbay_protocol::node::{CommandResult, NodeCommand};
use patchbay_protocol::{
    ErrorCode, FRAMED_PROTOCOL, ParticipantNumber, ProtocolError, Reply, TopicGrant, TransportId, limit,
};

use super::rpc::Caller;
use super::{Pending, Room, ServerCall, client_error};

/// Topics the server has open in one room.
const TOPICS: usize = 64;

/// One message of the server.
#[derive(Debug)]
pub(crate) struct ServerData {
    /// Names the server's way to topics, should there be none yet.
    pub(crate) way: TransportId,
    pub(crate) topic: String,
    /// Settings of the topic, should this open it first: `mode=latest&rate=20`.
    pub(crate) settings: Option<String>,
    pub(crate) payload: Vec<u8>,
    pub(crate) is_text: bool,
    pub(crate) is_tombstone: bool,
    pub(crate) key: Option<String>,
    /// Identities; everybody when empty.
    pub(crate) to: Vec<String>,
}

/// The server's way to topics in one room.
#[derive(Debug, Default)]
pub(super) struct ServerTopics {
    way: Option<TransportId>,
    /// By label, in the order in which they were opened.
    channels: VecDeque<(String, u16)>,
    last_channel: u16,
}

impl Room {
    pub(super) fn send_from_server(&mut self, call: ServerCall, data: ServerData) {
        let message = match self.encode(&data) {
            Ok(message) => message,
            Err(error) => return self.answer(Caller::Server(call), Err(error)),
        };
        let (transport, channel) = self.open_for_server(data);
        let command = NodeCommand::SendData { transport, channel, messages: vec![message] };
        self.command_for(Pending::ServerSend(call), command);
    }

    fn encode(&self, data: &ServerData) -> Result<String, ProtocolError> {
        let invalid = |message: &str| Err(ProtocolError::new(ErrorCode::InvalidArgument, message));
        if !limit::is_plain_text(&data.topic, limit::LABEL_BYTES) {
            return invalid("a topic is 1 to 256 bytes of text without control characters");
        }
        if data.key.as_ref().is_some_and(|key| !(1..=frame_limit::KEY_BYTES).contains(&key.len())) {
            return invalid("a key is 1 to 64 bytes");
        }
        if data.payload.len() > frame_limit::PAYLOAD_BYTES {
            return invalid("a payload is at most 255 KiB");
        }
        if data.to.len() > frame_limit::TARGETS {
            return invalid("a message is addressed to at most 128 participants");
        }
        let protocol = protocol(data.settings.as_deref());
        if protocol.len() > limit::LABEL_BYTES || !matches!(Settings::parse(&protocol), Some((_, Ok(())))) {
            return invalid("settings of a topic are such as mode=latest&rate=20");
        }
        let to = data.to.iter().map(|identity| self.number_of(identity).map(|number| number.0));
        let Some(to) = to.collect::<Option<Vec<u32>>>() else {
            let message = "no such participant in this room";
            return Err(ProtocolError::new(ErrorCode::UnknownParticipant, message));
        };
        let publish = Publish {
            is_text: data.is_text,
            is_tombstone: data.is_tombstone,
            targets: (!to.is_empty()).then_some(Targets::List(&to)),
            key: data.key.as_deref(),
            cell: None,
            payload: &data.payload,
        };
        let mut message = Vec::with_capacity(data.payload.len() + 1_024);
        ClientFrame::Publish(publish).write(&mut message);
        Ok(STANDARD.encode(message))
    }

    /// Where to send on a topic. What has to be opened for that is on its way to the node, in order.
    fn open_for_server(&mut self, data: ServerData) -> (TransportId, u16) {
        let room = self.id;
        let way = self.server_topics.way.unwrap_or_else(|| {
            self.server_topics.way = Some(data.way);
            // It sends only.
            let topics = vec![TopicGrant { topic: "*".to_owned(), publish: true, subscribe: false }];
            let participant = ParticipantNumber(0);
            let attach = NodeCommand::AttachData { transport: data.way, room, participant, topics };
            self.command_for(Pending::ServerAttach(data.way), attach);
            data.way
        });
        let known = self.server_topics.channels.iter().find(|(label, _)| *label == data.topic);
        if let Some((_, channel)) = known {
            return (way, *channel);
        }
        if self.server_topics.channels.len() >= TOPICS
            && let Some((_, channel)) = self.server_topics.channels.pop_front()
        {
            self.command(NodeCommand::CloseTopic { transport: way, channel });
        }
        let channel = self.server_topics.mint_channel();
        self.server_topics.channels.push_back((data.topic.clone(), channel));
        let protocol = protocol(data.settings.as_deref());
        let open = NodeCommand::OpenTopic { transport: way, channel, label: data.topic, protocol };
        self.command_for(Pending::ServerOpen(way, channel), open);
        (way, channel)
    }

    pub(super) fn finish_server_attach(&mut self, way: TransportId, result: &CommandResult) {
        if matches!(result, CommandResult::Failed { .. }) && self.lose_server_topics(way) {
            // A node whose answer was late may hold it all the same.
            self.command(NodeCommand::CloseTransport { transport: way });
        }
    }

    pub(super) fn finish_server_open(&mut self, way: TransportId, channel: u16, result: &CommandResult) {
        if matches!(result, CommandResult::Failed { .. }) {
            self.close_server_topic(way, channel);
        }
    }

    pub(super) fn finish_server_send(&mut self, call: ServerCall, result: CommandResult) {
        let result = match result {
            CommandResult::Failed { error } => Err(client_error(error)),
            _ => Ok(Reply::Done {}),
        };
        self.answer(Caller::Server(call), result);
    }

    /// The node closed one.
    pub(super) fn close_server_topic(&mut self, way: TransportId, channel: u16) {
        if self.server_topics.way == Some(way) {
            self.server_topics.channels.retain(|(_, open)| *open != channel);
        }
    }

    /// The node does not hold the server's way any longer. True if it was the server's.
    pub(super) fn lose_server_topics(&mut self, way: TransportId) -> bool {
        let is_it = self.server_topics.way == Some(way);
        if is_it {
            self.server_topics = ServerTopics::default();
        }
        is_it
    }

    /// The node is lost, or the room begins anew.
    pub(super) fn forget_server_topics(&mut self) -> Option<TransportId> {
        std::mem::take(&mut self.server_topics).way
    }
}

impl ServerTopics {
    /// A channel that is not in use. There is one, as at most [`TOPICS`] are.
    fn mint_channel(&mut self) -> u16 {
        loop {
            self.last_channel = self.last_channel.wrapping_add(1);
            if self.channels.iter().all(|(_, channel)| *channel != self.last_channel) {
                return self.last_channel;
            }
        }
    }
}

fn protocol(settings: Option<&str>) -> String {
    match settings {
        Some(settings) if !settings.is_empty() => format!("{FRAMED_PROTOCOL}?{settings}"),
        _ => FRAMED_PROTOCOL.to_owned(),
    }
}
