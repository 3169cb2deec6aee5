//! The real server over real sockets on loopback, with a scripted node in place of an SFU: the protocol, not the media.

mod access;
mod api;
mod chat;
mod connection;
mod door;
mod limit;
mod moderation;
mod node;
mod page;
mod permission;
mod rebuild;
mod room;
mod rpc;
mod session;
mod support;
mod survival;
mod timeline;
mod tls;
mod whip;
