//! Status codes and headers.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use patchbay_protocol::{IceServer, ProtocolError};

use super::{FRAGMENT, SDP};
use crate::app::App;
use crate::origin::{Verdict, check};
use crate::refusal::refusal;

const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// Why a request was not carried out.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A refusal of the room, the door or the node.
    Protocol(ProtocolError),
    /// One that only HTTP knows.
    Status(StatusCode, &'static str),
}

impl From<ProtocolError> for Refusal {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let error = match self {
            Self::Status(status, message) => {
                let mut response = (status, format!("{message}\n")).into_response();
                let accepts = match status {
                    StatusCode::NOT_ACCEPTABLE | StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                        Some((ACCEPT_POST, SDP))
                    }
                    _ => None,
                };
                if let Some((name, value)) = accepts {
                    response.headers_mut().insert(name, HeaderValue::from_static(value));
                    response.headers_mut().insert(ACCEPT_PATCH, HeaderValue::from_static(FRAGMENT));
                }
                return response;
            }
            Self::Protocol(error) => error,
        };
        refusal(error)
    }
}

/// `Link` headers with the ICE servers (RFC 9725 §4.6).
pub(super) fn add_ice_links(headers: &mut HeaderMap, servers: &[IceServer]) {
    for server in servers {
        for url in &server.urls {
            let mut link = format!("<{url}>; rel=\"ice-server\"");
            if let (Some(username), Some(credential)) = (&server.username, &server.credential) {
                let (username, credential) = (quote(username), quote(credential));
                link += &format!(
                    "; username=\"{username}\"; credential=\"{credential}\"; credential-type=\"password\""
                );
            }
            if let Ok(value) = HeaderValue::from_str(&link) {
                headers.append(header::LINK, value);
            }
        }
    }
}

fn quote(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// `OPTIONS` of an endpoint.
pub(super) async fn endpoint_options() -> impl IntoResponse {
    (StatusCode::NO_CONTENT, [(ACCEPT_POST, SDP), (header::ALLOW, "POST, OPTIONS")])
}

/// `OPTIONS` of a resource.
pub(super) async fn resource_options() -> impl IntoResponse {
    (StatusCode::NO_CONTENT, [(ACCEPT_PATCH, FRAGMENT), (header::ALLOW, "PATCH, DELETE, OPTIONS")])
}

/// Keeps foreign pages out, and tells allowed ones what they may read.
pub(super) async fn cors(State(app): State<App>, request: Request, next: Next) -> Response {
    let origin = match check(&app.config, request.headers()) {
        Verdict::NoOrigin => return next.run(request).await,
        Verdict::Refused => {
            app.metrics.origin_refused.add(1);
            return (StatusCode::FORBIDDEN, "this origin is not allowed\n").into_response();
        }
        Verdict::Allowed(origin) => origin,
    };
    let is_preflight = request.method() == Method::OPTIONS;
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    if let Ok(origin) = HeaderValue::from_str(&origin) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    let exposed = HeaderValue::from_static("Location, ETag, Link, Accept-Post, Accept-Patch, Retry-After");
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    if is_preflight {
        let allowed = HeaderValue::from_static("Authorization, Content-Type, If-Match");
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        let methods = HeaderValue::from_static("POST, PATCH, DELETE, OPTIONS");
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
    response
}
