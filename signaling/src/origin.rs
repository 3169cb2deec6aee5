//! Which web pages may talk to this server.
//!
//! A browser sends cookies and reaches loopback for any page that asks, so every request that carries an `Origin` is
//! held against the server's own host and a list. Programs send no `Origin` and are let through: what they may do is the
//! token's business.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};

use crate::Config;

/// What an `Origin` header says about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No page is involved.
    NoOrigin,
    /// A page that may; its origin, for `Access-Control-Allow-Origin`.
    Allowed(String),
    /// A page that may not.
    Refused,
}

/// Judges a request by its `Origin` and `Host`.
pub(crate) fn check(config: &Config, headers: &HeaderMap) -> Verdict {
    let Some(origin) = headers.get(header::ORIGIN) else { return Verdict::NoOrigin };
    let Ok(origin) = origin.to_str() else { return Verdict::Refused };
    let listed =
        config.allowed_origins.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin));
    if listed || is_own(config, origin, headers) {
        return Verdict::Allowed(origin.to_owned());
    }
    Verdict::Refused
}

/// The page came from this server.
fn is_own(config: &Config, origin: &str, headers: &HeaderMap) -> bool {
    // A page of plain HTTP is not this server's if it speaks TLS itself; otherwise a proxy may do that for it.
    let is_plain_allowed = config.tls.is_none();
    let plain = origin.strip_prefix("http://").filter(|_| is_plain_allowed);
    let Some(authority) = origin.strip_prefix("https://").or(plain) else { return false };
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else { return false };
    if !authority.eq_ignore_ascii_case(host) {
        return false;
    }
    // An open server on loopback trusts whoever reaches it, so a foreign name that resolves to loopback (DNS rebinding)
    // must not count as its own.
    !(config.is_open() && config.listen.ip().is_loopback()) || is_loopback_name(host)
}

/// Whether a `Host` is this machine under a name of its own.
pub(crate) fn is_loopback_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TlsSource;

    fn verdict(listen: &str, allowed: &[&str], origin: Option<&str>, host: &str) -> Verdict {
        let mut config = Config::new(listen.parse().unwrap());
        config.allowed_origins = allowed.iter().map(|text| (*text).to_owned()).collect();
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        check(&config, &headers)
    }

    #[test]
    fn own_pages_and_listed_ones_may() {
        let allowed = |origin: &str| Verdict::Allowed(origin.to_owned());
        assert_eq!(verdict("127.0.0.1:80", &[], None, "x"), Verdict::NoOrigin);
        for origin in
            ["http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080", "http://a.localhost:8080"]
        {
            let host = origin.trim_start_matches("http://");
            assert_eq!(verdict("127.0.0.1:8080", &[], Some(origin), host), allowed(origin));
        }
        let page = "https://example.org";
        assert_eq!(verdict("127.0.0.1:80", &[], Some(page), "localhost"), Verdict::Refused);
        assert_eq!(verdict("127.0.0.1:80", &[page], Some(page), "localhost"), allowed(page));
        assert_eq!(verdict("127.0.0.1:80", &["*"], Some(page), "localhost"), allowed(page));
        assert_eq!(verdict("0.0.0.0:80", &[], Some(page), "example.org"), allowed(page));
        assert_eq!(verdict("127.0.0.1:80", &[], Some("null"), "localhost"), Verdict::Refused);
    }

    #[test]
    fn with_tls_a_page_of_plain_http_is_foreign() {
        let mut config = Config::new("0.0.0.0:443".parse().unwrap());
        config.tls = Some(TlsSource::SelfSigned { names: Vec::new(), state_dir: None });
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "example.org".parse().unwrap());
        headers.insert(header::ORIGIN, "https://example.org".parse().unwrap());
        assert_eq!(check(&config, &headers), Verdict::Allowed("https://example.org".to_owned()));
        headers.insert(header::ORIGIN, "http://example.org".parse().unwrap());
        assert_eq!(check(&config, &headers), Verdict::Refused);
    }

    #[test]
    fn a_foreign_name_for_loopback_is_not_the_own_host() {
        let origin = "http://evil.example:8080";
        assert_eq!(verdict("127.0.0.1:8080", &[], Some(origin), "evil.example:8080"), Verdict::Refused);
    }
}
