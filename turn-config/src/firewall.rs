//! `firewall.nft`: what coturn can't filter, as it knows addresses and no ports.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::IpAddr;

use crate::TURN_PORT;
use crate::settings::Checked;

/// Rules for nftables, for the machine of coturn and the one of the SFU alike.
pub fn firewall_nft(settings: &Checked) -> String {
    let relay = settings.relay_ports;
    let media = settings.media_ports;
    let command = settings.command().join(" \\\n#       ");
    let mut sets = String::new();
    let (mut input, mut output) = (String::new(), String::new());
    let tcp: BTreeSet<u16> = std::iter::once(TURN_PORT)
        .chain(settings.tls.iter().flat_map(|tls| tls.ports.iter().copied()))
        .collect();
    let tcp: Vec<String> = tcp.iter().map(ToString::to_string).collect();
    let tcp = tcp.join(", ");
    for (family, ip, kind) in [(4, "ip", "ipv4_addr"), (6, "ip6", "ipv6_addr")] {
        let is_family = |address: &&IpAddr| address.is_ipv4() == (family == 4);
        let local: Vec<IpAddr> =
            settings.public.iter().flat_map(|address| [address.local, address.public]).collect();
        let turn = list(local.iter().filter(is_family));
        let sfu = list(settings.sfu.iter().filter(is_family));
        if turn.is_empty() {
            continue;
        }
        let _ = writeln!(sets, "    set turn{family} {{ type {kind}; elements = {{ {turn} }} }}");
        let from_relay = format!("{ip} saddr @turn{family} udp sport {relay}");
        let to_relay = format!("{ip} daddr @turn{family} udp dport {relay}");
        let _ = writeln!(input, "        {ip} daddr @turn{family} udp dport {TURN_PORT} accept");
        let _ = writeln!(input, "        {ip} daddr @turn{family} tcp dport {{ {tcp} }} accept");
        if sfu.is_empty() {
            let _ = writeln!(input, "        {to_relay} counter drop");
            let _ = writeln!(output, "        {from_relay} counter drop");
            continue;
        }
        let _ = writeln!(sets, "    set sfu{family} {{ type {kind}; elements = {{ {sfu} }} }}");
        let to_media = format!("{from_relay} {ip} daddr @sfu{family} udp dport {media}");
        let from_media = format!("{to_relay} {ip} saddr @sfu{family} udp sport {media}");
        for chain in [&mut input, &mut output] {
            let _ = writeln!(chain, "        {to_media} accept");
            let _ = writeln!(chain, "        {from_media} accept");
            let _ = writeln!(chain, "        {from_relay} counter drop");
            let _ = writeln!(chain, "        {to_relay} counter drop");
        }
        for transport in ["udp", "tcp"] {
            let _ = writeln!(input, "        {ip} daddr @sfu{family} {transport} dport {media} accept");
        }
    }
    format!(
        "\
#!/usr/sbin/nft -f
# The firewall of a relay for Patchbay, written by this command; to change something, change the command:
#
#   {command}
#
# Load it on coturn's machine and on the SFU's: nft -f firewall.nft. Loading it again replaces it. It lets relayed packets
# go between relay ports and the SFU's media ports, and nowhere else. It drops nothing but relayed packets, so it stands
# beside the rules a machine has; what is accepted here (clients to coturn and to the SFU) must be let in by those, too.
table inet patchbay_turn
delete table inet patchbay_turn
table inet patchbay_turn {{
{sets}
    chain input {{
        type filter hook input priority filter; policy accept;
{input}    }}

    chain output {{
        type filter hook output priority filter; policy accept;
{output}    }}
}}
"
    )
}

fn list<'a>(addresses: impl Iterator<Item = &'a IpAddr>) -> String {
    let addresses: BTreeSet<&IpAddr> = addresses.collect();
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
