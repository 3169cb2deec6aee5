//! SDP offers parsed, answers built (RFC 8866, RFC 9429, RFC 9143).
//!
//! Owns the text of a negotiation and nothing else: no sockets, no clock, no randomness. What goes in is a client's
//! offer ([`Offer::parse`]), what the node has to say about itself ([`LocalDescription`]), one [`SectionChoice`] for
//! each media section and a [`Policy`]; what comes out is the answer's text together with what was agreed on
//! ([`Answer`]). The same input always gives the same answer, byte by byte.
//!
//! The client always offers and the SFU only answers. A media section on which the client sends carries a
//! *publication*; one on which it receives is a *slot*; a section can be both. Beside that there is trickle ICE: single
//! candidates ([`Candidate`]) and SDP fragments (RFC 8840, [`Fragment`]).
//!
//! Everything parsed here comes from strangers: no input panics, and every list has a bound ([`Limits`]).

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

mod answer;
mod candidate;
mod codec;
mod error;
mod extension;
mod fragment;
mod id;
mod offer;
mod security;
mod text;

pub use answer::{
    Answer, LocalDescription, NegotiatedCodec, NegotiatedExtension, NegotiatedSection, Policy, SectionChoice,
    SlotStream,
};
pub use candidate::{Candidate, CandidateAddress, CandidateKind, CandidateTransport, TcpType};
pub use codec::{Codec, CodecKind, Feedback, FormatParameters, H264Profile, OfferedCodec};
pub use error::{Limits, Refusal, SdpError};
pub use extension::{Extension, ExtensionDirection, OfferedExtension};
pub use fragment::{Fragment, FragmentSection};
pub use id::{Mid, Msid, PayloadType, Rid, Ssrc};
pub use offer::{Direction, MediaKind, Offer, OfferedRid, OfferedSection, OfferedSource};
pub use security::{DtlsRole, Fingerprint, HashAlgorithm, IceCredentials, Setup};
