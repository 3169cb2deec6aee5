//! Options of an SFU node.

use std::net::IpAddr;

use clap::Args;
use patchbay_sfu::{InterfaceRule, PublicIp};

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
