//! Counters of one transport.

use crate::Path;

/// Why a datagram or packet was dropped. Each reason has its own counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
pub enum DropReason {
    /// Neither STUN, DTLS, RTP nor RTCP by its first byte (RFC 7983).
    UnknownKind,
    /// The transport has failed or was closed.
    Dead,
    /// STUN that is cut off, or whose FINGERPRINT is wrong.
    MalformedStun,
    /// STUN that is no binding request.
    UnexpectedStun,
    /// USERNAME names other credentials.
    WrongUsername,
    /// MESSAGE-INTEGRITY is wrong or missing.
    BadIntegrity,
    /// DTLS, RTP or RTCP on a path that no check has authenticated.
    UnboundPath,
    /// DTLS records that no honest peer sends.
    BadDtls,
    /// More DTLS in the handshake, or after it in the clear, than a handshake can need.
    DtlsFlood,
    /// Data on a transport that negotiated none, or SCTP that belongs to nothing.
    UnexpectedData,
    /// A data message that is too long, or text that is not UTF-8.
    BadMessage,
    /// RTP or RTCP before there are keys.
    NotConnected,
    /// RTP or RTCP that is cut off.
    MalformedRtp,
    /// SRTP or SRTCP whose tag is wrong.
    BadTag,
    /// SRTP or SRTCP seen before, or too old to tell; a check seen before on another path.
    Replayed,
    /// More SSRCs than a peer may send.
    TooManyStreams,
    /// Outgoing: the queue is full.
    QueueFull,
    /// Outgoing: SRTP refused, because the packet index was used before.
    NonceReuse,
    /// Outgoing: there is no path or there are no keys yet.
    NoPath,
    /// Outgoing: a message that did not fit in the queue of its data channel.
    ChannelFull,
    /// Outgoing: a packet that cannot be written as asked.
    Unwritable,
    /// Our own cryptography failed.
    Internal,
}

impl DropReason {
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; 22] = [
        Self::UnknownKind,
        Self::Dead,
        Self::MalformedStun,
        Self::UnexpectedStun,
        Self::WrongUsername,
        Self::BadIntegrity,
        Self::UnboundPath,
        Self::BadDtls,
        Self::DtlsFlood,
        Self::UnexpectedData,
        Self::BadMessage,
        Self::NotConnected,
        Self::MalformedRtp,
        Self::BadTag,
        Self::Replayed,
        Self::TooManyStreams,
        Self::QueueFull,
        Self::NonceReuse,
        Self::NoPath,
        Self::ChannelFull,
        Self::Unwritable,
        Self::Internal,
    ];

    /// The name of its metric.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownKind => "dropped_unknown_kind",
            Self::Dead => "dropped_dead",
            Self::MalformedStun => "dropped_malformed_stun",
            Self::UnexpectedStun => "dropped_unexpected_stun",
            Self::WrongUsername => "dropped_wrong_username",
            Self::BadIntegrity => "dropped_bad_integrity",
            Self::UnboundPath => "dropped_unbound_path",
            Self::BadDtls => "dropped_bad_dtls",
            Self::DtlsFlood => "dropped_dtls_flood",
            Self::UnexpectedData => "dropped_unexpected_data",
            Self::BadMessage => "dropped_bad_message",
            Self::NotConnected => "dropped_not_connected",
            Self::MalformedRtp => "dropped_malformed_rtp",
            Self::BadTag => "dropped_bad_tag",
            Self::Replayed => "dropped_replayed",
            Self::TooManyStreams => "dropped_too_many_streams",
            Self::QueueFull => "dropped_queue_full",
            Self::NonceReuse => "dropped_nonce_reuse",
            Self::NoPath => "dropped_no_path",
            Self::ChannelFull => "dropped_channel_full",
            Self::Unwritable => "dropped_unwritable",
            Self::Internal => "dropped_internal",
        }
    }
}

/// Counts of drops by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DropCounts([u64; DropReason::ALL.len()]);

impl DropCounts {
    /// Counts one more.
    #[inline]
    pub fn count(&mut self, reason: DropReason) {
        self.add(reason, 1);
    }

    /// Counts several more.
    #[inline]
    pub fn add(&mut self, reason: DropReason, count: u64) {
        if let Some(counter) = self.0.get_mut(reason as usize) {
            *counter += count;
        }
    }

    /// How many were dropped for this reason.
    pub fn of(&self, reason: DropReason) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// How many were dropped for any reason.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Reasons with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.into_iter().zip(self.0)
    }

    /// Adds another transport's counts to these.
    pub fn absorb(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}

/// Counters of one transport since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TransportStats {
    /// Datagrams that were accepted, of any kind.
    pub datagrams_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Datagrams handed out to be sent.
    pub datagrams_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
    /// How often datagrams were handed out: what a system call each would cost with GSO.
    pub transmits_out: u64,
    /// RTP packets that were authenticated.
    pub rtp_in: u64,
    /// RTCP packets that were authenticated.
    pub rtcp_in: u64,
    /// RTP packets that were queued.
    pub rtp_out: u64,
    /// RTCP packets that were queued.
    pub rtcp_out: u64,
    /// STUN checks that were answered.
    pub checks_in: u64,
    /// What was dropped, and why.
    pub dropped: DropCounts,
    /// Where datagrams go.
    pub selected_path: Option<Path>,
}

impl TransportStats {
    /// Adds another transport's counters to these, as when it ends.
    pub fn absorb(&mut self, other: &Self) {
        self.datagrams_in += other.datagrams_in;
        self.bytes_in += other.bytes_in;
        self.datagrams_out += other.datagrams_out;
        self.bytes_out += other.bytes_out;
        self.transmits_out += other.transmits_out;
        self.rtp_in += other.rtp_in;
        self.rtcp_in += other.rtcp_in;
        self.rtp_out += other.rtp_out;
        self.rtcp_out += other.rtcp_out;
        self.checks_in += other.checks_in;
        self.dropped.absorb(&other.dropped);
    }
}
