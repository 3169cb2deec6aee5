//! What is printed: `FIGURE name value unit`, and lines for people.

use std::fmt::Display;
use std::io::Write;
use std::time::Duration;

/// Prints a figure with as many decimals as matter.
pub(crate) fn print(name: &str, value: f64, unit: &str) {
    let decimals = if value.abs() >= 100.0 { 0 } else { 2 };
    // Nobody is left to tell if this fails.
    let _ = writeln!(std::io::stdout(), "FIGURE {name} {value:.decimals$} {unit}");
}

/// Prints a line for people.
pub(crate) fn note(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "  {line}");
}

/// Says on the error stream why there are no figures.
pub(crate) fn complain(error: &str) {
    let _ = writeln!(std::io::stderr(), "patchbay-crowd: {error}");
}

/// The value that so many of a hundred do not exceed. Sorts them.
pub(crate) fn percentile(values: &mut [Duration], percent: usize) -> Duration {
    values.sort_unstable();
    let at = values.len().saturating_sub(1) * percent / 100;
    values.get(at).copied().unwrap_or_default()
}

/// In milliseconds.
pub(crate) fn millis(value: Duration) -> f64 {
    value.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        let mut values: Vec<Duration> = (0..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&mut values, 50), Duration::from_millis(50));
        assert_eq!(percentile(&mut values, 99), Duration::from_millis(99));
        assert_eq!(percentile(&mut [], 50), Duration::ZERO);
    }
}
