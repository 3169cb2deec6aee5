//! The public address, told or detected: what a node announces then. The STUN server is a real one over loopback, with
//! another implementation's messages, that pretends to be on the far side of a NAT.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use patchbay_protocol::NodeName;
use patchbay_sfu::{Node, NodeConfig, PublicMapping, detect_public_ips};
use rtc_stun::message::{BINDING_SUCCESS, Message, Setter};
use rtc_stun::xoraddr::XorMappedAddress;

/// What [`detect_public_ips`] promises, and what a busy machine may add.
const LONGEST: Duration = Duration::from_millis(3_000 + 2_000);

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn config() -> NodeConfig {
    NodeConfig {
        workers: Some(2),
        bind: vec![Ipv4Addr::LOCALHOST.into()],
        ..NodeConfig::new(NodeName::new("node"), 0)
    }
}

/// Ignores the first `deaf` requests, answers the next one with `public` (or the address it came from) after something
/// that only looks like an answer, and ends.
fn stun_server(deaf: usize, public: Option<IpAddr>) -> (String, thread::JoinHandle<()>) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let url = format!("stun:{}", socket.local_addr().expect("bound"));
    let answering = thread::spawn(move || {
        let mut buffer = [0; 1_500];
        for heard in 0.. {
            let (length, from) = socket.recv_from(&mut buffer).expect("a request");
            if heard < deaf {
                continue;
            }
            let mut request = Message::new();
            request.raw = buffer[..length].to_vec();
            request.decode().expect("a STUN message");
            let mut foreign = Message::new();
            foreign.new_transaction_id().expect("random bytes");
            for to in [foreign, request] {
                let mapped = XorMappedAddress { ip: public.unwrap_or(from.ip()), port: 4_242 };
                let mut response = Message::new();
                response.build(&[Box::new(to), Box::new(BINDING_SUCCESS)]).expect("a header");
                mapped.add_to(&mut response).expect("an attribute");
                socket.send_to(&response.raw, from).expect("sent");
            }
            return;
        }
    });
    (url, answering)
}

#[tokio::test]
async fn a_detected_address_is_announced_first_with_each_workers_port() {
    let (url, answering) = stun_server(1, Some(ip("203.0.113.50")));
    let config = NodeConfig { detect_from: vec![url], ..config() };
    let config = tokio::task::spawn_blocking(move || {
        let mut config = config;
        config.detect_public_ips();
        config
    });
    let config = config.await.expect("no panic");
    answering.join().expect("asked twice, as the first request was lost");
    assert_eq!(config.public_ips, [ip("203.0.113.50")]);

    let node = Node::start(config).expect("started");
    let ports: Vec<u16> = node.local_addresses().iter().map(SocketAddr::port).collect();
    let announced = node.candidates();
    let at = |port: u16| [SocketAddr::new(ip("203.0.113.50"), port), SocketAddr::new(ip("127.0.0.1"), port)];
    assert_eq!(
        announced,
        [at(ports[0]), at(ports[1])].concat(),
        "the port is ours, not the one that STUN saw"
    );
    node.shutdown().await;
}

#[test]
fn an_address_that_no_nat_changes_is_told_apart() {
    let (url, answering) = stun_server(0, None);
    let found = detect_public_ips(&[url], &[ip("127.0.0.1")]);
    answering.join().expect("asked");
    assert_eq!((found.public, found.unchanged), (Vec::new(), vec![ip("127.0.0.1")]));
}

#[test]
fn silence_costs_three_seconds_at_most_and_another_server_may_answer() {
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let silent_url = format!("stun:{}", silent.local_addr().expect("bound"));
    let start = Instant::now();
    let found = detect_public_ips(std::slice::from_ref(&silent_url), &[ip("127.0.0.1")]);
    assert!(start.elapsed() < LONGEST, "{:?}", start.elapsed());
    assert!(found.public.is_empty() && found.unchanged.is_empty());
    assert_eq!(found.silent, [(silent_url.clone(), "no answer".to_owned())]);

    let (url, answering) = stun_server(0, Some(ip("203.0.113.50")));
    let found = detect_public_ips(&[silent_url, url], &[ip("127.0.0.1")]);
    answering.join().expect("asked");
    assert_eq!(found.public, [ip("203.0.113.50")]);
}

#[tokio::test]
async fn a_mapped_address_is_announced_in_place_of_the_local_one() {
    let mapping = PublicMapping { public: ip("203.0.113.7"), local: ip("127.0.0.1") };
    let node = Node::start(NodeConfig { public_mappings: vec![mapping], ..config() }).expect("started");
    assert_eq!(node.candidates().len(), 2);
    for (candidate, local) in node.candidates().iter().zip(node.local_addresses()) {
        assert_eq!(*candidate, SocketAddr::new(mapping.public, local.port()));
    }
    let tcp: Vec<IpAddr> = node.tcp_candidates().iter().map(SocketAddr::ip).collect();
    assert!(tcp.iter().all(|it| *it == mapping.public), "{tcp:?}");
    node.shutdown().await;
}
