//! RTCP (RFC 3550 §6, RFC 4585, RFC 5104): compound packets read without copying, packets written into a buffer.
//!
//! Reading: [`packets`] walks a decrypted compound packet and gives what the SFU acts on; everything else (SDES, APP,
//! XR, unknown feedback) is an [`RtcpPacket::Other`]. Writing: the `write_*` functions each append whole packets to a
//! buffer, so that a compound packet is built by calling several.
mod feedback;
mod ntp;
mod packet;
mod report;
mod twcc;
mod twcc_writer;

pub use feedback::{
    Fir, FirRequests, Nack, NackSequences, Pli, Remb, write_fir, write_nack, write_pli, write_remb,
};
pub use ntp::NtpTime;
pub use packet::{Packets, RtcpError, RtcpPacket, packets};
pub use report::{
    Bye, ReceiverReport, ReportBlock, ReportBlocks, SenderInfo, SenderReport, Ssrcs, write_bye,
    write_receiver_report, write_sdes_cname, write_sender_report,
};
pub use twcc::{Micros, TwccFeedback, TwccStatuses};
pub use twcc_writer::write_twcc;

/// Sender report (RFC 3550 §6.4.1).
const SENDER_REPORT: u8 = 200;
/// Receiver report (RFC 3550 §6.4.2).
const RECEIVER_REPORT: u8 = 201;
/// Source description (RFC 3550 §6.5).
const SOURCE_DESCRIPTION: u8 = 202;
/// Goodbye (RFC 3550 §6.6).
const GOODBYE: u8 = 203;
/// Transport layer feedback (RFC 4585 §6.2).
const TRANSPORT_FEEDBACK: u8 = 205;
/// Payload-specific feedback (RFC 4585 §6.3).
const PAYLOAD_FEEDBACK: u8 = 206;

/// Formats of transport layer feedback.
const FORMAT_NACK: u8 = 1;
const FORMAT_TWCC: u8 = 15;

/// Formats of payload-specific feedback.
const FORMAT_PLI: u8 = 1;
const FORMAT_FIR: u8 = 4;
const FORMAT_APPLICATION: u8 = 15;
