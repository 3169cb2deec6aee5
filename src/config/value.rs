//! Values that are more than a number or a text: times, URLs, origins.

use std::time::Duration;

use patchbay_protocol::IceServer;

use super::ConfigError;

/// `90`, `90s`, `15m`, `12h`, `7d`; at most ten years.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    const LONGEST: u64 = 10 * 365 * 86_400;
    let (number, unit) = match text.char_indices().last()? {
        (_, digit) if digit.is_ascii_digit() => (text, 1),
        (end, 's') => (&text[..end], 1),
        (end, 'm') => (&text[..end], 60),
        (end, 'h') => (&text[..end], 3_600),
        (end, 'd') => (&text[..end], 86_400),
        _ => return None,
    };
    let seconds = number.parse::<u64>().ok()?.checked_mul(unit)?;
    (1..=LONGEST).contains(&seconds).then(|| Duration::from_secs(seconds))
}

/// The same, for flags that are times.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    duration(text).ok_or_else(|| "a time is a number with s, m, h or d, and not 0".to_owned())
}

pub(super) fn check_stun_servers(urls: &[String]) -> Result<(), ConfigError> {
    let bad = urls.iter().find(|url| !is_server_url(url, &["stun", "stuns"]));
    bad.map_or(Ok(()), |url| Err(ConfigError::StunServer(url.clone())))
}

/// `stun:host`, or `turn:host,username,credential` (RFC 7064, RFC 7065).
pub(super) fn ice_server(text: &str) -> Result<IceServer, ConfigError> {
    let bad = || ConfigError::IceServer(text.split(',').next().unwrap_or_default().to_owned());
    let mut parts = text.splitn(3, ',');
    let url = parts.next().unwrap_or_default();
    let (username, credential) = (parts.next().map(str::to_owned), parts.next().map(str::to_owned));
    let (scheme, host) = url.split_once(':').ok_or_else(bad)?;
    let is_turn = matches!(scheme, "turn" | "turns");
    let is_known = is_turn || matches!(scheme, "stun" | "stuns");
    let has_login = username.is_some() && credential.is_some();
    let is_bare = username.is_none() && credential.is_none();
    if !is_known || host.is_empty() || !(if is_turn { has_login } else { is_bare }) {
        return Err(bad());
    }
    Ok(IceServer { urls: vec![url.to_owned()], username, credential })
}

/// `scheme:host[:port][?transport=udp|tcp]` (RFC 7064, RFC 7065): anything else, browsers refuse to use at all.
pub(super) fn is_server_url(url: &str, schemes: &[&str]) -> bool {
    let Some((scheme, rest)) = url.split_once(':') else { return false };
    let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
    let is_turn = scheme.starts_with("turn");
    let is_query_good = match query {
        None => true,
        Some("transport=tcp") => is_turn,
        // No browser speaks TURN over DTLS.
        Some("transport=udp") => scheme == "turn",
        Some(_) => false,
    };
    let (host, port) = match place.strip_prefix('[').and_then(|place| place.split_once(']')) {
        Some((host, port)) => (host.parse::<std::net::Ipv6Addr>().map_or("", |_| host), port),
        None => place.split_at(place.find(':').unwrap_or(place.len())),
    };
    let is_host =
        |host: &str| !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || "/,@".contains(c));
    let is_port = |port: &str| {
        port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
    };
    schemes.contains(&scheme) && is_query_good && is_host(host) && (port.is_empty() || is_port(port))
}

pub(super) fn is_origin(text: &str) -> bool {
    let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    text == "*" || authority.is_some_and(|authority| !authority.is_empty() && !authority.contains('/'))
}
