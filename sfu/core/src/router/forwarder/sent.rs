//! What was sent under which sequence number, so that it can be sent again.

use std::time::{Duration, Instant};

use patchbay_wire::rtp::{PayloadType, RtpTimestamp, SequenceNumber};

use super::rewrite::PictureNumbers;
use crate::router::key::TrackKey;

/// A packet is sent again at most so often: whoever still asks then could be made to receive a flood.
const MAX_TIMES: u8 = 8;

/// A packet that was sent: where its payload is, and what its header and descriptor were rewritten to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    /// Outgoing extended sequence number.
    pub(crate) sequence: u64,
    /// The track whose history has the payload.
    pub(crate) track: TrackKey,
    /// Its extended sequence number there.
    pub(crate) source_sequence: u64,
    /// Outgoing timestamp.
    pub(crate) timestamp: RtpTimestamp,
    /// Outgoing payload type.
    pub(crate) payload_type: PayloadType,
    /// Outgoing picture numbers, if the format has them.
    pub(crate) numbers: Option<PictureNumbers>,
    /// When it was sent again last.
    pub(crate) resent: Option<Instant>,
    /// How often it was sent again.
    pub(crate) times: u8,
}

/// The last packets sent in one slot. Memory is taken with the first packet, and not grown after.
#[derive(Debug)]
pub(crate) struct SentLog {
    ring: Vec<Option<Sent>>,
    capacity: usize,
}

/// What a NACK for one packet comes to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Resend {
    /// To be sent again.
    Now(Sent),
    /// It was sent again so recently that this request can't know of it yet.
    TooSoon,
    /// Not known, or no longer.
    Unknown,
}

impl SentLog {
    /// An empty log for this many packets, at about 64 bytes each.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { ring: Vec::new(), capacity: capacity.max(1) }
    }

    /// Notes a packet that was sent.
    #[inline]
    pub(crate) fn push(&mut self, sent: Sent) {
        if self.ring.is_empty() {
            self.ring.resize(self.capacity, None);
        }
        let place = (sent.sequence % self.capacity as u64) as usize;
        if let Some(entry) = self.ring.get_mut(place) {
            *entry = Some(sent);
        }
    }

    /// Forgets all that was sent: none of it is sent again.
    pub(crate) fn forget(&mut self) {
        self.ring.fill(None);
    }

    /// Looks up a packet that is missed, and takes it as sent again.
    pub(crate) fn resend(
        &mut self,
        now: Instant,
        number: SequenceNumber,
        highest: u64,
        interval: Duration,
    ) -> Resend {
        let distance = number.distance_from(SequenceNumber(highest as u16));
        let Some(sequence) = highest.checked_add_signed(i64::from(distance)) else { return Resend::Unknown };
        let place = (sequence % self.capacity as u64) as usize;
        let Some(Some(sent)) = self.ring.get_mut(place) else { return Resend::Unknown };
        if sent.sequence != sequence {
            return Resend::Unknown;
        }
        if sent.resent.is_some_and(|at| now.saturating_duration_since(at) < interval) {
            return Resend::TooSoon;
        }
        if sent.times >= MAX_TIMES {
            return Resend::Unknown;
        }
        sent.times += 1;
        sent.resent = Some(now);
        Resend::Now(*sent)
    }
}
