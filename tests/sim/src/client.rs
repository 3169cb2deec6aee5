//! One participant: a real peer, what it sends, and what it makes of its slots.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use patchbay_protocol::node::{Publication, Slot};
use patchbay_protocol::{
    ChannelDeclaration, Mid, ParticipantNumber, RoomId, SlotSource, SlotState, Source, TransportId,
};
use patchbay_sansio_peer::{
    ChannelKey, MediaKind, Path, PeerEvent, PeerReceived, PeerStats, RtpToSend, SansIoPeer, payload_type,
};
use rand::rngs::StdRng;

use crate::arrival::SlotPacket;
use crate::audio::AudioReceiver;
use crate::link::Condition;
use crate::media::{AudioSource, MediaPacket, VideoPlan, VideoSource};
use crate::video::VideoReceiver;

/// How often a client looks whether its decoders are stuck.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// The section a microphone is sent on.
pub const MICROPHONE: &str = "mic";
/// The section a camera is sent on.
pub const CAMERA: &str = "cam";

/// What a participant joins with.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Its microphone's loudness (RFC 6464), if it has one.
    pub microphone: Option<u8>,
    /// Its camera, if it has one.
    pub camera: Option<VideoPlan>,
    /// Sources of its audio slots, whose mids are `a0`, `a1`, …
    pub audio_slots: Vec<Option<SlotSource>>,
    /// Sources of its video slots, whose mids are `v0`, `v1`, …
    pub video_slots: Vec<Option<SlotSource>>,
    /// Whether it offers data channels.
    pub has_data: bool,
}

/// The decoder of one slot.
#[derive(Debug)]
pub enum Receiver {
    /// Of an audio slot.
    Audio(AudioReceiver),
    /// Of a video slot.
    Video(Box<VideoReceiver>),
}

/// A participant in the world.
pub struct Client {
    /// Its number.
    pub number: ParticipantNumber,
    /// Its transport.
    pub transport: TransportId,
    /// Its room.
    pub room: RoomId,
    /// Where it is on the network.
    pub address: SocketAddr,
    /// What a NAT makes of it, if there is one; the client knows nothing of it.
    pub(crate) translated: Option<SocketAddr>,
    /// When it joined.
    pub joined: Instant,
    /// When media could flow.
    pub connected: Option<Instant>,
    /// What its slots follow.
    pub slots: Vec<Slot>,
    /// What it publishes.
    pub publications: Vec<Publication>,
    /// The last word on each slot.
    pub slot_states: BTreeMap<Mid, SlotState>,
    /// Messages received.
    pub messages: Vec<(ChannelKey, Bytes)>,
    /// Channels that are open.
    pub channels: Vec<ChannelKey>,
    /// Channels that are negotiated out of band.
    pub declared: Vec<ChannelDeclaration>,
    /// The server said goodbye, or DTLS failed.
    pub is_over: bool,
    pub(crate) peer: SansIoPeer,
    pub(crate) camera: Option<VideoSource>,
    pub(crate) microphone: Option<AudioSource>,
    pub(crate) up: Condition,
    pub(crate) down: Condition,
    pub(crate) wake: Option<Instant>,
    pub(crate) violations: Vec<String>,
    pub(crate) captured: VecDeque<Vec<u8>>,
    streams: (Option<usize>, Option<usize>),
    receivers: BTreeMap<Mid, Receiver>,
    by_ssrc: BTreeMap<u32, Mid>,
    next_look: Option<Instant>,
}

/// Datagrams of a client that an attacker has kept.
const CAPTURED: usize = 256;

impl Client {
    #[expect(clippy::too_many_arguments, reason = "made in one place")]
    pub(crate) fn new(
        now: Instant,
        number: ParticipantNumber,
        transport: TransportId,
        room: RoomId,
        address: SocketAddr,
        peer: SansIoPeer,
        plan: &Plan,
        rng: &mut StdRng,
    ) -> Self {
        Self {
            number,
            transport,
            room,
            address,
            translated: None,
            joined: now,
            connected: None,
            slots: Vec::new(),
            publications: Vec::new(),
            slot_states: BTreeMap::new(),
            messages: Vec::new(),
            channels: Vec::new(),
            declared: Vec::new(),
            is_over: false,
            camera: plan.camera.map(|camera| VideoSource::new(now, number.0, camera, rng)),
            microphone: plan.microphone.map(|level| AudioSource::new(now, number.0, level, rng)),
            up: Condition::default(),
            down: Condition::default(),
            wake: Some(now),
            violations: Vec::new(),
            captured: VecDeque::new(),
            streams: (peer.stream(CAMERA, None), peer.stream(MICROPHONE, None)),
            peer,
            receivers: BTreeMap::new(),
            by_ssrc: BTreeMap::new(),
            next_look: None,
        }
    }

    /// The decoder of a video slot.
    ///
    /// # Panics
    /// If there is no such slot.
    pub fn video(&self, mid: &str) -> &VideoReceiver {
        match self.receivers.get(&Mid::from(mid)) {
            Some(Receiver::Video(video)) => video,
            _ => panic!("{} has no video slot {mid}", self.number),
        }
    }

    /// The player of an audio slot.
    ///
    /// # Panics
    /// If there is no such slot.
    pub fn audio(&self, mid: &str) -> &AudioReceiver {
        match self.receivers.get(&Mid::from(mid)) {
            Some(Receiver::Audio(audio)) => audio,
            _ => panic!("{} has no audio slot {mid}", self.number),
        }
    }

    /// All video slots.
    pub fn videos(&self) -> impl Iterator<Item = (&Mid, &VideoReceiver)> {
        self.receivers.iter().filter_map(|(mid, receiver)| match receiver {
            Receiver::Video(video) => Some((mid, video.as_ref())),
            Receiver::Audio(_) => None,
        })
    }

    /// All audio slots.
    pub fn audios(&self) -> impl Iterator<Item = (&Mid, &AudioReceiver)> {
        self.receivers.iter().filter_map(|(mid, receiver)| match receiver {
            Receiver::Audio(audio) => Some((mid, audio)),
            Receiver::Video(_) => None,
        })
    }

    /// Frames that its camera has sent, and keyframes among them.
    pub fn frames_sent(&self) -> (u32, u32) {
        self.camera.as_ref().map_or((0, 0), |camera| (camera.frames, camera.keyframes))
    }

    /// Whether it has what it takes to publish this source.
    pub fn can_send(&self, source: Source) -> bool {
        match source {
            Source::Camera => self.camera.is_some(),
            _ => self.microphone.is_some(),
        }
    }

    /// Counters of the peer.
    pub fn stats(&self) -> PeerStats {
        self.peer.stats()
    }

    /// Where the world sees it.
    pub(crate) fn outer_address(&self) -> SocketAddr {
        self.translated.unwrap_or(self.address)
    }

    /// The offer in force says this of sections; the answer, what they became.
    pub(crate) fn take_answer(&mut self, now: Instant, sdp: &str) {
        if let Err(error) = self.peer.accept_answer(now, sdp) {
            self.violations.push(format!("{}: {error}", self.number));
        }
        let sections = self.peer.answer().map(|answer| answer.sections.clone()).unwrap_or_default();
        for section in sections {
            let Some(ssrc) = section.ssrc else { continue };
            let mid = Mid::from(section.mid.as_str());
            let known = self.by_ssrc.iter().find(|(_, known)| **known == mid).map(|(ssrc, _)| *ssrc);
            if known.is_some_and(|known| known != ssrc) {
                self.violations.push(format!("{}: slot {mid} changed its SSRC", self.number));
            }
            self.by_ssrc.insert(ssrc, mid.clone());
            self.receivers.entry(mid).or_insert_with(|| match section.media.as_str() {
                "audio" => Receiver::Audio(AudioReceiver::default()),
                _ => Receiver::Video(Box::default()),
            });
        }
    }

    /// What flows in a slot, as the server says.
    pub(crate) fn note_state(&mut self, now: Instant, mid: &Mid, state: SlotState) {
        if !self.slots.iter().any(|slot| slot.mid == *mid) {
            self.violations.push(format!("{}: told about slot {mid}, which it has not", self.number));
        }
        let is_flowing = state.track.is_some() && state.paused.is_none();
        match self.receivers.get_mut(mid) {
            Some(Receiver::Video(video)) if !is_flowing => video.pause(),
            Some(Receiver::Audio(audio)) => audio.note_change(now),
            _ => {}
        }
        self.slot_states.insert(mid.clone(), state);
    }

    /// Takes a datagram.
    pub(crate) fn handle(&mut self, now: Instant, from: SocketAddr, datagram: &mut [u8]) {
        let path = Path::udp(self.address, from);
        let (packet, ssrc) = match self.peer.handle_datagram(now, path, datagram) {
            PeerReceived::Rtp { len, header, index } => {
                let plain = datagram.get(..len).unwrap_or_default();
                let packet = SlotPacket {
                    at: now,
                    sequence: index.0,
                    is_recovered: false,
                    marker: header.marker,
                    payload_type: header.payload_type.0,
                    timestamp: header.timestamp.0,
                    csrc: header.csrcs(plain).next().map(|csrc| csrc.0),
                    payload: header.payload(plain).unwrap_or_default(),
                };
                (packet, header.ssrc.0)
            }
            PeerReceived::Recovered { ssrc, sequence, header, payload } => {
                let highest = self.highest(ssrc);
                let distance = sequence.0.wrapping_sub(highest as u16) as i16;
                let packet = SlotPacket {
                    at: now,
                    sequence: highest.wrapping_add_signed(i64::from(distance)),
                    is_recovered: true,
                    marker: header.marker,
                    payload_type: payload_type::VP8,
                    timestamp: header.timestamp.0,
                    csrc: header.csrcs(datagram).next().map(|csrc| csrc.0),
                    payload: datagram.get(payload).unwrap_or_default(),
                };
                (packet, ssrc)
            }
            _ => return,
        };
        let result = match self.by_ssrc.get(&ssrc).and_then(|mid| self.receivers.get_mut(mid)) {
            Some(Receiver::Audio(audio)) if packet.payload_type == payload_type::OPUS => {
                audio.handle(&packet)
            }
            Some(Receiver::Video(video)) if packet.payload_type == payload_type::VP8 => video.handle(&packet),
            Some(_) => Err(format!("payload type {} where it does not belong", packet.payload_type)),
            None => Err(format!("SSRC {ssrc} of no slot")),
        };
        if packet.csrc == Some(self.number.0) {
            self.violations.push(format!("{}: it got its own media", self.number));
        }
        if let Err(error) = result {
            let mid = self.by_ssrc.get(&ssrc).map_or("?", Mid::as_str);
            self.violations.push(format!("{} {mid}: {error}", self.number));
        }
    }

    /// Does what is due: the peer's timers, frames and sound to be sent, decoders that are stuck.
    pub(crate) fn tick(&mut self, now: Instant, rng: &mut StdRng) {
        if self.peer.deadline().is_some_and(|due| due <= now) {
            self.peer.handle_timeout(now);
        }
        if self.connected.is_none() {
            return;
        }
        if let Some(camera) = self.camera.as_mut().filter(|camera| camera.next_at <= now) {
            for packet in camera.frame(now, rng) {
                send(&mut self.peer, now, self.streams.0, payload_type::VP8, &packet);
            }
        }
        if let Some(microphone) = self.microphone.as_mut().filter(|microphone| microphone.next_at <= now)
            && let Some(packet) = microphone.packet(now)
        {
            send(&mut self.peer, now, self.streams.1, payload_type::OPUS, &packet);
        }
        if self.next_look.is_none_or(|due| due <= now) {
            self.next_look = Some(now + LOOK_INTERVAL);
            for (ssrc, mid) in &self.by_ssrc {
                if let Some(Receiver::Video(video)) = self.receivers.get_mut(mid)
                    && video.wants_keyframe(now)
                {
                    self.peer.request_keyframe(*ssrc);
                }
            }
        }
    }

    /// Takes note of what the peer has to say, and of when it wants to be called.
    pub(crate) fn settle(&mut self, now: Instant) {
        while let Some(event) = self.peer.poll_event() {
            match event {
                PeerEvent::Connected { .. } => {
                    self.connected = Some(now);
                    // Sources begin when they can be sent.
                    if let Some(camera) = &mut self.camera {
                        camera.next_at = camera.next_at.max(now);
                    }
                    if let Some(microphone) = &mut self.microphone {
                        microphone.next_at = microphone.next_at.max(now);
                    }
                }
                PeerEvent::KeyframeRequested { .. } => {
                    if let Some(camera) = &mut self.camera {
                        camera.wants_keyframe = true;
                    }
                }
                PeerEvent::ChannelOpened(info) => self.channels.push(info.key),
                PeerEvent::ChannelClosed(key) => self.channels.retain(|known| *known != key),
                PeerEvent::Message { channel, payload, .. } => self.messages.push((channel, payload)),
                PeerEvent::Failed(reason) => {
                    self.violations.push(format!("{}: {reason}", self.number));
                    self.is_over = true;
                }
                PeerEvent::Closed => self.is_over = true,
            }
        }
        let media = [
            self.camera.as_ref().map(|camera| camera.next_at),
            self.microphone.as_ref().map(|microphone| microphone.next_at),
            self.next_look,
        ];
        let is_connected = self.connected.is_some();
        self.wake = media.into_iter().flatten().filter(|_| is_connected).chain(self.peer.deadline()).min();
    }

    pub(crate) fn capture(&mut self, datagram: &[u8]) {
        if self.captured.len() == CAPTURED {
            self.captured.pop_front();
        }
        self.captured.push_back(datagram.to_vec());
    }

    /// The video slots are given up to the network: what comes next is no freeze.
    pub(crate) fn pause_all(&mut self) {
        for receiver in self.receivers.values_mut() {
            if let Receiver::Video(video) = receiver {
                video.pause();
            }
        }
    }

    pub(crate) fn mids(kind: MediaKind, count: usize) -> impl Iterator<Item = String> {
        let letter = if kind == MediaKind::Audio { 'a' } else { 'v' };
        (0..count).map(move |at| format!("{letter}{at}"))
    }

    /// The highest sequence number of a stream with its roll-overs.
    fn highest(&self, ssrc: u32) -> u64 {
        match self.by_ssrc.get(&ssrc).and_then(|mid| self.receivers.get(mid)) {
            Some(Receiver::Video(video)) => video.highest(),
            _ => 0,
        }
    }
}

fn send(peer: &mut SansIoPeer, now: Instant, stream: Option<usize>, payload_type: u8, packet: &MediaPacket) {
    let Some(stream) = stream else { return };
    let rtp = RtpToSend {
        payload_type,
        marker: packet.marker,
        timestamp: packet.timestamp,
        audio_level: packet.level,
        payload: &packet.payload,
    };
    peer.send_rtp(now, stream, &rtp);
}
