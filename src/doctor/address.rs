//! What would be announced, and whether anybody elsewhere can reach it.

use std::net::IpAddr;

use patchbay_sfu::{NodeConfig, NodeProbe};
use patchbay_signaling::is_public;

use super::Check;

const NAME: &str = "addresses";

/// `mapped`: addresses that STUN servers saw this host at.
pub(super) fn check(
    node: &NodeConfig,
    probe: Option<&NodeProbe>,
    mapped: &[IpAddr],
    checks: &mut Vec<Check>,
) {
    let Some(probe) = probe else { return };
    let list = |ips: &[IpAddr]| ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let announced = &probe.announced;
    if announced.is_empty() || announced.iter().all(IpAddr::is_loopback) {
        checks.push(Check::warning(
            NAME,
            "loopback_only",
            "Only clients on this host can get media.",
            "Give the host a network, or tell its address with --public-ip.",
        ));
        return;
    }
    let wrong: Vec<IpAddr> = node
        .public_ips
        .iter()
        .copied()
        .filter(|ip| mapped.iter().any(|it| it.is_ipv4() == ip.is_ipv4()) && !mapped.contains(ip))
        .collect();
    if !wrong.is_empty() {
        checks.push(Check::failed(
            NAME,
            "wrong_public_ip",
            format!("--public-ip says {}, but STUN sees this host at {}.", list(&wrong), list(mapped)),
            format!("Clients would send their media to a stranger: use --public-ip {}.", list(mapped)),
        ));
        return;
    }
    if let Some(private) = node.public_ips.iter().find(|ip| !is_public(**ip)) {
        checks.push(Check::warning(
            NAME,
            "public_ip_private",
            format!("--public-ip {private} is not a public address."),
            "Only clients of that network can use it. Outside, the NAT's own address is needed.",
        ));
        return;
    }
    if node.public_ips.is_empty() && !announced.iter().any(|ip| is_public(*ip)) {
        let remedy = match mapped.first() {
            Some(ip) => format!("STUN sees this host at {ip}: add --public-ip {ip} if the media ports are forwarded."),
            None => "For clients elsewhere, tell the address that they reach with --public-ip, and forward the media \
                     ports; in a local network this is as it should be."
                .to_owned(),
        };
        let (finding, words) = if is_container() {
            ("container_only", "They are a container's own: clients outside of this machine can't reach them")
        } else {
            ("private_only", "They are private: clients outside of this network can't reach them")
        };
        checks.push(Check::warning(
            NAME,
            finding,
            format!("Announces {}. {words}.", list(announced)),
            remedy,
        ));
        return;
    }
    if announced.iter().filter(|ip| !ip.is_loopback()).all(IpAddr::is_ipv4) {
        checks.push(Check::warning(
            NAME,
            "no_ipv6",
            format!(
                "Announces {}, and no IPv6 address: clients that have only IPv6 get no media.",
                list(announced)
            ),
            "Give the host IPv6, or offer a TURN server that has both.",
        ));
        return;
    }
    checks.push(Check::ok(NAME, format!("Announces {}.", list(announced))));
}

fn is_container() -> bool {
    ["/.dockerenv", "/run/.containerenv"].iter().any(|path| std::path::Path::new(path).exists())
        || std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
}

#[cfg(test)]
mod tests {
    use patchbay_protocol::NodeName;

    use super::*;

    fn finding(announced: &[&str], public: &[&str], mapped: &[&str]) -> &'static str {
        let parse = |texts: &[&str]| texts.iter().map(|it| it.parse().unwrap()).collect::<Vec<IpAddr>>();
        let mut node = NodeConfig::new(NodeName::new("a"), 0);
        node.public_ips = parse(public);
        let probe = NodeProbe {
            ports: vec![1],
            bound: Vec::new(),
            announced: parse(announced),
            wanted_buffer: 0,
            granted_buffers: (0, 0),
            has_gso: true,
        };
        let mut checks = Vec::new();
        check(&node, Some(&probe), &parse(mapped), &mut checks);
        checks[0].finding
    }

    #[test]
    fn what_clients_cannot_reach_is_said() {
        assert_eq!(finding(&["127.0.0.1"], &[], &[]), "loopback_only");
        let expected = if is_container() { "container_only" } else { "private_only" };
        assert_eq!(finding(&["10.0.0.5", "fd00::5"], &[], &[]), expected);
        assert_eq!(
            finding(&["203.0.113.5", "10.0.0.5"], &["203.0.113.5"], &["203.0.113.9"]),
            "wrong_public_ip"
        );
        assert_eq!(finding(&["203.0.113.5"], &["203.0.113.5"], &["2001:db8::1"]), "no_ipv6");
        assert_eq!(finding(&["203.0.113.5", "::1"], &["203.0.113.5"], &[]), "no_ipv6");
        assert_eq!(finding(&["192.168.1.1"], &["192.168.1.1"], &[]), "public_ip_private");
        assert_eq!(finding(&["203.0.113.5", "2001:db8::5"], &["203.0.113.5"], &["203.0.113.5"]), "ok");
    }
}
