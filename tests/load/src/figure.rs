//! What is printed: `FIGURE name value unit`, and lines for people.

use std::io::Write;

use crate::data::Histogram;
use crate::scenario::Outcome;
use crate::server::Server;

/// Prints the figures of a run, their names beginning with `prefix`.
pub(crate) fn print(prefix: &str, outcome: &Outcome, server: &Server) {
    let mut out = std::io::stdout().lock();
    let arrived = outcome.arrived.max(1) as f64;
    let per_packet = |seconds: f64| seconds * 1e6 / arrived;
    let loss = 100.0 * (1.0 - outcome.arrived as f64 / outcome.expected.max(1) as f64);
    let mut figure = |name: &str, value: f64, unit: &str| {
        // Nobody is left to tell if this fails.
        let _ = writeln!(out, "FIGURE {prefix}_{name} {value:.3} {unit}");
    };
    figure("us_per_packet", per_packet(outcome.usage.total()), "us");
    figure("user_us_per_packet", per_packet(outcome.usage.user), "us");
    figure("system_us_per_packet", per_packet(outcome.usage.system), "us");
    figure("latency_p50_ms", percentile(&outcome.latencies, 50), "ms");
    figure("latency_p99_ms", percentile(&outcome.latencies, 99), "ms");
    figure("loss_percent", loss.max(0.0), "%");
    figure("kib_per_peer", outcome.kib_per_peer, "KiB");
    figure("packets_per_second", outcome.arrived as f64 / outcome.seconds, "1/s");
    figure("connect_ms_per_peer", outcome.connect.as_secs_f64() * 1e3 / outcome.peers as f64, "ms");
    figure("connect_cpu_ms_per_peer", outcome.connect_usage.total() * 1e3 / outcome.peers as f64, "ms");
    if let (Some(sent), Some(calls)) =
        (server.counter("udp_sent_total"), server.counter("udp_send_calls_total"))
    {
        figure("datagrams_per_send", sent / calls.max(1.0), "");
    }
    let _ = writeln!(
        out,
        "{prefix}: {} peers, {} of {} packets in {:.1} s; server {:.0} % of a core, generator {:.0} %; {} asked again, {} recovered",
        outcome.peers,
        outcome.arrived,
        outcome.expected,
        outcome.seconds,
        100.0 * outcome.usage.total() / outcome.seconds,
        100.0 * outcome.generator / outcome.seconds,
        outcome.nacks,
        outcome.recovered,
    );
}

/// Prints one figure.
pub(crate) fn one(name: &str, value: f64, unit: &str) {
    line(&format!("FIGURE {name} {value:.3} {unit}"));
}

/// Prints percentiles side by side.
pub(crate) fn latencies(prefix: &str, latencies: &Histogram) {
    for (name, percent) in [("p50", 50.0), ("p95", 95.0), ("p99", 99.0)] {
        one(&format!("{prefix}_{name}_ms"), latencies.percentile_ms(percent), "ms");
    }
    one(&format!("{prefix}_max_ms"), latencies.highest_ms(), "ms");
}

/// Prints a line for people.
pub(crate) fn line(text: &str) {
    // Nobody is left to tell if this fails.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Says on the error stream why there are no figures.
pub(crate) fn complain(error: &str) {
    let _ = writeln!(std::io::stderr(), "patchbay-load: {error}");
}

fn percentile(sorted: &[u32], percent: usize) -> f64 {
    let at = sorted.len().saturating_sub(1) * percent / 100;
    sorted.get(at).map_or(f64::NAN, |micros| f64::from(*micros) / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_in_milliseconds() {
        let sorted: Vec<u32> = (0..=100).map(|n| n * 1_000).collect();
        assert_eq!(percentile(&sorted, 50), 50.0);
        assert_eq!(percentile(&sorted, 99), 99.0);
        assert!(percentile(&[], 50).is_nan());
    }
}
