//! A light WebRTC client without sockets, clock or threads.
//!
//! [`SansIoPeer`] writes an offer, takes the answer, and from then on speaks real ICE (a full, controlling `rtc-ice` agent),
//! DTLS (as the client, as browsers do), SRTP in place, RTCP and SCTP with whoever answered. Datagrams and time go in,
//! datagrams, packets and events come out. It is made for the simulation, where time is virtual, and for the load
//! generator, where a thousand of them share a thread; it does not encode or decode media.
//!
//! ```text
//! new → offer → (signaling) → accept_answer → handle_datagram / handle_timeout / poll_transmit → poll_event
//! ```

#![forbid(unsafe_code)]

mod answer;
mod description;
mod feedback;
mod ice;
mod outbound;
mod peer;

pub use answer::{Answer, AnswerSection};
pub use description::{Direction, MediaKind, PeerSetup, Section, VideoCodec, payload_type};
pub use outbound::RtpToSend;
pub use patchbay_sfu_core::transport::data::{ChannelInfo, Reliability};
pub use patchbay_sfu_core::transport::{FailReason, Identity, MessageKind};
pub use patchbay_sfu_core::{ChannelKey, DataMessage, Path, SendOutcome, Transmit};
pub use patchbay_wire::srtp::SrtpProfile;
pub use peer::{PeerError, PeerEvent, PeerReceived, PeerStats, SansIoPeer};
