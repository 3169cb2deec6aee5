//! The web page: the files of `web/`, embedded in the binary and served with strict headers.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use patchbay_protocol::limit;
use rust_embed::{EmbeddedFile, RustEmbed};
use tower_http::compression::CompressionLayer;

use crate::app::App;

/// What is served: pages, scripts, styles and pictures. Tests and whatever belongs to building stay out.
#[derive(RustEmbed)]
#[folder = "../web"]
#[include = "*.html"]
#[include = "*.js"]
#[include = "*.mjs"]
#[include = "*.css"]
#[include = "*.svg"]
#[include = "*.png"]
#[include = "*.ico"]
#[include = "*.wasm"]
#[include = "*.webmanifest"]
#[include = "*.txt"]
#[include = "*.d.ts"]
#[exclude = "*.test.*"]
#[exclude = "tests/*"]
#[exclude = "*/tests/*"]
#[exclude = "node_modules/*"]
#[exclude = "*/node_modules/*"]
struct Web;

const REFERRER_POLICY: HeaderValue = HeaderValue::from_static("no-referrer");
const PERMISSIONS_POLICY: HeaderValue = HeaderValue::from_static(
    "camera=(self), microphone=(self), display-capture=(self), fullscreen=(self), autoplay=(self), \
     speaker-selection=(self), picture-in-picture=(self), screen-wake-lock=(self), geolocation=(), payment=(), usb=()",
);
/// Files change only with the binary, but have no version in their names: a cache asks every time, and mostly hears "not modified".
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("no-cache");

/// The page's paths: everything that is not the API's. Compressed on the way, as scripts shrink to a third.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(landing))
        .route("/r/{room}", get(room))
        .route("/arena", get(arena))
        .route("/dashboard", get(dashboard))
        .fallback(get(file))
        .layer(CompressionLayer::new())
}

/// `/`.
async fn landing(State(app): State<App>, headers: HeaderMap) -> Response {
    serve(&app, "index.html", &headers)
}

/// `/arena`: the demonstration of topics, in the room that its query names.
async fn arena(State(app): State<App>, headers: HeaderMap) -> Response {
    serve(&app, "arena.html", &headers)
}

/// `/dashboard`: what goes on here, for operators. The page holds no secret; what it shows it asks the API for.
async fn dashboard(State(app): State<App>, headers: HeaderMap) -> Response {
    serve(&app, "dashboard.html", &headers)
}

/// `/r/{room}`: the same page, which reads the room from its address.
async fn room(State(app): State<App>, Path(room): Path<String>, headers: HeaderMap) -> Response {
    if limit::is_room_name(&room) { serve(&app, "index.html", &headers) } else { not_found() }
}

/// Any other path: a file, if there is one. Names are looked up in the embedded list, never in a file system.
async fn file(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    let is_plain = path.split('/').all(|part| !part.is_empty() && !part.starts_with('.'))
        && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_'));
    if is_plain { serve(&app, path, &headers) } else { not_found() }
}

fn serve(app: &App, path: &str, request: &HeaderMap) -> Response {
    let Some(file) = Web::get(path) else { return not_found() };
    let etag = etag(&file);
    let is_known = request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim().trim_start_matches("W/") == etag);
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = file.data.into_owned().into_response();
        if let Ok(kind) = HeaderValue::from_str(&media_type(path, file.metadata.mimetype())) {
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        response
    };
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(header::CACHE_CONTROL, CACHE_CONTROL);
    if let Ok(policy) = HeaderValue::from_str(&content_policy(request, app.tls.is_some())) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(HeaderName::from_static("permissions-policy"), PERMISSIONS_POLICY);
    headers.insert(header::REFERRER_POLICY, REFERRER_POLICY);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    );
    response
}

/// Scripts and styles from here only, nothing inline, no frames. `connect-src` names the WebSocket: older browsers don't
/// count it as `'self'`.
fn content_policy(request: &HeaderMap, is_tls: bool) -> String {
    let host = request.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let is_plain = host
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']'));
    let sockets = match is_plain && !host.is_empty() {
        true if is_tls => format!(" wss://{host}"),
        // Perhaps a proxy speaks TLS for this server.
        true => format!(" ws://{host} wss://{host}"),
        false => String::new(),
    };
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; \
         font-src 'self'; worker-src 'self'; manifest-src 'self'; connect-src 'self'{sockets}; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'"
    )
}

fn media_type(path: &str, guessed: &str) -> String {
    let kind = if path.ends_with(".js") || path.ends_with(".mjs") { "text/javascript" } else { guessed };
    let is_text = kind.starts_with("text/") || kind.ends_with("json") || kind.ends_with("xml");
    if is_text { format!("{kind}; charset=utf-8") } else { kind.to_owned() }
}

fn etag(file: &EmbeddedFile) -> String {
    let hash: String =
        file.metadata.sha256_hash().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hash}\"")
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "not found\n").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_page_needs_is_embedded() {
        for name in Web::iter() {
            let is_foreign = name.contains(".test.")
                || name
                    .split('/')
                    .any(|part| part == "node_modules" || part == "tests" || part.starts_with('.'))
                || name.ends_with("package.json")
                || name.ends_with("tsconfig.json");
            assert!(!is_foreign, "{name} is embedded");
        }
    }

    #[test]
    fn a_strange_host_stays_out_of_the_policy() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "example.org:8080".parse().unwrap());
        assert!(content_policy(&headers, false).contains("ws://example.org:8080 wss://example.org:8080;"));
        let with_tls = content_policy(&headers, true);
        assert!(with_tls.contains("'self' wss://example.org:8080;"), "{with_tls}");
        headers.insert(header::HOST, "x; script-src *".parse().unwrap());
        assert!(!content_policy(&headers, false).contains("script-src *"));
    }
}
