//! The real server over real sockets on loopback, with a scripted node in place of an SFU: the protocol, not the media.

mod connection;
mod door;
mod node;
mod page;
mod room;
mod support;
mod timeline;
mod tls;
mod whip;
