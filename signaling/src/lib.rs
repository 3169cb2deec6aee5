//! The signaling server: connections, sessions, rooms, tokens, WHIP and WHEP, the web page.
//!
//! It owns rooms (who is there, what they publish, who may do what) and never touches a media packet: media is the
//! business of SFU nodes, which attach through a [`NodeHub`], in memory or over a WebSocket. What clients and nodes say
//! is defined in `patchbay-protocol` and written down in `docs/protocol.md`.
//!
//! From the outside in: `server` (routes) → `connection` and `whip` (what a client says) → `entrance` and `auth` (who it
//! is) → `rooms` (one task per room) → `room` (the state machine) → `node` (commands and events).

mod app;
mod auth;
mod config;
mod connection;
mod door;
mod entrance;
mod health;
mod limit;
mod metric;
mod node;
mod origin;
mod page;
mod room;
mod rooms;
mod server;
mod timeline;
mod tls;
mod turn;
mod whip;

pub use auth::{KEY_BYTES, KeyError, Keys, Secret};
pub use config::{Config, ConnectionTiming, Drain, Rate};
pub use connection::OutboxLimit;
pub use door::IceTcpTaker;
pub use node::{LinkTiming, NodeHub};
pub use server::{Server, StartError};
pub use timeline::is_public;
pub use tls::{Certificate, CertificateInfo, SELF_SIGNED_FILE, TlsError, TlsSource, host_names};
pub use turn::Turn;
