//! The server itself: routes, start and end.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::middleware::{from_fn_with_state, map_response_with_state};
use axum::response::Response;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::info;

use crate::Config;
use crate::api;
use crate::app::App;
use crate::auth::{Authority, RevocationError, Revoker};
use crate::connection::{self, client_socket};
use crate::door::{Door, IceTcpTaker, Places, Visitor};
use crate::limit::identify;
use crate::node::{NodeHub, node_socket};
use crate::session::{SessionKey, SessionKeyError, sweep};
use crate::tls::{CertificateInfo, Tls, TlsError};
use crate::webhook::Webhooks;
use crate::{health, page, timeline, whip};

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
    /// The list of what was revoked can't be used, and to start without it would make good what was revoked.
    #[error("revocations: {0}")]
    Revocations(#[from] RevocationError),
    /// Sessions would not survive a restart.
    #[error("the key of sessions: {0}")]
    SessionKey(#[from] SessionKeyError),
    /// No certificate, or none that can be used.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
}

/// A server that has its port.
pub struct Server {
    app: App,
    listener: TcpListener,
    address: SocketAddr,
    shutdown: watch::Sender<bool>,
    links_end: watch::Sender<bool>,
    ice_tcp: Option<IceTcpTaker>,
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
        let tls = config.tls.clone().map(Tls::load).transpose()?.map(Arc::new);
        let authority = Authority::load(&config)?;
        let session_key = match &config.state_dir {
            Some(directory) => SessionKey::load(directory)?,
            None => SessionKey::random(),
        };
        let (shutdown, is_down) = watch::channel(false);
        let (links_end, links_are_over) = watch::channel(false);
        Ok(Self {
            app: App::new(config, authority, session_key, tls, is_down, links_are_over),
            listener,
            address,
            shutdown,
            links_end,
            ice_tcp: None,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The certificate it starts with, if it speaks TLS.
    pub fn certificate(&self) -> Option<CertificateInfo> {
        self.app.tls.as_ref().map(|tls| tls.current().info.clone())
    }

    /// Has connections that carry media handed over, which clients open here where their network lets nothing else through.
    /// Without this they are closed.
    pub fn take_ice_tcp(&mut self, taker: IceTcpTaker) {
        self.ice_tcp = Some(taker);
    }

    /// Where nodes attach.
    pub fn nodes(&self) -> NodeHub {
        self.app.hub.clone()
    }

    /// What takes tokens back.
    pub fn revoker(&self) -> Revoker {
        Revoker::new(self.app.clone())
    }

    /// Serves until `stop` is done, then says goodbye to everybody and ends.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        self.serve_and_drain(std::future::pending(), stop).await
    }

    /// Serves until `drain` is done, then sends everybody away, each at a time of its own, and ends once nobody is left
    /// or [`crate::Drain::timeout`] has passed. `stop` ends it sooner, with a goodbye.
    pub async fn serve_and_drain(
        self,
        drain: impl Future<Output = ()> + Send + 'static,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let Self { app, listener, shutdown, links_end, ice_tcp, .. } = self;
        let (closing, mut is_closing) = watch::channel(false);
        let secret = app.config.webhook_secret.as_ref();
        let webhooks = Webhooks::start(&app.config.webhooks, secret, &app.journal, &app.metrics);
        let farewell = {
            let app = app.clone();
            async move {
                let drained = async {
                    drain.await;
                    app.drain.run(&app).await;
                };
                tokio::select! {
                    () = drained => {}
                    () = stop => {}
                }
                info!("shutting down");
                app.rooms.shutdown().await;
                shutdown.send_replace(true);
                closing.send_replace(true);
                let everybody = u32::try_from(app.config.max_connections).unwrap_or(u32::MAX);
                let gone = app.connections.acquire_many(everybody);
                let _ = timeout(app.config.timing.close + DRAIN, gone).await;
                webhooks.end(DRAIN).await;
                // Last, so that nodes hear which transports are over.
                links_end.send_replace(true);
                let _ = timeout(DRAIN, app.links.acquire_many(crate::app::MAX_LINKS)).await;
            }
        };
        let mut farewell = tokio::spawn(farewell);
        let _sweeper = AbortOnDrop(tokio::spawn(sweep(app.clone())));
        let tls = app.tls.clone();
        let _renewal =
            tls.clone().map(|tls| AbortOnDrop(tokio::spawn(tls.keep_fresh(app.config.tls_refresh))));
        let _new_keys = AbortOnDrop(tokio::spawn(app.authority.clone().keep_fresh()));
        let places = Places::new(
            app.config.http_connections(),
            app.config.connections_per_address,
            app.config.proxies.clone(),
            app.metrics.clone(),
        );
        let serve = axum::serve(
            Door::new(listener, tls, ice_tcp, places),
            routes(app).into_make_service_with_connect_info::<Visitor>(),
        )
        .with_graceful_shutdown(async move {
            let _ = is_closing.wait_for(|closing| *closing).await;
        });
        let mut serving = tokio::spawn(async { serve.await });
        tokio::select! {
            biased;
            _ = &mut farewell => {}
            served = &mut serving => {
                // Without connections there is nothing more to serve at once; what was said goodbye to is still on its way.
                served.map_err(io::Error::other)??;
                let _ = farewell.await;
                return Ok(());
            }
        }
        // What is left are requests under way.
        match timeout(DRAIN, &mut serving).await {
            Ok(served) => served.map_err(io::Error::other)?,
            Err(_) => {
                serving.abort();
                Ok(())
            }
        }
    }
}

fn routes(app: App) -> Router {
    Router::new()
        .route("/v1/ws", get(client_socket))
        .merge(connection::routes(&app))
        .route("/v1/nodes", get(node_socket))
        .merge(whip::routes(&app))
        .merge(timeline::routes())
        .merge(api::routes(&app))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .merge(page::routes())
        .layer(map_response_with_state(app.clone(), insist_on_tls))
        .layer(from_fn_with_state(app.clone(), identify))
        .with_state(app)
}

/// Has browsers use TLS without asking for a year, unless they had to be told to accept the certificate (RFC 6797 §8.1).
async fn insist_on_tls(State(app): State<App>, mut response: Response) -> Response {
    if app.tls.as_ref().is_some_and(|tls| tls.is_vouched_for()) {
        let value = HeaderValue::from_static("max-age=31536000");
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
    response
}

/// A task that ends with whoever started it.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
