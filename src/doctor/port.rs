//! Ports: free, taken by a patchbay that runs, or taken by somebody else.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use patchbay_sfu::{NodeConfig, NodeProbe, StartError};
use patchbay_signaling::Config;

use super::Check;

const PATIENCE: Duration = Duration::from_secs(2);

/// Says whether a patchbay runs there already.
pub(super) fn check_http(config: &Config, checks: &mut Vec<Check>) -> bool {
    const NAME: &str = "http_port";
    let listen = config.listen;
    if config.is_open() && !listen.ip().is_loopback() && !config.insecure_open {
        checks.push(Check::failed(
            NAME,
            "open",
            format!(
                "{listen} can be reached from elsewhere, and without --keys anybody could join any room."
            ),
            "Set --keys, listen on 127.0.0.1, or say --insecure-open if that is what you want.",
        ));
    }
    let error = match TcpListener::bind(listen) {
        Ok(_) => {
            checks.push(Check::ok(NAME, format!("{listen} is free for HTTP.")));
            return false;
        }
        Err(error) => error,
    };
    let is_ours = error.kind() == ErrorKind::AddrInUse && (config.tls.is_some() || is_patchbay(listen));
    checks.push(match error.kind() {
        ErrorKind::AddrInUse if is_ours => {
            Check::ok(NAME, format!("A server listens on {listen} already; its own ports are not looked at."))
        }
        ErrorKind::AddrInUse => Check::failed(
            NAME,
            "port_taken",
            format!("Another program listens on {listen}."),
            "Stop it (ss -ltnp names it), or choose another port with --listen.",
        ),
        ErrorKind::AddrNotAvailable => Check::failed(
            NAME,
            "foreign_address",
            format!("{} is not an address of this host.", listen.ip()),
            "Listen on one of its own, or on 0.0.0.0 for all. What a NAT translates is for --public-ip.",
        ),
        ErrorKind::PermissionDenied => Check::failed(
            NAME,
            "forbidden",
            format!("This user may not listen on port {}.", listen.port()),
            "Give the program CAP_NET_BIND_SERVICE, or choose a port above 1023.",
        ),
        _ => Check::failed(
            NAME,
            "refused",
            format!("{listen}: {error}"),
            "Choose another address with --listen.",
        ),
    });
    is_ours
}

fn is_patchbay(listen: SocketAddr) -> bool {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let ask = || -> std::io::Result<String> {
        let mut socket = TcpStream::connect_timeout(&SocketAddr::new(ip, listen.port()), PATIENCE)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        socket.take(65_536).read_to_string(&mut text)?;
        Ok(text)
    };
    ask().is_ok_and(|text| text.contains("patchbay_"))
}

/// Ports, buffers and segmentation of the media sockets, and whether datagrams reach them.
pub(super) fn check_media(node: &NodeConfig, is_running: bool, checks: &mut Vec<Check>) -> Option<NodeProbe> {
    const NAME: &str = "media_ports";
    let probe = match patchbay_sfu::probe(node) {
        Ok(probe) => probe,
        Err(StartError::PortTaken { .. } | StartError::SharedPortTaken { .. }) if is_running => {
            checks.push(Check::ok(NAME, "The media ports are the running server's."));
            let mut other = node.clone();
            (other.media_port, other.tcp_port) = (0, None);
            return patchbay_sfu::probe(&other).ok();
        }
        Err(error) => {
            let finding = match error {
                StartError::PortTaken { .. } | StartError::SharedPortTaken { .. } => "port_taken",
                StartError::PortForbidden { .. } => "forbidden",
                StartError::ForeignAddress { .. } => "foreign_address",
                _ => "refused",
            };
            let remedy = "Follow the words above; ss -lunp names who has a UDP port.";
            checks.push(Check::failed(NAME, finding, format!("{error}."), remedy));
            return None;
        }
    };
    let ports: Vec<String> = probe.ports.iter().map(ToString::to_string).collect();
    checks.push(Check::ok(NAME, format!("UDP and TCP ports {} are free for media.", ports.join(", "))));
    check_reach(node, &probe, checks);
    Some(probe)
}

/// Sends a datagram to each address that would be announced, from this host.
fn check_reach(node: &NodeConfig, probe: &NodeProbe, checks: &mut Vec<Check>) {
    const NAME: &str = "media_reach";
    let Some(&port) = probe.ports.first() else { return };
    let (own, foreign): (Vec<IpAddr>, Vec<IpAddr>) =
        probe.announced.iter().partition(|ip| !node.public_ips.contains(ip) || is_own(**ip));
    let unreached: Vec<String> =
        own.iter().filter(|ip| !is_reached(probe, **ip, port)).map(ToString::to_string).collect();
    if !unreached.is_empty() {
        checks.push(Check::failed(
            NAME,
            "unreachable",
            format!("A datagram to {} did not come back to this host's own socket.", unreached.join(", ")),
            "A local firewall drops it: allow UDP and TCP to the media ports (nft list ruleset shows the rules).",
        ));
        return;
    }
    if foreign.iter().any(|ip| is_reached(probe, *ip, port)) || foreign.is_empty() {
        checks.push(Check::ok(NAME, "Datagrams to every announced address of this host arrive."));
    } else {
        let list: Vec<String> = foreign.iter().map(ToString::to_string).collect();
        checks.push(Check::ok(
            NAME,
            format!("This host's own addresses work; {} can only be tried from outside.", list.join(", ")),
        ));
    }
}

fn is_own(ip: IpAddr) -> bool {
    UdpSocket::bind(SocketAddr::new(ip, 0)).is_ok()
}

fn is_reached(probe: &NodeProbe, ip: IpAddr, port: u16) -> bool {
    let everywhere: IpAddr =
        if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let bind = if probe.bound.contains(&ip) { ip } else { everywhere };
    let attempt = || -> std::io::Result<bool> {
        let receiver = UdpSocket::bind(SocketAddr::new(bind, port))?;
        receiver.set_read_timeout(Some(Duration::from_millis(500)))?;
        let sender = UdpSocket::bind(SocketAddr::new(everywhere, 0))?;
        sender.send_to(b"patchbay doctor", SocketAddr::new(ip, port))?;
        let mut buffer = [0; 64];
        Ok(receiver.recv(&mut buffer)? > 0)
    };
    attempt().unwrap_or(false)
}
