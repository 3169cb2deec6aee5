//! RTP packets (RFC 3550 §5.1): header parsing, header writing, header extensions, sequence arithmetic.
//!
//! A packet is parsed in two steps because SRTP leaves the header in the clear and encrypts the rest, padding
//! included: [`RtpHeader::parse`] reads the header of the packet as it came, and after decryption
//! [`RtpHeader::payload_range`] says where the payload lies once padding is taken off.
mod extension;
mod header;
mod number;
mod unroll;
mod value;
mod writer;

pub use extension::{ExtensionForm, Extensions};
pub use header::{Csrcs, RtpError, RtpHeader};
pub use number::{ExtendedSequence, ExtensionId, PayloadType, RtpTimestamp, SequenceNumber, Ssrc};
pub use unroll::SequenceUnroller;
pub(crate) use unroll::guess_index;
pub use value::{
    AbsSendTime, AudioLevel, PlayoutDelay, TransportSequence, VideoOrientation, parse_mid, parse_rid,
};
pub use writer::{RtpFields, append_padding};

/// Length in bytes of the fixed part of an RTP header (RFC 3550 §5.1).
pub const FIXED_HEADER_LEN: usize = 12;
