//! The one binary: signaling, an SFU node, or both in one process; a mint for tokens, and a configuration of coturn.

mod args;
mod config;
mod doctor;
mod healthcheck;
mod log;
mod run;
mod token;
mod turn_config;

use std::process::ExitCode;

use crate::args::Command;
use crate::config::layer::{self, LayerError, Surroundings};
use crate::config::{Config, ConfigError};

fn main() -> ExitCode {
    let surroundings = Surroundings {
        variable: &|name| std::env::var_os(name),
        file: &|path| std::fs::read_to_string(path),
    };
    let (arguments, origins) = match layer::read(std::env::args_os().collect(), &surroundings) {
        Ok(read) => read,
        Err(LayerError::Flags(error)) => error.exit(),
        Err(error) => return fail(&error.to_string()),
    };
    let result = match arguments.command {
        None => start(Config::serve(arguments.serve)),
        Some(Command::Serve(raw)) => start(Config::serve(raw)),
        Some(Command::Signaling(raw)) => start(Config::signaling(raw)),
        Some(Command::Sfu(raw)) => start(Config::sfu(raw)),
        Some(Command::Token(raw)) => token::mint(raw),
        Some(Command::Doctor(raw)) => return doctor::examine(*raw),
        Some(Command::Healthcheck(raw)) => return healthcheck::check(&raw),
        Some(Command::TurnConfig(raw)) => turn_config::make(raw),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&origins.explain(&error.to_string())),
    }
}

/// The log may be filtered; why the program ends must not be.
fn fail(why: &str) -> ExitCode {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "patchbay: {why}");
    ExitCode::FAILURE
}

fn start(config: Result<Config, ConfigError>) -> Result<(), run::Failure> {
    let config = config?;
    let exporter = log::init(&config.log)?;
    let result = run::run(config);
    if let Some(exporter) = exporter {
        exporter.shutdown();
    }
    result
}
