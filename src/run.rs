//! Starting and stopping the parts of the process.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use patchbay_sfu::{DialError, Node, NodeConfig};
use patchbay_signaling::{IceTcpTaker, Secret, Server};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::info;

use crate::config::{Config, ConfigError, Role};

/// Why the process ends badly.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("--log: {0}")]
    Log(String),
    #[error("--otlp-endpoint {0}")]
    Traces(patchbay_trace::ExportError),
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
        let stop = Stop::listen()?;
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
                Ok(server.serve_and_drain(stop.drain(), stop.stop()).await?)
            }
            Role::Sfu { node, url, authorities, secret } => {
                dial(node, &url, authorities.as_deref(), &secret, config.drain_timeout, stop).await
            }
        }
    })
}

async fn serve(
    signaling: patchbay_signaling::Config,
    mut node: NodeConfig,
    has_ice_tcp_http: bool,
    stop: Stop,
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
    let served = server.serve_and_drain(stop.drain(), stop.stop()).await;
    node.shutdown().await;
    Ok(served?)
}

async fn dial(
    node: NodeConfig,
    url: &str,
    authorities: Option<&[u8]>,
    secret: &Secret,
    drain_timeout: Duration,
    stop: Stop,
) -> Result<(), Failure> {
    let node = Node::start(detected(node).await)?;
    info!("node {} dials {url}; media on {}", node.name(), addresses(node.candidates()));
    let ended = async {
        tokio::select! {
            () = stop.stop() => {}
            () = stop.drain() => {
                info!(timeout_s = drain_timeout.as_secs(), "draining: media goes on, nothing new is placed here");
                let is_empty = timeout(drain_timeout, node.drain()).await.is_ok();
                info!(is_empty, "drained");
            }
        }
    };
    let result = node.dial(url, authorities, secret.as_str(), ended).await;
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

/// What the process was told about its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    /// Nothing yet.
    No,
    /// SIGTERM: it ends when nobody is left, and takes nobody new.
    Drain,
    /// SIGINT, from a person who waits: it says goodbye and ends.
    Stop,
}

/// The signals that end the process. A second one, or SIGTERM while it drains, ends it at once.
#[derive(Clone)]
struct Stop(watch::Receiver<Ending>);

impl Stop {
    fn listen() -> Result<Self, std::io::Error> {
        let (sender, receiver) = watch::channel(Ending::No);
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => sender.send_replace(Ending::Stop),
                _ = terminate.recv() => sender.send_replace(Ending::Drain),
            };
            tokio::select! {
                _ = interrupt.recv() => std::process::exit(130),
                _ = terminate.recv() => std::process::exit(143),
            }
        });
        Ok(Self(receiver))
    }

    /// Done once the process is to drain.
    fn drain(&self) -> impl Future<Output = ()> + Send + 'static {
        self.until(Ending::Drain)
    }

    /// Done once the process is to end without draining.
    fn stop(&self) -> impl Future<Output = ()> + Send + 'static {
        self.until(Ending::Stop)
    }

    fn until(&self, ending: Ending) -> impl Future<Output = ()> + Send + 'static {
        let mut ended = self.0.clone();
        async move {
            // Whoever listens for signals outlives everybody who waits for them.
            if ended.wait_for(|it| *it == ending).await.is_err() {
                std::future::pending().await
            }
        }
    }
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
