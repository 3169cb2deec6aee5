//! Options of the commands that don't serve.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use patchbay_turn_config::{PortRange, PublicAddress};

use super::{ConfigFile, Media, Signaling};

/// Options of `token`.
#[derive(Debug, Args)]
pub(crate) struct Token {
    #[command(flatten)]
    pub(crate) file: ConfigFile,
    /// Keys as the server has them: KID:SECRET, several separated by commas
    #[arg(long, env = "PATCHBAY_KEYS", hide_env_values = true, value_name = "KID:SECRET")]
    pub(crate) keys: Option<String>,
    /// A file with keys, one KID:SECRET a line
    #[arg(long, env = "PATCHBAY_KEYS_FILE", value_name = "FILE", conflicts_with = "keys")]
    pub(crate) keys_file: Option<PathBuf>,
    /// Which key signs; the first by default
    #[arg(long, value_name = "KID")]
    pub(crate) key: Option<String>,
    /// Makes a token of the server's API instead of a participant's: what it may do, or * for all
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "rooms:read,rooms:write,data,tokens,events,status",
        conflicts_with_all = [
            "room", "identity", "name", "metadata", "publish", "no_subscribe", "no_data", "moderate", "hidden",
            "record",
        ]
    )]
    pub(crate) api: Vec<String>,
    /// The one room it opens
    #[arg(long, required_unless_present = "api")]
    pub(crate) room: Option<String>,
    /// Who its bearer is
    #[arg(long, required_unless_present = "api")]
    pub(crate) identity: Option<String>,
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
    pub(crate) file: ConfigFile,
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
    #[command(flatten)]
    pub(crate) file: ConfigFile,
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
