//! SCTP as data channels need it (RFC 8831): one association over DTLS, as a pure state machine.
//!
//! No I/O, no clock, no threads: packets, messages and the time go in, packets and events come out. The peer is whoever
//! joined a room, so whatever it sends, nothing in here panics, works without end, or fills memory.
//!
//! | module | owns | specification |
//! | --- | --- | --- |
//! | [`Association`] | what belongs together: states, the order of chunks in a packet, timers | RFC 9260 §4, §6.10 |
//! | `packet` | packets and chunks on the wire | RFC 9260 §3 |
//! | `handshake` | INIT, cookies, what both ends can do | RFC 9260 §5 |
//! | `receive` | what has arrived, SACKs, messages of fragments, order | RFC 9260 §6.2, §6.5–6.9 |
//! | `send` | fragments, what is under way, what was lost, what was given up | RFC 9260 §6.1, RFC 3758 |
//! | `reset` | streams that begin anew | RFC 6525 |
//!
//! Where it goes its own ways, each within what RFC 9260 leaves open:
//! - Losses are found as QUIC finds them (RFC 9002 §6.1, RFC 8985): by packets sent later that have arrived, and by time; so
//!   everything that a burst lost is repeated within a round trip, repetitions included. There is no time-out that throws
//!   the window away at once: a probe comes first (RFC 9002 §6.2).
//! - The window is one of delay (`send::window`), as queues in the network are what makes messages late.
//! - A message's reliability is its own, not its stream's: a snapshot is repeated on a channel that repeats nothing else.
//! - Nothing is queued: [`Association::has_room`] says whether a message would leave now, and whoever has queues keeps them.
//!   Only what follows a reset on its stream waits here until the peer has agreed.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

mod association;
mod handshake;
mod packet;
mod receive;
mod reset;
mod send;
mod tsn;

pub use association::{Association, Config, Event};
pub use send::{Limit, Message};

/// Payload protocol identifiers of data channels (RFC 8831 §8).
pub mod ppid {
    /// Messages of the data channel establishment protocol.
    pub const DCEP: u32 = 50;
    /// UTF-8.
    pub const STRING: u32 = 51;
    /// Bytes.
    pub const BINARY: u32 = 53;
    /// A string without a character: SCTP has no empty message, so one byte stands for it.
    pub const STRING_EMPTY: u32 = 56;
    /// No bytes, for which one stands.
    pub const BINARY_EMPTY: u32 = 57;
}
