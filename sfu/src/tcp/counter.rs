//! What happened on the TCP connections of a worker.

/// Counts since the start.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TcpCounters {
    /// Connections accepted, on our own ports and on shared ones.
    pub(crate) accepted: u64,
    /// Connections refused because there are too many, in all or from one address.
    pub(crate) refused: u64,
    /// Connections on which a peer authenticated itself.
    pub(crate) authenticated: u64,
    /// Connections closed because nobody authenticated himself on them in time, or newer ones needed their place.
    pub(crate) strangers_expired: u64,
    /// Connections closed because of what came on them: no STUN at first, a frame that is too long, too many frames.
    pub(crate) violations: u64,
    /// Connections closed by the other side or by the network.
    pub(crate) closed: u64,
    /// Connections closed by us because their transport has no use for them any longer.
    pub(crate) released: u64,
    /// Frames received.
    pub(crate) received: u64,
    /// Their bytes.
    pub(crate) received_bytes: u64,
    /// System calls that received something.
    pub(crate) receive_calls: u64,
    /// Frames queued to be sent.
    pub(crate) sent: u64,
    /// Their bytes.
    pub(crate) sent_bytes: u64,
    /// System calls that sent something.
    pub(crate) send_calls: u64,
    /// Frames dropped because their connection was too slow.
    pub(crate) dropped: u64,
    /// Frames for connections that are gone.
    pub(crate) unrouted: u64,
    /// Failures to accept, as when the process has no file descriptor left.
    pub(crate) accept_errors: u64,
}

impl TcpCounters {
    /// With the names that they have in reports.
    pub(crate) fn named(&self) -> [(&'static str, u64); 16] {
        [
            ("tcp_accepted_total", self.accepted),
            ("tcp_refused_total", self.refused),
            ("tcp_authenticated_total", self.authenticated),
            ("tcp_strangers_expired_total", self.strangers_expired),
            ("tcp_violations_total", self.violations),
            ("tcp_closed_total", self.closed),
            ("tcp_released_total", self.released),
            ("tcp_received_total", self.received),
            ("tcp_received_bytes_total", self.received_bytes),
            ("tcp_receive_calls_total", self.receive_calls),
            ("tcp_sent_total", self.sent),
            ("tcp_sent_bytes_total", self.sent_bytes),
            ("tcp_send_calls_total", self.send_calls),
            ("tcp_send_dropped_total", self.dropped),
            ("tcp_unrouted_total", self.unrouted),
            ("tcp_accept_errors_total", self.accept_errors),
        ]
    }
}
