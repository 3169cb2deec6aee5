//! How long answers take (RFC 9260 §6.3.1).

use std::time::Duration;

/// Before anything was measured (RFC 9260 §16 has 1 s, for paths of any kind; Chromium has this).
const INITIAL: Duration = Duration::from_millis(500);
/// A clock's granularity and a scheduler's delay.
const MIN_VARIATION: Duration = Duration::from_millis(10);

/// Smoothed round trip, and how much it varies.
#[derive(Debug, Default)]
pub(crate) struct RoundTrip {
    measured: Option<(Duration, Duration)>,
    latest: Duration,
}

impl RoundTrip {
    pub(crate) fn note(&mut self, sample: Duration) {
        self.latest = sample;
        self.measured = Some(match self.measured {
            None => (sample, sample / 2),
            Some((smooth, varies)) => ((smooth * 7 + sample) / 8, (varies * 3 + smooth.abs_diff(sample)) / 4),
        });
    }

    /// Smoothed.
    pub(crate) fn smooth(&self) -> Duration {
        self.measured.map_or(INITIAL, |(smooth, _)| smooth)
    }

    /// After this time something is lost if what was sent later has arrived (RFC 9002 §6.1.2).
    pub(crate) fn loss_delay(&self) -> Duration {
        (self.smooth().max(self.latest) * 9 / 8).max(Duration::from_millis(1))
    }

    /// After this time an answer is overdue (RFC 9002 §6.2.1): a second round trip at most, as it varies most where a queue has just
    /// filled (RFC 8985 §7.2).
    pub(crate) fn probe_delay(&self) -> Duration {
        let Some((smooth, varies)) = self.measured else { return INITIAL };
        smooth + (varies * 4).min(smooth).max(MIN_VARIATION)
    }
}
