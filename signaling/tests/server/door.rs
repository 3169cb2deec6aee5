//! What comes in by the door of HTTP and is something else.

use std::io::Read as _;
use std::net::{SocketAddr, TcpStream as StdTcpStream};
use std::time::Duration;

use patchbay_signaling::{IceTcpTaker, TlsSource};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use crate::support::{PATIENCE, TestServer, http};

/// The beginning of a framed connectivity check, and some more of it.
fn check() -> Vec<u8> {
    let mut check = vec![0, 60, 0, 1, 0, 40, 0x21, 0x12, 0xa4, 0x42];
    check.extend(0..52);
    check
}

/// A taker, and what it took.
fn taker() -> (IceTcpTaker, UnboundedReceiver<(StdTcpStream, Vec<u8>)>) {
    let (sender, taken) = unbounded_channel();
    (IceTcpTaker::new(move |stream, read| drop(sender.send((stream, read)))), taken)
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// Waits for the connection that was taken and reads on until it is complete.
async fn taken_bytes(taken: &mut UnboundedReceiver<(StdTcpStream, Vec<u8>)>, length: usize) -> Vec<u8> {
    let (mut stream, mut bytes) = timeout(PATIENCE, taken.recv()).await.unwrap().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rest = vec![0; length - bytes.len()];
    stream.read_exact(&mut rest).unwrap();
    bytes.extend(rest);
    bytes
}

async fn both_are_served(server: &TestServer, taken: &mut UnboundedReceiver<(StdTcpStream, Vec<u8>)>) {
    // At once, and in pieces that are as small as can be.
    for piece in [check().len(), 1, 3] {
        let mut client = connect(server.address).await;
        client.set_nodelay(true).unwrap();
        for bytes in check().chunks(piece) {
            client.write_all(bytes).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(taken_bytes(taken, check().len()).await, check());
    }
}

#[tokio::test]
async fn media_and_http_share_a_port() {
    let (taker, mut taken) = taker();
    let server = TestServer::with_ice_tcp(|_| {}, taker).await;
    both_are_served(&server, &mut taken).await;
    assert_eq!(http(&server, "GET", "/healthz", &[], "").await.status, 200);
    // Something else is answered by HTTP, as it would be without.
    let mut stranger = connect(server.address).await;
    stranger.write_all(&[0, 60, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, b'\r', b'\n', b'\r', b'\n']).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stranger.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&answer));
    assert!(taken.try_recv().is_err());
    server.stop().await;
}

#[tokio::test]
async fn media_and_https_share_a_port() {
    let (taker, mut taken) = taker();
    let own = TlsSource::SelfSigned { names: vec!["localhost".into()], state_dir: None };
    let server = TestServer::with_ice_tcp(|config| config.tls = Some(own), taker).await;
    both_are_served(&server, &mut taken).await;
    server.stop().await;
}

#[tokio::test]
async fn those_who_say_nothing_hold_up_nobody() {
    let (taker, mut taken) = taker();
    let server = TestServer::with_ice_tcp(|_| {}, taker).await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(connect(server.address).await);
    }
    both_are_served(&server, &mut taken).await;
    assert_eq!(http(&server, "GET", "/healthz", &[], "").await.status, 200);
    drop(silent);
    server.stop().await;
}

#[tokio::test]
async fn without_a_taker_a_check_is_no_http() {
    let server = TestServer::start(|_| {}).await;
    let mut client = connect(server.address).await;
    client.write_all(&check()).await.unwrap();
    client.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(5), client.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"));
    server.stop().await;
}
