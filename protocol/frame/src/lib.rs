//! The binary frames of framed mode: what data channels carry whose protocol is `patchbay`.
//!
//! A data channel message is one or more frames back to back; a frame is a type, a length and a body. This crate reads
//! and writes them and does nothing else: no I/O, no allocation while reading, and no input makes it panic.
//! `docs/protocol.md` (section "Data channels and topics") is the written form; the files under `golden/` hold both to
//! it, and are read by the tests of every SDK.
//!
//! ```
//! use patchbay_frame::{ClientFrame, Publish, client_frames};
//!
//! let mut message = Vec::new();
//! let publish = Publish { key: Some("cursor"), payload: &[1, 2, 3], ..Publish::default() };
//! ClientFrame::Publish(publish).write(&mut message);
//! ClientFrame::Ping { token: 7 }.write(&mut message);
//! assert_eq!(client_frames(&message).count(), 2);
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

mod client;
mod error;
mod filter;
pub mod limit;
mod reader;
mod server;
mod setting;

pub use client::{ClientFrame, Publish, Targets, client_frames};
pub use error::{FrameError, TopicError};
pub use filter::{Area, Cell, Filter, Filters};
pub use server::{Message, ServerFrame, Welcome, server_frames};
pub use setting::{Departure, Mode, PROTOCOL, Settings, SlowReceiver, UnknownSetting};

/// Version of the frames, told in `welcome`.
pub const FRAME_VERSION: u8 = 1;
