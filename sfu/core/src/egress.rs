//! What crosses between a router and the transports of its members, and what leaves a worker.

use std::net::SocketAddr;

use bytes::Bytes;
use patchbay_wire::rtp::{RtpTimestamp, Ssrc};

/// A transport within one worker: an index, so that the media path hashes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransportKey(pub u32);

/// A data channel of one transport: its SCTP stream (RFC 8831 §6.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelKey(pub u16);

/// How datagrams travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Each for itself.
    Udp,
    /// Framed, on a connection that the peer opened (RFC 6544 §10.1, RFC 4571). A path is one connection.
    Tcp,
}

/// Two addresses between which datagrams travel, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path {
    /// UDP or TCP.
    pub protocol: Protocol,
    /// Our end.
    pub local: SocketAddr,
    /// The peer's end.
    pub remote: SocketAddr,
}

impl Path {
    /// A path for datagrams as they are.
    pub const fn udp(local: SocketAddr, remote: SocketAddr) -> Self {
        Self { protocol: Protocol::Udp, local, remote }
    }

    /// A path that is a TCP connection.
    pub const fn tcp(local: SocketAddr, remote: SocketAddr) -> Self {
        Self { protocol: Protocol::Tcp, local, remote }
    }
}

/// Datagrams for one destination, to be sent with one system call where the kernel can segment (GSO).
#[derive(Debug, PartialEq, Eq)]
pub struct Transmit<'a> {
    /// Where from and where to.
    pub path: Path,
    /// One or more datagrams back to back.
    pub contents: &'a [u8],
    /// Length of every datagram in `contents` but the last, which may be shorter. `None`: a single datagram.
    pub segment_size: Option<usize>,
}

/// One RTP packet to be written, encrypted and queued for a subscriber.
#[derive(Debug, Clone, Copy)]
pub struct OutgoingRtp<'a> {
    /// RFC 3550 §5.1 marker bit.
    pub marker: bool,
    /// Payload type as the subscriber's answer has it.
    pub payload_type: u8,
    /// Sequence number with its roll-over count above bit 16: SRTP needs both, and never sees one twice.
    pub extended_sequence: u64,
    /// Timestamp of the outgoing stream.
    pub timestamp: RtpTimestamp,
    /// SSRC of the slot, or of its RTX stream.
    pub ssrc: Ssrc,
    /// The publisher's `ParticipantNumber`.
    pub csrc: Option<u32>,
    /// Header extensions by the subscriber's ids.
    pub extensions: &'a [(u8, &'a [u8])],
    /// Written before `payload`: a rewritten payload descriptor, or the original sequence number of an RTX packet.
    pub prefix: &'a [u8],
    /// The rest of the payload.
    pub payload: &'a [u8],
}

/// One message on a data channel. Its bytes are shared: whoever queues it for many keeps references.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataMessage<'a> {
    /// WebRTC string (UTF-8).
    Text(&'a Bytes),
    /// WebRTC binary.
    Binary(&'a Bytes),
}

/// How often a message is sent again that is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repetition {
    /// As its channel promises.
    OfChannel,
    /// Until it arrives, on any channel: nothing newer will come that makes up for it.
    UntilItArrives,
}

/// What became of a message for a data channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendOutcome {
    /// It will be sent. An unreliable channel may have dropped its oldest for it, and may drop it yet.
    Queued,
    /// A reliable channel has no room. `TransportEvent::Writable` follows when it has.
    Full,
    /// There is no such channel, or the message is longer than the peer takes.
    Gone,
}

/// Where a router puts what it forwards. The worker's table of transports implements it; so does a test's recorder.
pub trait Egress {
    /// Writes, encrypts and queues one RTP packet. Dropped and counted if the transport is not connected.
    fn send_rtp(&mut self, to: TransportKey, packet: &OutgoingRtp<'_>);
    /// Encrypts and queues one compound RTCP packet (RFC 3550 §6.1).
    fn send_rtcp(&mut self, to: TransportKey, compound: &[u8]);
    /// Queues one data channel message.
    fn send_message(
        &mut self,
        to: TransportKey,
        channel: ChannelKey,
        message: DataMessage<'_>,
        repetition: Repetition,
    ) -> SendOutcome;
    /// Bytes that a data channel would take now before it is above its high-water mark; 0 if it is gone. Once it is 0,
    /// `TransportEvent::Writable` follows when there is room again.
    fn channel_room(&self, to: TransportKey, channel: ChannelKey) -> usize;
}
