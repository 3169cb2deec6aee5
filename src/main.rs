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

use clap::Parser;

use crate::args::{Arguments, Command};
use crate::config::{Config, ConfigError};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        None => serve(arguments.serve),
        Some(Command::Serve(raw)) => serve(raw),
        Some(Command::Signaling(raw)) => start(Config::signaling(raw)),
        Some(Command::Sfu(raw)) => start(Config::sfu(raw)),
        Some(Command::Token(raw)) => token::mint(raw),
        Some(Command::Doctor(raw)) => return doctor::examine(*raw),
        Some(Command::Healthcheck(raw)) => return healthcheck::check(&raw),
        Some(Command::TurnConfig(raw)) => turn_config::make(raw),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The log may be filtered; why the program ends must not be.
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "patchbay: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(raw: args::Serve) -> Result<(), run::Failure> {
    start(Config::serve(raw))
}

fn start(config: Result<Config, ConfigError>) -> Result<(), run::Failure> {
    let config = config?;
    log::init(&config.log)?;
    run::run(config)
}
