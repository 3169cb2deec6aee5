//! Receiver statistics of one stream (RFC 3550 §6.4.1, appendices A.1, A.3 and A.8).

use patchbay_wire::rtp::{RtpTimestamp, SequenceNumber};

/// A jump by more than this many packets is a new beginning, not a loss or a late packet.
const MAX_JUMP: i32 = 3_000;
/// The first roll-over, one above zero so that late packets from before the first have a number.
const FIRST_ROLLOVER: u64 = 1 << 16;

/// What a sequence number turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// A packet of the running stream. `after` is the highest number before it, if it moved on from there.
    Running {
        /// Its extended sequence number.
        sequence: u64,
        /// The highest before; `None` if this one is late or the very first.
        after: Option<u64>,
    },
    /// The stream started over at this extended sequence number; nothing before it counts.
    Restarted {
        /// Its extended sequence number.
        sequence: u64,
    },
}

/// Counts of a report block: what was received since the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReceptionReport {
    /// Of 256 expected packets so many were lost.
    pub(crate) fraction_lost: u8,
    /// Packets lost since the start, 24 bits signed.
    pub(crate) cumulative_lost: i32,
    /// Highest sequence number, extended to 32 bits.
    pub(crate) highest_sequence: u32,
    /// Interarrival jitter in ticks.
    pub(crate) jitter: u32,
}

/// Follows one stream.
#[derive(Debug, Default)]
pub(crate) struct Reception {
    /// The first and the highest extended sequence number.
    range: Option<(u64, u64)>,
    received: u64,
    expected_before: u64,
    received_before: u64,
    /// Scaled by 16, as in appendix A.8.
    jitter: u32,
    transit: Option<u32>,
    /// The number after a jump: two in a row there mean a restart (appendix A.1).
    suspected: Option<SequenceNumber>,
}

impl Reception {
    /// Extends a sequence number. `None`: it lies far from the others, and may be noise.
    pub(crate) fn place(&mut self, number: SequenceNumber) -> Option<Arrival> {
        let Some((_, highest)) = self.range else {
            let sequence = FIRST_ROLLOVER + u64::from(number.0);
            self.range = Some((sequence, sequence));
            return Some(Arrival::Running { sequence, after: None });
        };
        let distance = i32::from(number.distance_from(SequenceNumber(highest as u16)));
        if distance.abs() <= MAX_JUMP {
            self.suspected = None;
            let sequence = highest.checked_add_signed(i64::from(distance))?;
            let after = (distance > 0).then_some(highest);
            self.range = self.range.map(|(first, highest)| (first, highest.max(sequence)));
            return Some(Arrival::Running { sequence, after });
        }
        if self.suspected != Some(number) {
            self.suspected = Some(number.next());
            return None;
        }
        // Above everything before, so that no number is ever used twice.
        let sequence = ((highest >> 16) + 2) << 16 | u64::from(number.0);
        *self = Self { range: Some((sequence, sequence)), ..Self::default() };
        Some(Arrival::Restarted { sequence })
    }

    /// The stream goes on under another SSRC: the next packet begins above everything before.
    pub(crate) fn restart(&mut self, number: SequenceNumber) -> u64 {
        let rollover = self.range.map_or(1, |(_, highest)| (highest >> 16) + 2);
        let sequence = rollover << 16 | u64::from(number.0);
        *self = Self { range: Some((sequence, sequence)), ..Self::default() };
        sequence
    }

    /// The extended sequence number that a number in a retransmission means. Changes nothing.
    pub(crate) fn locate(&self, number: SequenceNumber) -> Option<u64> {
        let (first, highest) = self.range?;
        let distance = number.distance_from(SequenceNumber(highest as u16));
        highest
            .checked_add_signed(i64::from(distance))
            .filter(|sequence| *sequence >= first.saturating_sub(256))
    }

    /// Counts a packet that is no duplicate. `arrival` is in ticks of the same clock as its timestamp.
    pub(crate) fn count(&mut self, arrival: u32, timestamp: RtpTimestamp) {
        self.received += 1;
        let transit = arrival.wrapping_sub(timestamp.0);
        if let Some(before) = self.transit.replace(transit) {
            let change = (transit.wrapping_sub(before) as i32).unsigned_abs().min(1 << 24);
            self.jitter = self.jitter.saturating_add(change).saturating_sub((self.jitter + 8) >> 4);
        }
    }

    /// Counts a retransmitted packet, which says nothing about jitter.
    pub(crate) fn count_recovered(&mut self) {
        self.received += 1;
    }

    /// A report on what arrived since the last. `None` if nothing ever did.
    pub(crate) fn report(&mut self) -> Option<ReceptionReport> {
        let (first, highest) = self.range?;
        let expected = highest - first + 1;
        let lost = expected as i64 - self.received as i64;
        let expected_now = expected.saturating_sub(self.expected_before);
        let received_now = self.received.saturating_sub(self.received_before);
        let lost_now = expected_now.saturating_sub(received_now);
        let fraction = (lost_now * 256).checked_div(expected_now).unwrap_or(0).min(255);
        self.expected_before = expected;
        self.received_before = self.received;
        Some(ReceptionReport {
            fraction_lost: fraction as u8,
            cumulative_lost: lost.clamp(-0x80_0000, 0x7f_ffff) as i32,
            highest_sequence: (highest - FIRST_ROLLOVER) as u32,
            jitter: self.jitter >> 4,
        })
    }

    /// The highest extended sequence number so far.
    pub(crate) fn highest(&self) -> Option<u64> {
        self.range.map(|(_, highest)| highest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(reception: &mut Reception, number: u16) -> Option<Arrival> {
        let arrival = reception.place(SequenceNumber(number));
        if arrival.is_some() {
            reception.count(0, RtpTimestamp(0));
        }
        arrival
    }

    #[test]
    fn numbers_are_extended_over_the_wrap_and_late_ones_found() {
        let mut reception = Reception::default();
        let running = |sequence, after| Some(Arrival::Running { sequence, after });
        assert_eq!(place(&mut reception, 0), running(65_536, None));
        assert_eq!(place(&mut reception, 65_535), running(65_535, None), "from before the first");
        assert_eq!(place(&mut reception, 3), running(65_539, Some(65_536)));
        assert_eq!(place(&mut reception, 1), running(65_537, None));
        assert_eq!(reception.locate(SequenceNumber(2)), Some(65_538));
    }

    #[test]
    fn one_stray_number_is_noise_and_two_in_a_row_are_a_restart() {
        let mut reception = Reception::default();
        place(&mut reception, 10);
        assert_eq!(place(&mut reception, 30_000), None);
        assert!(matches!(place(&mut reception, 11), Some(Arrival::Running { .. })));
        assert_eq!(place(&mut reception, 30_000), None);
        let Some(Arrival::Restarted { sequence }) = place(&mut reception, 30_001) else { panic!() };
        assert!(sequence > 65_547);
        assert_eq!(sequence as u16, 30_001);
    }

    #[test]
    fn losses_are_counted_per_interval_and_in_all() {
        let mut reception = Reception::default();
        for number in (65_500..65_536u32 + 64).filter(|number| number % 4 != 0) {
            place(&mut reception, number as u16);
        }
        let report = reception.report().unwrap();
        assert_eq!(
            u32::from(report.fraction_lost),
            24 * 256 / 99,
            "the first one, 65,500, was never known of"
        );
        assert_eq!(report.cumulative_lost, 24);
        assert_eq!(report.highest_sequence, 65_536 + 63);
        place(&mut reception, 64);
        let report = reception.report().unwrap();
        assert_eq!((report.fraction_lost, report.cumulative_lost), (0, 24));
    }

    #[test]
    fn jitter_settles_at_the_mean_change_of_transit() {
        let mut reception = Reception::default();
        for n in 0..2_000u32 {
            reception.place(SequenceNumber(n as u16));
            reception.count(n * 960 + (n % 2) * 80, RtpTimestamp(n * 960));
        }
        let jitter = reception.report().unwrap().jitter;
        assert!((70..=90).contains(&jitter), "{jitter}");
    }
}
