//! The media plane as pure state machines: no sockets, no clock, no threads, no tokio.
//!
//! ```text
//! datagram → demux → transport → router → forwarder → transport (egress queue) → transmit
//! ```
//!
//! A [`Worker`] is what one thread runs. It owns [`transport::Transport`]s (ICE, DTLS, SRTP, SCTP of one peer each) and
//! [`router::Router`]s (the fan-out table of one room each). Time and randomness come in as arguments; what goes out is
//! polled. Every state machine here has the same three kinds of method: `handle_*` takes something in, `poll_*` gives
//! something out until it returns `None`, `deadline` says when `handle_timeout` wants to be called next.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "a test has to begin somewhere in time"))]

pub mod command_log;
pub mod demux;
mod egress;
mod random;
pub mod router;
pub mod transport;
mod worker;

pub use egress::{
    ChannelKey, DataMessage, Egress, OutgoingRtp, Path, Protocol, Repetition, SendOutcome, Transmit,
    TransportKey,
};
pub use random::MAX_WORKERS;
pub use worker::{Worker, WorkerConfig, addressed_worker};
