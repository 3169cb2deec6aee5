//! From what was written to what is meant: every check that needs no socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use patchbay_protocol::{IceServer, NodeName, limit};
use patchbay_sfu::{InterfaceRules, NodeConfig, PublicIp, PublicIpError};
use patchbay_signaling::{KeyError, Keys, Secret, TlsSource, Turn, host_names};

use crate::args;

/// The port that the strictest networks leave open.
const HTTPS_PORT: u16 = 443;

/// What this process is to be.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) role: Role,
    pub(crate) log: args::Log,
}

/// The parts of this process.
#[derive(Debug)]
pub(crate) enum Role {
    /// Signaling with a node in the same process.
    Serve { signaling: Box<patchbay_signaling::Config>, node: NodeConfig, has_ice_tcp_http: bool },
    /// Signaling alone.
    Signaling(Box<patchbay_signaling::Config>),
    /// A node that dials in.
    Sfu { node: NodeConfig, url: String, authorities: Option<Vec<u8>>, secret: Secret },
}

/// What makes no sense.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("--keys: {0}")]
    Keys(#[from] KeyError),
    #[error("can't read the keys in {}: {source}", .path.display())]
    KeysFile { path: PathBuf, source: std::io::Error },
    #[error("--ice-server {0:?}: written as stun:HOST:PORT, or turn:HOST:PORT,USERNAME,CREDENTIAL")]
    IceServer(String),
    #[error("--stun-server {0:?}: written as stun:HOST:PORT")]
    StunServer(String),
    #[error("--turn-server {0:?}: written as turn:HOST:PORT?transport=udp or tcp, or turns:HOST:PORT")]
    TurnServer(String),
    #[error("--turn-server needs --turn-secret or --turn-secret-file: what coturn has as static-auth-secret")]
    TurnWithoutSecret,
    #[error("there is a TURN secret, but no --turn-server to use it with")]
    TurnWithoutServer,
    #[error("the TURN secret must have {TURN_SECRET_BYTES} bytes or more and no white space")]
    TurnSecret,
    #[error("can't read the TURN secret in {}: {source}", .path.display())]
    TurnSecretFile { path: PathBuf, source: std::io::Error },
    #[error("--turn-ttl {0:?}: 1m to 7d, a number with s, m, h or d")]
    TurnTtl(String),
    #[error("can't read {}: {source}", .path.display())]
    SignalingCa { path: PathBuf, source: std::io::Error },
    #[error("--allowed-origin {0:?}: written as https://example.org, without a path; * for any")]
    Origin(String),
    #[error("--node-name: 1 to 128 bytes of text without control characters")]
    NodeName,
    #[error("--node-secret must not be empty")]
    NodeSecret,
    #[error("--max-connections must be 1 or more")]
    MaxConnections,
    #[error("--public-ip {0}")]
    PublicIp(#[from] PublicIpError),
    #[error("--public-ip auto needs a --stun-server to ask: stun:HOST:PORT")]
    AutoWithoutStun,
    #[error("--signaling {0:?}: written as ws://HOST:PORT/v1/nodes")]
    SignalingUrl(String),
}

/// Bytes of the shortest TURN secret: credentials go to everybody, so fewer can be guessed offline from one of them.
const TURN_SECRET_BYTES: usize = 16;
/// Shorter, and a slow join may outlive its credentials; longer, and they are no longer short-lived.
const TURN_TTL: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(7 * 86_400);

impl Config {
    pub(crate) fn serve(raw: args::Serve) -> Result<Self, ConfigError> {
        let stun_servers = raw.signaling.stun_server.clone();
        let signaling = Box::new(signaling(raw.signaling)?);
        let mut node = node(raw.media, stun_servers)?;
        // On its own, the server is for this machine: peers here must reach it without any network, too.
        node.announce_loopback |= signaling.listen.ip().is_loopback();
        let has_ice_tcp_http = raw.ice_tcp_http.unwrap_or(signaling.listen.port() == HTTPS_PORT);
        Ok(Self { role: Role::Serve { signaling, node, has_ice_tcp_http }, log: raw.log })
    }

    pub(crate) fn signaling(raw: args::SignalingOnly) -> Result<Self, ConfigError> {
        Ok(Self { role: Role::Signaling(Box::new(signaling(raw.signaling)?)), log: raw.log })
    }

    pub(crate) fn sfu(raw: args::Sfu) -> Result<Self, ConfigError> {
        if !["ws://", "wss://"].iter().any(|scheme| raw.signaling.starts_with(scheme)) {
            return Err(ConfigError::SignalingUrl(raw.signaling));
        }
        let secret = node_secret(raw.node_secret)?;
        let mut media = raw.media;
        // Several nodes of one host must not share a name: the later one would take the earlier one's place.
        let number = if media.media_port == 0 { std::process::id() } else { u32::from(media.media_port) };
        media.node_name.get_or_insert_with(|| format!("{}-{number}", host_name()));
        let authorities = raw
            .signaling_ca
            .map(|path| std::fs::read(&path).map_err(|source| ConfigError::SignalingCa { path, source }));
        let authorities = authorities.transpose()?;
        Ok(Self {
            role: Role::Sfu { node: node(media, raw.stun_server)?, url: raw.signaling, authorities, secret },
            log: raw.log,
        })
    }
}

fn signaling(raw: args::Signaling) -> Result<patchbay_signaling::Config, ConfigError> {
    if raw.max_connections == 0 {
        return Err(ConfigError::MaxConnections);
    }
    if let Some(bad) = raw.allowed_origin.iter().find(|origin| !is_origin(origin)) {
        return Err(ConfigError::Origin(bad.clone()));
    }
    let mut config = patchbay_signaling::Config::new(raw.listen);
    config.tls = tls(raw.tls_cert, raw.tls_key, raw.tls_self_signed.then_some(raw.tls_name), raw.state_dir);
    config.keys = keys(raw.keys.as_deref(), raw.keys_file.as_deref())?;
    config.insecure_open = raw.insecure_open;
    config.allowed_origins = raw.allowed_origin;
    config.ice_servers = raw.ice_server.iter().map(|text| ice_server(text)).collect::<Result<_, _>>()?;
    check_stun_servers(&raw.stun_server)?;
    for url in &raw.stun_server {
        config.ice_servers.push(IceServer { urls: vec![url.clone()], username: None, credential: None });
    }
    let secret = turn_secret(raw.turn_secret, raw.turn_secret_file)?;
    config.turn = turn(raw.turn_server, secret, &raw.turn_ttl)?;
    config.max_connections = raw.max_connections;
    config.node_secret = raw.node_secret.map(node_secret).transpose()?;
    Ok(config)
}

/// Where the certificate comes from, if there is to be one. `own`: names for one of the server's own making.
fn tls(
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    own: Option<Vec<String>>,
    state_dir: Option<PathBuf>,
) -> Option<TlsSource> {
    match (certificate, key, own) {
        (Some(certificate), Some(key), _) => Some(TlsSource::Files { certificate, key }),
        (_, _, Some(more)) => {
            let mut names = host_names();
            names.extend(more.into_iter().filter(|name| !name.is_empty()));
            Some(TlsSource::SelfSigned { names, state_dir })
        }
        _ => None,
    }
}

fn check_stun_servers(urls: &[String]) -> Result<(), ConfigError> {
    let bad = urls.iter().find(|url| !is_server_url(url, &["stun", "stuns"]));
    bad.map_or(Ok(()), |url| Err(ConfigError::StunServer(url.clone())))
}

/// `stun_servers`: who is asked for the public address, if it is to be detected.
fn node(raw: args::Media, stun_servers: Vec<String>) -> Result<NodeConfig, ConfigError> {
    let name = raw.node_name.unwrap_or_else(host_name);
    if !limit::is_plain_text(&name, limit::NAME_BYTES) {
        return Err(ConfigError::NodeName);
    }
    let mut config = NodeConfig::new(NodeName::new(name), raw.media_port);
    check_stun_servers(&stun_servers)?;
    PublicIp::check(&raw.public_ip)?;
    for public in raw.public_ip {
        match public {
            PublicIp::Address(ip) => config.public_ips.push(ip),
            PublicIp::Mapped(mapping) => config.public_mappings.push(mapping),
            // STUN over TLS would need a certificate's name and gives the same answer.
            PublicIp::Auto => {
                config.detect_from =
                    stun_servers.iter().filter(|it| it.starts_with("stun:")).cloned().collect();
                if config.detect_from.is_empty() {
                    return Err(ConfigError::AutoWithoutStun);
                }
            }
        }
    }
    config.interfaces = InterfaceRules { allow: raw.interface, deny: raw.no_interface };
    config.bind = raw.media_bind;
    config.workers = raw.workers;
    config.announce_loopback = raw.announce_loopback;
    config.tcp_port = raw.media_tcp_port;
    Ok(config)
}

/// Keys from the command line or from a file.
pub(crate) fn keys(text: Option<&str>, file: Option<&Path>) -> Result<Keys, ConfigError> {
    match (text, file) {
        (Some(text), _) => Ok(Keys::parse(text)?),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path)
                .map_err(|source| ConfigError::KeysFile { path: path.to_owned(), source })?;
            Ok(Keys::parse(&text)?)
        }
        (None, None) => Ok(Keys::default()),
    }
}

fn node_secret(secret: String) -> Result<Secret, ConfigError> {
    if secret.trim().is_empty() { Err(ConfigError::NodeSecret) } else { Ok(Secret::new(secret)) }
}

fn turn(urls: Vec<String>, secret: Option<Secret>, ttl: &str) -> Result<Option<Turn>, ConfigError> {
    if let Some(bad) = urls.iter().find(|url| !is_server_url(url, &["turn", "turns"])) {
        return Err(ConfigError::TurnServer(bad.clone()));
    }
    let ttl = duration(ttl)
        .filter(|ttl| TURN_TTL.contains(ttl))
        .ok_or_else(|| ConfigError::TurnTtl(ttl.to_owned()))?;
    match (urls.is_empty(), secret) {
        (true, None) => Ok(None),
        (true, Some(_)) => Err(ConfigError::TurnWithoutServer),
        (false, None) => Err(ConfigError::TurnWithoutSecret),
        (false, Some(secret)) => Ok(Some(Turn { urls, secret, ttl })),
    }
}

/// The secret from the command line or from a file, of which line ends at its end are no part.
fn turn_secret(text: Option<String>, file: Option<PathBuf>) -> Result<Option<Secret>, ConfigError> {
    let text = match (text, file) {
        (Some(text), _) => text,
        (None, Some(path)) => match std::fs::read_to_string(&path) {
            Ok(text) => text.trim_end().to_owned(),
            Err(source) => return Err(ConfigError::TurnSecretFile { path, source }),
        },
        (None, None) => return Ok(None),
    };
    if text.len() < TURN_SECRET_BYTES || text.contains(char::is_whitespace) {
        return Err(ConfigError::TurnSecret);
    }
    Ok(Some(Secret::new(text)))
}

/// `scheme:host[:port][?transport=udp|tcp]` (RFC 7064, RFC 7065): anything else, browsers refuse to use at all.
fn is_server_url(url: &str, schemes: &[&str]) -> bool {
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

/// `stun:host`, or `turn:host,username,credential` (RFC 7064, RFC 7065).
fn ice_server(text: &str) -> Result<IceServer, ConfigError> {
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

fn is_origin(text: &str) -> bool {
    let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    text == "*" || authority.is_some_and(|authority| !authority.is_empty() && !authority.contains('/'))
}

/// The host's name, as containers and machines have it.
fn host_name() -> String {
    let from_file = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    std::env::var("HOSTNAME")
        .ok()
        .or_else(from_file)
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "node".into())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Arguments, Command};

    fn parse(line: &str) -> Result<Config, ConfigError> {
        let arguments =
            Arguments::try_parse_from(line.split_whitespace()).unwrap_or_else(|error| panic!("{error}"));
        match arguments.command {
            None => Config::serve(arguments.serve),
            Some(Command::Serve(raw)) => Config::serve(raw),
            Some(Command::Signaling(raw)) => Config::signaling(raw),
            Some(Command::Sfu(raw)) => Config::sfu(raw),
            Some(
                Command::Token(_) | Command::Doctor(_) | Command::TurnConfig(_) | Command::Healthcheck(_),
            ) => {
                panic!("these have no configuration")
            }
        }
    }

    #[test]
    fn without_a_word_it_serves_this_machine() {
        let Role::Serve { signaling, node, .. } = parse("patchbay").unwrap().role else { panic!() };
        assert_eq!(signaling.listen.to_string(), "127.0.0.1:8080");
        assert!(signaling.is_open() && !signaling.insecure_open);
        assert_eq!(node.media_port, 7882);
        assert!(node.announce_loopback);
    }

    #[test]
    fn options_stand_with_and_without_serve() {
        for line in [
            "patchbay --media-port 9 --public-ip 192.0.2.1,192.0.2.2",
            "patchbay serve --media-port 9 --public-ip 192.0.2.1 --public-ip 192.0.2.2",
        ] {
            let Role::Serve { node, .. } = parse(line).unwrap().role else { panic!() };
            assert_eq!((node.media_port, node.public_ips.len()), (9, 2), "{line}");
        }
    }

    #[test]
    fn public_addresses_are_told_mapped_or_detected() {
        let node = |line: &str| match parse(line).map(|it| it.role) {
            Ok(Role::Serve { node, .. } | Role::Sfu { node, .. }) => Ok(node),
            Ok(role) => panic!("{role:?}"),
            Err(error) => Err(error.to_string()),
        };
        let with = node(
            "patchbay --public-ip 203.0.113.7,203.0.113.8/10.0.0.5,auto --stun-server stun:s.example.org \
             --interface eth0,10.0.0.0/8 --no-interface wg*",
        );
        let with = with.unwrap();
        assert_eq!((with.public_ips.len(), with.public_mappings.len()), (1, 1));
        assert_eq!(with.detect_from, ["stun:s.example.org"]);
        assert_eq!((with.interfaces.allow.len(), with.interfaces.deny.len()), (2, 1));
        let without = node("patchbay --stun-server stun:s.example.org").unwrap();
        assert!(without.detect_from.is_empty(), "nobody asked for it");

        let sfu = "patchbay sfu --signaling ws://127.0.0.1:1/ --node-secret x --public-ip auto";
        let line = format!("{sfu} --stun-server stun:s.example.org:3479");
        assert_eq!(node(&line).unwrap().detect_from, ["stun:s.example.org:3479"]);
        for (line, words) in [
            (sfu, "needs a --stun-server"),
            ("patchbay --public-ip auto --stun-server stuns:s.example.org", "needs a --stun-server"),
            (
                "patchbay --public-ip 203.0.113.7 --public-ip 203.0.113.7/10.0.0.5",
                "203.0.113.7 is given twice",
            ),
            ("patchbay --public-ip 203.0.113.7/10.0.0.5,203.0.113.8/10.0.0.5", "stands for two"),
        ] {
            assert!(node(line).unwrap_err().contains(words), "{line}");
        }
        for (bad, words) in [
            ("--public-ip 203.0.113.7/24", "PUBLIC/LOCAL"),
            ("--public-ip 203.0.113.7/fd00::5", "one is IPv4 and the other IPv6"),
            ("--interface 10.0.0.0/40", "number of bits"),
        ] {
            let line = format!("patchbay {bad}");
            let error = Arguments::try_parse_from(line.split_whitespace()).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn media_comes_in_by_the_door_of_http_if_that_is_443_or_if_told() {
        for (line, wanted) in [
            ("patchbay", false),
            ("patchbay --ice-tcp-http", true),
            ("patchbay serve --ice-tcp-http=true", true),
            ("patchbay --listen 127.0.0.1:443", true),
            ("patchbay --listen 127.0.0.1:443 --ice-tcp-http=false", false),
        ] {
            let Role::Serve { has_ice_tcp_http, .. } = parse(line).unwrap().role else { panic!() };
            assert_eq!(has_ice_tcp_http, wanted, "{line}");
        }
        let line = "patchbay sfu --signaling ws://127.0.0.1:1/ --node-secret x --media-tcp-port 443";
        let Role::Sfu { node, .. } = parse(line).unwrap().role else { panic!() };
        assert_eq!(node.tcp_port, Some(443));
    }

    #[test]
    fn a_node_is_told_where_to_dial() {
        let line =
            "patchbay sfu --signaling ws://127.0.0.1:1/v1/nodes --node-secret x --node-name a --workers 2";
        let Role::Sfu { node, url, .. } = parse(line).unwrap().role else { panic!() };
        assert_eq!(
            (node.name.as_str(), node.workers, url.as_str()),
            ("a", Some(2), "ws://127.0.0.1:1/v1/nodes")
        );
        let line = "patchbay sfu --signaling http://127.0.0.1:1 --node-secret x";
        assert!(matches!(parse(line), Err(ConfigError::SignalingUrl(_))));
    }

    #[test]
    fn keys_come_from_text_or_file() {
        let Role::Signaling(config) = parse("patchbay signaling --keys a:0123456789abcdef").unwrap().role
        else {
            panic!()
        };
        assert!(!config.is_open());
        assert!(matches!(parse("patchbay --keys a:short"), Err(ConfigError::Keys(KeyError::TooShort(_)))));
        assert!(matches!(parse("patchbay --keys-file /nonexistent/keys"), Err(ConfigError::KeysFile { .. })));
    }

    #[test]
    fn ice_servers_are_checked() {
        let line = "patchbay --ice-server stun:stun.example.org:3478 --ice-server turn:t.example.org,me,a,b";
        let Role::Serve { signaling, .. } = parse(line).unwrap().role else { panic!() };
        assert_eq!(signaling.ice_servers.len(), 2);
        assert_eq!(signaling.ice_servers[1].credential.as_deref(), Some("a,b"));
        for bad in ["turn:t.example.org", "stun:", "http://x", "stun:x,user,pass", "turn:x,user"] {
            let error = parse(&format!("patchbay --ice-server {bad}")).err();
            assert!(matches!(error, Some(ConfigError::IceServer(_))), "{bad}");
        }
    }

    #[test]
    fn tls_takes_a_pair_of_files_or_makes_its_own() {
        let source = |line: &str| {
            let Role::Serve { signaling, .. } = parse(line).unwrap().role else { panic!() };
            signaling.tls
        };
        assert_eq!(source("patchbay"), None);
        let files = TlsSource::Files { certificate: "c.pem".into(), key: "k.pem".into() };
        assert_eq!(source("patchbay --tls-cert c.pem --tls-key k.pem"), Some(files));
        let line = "patchbay --tls-self-signed --tls-name media.lan --state-dir /var/lib/patchbay";
        let Some(TlsSource::SelfSigned { names, state_dir }) = source(line) else { panic!() };
        assert!(names.contains(&"localhost".to_owned()) && names.contains(&"media.lan".to_owned()));
        assert_eq!(state_dir, Some("/var/lib/patchbay".into()));
        for bad in [
            "--tls-cert c.pem",
            "--tls-key k.pem",
            "--tls-self-signed --tls-cert c --tls-key k",
            "--tls-name a",
        ] {
            let line = format!("patchbay {bad}");
            assert!(Arguments::try_parse_from(line.split_whitespace()).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("90"), Some(Duration::from_secs(90)));
        assert_eq!(duration("15m"), Some(Duration::from_secs(900)));
        assert_eq!(duration("7d"), Some(Duration::from_secs(604_800)));
        for bad in ["7w", "é", "", "0s", "99999999999999999999d"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn turn_servers_come_with_a_secret() {
        let secret = "--turn-secret 0123456789abcdef";
        let line = format!(
            "patchbay --stun-server stun:s.example.org --turn-server turn:t.example.org:3478?transport=udp \
             --turn-server turns:[2001:db8::1]:443?transport=tcp {secret} --turn-ttl 90m"
        );
        let Role::Serve { signaling, .. } = parse(&line).unwrap().role else { panic!() };
        assert_eq!(signaling.ice_servers.len(), 1);
        let turn = signaling.turn.as_ref().unwrap();
        assert_eq!((turn.urls.len(), turn.ttl), (2, Duration::from_secs(5_400)));
        assert!(!format!("{signaling:?}").contains("0123456789abcdef"), "no log shows the secret");

        let server = "--turn-server turn:t.example.org";
        let refused = |line: &str| parse(&format!("patchbay {line}")).err().map(|error| error.to_string());
        for (line, words) in [
            (server, "needs --turn-secret"),
            (secret, "no --turn-server"),
            ("--turn-server turn:t.example.org --turn-secret short", "16 bytes"),
            ("--turn-secret-file /nonexistent/secret", "can't read the TURN secret"),
            ("--stun-server turn:t.example.org", "--stun-server"),
            ("--stun-server stun:t.example.org?transport=udp", "--stun-server"),
        ] {
            assert!(refused(line).unwrap().contains(words), "{line}");
        }
        for bad in [
            "t.example.org",
            "turn:",
            "turn:t:0",
            "turn:t:x",
            "turn:t?transport=tls",
            "turn:::1",
            "turn:[::1",
            "turns:t?transport=udp",
            "turn:me@t",
            "turn://t",
            "stun:t",
        ] {
            let line = format!("--turn-server {bad} {secret}");
            assert!(refused(&line).unwrap().starts_with("--turn-server"), "{bad}");
        }
        for bad in ["59s", "8d", "soon"] {
            let line = format!("{server} {secret} --turn-ttl {bad}");
            assert!(refused(&line).unwrap().starts_with("--turn-ttl"), "{bad}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(matches!(parse("patchbay --max-connections 0"), Err(ConfigError::MaxConnections)));
        assert!(matches!(parse("patchbay --allowed-origin example.org"), Err(ConfigError::Origin(_))));
        assert!(matches!(parse("patchbay --allowed-origin https://a.org/x"), Err(ConfigError::Origin(_))));
        assert!(Arguments::try_parse_from(["patchbay", "--listen", "nowhere"]).is_err());
    }
}
