//! Who may ask for what: one table.

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use patchbay_protocol::{ErrorCode, ProtocolError};

use super::error::ApiError;
use crate::app::App;
use crate::auth::{ApiClaims, Scope, bearer};
use crate::limit::Caller;
use crate::origin;

/// The scope of each operation. What is not in it is refused.
pub(super) const TABLE: [(&str, &str, Scope); 22] = [
    ("GET", "/v1/rooms", Scope::RoomsRead),
    ("POST", "/v1/rooms", Scope::RoomsWrite),
    ("GET", "/v1/rooms/{room}", Scope::RoomsRead),
    ("PATCH", "/v1/rooms/{room}", Scope::RoomsWrite),
    ("DELETE", "/v1/rooms/{room}", Scope::RoomsWrite),
    ("GET", "/v1/rooms/{room}/tracks", Scope::RoomsRead),
    ("DELETE", "/v1/rooms/{room}/bans/{identity}", Scope::RoomsWrite),
    ("GET", "/v1/rooms/{room}/participants", Scope::RoomsRead),
    ("GET", "/v1/rooms/{room}/participants/{identity}", Scope::RoomsRead),
    ("PATCH", "/v1/rooms/{room}/participants/{identity}", Scope::RoomsWrite),
    ("DELETE", "/v1/rooms/{room}/participants/{identity}", Scope::RoomsWrite),
    ("POST", "/v1/rooms/{room}/participants/{identity}/mute", Scope::RoomsWrite),
    ("POST", "/v1/rooms/{room}/participants/{identity}/admit", Scope::RoomsWrite),
    ("POST", "/v1/rooms/{room}/participants/{identity}/deny", Scope::RoomsWrite),
    ("POST", "/v1/rooms/{room}/participants/{identity}/rpc", Scope::Data),
    ("GET", "/v1/rooms/{room}/chat", Scope::RoomsRead),
    ("POST", "/v1/rooms/{room}/chat", Scope::Data),
    ("POST", "/v1/rooms/{room}/data", Scope::Data),
    ("POST", "/v1/tokens", Scope::Tokens),
    ("POST", "/v1/revocations", Scope::Tokens),
    ("GET", "/v1/status", Scope::Status),
    ("GET", "/v1/events", Scope::Events),
];

/// By whose token a request is made; nobody's on an open server.
#[derive(Debug, Clone)]
pub(super) struct Bearer(pub(super) Option<ApiClaims>);

/// Goes around every operation.
pub(super) async fn guard(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let response = match check(&app, &request) {
        Ok(bearer) => {
            request.extensions_mut().insert(bearer);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    };
    app.metrics.api_request(response.status().as_u16());
    response
}

fn check(app: &App, request: &Request) -> Result<Bearer, ApiError> {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    if path == Some("/v1/openapi.json") {
        return Ok(Bearer(None));
    }
    if let Some(caller) = request.extensions().get::<Caller>() {
        app.api_rate.take(caller.address).map_err(|wait| {
            let message = "too many requests from this address";
            ProtocolError::new(ErrorCode::RateLimited, message).retry_after(wait)
        })?;
    }
    let headers = request.headers();
    if origin::check(&app.config, headers) == origin::Verdict::Refused {
        app.metrics.origin_refused.add(1);
        return Err(ApiError::new(StatusCode::FORBIDDEN, "not_allowed", "this Origin is foreign"));
    }
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    let scope = TABLE
        .iter()
        .find(|(listed, of, _)| method.as_str() == *listed && path == Some(*of))
        .map(|(_, _, scope)| *scope)
        .ok_or_else(|| ApiError::new(StatusCode::FORBIDDEN, "not_allowed", "nobody may do this"))?;
    match app.authority.check_api(bearer(headers))? {
        None => check_open(app, request).map(|()| Bearer(None)),
        Some(claims) if claims.allows(scope) => Ok(Bearer(Some(claims))),
        Some(_) => {
            let message = format!("the token lacks the scope {}", scope.name());
            Err(ApiError::new(StatusCode::FORBIDDEN, "not_allowed", message))
        }
    }
}

/// Whoever reaches an open server on loopback may do everything, but no page under a foreign name that resolves to loopback.
fn check_open(app: &App, request: &Request) -> Result<(), ApiError> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if app.config.listen.ip().is_loopback() && origin::is_loopback_name(host) {
        return Ok(());
    }
    let message = "a server without keys has an API on loopback only";
    Err(ApiError::new(StatusCode::FORBIDDEN, "not_allowed", message))
}
