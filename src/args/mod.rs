//! The options as they are written: [`crate::config`] makes sense of them.
//!
//! A new option is a field with its words, its flag and its variable (`long`, `env`, a default if it has one): the key of
//! the file has the flag's name. Its meaning is one line in `crate::config`, and a test asks for a place in
//! `patchbay.example.toml`.

mod limit;
mod media;
mod operation;
mod signaling;
mod tool;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use limit::Limits;
pub(crate) use media::Media;
pub(crate) use operation::{ConfigFile, Drain, Log, LogFormat};
pub(crate) use signaling::Signaling;
pub(crate) use tool::{Doctor, Healthcheck, Token, TurnConfig, TurnFile};

/// A WebRTC SFU with WebSocket signaling.
#[derive(Debug, Parser)]
#[command(name = "patchbay", version, about, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: Serve,
}

/// What to be.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Signaling and an SFU node in one process (the default)
    Serve(Serve),
    /// Signaling alone; SFU nodes dial in at /v1/nodes
    Signaling(SignalingOnly),
    /// An SFU node that dials in to signaling
    Sfu(Sfu),
    /// Mints a token
    Token(Token),
    /// Examines whether a server with these options would work on this host
    Doctor(Box<Doctor>),
    /// Writes a configuration of coturn and its firewall
    TurnConfig(TurnConfig),
    /// Asks the server of this host whether it is ready; exits with 0 or 1
    Healthcheck(Healthcheck),
}

/// Options of `serve`.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) file: ConfigFile,
    #[command(flatten)]
    pub(crate) signaling: Signaling,
    #[command(flatten)]
    pub(crate) media: Media,
    /// Takes media over TCP on the port of HTTP, too, and announces that; on by default if that port is 443. Clients must
    /// reach it directly, as a reverse proxy passes HTTP only
    #[arg(
        long,
        env = "PATCHBAY_ICE_TCP_HTTP",
        value_name = "true|false",
        num_args = 0..=1,
        default_missing_value = "true",
        require_equals = true,
        help_heading = "Media"
    )]
    pub(crate) ice_tcp_http: Option<bool>,
    #[command(flatten)]
    pub(crate) drain: Drain,
    #[command(flatten)]
    pub(crate) log: Log,
}

/// Options of `signaling`.
#[derive(Debug, Args)]
pub(crate) struct SignalingOnly {
    #[command(flatten)]
    pub(crate) file: ConfigFile,
    #[command(flatten)]
    pub(crate) signaling: Signaling,
    #[command(flatten)]
    pub(crate) drain: Drain,
    #[command(flatten)]
    pub(crate) log: Log,
}

/// Options of `sfu`.
#[derive(Debug, Args)]
pub(crate) struct Sfu {
    #[command(flatten)]
    pub(crate) file: ConfigFile,
    /// Where signaling takes nodes: ws://HOST:PORT/v1/nodes, or wss
    #[arg(long, env = "PATCHBAY_SIGNALING", value_name = "URL")]
    pub(crate) signaling: String,
    /// PEM of whoever vouches for signaling's certificate, or that certificate itself if nobody does (wss only)
    #[arg(long, env = "PATCHBAY_SIGNALING_CA", value_name = "FILE")]
    pub(crate) signaling_ca: Option<PathBuf>,
    /// What signaling knows this node by; the same on both sides
    #[arg(long, env = "PATCHBAY_NODE_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub(crate) node_secret: String,
    /// A STUN server that --public-ip auto asks (repeatable): stun:HOST:PORT
    #[arg(long, env = "PATCHBAY_STUN_SERVER", value_delimiter = ' ', value_name = "URL")]
    pub(crate) stun_server: Vec<String>,
    #[command(flatten)]
    pub(crate) media: Media,
    #[command(flatten)]
    pub(crate) drain: Drain,
    #[command(flatten)]
    pub(crate) log: Log,
}
