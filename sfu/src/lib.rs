//! An SFU node: threads, sockets, batching and the link to signaling.
//!
//! ```text
//! signaling ⇄ link (in memory, or WebSocket) ⇄ dispatcher ⇄ mailbox ⇄ worker thread ⇄ UDP socket, TCP connections
//!                                              one task              one per core     one port per worker
//! ```
//!
//! The media plane itself is `patchbay-sfu-core`, which knows no clock and no socket; this crate gives it both. A [`Node`]
//! is started with a [`NodeConfig`], and linked either with [`Node::link`] (signaling in the same process) or with
//! [`Node::dial`] (signaling elsewhere). Both carry the same typed commands and events.
//!
//! - A peer without UDP brings its datagrams over TCP, to the same worker; the core sees another path and nothing else.
//! - A room lives on one worker; commands are routed there by room and transport.
//! - What a worker sends goes out in runs of equal-sized datagrams, one system call each where the kernel can segment.
//! - Transports need no signaling to live: a link that is lost costs nothing but news.
//! - A panic in one worker costs that worker's rooms, is reported as failed transports, and the worker starts afresh.

mod config;
mod dispatcher;
mod interface;
mod link;
mod node;
mod probe;
mod socket;
mod tcp;
mod worker;

pub use config::{NodeConfig, StartError};
pub use interface::{
    Announced, Detection, Finding, InterfaceRule, InterfaceRuleError, InterfaceRules, Origin, PublicIp,
    PublicIpError, PublicMapping, announcement_report, detect_public_ips,
};
pub use link::{DialError, NodeLink};
pub use node::Node;
pub use probe::{NodeProbe, probe};
pub use tcp::TcpIntake;
