//! From what was written to what is meant, in two steps that need no environment: [`layer`] reads flags, environment and
//! file (in that order) into [`crate::args`], and [`Config`] is what that means. Every check that needs no socket is here.

mod error;
pub(crate) mod layer;
mod node;
#[cfg(test)]
mod sample;
mod signaling;
#[cfg(test)]
mod tests;
mod value;

use std::time::Duration;

use patchbay_sfu::NodeConfig;
use patchbay_signaling::Secret;

use self::node::{host_name, node};
use self::signaling::{node_secret, signaling};
use crate::args;

pub(crate) use error::ConfigError;
pub(crate) use signaling::keys;
pub(crate) use value::{duration, time};

/// The port that the strictest networks leave open.
const HTTPS_PORT: u16 = 443;

/// What this process is to be.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) role: Role,
    pub(crate) log: args::Log,
    /// How long the process stays for those who are there when it is told to end.
    pub(crate) drain_timeout: Duration,
}

/// The parts of this process.
#[derive(Debug)]
pub(crate) enum Role {
    /// Signaling with a node in the same process.
    Serve { signaling: Box<patchbay_signaling::Config>, node: NodeConfig, has_ice_tcp_http: bool },
    /// Signaling alone.
    Signaling(Box<patchbay_signaling::Config>),
    /// A node that dials in.
    Sfu { node: NodeConfig, url: String, authorities: Option<Vec<u8>>, secret: Secret },
}

impl Config {
    pub(crate) fn serve(raw: args::Serve) -> Result<Self, ConfigError> {
        let stun_servers = raw.signaling.stun_server.clone();
        let signaling = Box::new(signaling(raw.signaling, &raw.drain)?);
        let mut node = node(raw.media, stun_servers)?;
        // On its own, the server is for this machine: peers here must reach it without any network, too.
        node.announce_loopback |= signaling.listen.ip().is_loopback();
        let has_ice_tcp_http = raw.ice_tcp_http.unwrap_or(signaling.listen.port() == HTTPS_PORT);
        Ok(Self {
            role: Role::Serve { signaling, node, has_ice_tcp_http },
            log: raw.log,
            drain_timeout: raw.drain.drain_timeout,
        })
    }

    pub(crate) fn signaling(raw: args::SignalingOnly) -> Result<Self, ConfigError> {
        Ok(Self {
            role: Role::Signaling(Box::new(signaling(raw.signaling, &raw.drain)?)),
            log: raw.log,
            drain_timeout: raw.drain.drain_timeout,
        })
    }

    pub(crate) fn sfu(raw: args::Sfu) -> Result<Self, ConfigError> {
        if !["ws://", "wss://"].iter().any(|scheme| raw.signaling.starts_with(scheme)) {
            return Err(ConfigError::SignalingUrl(raw.signaling));
        }
        let secret = node_secret(raw.node_secret)?;
        let mut media = raw.media;
        // Several nodes of one host must not share a name: the later one would take the earlier one's place.
        let number = if media.media_port == 0 { std::process::id() } else { u32::from(media.media_port) };
        media.node_name.get_or_insert_with(|| format!("{}-{number}", host_name()));
        let authorities = raw
            .signaling_ca
            .map(|path| std::fs::read(&path).map_err(|source| ConfigError::SignalingCa { path, source }));
        let authorities = authorities.transpose()?;
        Ok(Self {
            role: Role::Sfu { node: node(media, raw.stun_server)?, url: raw.signaling, authorities, secret },
            log: raw.log,
            drain_timeout: raw.drain.drain_timeout,
        })
    }
}
