//! Bounds on what clients may send, in one place. Each says what raising it costs.

use std::time::Duration;

/// Bytes in one client message. An offer with 9 video and 4 audio slots is 49 KB in Chromium; one with 50 slots about 200 KB.
/// Cost of raising: this much memory per connection while a message is read.
pub const MESSAGE_BYTES: usize = 512 * 1024;
/// Bytes in one SDP.
pub const SDP_BYTES: usize = 256 * 1024;
/// Bytes of a room name. Letters, digits, `-`, `_` and `.` only, as it stands in paths.
pub const ROOM_NAME_BYTES: usize = 64;
/// Bytes of an identity: any text without control characters.
pub const IDENTITY_BYTES: usize = 128;
/// Bytes of a name to show.
pub const NAME_BYTES: usize = 128;
/// Bytes of a participant's metadata as JSON. It is sent to everybody in the room at every join.
pub const METADATA_BYTES: usize = 4 * 1024;
/// Bytes of what a client says went wrong.
pub const TROUBLE_BYTES: usize = 512;
/// Bytes of one chat line.
pub const CHAT_BYTES: usize = 4 * 1024;
/// Bytes of a client's own name for a chat line.
pub const MESSAGE_ID_BYTES: usize = 64;
/// Lines in one reply of the chat's history, and in `joined`.
pub const CHAT_LINES: usize = 50;
/// Attributes of a participant or a room, and their bytes with their keys. They are sent to everybody at every join.
pub const ATTRIBUTES: usize = 64;
/// See [`ATTRIBUTES`].
pub const ATTRIBUTE_BYTES: usize = 8 * 1024;
/// Bytes of a call's payload, there and back.
pub const RPC_BYTES: usize = 15 * 1024;
/// Bytes of a method's name.
pub const RPC_METHOD_BYTES: usize = 64;
/// Bytes of the error a method answers with.
pub const RPC_ERROR_BYTES: usize = 512;
/// How long a call waits when it does not say.
pub const RPC_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may ask to wait.
pub const RPC_LONGEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of a topic's label.
pub const LABEL_BYTES: usize = 256;
/// Bytes of a data channel message, either way.
pub const DATA_BYTES: usize = 256 * 1024;
/// How long a session is kept without a connection.
pub const RESUME_WINDOW: Duration = Duration::from_secs(30);
/// Publications of one participant.
pub const PUBLICATIONS: usize = 16;
/// Slots of one participant. Cost of raising: about 200 bytes of SFU state each, and the client's own decoders.
pub const SLOTS: usize = 128;
/// Participants of one room.
pub const ROOM_PARTICIPANTS: usize = 1_000;
/// Bytes of one text that signaling stores with a room on its node: a room's own, with its bans, or one of its members.
pub const BLOB_BYTES: usize = 1024 * 1024;
/// Texts of one room on its node: one for each member, and the room's own.
pub const BLOBS: usize = 4_096;
/// Bytes of all texts of one room, with their keys: metadata and attributes of [`ROOM_PARTICIPANTS`]. Cost of raising: memory
/// of the node, and of signaling while it rebuilds.
pub const ROOM_BLOB_BYTES: usize = 32 * 1024 * 1024;
/// How often a client pings.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);
/// Silence after which either side gives a connection up.
pub const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(15);
/// The highest `speaker` rank a slot may follow.
pub const SPEAKER_RANKS: u8 = 64;

/// Whether a text may name a room.
pub fn is_room_name(text: &str) -> bool {
    (1..=ROOM_NAME_BYTES).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && !text.starts_with('.')
}

/// Whether a text may be an identity or a name of at most `bytes` bytes.
pub fn is_plain_text(text: &str, bytes: usize) -> bool {
    (1..=bytes).contains(&text.len()) && !text.chars().any(char::is_control)
}
