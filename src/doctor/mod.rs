//! `patchbay doctor`: would a server with these options work on this host? Each check answers in words, with a remedy.
//!
//! It takes the options of `serve` and starts nothing: ports are bound and let go, STUN and TURN servers are asked as a
//! client would ask them, files are read.

mod address;
mod certificate;
mod ice_server;
mod machine;
mod port;
mod stun;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use crate::args;
use crate::config::{Config, Role};

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// As it should be.
    Ok,
    /// It works, but not for everybody or not at its best.
    Warning,
    /// It can't work.
    Failed,
}

/// One check. Names of checks and findings are part of the interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    /// What was looked at.
    check: &'static str,
    status: Status,
    /// What was found, for machines.
    finding: &'static str,
    words: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Check {
    fn ok(check: &'static str, words: impl Into<String>) -> Self {
        Self { check, status: Status::Ok, finding: "ok", words: words.into(), remedy: None }
    }

    fn warning(
        check: &'static str,
        finding: &'static str,
        words: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { check, status: Status::Warning, finding, words: words.into(), remedy: Some(remedy.into()) }
    }

    fn failed(
        check: &'static str,
        finding: &'static str,
        words: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { check, status: Status::Failed, finding, words: words.into(), remedy: Some(remedy.into()) }
    }
}

/// Examines and reports. Fails if a check did.
pub(crate) fn examine(raw: args::Doctor) -> ExitCode {
    let args::Doctor { signaling, media, host, clock_from, json, file } = raw;
    // How a server logs and ends is not examined.
    let log = args::Log { log: None, log_format: args::LogFormat::Text, otlp_endpoint: None };
    let drain = args::Drain { drain_spread: Duration::ZERO, drain_timeout: Duration::ZERO };
    let state_dir = signaling.state_dir.clone();
    let serve = args::Serve { file, signaling, media, ice_tcp_http: None, drain, log };
    let mut checks = Vec::new();
    match Config::serve(serve) {
        Ok(Config { role: Role::Serve { signaling, mut node, .. }, .. }) => {
            node.detect_public_ips();
            let is_running = port::check_http(&signaling, &mut checks);
            let probe = port::check_media(&node, is_running, &mut checks);
            let mapped = ice_server::check(&signaling, &mut checks);
            address::check(&node, probe.as_ref(), &mapped, &mut checks);
            certificate::check(&signaling, host.as_deref(), &mut checks);
            machine::check(
                &signaling,
                state_dir.as_deref(),
                clock_from.as_deref(),
                probe.as_ref(),
                &mut checks,
            );
        }
        Ok(_) => {}
        Err(error) => checks.push(Check::failed(
            "configuration",
            "refused",
            error.to_string(),
            "Correct the option that is named; patchbay serve --help describes each.",
        )),
    }
    let _ = if json { print_json(&checks) } else { print_table(&checks) };
    let has_failed = checks.iter().any(|it| it.status == Status::Failed);
    if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn print_json(checks: &[Check]) -> std::io::Result<()> {
    #[derive(Serialize)]
    struct Report<'a> {
        ok: bool,
        checks: &'a [Check],
    }
    let ok = checks.iter().all(|it| it.status != Status::Failed);
    let text = serde_json::to_string_pretty(&Report { ok, checks })?;
    writeln!(std::io::stdout(), "{text}")
}

fn print_table(checks: &[Check]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for check in checks {
        let status = match check.status {
            Status::Ok => "ok",
            Status::Warning => "WARN",
            Status::Failed => "FAIL",
        };
        writeln!(out, "{status:<5} {:<15} {}", check.check, check.words)?;
        if let Some(remedy) = &check.remedy {
            writeln!(out, "{:21} → {remedy}", "")?;
        }
    }
    let count = |status| checks.iter().filter(|it| it.status == status).count();
    let (failed, warned) = (count(Status::Failed), count(Status::Warning));
    writeln!(out, "\n{} checks, {failed} failed, {warned} with warnings", checks.len())
}
