//! A client of Patchbay rooms for games and tools in Rust: topics, the server's clock, calls, files, chat.
//!
//! ```no_run
//! use patchbay_client::{JoinOptions, Mode, Outgoing, Room, TopicOptions};
//!
//! # async fn play() -> Result<(), patchbay_client::ClientError> {
//! let room = Room::join("http://127.0.0.1:8080", JoinOptions::new("demo").name("Ada")).await?;
//! let game = room.topic("game", TopicOptions::unreliable().mode(Mode::Latest));
//! game.send(Outgoing::bytes(b"here I am").key("position"))?;
//! while let Some(message) = game.next().await {
//!     println!("{} is at {:?}", message.sender, message.payload);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A [`Room`] survives its connections: signaling is resumed after a loss, and joined anew when the session is gone; a
//! [`Topic`] outlives the data channels that carry it, and goes over the signaling connection while there is no path for
//! datagrams. Media is not its concern: for that, see the headless peer in `tests/peer`, which is built on this crate's
//! signaling.
//!
//! Concepts and names are those of the JavaScript SDK; the wire is written down in `docs/protocol.md`.

mod clock;
mod error;
mod file;
mod room;
mod rpc;
mod signaling;
mod topic;
mod transport;

pub use clock::ServerClock;
pub use error::ClientError;
pub use file::{Files, IncomingFile, OutgoingFile, Progress};
pub use patchbay_frame::{Area, Cell, Departure, Mode, SlowReceiver};
pub use patchbay_protocol::{ChatLine, LeaveReason, Participant, ParticipantNumber};
pub use room::{JoinOptions, Room, RoomEvent};
pub use rpc::{Call, MethodResult};
pub use signaling::{Happening, Signaling, SignalingOptions, connect as connect_signaling};
pub use topic::{Message, Outgoing, Sent, Topic, TopicCounters, TopicOptions, Want};
