//! Topics over signaling, for participants whose network carries no media: the node does with their messages what it does
//! with those of data channels.
//!
//! A participant has one such way beside its transport, made with the first topic it opens and ended with the last. Messages
//! are those of framed mode, in base64; the room looks at nothing but their sizes.

use std::collections::BTreeSet;

use patchbay_protocol::node::{CommandResult, NodeCommand};
use patchbay_protocol::{
    ErrorCode, FRAMED_PROTOCOL, Grants, ProtocolError, Reply, RequestId, ServerEvent, TransportId, limit,
};
use serde::{Deserialize, Serialize};

use super::{MemberId, Pending, Room, client_error};

/// Topics of one participant.
const TOPICS: usize = 64;
/// Messages in one request.
const MESSAGES: usize = 64;
/// Bytes of a message in base64.
const ENCODED_BYTES: usize = limit::DATA_BYTES.div_ceil(3) * 4;

/// A member's way to topics over signaling.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SignaledTopics {
    /// Its name on the node.
    pub(super) transport: TransportId,
    /// The node has been told of it and not of its end.
    pub(super) is_attached: bool,
    /// Open, or on the way there.
    channels: BTreeSet<u16>,
    last_channel: u16,
}

impl SignaledTopics {
    pub(super) fn new(transport: TransportId) -> Self {
        Self { transport, is_attached: false, channels: BTreeSet::new(), last_channel: 0 }
    }

    /// A channel that is not in use. There is one, as at most [`TOPICS`] are.
    fn mint_channel(&mut self) -> u16 {
        loop {
            self.last_channel = self.last_channel.wrapping_add(1);
            if self.channels.insert(self.last_channel) {
                return self.last_channel;
            }
        }
    }
}

/// Whether somebody who may send data at all may do anything on a topic.
fn may_open(grants: &Grants, label: &str) -> bool {
    let first = grants.topics.iter().find(|grant| grant.matches(label));
    grants.topics.is_empty() || first.is_some_and(|grant| grant.publish || grant.subscribe)
}

impl Room {
    pub(super) fn handle_topic_open(
        &mut self,
        member: MemberId,
        id: RequestId,
        label: String,
        protocol: String,
    ) {
        let room = self.id;
        let Some(entry) = self.members.get_mut(&member) else { return };
        let is_framed = protocol == FRAMED_PROTOCOL
            || protocol.strip_prefix(FRAMED_PROTOCOL).is_some_and(|rest| rest.starts_with('?'));
        let refusal = if !limit::is_plain_text(&label, limit::LABEL_BYTES) {
            let message = "a topic is 1 to 256 bytes of text without control characters";
            Some((ErrorCode::InvalidArgument, message))
        } else if !is_framed || !limit::is_plain_text(&protocol, limit::LABEL_BYTES) {
            Some((ErrorCode::InvalidArgument, "over signaling, topics speak framed mode: protocol patchbay"))
        } else if !may_open(&entry.grants, &label) {
            Some((ErrorCode::NotAllowed, "this participant may not open this topic"))
        } else if entry.topics.channels.len() >= TOPICS {
            Some((ErrorCode::TooMany, "a participant opens at most 64 topics over signaling"))
        } else {
            None
        };
        if let Some((code, message)) = refusal {
            return self.refuse(member, id, code, message);
        }
        let (transport, participant) = (entry.topics.transport, entry.number);
        let topics = entry.grants.topics.clone();
        let is_first = !std::mem::replace(&mut entry.topics.is_attached, true);
        let channel = entry.topics.mint_channel();
        if is_first {
            let attach = NodeCommand::AttachData { transport, room, participant, topics };
            self.command_for(Pending::Attach(member), attach);
        }
        let open = NodeCommand::OpenTopic { transport, channel, label, protocol };
        self.command_for(Pending::OpenTopic { member, id, channel }, open);
    }

    /// The node has made the way, or not.
    pub(super) fn finish_attach(&mut self, member: MemberId, result: &CommandResult) {
        if let Some(entry) = self.members.get_mut(&member)
            && matches!(result, CommandResult::Failed { .. })
        {
            // The topics behind it fail by themselves. A node whose answer was late may hold it all the same.
            entry.topics.is_attached = false;
            let transport = entry.topics.transport;
            self.command(NodeCommand::CloseTransport { transport });
        }
    }

    pub(super) fn finish_topic_open(
        &mut self,
        member: MemberId,
        id: RequestId,
        channel: u16,
        result: CommandResult,
    ) {
        let Some(entry) = self.members.get_mut(&member) else { return };
        let result = match result {
            CommandResult::Failed { error } => Err(client_error(error)),
            _ if !entry.topics.channels.contains(&channel) => {
                Err(ProtocolError::new(ErrorCode::UnknownTopic, "the topic was closed meanwhile"))
            }
            _ => Ok(Reply::TopicOpened { channel }),
        };
        if result.is_err() {
            entry.topics.channels.remove(&channel);
        }
        self.reply(member, id, result);
        self.detach_if_idle(member);
    }

    pub(super) fn handle_topic_send(
        &mut self,
        member: MemberId,
        id: RequestId,
        channel: u16,
        messages: Vec<String>,
    ) {
        let Some(entry) = self.members.get(&member) else { return };
        let refusal = if !entry.topics.channels.contains(&channel) {
            Some((ErrorCode::UnknownTopic, "no such topic is open"))
        } else if messages.is_empty() || messages.len() > MESSAGES {
            Some((ErrorCode::InvalidArgument, "1 to 64 messages are sent at once"))
        } else if messages.iter().any(|message| message.len() > ENCODED_BYTES) {
            Some((ErrorCode::InvalidArgument, "a message is at most 256 KiB"))
        } else {
            None
        };
        if let Some((code, message)) = refusal {
            return self.refuse(member, id, code, message);
        }
        let command = NodeCommand::SendData { transport: entry.topics.transport, channel, messages };
        self.command_for(Pending::Plain { member, id }, command);
    }

    pub(super) fn handle_topic_close(&mut self, member: MemberId, id: RequestId, channel: u16) {
        let Some(entry) = self.members.get_mut(&member) else { return };
        let transport = entry.topics.transport;
        if !entry.topics.channels.remove(&channel) {
            return self.refuse(member, id, ErrorCode::UnknownTopic, "no such topic is open");
        }
        self.command(NodeCommand::CloseTopic { transport, channel });
        self.reply(member, id, Ok(Reply::Done {}));
        self.detach_if_idle(member);
    }

    /// With its last topic, the way ends.
    fn detach_if_idle(&mut self, member: MemberId) {
        let Some(entry) = self.members.get_mut(&member) else { return };
        if entry.topics.channels.is_empty() && std::mem::take(&mut entry.topics.is_attached) {
            let transport = entry.topics.transport;
            self.command(NodeCommand::CloseTransport { transport });
        }
    }

    /// Messages for a member.
    pub(super) fn handle_topic_data(&mut self, transport: TransportId, channel: u16, messages: Vec<String>) {
        let Some(member) = self.member_of(transport) else { return };
        let is_open = self.members.get(&member).is_some_and(|entry| {
            entry.topics.transport == transport && entry.topics.channels.contains(&channel)
        });
        if is_open {
            self.event_to(member, ServerEvent::Topic { channel, messages });
        }
    }

    /// The node closed a topic.
    pub(super) fn handle_topic_closed(&mut self, transport: TransportId, channel: u16, reason: String) {
        let Some(member) = self.member_of(transport) else { return };
        let Some(entry) = self.members.get_mut(&member) else { return };
        if entry.topics.transport == transport && entry.topics.channels.remove(&channel) {
            self.event_to(member, ServerEvent::TopicClosed { channel, reason });
            self.detach_if_idle(member);
        }
    }

    /// The node holds a member's way no longer.
    pub(super) fn close_topics_of(&mut self, member: MemberId, reason: &str) {
        let Some(entry) = self.members.get_mut(&member) else { return };
        entry.topics.is_attached = false;
        for channel in std::mem::take(&mut entry.topics.channels) {
            self.event_to(member, ServerEvent::TopicClosed { channel, reason: reason.to_owned() });
        }
    }

    /// The node is lost.
    pub(super) fn close_all_topics(&mut self, reason: &str) {
        let attached = self.members.iter().filter(|(_, entry)| entry.topics.is_attached);
        let members: Vec<MemberId> = attached.map(|(member, _)| *member).collect();
        for member in members {
            self.close_topics_of(member, reason);
        }
    }
}
