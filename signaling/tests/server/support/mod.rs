//! What the tests of the server share: a server on loopback, a client on a real WebSocket, and a node whose answers are
//! scripted, attached through the same hub as a real one.

mod client;
mod http;
mod node;
mod wanderer;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use patchbay_protocol::{Claims, Grants, RoomName};
use patchbay_signaling::{Config, IceTcpTaker, Keys, NodeHub, Revoker, Server};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) use client::{Client, Connect};
pub(crate) use http::{HttpResponse, http};
pub(crate) use node::ScriptedNode;
pub(crate) use wanderer::{Incoming, Kind, Lost, Wanderer};

/// Whatever is awaited comes within this time, or the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Keys of servers that want tokens.
pub(crate) const KEYS: &str = "main:0123456789abcdef0123456789abcdef";

/// A running server.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) hub: NodeHub,
    pub(crate) revoker: Revoker,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<std::io::Result<()>>,
}

impl TestServer {
    /// On a free port of loopback, open, with short times where `adjust` says so.
    pub(crate) async fn start(adjust: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new("127.0.0.1:0".parse().unwrap());
        adjust(&mut config);
        Self::run(Server::bind(config).await.unwrap())
    }

    /// The same, with somebody who takes connections that carry media.
    pub(crate) async fn with_ice_tcp(adjust: impl FnOnce(&mut Config), taker: IceTcpTaker) -> Self {
        let mut config = Config::new("127.0.0.1:0".parse().unwrap());
        adjust(&mut config);
        let mut server = Server::bind(config).await.unwrap();
        server.take_ice_tcp(taker);
        Self::run(server)
    }

    fn run(server: Server) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let (address, hub, revoker) = (server.local_addr(), server.nodes(), server.revoker());
        let task = tokio::spawn(server.serve(async move {
            let _ = stopped.await;
        }));
        Self { address, hub, revoker, stop: Some(stop), task }
    }

    /// With a scripted node attached.
    pub(crate) async fn with_node(adjust: impl FnOnce(&mut Config)) -> (Self, ScriptedNode) {
        let server = Self::start(adjust).await;
        let node = ScriptedNode::attach(&server.hub, "node-1", 1).await;
        (server, node)
    }

    /// Tells the server to stop and waits until it has.
    pub(crate) async fn stop(mut self) {
        let _ = self.stop.take().unwrap().send(());
        tokio::time::timeout(PATIENCE, self.task).await.expect("the server should stop").unwrap().unwrap();
    }
}

/// Seconds since 1970.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// What an ordinary token says.
pub(crate) fn claims(room: &str, identity: &str) -> Claims {
    Claims {
        room: RoomName::new(room),
        identity: identity.into(),
        name: None,
        metadata: None,
        grants: Grants::default(),
        exp: unix_now() + 600,
        nbf: None,
        iat: None,
        jti: None,
    }
}

/// Signs claims with [`KEYS`].
pub(crate) fn token(claims: &Claims) -> String {
    Keys::parse(KEYS).unwrap().mint(claims, None).unwrap()
}

/// An offer with one media section for each `(media, direction)`, with mids 0, 1, ….
pub(crate) fn offer(sections: &[(&str, &str)]) -> String {
    let mut text = String::from("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE");
    for index in 0..sections.len() {
        text += &format!(" {index}");
    }
    text += "\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n";
    text += &format!("a=fingerprint:sha-256 {}\r\na=setup:actpass\r\n", ["AB"; 32].join(":"));
    for (index, (media, direction)) in sections.iter().enumerate() {
        let codec = if *media == "audio" { "opus/48000/2" } else { "VP8/90000" };
        text += &format!("m={media} 9 UDP/TLS/RTP/SAVPF 100\r\nc=IN IP4 0.0.0.0\r\na=mid:{index}\r\n");
        text += &format!("a=rtcp-mux\r\na={direction}\r\na=rtpmap:100 {codec}\r\n");
    }
    text
}
