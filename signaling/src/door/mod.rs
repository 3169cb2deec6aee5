//! The front door: connections as they come, told apart by what they say first.
//!
//! Goes in: a listening socket and, for TLS, a certificate. Comes out: streams of HTTP. With TLS, a handshake takes place
//! in a task of its own, so that nobody waits for a slow one; a client that speaks plain HTTP to the TLS port is told
//! where to go. Media that comes in here because the client's network lets nothing else through (RFC 6544) is handed to
//! an SFU node in the same process, if there is one that takes it.

mod first_bytes;
mod ice_tcp;
mod redirect;
mod stream;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use self::first_bytes::{ENOUGH, FirstBytes, classify_first_bytes};
pub use self::ice_tcp::IceTcpTaker;
use self::stream::Carrier;
pub(crate) use self::stream::Stream;
use crate::limit::{Crowd, TrustedProxies};
use crate::metric::Metrics;
use crate::tls::Tls;

/// How long somebody may take from the first byte to the end of the handshake.
const GREETING: Duration = Duration::from_secs(10);
/// Streams that wait for the server to take them.
const WAITING: usize = 64;

/// Greetings under way in all. Each holds up to 20 KB while a TLS handshake is under way.
const GREETINGS: usize = 4_096;
/// From one household. A greeting takes a round trip or two, so this is not how many a large office may have connected.
const GREETINGS_OF_ONE: usize = 256;
/// Connections over their address's bound that are told so. The next ones are closed without a word.
const TOLD: usize = 1_024;
/// Of one household.
const TOLD_OF_ONE: usize = 16;

/// Whose connection a request came on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visitor {
    /// The far end of the connection; perhaps a proxy.
    pub(crate) address: SocketAddr,
    /// Its address has too many connections already.
    pub(crate) is_over: bool,
}

impl Connected<IncomingStream<'_, Door>> for Visitor {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        Self { address: *stream.remote_addr(), is_over: stream.io().is_over() }
    }
}

/// A listening socket, with TLS or without.
pub(crate) struct Door {
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    ice_tcp: Option<IceTcpTaker>,
    greetings: Crowd,
    places: Places,
    ready: (mpsc::Sender<Guest>, mpsc::Receiver<Guest>),
}

/// A connection that has been greeted, and where it came from.
type Guest = (Stream, SocketAddr);

/// Who may have how many connections of HTTP.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// Connections that are served.
    served: Crowd,
    /// Connections that are told that they are too many.
    told: Crowd,
    proxies: Arc<TrustedProxies>,
    metrics: Arc<Metrics>,
}

impl Places {
    /// So many connections in all, and of one household unless it is a proxy's.
    pub(crate) fn new(in_all: usize, of_one: usize, proxies: TrustedProxies, metrics: Arc<Metrics>) -> Self {
        let (served, told) = (Crowd::new(in_all, of_one), Crowd::new(TOLD, TOLD_OF_ONE));
        Self { served, told, proxies: Arc::new(proxies), metrics }
    }

    /// Gives a connection its place, or nothing to one too many.
    fn seat(&self, carrier: Carrier, from: SocketAddr) -> Option<Stream> {
        let is_proxy = self.proxies.contains(from.ip());
        let served = if is_proxy { self.served.enter_for_many() } else { self.served.enter(from.ip()) };
        if let Some(place) = served {
            return Some(Stream::new(carrier, place, false));
        }
        match self.told.enter(from.ip()) {
            Some(place) => Some(Stream::new(carrier, place, true)),
            None => {
                self.metrics.connections_refused.add(1);
                None
            }
        }
    }
}

impl Door {
    /// `ice_tcp` takes the connections that turn out to carry media.
    pub(crate) fn new(
        listener: TcpListener,
        tls: Option<Arc<Tls>>,
        ice_tcp: Option<IceTcpTaker>,
        places: Places,
    ) -> Self {
        let greetings = Crowd::new(GREETINGS, GREETINGS_OF_ONE);
        Self { listener, tls, ice_tcp, greetings, places, ready: mpsc::channel(WAITING) }
    }
}

impl Listener for Door {
    type Io = Stream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Stream, SocketAddr) {
        loop {
            tokio::select! {
                Some(ready) = self.ready.1.recv() => return ready,
                (socket, from) = Listener::accept(&mut self.listener) => {
                    // Messages are small and each is awaited: none may wait for the acknowledgement of the one before (up to 40 ms).
                    if let Err(error) = socket.set_nodelay(true) {
                        debug!(%error, "cannot switch Nagle's algorithm off");
                    }
                    if self.tls.is_none() && self.ice_tcp.is_none() {
                        match self.places.seat(Carrier::Plain(socket), from) {
                            Some(stream) => return (stream, from),
                            None => continue,
                        }
                    }
                    let (tls, ice_tcp) = (self.tls.clone(), self.ice_tcp.clone());
                    let Some(place) = self.greetings.enter(from.ip()) else { continue };
                    let (ready, places) = (self.ready.0.clone(), self.places.clone());
                    tokio::spawn(async move {
                        match timeout(GREETING, greet(socket, tls.as_deref(), ice_tcp.as_ref())).await {
                            Ok(Ok(Some(carrier))) => {
                                drop(place);
                                if let Some(stream) = places.seat(carrier, from) {
                                    let _ = ready.send((stream, from)).await;
                                }
                            }
                            Ok(Ok(None)) => {}
                            Ok(Err(error)) => debug!("no greeting from {from}: {error}"),
                            Err(_) => debug!("no greeting from {from}: too slow"),
                        }
                    });
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Does the handshake, or tells a client that meant plain HTTP so, or hands a media connection over.
async fn greet(
    socket: TcpStream,
    tls: Option<&Tls>,
    ice_tcp: Option<&IceTcpTaker>,
) -> io::Result<Option<Carrier>> {
    let mut first = [0; ENOUGH];
    let length = socket.peek(&mut first).await?;
    if length == 0 {
        return Ok(None);
    }
    match (classify_first_bytes(first.get(..length).unwrap_or_default()), tls, ice_tcp) {
        (FirstBytes::Tls, Some(tls), _) => {
            let stream = TlsAcceptor::from(tls.config()).accept(socket).await?;
            Ok(Some(Carrier::Tls(Box::new(stream))))
        }
        (FirstBytes::IceTcp | FirstBytes::NeedMore, _, Some(taker)) => {
            ice_tcp::hand_over(socket, taker).await.map(|()| None)
        }
        (FirstBytes::Http, Some(_), _) => redirect::answer(socket).await.map(|()| None),
        (_, Some(_), _) => Ok(None),
        // Whatever else it is, it is told so in HTTP.
        (_, None, _) => Ok(Some(Carrier::Plain(socket))),
    }
}
