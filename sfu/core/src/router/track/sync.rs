//! Where the media of a publisher lies in the SFU's clock, so that its picture and its sound stay together.
//!
//! A publisher's sender reports tie the RTP timestamps of each of its tracks to its own wall clock (RFC 3550 §6.4.1). One
//! offset per publisher then ties that clock to the SFU's. Since the offset is the same for all its tracks, what was
//! captured together is reported together; and since all subscribers' reports speak in the SFU's clock, switching
//! between publishers doesn't make it jump.

use std::time::Instant;

use patchbay_wire::rtp::RtpTimestamp;

use crate::router::clock::{WallClock, WallNanos, ticks_in};

/// A mapping that far from the packets' own arrival is wrong, whoever is to blame.
const MAX_DEVIATION_NANOS: i64 = 2_000_000_000;

/// Offset of the SFU's clock to a publisher's.
#[derive(Debug, Default)]
pub(crate) struct PublisherClock {
    offset: Option<i64>,
}

impl PublisherClock {
    /// A sender report written at `theirs` arrived at `ours`. The smallest difference is the one least delayed; it may
    /// grow slowly, as clocks drift.
    pub(crate) fn handle_report(&mut self, theirs: WallNanos, ours: WallNanos) {
        let offset = ours.since(theirs);
        self.offset = Some(match self.offset {
            None => offset,
            Some(known) if offset < known => offset,
            // Another clock altogether.
            Some(known) if offset.saturating_sub(known) > MAX_DEVIATION_NANOS => offset,
            Some(known) => known + (offset - known) / 64,
        });
    }
}

/// The clock of one track.
#[derive(Debug, Default)]
pub(crate) struct TrackClock {
    /// Wall time and timestamp of the last sender report, in the publisher's clock.
    report: Option<(WallNanos, RtpTimestamp)>,
    /// When a packet arrived, and its timestamp.
    arrival: Option<(Instant, RtpTimestamp)>,
}

impl TrackClock {
    /// Takes note of a sender report.
    pub(crate) fn handle_report(&mut self, theirs: WallNanos, timestamp: RtpTimestamp) {
        self.report = Some((theirs, timestamp));
    }

    /// Takes note of a packet.
    pub(crate) fn handle_packet(&mut self, now: Instant, timestamp: RtpTimestamp) {
        if self.arrival.is_none_or(|(_, last)| timestamp.is_newer_than(last)) {
            self.arrival = Some((now, timestamp));
        }
    }

    /// The stream started over: what was known no longer holds.
    pub(crate) fn restart(&mut self) {
        *self = Self::default();
    }

    /// The timestamp at ingress that belongs to `now` in the SFU's clock. `None` before the first packet.
    pub(crate) fn timestamp_at(
        &self,
        now: Instant,
        clock: &WallClock,
        publisher: &PublisherClock,
        clock_rate: u32,
    ) -> Option<RtpTimestamp> {
        let (arrived, timestamp) = self.arrival?;
        let since = now.saturating_duration_since(arrived).as_nanos().min(i64::MAX as u128) as i64;
        let by_arrival = timestamp.wrapping_add(ticks_in(since, clock_rate));
        let Some(((theirs, reported), offset)) = self.report.zip(publisher.offset) else {
            return Some(by_arrival);
        };
        let elapsed = clock.wall(now).since(theirs).saturating_sub(offset);
        let by_report = reported.wrapping_add(ticks_in(elapsed, clock_rate));
        let deviation = by_report.distance_from(by_arrival).unsigned_abs();
        let is_plausible = deviation <= ticks_in(MAX_DEVIATION_NANOS, clock_rate);
        Some(if is_plausible { by_report } else { by_arrival })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn without_reports_arrival_counts() {
        let start = Instant::now();
        let clock = WallClock::new(start, 1_000_000_000_000);
        let publisher = PublisherClock::default();
        let mut track = TrackClock::default();
        assert_eq!(track.timestamp_at(start, &clock, &publisher, 90_000), None);
        track.handle_packet(start, RtpTimestamp(u32::MAX));
        track.handle_packet(start, RtpTimestamp(u32::MAX - 5));
        let later = start + Duration::from_secs(1);
        assert_eq!(track.timestamp_at(later, &clock, &publisher, 90_000), Some(RtpTimestamp(89_999)));
    }

    #[test]
    fn tracks_of_one_publisher_share_one_offset() {
        let start = Instant::now();
        let clock = WallClock::new(start, 1_000_000_000_000);
        let mut publisher = PublisherClock::default();
        let (mut audio, mut video) = (TrackClock::default(), TrackClock::default());
        // The publisher's clock is far off; its video is 100 ms later than its audio by arrival.
        let theirs = WallNanos(5_000_000_000);
        audio.handle_packet(start, RtpTimestamp(48_000));
        video.handle_packet(start + Duration::from_millis(100), RtpTimestamp(90_000));
        audio.handle_report(theirs, RtpTimestamp(48_000));
        video.handle_report(theirs, RtpTimestamp(90_000));
        publisher.handle_report(theirs, clock.wall(start + Duration::from_millis(20)));
        publisher.handle_report(theirs, clock.wall(start + Duration::from_millis(30)));
        let at = start + Duration::from_secs(1);
        let audio = audio.timestamp_at(at, &clock, &publisher, 48_000).unwrap();
        let video = video.timestamp_at(at, &clock, &publisher, 90_000).unwrap();
        let audio_ms = (audio.0 - 48_000) / 48;
        let video_ms = (video.0 - 90_000) / 90;
        assert!(audio_ms.abs_diff(video_ms) <= 1, "{audio_ms} {video_ms}");
        assert!((975..=985).contains(&audio_ms), "{audio_ms}");
    }

    #[test]
    fn absurd_reports_are_not_believed() {
        let start = Instant::now();
        let clock = WallClock::new(start, 1_000_000_000_000);
        let mut publisher = PublisherClock::default();
        let mut track = TrackClock::default();
        track.handle_packet(start, RtpTimestamp(1_000));
        track.handle_report(WallNanos(u64::MAX), RtpTimestamp(0x8000_0000));
        publisher.handle_report(WallNanos(0), WallNanos(u64::MAX));
        assert_eq!(track.timestamp_at(start, &clock, &publisher, 48_000), Some(RtpTimestamp(1_000)));
    }
}
