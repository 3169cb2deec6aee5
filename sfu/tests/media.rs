//! Media through a whole node: real peers over real sockets, with signaling played by the test.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use patchbay_protocol::node::{Command, CommandResult, NodeCommand, NodeEvent, NodeState, Publication, Slot};
use patchbay_protocol::{
    CommandId, Epoch, Mid, NodeName, ParticipantNumber, RoomId, SlotSource, Source, TrackId, TransportId,
};
use patchbay_sansio_peer::{
    Identity, MediaKind, Path, PeerEvent, PeerReceived, PeerSetup, RtpToSend, SansIoPeer, Section,
    SrtpProfile, VideoCodec, payload_type,
};
use patchbay_sfu::{Node, NodeConfig, NodeLink};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);
const ROOM: RoomId = RoomId(1);
const PUBLISHER: ParticipantNumber = ParticipantNumber(1);

struct Peer {
    peer: SansIoPeer,
    socket: UdpSocket,
    local: SocketAddr,
    received: Vec<Vec<u8>>,
    is_over: bool,
}

impl Peer {
    fn new(section: Section) -> Self {
        let crypto = rtc_crypto::default_provider().expect("cryptography");
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(5))).expect("a timeout");
        let local = socket.local_addr().expect("bound");
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
        Self { peer, socket, local, received: Vec::new(), is_over: false }
    }

    /// Sends what is to be sent, and receives until nothing came for 5 ms.
    fn step(&mut self) {
        let now = Instant::now();
        if self.peer.deadline().is_some_and(|deadline| deadline <= now) {
            self.peer.handle_timeout(now);
        }
        while let Some(transmit) = self.peer.poll_transmit(now) {
            let segment = transmit.segment_size.unwrap_or(transmit.contents.len());
            for datagram in transmit.contents.chunks(segment) {
                self.socket.send_to(datagram, transmit.path.remote).expect("sent");
            }
        }
        let mut buffer = [0; 2_048];
        loop {
            let (length, remote) = match self.socket.recv_from(&mut buffer) {
                Ok(received) => received,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                Err(error) => panic!("{error}"),
            };
            let path = Path::udp(self.local, remote);
            let datagram = &mut buffer[..length];
            if let PeerReceived::Rtp { len, header, .. } =
                self.peer.handle_datagram(Instant::now(), path, datagram)
            {
                let payload = header.payload_range(&datagram[..len]).expect("a payload");
                self.received.push(datagram[payload].to_vec());
            }
        }
        while let Some(event) = self.peer.poll_event() {
            self.is_over |= matches!(event, PeerEvent::Closed | PeerEvent::Failed(_));
        }
    }

    /// A frame of equal packets. Its first byte after the VP8 descriptor says whether it is a keyframe.
    fn send_frame(&mut self, number: u32, packets: u8) {
        let stream = self.peer.stream("0", None).expect("a stream");
        for at in 0..packets {
            let mut payload = vec![at; 1_000];
            let picture = 0x8000 | (number as u16 & 0x7fff);
            payload[..4].copy_from_slice(&[
                if at == 0 { 0x90 } else { 0x80 },
                0x80,
                (picture >> 8) as u8,
                picture as u8,
            ]);
            payload[4] = u8::from(at != 0);
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

/// Steps both until something holds.
fn drive(peers: &mut [&mut Peer], what: &str, mut holds: impl FnMut(&mut [&mut Peer]) -> bool) {
    let began = Instant::now();
    while !holds(peers) {
        assert!(began.elapsed() < PATIENCE, "{what} takes too long");
        for peer in &mut *peers {
            peer.step();
        }
    }
}

async fn ask(link: &mut NodeLink, id: u64, command: NodeCommand) -> CommandResult {
    let command = Command { id: CommandId(id), epoch: Epoch(1), traceparent: None, command };
    link.commands.send(command).await.expect("the node is there");
    let answered = async {
        loop {
            let event = link.events.recv().await.expect("the node is there");
            if let NodeEvent::Done { command, result } = event.event
                && command == CommandId(id)
            {
                return result;
            }
        }
    };
    timeout(PATIENCE, answered).await.expect("an answer in time")
}

async fn negotiate(link: &mut NodeLink, id: u64, participant: ParticipantNumber, peer: &mut Peer) {
    let is_publisher = participant == PUBLISHER;
    let track = Publication { mid: Mid::new("0"), track: TrackId(1), source: Source::Camera, muted: false };
    let source = SlotSource::Participant { participant: PUBLISHER, source: Source::Camera };
    let slot = Slot { mid: Mid::new("0"), source: Some(source), group: None };
    let result = ask(
        link,
        id,
        NodeCommand::Negotiate {
            transport: TransportId(u64::from(participant.0)),
            room: ROOM,
            participant,
            sdp: peer.peer.offer(),
            publications: if is_publisher { vec![track] } else { Vec::new() },
            slots: if is_publisher { Vec::new() } else { vec![slot] },
            data: false,
            topics: Vec::new(),
            channels: Vec::new(),
        },
    )
    .await;
    let CommandResult::Answered { sdp, .. } = result else { panic!("{result:?}") };
    peer.peer.accept_answer(Instant::now(), &sdp).expect("an answer");
}

async fn sync(link: &mut NodeLink, id: u64) -> NodeState {
    match ask(link, id, NodeCommand::Sync {}).await {
        CommandResult::Synced { state } => state,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_call_outlives_its_link_and_is_found_again() {
    // The wildcard sockets: answers must come from the address that the peer spoke to.
    let config =
        NodeConfig { workers: Some(2), announce_loopback: true, ..NodeConfig::new(NodeName::new("node"), 0) };
    let node = Node::start(config).expect("started");
    let mut link = node.link();
    let mut publisher = Peer::new(Section::send("0", MediaKind::Video));
    let mut subscriber = Peer::new(Section::receive("0", MediaKind::Video));
    negotiate(&mut link, 1, PUBLISHER, &mut publisher).await;
    negotiate(&mut link, 2, ParticipantNumber(2), &mut subscriber).await;
    let blobs = [("room".to_owned(), Some("the room's own".to_owned()))].into();
    let blob = NodeCommand::StoreBlob { room: ROOM, blobs };
    assert_eq!(ask(&mut link, 3, blob).await, CommandResult::Done {});

    drive(&mut [&mut publisher, &mut subscriber], "connecting", |peers| {
        peers.iter().all(|peer| peer.peer.is_connected())
    });

    // Signaling goes away; the call goes on.
    drop(link);
    let mut number = 0;
    drive(&mut [&mut publisher, &mut subscriber], "media without signaling", |peers| {
        number += 1;
        peers[0].send_frame(number, 6);
        peers[1].received.len() >= 60
    });
    let frame: Vec<u8> = subscriber.received.iter().rev().take(6).map(|payload| payload[999]).collect();
    assert!(
        frame.iter().all(|at| *at < 6) && subscriber.received.iter().all(|payload| payload.len() == 1_000)
    );

    // It comes back, and finds everything.
    let mut link = node.link();
    let state = sync(&mut link, 4).await;
    assert_eq!(state.rooms.len(), 1);
    assert_eq!((state.rooms[0].room, state.rooms[0].blobs["room"].as_str()), (ROOM, "the room's own"));
    let ids: Vec<u64> = state.transports.iter().map(|transport| transport.transport.0).collect();
    assert_eq!(ids, [1, 2]);
    assert!(state.transports.iter().all(|transport| transport.connected && transport.room == ROOM));

    // The end of the node is said to its peers, who need not wait for silence.
    node.shutdown().await;
    drive(&mut [&mut publisher, &mut subscriber], "the farewell", |peers| {
        peers.iter().all(|peer| peer.is_over)
    });
}
