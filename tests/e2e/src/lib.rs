//! What the end-to-end tests share: a server of the real binary, a relay between a peer and the server, waiting.
//!
//! The tests themselves are in `tests/room`, and each of them runs twice: with the SFU in the signaling process, and
//! with two processes that speak over the link.

mod relay;
mod server;
mod wait;

pub use relay::Relay;
pub use server::{Mode, Server, example_program, peer_program, token};
pub use wait::{figure, median, until};

/// What a test returns: anything that goes wrong ends it.
pub type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;
