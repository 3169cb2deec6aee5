//! One POST: a connection of its own, no redirects, and nothing of the answer but its status.

use std::fmt;
use std::sync::Arc;

use axum::http::uri::{Authority, Scheme, Uri};
use axum::http::{Method, Request, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Bytes of an answer that are read. There is nothing of use in it.
const ANSWER_BYTES: usize = 64 * 1024;

/// Where to post.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    is_tls: bool,
    authority: Authority,
    path: String,
}

impl Endpoint {
    pub(super) fn parse(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let is_tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return None,
        };
        let authority =
            uri.authority().filter(|it| !it.host().is_empty() && !it.as_str().contains('@'))?.clone();
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Some(Self { is_tls, authority, path })
    }

    fn host(&self) -> &str {
        self.authority.host().trim_matches(['[', ']'])
    }

    fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.is_tls { 443 } else { 80 })
    }
}

/// For logs: without what stands behind the question mark, which may be a secret.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        let path = self.path.split('?').next().unwrap_or_default();
        write!(f, "{scheme}://{}{path}", self.authority)
    }
}

/// Makes connections.
#[derive(Clone)]
pub(super) struct Client {
    tls: TlsConnector,
}

impl Client {
    pub(super) fn new() -> Self {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap_or_else(|error| unreachable!("ring speaks TLS 1.2 and 1.3: {error}"))
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { tls: TlsConnector::from(Arc::new(config)) }
    }

    /// Posts JSON. Anything but a status of 2xx is a failure, told in words.
    pub(super) async fn post(&self, to: &Endpoint, signature: &str, body: String) -> Result<(), String> {
        let socket = TcpStream::connect((to.host(), to.port())).await.map_err(|error| error.to_string())?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(&to.path)
            .header(header::HOST, to.authority.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONNECTION, "close")
            .header(header::USER_AGENT, concat!("patchbay/", env!("CARGO_PKG_VERSION")))
            .header("patchbay-signature", signature)
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| error.to_string())?;
        if !to.is_tls {
            return exchange(socket, request).await;
        }
        let name = ServerName::try_from(to.host().to_owned()).map_err(|error| error.to_string())?;
        exchange(self.tls.connect(name, socket).await.map_err(|error| error.to_string())?, request).await
    }
}

async fn exchange(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<(), String> {
    let words = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.map_err(words)?;
    let answered = async move {
        let response = sender.send_request(request).await.map_err(words)?;
        let status = response.status();
        // A target that is still writing is not cut off in the middle.
        let _ = Limited::new(response.into_body(), ANSWER_BYTES).collect().await;
        if status.is_success() { Ok(()) } else { Err(format!("status {}", status.as_u16())) }
    };
    tokio::pin!(connection, answered);
    let mut is_open = true;
    loop {
        tokio::select! {
            answer = &mut answered => return answer,
            _ = &mut connection, if is_open => is_open = false,
        }
    }
}
