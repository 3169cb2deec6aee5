//! A relay between one peer and the server: it passes datagrams on, records what the peer sends, and can lose or repeat.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::UdpSocket;

/// Datagrams that are kept at most.
const RECORDED: usize = 4_000;

/// A relay. It ends when it is dropped.
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    server: Mutex<Option<SocketAddr>>,
    recorded: Mutex<Vec<Vec<u8>>>,
    is_cut: AtomicBool,
    /// The n-th datagram of every so many is lost, each way; 0 loses none.
    lose_every: AtomicU64,
    outer: Mutex<Option<Arc<UdpSocket>>>,
}

impl Relay {
    /// Opens a relay on loopback. It waits for [`Self::lead_to`].
    pub async fn open() -> std::io::Result<Self> {
        let inner = UdpSocket::bind("127.0.0.1:0").await?;
        let outer = Arc::new(UdpSocket::bind("0.0.0.0:0").await?);
        let address = inner.local_addr()?;
        let shared = Arc::new(Shared::default());
        *lock(&shared.outer) = Some(Arc::clone(&outer));
        let task = tokio::spawn(pass_on(inner, outer, Arc::clone(&shared)));
        Ok(Self { address, shared, task })
    }

    /// Where the peer sends to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the peer's datagrams go.
    pub fn lead_to(&self, server: SocketAddr) {
        *lock(&self.shared.server) = Some(server);
    }

    /// Loses everything from now on, or nothing more.
    pub fn cut(&self, is_cut: bool) {
        self.shared.is_cut.store(is_cut, Ordering::Relaxed);
    }

    /// Loses every n-th datagram each way; 0 loses none.
    pub fn lose_every(&self, count: u64) {
        self.shared.lose_every.store(count, Ordering::Relaxed);
    }

    /// What the peer sent so far, oldest first.
    pub fn recorded(&self) -> Vec<Vec<u8>> {
        lock(&self.shared.recorded).clone()
    }

    /// Sends a datagram to the server from the address that the server knows the peer by.
    pub async fn inject(&self, datagram: &[u8]) -> std::io::Result<()> {
        let (outer, server) = (lock(&self.shared.outer).clone(), *lock(&self.shared.server));
        if let (Some(outer), Some(server)) = (outer, server) {
            outer.send_to(datagram, server).await?;
        }
        Ok(())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass_on(inner: UdpSocket, outer: Arc<UdpSocket>, shared: Arc<Shared>) {
    let mut peer = None;
    let (mut up, mut down) = (vec![0; 2_048], vec![0; 2_048]);
    let mut count = 0;
    loop {
        let mut is_lost = || {
            count += 1;
            let every = shared.lose_every.load(Ordering::Relaxed);
            shared.is_cut.load(Ordering::Relaxed) || (every > 0 && count % every == 0)
        };
        tokio::select! {
            Ok((length, from)) = inner.recv_from(&mut up) => {
                peer = Some(from);
                let server = *lock(&shared.server);
                {
                    let mut recorded = lock(&shared.recorded);
                    if recorded.len() < RECORDED {
                        recorded.push(up[..length].to_vec());
                    }
                }
                if let (Some(server), false) = (server, is_lost()) {
                    let _ = outer.send_to(&up[..length], server).await;
                }
            }
            Ok((length, _)) = outer.recv_from(&mut down) => {
                if let (Some(peer), false) = (peer, is_lost()) {
                    let _ = inner.send_to(&down[..length], peer).await;
                }
            }
            else => break,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
