//! Who a request comes from, settled before anybody looks at it.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::{Body, HttpBody as _};
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::StreamExt as _;
use patchbay_protocol::{ErrorCode, ProtocolError};

use super::Place;
use crate::app::App;
use crate::door::Visitor;
use crate::refusal::{refusal, spread_retry};

/// Where a request comes from: the connection's far end, or the client that a trusted proxy speaks for.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The client's address.
    pub(crate) address: IpAddr,
    /// Its place among those behind a proxy, for as long as somebody keeps this. Without a proxy the connection has it.
    _place: Option<Arc<Place>>,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get().cloned().ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// Finds out who calls, and turns away who has too many connections. Goes around everything else.
pub(crate) async fn identify(
    State(app): State<App>,
    ConnectInfo(visitor): ConnectInfo<Visitor>,
    mut request: Request,
    next: Next,
) -> Response {
    if visitor.is_over {
        let mut response = too_many(&app);
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        return response;
    }
    let peer = visitor.address.ip();
    let address = app.config.proxies.client_address(peer, request.headers());
    let mut place = None;
    if app.config.proxies.contains(peer) {
        place = app.proxied.enter(address).map(Arc::new);
        if place.is_none() {
            return too_many(&app);
        }
    }
    request.extensions_mut().insert(Caller { address, _place: place.clone() });
    let response = next.run(request).await;
    match place {
        // A response without a known end, such as an event stream, is a connection as long as it lasts.
        Some(place) if response.body().size_hint().exact().is_none() => response.map(|body| {
            Body::from_stream(body.into_data_stream().map(move |chunk| {
                let _here = &place;
                chunk
            }))
        }),
        _ => response,
    }
}

fn too_many(app: &App) -> Response {
    app.metrics.connections_refused.add(1);
    app.metrics.error(ErrorCode::TooMany);
    let error = ProtocolError::new(ErrorCode::TooMany, "too many connections from this address");
    refusal(error.retry_after(spread_retry()))
}
