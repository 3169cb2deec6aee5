//! Starting and stopping the parts of the process.

use std::net::SocketAddr;

use patchbay_sfu::{DialError, Node, NodeConfig};
use patchbay_signaling::{IceTcpTaker, Secret, Server};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::info;

use crate::config::{Config, ConfigError, Role};

/// Why the process ends badly.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("--log: {0}")]
    Log(String),
    #[error(transparent)]
    Signaling(#[from] patchbay_signaling::StartError),
    #[error(transparent)]
    Node(#[from] patchbay_sfu::StartError),
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("{0}")]
    Token(String),
    #[error(transparent)]
    TurnConfig(#[from] crate::turn_config::TurnConfigError),
    #[error("the system refuses: {0}")]
    System(#[from] std::io::Error),
}

/// Runs until the process is told to stop.
pub(crate) fn run(config: Config) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = stop_signal()?;
        match config.role {
            Role::Serve { signaling, node, has_ice_tcp_http } => {
                serve(*signaling, node, has_ice_tcp_http, stop).await
            }
            Role::Signaling(signaling) => {
                let server = Server::bind(*signaling.clone()).await?;
                let nodes = if signaling.node_secret.is_some() {
                    "nodes dial in at /v1/nodes"
                } else {
                    "no node secret, so no node can attach"
                };
                report_certificate(&server);
                info!("listening on {}; {nodes}", url(&server));
                Ok(server.serve(stopped(stop)).await?)
            }
            Role::Sfu { node, url, authorities, secret } => {
                dial(node, &url, authorities.as_deref(), &secret, stop).await
            }
        }
    })
}

async fn serve(
    signaling: patchbay_signaling::Config,
    mut node: NodeConfig,
    has_ice_tcp_http: bool,
    stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let is_open = signaling.is_open();
    let mut server = Server::bind(signaling).await?;
    node.tcp_elsewhere = has_ice_tcp_http.then(|| server.local_addr());
    let node = Node::start(detected(node).await)?;
    if has_ice_tcp_http {
        let intake = node.tcp_intake();
        server.take_ice_tcp(IceTcpTaker::new(move |stream, read| intake.adopt(stream, read)));
    }
    let link = node.link();
    server.nodes().attach(link.name, link.epoch, link.commands, link.events);
    report_certificate(&server);
    let access = if is_open { "open to everybody who reaches it" } else { "tokens needed" };
    info!("open {} in a browser ({access}); media on {}", url(&server), addresses(node.candidates()));
    let served = server.serve(stopped(stop)).await;
    node.shutdown().await;
    Ok(served?)
}

async fn dial(
    node: NodeConfig,
    url: &str,
    authorities: Option<&[u8]>,
    secret: &Secret,
    stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let node = Node::start(detected(node).await)?;
    info!("node {} dials {url}; media on {}", node.name(), addresses(node.candidates()));
    let result = node.dial(url, authorities, secret.as_str(), stopped(stop)).await;
    node.shutdown().await;
    Ok(result?)
}

/// With the public addresses that STUN servers know, if they are to be asked: 3 s at most.
async fn detected(node: NodeConfig) -> NodeConfig {
    let mut detected = node.clone();
    let detecting = tokio::task::spawn_blocking(move || {
        detected.detect_public_ips();
        detected
    });
    // Were there a panic, the node would run as if nothing had been found.
    detecting.await.unwrap_or(node)
}

/// Becomes true at the first SIGINT or SIGTERM. A second one ends the process at once.
fn stop_signal() -> Result<watch::Receiver<bool>, std::io::Error> {
    let (sender, receiver) = watch::channel(false);
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        sender.send_replace(true);
        tokio::select! {
            _ = interrupt.recv() => std::process::exit(130),
            _ = terminate.recv() => std::process::exit(143),
        }
    });
    Ok(receiver)
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn url(server: &Server) -> String {
    let scheme = if server.certificate().is_some() { "https" } else { "http" };
    format!("{scheme}://{}", server.local_addr())
}

/// With a certificate that nobody vouches for, the fingerprint is what a person compares with what the browser shows.
fn report_certificate(server: &Server) {
    let Some(certificate) = server.certificate() else { return };
    if certificate.is_self_signed {
        info!(
            "a self-signed certificate {certificate}; browsers ask before they accept it: compare the fingerprint"
        );
    } else {
        info!("a certificate {certificate}");
    }
}

fn addresses(candidates: &[SocketAddr]) -> String {
    let list: Vec<String> = candidates.iter().map(ToString::to_string).collect();
    if list.is_empty() { "no address".into() } else { list.join(", ") }
}
