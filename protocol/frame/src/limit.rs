//! Bounds on frames. Each says what raising it costs.

/// Bytes of a data channel message with all its frames: `a=max-message-size` of the server's answers.
pub const MESSAGE_BYTES: usize = 256 * 1024;
/// Bytes of a payload: what is left of a message beside the longest header.
pub const PAYLOAD_BYTES: usize = MESSAGE_BYTES - 1024;
/// Bytes of a key. Cost of raising: this much more per value that is kept.
pub const KEY_BYTES: usize = 64;
/// Participants that one message is addressed to. Cost of raising: 4 bytes of header each.
pub const TARGETS: usize = 128;
/// Filters of one `subscribe`, and of one channel at a time. Cost of raising: one comparison each for every message with a key
/// that is published on the topic.
pub const FILTERS: usize = 64;
/// Longest frame length that can be written: 30 bits.
pub(crate) const LENGTH: usize = (1 << 30) - 1;
