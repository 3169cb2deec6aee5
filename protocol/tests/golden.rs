//! The files under `golden/` and the types agree: every message is read, and written again as it was.
//!
//! The JavaScript tests read the same files. Each is a list of `{name, message}`.

use std::collections::BTreeSet;
use std::path::Path;

use patchbay_protocol::node::{Command, Event};
use patchbay_protocol::{Claims, ClientMessage, CloseCode, ErrorCode, ServerMessage};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Deserialize)]
struct Entry {
    name: String,
    message: Value,
}

fn read<T: DeserializeOwned>(file: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Reads and writes every message of a file; returns the values of `field` that it saw.
fn round_trip<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    file: &str,
    field: &str,
) -> BTreeSet<String> {
    let mut kinds = BTreeSet::new();
    for Entry { name, message } in read::<Vec<Entry>>(file) {
        let typed: T =
            serde_json::from_value(message.clone()).unwrap_or_else(|error| panic!("{file}: {name}: {error}"));
        let written = serde_json::to_value(&typed).unwrap();
        assert_eq!(written, message, "{file}: {name} is written otherwise than it was read");
        // Through text too, as it travels.
        let text = serde_json::to_string(&typed).unwrap();
        assert_eq!(serde_json::from_str::<T>(&text).unwrap(), typed, "{file}: {name}");
        kinds.extend(message.pointer(field).and_then(Value::as_str).map(str::to_owned));
    }
    kinds
}

fn assert_kinds(seen: &BTreeSet<String>, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|kind| (*kind).to_owned()).collect();
    assert_eq!(*seen, expected, "the golden file must hold every type");
}

#[test]
fn client_messages() {
    let seen = round_trip::<ClientMessage>("client.json", "/type");
    assert_kinds(
        &seen,
        &[
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
        ],
    );
}

#[test]
fn replies() {
    assert_kinds(&round_trip::<ServerMessage>("reply.json", "/type"), &["ok", "error"]);
    let seen = round_trip::<ServerMessage>("reply.json", "/result/type");
    assert_kinds(
        &seen,
        &[
            "welcome",
            "joined",
            "answered",
            "done",
            "resumed",
            "chatted",
            "history",
            "rpc_done",
            "topic_opened",
        ],
    );
}

#[test]
fn events() {
    let seen = round_trip::<ServerMessage>("event.json", "/type");
    assert_kinds(
        &seen,
        &[
            "participant_joined",
            "participant_left",
            "participant_updated",
            "track_published",
            "track_unpublished",
            "track_muted",
            "slot",
            "speakers",
            "chat",
            "candidate",
            "transport",
            "ice_servers",
            "left",
            "presence",
            "room_updated",
            "grants_changed",
            "token_expiring",
            "waiting",
            "participant_waiting",
            "participant_waiting_ended",
            "rpc_request",
            "topic",
            "topic_closed",
            "going_away",
        ],
    );
}

#[test]
fn node_commands() {
    let seen = round_trip::<Command>("node-command.json", "/type");
    assert_kinds(
        &seen,
        &[
            "negotiate",
            "candidate",
            "set_slot",
            "set_muted",
            "close_transport",
            "close_room",
            "attach_data",
            "open_topic",
            "close_topic",
            "send_data",
            "set_data",
            "store_blob",
            "sync",
        ],
    );
}

#[test]
fn node_events() {
    let seen = round_trip::<Event>("node-event.json", "/type");
    assert_kinds(
        &seen,
        &[
            "hello",
            "done",
            "transport",
            "candidate",
            "slot",
            "speakers",
            "data",
            "topic_closed",
            "timeline",
            "held",
            "report",
            "draining",
        ],
    );
    let seen = round_trip::<Event>("node-event.json", "/result/outcome");
    assert_kinds(&seen, &["done", "answered", "synced", "failed"]);
}

#[test]
fn claims() {
    round_trip::<Claims>("claims.json", "/room");
}

#[derive(Deserialize)]
struct Codes {
    errors: Vec<ErrorCode>,
    closes: std::collections::BTreeMap<String, u16>,
}

#[test]
fn codes_keep_their_names_and_numbers() {
    let codes: Codes = read("codes.json");
    // A code that is added to the enum and not to the file shows here: the last one is the highest.
    assert_eq!(codes.errors.len(), ErrorCode::Internal as usize + 1);
    let closes = [
        ("normal", CloseCode::Normal),
        ("going_away", CloseCode::GoingAway),
        ("too_large", CloseCode::TooLarge),
        ("protocol_violation", CloseCode::ProtocolViolation),
        ("unauthorized", CloseCode::Unauthorized),
        ("forbidden", CloseCode::Forbidden),
        ("superseded", CloseCode::Superseded),
        ("heartbeat_timeout", CloseCode::HeartbeatTimeout),
        ("replaced", CloseCode::Replaced),
        ("slow_consumer", CloseCode::SlowConsumer),
        ("rate_limited", CloseCode::RateLimited),
    ];
    assert_eq!(codes.closes.len(), closes.len());
    for (name, code) in closes {
        assert_eq!(codes.closes.get(name), Some(&u16::from(code)), "{name}");
    }
}

#[test]
fn unknown_fields_are_ignored_and_numbers_keep_their_size() {
    let message: ClientMessage = serde_json::from_str(r#"{"id":1,"type":"ping","later":true}"#).unwrap();
    assert_eq!(serde_json::to_string(&message).unwrap(), r#"{"id":1,"type":"ping"}"#);
    assert!(serde_json::from_str::<ClientMessage>(r#"{"id":4294967296,"type":"ping"}"#).is_err());
    assert!(serde_json::from_str::<ClientMessage>(r#"{"id":1.5,"type":"ping"}"#).is_err());
}
