//! The command line.

use std::net::{IpAddr, SocketAddr};

use clap::{Parser, ValueEnum};

/// Loads a server with light peers and prints what that costs it.
#[derive(Debug, Parser)]
#[command(version, about)]
pub(crate) struct Arguments {
    /// A server that runs, such as http://127.0.0.1:8080. Without it, the binary built beside this one is started
    #[arg(long, requires = "pid")]
    pub(crate) url: Option<String>,
    /// Its process (the SFU's, if signaling is another one)
    #[arg(long, requires = "url")]
    pub(crate) pid: Option<u32>,
    /// Starts the binary built beside this one; this is the default
    #[arg(long, conflicts_with = "url")]
    pub(crate) self_serve: bool,
    /// Further arguments for a server started here
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    pub(crate) server_arg: Vec<String>,
    /// Keeps a server started here on this core (by taskset)
    #[arg(long, value_name = "CORE")]
    pub(crate) server_core: Option<usize>,
    /// Where peers send from; an address that the server's candidates can be reached from
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) address: IpAddr,
    /// What to run
    #[arg(long, default_value = "all")]
    pub(crate) scenario: Scenario,
    /// Subscribers of the one publisher
    #[arg(long, default_value_t = 50)]
    pub(crate) subscribers: usize,
    /// Peers that all publish to one another
    #[arg(long, default_value_t = 10)]
    pub(crate) peers: usize,
    /// How long to measure, after a warm-up
    #[arg(long, default_value_t = 15)]
    pub(crate) seconds: u64,
    /// Payload bytes of a packet
    #[arg(long, default_value_t = 1_100)]
    pub(crate) bytes: usize,
    /// How the bytes of a frame are divided into packets
    #[arg(long, default_value = "constant")]
    pub(crate) sizes: Sizes,
    /// Players of a game, instead of what the scenario has
    #[arg(long)]
    pub(crate) players: Option<usize>,
    /// Messages of a player in a second
    #[arg(long, default_value_t = 30.0)]
    pub(crate) rate: f64,
    /// Payload bytes of a player's message
    #[arg(long, default_value_t = 100)]
    pub(crate) message_bytes: usize,
    /// Plays the game of `--scenario interest` for so many minutes, and compares the last with the first
    #[arg(long, default_value_t = 10)]
    pub(crate) minutes: u8,
    /// Is a plain WebSocket relay on this address instead, for `--scenario websocket`
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) websocket_relay: Option<SocketAddr>,
    /// Where such a relay listens
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) relay_at: Option<SocketAddr>,
    /// Begins the names of figures, where a scenario is run more than once
    #[arg(long, default_value = "data")]
    pub(crate) prefix: String,
    /// Offers AES-CM with SHA-1 instead of AES-GCM
    #[arg(long)]
    pub(crate) aes_cm: bool,
}

/// What to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// One publisher to many subscribers.
    Fanout,
    /// Everybody to everybody.
    AllToAll,
    /// Both, each on a fresh server if it is started here.
    All,
    /// Data: everybody's messages to everybody, with 25 and with 50 players, framed and plain.
    Relay,
    /// Data: 200 players in a world, each with about 20 neighbours.
    Interest,
    /// Data: the same for minutes; is the lag flat?
    Long,
    /// Data: both with a growing rate, until it breaks.
    Ramp,
    /// Data: a narrow and a frozen receiver among others.
    Slow,
    /// Data: Relay, Interest, Slow and Ramp, each on a fresh server if it is started here.
    Data,
    /// Data: few players on an unreliable, a reliable topic over whatever path there is to the server.
    Path,
    /// The same through a plain WebSocket relay.
    Websocket,
}

/// How the bytes of a frame are divided into packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sizes {
    /// All packets have the same size.
    Constant,
    /// As libwebrtc does it: frames differ, a frame is divided evenly, and its last packets are a byte larger.
    Browser,
}
