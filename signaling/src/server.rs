//! The server itself: routes, start and end.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::info;

use crate::Config;
use crate::app::App;
use crate::connection::client_socket;
use crate::node::{NodeHub, node_socket};
use crate::{health, page, whip};

/// How long open HTTP requests may take once the server goes away.
const DRAIN: Duration = Duration::from_secs(5);

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Without keys anybody could join any room.
    #[error(
        "refusing to listen on {0} without keys: anybody could join any room. Set --keys, listen on 127.0.0.1, \
         or say --insecure-open if that is what you want"
    )]
    Open(SocketAddr),
    /// The address is taken or not ours.
    #[error("can't listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
}

/// A server that has its port.
pub struct Server {
    app: App,
    listener: TcpListener,
    address: SocketAddr,
    shutdown: watch::Sender<bool>,
}

impl Server {
    /// Checks the configuration and takes the port.
    pub async fn bind(config: Config) -> Result<Self, StartError> {
        let listen = config.listen;
        if config.is_open() && !listen.ip().is_loopback() && !config.insecure_open {
            return Err(StartError::Open(listen));
        }
        let listener = TcpListener::bind(listen).await.map_err(|error| StartError::Listen(listen, error))?;
        let address = listener.local_addr().map_err(|error| StartError::Listen(listen, error))?;
        let (shutdown, is_down) = watch::channel(false);
        Ok(Self { app: App::new(config, is_down), listener, address, shutdown })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Where nodes attach.
    pub fn nodes(&self) -> NodeHub {
        self.app.hub.clone()
    }

    /// Serves until `stop` is done, then says goodbye to everybody and ends.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let Self { app, listener, shutdown, .. } = self;
        let (closing, mut is_closing) = watch::channel(false);
        let farewell = {
            let app = app.clone();
            async move {
                stop.await;
                info!("shutting down");
                app.rooms.shutdown().await;
                shutdown.send_replace(true);
                closing.send_replace(true);
                let everybody = u32::try_from(app.config.max_connections).unwrap_or(u32::MAX);
                let gone = app.connections.acquire_many(everybody);
                let _ = timeout(app.config.timing.close + DRAIN, gone).await;
            }
        };
        let drained = tokio::spawn(farewell);
        // Messages are small and each is awaited: none may wait for the acknowledgement of the one before (up to 40 ms).
        let listener = listener.tap_io(|tcp| {
            if let Err(error) = tcp.set_nodelay(true) {
                tracing::debug!(%error, "cannot switch Nagle's algorithm off");
            }
        });
        let serve = axum::serve(listener, routes(app)).with_graceful_shutdown(async move {
            let _ = is_closing.wait_for(|closing| *closing).await;
        });
        tokio::select! {
            result = async { serve.await } => result,
            _ = async { let _ = drained.await; tokio::time::sleep(DRAIN).await } => Ok(()),
        }
    }
}

fn routes(app: App) -> Router {
    Router::new()
        .route("/v1/ws", get(client_socket))
        .route("/v1/nodes", get(node_socket))
        .merge(whip::routes(&app))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .merge(page::routes())
        .with_state(app)
}
