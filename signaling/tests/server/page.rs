//! The page and the operator's paths.

use crate::support::{Client, TestServer, http};

#[tokio::test]
async fn the_page_is_served_with_strict_headers() {
    let server = TestServer::start(|_| {}).await;
    let page = http(&server, "GET", "/", &[], "").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert!(
        page.header("content-security-policy").unwrap().starts_with("default-src 'none'; script-src 'self';")
    );
    assert!(page.header("permissions-policy").unwrap().contains("camera=(self), microphone=(self)"));
    let etag = page.header("etag").unwrap().to_owned();
    let again = http(&server, "GET", "/r/demo", &[("if-none-match", &etag)], "").await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    let script = http(&server, "GET", "/sdk/index.js", &[], "").await;
    assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
    assert_eq!(http(&server, "HEAD", "/", &[], "").await.status, 200);
}

#[tokio::test]
async fn nothing_else_is_served() {
    let server = TestServer::start(|_| {}).await;
    for path in [
        "/../Cargo.toml",
        "/sdk/../../Cargo.toml",
        "/%2e%2e/Cargo.toml",
        "/..%2fCargo.toml",
        "//etc/passwd",
        "/package.json",
        "/tsconfig.json",
        "/tests/sdk.test.js",
        "/r/..",
        "/r/a%2fb",
        "/r/<script>",
        "/v1/nothing",
    ] {
        let status = http(&server, "GET", path, &[], "").await.status;
        assert!(matches!(status, 400 | 404), "{path}: {status}");
    }
    assert_eq!(http(&server, "POST", "/", &[], "").await.status, 405);
    assert!(matches!(http(&server, "GET", "/v1/ws", &[], "").await.status, 400 | 426));
}

#[tokio::test]
async fn operators_see_what_goes_on() {
    let server = TestServer::start(|_| {}).await;
    assert_eq!(http(&server, "GET", "/healthz", &[], "").await.status, 200);
    assert_eq!(http(&server, "GET", "/readyz", &[], "").await.status, 503);
    let (_client, _) = Client::join(&server, "demo", "ada").await;
    let metrics = http(&server, "GET", "/metrics", &[], "").await;
    for line in [
        "patchbay_connections 1",
        "patchbay_rooms 1",
        "patchbay_joins_total 1",
        "patchbay_messages_total{type=\"join\"} 1",
    ] {
        assert!(metrics.body.contains(line), "{line} is missing in:\n{}", metrics.body);
    }
}
