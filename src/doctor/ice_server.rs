//! STUN and TURN servers, asked as a client would ask them.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::{SystemTime, UNIX_EPOCH};

use patchbay_signaling::Config;

use super::Check;
use super::stun::{Carrier, Client, StunError};

const STUN: &str = "stun";
const TURN: &str = "turn";

/// A URL, taken apart (RFC 7064, RFC 7065).
#[derive(Debug, PartialEq, Eq)]
struct Server<'a> {
    is_turn: bool,
    carrier: Carrier,
    host: &'a str,
    port: u16,
}

/// Asks every server that clients are told of, and returns the addresses that they saw this host at.
pub(super) fn check(config: &Config, checks: &mut Vec<Check>) -> Vec<IpAddr> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut mapped = Vec::new();
    for server in &config.ice_servers {
        let login = server.username.as_deref().zip(server.credential.as_deref());
        for url in &server.urls {
            checks.push(ask(url, login, &mut mapped));
        }
    }
    if let Some(turn) = &config.turn {
        let (username, password) = turn.credentials("doctor", now);
        for url in &turn.urls {
            checks.push(ask(url, Some((&username, &password)), &mut mapped));
        }
    }
    mapped.sort();
    mapped.dedup();
    mapped
}

fn ask(url: &str, login: Option<(&str, &str)>, mapped: &mut Vec<IpAddr>) -> Check {
    let Some(server) = parse(url) else {
        return Check::failed(
            STUN,
            "bad_url",
            format!("{url} can't be read."),
            "Write it as turn:HOST:PORT.",
        );
    };
    let name = if server.is_turn { TURN } else { STUN };
    let addresses: Vec<SocketAddr> = match (server.host, server.port).to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(error) => {
            let words = format!("{url}: {} has no address ({error}).", server.host);
            return Check::failed(name, "no_address", words, "Correct the name, or this host's DNS.");
        }
    };
    let mut last = None;
    for address in addresses {
        match ask_one(&server, address, login) {
            Ok(Answer::Mapped(seen)) => {
                mapped.push(seen.ip());
                return Check::ok(name, format!("{url} answers, and sees this host at {}.", seen.ip()));
            }
            Ok(Answer::Relayed(relayed)) => {
                return Check::ok(name, format!("{url} relays, at {}.", relayed.ip()));
            }
            Err(error) => last = Some(error),
        }
    }
    explain(name, url, last)
}

enum Answer {
    Mapped(SocketAddr),
    Relayed(SocketAddr),
}

fn ask_one(
    server: &Server<'_>,
    address: SocketAddr,
    login: Option<(&str, &str)>,
) -> Result<Answer, StunError> {
    let mut client = Client::connect(server.carrier, server.host, address)?;
    match login.filter(|_| server.is_turn) {
        Some((username, password)) => client.allocate(username, password).map(Answer::Relayed),
        None => client.mapped().map(Answer::Mapped),
    }
}

fn explain(name: &'static str, url: &str, error: Option<StunError>) -> Check {
    match error {
        Some(StunError::Refused(401 | 403 | 441, reason)) => Check::failed(
            name,
            "turn_refused",
            format!("{url} refuses the credentials ({reason})."),
            "--turn-secret must be what coturn has as static-auth-secret, and both clocks must be right.",
        ),
        Some(StunError::Refused(486, reason)) => Check::failed(
            name,
            "quota",
            format!("{url} has no allocation left ({reason})."),
            "Raise user-quota and total-quota in coturn's configuration, or look who uses them up.",
        ),
        Some(StunError::Refused(code, reason)) => {
            let words = format!("{url} answers with an error: {code} {reason}.");
            Check::failed(name, "refused", words, "Its log tells more.")
        }
        Some(StunError::Tls(words)) => Check::failed(
            name,
            "tls",
            format!("{url}: no TLS: {words}."),
            "Browsers refuse it, too: give coturn a certificate for that name that is valid now, with its chain.",
        ),
        Some(StunError::Strange(words)) => Check::failed(
            name,
            "strange",
            format!("{url}: {words}."),
            "Check that this is a TURN server, set up as patchbay turn-config writes it.",
        ),
        Some(StunError::Silent(words)) => silent(name, url, &words),
        None => silent(name, url, "no address"),
    }
}

fn silent(name: &'static str, url: &str, words: &str) -> Check {
    let remedy = "Check that it runs, and that firewalls let its port through from here and from clients.";
    Check::failed(name, "unreachable", format!("{url} does not answer: {words}."), remedy)
}

fn parse(url: &str) -> Option<Server<'_>> {
    let (scheme, rest) = url.split_once(':')?;
    let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
    let (host, port) = match place.strip_prefix('[').and_then(|it| it.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    let (is_turn, is_secure) = match scheme {
        "stun" => (false, false),
        "stuns" => (false, true),
        "turn" => (true, false),
        "turns" => (true, true),
        _ => return None,
    };
    let carrier = match query {
        _ if is_secure => Carrier::Tls,
        Some("transport=tcp") => Carrier::Tcp,
        _ => Carrier::Udp,
    };
    let default = if is_secure { 5_349 } else { 3_478 };
    let port = port.map_or(Some(default), |port| port.parse().ok())?;
    (!host.is_empty()).then_some(Server { is_turn, carrier, host, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let server = |is_turn, carrier, host, port| Some(Server { is_turn, carrier, host, port });
        assert_eq!(parse("stun:a.example"), server(false, Carrier::Udp, "a.example", 3_478));
        assert_eq!(parse("turn:a:7?transport=tcp"), server(true, Carrier::Tcp, "a", 7));
        assert_eq!(parse("turn:a:7?transport=udp"), server(true, Carrier::Udp, "a", 7));
        assert_eq!(
            parse("turns:[2001:db8::1]:443?transport=tcp"),
            server(true, Carrier::Tls, "2001:db8::1", 443)
        );
        assert_eq!(parse("turns:[2001:db8::1]"), server(true, Carrier::Tls, "2001:db8::1", 5_349));
        assert_eq!(parse("http:a"), None);
    }
}
