//! The command line.

use clap::{Parser, ValueEnum};

/// Puts a crowd of sessions on a server and prints what they cost it.
#[derive(Debug, Parser)]
#[command(version, about)]
pub(crate) struct Arguments {
    /// One scenario instead of all
    #[arg(long)]
    pub(crate) only: Option<Scenario>,
    /// Sessions that are idle
    #[arg(long, default_value_t = 10_000)]
    pub(crate) sessions: usize,
    /// Rooms they are in
    #[arg(long, default_value_t = 1_000)]
    pub(crate) rooms: usize,
    /// How long to watch them
    #[arg(long, default_value_t = 30)]
    pub(crate) seconds: u64,
    /// Participants of the one large room
    #[arg(long, default_value_t = 1_000)]
    pub(crate) audience: usize,
    /// Lines that are said in it, with and without one who reads nothing
    #[arg(long, default_value_t = 50)]
    pub(crate) lines: usize,
    /// Sessions that come back after a restart
    #[arg(long, default_value_t = 2_000)]
    pub(crate) returning: usize,
    /// Sessions that ask without pause
    #[arg(long, default_value_t = 64)]
    pub(crate) asking: usize,
}

/// What can be run alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Sessions that do nothing.
    Idle,
    /// One large room.
    Broadcast,
    /// Signaling is killed and comes back.
    Restart,
    /// Requests and replies.
    RoundTrip,
}
