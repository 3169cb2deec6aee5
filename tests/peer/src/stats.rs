//! What a peer reports. The JSON form is stable: fields may be added, none changes its meaning.

use std::net::SocketAddr;
use std::time::Instant;

use patchbay_protocol::{MediaKind, ParticipantNumber, SlotPause, SlotSource, Source, TrackId};
use serde::{Deserialize, Serialize};

use crate::VideoCodec;
use crate::assembler::Assembler;
use crate::keyframe::begins_keyframe;

/// The version of [`PeerStats`] as JSON, in its field `schema`.
pub const STATS_SCHEMA: u32 = 1;

/// State of the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionState {
    /// Nothing is known yet.
    #[default]
    New,
    /// ICE and DTLS are under way.
    Connecting,
    /// Media can flow.
    Connected,
    /// Nothing came for a while; it may come back.
    Disconnected,
    /// It will not come back.
    Failed,
    /// Closed by the peer itself.
    Closed,
}

/// Everything a peer knows about itself. Times are milliseconds since its join began.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PeerStats {
    /// [`STATS_SCHEMA`].
    pub schema: u32,
    /// The room.
    pub room: String,
    /// Who the peer is.
    pub identity: String,
    /// Its number in the room, the CSRC of what it sends; absent with WHIP and WHEP.
    pub participant: Option<ParticipantNumber>,
    /// State of the transport.
    pub state: ConnectionState,
    /// The SRTP profile, as the server names it.
    pub srtp_profile: Option<String>,
    /// When these statistics were taken.
    pub elapsed_ms: u64,
    /// When the transport was first connected.
    pub connected_ms: Option<u64>,
    /// Offers made since the start. Nothing but more sections or an ICE restart should ever raise it above 1.
    pub offers_made: u64,
    /// Everybody else in the room.
    pub roster: Vec<RosterEntry>,
    /// Who speaks now, loudest first, as the server says.
    pub speakers: Vec<ParticipantNumber>,
    /// What the peer sends.
    pub publications: Vec<PublicationStats>,
    /// What it receives.
    pub slots: Vec<SlotStats>,
    /// Its data channels.
    pub channels: Vec<ChannelStats>,
    /// Chat lines received, its own included.
    pub chat_lines: u64,
    /// Why the server removed the peer, or what broke.
    pub ended: Option<String>,
}

/// Somebody in the room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RosterEntry {
    /// The number in the room.
    pub number: ParticipantNumber,
    /// The identity.
    pub identity: String,
    /// What it publishes.
    pub sources: Vec<Source>,
}

/// A track that the peer sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PublicationStats {
    /// Its media section.
    pub mid: String,
    /// The id that the server gave it.
    pub track: Option<TrackId>,
    /// What it is.
    pub source: Source,
    /// The codec, as in SDP.
    pub codec: String,
    /// The SSRC.
    pub ssrc: u32,
    /// RTP packets sent, without retransmissions.
    pub packets: u64,
    /// Payload bytes sent.
    pub bytes: u64,
    /// Frames sent (video), or packets (audio).
    pub frames: u64,
    /// Keyframes among them.
    pub keyframes: u64,
    /// PLI and FIR received.
    pub keyframe_requests: u64,
    /// NACK packets received.
    pub nacks: u64,
}

/// A slot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlotStats {
    /// Its media section.
    pub mid: String,
    /// Audio or video.
    pub kind: MediaKind,
    /// The SSRC that the answer gave it; with WHEP, of the first packet.
    pub ssrc: u32,
    /// The source it follows, as the server last said.
    pub source: Option<SlotSource>,
    /// Whose media flows, as the server last said.
    pub participant: Option<ParticipantNumber>,
    /// The track, as the server last said.
    pub track: Option<TrackId>,
    /// Why nothing flows, as the server last said.
    pub paused: Option<SlotPause>,
    /// RTP packets received, duplicates not counted.
    pub packets: u64,
    /// Payload bytes received.
    pub bytes: u64,
    /// Frames that could be decoded (video), or packets (audio).
    pub frames: u64,
    /// Keyframes among them.
    pub keyframes: u64,
    /// When the first of these frames was complete.
    pub first_frame_ms: Option<u64>,
    /// When the latest of these frames was complete.
    pub last_frame_ms: Option<u64>,
    /// Every contributing source seen, in order of appearance.
    pub csrcs: Vec<ParticipantNumber>,
    /// The contributing source of the latest packet.
    pub csrc: Option<ParticipantNumber>,
    /// The codec of the latest packet, as in SDP.
    pub codec: Option<String>,
    /// Packets missing between the first and the highest sequence number.
    pub lost: u64,
    /// Packets that came more than once.
    pub duplicates: u64,
    /// NACK packets sent.
    pub nacks: u64,
}

/// A data channel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChannelStats {
    /// Its label.
    pub label: String,
    /// Whether it is open.
    pub open: bool,
    /// Messages sent, echoes included.
    pub sent: u64,
    /// Messages received.
    pub received: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// The latest message received, if it was text.
    pub last_text: Option<String>,
}

impl PeerStats {
    /// The slot of a media section.
    pub fn slot(&self, mid: &str) -> Option<&SlotStats> {
        self.slots.iter().find(|slot| slot.mid == mid)
    }

    /// The slots of one kind, in the order they were asked for.
    pub fn slots_of(&self, kind: MediaKind) -> impl Iterator<Item = &SlotStats> {
        self.slots.iter().filter(move |slot| slot.kind == kind)
    }

    /// The publication of a source.
    pub fn publication(&self, source: Source) -> Option<&PublicationStats> {
        self.publications.iter().find(|publication| publication.source == source)
    }

    /// The channel with a label.
    pub fn channel(&self, label: &str) -> Option<&ChannelStats> {
        self.channels.iter().find(|channel| channel.label == label)
    }

    /// The roster entry of an identity.
    pub fn roster_entry(&self, identity: &str) -> Option<&RosterEntry> {
        self.roster.iter().find(|entry| entry.identity == identity)
    }
}

/// What one received RTP packet says.
pub(crate) struct Received<'a> {
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) csrc: Option<u32>,
    pub(crate) codec: Option<&'a str>,
    pub(crate) payload: &'a [u8],
}

/// Statistics that grow, with what is needed to grow them.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) stats: PeerStats,
    /// The server's candidates.
    pub(crate) addresses: Vec<SocketAddr>,
    assemblers: Vec<Assembler>,
    started: Instant,
}

impl Ledger {
    pub(crate) fn new(room: &str, identity: &str) -> Self {
        let stats = PeerStats {
            schema: STATS_SCHEMA,
            room: room.to_owned(),
            identity: identity.to_owned(),
            ..PeerStats::default()
        };
        Self { stats, addresses: Vec::new(), assemblers: Vec::new(), started: Instant::now() }
    }

    pub(crate) fn elapsed_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    pub(crate) fn snapshot(&self) -> PeerStats {
        let mut stats = self.stats.clone();
        stats.elapsed_ms = self.elapsed_ms();
        stats
    }

    pub(crate) fn add_slot(&mut self, mid: &str, kind: MediaKind, source: Option<SlotSource>) {
        self.assemblers.push(Assembler::default());
        self.stats.slots.push(SlotStats {
            mid: mid.to_owned(),
            kind,
            ssrc: 0,
            source,
            participant: None,
            track: None,
            paused: None,
            packets: 0,
            bytes: 0,
            frames: 0,
            keyframes: 0,
            first_frame_ms: None,
            last_frame_ms: None,
            csrcs: Vec::new(),
            csrc: None,
            codec: None,
            lost: 0,
            duplicates: 0,
            nacks: 0,
        });
    }

    pub(crate) fn slot_mut(&mut self, mid: &str) -> Option<&mut SlotStats> {
        self.stats.slots.iter_mut().find(|slot| slot.mid == mid)
    }

    /// The slot of an SSRC; without an answer that names SSRCs, the first one of the kind that has none.
    pub(crate) fn slot_of_ssrc(&mut self, ssrc: u32, kind: MediaKind) -> Option<usize> {
        let slots = &mut self.stats.slots;
        if let Some(at) = slots.iter().position(|slot| slot.ssrc == ssrc) {
            return Some(at);
        }
        let at = slots.iter().position(|slot| slot.kind == kind && slot.ssrc == 0)?;
        slots[at].ssrc = ssrc;
        Some(at)
    }

    pub(crate) fn receive(&mut self, at: usize, packet: &Received<'_>) {
        let elapsed = self.elapsed_ms();
        let (Some(slot), Some(assembler)) = (self.stats.slots.get_mut(at), self.assemblers.get_mut(at))
        else {
            return;
        };
        let video = packet.codec.and_then(VideoCodec::from_mime);
        let is_audio = slot.kind == MediaKind::Audio;
        // Padding alone keeps the sequence whole and belongs to no frame.
        let starts_keyframe = is_audio || video.is_some_and(|codec| begins_keyframe(codec, packet.payload));
        let progress =
            assembler.push(packet.sequence, packet.timestamp, packet.marker || is_audio, starts_keyframe);
        slot.lost = assembler.lost();
        if progress.is_duplicate {
            slot.duplicates += 1;
            return;
        }
        slot.packets += 1;
        slot.bytes += packet.payload.len() as u64;
        slot.codec = packet.codec.and_then(|mime| mime.rsplit('/').next()).map(str::to_owned);
        slot.csrc = packet.csrc.map(ParticipantNumber);
        if let Some(csrc) = slot.csrc
            && !slot.csrcs.contains(&csrc)
        {
            slot.csrcs.push(csrc);
        }
        if progress.frames > 0 {
            slot.frames += progress.frames;
            slot.keyframes += if is_audio { 0 } else { progress.keyframes };
            slot.first_frame_ms.get_or_insert(elapsed);
            slot.last_frame_ms = Some(elapsed);
        }
    }
}
