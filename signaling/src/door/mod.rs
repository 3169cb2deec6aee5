//! The front door: connections as they come, told apart by what they say first.
//!
//! Goes in: a listening socket and, for TLS, a certificate. Comes out: streams of HTTP. With TLS, a handshake takes place
//! in a task of its own, so that nobody waits for a slow one; a client that speaks plain HTTP to the TLS port is told
//! where to go. Media that comes in here because the client's network lets nothing else through (RFC 6544) is handed to
//! an SFU node in the same process, if there is one that takes it.

mod crowd;
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

use self::crowd::Crowd;
use self::first_bytes::{ENOUGH, FirstBytes, classify_first_bytes};
pub use self::ice_tcp::IceTcpTaker;
pub(crate) use self::stream::Stream;
use crate::tls::Tls;

/// How long somebody may take from the first byte to the end of the handshake.
const GREETING: Duration = Duration::from_secs(10);
/// Streams that wait for the server to take them.
const WAITING: usize = 64;

/// Whose connection a request came on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visitor(pub(crate) SocketAddr);

impl Connected<IncomingStream<'_, Door>> for Visitor {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// A listening socket, with TLS or without.
pub(crate) struct Door {
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    ice_tcp: Option<IceTcpTaker>,
    greetings: Crowd,
    ready: (mpsc::Sender<Guest>, mpsc::Receiver<Guest>),
}

/// A connection that has been greeted, and where it came from.
type Guest = (Stream, SocketAddr);

impl Door {
    /// `ice_tcp` takes the connections that turn out to carry media.
    pub(crate) fn new(listener: TcpListener, tls: Option<Arc<Tls>>, ice_tcp: Option<IceTcpTaker>) -> Self {
        Self { listener, tls, ice_tcp, greetings: Crowd::default(), ready: mpsc::channel(WAITING) }
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
                        return (Stream::Plain(socket), from);
                    }
                    let (tls, ice_tcp) = (self.tls.clone(), self.ice_tcp.clone());
                    let Some(place) = self.greetings.enter(from.ip()) else { continue };
                    let ready = self.ready.0.clone();
                    tokio::spawn(async move {
                        match timeout(GREETING, greet(socket, tls.as_deref(), ice_tcp.as_ref())).await {
                            Ok(Ok(Some(stream))) => {
                                drop(place);
                                let _ = ready.send((stream, from)).await;
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
) -> io::Result<Option<Stream>> {
    let mut first = [0; ENOUGH];
    let length = socket.peek(&mut first).await?;
    if length == 0 {
        return Ok(None);
    }
    match (classify_first_bytes(first.get(..length).unwrap_or_default()), tls, ice_tcp) {
        (FirstBytes::Tls, Some(tls), _) => {
            let stream = TlsAcceptor::from(tls.config()).accept(socket).await?;
            Ok(Some(Stream::Tls(Box::new(stream))))
        }
        (FirstBytes::IceTcp | FirstBytes::NeedMore, _, Some(taker)) => {
            ice_tcp::hand_over(socket, taker).await.map(|()| None)
        }
        (FirstBytes::Http, Some(_), _) => redirect::answer(socket).await.map(|()| None),
        (_, Some(_), _) => Ok(None),
        // Whatever else it is, it is told so in HTTP.
        (_, None, _) => Ok(Some(Stream::Plain(socket))),
    }
}
