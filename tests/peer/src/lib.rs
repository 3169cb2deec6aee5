//! A headless WebRTC peer for tests and CI.
//!
//! It is built on the async `webrtc` crate as it is, as a stranger's client would be: nothing of the server's media
//! plane is in it. As a library it puts many peers into one process ([`Peer::join`]); as the program `patchbay-peer`
//! it joins a room, publishes and receives for a while, and prints its statistics as JSON ([`PeerStats`], whose
//! fields keep their meaning from version to version). `patchbay-peer --help` is the manual.
//!
//! What a peer publishes is encoded media: small VP8 loops and an Opus tone that come with the crate, or IVF and Ogg
//! files. What it receives is not decoded; a *frame* is counted when all its packets are there and the frames it
//! builds upon are, back to a keyframe.

mod arena;
mod assembler;
mod config;
mod connection;
mod error;
mod http;
mod keyframe;
mod loudness;
mod media;
mod peer;
mod publish;
mod receive;
mod signaling;
mod stats;
mod topic;

pub use arena::ArenaBot;
pub use config::{Channel, PeerConfig, Picture, Publication, Way};
pub use error::PeerError;
pub use http::{Request, Response, request};
pub use loudness::Loudness;
pub use media::{AudioClip, VideoClip, VideoCodec, VideoFrame};
pub use peer::Peer;
pub use signaling::{Signaling, connect as connect_signaling};
pub use stats::{
    ChannelStats, ConnectionState, PeerStats, PublicationStats, RosterEntry, STATS_SCHEMA, SlotStats,
};
