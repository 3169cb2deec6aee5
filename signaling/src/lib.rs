//! The signaling server: connections, sessions, rooms, tokens, WHIP and WHEP, the web page.
//!
//! It owns rooms (who is there, what they publish, who may do what) and never touches a media packet: media is the
//! business of SFU nodes, which attach through a [`NodeHub`], in memory or over a WebSocket. What clients and nodes say
//! is defined in `patchbay-protocol` and written down in `docs/protocol.md`.
//!
//! From the outside in: `server` (routes) → `connection` and `whip` (what a client says) → `entrance` and `auth` (who it
//! is) → `rooms` (one task per room) → `room` (the state machine) → `node` (commands and events).

mod api;
mod app;
mod auth;
mod config;
mod connection;
mod door;
mod drain;
mod entrance;
mod health;
mod journal;
mod limit;
mod metric;
mod node;
mod origin;
mod page;
mod permission;
mod refusal;
mod room;
mod rooms;
mod server;
mod session;
mod store;
mod timeline;
mod tls;
mod turn;
mod webhook;
mod whip;

pub use auth::{
    ApiClaims, KEY_BYTES, KeyError, KeyFileError, Keys, REVOCATION_FILE, RevocationError, Revoker, SCOPES,
    Secret,
};
pub use config::{Bounds, Config, ConnectionTiming, Drain, Rate};
pub use door::IceTcpTaker;
pub use limit::{AddressHeader, Network, NetworkError, TrustedProxies};
pub use node::{LinkTiming, NodeHub};
pub use server::{Server, StartError};
pub use session::{OutboxLimit, SESSION_KEY_FILE, SessionKeyError};
pub use timeline::is_public;
pub use tls::{Certificate, CertificateInfo, SELF_SIGNED_FILE, TlsError, TlsSource, host_names};
pub use turn::Turn;
pub use webhook::{Webhook, WebhookError};
