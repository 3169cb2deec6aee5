//! What the room's node answers and reports.

use patchbay_protocol::node::{CommandResult, NodeEvent};
use patchbay_protocol::{
    ErrorCode, LeaveReason, ParticipantNumber, ProtocolError, Reply, ServerEvent, TransportId, TransportState,
};

use super::{MemberId, Pending, Room, Ticket};

impl Room {
    pub(super) fn handle_result(&mut self, ticket: Ticket, result: CommandResult) {
        match self.pending.remove(&ticket) {
            Some(Pending::Negotiate(member)) => self.finish_negotiation(member, result),
            Some(Pending::Plain { member, id }) => {
                let result = match result {
                    CommandResult::Failed { error } => Err(client_error(error)),
                    _ => Ok(Reply::Done {}),
                };
                if self.members.contains_key(&member) {
                    self.reply(member, id, result);
                }
            }
            Some(Pending::Attach(member)) => self.finish_attach(member, &result),
            Some(Pending::OpenTopic { member, id, channel }) => {
                self.finish_topic_open(member, id, channel, result);
            }
            Some(Pending::ServerAttach(way)) => self.finish_server_attach(way, &result),
            Some(Pending::ServerOpen(way, channel)) => self.finish_server_open(way, channel, &result),
            Some(Pending::ServerSend(call)) => self.finish_server_send(call, result),
            None => {}
        }
    }

    pub(super) fn handle_node_event(&mut self, event: NodeEvent) {
        match event {
            NodeEvent::Transport { transport, state } => {
                let Some(member) = self.member_of(transport) else { return };
                let failed = matches!(state, TransportState::Failed { .. });
                let mut is_lost = failed;
                if failed && let Some(entry) = self.members.get_mut(&member) {
                    // An offer that is on its way makes another transport.
                    entry.on_node = entry.negotiation.is_some();
                    is_lost = !entry.lives_without_media();
                }
                self.event_to(member, ServerEvent::Transport { state });
                if is_lost {
                    self.remove(member, LeaveReason::TransportLost);
                }
            }
            NodeEvent::Candidate { transport, candidate } => {
                if let Some(member) = self.member_of(transport) {
                    self.event_to(member, ServerEvent::Candidate { candidate, mid: None });
                }
            }
            NodeEvent::Slot { transport, mid, state } => {
                if let Some(member) = self.member_of(transport) {
                    if let Some(entry) = self.members.get_mut(&member) {
                        entry.flows.insert(mid.clone(), state);
                    }
                    self.event_to(member, ServerEvent::Slot { mid, state });
                }
            }
            NodeEvent::Speakers { speakers, .. } => {
                let visible = |number: &ParticipantNumber| {
                    self.members.values().any(|member| member.number == *number && member.is_in_roster())
                };
                self.speakers = speakers.into_iter().filter(visible).collect();
                self.broadcast(None, ServerEvent::Speakers { speakers: self.speakers.clone() });
            }
            NodeEvent::Data { transport, channel, messages } => {
                self.handle_topic_data(transport, channel, messages);
            }
            NodeEvent::TopicClosed { transport, channel, reason } => {
                self.close_server_topic(transport, channel);
                self.handle_topic_closed(transport, channel, reason);
            }
            NodeEvent::Hello { .. }
            | NodeEvent::Draining {}
            | NodeEvent::Done { .. }
            | NodeEvent::Held { .. }
            | NodeEvent::Timeline { .. }
            | NodeEvent::Report { .. } => {}
        }
    }

    pub(super) fn handle_node_lost(&mut self) {
        let lost: Vec<MemberId> =
            self.members.iter().filter(|(_, member)| member.on_node).map(|(id, _)| *id).collect();
        self.close_all_topics("the media node is lost");
        self.forget_server_topics();
        for member in &lost {
            if let Some(member) = self.members.get_mut(member) {
                member.on_node = false;
            }
        }
        for member in lost {
            self.remove(member, LeaveReason::NodeLost);
        }
    }

    /// The node does not hold a transport any longer, or a way to topics over signaling.
    pub(super) fn handle_transport_gone(&mut self, transport: TransportId) {
        if self.lose_server_topics(transport) {
            return;
        }
        let Some(member) = self.member_of(transport) else { return };
        let Some(entry) = self.members.get_mut(&member) else { return };
        if entry.topics.transport == transport {
            return self.close_topics_of(member, "the media node does not hold it any longer");
        }
        let was_on_node = std::mem::take(&mut entry.on_node);
        if entry.lives_without_media() {
            let reason = "the media node does not hold it any longer".to_owned();
            if was_on_node {
                self.event_to(member, ServerEvent::Transport { state: TransportState::Failed { reason } });
            }
            return;
        }
        self.remove(member, LeaveReason::NodeLost);
    }
}

/// What a client is told of a node's refusal: codes of the link itself mean nothing to it.
pub(super) fn client_error(error: ProtocolError) -> ProtocolError {
    match error.code {
        ErrorCode::StaleEpoch | ErrorCode::UnknownRoom | ErrorCode::UnknownTransport => ProtocolError::new(
            ErrorCode::NoNode,
            "the media node does not hold this participant any longer; join again",
        ),
        _ => error,
    }
}
