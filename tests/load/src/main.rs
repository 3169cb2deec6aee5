//! A load generator: real peers (ICE, DTLS, SRTP) over real sockets, joined through real signaling, and what they cost
//! the server.
//!
//! ```text
//! patchbay-load                                    starts the server built beside it, and runs both scenarios
//! patchbay-load --url http://HOST:8080 --pid PID   the same against a server that runs
//! ```
//!
//! Two scenarios: *fan-out*, one publisher to many subscribers, and *all-to-all*, everybody publishes to everybody. A
//! publisher sends 30 frame bursts and 170 packets of 1,100 bytes a second. What is measured, on the server's side, is the
//! whole process: user and system time divided by the packets that arrived at subscribers. Peers receive one datagram per
//! system call, as browsers do, so the kernel's work of taking runs apart is charged to the server, as on loopback it is.

mod args;
mod figure;
mod load_peer;
mod media;
mod scenario;
mod server;
mod signaling;

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
    if matches!(arguments.scenario, Scenario::Fanout | Scenario::All) {
        let server = Server::start(arguments)?;
        figure::print("process", &run(&server, arguments, Run::fan_out(arguments.subscribers))?, &server);
    }
    if matches!(arguments.scenario, Scenario::AllToAll | Scenario::All) {
        let server = Server::start(arguments)?;
        figure::print("all_to_all", &run(&server, arguments, Run::all_to_all(arguments.peers))?, &server);
    }
    Ok(())
}
