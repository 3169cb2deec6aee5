//! The link over a WebSocket: the node dials signaling and keeps coming back for ever.
//!
//! JSON text messages, the node's `hello` first. Either side may ping; a connection on which nothing at all came for
//! [`SILENCE`] is given up and dialled again.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use patchbay_protocol::node::{Command, Event};
use patchbay_protocol::{CommandId, ErrorCode, NODE_PROTOCOL, ProtocolError};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WebSocketError, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

use super::backoff::Backoff;
use super::{Control, FarEnd, LinkNumber, pair};

/// How often the node pings.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// Silence after which a connection is given up. Three pings.
const SILENCE: Duration = Duration::from_secs(15);
/// How long a connection may take to be there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that held for so long was a success: the next attempt does not wait long.
const SUCCESS: Duration = Duration::from_secs(10);
/// Bytes in one command. The largest is a room's blob, with the metadata of all its participants.
const MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// After the first failure of an outage, one in so many is logged as a warning.
const WARN_EVERY: u32 = 20;

/// Why a node cannot dial at all. Anything else is tried again for ever.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Neither a `ws://` nor a `wss://` URL.
    #[error("{url:?} is not a URL like ws://host:8080/v1/nodes, or wss")]
    Url {
        /// What was given.
        url: String,
    },
    /// The secret cannot stand in an HTTP header.
    #[error("the node secret must be printable ASCII")]
    Secret,
    /// Nothing to check signaling's certificate against.
    #[error("the certificates to check signaling's against: {0}")]
    Authorities(String),
    /// The node was shut down.
    #[error("the node is shut down")]
    NodeGone,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Dials one URL.
pub(crate) struct Dialer {
    request: Request,
    url: String,
    tls: Arc<ClientConfig>,
    control: mpsc::Sender<Control>,
}

/// How a connection ended.
enum End {
    Cancelled,
    NodeGone,
    Lost(String),
}

impl Dialer {
    pub(crate) fn new(
        url: &str,
        authorities: Option<&[u8]>,
        secret: &str,
        control: mpsc::Sender<Control>,
    ) -> Result<Self, DialError> {
        let invalid = || DialError::Url { url: url.to_owned() };
        let mut request = url.into_client_request().map_err(|_| invalid())?;
        if !matches!(request.uri().scheme_str(), Some("ws" | "wss")) || request.uri().host().is_none() {
            return Err(invalid());
        }
        let mut bearer = HeaderValue::from_str(&format!("Bearer {secret}")).map_err(|_| DialError::Secret)?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, bearer);
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(NODE_PROTOCOL));
        let tls = Arc::new(trusting(authorities)?);
        Ok(Self { request, url: url.to_owned(), tls, control })
    }

    /// Keeps a link until cancelled.
    pub(crate) async fn run(
        &self,
        mut cancelled: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<(), DialError> {
        let mut backoff = Backoff::default();
        loop {
            let began = tokio::time::Instant::now();
            let reason = match self.connect(cancelled.as_mut(), &mut backoff).await {
                End::Cancelled => return Ok(()),
                End::NodeGone => return Err(DialError::NodeGone),
                End::Lost(reason) => reason,
            };
            if began.elapsed() >= SUCCESS {
                backoff.reset();
            }
            let wait = backoff.next(rand::random());
            if backoff.failures() % WARN_EVERY == 1 {
                tracing::warn!(
                    url = self.url,
                    reason,
                    "no link to signaling; transports live on while it is tried again"
                );
            } else {
                tracing::debug!(url = self.url, reason, ?wait, "no link to signaling");
            }
            tokio::select! {
                () = cancelled.as_mut() => return Ok(()),
                () = sleep(wait) => {}
            }
        }
    }

    async fn connect(&self, mut cancelled: Pin<&mut impl Future<Output = ()>>, backoff: &mut Backoff) -> End {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES))
            .max_frame_size(Some(MESSAGE_BYTES))
            .read_buffer_size(16 * 1024);
        let connector = Connector::Rustls(self.tls.clone());
        let dialled =
            connect_async_tls_with_config(self.request.clone(), Some(config), true, Some(connector));
        let socket = tokio::select! {
            () = cancelled.as_mut() => return End::Cancelled,
            dialled = timeout(CONNECT_TIMEOUT, dialled) => match dialled {
                Ok(Ok((socket, _))) => socket,
                Ok(Err(error)) => return End::Lost(explain(&error)),
                Err(_) => return End::Lost("no answer in time".into()),
            },
        };
        let (attachment, FarEnd { commands, events }) = pair(true);
        let (number, numbered) = oneshot::channel();
        if self.control.send(Control::Attach { attachment, number: Some(number) }).await.is_err() {
            return End::NodeGone;
        }
        let Ok(number) = numbered.await else { return End::NodeGone };
        tracing::info!(url = self.url, after_failures = backoff.failures(), "linked to signaling");

        let (mut sink, stream) = socket.split();
        let end = tokio::select! {
            () = cancelled => End::Cancelled,
            end = write(&mut sink, events) => end,
            end = self.read(stream, &commands, number) => end,
        };
        if !matches!(end, End::Lost(_)) {
            // A farewell, so that signaling need not wait for silence.
            let _ = timeout(Duration::from_secs(1), sink.close()).await;
        }
        end
    }

    async fn read(
        &self,
        mut stream: SplitStream<Socket>,
        commands: &mpsc::Sender<Command>,
        link: LinkNumber,
    ) -> End {
        loop {
            let text = match timeout(SILENCE, stream.next()).await {
                Err(_) => return End::Lost("nothing came for too long".into()),
                Ok(None) => return End::Lost("closed".into()),
                Ok(Some(Err(error))) => return End::Lost(explain(&error)),
                Ok(Some(Ok(Message::Text(text)))) => text,
                Ok(Some(Ok(Message::Close(frame)))) => {
                    return End::Lost(
                        frame.map_or("closed".into(), |f| format!("closed: {} {}", f.code, f.reason)),
                    );
                }
                Ok(Some(Ok(_))) => continue,
            };
            let sent = match serde_json::from_str::<Command>(&text) {
                Ok(command) => commands.send(command).await.is_ok(),
                Err(error) => match serde_json::from_str::<CommandHead>(&text) {
                    Ok(CommandHead { id }) => {
                        let message = format!("this node does not understand the command: {error}");
                        let error = ProtocolError::new(ErrorCode::MalformedMessage, message);
                        self.control.send(Control::Refuse { link, command: id, error }).await.is_ok()
                    }
                    Err(_) => return End::Lost(format!("a message that is no command: {error}")),
                },
            };
            if !sent {
                // The dispatcher let go of this link: another has replaced it, or the node ends.
                return if self.control.is_closed() {
                    End::NodeGone
                } else {
                    End::Lost("another link has taken over".into())
                };
            }
        }
    }
}

/// Takes certificates that one of these (PEM) vouches for or is, or that the web's authorities vouch for.
fn trusting(authorities: Option<&[u8]>) -> Result<ClientConfig, DialError> {
    let mut roots = RootCertStore::empty();
    match authorities {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| DialError::Authorities(error.to_string()))?;
                roots.add(certificate).map_err(|error| DialError::Authorities(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(DialError::Authorities("no certificate in PEM is among them".to_owned()));
            }
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| DialError::Authorities(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// What even a command of an unknown type has.
#[derive(Deserialize)]
struct CommandHead {
    id: CommandId,
}

async fn write(sink: &mut SplitSink<Socket, Message>, mut events: mpsc::Receiver<Event>) -> End {
    let mut ping = interval(PING_INTERVAL);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            event = events.recv() => {
                let Some(event) = event else { return End::Lost("another link has taken over".into()) };
                match to_json(&event) {
                    Ok(text) => Message::text(text),
                    Err(error) => {
                        tracing::error!(%error, seq = event.seq, "an event that JSON cannot hold");
                        continue;
                    }
                }
            }
            _ = ping.tick() => Message::Ping(Vec::new().into()),
        };
        match timeout(SILENCE, sink.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return End::Lost(explain(&error)),
            Err(_) => return End::Lost("signaling does not read".into()),
        }
    }
}

fn to_json(event: &Event) -> Result<String, serde_json::Error> {
    serde_json::to_string(event)
}

fn explain(error: &WebSocketError) -> String {
    match error {
        WebSocketError::Http(response) if response.status() == StatusCode::UNAUTHORIZED => {
            "signaling refused the node secret (401)".into()
        }
        WebSocketError::Http(response) => format!("signaling answered {}", response.status()),
        other => other.to_string(),
    }
}
