//! What members ask for once they are in: who answers what.

use patchbay_protocol::{ClientRequest, ErrorCode, LeaveReason, Reply, RequestId};

use super::{MemberId, Moment, Room, check};
use crate::permission::{self, Act, Stage};

impl Room {
    pub(super) fn handle_request(
        &mut self,
        now: Moment,
        member: MemberId,
        id: RequestId,
        request: ClientRequest,
    ) {
        let Some(entry) = self.members.get(&member) else {
            return self.refuse(member, id, ErrorCode::NotJoined, "join a room first");
        };
        let stage = if entry.has_joined() { Stage::Joined } else { Stage::Entering };
        if let Err(error) = permission::check(Act::of(&request), stage, &entry.grants) {
            return self.reply(member, id, Err(error));
        }
        match request {
            ClientRequest::Offer { offer } => {
                match check::check_description(&offer, &entry.grants, &self.config.bounds) {
                    Ok(()) => self.enqueue_offer(member, id, offer),
                    Err(error) => self.reply(member, id, Err(error)),
                }
            }
            ClientRequest::Candidate { candidate, .. } => self.handle_candidate(member, id, candidate),
            ClientRequest::Slot { mid, source } => self.handle_slot(member, id, mid, source),
            ClientRequest::Mute { track, muted } => self.handle_mute(member, id, track, muted),
            ClientRequest::Update { name, metadata, attributes, hand_raised } => {
                let result = self.update(member, false, name, metadata, attributes, hand_raised);
                self.reply(member, id, result.map(|()| Reply::Done {}));
            }
            ClientRequest::Presence { state, typing } => {
                self.handle_presence(now, member, id, state, typing);
            }
            ClientRequest::Chat { text, message_id } => self.handle_chat(now, member, id, text, message_id),
            ClientRequest::ChatHistory { before, limit } => {
                self.handle_chat_history(member, id, before, limit);
            }
            ClientRequest::Moderate { action } => self.handle_moderate(now, member, id, action),
            ClientRequest::Rpc { to, method, payload, timeout_ms } => {
                self.handle_rpc(now, member, id, to, method, payload, timeout_ms);
            }
            ClientRequest::RpcReply { call, payload, error } => {
                self.handle_rpc_reply(member, id, call, payload, error);
            }
            ClientRequest::TopicOpen { label, protocol } => {
                self.handle_topic_open(member, id, label, protocol);
            }
            ClientRequest::TopicSend { channel, messages } => {
                self.handle_topic_send(member, id, channel, messages);
            }
            ClientRequest::TopicClose { channel } => self.handle_topic_close(member, id, channel),
            ClientRequest::Leave {} => {
                self.reply(member, id, Ok(Reply::Done {}));
                self.remove(member, LeaveReason::Left);
            }
            // Whether it holds is settled outside, and comes in as `Input::Refresh`.
            ClientRequest::Refresh { .. } => {
                self.refuse(member, id, ErrorCode::Internal, "a token was not looked at");
            }
            // Said to whoever keeps connection timelines, not to the room.
            ClientRequest::Trouble { .. } | ClientRequest::Ping {} => {
                self.reply(member, id, Ok(Reply::Done {}))
            }
            // The table has refused these already.
            ClientRequest::Hello { .. } | ClientRequest::Join { .. } => {
                self.refuse(member, id, ErrorCode::AlreadyJoined, "this session is in a room already");
            }
        }
    }
}
