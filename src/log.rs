//! Where log lines go, and how they look; and where traces go.

use std::io::IsTerminal;

use patchbay_trace::Exporter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::args::{Log, LogFormat};
use crate::run::Failure;

/// Filter without `--log`; `RUST_LOG` is honoured, too. The sub-crates of webrtc-rs warn about extensions of a ClientHello
/// that they merely don't know, several times per join.
const DEFAULT: &str = "info,rtc_dtls=error,rtc_ice=error";

/// Starts logging to standard error, and traces if somebody takes them.
pub(crate) fn init(log: &Log) -> Result<Option<Exporter>, Failure> {
    let from_environment = std::env::var("RUST_LOG").ok();
    let filter = log.log.as_deref().or(from_environment.as_deref()).unwrap_or(DEFAULT);
    let failed = |error: &dyn std::fmt::Display| Failure::Log(error.to_string());
    let no_traces = format!("{}=off", patchbay_trace::TARGET).parse().map_err(|error| failed(&error))?;
    let filter = EnvFilter::try_new(filter).map_err(|error| failed(&error))?.add_directive(no_traces);
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = match log.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let traces = log.otlp_endpoint.as_deref().map(|url| patchbay_trace::layer(url, "patchbay")).transpose();
    let (traces, exporter) = traces.map_err(Failure::Traces)?.unzip();
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter)).with(traces);
    subscriber.try_init().map_err(|error| failed(&error))?;
    Ok(exporter)
}
