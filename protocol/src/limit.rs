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
/// Publications of one participant.
pub const PUBLICATIONS: usize = 16;
/// Slots of one participant. Cost of raising: about 200 bytes of SFU state each, and the client's own decoders.
pub const SLOTS: usize = 128;
/// Participants of one room.
pub const ROOM_PARTICIPANTS: usize = 1_000;
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
