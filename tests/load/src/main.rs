//! A load generator: real peers (ICE, DTLS, SRTP) over real sockets, joined through real signaling, and what they cost
//! the server.
//!
//! ```text
//! patchbay-load                                    starts the server built beside it, and runs both scenarios
//! patchbay-load --url http://HOST:8080 --pid PID   the same against a server that runs
//! ```
//!
//! Media has two scenarios: *fan-out*, one publisher to many subscribers, and *all-to-all*, everybody publishes to everybody. A
//! publisher sends 30 frame bursts and 170 packets of 1,100 bytes a second. What is measured, on the server's side, is the
//! whole process: user and system time divided by the packets that arrived at subscribers. Peers receive one datagram per
//! system call, as browsers do, so the kernel's work of taking runs apart is charged to the server, as on loopback it is.

mod args;
mod data;
mod figure;
mod load_peer;
mod media;
mod scenario;
mod server;
mod signaling;
mod websocket;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Arguments, Scenario};
use crate::scenario::{Run, run};
use crate::server::Server;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match measure(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            figure::complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<(), String> {
    if let Some(address) = arguments.websocket_relay {
        return websocket::relay(address);
    }
    match arguments.scenario {
        Scenario::Fanout => fan_out(arguments),
        Scenario::AllToAll => all_to_all(arguments),
        Scenario::All => fan_out(arguments).and_then(|()| all_to_all(arguments)),
        Scenario::Websocket => websocket::compare(arguments),
        _ => data::run(arguments),
    }
}

fn fan_out(arguments: &Arguments) -> Result<(), String> {
    let server = Server::start(arguments)?;
    figure::print("process", &run(&server, arguments, Run::fan_out(arguments.subscribers))?, &server);
    Ok(())
}

fn all_to_all(arguments: &Arguments) -> Result<(), String> {
    let server = Server::start(arguments)?;
    figure::print("all_to_all", &run(&server, arguments, Run::all_to_all(arguments.peers))?, &server);
    Ok(())
}
