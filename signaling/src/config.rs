//! What a signaling server can be told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use patchbay_protocol::{IceServer, limit};

use crate::auth::{Keys, Secret};
use crate::limit::TrustedProxies;
use crate::node::LinkTiming;
use crate::session::OutboxLimit;
use crate::tls::TlsSource;
use crate::turn::Turn;
use crate::webhook::Webhook;

/// Everything a server is told at its start. [`Config::new`] has defaults that hold in production.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where HTTP listens.
    pub listen: SocketAddr,
    /// HTTPS and `wss` instead of HTTP and `ws`.
    pub tls: Option<TlsSource>,
    /// Where the server keeps what should survive a restart: the key of sessions, chat, revocations. Made if it is not there.
    pub state_dir: Option<PathBuf>,
    /// How the server goes away.
    pub drain: Drain,
    /// What whoever asks for `/metrics` must know. Without it nobody is asked.
    pub metrics_token: Option<Secret>,
    /// How often certificate files are looked at for change.
    pub tls_refresh: Duration,
    /// Keys of tokens. Without any the server is open: whoever reaches it may join any room.
    pub keys: Keys,
    /// The file they came from. What it says later takes the place of `keys`, but a file without keys never opens the server.
    pub keys_file: Option<PathBuf>,
    /// How often that file is looked at for change.
    pub keys_refresh: Duration,
    /// Tokens that hold for longer are refused, as what was revoked is remembered for so long. Cost of raising: that memory.
    pub longest_token: Duration,
    /// Proxies that may say whom they speak for. Limits by address are of no use behind one that is not named here.
    pub proxies: TrustedProxies,
    /// Connections of HTTP, whatever they carry, from one IPv4 address or IPv6 network of 64 bits. Cost of raising: one
    /// household can take so much of `max_connections`.
    pub connections_per_address: usize,
    /// New sessions and joins, each counted, by address. Cost of raising: signatures and transports to make for one household.
    pub joins: Rate,
    /// Who is told of what happens. Without a secret nobody is.
    pub webhooks: Vec<Webhook>,
    /// What calls of webhooks are signed with.
    pub webhook_secret: Option<Secret>,
    /// Requests of the server's API by address. Cost of raising: signatures to check, and work for rooms.
    pub api_rate: Rate,
    /// Rooms at a time. Cost of raising: about 10 KB each, and their chat.
    pub max_rooms: usize,
    /// Bounds of one participant.
    pub bounds: Bounds,
    /// Allows an open server on an address that is not loopback.
    pub insecure_open: bool,
    /// Origins besides the server's own that may use it from a browser, such as `https://example.org`. `*` is any.
    pub allowed_origins: Vec<String>,
    /// What nodes in other processes must know. Without it none can attach over `/v1/nodes`.
    pub node_secret: Option<Secret>,
    /// Handed to everybody who joins as they are, by `join` and by WHIP and WHEP.
    pub ice_servers: Vec<IceServer>,
    /// Handed out beside them, with short-lived credentials for each session.
    pub turn: Option<Turn>,
    /// Client connections at a time, and as many WHIP and WHEP resources. Cost of raising: about 16 KB each when idle, up to the outbox's bound when slow.
    pub max_connections: usize,
    /// Participants of one room.
    pub room_capacity: usize,
    /// How long an empty room is kept.
    pub room_linger: Duration,
    /// Times of connections.
    pub timing: ConnectionTiming,
    /// Bounds of what is kept for one client until it acknowledges it.
    pub outbox: OutboxLimit,
    /// How long a session waits for its client to come back. Cost of raising: others see somebody who is gone for so long.
    pub resume_window: Duration,
    /// Messages per second and connection.
    pub rate: Rate,
    /// Bytes of messages per second and session. The burst must hold the longest message.
    pub byte_rate: Rate,
    /// Times of node links.
    pub link: LinkTiming,
}

/// How a server goes away: everybody is told to move elsewhere, and it waits for them.
#[derive(Debug, Clone, Copy)]
pub struct Drain {
    /// Clients are told to come back after a random time within this. Shorter, and whoever takes them over gets them all at once.
    pub spread: Duration,
    /// How long the server stays at most for those who are still there.
    pub timeout: Duration,
}

/// Times of one client connection.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionTiming {
    /// How long a client may take to say `hello`.
    pub hello: Duration,
    /// How often the server pings.
    pub ping: Duration,
    /// Silence after which a connection is given up.
    pub silence: Duration,
    /// How long a closing connection may take to drain what it was told before.
    pub close: Duration,
}

/// How much one participant may have. The protocol's own bounds stand besides.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Tracks it publishes. Cost of raising: what the SFU receives, and each slot that follows.
    pub tracks: usize,
    /// Slots. Cost of raising: about 200 bytes of SFU state each, and what the SFU sends.
    pub slots: usize,
    /// Bytes of metadata as JSON. Cost of raising: it is sent to everybody at every join.
    pub metadata_bytes: usize,
    /// Bytes of attributes with their keys; the same holds.
    pub attribute_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            tracks: limit::PUBLICATIONS,
            slots: limit::SLOTS,
            metadata_bytes: limit::METADATA_BYTES,
            attribute_bytes: limit::ATTRIBUTE_BYTES,
        }
    }
}

/// A rate with room for bursts.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Events per second in the long run.
    pub per_second: u32,
    /// Events at once after a rest.
    pub burst: u32,
}

impl Config {
    /// The defaults, on an address.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls: None,
            state_dir: None,
            metrics_token: None,
            drain: Drain { spread: Duration::from_secs(10), timeout: Duration::from_secs(30) },
            tls_refresh: Duration::from_secs(60),
            keys: Keys::default(),
            keys_file: None,
            keys_refresh: Duration::from_secs(5),
            longest_token: Duration::from_secs(366 * 86_400),
            proxies: TrustedProxies::default(),
            connections_per_address: 2_500,
            joins: Rate { per_second: 200, burst: 5_000 },
            webhooks: Vec::new(),
            webhook_secret: None,
            api_rate: Rate { per_second: 100, burst: 1_000 },
            max_rooms: 10_000,
            bounds: Bounds::default(),
            insecure_open: false,
            allowed_origins: Vec::new(),
            node_secret: None,
            ice_servers: Vec::new(),
            turn: None,
            max_connections: 10_000,
            room_capacity: limit::ROOM_PARTICIPANTS,
            room_linger: Duration::from_secs(5),
            timing: ConnectionTiming {
                hello: Duration::from_secs(10),
                ping: limit::HEARTBEAT_INTERVAL,
                silence: limit::HEARTBEAT_TIMEOUT,
                close: Duration::from_secs(5),
            },
            outbox: OutboxLimit::default(),
            resume_window: limit::RESUME_WINDOW,
            rate: Rate { per_second: 100, burst: 200 },
            byte_rate: Rate { per_second: 1024 * 1024, burst: 4 * 1024 * 1024 },
            link: LinkTiming::default(),
        }
    }

    /// Connections of HTTP at a time, whatever they carry: a browser has several, most of them idle.
    pub(crate) fn http_connections(&self) -> usize {
        self.max_connections.saturating_mul(4).saturating_add(1_024)
    }

    /// Whether anybody may join without a token.
    pub fn is_open(&self) -> bool {
        self.keys.is_empty()
    }
}
