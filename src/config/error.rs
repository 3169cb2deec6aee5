//! What is refused.

use std::path::PathBuf;

use patchbay_sfu::PublicIpError;
use patchbay_signaling::{KeyError, WebhookError};

use super::signaling::TURN_SECRET_BYTES;

/// What makes no sense.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("--keys: {0}")]
    Keys(#[from] KeyError),
    #[error("can't read the keys in {}: {source}", .path.display())]
    KeysFile { path: PathBuf, source: std::io::Error },
    #[error("--ice-server {0:?}: written as stun:HOST:PORT, or turn:HOST:PORT,USERNAME,CREDENTIAL")]
    IceServer(String),
    #[error("--stun-server {0:?}: written as stun:HOST:PORT")]
    StunServer(String),
    #[error("--turn-server {0:?}: written as turn:HOST:PORT?transport=udp or tcp, or turns:HOST:PORT")]
    TurnServer(String),
    #[error("--turn-server needs --turn-secret or --turn-secret-file: what coturn has as static-auth-secret")]
    TurnWithoutSecret,
    #[error("there is a TURN secret, but no --turn-server to use it with")]
    TurnWithoutServer,
    #[error("the TURN secret must have {TURN_SECRET_BYTES} bytes or more and no white space")]
    TurnSecret,
    #[error("can't read the TURN secret in {}: {source}", .path.display())]
    TurnSecretFile { path: PathBuf, source: std::io::Error },
    #[error("--metrics-token must not be empty, nor have anything but visible ASCII characters in it")]
    MetricsToken,
    #[error("can't read --metrics-token-file {}: {source}", .path.display())]
    MetricsTokenFile { path: PathBuf, source: std::io::Error },
    #[error("--webhook {0}")]
    Webhook(#[from] WebhookError),
    #[error(
        "--webhook needs --webhook-secret or --webhook-secret-file: without a signature anybody could call in the server's name"
    )]
    WebhookWithoutSecret,
    #[error("the secret of webhooks must have {TURN_SECRET_BYTES} bytes or more and no white space")]
    WebhookSecret,
    #[error("can't read the secret of webhooks in {}: {source}", .path.display())]
    WebhookSecretFile { path: PathBuf, source: std::io::Error },
    #[error("--turn-ttl {0:?}: 1m to 7d, a number with s, m, h or d")]
    TurnTtl(String),
    #[error("can't read {}: {source}", .path.display())]
    SignalingCa { path: PathBuf, source: std::io::Error },
    #[error("--allowed-origin {0:?}: written as https://example.org, without a path; * for any")]
    Origin(String),
    #[error("--node-name: 1 to 128 bytes of text without control characters")]
    NodeName,
    #[error("--node-secret must not be empty")]
    NodeSecret,
    #[error("--max-connections must be 1 or more")]
    MaxConnections,
    #[error("--public-ip {0}")]
    PublicIp(#[from] PublicIpError),
    #[error("--public-ip auto needs a --stun-server to ask: stun:HOST:PORT")]
    AutoWithoutStun,
    #[error("--signaling {0:?}: written as ws://HOST:PORT/v1/nodes")]
    SignalingUrl(String),
}
