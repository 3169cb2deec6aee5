//! One player: a sans-IO client with one channel on one topic, its socket, and the path between.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::{Interest, Registry, Token};
use patchbay_frame::{Area, Cell, ClientFrame, Filter, Filters, Publish, ServerFrame, server_frames};
use patchbay_sansio_peer::{
    ChannelKey, DataMessage, MessageKind, Path, PeerEvent, PeerSetup, Reliability, SansIoPeer, SendOutcome,
};

use super::shaper::Shaper;
use super::walk::Walk;
use super::window::Windows;
use crate::load_peer::{Common, bind};
use crate::signaling::Connection;

/// At the start of a payload: when it was sent, and in which window.
const STAMP_BYTES: usize = 9;

/// A subscription without an answer is said again with the message after so many.
const SUBSCRIBE_AGAIN_AFTER: u32 = 10;

/// The one topic.
pub(crate) const LABEL: &str = "game";

/// What reaches a player of what the server sends.
pub(crate) enum Downlink {
    /// Everything, at once.
    Open,
    /// What a narrow path lets through.
    Narrow(Shaper),
    /// Nothing but ICE: it acknowledges nothing. What is dropped is counted.
    Frozen { dropped: u64 },
}

/// How its channel is opened.
#[derive(Debug, Clone)]
pub(crate) struct Opening {
    /// Empty: plain mode.
    pub(crate) protocol: String,
    pub(crate) is_ordered: bool,
    pub(crate) reliability: Reliability,
}

impl Opening {
    /// Lossy and unordered.
    pub(crate) fn lossy(protocol: &str) -> Self {
        let protocol = protocol.to_owned();
        Self { protocol, is_ordered: false, reliability: Reliability::MaxRetransmits(0) }
    }

    fn is_framed(&self) -> bool {
        self.protocol.starts_with("patchbay")
    }
}

/// One player.
pub(crate) struct Player {
    pub(crate) connection: Option<Connection>,
    pub(crate) downlink: Downlink,
    /// Where it walks, in *interest* mode.
    pub(crate) walk: Option<Walk>,
    /// Whether what it receives counts.
    pub(crate) is_measured: bool,
    /// When the newest value of each sender was sent, since the origin. Only kept if it is not measured.
    pub(crate) newest: BTreeMap<u32, Duration>,
    /// When it publishes next.
    pub(crate) due: Option<Instant>,
    peer: SansIoPeer,
    socket: mio::net::UdpSocket,
    local: SocketAddr,
    /// Where the last datagram came from.
    remote: SocketAddr,
    opening: Opening,
    channel: Option<ChannelKey>,
    is_open: bool,
    cell: Option<Cell>,
    /// Messages since it said what it sees, until a snapshot answers: what says so may be lost.
    unanswered: Option<u32>,
    payload: Vec<u8>,
    message: Vec<u8>,
    buffer: Vec<u8>,
    failure: Option<String>,
}

impl Player {
    pub(crate) fn new(common: &Common, opening: Opening, payload_bytes: usize) -> Result<Self, String> {
        let socket = bind(common.address).map_err(|error| format!("a player's socket: {error}"))?;
        let local = socket.local_addr().map_err(|error| error.to_string())?;
        let setup = PeerSetup {
            address: local,
            sections: Vec::new(),
            has_data: true,
            video_codecs: Vec::new(),
            has_retransmission: false,
            srtp_profiles: common.profiles.clone(),
            identity: common.identity.clone(),
        };
        let peer = SansIoPeer::new(Instant::now(), setup, common.crypto.clone())
            .map_err(|error| error.to_string())?;
        Ok(Self {
            connection: None,
            downlink: Downlink::Open,
            walk: None,
            is_measured: true,
            newest: BTreeMap::new(),
            due: None,
            peer,
            socket,
            local,
            remote: local,
            opening,
            channel: None,
            is_open: false,
            cell: None,
            unanswered: None,
            payload: vec![0; payload_bytes.max(STAMP_BYTES)],
            message: Vec::new(),
            buffer: vec![0; 2_048],
            failure: None,
        })
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> Result<(), String> {
        registry.register(&mut self.socket, token, Interest::READABLE).map_err(|error| error.to_string())
    }

    pub(crate) fn offer(&mut self) -> String {
        self.peer.offer()
    }

    /// Takes the answer, and opens the channel as soon as that is possible.
    pub(crate) fn accept(&mut self, sdp: &str) -> Result<(), String> {
        let now = Instant::now();
        self.peer.accept_answer(now, sdp).map_err(|error| error.to_string())?;
        let Opening { protocol, is_ordered, reliability } = &self.opening;
        self.channel = Some(self.peer.open_channel(now, LABEL, protocol, *is_ordered, *reliability));
        self.flush(now);
        Ok(())
    }

    /// Whether it is on the topic, and the server has said so.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Why it can go no further.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// What it sees, in *interest* mode, as far as it has told the server.
    pub(crate) fn sight(&self) -> Option<Area> {
        self.cell.map(Walk::sight)
    }

    /// Publishes once, having walked for `seconds`. Returns the cell that it names, and whether the message was queued.
    pub(crate) fn publish(
        &mut self,
        now: Instant,
        origin: Instant,
        window: u8,
        seconds: f64,
    ) -> (Option<Cell>, bool) {
        let sent = u64::try_from((now - origin).as_micros()).unwrap_or(u64::MAX);
        self.payload[..8].copy_from_slice(&sent.to_be_bytes());
        self.payload[8] = window;
        self.message.clear();
        let cell = self.walk.as_mut().map(|walk| {
            walk.go(seconds);
            walk.cell()
        });
        if self.opening.is_framed() {
            let is_overdue = self.unanswered.is_some_and(|since| since >= SUBSCRIBE_AGAIN_AFTER);
            self.unanswered = self.unanswered.map(|since| since + 1);
            if let Some(cell) = cell.filter(|cell| is_overdue || self.cell != Some(*cell)) {
                self.cell = Some(cell);
                self.unanswered = Some(0);
                let area = [Filter::Area(Walk::sight(cell))];
                ClientFrame::Subscribe { replace: true, filters: Filters::List(&area) }
                    .write(&mut self.message);
            }
            ClientFrame::Publish(Publish { cell, payload: &self.payload, ..Publish::default() })
                .write(&mut self.message);
        } else {
            self.message.extend_from_slice(&self.payload);
        }
        let message = bytes::Bytes::copy_from_slice(&self.message);
        let outcome = self.channel.map(|it| self.peer.send_message(now, it, DataMessage::Binary(&message)));
        self.flush(now);
        (cell, outcome == Some(SendOutcome::Queued))
    }

    /// Does what is due.
    pub(crate) fn turn(&mut self, now: Instant, origin: Instant, windows: &mut Windows) {
        if self.peer.deadline().is_some_and(|deadline| deadline <= now) {
            self.peer.handle_timeout(now);
            self.flush(now);
        }
        let path = Path::udp(self.local, self.remote);
        let mut any = false;
        while let Downlink::Narrow(shaper) = &mut self.downlink
            && let Some(mut datagram) = shaper.pop(now)
        {
            any = true;
            self.peer.handle_datagram(now, path, &mut datagram);
        }
        if any {
            self.flush(now);
        }
        self.read_events(origin, windows);
    }

    /// Receives everything there is.
    pub(crate) fn receive(&mut self, origin: Instant, windows: &mut Windows) {
        let mut any = false;
        while let Ok((length, remote)) = self.socket.recv_from(&mut self.buffer) {
            let now = Instant::now();
            self.remote = remote;
            let datagram = &mut self.buffer[..length];
            // RFC 7983: STUN begins with 0 to 3.
            let is_stun = datagram.first().is_some_and(|first| *first < 4);
            match &mut self.downlink {
                Downlink::Narrow(shaper) => shaper.push(now, datagram),
                Downlink::Frozen { dropped } if !is_stun => *dropped += 1,
                _ => {
                    any = true;
                    self.peer.handle_datagram(now, Path::udp(self.local, remote), datagram);
                }
            }
        }
        if any {
            self.flush(Instant::now());
            self.read_events(origin, windows);
        }
    }

    fn read_events(&mut self, origin: Instant, windows: &mut Windows) {
        let now = Instant::now() - origin;
        while let Some(event) = self.peer.poll_event() {
            match event {
                PeerEvent::Message { kind: MessageKind::Binary, payload, .. } if self.opening.is_framed() => {
                    for frame in server_frames(&payload) {
                        match frame {
                            Ok(ServerFrame::Message(message)) => {
                                self.note(now, message.sender, message.payload, windows);
                            }
                            Ok(ServerFrame::Error { code, text }) => {
                                self.failure = Some(format!("the topic says {code:?}: {text}"));
                            }
                            Ok(ServerFrame::SnapshotEnd) => self.unanswered = None,
                            Ok(_) => {}
                            Err(error) => self.failure = Some(format!("a frame: {error}")),
                        }
                    }
                }
                PeerEvent::Message { payload, .. } => self.note(now, 0, &payload, windows),
                // The welcome does not tell: on a lossy channel it may be lost like anything else.
                PeerEvent::ChannelOpened(_) => self.is_open = true,
                PeerEvent::ChannelClosed(_) => self.failure = Some("the server closed the channel".into()),
                PeerEvent::Failed(reason) => self.failure = Some(format!("{reason:?}")),
                PeerEvent::Closed => self.failure = Some("the server said goodbye".into()),
                _ => {}
            }
        }
    }

    fn note(&mut self, now: Duration, sender: u32, payload: &[u8], windows: &mut Windows) {
        // What goes out of sight comes without a payload.
        let Some((sent, rest)) = payload.split_first_chunk::<8>() else { return };
        let sent = Duration::from_micros(u64::from_be_bytes(*sent));
        if self.is_measured {
            windows.note_delivery(rest.first().copied().unwrap_or_default(), now.saturating_sub(sent));
        } else {
            let newest = self.newest.entry(sender).or_default();
            *newest = sent.max(*newest);
        }
    }

    /// One system call per datagram, as browsers do it. What the kernel does not take is lost, as on any network.
    fn flush(&mut self, now: Instant) {
        while let Some(transmit) = self.peer.poll_transmit(now) {
            let segment = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
            for datagram in transmit.contents.chunks(segment) {
                let _ = self.socket.send_to(datagram, transmit.path.remote);
            }
        }
    }
}
