//! RTP, RTCP, SRTP and codec payload formats as the SFU needs them: parsed in place, written in place.
//!
//! Everything here is a pure function or a small state machine over byte slices: no I/O, no clock, no threads.
//! Whatever the network sends, nothing in this crate panics, and nothing on the per-packet path allocates once
//! the caller's buffers have grown to their working size.
//!
//! | module | owns | specification |
//! | --- | --- | --- |
//! | [`classify`] | what kind of datagram this is, by its first bytes | RFC 7983, RFC 5761 |
//! | [`rtp`] | headers, header extensions, sequence numbers | RFC 3550, RFC 8285 |
//! | [`srtp`] | encryption in place, replay and nonce windows | RFC 3711, RFC 7714, RFC 5764 |
//! | [`codec`] | payload descriptors and keyframes | RFC 7741, RFC 9628, RFC 6184, AV1 RTP |
//! | [`rtcp`] | reports, keyframe requests, NACK, REMB, TWCC | RFC 3550, RFC 4585, RFC 5104 |
//! | [`rtx`] | the original sequence number in a retransmission | RFC 4588 |
//!
//! On the way in: [`classify::classify`], [`rtp::RtpHeader::parse`], [`srtp::SrtpReceiver::unprotect_rtp`],
//! [`rtp::RtpHeader::payload_range`]. On the way out: [`rtp::RtpFields::write`], copy the payload,
//! [`srtp::SrtpSender::protect_rtp`].
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

pub mod classify;
pub mod codec;
pub mod rtcp;
pub mod rtp;
pub mod rtx;
pub mod srtp;
