//! Finds the transport that a datagram belongs to.
//!
//! Datagrams on a known path belong to the transport that was authenticated there. STUN binding requests are the way onto
//! that list: they name a transport by its user name fragment, and only that transport can tell whether the request is
//! genuine. So nothing that a stranger sends puts anything into these tables; only [`Demux::bind`] does, after
//! [`TransportEvent::AddressBound`](crate::transport::TransportEvent::AddressBound).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};

use patchbay_wire::classify::{DatagramKind, classify};

use crate::transport::claimed_ufrag;
use crate::{Path, Protocol, TransportKey};

/// Paths of all transports of a worker together. Each transport has at most [`MAX_PATHS`](crate::transport::MAX_PATHS). Cost
/// of raising: about 100 bytes each.
pub const MAX_BOUND_PATHS: usize = 64 * 1024;

/// What [`Demux::bind`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// The path was free, or belonged to this transport already.
    Taken,
    /// The path belonged to another transport, which has lost it and is to be told
    /// ([`Transport::lose_path`](crate::transport::Transport::lose_path)). The newest authentication wins, because behind a NAT an
    /// address passes from one client to the next.
    TakenFrom(TransportKey),
    /// The table is full; the path is not bound.
    Full,
}

/// The tables of one worker.
#[derive(Debug)]
pub struct Demux {
    by_path: HashMap<Path, TransportKey, PathHashing>,
    by_ufrag: HashMap<Box<[u8]>, TransportKey>,
}

impl Demux {
    /// Empty tables. `seed` is random, so that nobody can choose addresses that collide.
    pub fn new(seed: u64) -> Self {
        Self { by_path: HashMap::with_hasher(PathHashing(seed | 1)), by_ufrag: HashMap::new() }
    }

    /// Whose datagram this is. A binding request goes to the transport it names, whatever path it came on; anything
    /// else to the transport that owns the path.
    #[inline]
    pub fn find(&self, path: Path, datagram: &[u8]) -> Option<TransportKey> {
        if classify(datagram) == DatagramKind::Stun
            && let Some(ufrag) = claimed_ufrag(datagram)
        {
            return self.by_ufrag.get(ufrag).copied();
        }
        self.by_path.get(&path).copied()
    }

    /// Gives a path to a transport that was authenticated on it.
    pub fn bind(&mut self, path: Path, transport: TransportKey) -> Bound {
        let is_full = self.by_path.len() >= MAX_BOUND_PATHS;
        match self.by_path.entry(path) {
            Entry::Occupied(mut owner) => match owner.insert(transport) {
                before if before == transport => Bound::Taken,
                before => Bound::TakenFrom(before),
            },
            Entry::Vacant(_) if is_full => Bound::Full,
            Entry::Vacant(free) => {
                free.insert(transport);
                Bound::Taken
            }
        }
    }

    /// Frees a path, if it still belongs to this transport.
    pub fn unbind(&mut self, path: Path, transport: TransportKey) {
        if self.by_path.get(&path) == Some(&transport) {
            self.by_path.remove(&path);
        }
    }

    /// Makes a transport known by its local user name fragment. Says whether it was free; it is random, so it is.
    pub fn add_ufrag(&mut self, ufrag: &str, transport: TransportKey) -> bool {
        match self.by_ufrag.entry(ufrag.as_bytes().into()) {
            Entry::Occupied(owner) => *owner.get() == transport,
            Entry::Vacant(free) => {
                free.insert(transport);
                true
            }
        }
    }

    /// Forgets a user name fragment, if it still belongs to this transport.
    pub fn remove_ufrag(&mut self, ufrag: &str, transport: TransportKey) {
        if self.by_ufrag.get(ufrag.as_bytes()) == Some(&transport) {
            self.by_ufrag.remove(ufrag.as_bytes());
        }
    }

    /// Whose a path is.
    pub fn owner(&self, path: Path) -> Option<TransportKey> {
        self.by_path.get(&path).copied()
    }

    /// How many paths are bound.
    pub fn path_count(&self) -> usize {
        self.by_path.len()
    }

    /// How many user name fragments are known.
    pub fn ufrag_count(&self) -> usize {
        self.by_ufrag.len()
    }
}

/// Hashes a path in a few multiplications: it happens once per datagram.
#[derive(Debug, Clone)]
struct PathHashing(u64);

impl BuildHasher for PathHashing {
    type Hasher = PathHasher;

    fn build_hasher(&self) -> PathHasher {
        PathHasher { state: self.0, seed: self.0 }
    }
}

#[derive(Debug)]
struct PathHasher {
    state: u64,
    seed: u64,
}

impl PathHasher {
    #[inline]
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.seed ^ 0x9e37_79b9_7f4a_7c15);
        self.state = (product as u64) ^ ((product >> 64) as u64);
    }
}

impl Hasher for PathHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.mix(u64::from_le_bytes(word));
        }
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.state
    }
}

impl Hash for Path {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        // UDP goes without, as it is what every packet of a good network comes by.
        if self.protocol == Protocol::Tcp {
            state.write_u64(1);
        }
        hash_address(&self.remote, state);
        hash_address(&self.local, state);
    }
}

#[inline]
fn hash_address<H: Hasher>(address: &SocketAddr, state: &mut H) {
    match address.ip() {
        IpAddr::V4(ip) => state.write_u64(u64::from(u32::from(ip)) << 16 | u64::from(address.port())),
        IpAddr::V6(ip) => {
            let ip = u128::from(ip);
            state.write_u64((ip >> 64) as u64);
            state.write_u64(ip as u64);
            state.write_u64(u64::from(address.port()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(number: u32) -> Path {
        let [a, b, c, d] = number.to_be_bytes();
        Path::udp(([127, 0, 0, 1], 7000).into(), ([10, b, c, d], 1000 + u16::from(a)).into())
    }

    fn request(ufrag: &str) -> Vec<u8> {
        let username = format!("{ufrag}:them");
        let padded = username.len().next_multiple_of(4);
        let mut request = vec![0, 1, 0, (padded + 4) as u8, 0x21, 0x12, 0xa4, 0x42];
        request.extend_from_slice(&[0; 12]);
        request.extend_from_slice(&[0, 6, 0, username.len() as u8]);
        request.extend_from_slice(username.as_bytes());
        request.resize(24 + padded, 0);
        request
    }

    #[test]
    fn requests_go_by_name_and_the_rest_by_path() {
        let mut demux = Demux::new(1);
        assert!(demux.add_ufrag("aaaa", TransportKey(1)) && demux.add_ufrag("bbbb", TransportKey(2)));
        assert_eq!(demux.find(path(1), &[128, 0]), None);
        assert_eq!(demux.find(path(1), &request("aaaa")), Some(TransportKey(1)));
        assert_eq!(demux.bind(path(1), TransportKey(1)), Bound::Taken);
        assert_eq!(demux.find(path(1), &[128, 0]), Some(TransportKey(1)));
        assert_eq!(demux.find(path(2), &[128, 0]), None);
        assert_eq!(
            demux.find(path(1), &request("bbbb")),
            Some(TransportKey(2)),
            "another client behind the same NAT"
        );
        assert_eq!(
            demux.find(path(1), &request("cccc")),
            None,
            "an unknown name is nobody's, even on a known path"
        );
        assert_eq!(demux.bind(path(1), TransportKey(2)), Bound::TakenFrom(TransportKey(1)));
        demux.unbind(path(1), TransportKey(1));
        assert_eq!(demux.find(path(1), &[20]), Some(TransportKey(2)), "only the owner can free a path");
        demux.unbind(path(1), TransportKey(2));
        demux.remove_ufrag("aaaa", TransportKey(2));
        assert_eq!(demux.find(path(1), &request("aaaa")), Some(TransportKey(1)));
        demux.remove_ufrag("aaaa", TransportKey(1));
        assert_eq!((demux.path_count(), demux.ufrag_count()), (0, 1));
    }

    #[test]
    fn a_connection_is_another_path_than_datagrams_between_the_same_addresses() {
        let mut demux = Demux::new(1);
        let (datagrams, connection) = (path(1), Path { protocol: Protocol::Tcp, ..path(1) });
        assert_eq!(demux.bind(datagrams, TransportKey(1)), Bound::Taken);
        assert_eq!(demux.bind(connection, TransportKey(2)), Bound::Taken);
        assert_eq!(demux.owner(datagrams), Some(TransportKey(1)));
        assert_eq!(demux.owner(connection), Some(TransportKey(2)));
    }

    #[test]
    fn the_table_has_an_end() {
        let mut demux = Demux::new(7);
        for number in 0..MAX_BOUND_PATHS as u32 {
            assert_eq!(demux.bind(path(number), TransportKey(number / 8)), Bound::Taken);
        }
        assert_eq!(demux.bind(path(u32::MAX), TransportKey(9)), Bound::Full);
        assert_eq!(demux.bind(path(3), TransportKey(9)), Bound::TakenFrom(TransportKey(0)));
        assert_eq!(demux.path_count(), MAX_BOUND_PATHS);
    }

    #[test]
    fn cut_off_requests_find_nothing_and_do_no_harm() {
        let mut demux = Demux::new(1);
        demux.add_ufrag("aaaa", TransportKey(1));
        let request = request("aaaa");
        for length in 0..request.len() {
            assert_eq!(demux.find(path(1), &request[..length]), None);
        }
    }
}
