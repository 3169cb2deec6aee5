//! Options of every process that serves: where its options are, how it ends, what it writes.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::config::time;

/// Where more options are.
#[derive(Debug, Default, Args)]
pub(crate) struct ConfigFile {
    /// A file with options: their names without the dashes as keys, as in patchbay.example.toml. Flags and environment
    /// count before it
    #[arg(long, env = "PATCHBAY_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// How to end.
#[derive(Debug, Args)]
#[command(next_help_heading = "End")]
pub(crate) struct Drain {
    /// At SIGTERM clients are told to move elsewhere, spread over this time: a number with s, m, h or d. Shorter, and those
    /// who take them over get them all at once
    #[arg(long, env = "PATCHBAY_DRAIN_SPREAD", default_value = "10s", value_parser = time, value_name = "TIME")]
    pub(crate) drain_spread: Duration,
    /// How long the process stays at most after SIGTERM for those who are still there. A second SIGTERM ends it at once
    #[arg(long, env = "PATCHBAY_DRAIN_TIMEOUT", default_value = "30s", value_parser = time, value_name = "TIME")]
    pub(crate) drain_timeout: Duration,
}

/// How to log.
#[derive(Debug, Args)]
#[command(next_help_heading = "Log")]
pub(crate) struct Log {
    /// What to log, as tracing's filters have it: info, or patchbay_signaling=debug,info
    #[arg(long, env = "PATCHBAY_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// How to write it
    #[arg(long, env = "PATCHBAY_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
    /// A collector that takes traces of joins, OTLP over HTTP: http://HOST:PORT. Each join is a few spans
    #[arg(long, env = "PATCHBAY_OTLP_ENDPOINT", value_name = "URL")]
    pub(crate) otlp_endpoint: Option<String>,
}

/// The shape of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines, one object a line.
    Json,
}
