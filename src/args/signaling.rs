//! Options of signaling.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::Limits;
use crate::config::time;

/// What signaling is told.
#[derive(Debug, Args)]
#[command(next_help_heading = "Signaling")]
pub(crate) struct Signaling {
    /// Where HTTP listens. Without keys only loopback is allowed
    #[arg(long, env = "PATCHBAY_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// Certificate for HTTPS: PEM, the server's own first. A changed file, or SIGHUP, has it read again
    #[arg(long, env = "PATCHBAY_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its private key: PEM, not encrypted
    #[arg(long, env = "PATCHBAY_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// HTTPS with a certificate of the server's own making, for a local network: browsers give no camera without
    #[arg(long, env = "PATCHBAY_TLS_SELF_SIGNED", conflicts_with = "tls_cert")]
    pub(crate) tls_self_signed: bool,
    /// A host name or address that certificate is for, besides this host's own (repeatable)
    #[arg(
        long,
        env = "PATCHBAY_TLS_NAME",
        value_delimiter = ',',
        value_name = "NAME",
        requires = "tls_self_signed"
    )]
    pub(crate) tls_name: Vec<String>,
    /// Where the server keeps what should survive a restart: its certificate, the key of sessions, chat, revocations
    #[arg(long, env = "PATCHBAY_STATE_DIR", value_name = "DIRECTORY")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Keys of tokens: KID:SECRET, several separated by commas. The first signs, all verify
    #[arg(long, env = "PATCHBAY_KEYS", hide_env_values = true, value_name = "KID:SECRET")]
    pub(crate) keys: Option<String>,
    /// A file with keys, one KID:SECRET a line. A changed file, or SIGHUP, has it read again
    #[arg(long, env = "PATCHBAY_KEYS_FILE", value_name = "FILE", conflicts_with = "keys")]
    pub(crate) keys_file: Option<PathBuf>,
    /// Lets anybody join any room, also from elsewhere
    #[arg(long, env = "PATCHBAY_INSECURE_OPEN")]
    pub(crate) insecure_open: bool,
    /// A web origin besides the server's own that may use it, such as `https://example.org`; * for any
    #[arg(long, env = "PATCHBAY_ALLOWED_ORIGIN", value_delimiter = ',', value_name = "ORIGIN")]
    pub(crate) allowed_origin: Vec<String>,
    /// An ICE server for clients: stun:HOST:PORT, or turn:HOST:PORT,USERNAME,CREDENTIAL
    #[arg(
        long,
        env = "PATCHBAY_ICE_SERVER",
        hide_env_values = true,
        value_delimiter = ' ',
        value_name = "URL[,USERNAME,CREDENTIAL]"
    )]
    pub(crate) ice_server: Vec<String>,
    /// A STUN server for clients, and for --public-ip auto (repeatable): stun:HOST:PORT
    #[arg(long, env = "PATCHBAY_STUN_SERVER", value_delimiter = ' ', value_name = "URL")]
    pub(crate) stun_server: Vec<String>,
    /// A TURN server that shares --turn-secret (repeatable): turn:HOST:PORT?transport=udp, or turns:HOST:PORT
    #[arg(long, env = "PATCHBAY_TURN_SERVER", value_delimiter = ' ', value_name = "URL")]
    pub(crate) turn_server: Vec<String>,
    /// coturn's static-auth-secret, for credentials that hold for one session and --turn-ttl
    #[arg(long, env = "PATCHBAY_TURN_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub(crate) turn_secret: Option<String>,
    /// A file with that secret, as patchbay turn-config writes it
    #[arg(long, env = "PATCHBAY_TURN_SECRET_FILE", value_name = "FILE", conflicts_with = "turn_secret")]
    pub(crate) turn_secret_file: Option<PathBuf>,
    /// How long TURN credentials hold: a number with s, m, h or d. WHIP and WHEP can't be told of new ones during a
    /// call, so make it longer than theirs last; a stolen one relays to the SFU for as long
    #[arg(long, env = "PATCHBAY_TURN_TTL", default_value = "6h", value_name = "TIME")]
    pub(crate) turn_ttl: String,
    /// How long a session waits for its client after its connection broke; others see it for so long
    #[arg(long, env = "PATCHBAY_RESUME_WINDOW", default_value = "30s", value_parser = time, value_name = "TIME")]
    pub(crate) resume_window: Duration,
    /// Client connections at a time. Each costs about 16 KB when idle
    #[arg(long, env = "PATCHBAY_MAX_CONNECTIONS", default_value_t = 10_000, value_name = "COUNT")]
    pub(crate) max_connections: usize,
    /// What whoever asks for /metrics must send as a bearer token; without it everybody may ask
    #[arg(long, env = "PATCHBAY_METRICS_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) metrics_token: Option<String>,
    /// A file with that token
    #[arg(long, env = "PATCHBAY_METRICS_TOKEN_FILE", value_name = "FILE", conflicts_with = "metrics_token")]
    pub(crate) metrics_token_file: Option<PathBuf>,
    /// Who is told of what happens (repeatable): a URL that takes POST, with #types=a,b behind it for some events only
    #[arg(long, env = "PATCHBAY_WEBHOOK", hide_env_values = true, value_delimiter = ' ', value_name = "URL")]
    pub(crate) webhook: Vec<String>,
    /// What these calls are signed with: 16 bytes or more, known to whoever takes them
    #[arg(long, env = "PATCHBAY_WEBHOOK_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub(crate) webhook_secret: Option<String>,
    /// A file with that secret
    #[arg(
        long,
        env = "PATCHBAY_WEBHOOK_SECRET_FILE",
        value_name = "FILE",
        conflicts_with = "webhook_secret"
    )]
    pub(crate) webhook_secret_file: Option<PathBuf>,
    /// What SFU nodes in other processes must know; without it none can attach
    #[arg(long, env = "PATCHBAY_NODE_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub(crate) node_secret: Option<String>,
    #[command(flatten)]
    pub(crate) limits: Limits,
}
