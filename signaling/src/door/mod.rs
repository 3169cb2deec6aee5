//! The front door: connections as they come, told apart by what they say first.
//!
//! Goes in: a listening socket and, for TLS, a certificate. Comes out: streams of HTTP. With TLS, a handshake takes place
//! in a task of its own, so that nobody waits for a slow one; a client that speaks plain HTTP to the TLS port is told
//! where to go.

mod redirect;
mod stream;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tracing::debug;

pub(crate) use self::stream::Stream;
use crate::tls::Tls;

/// How long somebody may take from the first byte to the end of the handshake.
const GREETING: Duration = Duration::from_secs(10);
/// Handshakes at a time. Each holds about 20 KB; over it, connections are closed at once.
const GREETINGS: usize = 4_096;
/// Streams that wait for the server to take them.
const WAITING: usize = 64;
/// The first byte of a TLS record that carries a handshake (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 22;

/// A listening socket, with TLS or without.
pub(crate) struct Door {
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    greetings: Arc<Semaphore>,
    ready: (mpsc::Sender<(Stream, SocketAddr)>, mpsc::Receiver<(Stream, SocketAddr)>),
}

impl Door {
    pub(crate) fn new(listener: TcpListener, tls: Option<Arc<Tls>>) -> Self {
        Self { listener, tls, greetings: Arc::new(Semaphore::new(GREETINGS)), ready: mpsc::channel(WAITING) }
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
                    let Some(tls) = self.tls.clone() else { return (Stream::Plain(socket), from) };
                    let Ok(permit) = self.greetings.clone().try_acquire_owned() else { continue };
                    let ready = self.ready.0.clone();
                    tokio::spawn(async move {
                        match timeout(GREETING, greet(socket, &tls)).await {
                            Ok(Ok(Some(stream))) => {
                                drop(permit);
                                let _ = ready.send((stream, from)).await;
                            }
                            Ok(Ok(None)) => {}
                            Ok(Err(error)) => debug!("no TLS with {from}: {error}"),
                            Err(_) => debug!("no TLS with {from}: too slow"),
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

/// Does the handshake, or tells a client that meant plain HTTP so.
async fn greet(socket: TcpStream, tls: &Tls) -> io::Result<Option<Stream>> {
    let mut first = [0];
    if socket.peek(&mut first).await? == 0 {
        return Ok(None);
    }
    match first {
        [TLS_HANDSHAKE] => {
            let stream = TlsAcceptor::from(tls.config()).accept(socket).await?;
            Ok(Some(Stream::Tls(Box::new(stream))))
        }
        [byte] if byte.is_ascii_alphabetic() => redirect::answer(socket).await.map(|()| None),
        _ => Ok(None),
    }
}
