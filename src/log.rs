//! Where log lines go, and how they look.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::args::{Log, LogFormat};
use crate::run::Failure;

/// Filter without `--log`; `RUST_LOG` is honoured, too. The sub-crates of webrtc-rs warn about extensions of a ClientHello
/// that they merely don't know, several times per join.
const DEFAULT: &str = "info,rtc_dtls=error,rtc_ice=error,rtc_sctp=error";

/// Starts logging to standard error.
pub(crate) fn init(log: &Log) -> Result<(), Failure> {
    let from_environment = std::env::var("RUST_LOG").ok();
    let filter = log.log.as_deref().or(from_environment.as_deref()).unwrap_or(DEFAULT);
    let filter = EnvFilter::try_new(filter).map_err(|error| Failure::Log(error.to_string()))?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let result = match log.log_format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    result.map_err(|error| Failure::Log(error.to_string()))
}
