//! A crowd: thousands of sessions over WebSocket, without media, against a server of two processes (signaling and an SFU
//! node) that is started here, and what it costs.
//!
//! ```text
//! patchbay-crowd                every scenario
//! patchbay-crowd --only idle    one of them
//! ```
//!
//! - *idle*: sessions that do nothing but ping, ten in a room: memory of each, and CPU of all.
//! - *broadcast*: chat lines in one large room: how long until the last has them, and whether one who reads nothing is
//!   felt by the others.
//! - *restart*: signaling is killed and comes back; everybody takes their session up by the policy of the SDK.
//! - *round-trip*: requests and their replies, as many as the server takes, and their latency at a quarter of that.
//!
//! Every message of the server is checked: its number must be the next of its session.

mod args;
mod broadcast;
mod figure;
mod idle;
mod restart;
mod round_trip;
mod server;
mod session;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Arguments, Scenario};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            figure::complain(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), String> {
    let wants = |scenario| arguments.only.is_none_or(|only| only == scenario);
    if wants(Scenario::Idle) {
        idle::run(arguments).await.map_err(|error| format!("idle: {error}"))?;
    }
    if wants(Scenario::Broadcast) {
        broadcast::run(arguments).await.map_err(|error| format!("broadcast: {error}"))?;
    }
    if wants(Scenario::Restart) {
        restart::run(arguments).await.map_err(|error| format!("restart: {error}"))?;
    }
    if wants(Scenario::RoundTrip) {
        round_trip::run(arguments).await.map_err(|error| format!("round trips: {error}"))?;
    }
    Ok(())
}
