//! What an SFU node is told.

use patchbay_protocol::{NodeName, limit};
use patchbay_sfu::{InterfaceRules, NodeConfig, PublicIp};

use super::ConfigError;
use super::value::check_stun_servers;
use crate::args;

/// `stun_servers`: who is asked for the public address, if it is to be detected.
pub(super) fn node(raw: args::Media, stun_servers: Vec<String>) -> Result<NodeConfig, ConfigError> {
    let name = raw.node_name.unwrap_or_else(host_name);
    if !limit::is_plain_text(&name, limit::NAME_BYTES) {
        return Err(ConfigError::NodeName);
    }
    let mut config = NodeConfig::new(NodeName::new(name), raw.media_port);
    check_stun_servers(&stun_servers)?;
    PublicIp::check(&raw.public_ip)?;
    for public in raw.public_ip {
        match public {
            PublicIp::Address(ip) => config.public_ips.push(ip),
            PublicIp::Mapped(mapping) => config.public_mappings.push(mapping),
            // STUN over TLS would need a certificate's name and gives the same answer.
            PublicIp::Auto => {
                config.detect_from =
                    stun_servers.iter().filter(|it| it.starts_with("stun:")).cloned().collect();
                if config.detect_from.is_empty() {
                    return Err(ConfigError::AutoWithoutStun);
                }
            }
        }
    }
    config.interfaces = InterfaceRules { allow: raw.interface, deny: raw.no_interface };
    config.bind = raw.media_bind;
    config.workers = raw.workers;
    config.announce_loopback = raw.announce_loopback;
    config.tcp_port = raw.media_tcp_port;
    Ok(config)
}

/// The host's name, as containers and machines have it.
pub(super) fn host_name() -> String {
    let from_file = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    std::env::var("HOSTNAME")
        .ok()
        .or_else(from_file)
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "node".into())
}
