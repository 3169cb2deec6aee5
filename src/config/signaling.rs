//! What signaling is told.

use std::path::{Path, PathBuf};
use std::time::Duration;

use patchbay_protocol::IceServer;
use patchbay_signaling::{Bounds, Keys, Rate, Secret, TlsSource, TrustedProxies, Turn, Webhook, host_names};

use super::ConfigError;
use super::value::{check_stun_servers, duration, ice_server, is_origin, is_server_url};
use crate::args;

/// Bytes of the shortest TURN secret: credentials go to everybody, so fewer can be guessed offline from one of them.
pub(super) const TURN_SECRET_BYTES: usize = 16;
/// Shorter, and a slow join may outlive its credentials; longer, and they are no longer short-lived.
const TURN_TTL: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(7 * 86_400);

pub(super) fn signaling(
    raw: args::Signaling,
    drain: &args::Drain,
) -> Result<patchbay_signaling::Config, ConfigError> {
    if raw.max_connections == 0 {
        return Err(ConfigError::MaxConnections);
    }
    if let Some(bad) = raw.allowed_origin.iter().find(|origin| !is_origin(origin)) {
        return Err(ConfigError::Origin(bad.clone()));
    }
    let mut config = patchbay_signaling::Config::new(raw.listen);
    config.drain = patchbay_signaling::Drain { spread: drain.drain_spread, timeout: drain.drain_timeout };
    config.state_dir = raw.state_dir.clone();
    config.tls = tls(raw.tls_cert, raw.tls_key, raw.tls_self_signed.then_some(raw.tls_name), raw.state_dir);
    config.keys = keys(raw.keys.as_deref(), raw.keys_file.as_deref())?;
    config.keys_file = raw.keys_file;
    config.insecure_open = raw.insecure_open;
    config.allowed_origins = raw.allowed_origin;
    config.ice_servers = raw.ice_server.iter().map(|text| ice_server(text)).collect::<Result<_, _>>()?;
    check_stun_servers(&raw.stun_server)?;
    for url in &raw.stun_server {
        config.ice_servers.push(IceServer { urls: vec![url.clone()], username: None, credential: None });
    }
    let secret = turn_secret(raw.turn_secret, raw.turn_secret_file)?;
    config.turn = turn(raw.turn_server, secret, &raw.turn_ttl)?;
    config.max_connections = raw.max_connections;
    config.resume_window = raw.resume_window;
    config.metrics_token = metrics_token(raw.metrics_token, raw.metrics_token_file)?;
    config.webhooks = raw.webhook.iter().map(|text| Webhook::parse(text)).collect::<Result<_, _>>()?;
    config.webhook_secret = webhook_secret(raw.webhook_secret, raw.webhook_secret_file)?;
    if !config.webhooks.is_empty() && config.webhook_secret.is_none() {
        return Err(ConfigError::WebhookWithoutSecret);
    }
    config.node_secret = raw.node_secret.map(node_secret).transpose()?;
    limit(&mut config, raw.limits);
    Ok(config)
}

fn limit(config: &mut patchbay_signaling::Config, raw: args::Limits) {
    config.proxies = TrustedProxies { networks: raw.trusted_proxy, header: raw.client_address_header };
    config.connections_per_address = raw.connections_per_address;
    config.joins = Rate { per_second: raw.joins_per_second, burst: raw.joins_burst };
    config.api_rate = Rate { per_second: raw.api_per_second, burst: raw.api_burst };
    config.rate = Rate { per_second: raw.messages_per_second, burst: raw.messages_burst };
    config.byte_rate = Rate { per_second: raw.bytes_per_second, burst: raw.bytes_burst };
    config.max_rooms = raw.max_rooms;
    config.room_capacity = raw.max_participants;
    config.bounds = Bounds {
        tracks: raw.max_tracks,
        slots: raw.max_slots,
        metadata_bytes: raw.max_metadata_bytes,
        attribute_bytes: raw.max_attribute_bytes,
    };
    config.longest_token = raw.longest_token;
}

/// Where the certificate comes from, if there is to be one. `own`: names for one of the server's own making.
fn tls(
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    own: Option<Vec<String>>,
    state_dir: Option<PathBuf>,
) -> Option<TlsSource> {
    match (certificate, key, own) {
        (Some(certificate), Some(key), _) => Some(TlsSource::Files { certificate, key }),
        (_, _, Some(more)) => {
            let mut names = host_names();
            names.extend(more.into_iter().filter(|name| !name.is_empty()));
            Some(TlsSource::SelfSigned { names, state_dir })
        }
        _ => None,
    }
}

/// Keys from the command line or from a file.
pub(crate) fn keys(text: Option<&str>, file: Option<&Path>) -> Result<Keys, ConfigError> {
    match (text, file) {
        (Some(text), _) => Ok(Keys::parse(text)?),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path)
                .map_err(|source| ConfigError::KeysFile { path: path.to_owned(), source })?;
            Ok(Keys::parse(&text)?)
        }
        (None, None) => Ok(Keys::default()),
    }
}

pub(super) fn node_secret(secret: String) -> Result<Secret, ConfigError> {
    if secret.trim().is_empty() { Err(ConfigError::NodeSecret) } else { Ok(Secret::new(secret)) }
}

fn turn(urls: Vec<String>, secret: Option<Secret>, ttl: &str) -> Result<Option<Turn>, ConfigError> {
    if let Some(bad) = urls.iter().find(|url| !is_server_url(url, &["turn", "turns"])) {
        return Err(ConfigError::TurnServer(bad.clone()));
    }
    let ttl = duration(ttl)
        .filter(|ttl| TURN_TTL.contains(ttl))
        .ok_or_else(|| ConfigError::TurnTtl(ttl.to_owned()))?;
    match (urls.is_empty(), secret) {
        (true, None) => Ok(None),
        (true, Some(_)) => Err(ConfigError::TurnWithoutServer),
        (false, None) => Err(ConfigError::TurnWithoutSecret),
        (false, Some(secret)) => Ok(Some(Turn { urls, secret, ttl })),
    }
}

/// The token from the command line or from a file, of which line ends at its end are no part.
fn metrics_token(text: Option<String>, file: Option<PathBuf>) -> Result<Option<Secret>, ConfigError> {
    let text = match (text, file) {
        (Some(text), _) => text,
        (None, Some(path)) => match std::fs::read_to_string(&path) {
            Ok(text) => text.trim_end().to_owned(),
            Err(source) => return Err(ConfigError::MetricsTokenFile { path, source }),
        },
        (None, None) => return Ok(None),
    };
    let is_token = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_token { Ok(Some(Secret::new(text))) } else { Err(ConfigError::MetricsToken) }
}

/// What calls of webhooks are signed with, of which line ends at its end are no part.
fn webhook_secret(text: Option<String>, file: Option<PathBuf>) -> Result<Option<Secret>, ConfigError> {
    let text = match (text, file) {
        (Some(text), _) => text,
        (None, Some(path)) => match std::fs::read_to_string(&path) {
            Ok(text) => text.trim_end().to_owned(),
            Err(source) => return Err(ConfigError::WebhookSecretFile { path, source }),
        },
        (None, None) => return Ok(None),
    };
    if text.len() < TURN_SECRET_BYTES || text.contains(char::is_whitespace) {
        return Err(ConfigError::WebhookSecret);
    }
    Ok(Some(Secret::new(text)))
}

/// The secret from the command line or from a file, of which line ends at its end are no part.
fn turn_secret(text: Option<String>, file: Option<PathBuf>) -> Result<Option<Secret>, ConfigError> {
    let text = match (text, file) {
        (Some(text), _) => text,
        (None, Some(path)) => match std::fs::read_to_string(&path) {
            Ok(text) => text.trim_end().to_owned(),
            Err(source) => return Err(ConfigError::TurnSecretFile { path, source }),
        },
        (None, None) => return Ok(None),
    };
    if text.len() < TURN_SECRET_BYTES || text.contains(char::is_whitespace) {
        return Err(ConfigError::TurnSecret);
    }
    Ok(Some(Secret::new(text)))
}
