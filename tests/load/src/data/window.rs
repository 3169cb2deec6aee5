//! What was sent and what came of it, by stretches of time. A message belongs to the window in which it was sent.

use std::time::Duration;

use super::histogram::Histogram;

/// One stretch of time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Window {
    /// Messages published.
    pub(crate) sent: u64,
    /// Deliveries that these should become.
    pub(crate) expected: u64,
    /// Of each delivery.
    pub(crate) latencies: Histogram,
}

impl Window {
    pub(crate) fn loss_percent(&self) -> f64 {
        let arrived = self.latencies.count() as f64 / self.expected.max(1) as f64;
        (100.0 * (1.0 - arrived)).max(0.0)
    }
}

/// All of them, by number. Number 0 counts for nothing: it is what is sent between others.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    windows: Vec<Window>,
}

impl Windows {
    pub(crate) fn note_sent(&mut self, window: u8, receivers: u64) {
        if let Some(window) = self.at(window) {
            window.sent += 1;
            window.expected += receivers;
        }
    }

    pub(crate) fn note_delivery(&mut self, window: u8, latency: Duration) {
        if let Some(window) = self.at(window) {
            window.latencies.record(latency);
        }
    }

    /// Takes one out, when nothing more comes for it.
    pub(crate) fn take(&mut self, window: u8) -> Window {
        self.at(window).map(std::mem::take).unwrap_or_default()
    }

    fn at(&mut self, window: u8) -> Option<&mut Window> {
        let at = usize::from(window.checked_sub(1)?);
        if self.windows.len() <= at {
            self.windows.resize_with(at + 1, Window::default);
        }
        self.windows.get_mut(at)
    }
}
