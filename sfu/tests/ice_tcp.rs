//! Media over TCP (RFC 6544) through a whole node: real peers and hostile strangers over real sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use patchbay_protocol::node::{Command, CommandResult, NodeCommand, NodeEvent, Publication, Slot};
use patchbay_protocol::{
    CommandId, Epoch, Mid, NodeName, ParticipantNumber, RoomId, SlotSource, Source, TrackId, TransportId,
    TransportState,
};
use patchbay_sansio_peer::{
    Identity, MediaKind, Path, PeerReceived, PeerSetup, RtpToSend, SansIoPeer, Section, SrtpProfile,
    VideoCodec, payload_type,
};
use patchbay_sfu::{Node, NodeConfig, NodeLink};
use socket2::{Domain, Socket, Type};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);
/// How long somebody has who does not authenticate.
const STRANGER_TIME: Duration = Duration::from_secs(5);
const STRANGERS_PER_SOURCE: usize = 64;
const PUBLISHER: ParticipantNumber = ParticipantNumber(1);
const SUBSCRIBER: ParticipantNumber = ParticipantNumber(2);

/// What carries a peer's datagrams. The peer itself knows only datagrams.
enum Wire {
    Udp(UdpSocket),
    Tcp { stream: TcpStream, read: Vec<u8> },
}

struct Peer {
    peer: SansIoPeer,
    wire: Wire,
    local: SocketAddr,
    /// Where the peer believes that its datagrams come from.
    claimed: Option<SocketAddr>,
    received: Vec<Vec<u8>>,
    /// It stops reading.
    is_asleep: bool,
}

impl Peer {
    fn new(section: Section, wire: Wire) -> Self {
        let crypto = rtc_crypto::default_provider().expect("cryptography");
        let local = wire.local();
        let setup = PeerSetup {
            address: local,
            sections: vec![section],
            has_data: false,
            video_codecs: vec![VideoCodec::Vp8],
            has_retransmission: true,
            srtp_profiles: SrtpProfile::ALL.to_vec(),
            identity: Identity::generate(crypto.as_ref()).expect("a certificate"),
        };
        let peer = SansIoPeer::new(Instant::now(), setup, crypto).expect("a peer");
        Self { peer, wire, local, claimed: None, received: Vec::new(), is_asleep: false }
    }

    fn publisher(wire: Wire) -> Self {
        Self::new(Section::send("0", MediaKind::Video), wire)
    }

    fn subscriber(wire: Wire) -> Self {
        Self::new(Section::receive("0", MediaKind::Video), wire)
    }

    /// Sends what is to be sent, and receives what is there.
    fn step(&mut self) {
        let now = Instant::now();
        if self.peer.deadline().is_some_and(|deadline| deadline <= now) {
            self.peer.handle_timeout(now);
        }
        while let Some(transmit) = self.peer.poll_transmit(now) {
            let segment = transmit.segment_size.unwrap_or(transmit.contents.len());
            self.claimed = Some(transmit.path.remote);
            for datagram in transmit.contents.chunks(segment) {
                self.wire.send(datagram, transmit.path.remote);
            }
        }
        let Some(claimed) = self.claimed.filter(|_| !self.is_asleep) else { return };
        for mut datagram in self.wire.receive() {
            let path = Path::udp(self.local, claimed);
            if let PeerReceived::Rtp { len, header, .. } =
                self.peer.handle_datagram(Instant::now(), path, &mut datagram)
            {
                let payload = header.payload_range(&datagram[..len]).expect("a payload");
                self.received.push(datagram[payload].to_vec());
            }
        }
        while self.peer.poll_event().is_some() {}
    }

    /// A frame of equal packets. Every frame is a keyframe.
    fn send_frame(&mut self, number: u32, packets: u8) {
        let stream = self.peer.stream("0", None).expect("a stream");
        for at in 0..packets {
            let mut payload = vec![at; 1_000];
            let picture = 0x8000 | (number as u16 & 0x7fff);
            let start = if at == 0 { 0x90 } else { 0x80 };
            payload[..5].copy_from_slice(&[
                start,
                0x80,
                (picture >> 8) as u8,
                picture as u8,
                u8::from(at != 0),
            ]);
            let packet = RtpToSend {
                payload_type: payload_type::VP8,
                marker: at + 1 == packets,
                timestamp: number * 3_000,
                audio_level: None,
                payload: &payload,
            };
            assert!(self.peer.send_rtp(Instant::now(), stream, &packet));
        }
    }
}

impl Wire {
    fn udp() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(1))).expect("a timeout");
        Self::Udp(socket)
    }

    fn tcp(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).expect("connected");
        stream.set_nodelay(true).expect("no delay");
        stream.set_read_timeout(Some(Duration::from_millis(1))).expect("a timeout");
        Self::Tcp { stream, read: Vec::new() }
    }

    fn local(&self) -> SocketAddr {
        match self {
            Self::Udp(socket) => socket.local_addr(),
            Self::Tcp { stream, .. } => stream.local_addr(),
        }
        .expect("bound")
    }

    fn send(&mut self, datagram: &[u8], to: SocketAddr) {
        match self {
            Self::Udp(socket) => drop(socket.send_to(datagram, to).expect("sent")),
            // One that was closed is found out by what does not come.
            Self::Tcp { stream, .. } => drop(stream.write_all(&framed(datagram))),
        }
    }

    fn receive(&mut self) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        let mut buffer = [0; 65_536];
        loop {
            let result = match self {
                Self::Udp(socket) => socket.recv(&mut buffer),
                Self::Tcp { stream, .. } => stream.read(&mut buffer),
            };
            let length = match (&*self, result) {
                (Self::Tcp { .. }, Ok(0)) | (_, Err(_)) => break,
                (_, Ok(length)) => length,
            };
            match self {
                Self::Udp(_) => datagrams.push(buffer[..length].to_vec()),
                Self::Tcp { read, .. } => read.extend_from_slice(&buffer[..length]),
            }
        }
        if let Self::Tcp { read, .. } = self {
            while let Some(&[high, low]) = read.first_chunk() {
                let end = 2 + usize::from(u16::from_be_bytes([high, low]));
                if read.len() < end {
                    break;
                }
                datagrams.push(read[2..end].to_vec());
                read.drain(..end);
            }
        }
        datagrams
    }
}

fn framed(datagram: &[u8]) -> Vec<u8> {
    let mut frame = u16::try_from(datagram.len()).expect("short").to_be_bytes().to_vec();
    frame.extend_from_slice(datagram);
    frame
}

/// Steps all until something holds.
fn drive(peers: &mut [&mut Peer], what: &str, mut holds: impl FnMut(&mut [&mut Peer]) -> bool) {
    let began = Instant::now();
    while !holds(peers) {
        assert!(began.elapsed() < PATIENCE, "{what} takes too long");
        for peer in &mut *peers {
            peer.step();
        }
    }
}

/// Publishes until the last of these peers, a subscriber, has so many packets more.
fn media_flows(peers: &mut [&mut Peer], number: &mut u32, packets: usize, what: &str) {
    let wanted = peers.last().expect("a subscriber").received.len() + packets;
    drive(peers, what, |peers| {
        *number += 1;
        peers[0].send_frame(*number, 6);
        peers.last().expect("a subscriber").received.len() >= wanted
    });
    let last = peers.last().expect("a subscriber");
    assert!(last.received.iter().all(|payload| payload.len() == 1_000), "whole packets");
}

struct Call {
    node: Node,
    link: NodeLink,
    last_id: u64,
    failed: Vec<TransportId>,
}

impl Call {
    fn start(config: NodeConfig) -> Self {
        let node = Node::start(config).expect("started");
        let link = node.link();
        Self { node, link, last_id: 0, failed: Vec::new() }
    }

    async fn ask(&mut self, command: NodeCommand) -> CommandResult {
        self.last_id += 1;
        let id = CommandId(self.last_id);
        let command = Command { id, epoch: Epoch(1), traceparent: None, command };
        self.link.commands.send(command).await.expect("the node is there");
        self.hear(|event| match event {
            NodeEvent::Done { command, result } if *command == id => Some(result.clone()),
            _ => None,
        })
        .await
    }

    async fn hear<T>(&mut self, wanted: impl Fn(&NodeEvent) -> Option<T>) -> T {
        let heard = async {
            loop {
                let event = self.link.events.recv().await.expect("the node is there").event;
                if let NodeEvent::Transport { transport, state: TransportState::Failed { .. } } = &event {
                    self.failed.push(*transport);
                }
                if let Some(found) = wanted(&event) {
                    return found;
                }
            }
        };
        timeout(PATIENCE, heard).await.expect("an event in time")
    }

    async fn negotiate(&mut self, room: u64, participant: ParticipantNumber, peer: &mut Peer) {
        let offer = peer.peer.offer();
        self.negotiate_offer(room, participant, peer, offer).await;
    }

    async fn negotiate_offer(
        &mut self,
        room: u64,
        participant: ParticipantNumber,
        peer: &mut Peer,
        sdp: String,
    ) {
        let is_publisher = participant == PUBLISHER;
        let track = Publication {
            mid: Mid::new("0"),
            track: TrackId(room as u32),
            source: Source::Camera,
            muted: false,
        };
        let source = SlotSource::Participant { participant: PUBLISHER, source: Source::Camera };
        let slot = Slot { mid: Mid::new("0"), source: Some(source), group: None };
        let command = NodeCommand::Negotiate {
            transport: TransportId(room * 100 + u64::from(participant.0)),
            room: RoomId(room),
            participant,
            sdp,
            publications: if is_publisher { vec![track] } else { Vec::new() },
            slots: if is_publisher { Vec::new() } else { vec![slot] },
            data: false,
            topics: Vec::new(),
            channels: Vec::new(),
        };
        let result = self.ask(command).await;
        let CommandResult::Answered { sdp, .. } = result else { panic!("{result:?}") };
        assert!(sdp.contains("tcptype passive"), "{sdp}");
        let (udp, tcp) = (sdp.find(" udp ").expect("a candidate"), sdp.find(" tcp ").expect("a candidate"));
        assert!(udp < tcp, "UDP is better where it works");
        peer.peer.accept_answer(Instant::now(), &sdp).expect("an answer");
    }

    /// The next report in which a counter is at least so high.
    async fn counter(&mut self, name: &str, least: u64) -> u64 {
        self.hear(|event| {
            let NodeEvent::Report { counters } = event else { return None };
            let value = counters.iter().find(|(it, _)| it == name)?.1;
            (value >= least).then_some(value)
        })
        .await
    }
}

fn config(workers: usize) -> NodeConfig {
    NodeConfig {
        workers: Some(workers),
        bind: vec![Ipv4Addr::LOCALHOST.into()],
        ..NodeConfig::new(NodeName::new("node"), 0)
    }
}

/// A call of two, each on its wire, with media flowing.
async fn connect(call: &mut Call, room: u64, publisher: Wire, subscriber: Wire) -> (Peer, Peer) {
    let (mut publisher, mut subscriber) = (Peer::publisher(publisher), Peer::subscriber(subscriber));
    call.negotiate(room, PUBLISHER, &mut publisher).await;
    call.negotiate(room, SUBSCRIBER, &mut subscriber).await;
    drive(&mut [&mut publisher, &mut subscriber], "connecting", |peers| {
        peers.iter().all(|peer| peer.peer.is_connected())
    });
    media_flows(&mut [&mut publisher, &mut subscriber], &mut 0, 60, "media");
    (publisher, subscriber)
}

/// Whether the other side closes a connection before so much time is over.
fn is_closed_within(stream: &mut TcpStream, limit: Duration) -> bool {
    let began = Instant::now();
    while let Some(left) = limit.checked_sub(began.elapsed()).filter(|it| !it.is_zero()) {
        stream.set_read_timeout(Some(left)).expect("a timeout");
        match stream.read(&mut [0; 4_096]) {
            Ok(0) => return true,
            Ok(_) => panic!("a stranger was answered"),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return true,
        }
    }
    false
}

/// A connectivity check with this user name and a MESSAGE-INTEGRITY that nobody made.
fn forged_check(username: &str) -> Vec<u8> {
    let padded = username.len().next_multiple_of(4);
    let mut check = vec![0, 1, 0, (4 + padded + 24) as u8, 0x21, 0x12, 0xa4, 0x42];
    check.extend_from_slice(&[7; 12]);
    check.extend_from_slice(&[0, 6, 0, username.len() as u8]);
    check.extend_from_slice(username.as_bytes());
    check.resize(24 + padded, 0);
    check.extend_from_slice(&[0, 8, 0, 20]);
    check.extend_from_slice(&[9; 20]);
    check
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_call_over_tcp_alone_and_mixed_with_udp() {
    let mut call = Call::start(config(1));
    let port = call.node.tcp_candidates()[0];
    assert_eq!(call.node.candidates()[0], port, "the number of the UDP port");
    connect(&mut call, 1, Wire::tcp(port), Wire::tcp(port)).await;
    connect(&mut call, 2, Wire::udp(), Wire::tcp(port)).await;
    connect(&mut call, 3, Wire::tcp(port), Wire::udp()).await;
    assert_eq!(call.counter("tcp_authenticated_total", 4).await, 4);
    call.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn over_ipv6_too() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return println!("this machine has no IPv6");
    }
    let mut call = Call::start(NodeConfig { bind: vec![Ipv6Addr::LOCALHOST.into()], ..config(1) });
    let port = call.node.tcp_candidates()[0];
    assert!(port.is_ipv6());
    connect(&mut call, 1, Wire::tcp(port), Wire::tcp(port)).await;
    call.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn on_a_shared_port_each_connection_finds_its_worker() {
    // Below the ports that the system gives away: none of the tests beside this one can be given it.
    let port = 20_000 + (std::process::id() % 10_000) as u16;
    let shared = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut call = Call::start(NodeConfig { tcp_port: Some(port), ..config(3) });
    assert!(call.node.tcp_candidates().contains(&shared));
    for room in 1..=3 {
        connect(&mut call, room, Wire::tcp(shared), Wire::tcp(shared)).await;
    }
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &framed(&[0x80; 40]), &framed(&forged_check("zzzz:them"))]
    {
        let mut stranger = TcpStream::connect(shared).expect("connected");
        stranger.write_all(garbage).expect("sent");
        assert!(is_closed_within(&mut stranger, Duration::from_secs(2)));
    }
    let mut silent = TcpStream::connect(shared).expect("connected");
    assert!(is_closed_within(&mut silent, STRANGER_TIME + Duration::from_secs(2)));
    call.node.shutdown().await;
    drop(TcpListener::bind(shared).expect("the port is free again"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn connections_are_handed_over_with_what_was_read() {
    let mut call = Call::start(config(2));
    let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = door.local_addr().expect("bound");
    let intake = call.node.tcp_intake();
    // Whoever accepts has looked at some of the first bytes, each time at another number of them.
    std::thread::spawn(move || {
        for (bytes, stream) in [0, 1, 10, 300].into_iter().zip(door.incoming()) {
            let mut stream = stream.expect("accepted");
            let mut read = vec![0; bytes];
            let length = if bytes == 0 { 0 } else { stream.read(&mut read).expect("read") };
            read.truncate(length);
            intake.adopt(stream, read);
        }
    });
    connect(&mut call, 1, Wire::tcp(address), Wire::tcp(address)).await;
    connect(&mut call, 2, Wire::tcp(address), Wire::tcp(address)).await;
    call.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn strangers_are_shown_the_door_and_disturb_nobody() {
    let mut call = Call::start(config(1));
    let port = call.node.tcp_candidates()[0];
    let (mut publisher, mut subscriber) = connect(&mut call, 1, Wire::tcp(port), Wire::tcp(port)).await;
    let ufrag = publisher.peer.answer().expect("an answer").ice.ufrag.clone();

    let too_long = 2_049u16.to_be_bytes();
    let client_hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    let rude: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
        &client_hello,
        &too_long,
        &framed(&[0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]),
        &framed(&[20, 0xfe, 0xfd]),
        &framed(&[]),
    ];
    for bytes in rude {
        let mut stranger = TcpStream::connect(port).expect("connected");
        stranger.write_all(bytes).expect("sent");
        assert!(is_closed_within(&mut stranger, Duration::from_secs(2)), "{bytes:?}");
    }
    assert!(call.counter("tcp_violations_total", 6).await >= 6);

    // Forged checks are not answered. A few are borne, as honest clients may send some for a call that is over.
    let mut forger = TcpStream::connect(port).expect("connected");
    for _ in 0..10 {
        forger.write_all(&framed(&forged_check(&format!("{ufrag}:them")))).expect("sent");
    }
    let mut flooder = TcpStream::connect(port).expect("connected");
    for _ in 0..40 {
        let _ = flooder.write_all(&framed(&forged_check(&format!("{ufrag}:them"))));
    }
    assert!(is_closed_within(&mut flooder, Duration::from_secs(2)));
    // Somebody says half of something; somebody says it a byte at a time.
    let began = Instant::now();
    let mut half = TcpStream::connect(port).expect("connected");
    let check = framed(&forged_check(&format!("{ufrag}:them")));
    half.write_all(&check[..30]).expect("sent");
    let mut slow = TcpStream::connect(port).expect("connected");
    let mut bytes = check.iter();
    let mut number = 1_000;
    while began.elapsed() < STRANGER_TIME - Duration::from_millis(500) {
        if let Some(byte) = bytes.next() {
            slow.write_all(&[*byte]).expect("still open");
        }
        media_flows(&mut [&mut publisher, &mut subscriber], &mut number, 30, "media beside strangers");
    }
    assert!(!is_closed_within(&mut half, Duration::from_millis(10)), "it had its time");
    for stream in [&mut half, &mut slow, &mut forger] {
        assert!(is_closed_within(stream, Duration::from_secs(3)));
    }
    assert!(began.elapsed() < STRANGER_TIME + Duration::from_secs(3));
    media_flows(&mut [&mut publisher, &mut subscriber], &mut number, 60, "media after strangers");
    assert!(call.failed.is_empty());
    call.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_thousand_connections_leave_room_for_others() {
    let mut call = Call::start(config(1));
    let port = call.node.tcp_candidates()[0];
    let from = |source: [u8; 4]| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from((source, 0)).into()).expect("bound");
        socket.connect_timeout(&port.into(), PATIENCE).expect("connected");
        TcpStream::from(socket)
    };
    let mut crowd: Vec<TcpStream> = (0..1_000).map(|_| from([127, 0, 0, 7])).collect();
    // Somebody elsewhere is let in and served while they stand around.
    let (mut publisher, mut subscriber) = connect(&mut call, 1, Wire::tcp(port), Wire::tcp(port)).await;
    let refused = 1_000 - STRANGERS_PER_SOURCE as u64;
    assert!(call.counter("tcp_refused_total", refused).await >= refused);
    assert!(crowd.iter_mut().all(|it| is_closed_within(it, STRANGER_TIME + Duration::from_secs(2))));
    media_flows(&mut [&mut publisher, &mut subscriber], &mut 1_000, 60, "media after the crowd");
    call.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_connection_that_breaks_is_replaced_without_a_new_call() {
    let mut call = Call::start(config(1));
    let port = call.node.tcp_candidates()[0];
    let (mut publisher, mut subscriber) = connect(&mut call, 1, Wire::udp(), Wire::tcp(port)).await;
    let mut number = 1_000;
    for wire in [Wire::tcp(port), Wire::udp(), Wire::tcp(port)] {
        if let Wire::Tcp { stream, .. } = &mut subscriber.wire {
            // In the middle of a frame.
            stream.write_all(&[4, 0, 0x80]).expect("sent");
        }
        subscriber.local = wire.local();
        subscriber.wire = wire;
        // Frames for a connection that is gone go nowhere and harm nobody.
        for _ in 0..20 {
            number += 1;
            publisher.send_frame(number, 6);
            publisher.step();
        }
        let offer = subscriber.peer.restart_ice(Instant::now(), subscriber.local).expect("an offer");
        call.negotiate_offer(1, SUBSCRIBER, &mut subscriber, offer).await;
        media_flows(&mut [&mut publisher, &mut subscriber], &mut number, 120, "media on another path");
    }
    assert!(call.failed.is_empty());
    call.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn whoever_reads_slowly_loses_frames_and_delays_nobody() {
    let mut call = Call::start(config(1));
    let port = call.node.tcp_candidates()[0];
    let (mut publisher, mut slow) = connect(&mut call, 1, Wire::udp(), Wire::tcp(port)).await;
    let mut brisk = Peer::subscriber(Wire::tcp(port));
    call.negotiate(1, ParticipantNumber(3), &mut brisk).await;
    let mut number = 1_000;
    media_flows(&mut [&mut publisher, &mut slow, &mut brisk], &mut number, 60, "both");
    slow.is_asleep = true;
    // Far more than the buffers on the way hold.
    for _ in 0..3 {
        media_flows(&mut [&mut publisher, &mut slow, &mut brisk], &mut number, 1_000, "the brisk one");
    }
    assert!(call.counter("tcp_send_dropped_total", 1).await >= 1);
    slow.is_asleep = false;
    media_flows(&mut [&mut publisher, &mut brisk, &mut slow], &mut number, 600, "the slow one, awake");
    assert!(call.failed.is_empty());
    call.node.shutdown().await;
}
