//! Asking STUN servers which address this host is seen at (RFC 8489).
//!
//! A NAT in front of this host shows the same address for all of the host's sockets, but any port: of the answers only the
//! address counts, and the media ports must be forwarded unchanged all the same. The questions come from sockets of their
//! own on the addresses that media is received on, since the media sockets belong to their workers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::public::is_host;

/// All questions together take no longer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Waits for an answer before asking again, and how often.
const RETRY: Duration = Duration::from_millis(700);
const TRIES: usize = 3;
/// Servers beyond these are not asked.
const MAX_SERVERS: usize = 4;
/// STUN's own (RFC 8489 §14), where `stun:HOST` names no port.
const STUN_PORT: u16 = 3478;

const HEADER_BYTES: usize = 20;
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const BINDING_SUCCESS: [u8; 2] = [0x01, 0x01];
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const MAPPED_ADDRESS: u16 = 0x0001;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;

type Transaction = [u8; 12];

/// What STUN servers said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detection {
    /// Where this host is seen, if that is not an address of its own; one for each family at most.
    pub public: Vec<IpAddr>,
    /// Its own addresses that servers saw unchanged: no NAT is in front of them.
    pub unchanged: Vec<IpAddr>,
    /// Servers that gave no answer, and why, in words.
    pub silent: Vec<(String, String)>,
}

/// One server's answer to a question from `local`.
struct Answer {
    server: String,
    outcome: io::Result<(IpAddr, IpAddr)>,
}

/// Asks `servers` (`stun:HOST[:PORT]`; the first four) from each address in `bind`, or from any if that is empty. Blocks for
/// 3 s at most, and for no longer than it takes to hear about both families. The first answer for a family counts. Only the
/// address of an answer means something: a media port on a NAT has to be forwarded, not guessed.
pub fn detect_public_ips(servers: &[String], bind: &[IpAddr]) -> Detection {
    let deadline = Instant::now() + PATIENCE;
    let local: Vec<IpAddr> = if bind.is_empty() {
        vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()]
    } else {
        bind.iter().copied().filter(|ip| is_usable_source(*ip)).collect()
    };
    let (sender, answers) = mpsc::channel();
    for server in servers.iter().take(MAX_SERVERS) {
        let (server, local, sender) = (server.clone(), local.clone(), sender.clone());
        // A name may take longer to look up than anybody wants to wait; the thread then ends by itself, unheard.
        thread::spawn(move || ask_server(&server, &local, &sender));
    }
    drop(sender);

    let mut detection = Detection::default();
    let mut answered = Vec::new();
    let mut trouble: Vec<(String, String)> = Vec::new();
    let is_known = |detection: &Detection, ip: IpAddr| {
        detection.public.iter().chain(&detection.unchanged).any(|it| it.is_ipv4() == ip.is_ipv4())
    };
    while !local.iter().all(|ip| is_known(&detection, *ip)) {
        let Ok(Answer { server, outcome }) =
            answers.recv_timeout(deadline.saturating_duration_since(Instant::now()))
        else {
            break;
        };
        match outcome {
            Ok((source, seen)) => {
                if !is_known(&detection, seen) {
                    let list = if source == seen { &mut detection.unchanged } else { &mut detection.public };
                    list.push(seen);
                }
                answered.push(server);
            }
            Err(error) => trouble.push((server, error.to_string())),
        }
    }
    for server in servers.iter().take(MAX_SERVERS).filter(|it| !answered.contains(it)) {
        let why = trouble.iter().find(|(name, _)| name == server).map_or("no answer", |(_, why)| why);
        detection.silent.push((server.clone(), why.to_owned()));
    }
    detection
}

fn is_usable_source(ip: IpAddr) -> bool {
    !matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

/// Asks one server from each local address that has a family in common with it, at the same time.
fn ask_server(server: &str, local: &[IpAddr], answers: &mpsc::Sender<Answer>) {
    let tell = |outcome| {
        // Nobody listens any more once all is known.
        let _ = answers.send(Answer { server: server.to_owned(), outcome });
    };
    let addresses = match look_up(server) {
        Ok(addresses) => addresses,
        Err(error) => return tell(Err(error)),
    };
    let pairs: Vec<(IpAddr, SocketAddr)> = local
        .iter()
        .filter_map(|ip| Some((*ip, *addresses.iter().find(|to| to.is_ipv4() == ip.is_ipv4())?)))
        .collect();
    if pairs.is_empty() {
        return tell(Err(io::Error::other("it has no address of a family that media is received on")));
    }
    thread::scope(|scope| {
        for (from, to) in pairs {
            scope.spawn(move || tell(ask(from, to)));
        }
    });
}

fn look_up(server: &str) -> io::Result<Vec<SocketAddr>> {
    let place = server.split_once(':').map_or(server, |(_, place)| place);
    let has_port = place.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'));
    let place = if has_port { place.to_owned() } else { format!("{place}:{STUN_PORT}") };
    Ok(place.to_socket_addrs()?.collect())
}

/// The local address that the question left from, and where the server saw it.
fn ask(from: IpAddr, to: SocketAddr) -> io::Result<(IpAddr, IpAddr)> {
    let socket = UdpSocket::bind(SocketAddr::new(from, 0))?;
    socket.connect(to)?;
    let source = socket.local_addr()?.ip();
    let transaction: Transaction = rand::random();
    let request = request(&transaction);
    let mut why = io::Error::new(io::ErrorKind::TimedOut, "no answer");
    for _ in 0..TRIES {
        let until = Instant::now() + RETRY;
        let mut buffer = [0; 1_500];
        let mut next = socket.send(&request).map(|_| 0);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match next {
                _ if left.is_zero() => break,
                Ok(length) => {
                    let seen = buffer.get(..length).and_then(|message| mapped_address(message, &transaction));
                    if let Some(seen) = seen.filter(|ip| is_host(*ip)) {
                        return Ok((source, seen));
                    }
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                }
                Err(error) => {
                    // The server may be starting, as this one is: refused now, it may answer the next question.
                    why = error;
                    thread::sleep(left);
                    break;
                }
            }
            socket.set_read_timeout(Some(left))?;
            next = socket.recv(&mut buffer);
        }
    }
    Err(why)
}

/// A binding request without attributes (RFC 8489 §5).
fn request(transaction: &Transaction) -> [u8; HEADER_BYTES] {
    let mut message = [0; HEADER_BYTES];
    message[..2].copy_from_slice(&BINDING_REQUEST);
    message[4..8].copy_from_slice(&MAGIC_COOKIE);
    message[8..].copy_from_slice(transaction);
    message
}

/// The address in a success response to our request: XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS of an old server (RFC 8489
/// §14.1, §14.2).
fn mapped_address(message: &[u8], transaction: &Transaction) -> Option<IpAddr> {
    let (header, mut rest) = message.split_first_chunk::<HEADER_BYTES>()?;
    let &[t0, t1, l0, l1, c0, c1, c2, c3, ref theirs @ ..] = header;
    let is_ours = [t0, t1] == BINDING_SUCCESS && [c0, c1, c2, c3] == MAGIC_COOKIE && theirs == transaction;
    if !is_ours || usize::from(u16::from_be_bytes([l0, l1])) != rest.len() {
        return None;
    }
    let mut plain = None;
    while let Some((&[k0, k1, l0, l1], after)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let value = after.get(..length)?;
        match u16::from_be_bytes([k0, k1]) {
            XOR_MAPPED_ADDRESS => return unmask(address(value)?, transaction),
            MAPPED_ADDRESS => plain = plain.or(address(value)),
            _ => {}
        }
        rest = after.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    plain
}

/// Reserved, family, port, address.
fn address(value: &[u8]) -> Option<IpAddr> {
    let (&[_, family, _, _], ip) = value.split_first_chunk::<4>()?;
    match family {
        1 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(ip).ok()?).into()),
        2 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(ip).ok()?).into()),
        _ => None,
    }
}

/// Takes the mask off an address: the cookie, and for IPv6 the transaction behind it.
fn unmask(ip: IpAddr, transaction: &Transaction) -> Option<IpAddr> {
    let mut mask = [0; 16];
    let (cookie, rest) = mask.split_at_mut_checked(MAGIC_COOKIE.len())?;
    cookie.copy_from_slice(&MAGIC_COOKIE);
    rest.copy_from_slice(transaction);
    Some(match ip {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() ^ u32::from_be_bytes(MAGIC_COOKIE)).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() ^ u128::from_be_bytes(mask)).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sample responses of RFC 5769 §2.2 and §2.3: IPv4 192.0.2.1 and IPv6 2001:db8:1234:5678:11:2233:4455:6677.
    const TRANSACTION: Transaction = *b"\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae";

    fn response(attributes: &[u8]) -> Vec<u8> {
        let mut message = vec![1, 1, 0, u8::try_from(attributes.len()).expect("short")];
        message.extend(MAGIC_COOKIE.iter().chain(&TRANSACTION).chain(attributes));
        message
    }

    #[test]
    fn addresses_of_the_samples_of_rfc_5769() {
        let v4 = response(b"\x80\x22\x00\x0btest vector \x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43");
        assert_eq!(mapped_address(&v4, &TRANSACTION), Some("192.0.2.1".parse().expect("ip")));
        let v6 = response(
            b"\x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9",
        );
        let expected = "2001:db8:1234:5678:11:2233:4455:6677".parse().expect("ip");
        assert_eq!(mapped_address(&v6, &TRANSACTION), Some(expected));
        let old = response(b"\x00\x01\x00\x08\x00\x01\x00\x01\xc0\x00\x02\x01");
        assert_eq!(mapped_address(&old, &TRANSACTION), Some("192.0.2.1".parse().expect("ip")));
    }

    #[test]
    fn what_is_no_answer_is_none() {
        let good = response(b"\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43");
        assert_eq!(mapped_address(&good, &[0; 12]), None, "another's");
        for length in 0..good.len() {
            assert_eq!(mapped_address(&good[..length], &TRANSACTION), None, "{length}");
        }
        for attributes in
            [&b"\x00\x20\x00\x40"[..], b"\x00\x20\x00\x04\x00\x01\x00\x00", b"\x00\x20\x00\x00", b"\x00"]
        {
            assert_eq!(mapped_address(&response(attributes), &TRANSACTION), None, "{attributes:?}");
        }
    }

    #[test]
    fn servers_are_written_as_urls() {
        for (url, expected) in [
            ("stun:127.0.0.1", "127.0.0.1:3478"),
            ("stun:127.0.0.1:99", "127.0.0.1:99"),
            ("stun:[::1]", "[::1]:3478"),
            ("stun:[::1]:99", "[::1]:99"),
        ] {
            assert_eq!(
                look_up(url).expect("an address"),
                [expected.parse::<SocketAddr>().expect("an address")],
                "{url}"
            );
        }
    }
}
