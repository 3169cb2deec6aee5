use clap::Parser;

use std::time::Duration;

use patchbay_signaling::{KeyError, TlsSource};

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
        Some(Command::Token(_) | Command::Doctor(_) | Command::TurnConfig(_) | Command::Healthcheck(_)) => {
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
        ("patchbay --public-ip 203.0.113.7 --public-ip 203.0.113.7/10.0.0.5", "203.0.113.7 is given twice"),
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
    let line = "patchbay sfu --signaling ws://127.0.0.1:1/v1/nodes --node-secret x --node-name a --workers 2";
    let Role::Sfu { node, url, .. } = parse(line).unwrap().role else { panic!() };
    assert_eq!((node.name.as_str(), node.workers, url.as_str()), ("a", Some(2), "ws://127.0.0.1:1/v1/nodes"));
    let line = "patchbay sfu --signaling http://127.0.0.1:1 --node-secret x";
    assert!(matches!(parse(line), Err(ConfigError::SignalingUrl(_))));
}

#[test]
fn keys_come_from_text_or_file() {
    let Role::Signaling(config) = parse("patchbay signaling --keys a:0123456789abcdef").unwrap().role else {
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
    for bad in
        ["--tls-cert c.pem", "--tls-key k.pem", "--tls-self-signed --tls-cert c --tls-key k", "--tls-name a"]
    {
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

#[test]
fn limits_have_defaults_that_a_flag_changes() {
    let signaling = |line: &str| match parse(line).unwrap().role {
        Role::Serve { signaling, .. } => signaling,
        role => panic!("{role:?}"),
    };
    let (own, default) =
        (signaling("patchbay"), patchbay_signaling::Config::new("127.0.0.1:8080".parse().unwrap()));
    let numbers = |it: &patchbay_signaling::Config| {
        let rates = [it.joins, it.rate, it.byte_rate].map(|rate| (rate.per_second, rate.burst));
        let bounds = it.bounds;
        let counts =
            [it.connections_per_address, it.max_rooms, it.room_capacity, bounds.tracks, bounds.slots];
        (rates, counts, bounds.metadata_bytes, bounds.attribute_bytes, it.longest_token)
    };
    assert_eq!(numbers(&own), numbers(&default), "flags and library have the same defaults");
    assert!(own.proxies.networks.is_empty(), "nobody is believed unasked");

    let changed = signaling(
        "patchbay --trusted-proxy 10.0.0.0/8,fd00::/8 --client-address-header forwarded --max-rooms 5 \
         --joins-per-second 3 --joins-burst 4 --max-slots 9 --longest-token 2d",
    );
    assert!(changed.proxies.contains("10.1.2.3".parse().unwrap()));
    assert_eq!(changed.proxies.header.to_string(), "forwarded");
    assert_eq!((changed.max_rooms, changed.joins.per_second, changed.joins.burst), (5, 3, 4));
    assert_eq!((changed.bounds.slots, changed.longest_token), (9, Duration::from_secs(2 * 86_400)));
    for bad in [
        "--trusted-proxy example.org",
        "--trusted-proxy 10.0.0.0/33",
        "--client-address-header cookie",
        "--joins-per-second 0",
        "--bytes-burst 1000",
        "--max-slots 129",
        "--max-participants 0",
    ] {
        let line = format!("patchbay {bad}");
        assert!(Arguments::try_parse_from(line.split_whitespace()).is_err(), "{bad}");
    }
}
