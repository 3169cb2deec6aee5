//! Client connections: `GET /v1/ws`, from the upgrade to the close, and the sessions behind them.
//!
//! `upgrade` decides who may connect at all; `run` reads, pings and writes; `request` answers what needs no room and
//! hands on the rest; `session` is what outlives all three.

mod envelope;
mod reply_log;
mod request;
mod run;
mod session;
mod upgrade;

pub use session::OutboxLimit;
pub(crate) use session::{Body, Session};
pub(crate) use upgrade::client_socket;
