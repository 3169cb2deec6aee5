//! WebSocket close codes (RFC 6455 §7.4.2, the private range).

/// Why the server closed a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// 1000: the client left or closed.
    Normal = 1000,
    /// 1001: the server is going away; come back after the usual backoff.
    GoingAway = 1001,
    /// 1009: a message over the size limit.
    TooLarge = 1009,
    /// 4400: the client broke the protocol so that going on makes no sense (no `hello` in time, an unknown version).
    ProtocolViolation = 4400,
    /// 4401: the token does not hold, or no longer does.
    Unauthorized = 4401,
    /// 4403: removed, banned or revoked.
    Forbidden = 4403,
    /// 4408: nothing was heard from the client for [`crate::limit::HEARTBEAT_TIMEOUT`].
    HeartbeatTimeout = 4408,
    /// 4409: the same identity joined elsewhere.
    Replaced = 4409,
    /// 4410: a newer connection took the session over.
    Superseded = 4410,
    /// 4413: the client did not drain its outbox; it may come back.
    SlowConsumer = 4413,
    /// 4429: too many requests.
    RateLimited = 4429,
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code as u16
    }
}
