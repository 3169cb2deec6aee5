//! Client connections, from the first request to the close: a WebSocket (`GET /v1/ws`), or HTTP requests (`/v1/hello`,
//! `/v1/sse`, `/v1/poll`, `/v1/send`).
//!
//! `upgrade` decides who may connect at all; `greeting` answers `hello`, which begins a session or takes one up; `run`
//! carries a WebSocket and `http` everything else; `request` answers what needs no room and hands on the rest. What
//! outlives a connection is in `crate::session`.

mod envelope;
mod greeting;
mod http;
mod request;
mod run;
mod upgrade;

pub(crate) use http::routes;
pub(crate) use request::Requests;
pub(crate) use upgrade::client_socket;

use patchbay_protocol::limit;

/// A message over this many bytes ends the connection (close code 1009, or status 413). Between
/// [`limit::MESSAGE_BYTES`] and this it is refused with `message_too_large`, and the session goes on.
const HARD_MESSAGE_BYTES: usize = 2 * limit::MESSAGE_BYTES;
