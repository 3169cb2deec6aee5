//! Durations by the million, in little memory: buckets that grow with the value, each 3 % wide.

use std::time::Duration;

/// Buckets for each doubling, a power of two.
const PER_DOUBLING: u64 = 32;

/// How many durations fell where.
#[derive(Debug, Clone, Default)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    highest: u64,
}

impl Histogram {
    pub(crate) fn record(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let at = bucket(micros);
        if self.buckets.len() <= at {
            self.buckets.resize(at + 1, 0);
        }
        self.buckets[at] += 1;
        self.count += 1;
        self.highest = self.highest.max(micros);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// In milliseconds; not a number if there is nothing.
    pub(crate) fn percentile_ms(&self, percent: f64) -> f64 {
        let rank = (percent / 100.0 * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (at, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper(at).min(self.highest) as f64 / 1e3;
            }
        }
        f64::NAN
    }

    /// In milliseconds.
    pub(crate) fn highest_ms(&self) -> f64 {
        self.highest as f64 / 1e3
    }
}

/// Values below twice [`PER_DOUBLING`] have a bucket each.
fn bucket(micros: u64) -> usize {
    let shift = (64 - micros.leading_zeros()).saturating_sub(PER_DOUBLING.ilog2() + 1);
    (u64::from(shift) * PER_DOUBLING + (micros >> shift)) as usize
}

/// The highest value that falls into a bucket.
fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / PER_DOUBLING).saturating_sub(1);
    let mantissa = bucket - shift * PER_DOUBLING;
    ((mantissa + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_three_per_cent_wide() {
        let mut last = 0;
        for micros in (0..100_000).chain((1..50).map(|n| n * 1_234_567)) {
            let at = bucket(micros);
            assert!(at >= last, "{micros}");
            last = at;
            let upper = upper(at);
            assert!(upper >= micros && upper <= micros + micros / 32, "{micros} in a bucket up to {upper}");
        }
    }

    #[test]
    fn percentiles() {
        let mut histogram = Histogram::default();
        assert!(histogram.percentile_ms(50.0).is_nan());
        (1..=1_000).for_each(|ms| histogram.record(Duration::from_millis(ms)));
        for percent in [1.0, 50.0, 99.0] {
            let value = histogram.percentile_ms(percent);
            assert!((value / (percent * 10.0) - 1.0).abs() < 0.035, "{percent}: {value}");
        }
        assert_eq!(histogram.percentile_ms(100.0), 1_000.0);
        assert_eq!((histogram.count(), histogram.highest_ms()), (1_000, 1_000.0));
    }
}
