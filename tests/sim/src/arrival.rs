//! What a receiver checks of every packet of a slot, whatever it carries.

use std::time::{Duration, Instant};

/// Media time may run ahead of the time of arrival by this much: what lies between the path of the first packet and the
/// fastest path since. More than that is a delay that a player adds for good.
const MAX_LEAD: Duration = Duration::from_millis(250);

/// One packet of a slot, decrypted.
#[derive(Debug, Clone, Copy)]
pub struct SlotPacket<'a> {
    /// When it arrived.
    pub at: Instant,
    /// Its sequence number with its roll-over count.
    pub sequence: u64,
    /// Whether it came by RTX.
    pub is_recovered: bool,
    /// Marker bit.
    pub marker: bool,
    /// Payload type.
    pub payload_type: u8,
    /// Timestamp.
    pub timestamp: u32,
    /// First contributing source.
    pub csrc: Option<u32>,
    /// The payload.
    pub payload: &'a [u8],
}

/// Compares media time with the time of arrival.
#[derive(Debug)]
pub(crate) struct Pace {
    clock_rate: u32,
    first: Option<(Instant, u32)>,
}

impl Pace {
    pub(crate) fn new(clock_rate: u32) -> Self {
        Self { clock_rate, first: None }
    }

    /// An error if the timestamp lies further ahead than arrival allows.
    pub(crate) fn check(&mut self, at: Instant, timestamp: u32) -> Result<(), String> {
        let (first_at, first) = *self.first.get_or_insert((at, timestamp));
        let elapsed = (at - first_at).as_secs_f64();
        // Wraps after 13 hours of video.
        let media = f64::from(timestamp.wrapping_sub(first) as i32) / f64::from(self.clock_rate);
        if media - elapsed > MAX_LEAD.as_secs_f64() {
            return Err(format!("timestamps lead by {:.3} s", media - elapsed));
        }
        Ok(())
    }
}
