//! The way out: OTLP over HTTP with protobuf, to a collector that speaks plain HTTP.
//!
//! Spans leave in batches from a thread of the SDK's own, which may block, so the client is a few lines on a socket and
//! brings neither a second HTTP client nor another TLS. A collector that is away costs spans, never a request.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanLimits};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use crate::TARGET;

/// Of each step of an export.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read. There is nothing of use in a longer one.
const ANSWER: u64 = 64 * 1024;

/// Why there is no exporter.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The URL is none, or not of plain HTTP.
    #[error("{0:?}: written as http://HOST:PORT, of a collector that takes OTLP over HTTP")]
    Url(String),
    /// The SDK refuses.
    #[error("{0}")]
    Sdk(String),
}

/// Sends what is recorded until it is shut down.
#[derive(Debug)]
pub struct Exporter(SdkTracerProvider);

impl Exporter {
    /// Sends what is left, 5 s at most.
    pub fn shutdown(self) {
        // A collector that is away is no reason to end badly.
        let _ = self.0.shutdown_with_timeout(PATIENCE);
    }
}

/// Records spans of [`TARGET`] and sends them to `endpoint` (`http://HOST:PORT`; `/v1/traces` is added) as a service's.
///
/// # Errors
/// The URL can't be used.
pub fn layer<S>(endpoint: &str, service: &str) -> Result<(impl Layer<S> + use<S>, Exporter), ExportError>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let authority = url.strip_prefix("http://").and_then(|rest| rest.split('/').next());
    if authority.is_none_or(|it| it.is_empty() || it.contains('@')) || url.parse::<http::Uri>().is_err() {
        return Err(ExportError::Url(endpoint.to_owned()));
    }
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Client)
        .with_endpoint(url)
        .build()
        .map_err(|error| ExportError::Sdk(error.to_string()))?;
    let resource = Resource::builder_empty()
        .with_attribute(KeyValue::new("service.name", service.to_owned()))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let limits = SpanLimits { max_events_per_span: 16, ..SpanLimits::default() };
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .with_span_limits(limits)
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("patchbay"))
        .with_filter(filter_fn(|metadata| metadata.target() == TARGET));
    Ok((layer, Exporter(provider)))
}

/// One exchange per connection. It blocks, as the thread it runs on has nothing else to do.
#[derive(Debug)]
struct Client;

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let authority = request.uri().authority().ok_or("no host")?;
        let host = authority.host().trim_matches(['[', ']']);
        let port = authority.port_u16().unwrap_or(80);
        let address = (host, port).to_socket_addrs()?.next().ok_or("no address")?;
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\ncontent-length: {}\r\n",
            request.method(),
            request.uri().path(),
            request.body().len()
        );
        for (name, value) in request.headers() {
            if !["host", "connection", "content-length"].contains(&name.as_str()) {
                head.push_str(&format!("{name}: {}\r\n", value.to_str()?));
            }
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes())?;
        stream.write_all(request.body())?;
        let mut answer = Vec::new();
        stream.take(ANSWER).read_to_end(&mut answer)?;
        let text = String::from_utf8_lossy(&answer);
        let status = text.split_whitespace().nth(1).and_then(|status| status.parse::<u16>().ok());
        Ok(Response::builder().status(status.ok_or("no HTTP")?).body(Bytes::new())?)
    }
}
