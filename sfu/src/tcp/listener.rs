//! Listening on a port of our own.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};

use crate::StartError;

/// Connections that wait to be accepted, on top of what the worker holds.
const BACKLOG: i32 = 1_024;

/// Listens on an address. `workers` is only for the error text.
pub(crate) fn listen(address: SocketAddr, workers: usize) -> Result<std::net::TcpListener, StartError> {
    open(address).map_err(|source| StartError::from_tcp(address, workers, source))
}

fn open(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // So that a restart need not wait for the connections of the life before to be forgotten.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
