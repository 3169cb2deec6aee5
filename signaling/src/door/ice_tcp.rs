//! Media connections that come in by the door of HTTP, where a network lets nothing else through.

use std::fmt;
use std::io;
use std::net::TcpStream as StdTcpStream;
use std::sync::Arc;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::first_bytes::{ENOUGH, FirstBytes, classify_first_bytes};

/// Whoever takes connections that carry media: an SFU node in the same process. Clones are the same taker.
#[derive(Clone)]
pub struct IceTcpTaker(Arc<dyn Fn(StdTcpStream, Vec<u8>) + Send + Sync>);

impl IceTcpTaker {
    /// From a function that takes a connection in non-blocking mode, and what was read from it already. It must not block.
    pub fn new(take: impl Fn(StdTcpStream, Vec<u8>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }
}

impl fmt::Debug for IceTcpTaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IceTcpTaker")
    }
}

/// Hands a connection over whose first bytes are those of a connectivity check, or may become so.
pub(super) async fn hand_over(mut socket: TcpStream, taker: &IceTcpTaker) -> io::Result<()> {
    let mut read = Vec::new();
    loop {
        let missing = ENOUGH.saturating_sub(read.len());
        if (&mut socket).take(missing as u64).read_buf(&mut read).await? == 0 {
            return Ok(());
        }
        match classify_first_bytes(&read) {
            FirstBytes::NeedMore => {}
            FirstBytes::IceTcp => {
                (taker.0)(socket.into_std()?, read);
                return Ok(());
            }
            _ => return Ok(()),
        }
    }
}
