//! The command line and the environment, as they are written: [`crate::config`] makes sense of them.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use patchbay_sfu::{InterfaceRule, PublicIp};
use patchbay_turn_config::{PortRange, PublicAddress};

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
    pub(crate) log: Log,
}

/// Options of `signaling`.
#[derive(Debug, Args)]
pub(crate) struct SignalingOnly {
    #[command(flatten)]
    pub(crate) signaling: Signaling,
    #[command(flatten)]
    pub(crate) log: Log,
}

/// Options of `sfu`.
#[derive(Debug, Args)]
pub(crate) struct Sfu {
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
    pub(crate) log: Log,
}

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
    /// Where the server keeps what should survive a restart: its own certificate
    #[arg(long, env = "PATCHBAY_STATE_DIR", value_name = "DIRECTORY")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Keys of tokens: KID:SECRET, several separated by commas. The first signs, all verify
    #[arg(long, env = "PATCHBAY_KEYS", hide_env_values = true, value_name = "KID:SECRET")]
    pub(crate) keys: Option<String>,
    /// A file with keys, one KID:SECRET a line
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
    /// WebSocket connections at a time. Each costs about 16 KB when idle
    #[arg(long, env = "PATCHBAY_MAX_CONNECTIONS", default_value_t = 10_000, value_name = "COUNT")]
    pub(crate) max_connections: usize,
    /// What SFU nodes in other processes must know; without it none can attach
    #[arg(long, env = "PATCHBAY_NODE_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub(crate) node_secret: Option<String>,
}

/// What an SFU node is told.
#[derive(Debug, Args)]
#[command(next_help_heading = "Media")]
pub(crate) struct Media {
    /// UDP and TCP port of the first worker; the others take the next ones. 0 lets the system choose
    #[arg(long, env = "PATCHBAY_MEDIA_PORT", default_value_t = 7882, value_name = "PORT")]
    pub(crate) media_port: u16,
    /// A further TCP port for media, shared by all workers, such as 443: for peers whose network allows nothing else
    #[arg(long, env = "PATCHBAY_MEDIA_TCP_PORT", value_name = "PORT")]
    pub(crate) media_tcp_port: Option<u16>,
    /// An address under which peers reach this host, if it is behind a 1:1 NAT (repeatable): announced before the host's
    /// own; PUBLIC/LOCAL: in place of that one; auto: what --stun-server sees. Ports must be forwarded unchanged
    #[arg(long, env = "PATCHBAY_PUBLIC_IP", value_delimiter = ',', value_name = "IP[/LOCAL]|auto")]
    pub(crate) public_ip: Vec<PublicIp>,
    /// Announces the addresses of these interfaces only (repeatable): a name, a beginning such as wg*, or a network. By
    /// default all but bridges to containers and virtual machines
    #[arg(long, env = "PATCHBAY_INTERFACE", value_delimiter = ',', value_name = "NAME|CIDR")]
    pub(crate) interface: Vec<InterfaceRule>,
    /// Announces no address of these interfaces (repeatable)
    #[arg(long, env = "PATCHBAY_NO_INTERFACE", value_delimiter = ',', value_name = "NAME|CIDR")]
    pub(crate) no_interface: Vec<InterfaceRule>,
    /// An address to receive media on; all of the host's by default (repeatable)
    #[arg(long, env = "PATCHBAY_MEDIA_BIND", value_delimiter = ',', value_name = "IP")]
    pub(crate) media_bind: Vec<IpAddr>,
    /// Threads that carry media; one per core by default
    #[arg(long, env = "PATCHBAY_WORKERS", value_name = "COUNT")]
    pub(crate) workers: Option<usize>,
    /// Announces loopback addresses too, for peers on this host while it has no other network
    #[arg(long, env = "PATCHBAY_ANNOUNCE_LOOPBACK")]
    pub(crate) announce_loopback: bool,
    /// The node's name in logs and metrics, unique among nodes; the host's name by default
    #[arg(long, env = "PATCHBAY_NODE_NAME", value_name = "NAME")]
    pub(crate) node_name: Option<String>,
}

/// How to log.
#[derive(Debug, Args)]
#[command(next_help_heading = "Log")]
pub(crate) struct Log {
    /// What to log, as tracing's filters have it: info, or patchbay_signaling=debug,info
    #[arg(long, env = "PATCHBAY_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// How to write it
    #[arg(long, env = "PATCHBAY_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
}

/// The shape of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines, one object a line.
    Json,
}

/// Options of `token`.
#[derive(Debug, Args)]
pub(crate) struct Token {
    /// Keys as the server has them: KID:SECRET, several separated by commas
    #[arg(long, env = "PATCHBAY_KEYS", hide_env_values = true, value_name = "KID:SECRET")]
    pub(crate) keys: Option<String>,
    /// A file with keys, one KID:SECRET a line
    #[arg(long, env = "PATCHBAY_KEYS_FILE", value_name = "FILE", conflicts_with = "keys")]
    pub(crate) keys_file: Option<PathBuf>,
    /// Which key signs; the first by default
    #[arg(long, value_name = "KID")]
    pub(crate) key: Option<String>,
    /// The one room it opens
    #[arg(long)]
    pub(crate) room: String,
    /// Who its bearer is
    #[arg(long)]
    pub(crate) identity: String,
    /// The name to show; the bearer may choose one if it is absent
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Metadata of the participant, as JSON
    #[arg(long, value_name = "JSON")]
    pub(crate) metadata: Option<String>,
    /// How long it holds: a number with s, m, h or d
    #[arg(long, default_value = "1h", value_name = "TIME")]
    pub(crate) ttl: String,
    /// Sources its bearer may publish; all by default, none with an empty text
    #[arg(long, value_name = "microphone,camera,screen,screen_audio")]
    pub(crate) publish: Option<String>,
    /// Its bearer receives no media
    #[arg(long)]
    pub(crate) no_subscribe: bool,
    /// Its bearer opens no data channels and writes no chat
    #[arg(long)]
    pub(crate) no_data: bool,
    /// Its bearer may act on others
    #[arg(long)]
    pub(crate) moderate: bool,
    /// Its bearer is in no roster, and publishes nothing
    #[arg(long)]
    pub(crate) hidden: bool,
    /// Its bearer may record
    #[arg(long)]
    pub(crate) record: bool,
}

/// Options of `doctor`: those of the server, and how to ask.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) signaling: Signaling,
    #[command(flatten)]
    pub(crate) media: Media,
    /// The name or address that clients use, which the certificate must be for
    #[arg(long, value_name = "HOST", help_heading = "Examination")]
    pub(crate) host: Option<String>,
    /// A web server whose clock to compare with, such as the TURN server's machine
    #[arg(long, value_name = "HOST[:PORT]", help_heading = "Examination")]
    pub(crate) clock_from: Option<String>,
    /// Writes the result as JSON
    #[arg(long, help_heading = "Examination")]
    pub(crate) json: bool,
}

/// Options of `turn-config`.
#[derive(Debug, Args)]
pub(crate) struct TurnConfig {
    /// The host name that clients know coturn by
    #[arg(long, value_name = "HOST")]
    pub(crate) realm: String,
    /// Where clients reach coturn (repeatable); with the machine's own address behind it if there is a 1:1 NAT
    #[arg(long, value_delimiter = ',', value_name = "PUBLIC[/LOCAL]")]
    pub(crate) public_ip: Vec<PublicAddress>,
    /// An address that the SFU announces (repeatable): the only peers a relay may reach
    #[arg(long, value_delimiter = ',', value_name = "IP")]
    pub(crate) sfu_ip: Vec<IpAddr>,
    /// The SFU's UDP ports: --media-port, and one more for each further worker
    #[arg(long, default_value = "7882-7945", value_name = "FIRST-LAST")]
    pub(crate) media_ports: PortRange,
    /// The certificate with its chain, where coturn finds it
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_cert: Option<String>,
    /// Its private key, readable by coturn's user
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_key: Option<String>,
    /// TCP ports that speak TLS. Without 443 networks that allow only HTTPS stay closed
    #[arg(long, default_value = "5349,443", value_delimiter = ',', value_name = "PORT,…")]
    pub(crate) tls_ports: Vec<u16>,
    /// No TLS at all
    #[arg(long)]
    pub(crate) no_tls: bool,
    /// UDP ports of relayed addresses, one for each allocation; best outside of 32768-60999, which Linux uses itself
    #[arg(long, default_value = "61000-61999", value_name = "FIRST-LAST")]
    pub(crate) relay_ports: PortRange,
    /// Allocations of one session. A browser makes one for each URL, address family and network interface
    #[arg(long, default_value_t = 24, value_name = "COUNT")]
    pub(crate) session_quota: u32,
    /// Allocations of everybody; as many as there are relay ports by default
    #[arg(long, value_name = "COUNT")]
    pub(crate) total_quota: Option<u32>,
    /// Kilobits per second of one allocation, each way. A page of nine faces takes up to 20000
    #[arg(long, default_value_t = 30_000, value_name = "KBPS")]
    pub(crate) max_kbps: u32,
    /// The whole deployment is in a private network: private addresses are meant
    #[arg(long)]
    pub(crate) private_network: bool,
    /// Writes turnserver.conf (readable by its owner alone, as the secret is in it) and firewall.nft there
    #[arg(long, value_name = "DIRECTORY", required_unless_present = "print", conflicts_with = "print")]
    pub(crate) out: Option<PathBuf>,
    /// The file with the secret, made if it is not there; turn-secret in --out by default
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
    /// Prints one of the two files instead, without the secret
    #[arg(long, value_name = "FILE")]
    pub(crate) print: Option<TurnFile>,
    /// Prints the secret with it
    #[arg(long, requires = "print", requires = "secret_file")]
    pub(crate) show_secret: bool,
}

/// Options of `healthcheck`: where the server is, as its own environment has it.
#[derive(Debug, Args)]
pub(crate) struct Healthcheck {
    /// What to ask instead: http://HOST:PORT/readyz, or https. Any certificate will do
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Where the server listens
    #[arg(long, env = "PATCHBAY_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// The server has a certificate; the file is not read
    #[arg(long, env = "PATCHBAY_TLS_CERT", value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The server has a certificate of its own making
    #[arg(long, env = "PATCHBAY_TLS_SELF_SIGNED")]
    pub(crate) tls_self_signed: bool,
}

/// What `turn-config` makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TurnFile {
    /// coturn's configuration.
    #[value(name = "turnserver.conf")]
    Turnserver,
    /// Rules for nftables.
    #[value(name = "firewall.nft")]
    Firewall,
}
