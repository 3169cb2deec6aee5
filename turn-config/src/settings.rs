//! The settings, and everything that can be wrong with them.

use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;
use std::str::FromStr;

use crate::TURN_PORT;
use crate::address::{is_private, special};

/// Fewer relay ports than this, and a handful of participants use them up.
const RELAY_PORTS: u32 = 16;

/// What a deployment decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// coturn's realm: the host name that clients know it by.
    pub realm: String,
    /// Where clients reach coturn.
    pub public: Vec<PublicAddress>,
    /// The SFU's addresses as clients are told them: the only peers.
    pub sfu: Vec<IpAddr>,
    /// The SFU's UDP ports, one for each worker.
    pub media_ports: PortRange,
    /// TLS; without it, networks that let nothing else through stay closed.
    pub tls: Option<Tls>,
    /// Relayed addresses get their ports from here.
    pub relay_ports: PortRange,
    /// How much of the relay there is for whom.
    pub quota: Quota,
    /// The whole deployment is in a private network, so that private addresses are meant.
    pub private_network: bool,
}

/// An address clients use, and the one that the machine has if it is behind a 1:1 NAT. Written `PUBLIC` or
/// `PUBLIC/LOCAL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicAddress {
    /// As clients see it.
    pub public: IpAddr,
    /// As the machine has it.
    pub local: IpAddr,
}

/// UDP ports from first to last. Written `FIRST-LAST`, or one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// The last, itself part of the range.
    pub last: u16,
}

/// Files of a certificate, as coturn's machine has them, and the TCP ports that speak TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate with its chain, PEM.
    pub certificate: String,
    /// Its private key, PEM.
    pub key: String,
    /// The first is coturn's own TLS port, the others stand beside it.
    pub ports: Vec<u16>,
}

/// Bounds of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Allocations of one session. A browser makes one for each URL, address family and network interface, and twice as many
    /// during an ICE restart.
    pub session: u32,
    /// Allocations of everybody together, each with a relay port; all relay ports if absent.
    pub total: Option<u32>,
    /// Kilobits per second of one allocation, each way.
    pub allocation_kbps: u32,
}

/// Settings that make sense together.
#[derive(Debug, Clone)]
pub struct Checked(Settings);

/// What makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not a host name.
    #[error("--realm {0:?}: a host name such as turn.example.org")]
    Realm(String),
    /// Nowhere to listen.
    #[error("--public-ip is needed: where do clients reach coturn?")]
    NoPublicIp,
    /// Twice the same.
    #[error("{0} {1}: is given twice")]
    Twice(&'static str, IpAddr),
    /// An address that no relay may have or reach.
    #[error("{0} {1}: {2}")]
    Special(&'static str, IpAddr, &'static str),
    /// A private address that nobody said was meant.
    #[error(
        "{0} {1}: is private, so clients elsewhere can't use it. Behind a 1:1 NAT write PUBLIC/LOCAL for coturn and the \
         public address for the SFU; if the whole deployment is private, say --private-network"
    )]
    Private(&'static str, IpAddr),
    /// IPv4 on one side of a NAT and IPv6 on the other.
    #[error("--public-ip {0}/{1}: one is IPv4 and the other IPv6")]
    MixedFamilies(IpAddr, IpAddr),
    /// Several addresses behind a NAT to one.
    #[error("--public-ip: the local address {0} stands for two public ones")]
    SharedLocal(IpAddr),
    /// No peer at all.
    #[error("--sfu-ip is needed: the addresses that the SFU announces, the only ones a relay may reach")]
    NoSfuIp,
    /// coturn relays within one family.
    #[error("--sfu-ip {0}: coturn has no --public-ip of the same family to relay from")]
    NoRelayFor(IpAddr),
    /// A range that ends before it starts, or that needs privileges.
    #[error("{0} {1}: ports are written FIRST-LAST, from 1024 on")]
    Ports(&'static str, PortRange),
    /// Too few.
    #[error("--relay-ports {0}: fewer than {RELAY_PORTS} ports")]
    FewRelayPorts(PortRange),
    /// Two things on one port.
    #[error("--relay-ports {0}: {1} is in it")]
    RelayPortTaken(PortRange, &'static str),
    /// Neither a certificate nor a word that none is meant.
    #[error(
        "--tls-cert and --tls-key are needed, or --no-tls: without TLS, clients behind a firewall that lets only \
         HTTPS through can't connect"
    )]
    NoTls,
    /// Half a certificate, or one that is not to be used.
    #[error("--tls-cert and --tls-key belong together, and not with --no-tls")]
    HalfTls,
    /// A path that coturn would read otherwise.
    #[error("{0} {1:?}: an absolute path without white space")]
    Path(&'static str, String),
    /// TLS without a port, or on one that is taken.
    #[error("--tls-ports: 1 to 4 different ports, and not {TURN_PORT}")]
    TlsPorts,
    /// Quotas that contradict each other.
    #[error("--session-quota {session}, --total-quota {total}: 1 or more, the first not over the second")]
    Quota {
        /// Of a session.
        session: u32,
        /// Of everybody.
        total: u32,
    },
    /// More allocations than ports.
    #[error("--total-quota {total}: there are only {ports} relay ports")]
    QuotaOverPorts {
        /// Asked for.
        total: u32,
        /// There.
        ports: u32,
    },
    /// So little that a call can't be made, or more than coturn counts.
    #[error("--max-kbps {0}: 100 to 10000000")]
    Bandwidth(u32),
    /// A secret that can be guessed, or that coturn reads otherwise.
    #[error("the secret must be {SECRET_BYTES} to 256 letters and digits, '-', '_', '+', '/' and '='")]
    Secret,
}

/// Bytes of the shortest secret.
pub(crate) const SECRET_BYTES: usize = 16;

impl Settings {
    /// Checks everything that can be known without the machine.
    pub fn check(self) -> Result<Checked, SettingsError> {
        check_realm(&self.realm)?;
        self.check_addresses()?;
        self.check_ports()?;
        if let Some(tls) = &self.tls {
            check_tls(tls)?;
        }
        self.check_quota()?;
        Ok(Checked(self))
    }

    fn check_addresses(&self) -> Result<(), SettingsError> {
        const PUBLIC: &str = "--public-ip";
        const SFU: &str = "--sfu-ip";
        if self.public.is_empty() {
            return Err(SettingsError::NoPublicIp);
        }
        for (index, address) in self.public.iter().enumerate() {
            self.check_address(PUBLIC, address.public)?;
            if let Some(what) = special(address.local) {
                return Err(SettingsError::Special(PUBLIC, address.local, what));
            }
            if address.public.is_ipv4() != address.local.is_ipv4() {
                return Err(SettingsError::MixedFamilies(address.public, address.local));
            }
            for other in &self.public[..index] {
                if other.public == address.public {
                    return Err(SettingsError::Twice(PUBLIC, address.public));
                }
                if other.local == address.local {
                    return Err(SettingsError::SharedLocal(address.local));
                }
            }
        }
        if self.sfu.is_empty() {
            return Err(SettingsError::NoSfuIp);
        }
        for (index, ip) in self.sfu.iter().enumerate() {
            self.check_address(SFU, *ip)?;
            if self.sfu[..index].contains(ip) {
                return Err(SettingsError::Twice(SFU, *ip));
            }
            if !self.public.iter().any(|address| address.local.is_ipv4() == ip.is_ipv4()) {
                return Err(SettingsError::NoRelayFor(*ip));
            }
        }
        Ok(())
    }

    fn check_address(&self, flag: &'static str, ip: IpAddr) -> Result<(), SettingsError> {
        match special(ip) {
            Some(what) => Err(SettingsError::Special(flag, ip, what)),
            None if is_private(ip) && !self.private_network => Err(SettingsError::Private(flag, ip)),
            None => Ok(()),
        }
    }

    fn check_ports(&self) -> Result<(), SettingsError> {
        let (relay, media) = (self.relay_ports, self.media_ports);
        for (flag, range) in [("--relay-ports", relay), ("--media-ports", media)] {
            if range.first < 1024 || range.first > range.last {
                return Err(SettingsError::Ports(flag, range));
            }
        }
        if relay.len() < RELAY_PORTS {
            return Err(SettingsError::FewRelayPorts(relay));
        }
        let tls = self.tls.as_ref().map_or(&[][..], |tls| &tls.ports);
        let taken = if relay.contains(TURN_PORT) {
            Some("coturn's own port 3478")
        } else if tls.iter().any(|port| relay.contains(*port)) {
            Some("a port of --tls-ports")
        } else if relay.first <= media.last && media.first <= relay.last {
            Some("a port of --media-ports")
        } else {
            None
        };
        taken.map_or(Ok(()), |what| Err(SettingsError::RelayPortTaken(relay, what)))
    }

    fn check_quota(&self) -> Result<(), SettingsError> {
        let (session, ports) = (self.quota.session, self.ports());
        let total = self.quota.total.unwrap_or(ports);
        if total > ports {
            return Err(SettingsError::QuotaOverPorts { total, ports });
        }
        if session == 0 || session > total {
            return Err(SettingsError::Quota { session, total });
        }
        if !(100..=10_000_000).contains(&self.quota.allocation_kbps) {
            return Err(SettingsError::Bandwidth(self.quota.allocation_kbps));
        }
        Ok(())
    }

    /// Relay ports of all addresses together.
    fn ports(&self) -> u32 {
        let addresses = u32::try_from(self.public.len()).unwrap_or(u32::MAX);
        self.relay_ports.len().saturating_mul(addresses)
    }
}

impl Checked {
    /// Allocations of everybody together.
    pub(crate) fn total_quota(&self) -> u32 {
        self.quota.total.unwrap_or_else(|| self.ports())
    }

    /// Whether the SFU's address is one of this machine's own.
    pub(crate) fn shares_host(&self) -> bool {
        self.public
            .iter()
            .any(|address| self.sfu.contains(&address.public) || self.sfu.contains(&address.local))
    }

    /// The command that leads to these settings, one option a line.
    pub fn command(&self) -> Vec<String> {
        let mut lines = vec![format!("patchbay turn-config --realm {}", self.realm)];
        lines.extend(self.public.iter().map(|address| format!("--public-ip {address}")));
        lines.extend(self.sfu.iter().map(|ip| format!("--sfu-ip {ip}")));
        lines.push(format!("--media-ports {}", self.media_ports));
        match &self.tls {
            Some(tls) => {
                let ports: Vec<String> = tls.ports.iter().map(ToString::to_string).collect();
                lines.push(format!("--tls-cert {} --tls-key {}", tls.certificate, tls.key));
                lines.push(format!("--tls-ports {}", ports.join(",")));
            }
            None => lines.push("--no-tls".into()),
        }
        lines.push(format!("--relay-ports {}", self.relay_ports));
        let mut quota = format!("--session-quota {}", self.quota.session);
        if let Some(total) = self.quota.total {
            quota += &format!(" --total-quota {total}");
        }
        lines.push(format!("{quota} --max-kbps {}", self.quota.allocation_kbps));
        if self.private_network {
            lines.push("--private-network".into());
        }
        lines
    }
}

impl Deref for Checked {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.0
    }
}

impl Tls {
    /// From what was written: both files, or `--no-tls`.
    pub fn from_flags(
        certificate: Option<String>,
        key: Option<String>,
        ports: Vec<u16>,
        no_tls: bool,
    ) -> Result<Option<Self>, SettingsError> {
        match (certificate, key, no_tls) {
            (Some(certificate), Some(key), false) => Ok(Some(Self { certificate, key, ports })),
            (None, None, true) => Ok(None),
            (None, None, false) => Err(SettingsError::NoTls),
            _ => Err(SettingsError::HalfTls),
        }
    }
}

impl PortRange {
    /// How many ports it has.
    pub fn len(self) -> u32 {
        u32::from(self.last).saturating_sub(u32::from(self.first)) + 1
    }

    /// Never: a range has one port at least.
    pub fn is_empty(self) -> bool {
        false
    }

    fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl FromStr for PortRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) => Ok(Self { first, last }),
            _ => Err("ports are written FIRST-LAST".into()),
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl FromStr for PublicAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (public, local) = text.split_once('/').unwrap_or((text, text));
        match (public.parse(), local.parse()) {
            (Ok(public), Ok(local)) => Ok(Self { public, local }),
            _ => Err("an address is written PUBLIC or PUBLIC/LOCAL".into()),
        }
    }
}

impl fmt::Display for PublicAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.public == self.local {
            return self.public.fmt(f);
        }
        write!(f, "{}/{}", self.public, self.local)
    }
}

fn check_realm(realm: &str) -> Result<(), SettingsError> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if realm.len() <= 127 && realm.split('.').all(is_label) {
        return Ok(());
    }
    Err(SettingsError::Realm(realm.to_owned()))
}

fn check_tls(tls: &Tls) -> Result<(), SettingsError> {
    for (flag, path) in [("--tls-cert", &tls.certificate), ("--tls-key", &tls.key)] {
        let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && !"#\"'".contains(c);
        if !path.starts_with('/') || !path.chars().all(is_plain) {
            return Err(SettingsError::Path(flag, path.clone()));
        }
    }
    let is_repeated = |index: usize| tls.ports[..index].contains(&tls.ports[index]);
    let is_bad = |index: usize| [0, TURN_PORT].contains(&tls.ports[index]) || is_repeated(index);
    if !(1..=4).contains(&tls.ports.len()) || (0..tls.ports.len()).any(is_bad) {
        return Err(SettingsError::TlsPorts);
    }
    Ok(())
}

/// Whether a text may be coturn's secret: nothing that its configuration file would read otherwise.
pub(crate) fn check_secret(secret: &str) -> Result<(), SettingsError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_+/=".contains(&byte);
    if (SECRET_BYTES..=256).contains(&secret.len()) && secret.bytes().all(is_plain) {
        return Ok(());
    }
    Err(SettingsError::Secret)
}
