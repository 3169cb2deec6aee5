//! Reading a client message so that what is wrong with it can be said.

use patchbay_protocol::{ClientMessage, ClientRequest, ErrorCode, ProtocolError, RequestId, limit};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The types of client messages, for telling an unknown one from a malformed one.
const TYPES: [&str; 20] = [
    "hello",
    "join",
    "offer",
    "candidate",
    "slot",
    "mute",
    "update",
    "presence",
    "chat",
    "chat_history",
    "moderate",
    "refresh",
    "rpc",
    "rpc_reply",
    "topic_open",
    "topic_send",
    "topic_close",
    "trouble",
    "ping",
    "leave",
];
/// Characters of a parser's complaint that are passed on.
const COMPLAINT: usize = 160;

/// What can be said of a message that can't be carried out.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) id: Option<RequestId>,
    pub(super) error: ProtocolError,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default)]
    id: Option<RequestId>,
    #[serde(default, rename = "type", borrow)]
    kind: Option<std::borrow::Cow<'a, str>>,
}

/// Reads one text message.
pub(super) fn parse(text: &str) -> Result<ClientMessage, Unreadable> {
    if text.len() > limit::MESSAGE_BYTES {
        return Err(unreadable(None, ErrorCode::MessageTooLarge, "a message is at most 512 KiB".into()));
    }
    let message = match serde_json::from_str::<ClientMessage>(text) {
        Ok(message) => return Ok(message),
        Err(error) => error.to_string().chars().take(COMPLAINT).collect::<String>(),
    };
    let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(text) else {
        let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
        let what =
            if is_json { "a message is an object with a numeric id and a type" } else { "this is not JSON" };
        return Err(unreadable(None, ErrorCode::MalformedMessage, what.into()));
    };
    match (envelope.id, envelope.kind) {
        (None, _) => Err(unreadable(None, ErrorCode::MalformedMessage, "a message needs an id".into())),
        (id, None) => Err(unreadable(id, ErrorCode::MalformedMessage, "a message needs a type".into())),
        (id, Some(kind)) if TYPES.contains(&kind.as_ref()) => {
            Err(unreadable(id, ErrorCode::MalformedMessage, format!("this is no {kind}: {message}")))
        }
        (id, Some(_)) => {
            Err(unreadable(id, ErrorCode::UnknownType, "this server does not know this type".into()))
        }
    }
}

/// The id of a message that is refused unread, if it is cheap to find.
pub(super) fn peek_id(text: &str) -> Option<RequestId> {
    const CHEAP: usize = 4 * 1024;
    if text.len() > CHEAP {
        return None;
    }
    serde_json::from_str::<Envelope<'_>>(text).ok().and_then(|envelope| envelope.id)
}

/// The name of a request's type, for the metrics.
pub(super) fn kind(request: &ClientRequest) -> &'static str {
    match request {
        ClientRequest::Hello { .. } => "hello",
        ClientRequest::Join { .. } => "join",
        ClientRequest::Offer { .. } => "offer",
        ClientRequest::Candidate { .. } => "candidate",
        ClientRequest::Slot { .. } => "slot",
        ClientRequest::Mute { .. } => "mute",
        ClientRequest::Update { .. } => "update",
        ClientRequest::Presence { .. } => "presence",
        ClientRequest::Chat { .. } => "chat",
        ClientRequest::ChatHistory { .. } => "chat_history",
        ClientRequest::Moderate { .. } => "moderate",
        ClientRequest::Refresh { .. } => "refresh",
        ClientRequest::Rpc { .. } => "rpc",
        ClientRequest::RpcReply { .. } => "rpc_reply",
        ClientRequest::TopicOpen { .. } => "topic_open",
        ClientRequest::TopicSend { .. } => "topic_send",
        ClientRequest::TopicClose { .. } => "topic_close",
        ClientRequest::Trouble { .. } => "trouble",
        ClientRequest::Ping {} => "ping",
        ClientRequest::Leave {} => "leave",
    }
}

fn unreadable(id: Option<RequestId>, code: ErrorCode, message: String) -> Unreadable {
    Unreadable { id, error: ProtocolError::new(code, message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> (Option<u32>, ErrorCode) {
        let unreadable = parse(text).expect_err("the message should be refused");
        (unreadable.id.map(|id| id.0), unreadable.error.code)
    }

    #[test]
    fn what_is_wrong_is_told_apart() {
        assert!(parse(r#"{"id":1,"type":"ping"}"#).is_ok());
        assert_eq!(code("{"), (None, ErrorCode::MalformedMessage));
        assert_eq!(code("[]"), (None, ErrorCode::MalformedMessage));
        assert_eq!(code(r#"{"type":"ping"}"#), (None, ErrorCode::MalformedMessage));
        assert_eq!(code(r#"{"id":-1,"type":"ping"}"#), (None, ErrorCode::MalformedMessage));
        assert_eq!(code(r#"{"id":7}"#), (Some(7), ErrorCode::MalformedMessage));
        assert_eq!(code(r#"{"id":7,"type":"mute"}"#), (Some(7), ErrorCode::MalformedMessage));
        assert_eq!(code(r#"{"id":7,"type":"dance"}"#), (Some(7), ErrorCode::UnknownType));
        assert_eq!(code(&"x".repeat(limit::MESSAGE_BYTES + 1)), (None, ErrorCode::MessageTooLarge));
        let deep = "[".repeat(100_000);
        assert_eq!(code(&deep), (None, ErrorCode::MalformedMessage));
    }
}
