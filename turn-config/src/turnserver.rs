//! `turnserver.conf`.

use std::net::IpAddr;

use crate::settings::{Checked, SettingsError, check_secret};
use crate::{TURN_PORT, Tls};

/// coturn's configuration. Without a secret it says where to put one, and coturn lets nobody in.
pub fn turnserver_conf(settings: &Checked, secret: Option<&str>) -> Result<String, SettingsError> {
    let secret = match secret {
        Some(secret) => {
            check_secret(secret)?;
            format!("static-auth-secret={secret}")
        }
        None => "# static-auth-secret= is not shown here. coturn lets nobody in without it.".into(),
    };
    let command = settings.command().join(" \\\n#       ");
    let listening = lines(&settings.public, |address| format!("listening-ip={}", address.local));
    let relays = lines(&settings.public, |address| format!("relay-ip={}", address.local));
    let mappings: Vec<_> = settings.public.iter().filter(|address| address.public != address.local).collect();
    let mapping = match mappings.is_empty() {
        true => "# The addresses are the machine's own: no 1:1 NAT, so no external-ip.".to_owned(),
        false => format!(
            "# A 1:1 NAT: clients are told the public address, coturn uses the local one.\n{}",
            lines(&mappings, |address| format!("external-ip={}/{}", address.public, address.local))
        ),
    };
    let tls = settings.tls.as_ref().map_or_else(without_tls, |tls| with_tls(settings, tls));
    let peers = lines(&settings.sfu, |ip| format!("allowed-peer-ip={ip}"));
    let host = match settings.shares_host() {
        true => {
            "# The SFU is on this machine, so its other ports are a packet away: load firewall.nft, too.\n"
        }
        false => "",
    };
    // coturn counts bytes.
    let bytes_per_second = u64::from(settings.quota.allocation_kbps) * 1_000 / 8;
    Ok(format!(
        "\
# coturn for Patchbay, written by this command; to change something, change the command:
#
#   {command}
#
# Tested with coturn 4.6. Load firewall.nft, too: coturn filters peers by address, never by port.

# --- Where clients reach it: STUN and TURN, UDP and TCP ---
# Addresses are listed, as coturn would otherwise take all of the machine's, loopback included.
{listening}
listening-port={TURN_PORT}
{mapping}

# --- TLS ---
{tls}

# --- Who may use it ---
# Credentials hold for a session and a time: EXPIRY:SESSION and its HMAC under the secret that Patchbay has as
# --turn-secret. There are no accounts to leak. Whoever reads this file can make credentials: keep it 0600.
realm={realm}
use-auth-secret
{secret}
# A nonce that is older is refused with a new one, so that recorded requests can't be played again.
stale-nonce=600
# Nothing but this file decides: no realms and no peers from a database.
no-dynamic-realms
no-dynamic-ip-list

# --- What a relay may reach: the SFU and nothing else ---
# Everything is denied, and then the SFU allowed (allowed wins). That covers loopback, private, link-local and
# metadata addresses, 0.0.0.0 and ::, IPv4-mapped (::ffff:127.0.0.1), NAT64 (64:ff9b::/96) and every public one.
{host}denied-peer-ip=0.0.0.0-255.255.255.255
denied-peer-ip=::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
{peers}
no-multicast-peers
# Media is UDP: without TCP relays (RFC 6062) nobody reaches the SFU's web, database or shell ports through here.
no-tcp-relay

# --- Relayed addresses ---
# One port for each allocation. Outside of 32768-60999, from which Linux takes the ports of its own connections, so that
# the firewall can tell relayed packets by their port.
{relays}
min-port={first}
max-port={last}

# --- Quotas ---
# Allocations at a time of one session (coturn counts by what follows the expiry in the user name), and of everybody.
user-quota={session}
total-quota={total}
# Bytes per second of one allocation, each way.
max-bps={bytes_per_second}

# --- What is not offered ---
# No remote administration, no version banner.
no-cli
no-software-attribute
# STUN answers only what clients need: other answers are longer than their questions, which suits attackers who spoof
# the victim's address.
no-rfc5780
no-stun-backward-compatibility
response-origin-only-with-rfc5780
fingerprint

# --- Log: to standard output, for systemd or the container to keep ---
log-file=stdout
simple-log
",
        realm = settings.realm,
        first = settings.relay_ports.first,
        last = settings.relay_ports.last,
        session = settings.quota.session,
        total = settings.total_quota(),
    ))
}

fn with_tls(settings: &Checked, tls: &Tls) -> String {
    let mut ports = tls.ports.iter();
    let first = ports.next().copied().unwrap_or_default();
    let beside: Vec<String> = ports
        .flat_map(|port| settings.public.iter().map(move |address| aux_server(address.local, *port)))
        .collect();
    let beside = match beside.is_empty() {
        true => String::new(),
        false => {
            format!("# The same on further ports; 443 passes where only HTTPS does.\n{}\n", beside.join("\n"))
        }
    };
    format!(
        "\
# turns: for networks that let nothing else through. coturn reads the files at its start, and again at SIGUSR2. Version
# 4.6 speaks TLS 1.2 at most.
tls-listening-port={first}
{beside}cert={certificate}
pkey={key}
no-tlsv1
no-tlsv1_1
cipher-list=\"ECDHE+AESGCM:ECDHE+CHACHA20\"
# No browser speaks TURN over DTLS.
no-dtls",
        certificate = tls.certificate,
        key = tls.key,
    )
}

fn without_tls() -> String {
    "# None, by --no-tls: networks that let only HTTPS through stay closed.\nno-tls\nno-dtls".into()
}

fn aux_server(ip: IpAddr, port: u16) -> String {
    format!("aux-server={}", std::net::SocketAddr::new(ip, port))
}

fn lines<T>(items: &[T], line: impl Fn(&T) -> String) -> String {
    items.iter().map(line).collect::<Vec<_>>().join("\n")
}
