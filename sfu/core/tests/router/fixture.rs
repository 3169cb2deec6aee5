//! A router with members whose offers are negotiated for real, and an egress that writes down and checks everything.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use patchbay_protocol::node::{Publication, Slot};
use patchbay_protocol::{Mid, ParticipantNumber, SlotSource, SlotState, Source, TrackId, TransportId};
use patchbay_sdp::{
    Answer, CodecKind, Fingerprint, IceCredentials, Limits, LocalDescription, Msid, NegotiatedSection, Offer,
    Policy, SectionChoice, SlotStream,
};
use patchbay_sfu_core::router::{Router, RouterEvent};
use patchbay_sfu_core::{
    ChannelKey, DataMessage, Egress, OutgoingRtp, Repetition, SendOutcome, TransportKey,
};
use patchbay_wire::rtcp::{self, RtcpPacket};
use patchbay_wire::rtp::{ExtensionId, PayloadType, RtpFields, RtpTimestamp, SequenceNumber, Ssrc};

pub(crate) const OPUS: u8 = 111;
pub(crate) const VP8: u8 = 96;
pub(crate) const VP8_RTX: u8 = 97;
pub(crate) const H264: u8 = 102;
pub(crate) const LEVEL_ID: u8 = 2;

/// One media section of a member's offer.
#[derive(Clone)]
pub(crate) struct Section {
    pub(crate) mid: &'static str,
    pub(crate) source: Source,
    pub(crate) publishes: bool,
    pub(crate) codecs: Vec<u8>,
    pub(crate) has_level: bool,
}

pub(crate) fn publish(mid: &'static str, source: Source) -> Section {
    let codecs = if is_audio(source) { vec![OPUS] } else { vec![VP8, H264] };
    Section { mid, source, publishes: true, codecs, has_level: true }
}

pub(crate) fn slot(mid: &'static str, source: Source) -> Section {
    Section { publishes: false, ..publish(mid, source) }
}

fn is_audio(source: Source) -> bool {
    source.kind() == patchbay_protocol::MediaKind::Audio
}

/// What left the router for a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rtp {
    pub(crate) to: TransportKey,
    pub(crate) ssrc: u32,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u64,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) csrc: Option<u32>,
    pub(crate) extensions: Vec<(u8, Vec<u8>)>,
    pub(crate) payload: Vec<u8>,
}

#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) rtp: Vec<Rtp>,
    pub(crate) rtcp: Vec<(TransportKey, Vec<u8>)>,
    used: BTreeSet<(TransportKey, u32, u64)>,
}

impl Egress for Recorder {
    fn send_rtp(&mut self, to: TransportKey, packet: &OutgoingRtp<'_>) {
        // What AES-GCM needs above all.
        assert!(
            self.used.insert((to, packet.ssrc.0, packet.extended_sequence)),
            "number used twice: {packet:?}"
        );
        self.rtp.push(Rtp {
            to,
            ssrc: packet.ssrc.0,
            payload_type: packet.payload_type,
            sequence: packet.extended_sequence,
            timestamp: packet.timestamp.0,
            marker: packet.marker,
            csrc: packet.csrc,
            extensions: packet.extensions.iter().map(|(id, value)| (*id, value.to_vec())).collect(),
            payload: [packet.prefix, packet.payload].concat(),
        });
    }

    fn send_rtcp(&mut self, to: TransportKey, compound: &[u8]) {
        assert!(rtcp::packets(compound).all(|packet| packet.is_ok()));
        self.rtcp.push((to, compound.to_vec()));
    }

    fn send_message(
        &mut self,
        _: TransportKey,
        _: ChannelKey,
        _: DataMessage<'_>,
        _: Repetition,
    ) -> SendOutcome {
        SendOutcome::Queued
    }

    fn channel_room(&self, _: TransportKey, _: ChannelKey) -> usize {
        usize::MAX
    }
}

/// A stream a member sends.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) from: TransportKey,
    pub(crate) ssrc: u32,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) picture: u16,
    pub tl0: u8,
    pub(crate) level: Option<u8>,
    pub(crate) mid: &'static str,
}

pub(crate) struct Harness {
    pub(crate) router: Router,
    pub(crate) now: Instant,
    pub(crate) out: Recorder,
    next_track: u32,
}

impl Harness {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        let router = Router::new(now, 1_700_000_000_000_000_000, 42);
        Self { router, now, out: Recorder::default(), next_track: 1 }
    }

    /// Adds a member, connected; participant and transport have the number `who`.
    pub(crate) fn join(&mut self, who: u32, sections: &[Section]) -> Vec<Publication> {
        let key = TransportKey(who);
        self.router.attach(self.now, key, TransportId(u64::from(who)), ParticipantNumber(who));
        let publications = self.publications(sections);
        self.negotiate(who, sections, &publications, &[]);
        self.router.handle_connected(self.now, key, &mut self.out);
        publications
    }

    pub(crate) fn publications(&mut self, sections: &[Section]) -> Vec<Publication> {
        let mut publications = Vec::new();
        for section in sections.iter().filter(|section| section.publishes) {
            publications.push(Publication {
                mid: Mid::from(section.mid),
                track: TrackId(self.next_track),
                source: section.source,
                muted: false,
            });
            self.next_track += 1;
        }
        publications
    }

    pub(crate) fn negotiate(
        &mut self,
        who: u32,
        sections: &[Section],
        publications: &[Publication],
        slots: &[Slot],
    ) {
        let negotiated = negotiated(who, sections);
        self.router.apply(self.now, TransportKey(who), &negotiated, publications, slots, &mut self.out);
    }

    pub(crate) fn set(&mut self, who: u32, mid: &str, source: Option<SlotSource>) {
        let mid = Mid::from(mid);
        assert!(self.router.set_slot(self.now, TransportKey(who), &mid, source, &mut self.out));
    }

    pub(crate) fn show(&mut self, who: u32, mid: &str, participant: u32, source: Source) {
        self.set(
            who,
            mid,
            Some(SlotSource::Participant { participant: ParticipantNumber(participant), source }),
        );
    }

    pub(crate) fn speaker(&mut self, who: u32, mid: &str, speaker: u8) {
        self.set(who, mid, Some(SlotSource::Speaker { speaker }));
    }

    pub(crate) fn send(&mut self, stream: &Stream, marker: bool, payload: &[u8]) {
        let packet = stream.packet(marker, payload);
        self.router.handle_rtp(self.now, stream.from, &packet, &mut self.out);
    }

    /// Sends one packet of sound and moves the stream on.
    pub(crate) fn speak(&mut self, stream: &mut Stream) {
        self.send(stream, false, &[0x78; 60]);
        stream.sequence = stream.sequence.wrapping_add(1);
        stream.timestamp = stream.timestamp.wrapping_add(960);
    }

    /// Sends one VP8 frame of `packets` packets and moves the stream on.
    pub(crate) fn frame(&mut self, stream: &mut Stream, keyframe: bool, packets: u16) {
        for at in 0..packets {
            self.send(stream, at + 1 == packets, &stream.vp8(keyframe, at == 0));
            stream.sequence = stream.sequence.wrapping_add(1);
        }
        stream.next_frame();
    }

    pub(crate) fn wait(&mut self, ms: u64) {
        let until = self.now + Duration::from_millis(ms);
        while let Some(due) = self.router.deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            let now = self.now;
            self.router.handle_timeout(now, &mut self.out);
            assert!(self.router.deadline().is_none_or(|next| next > now), "a deadline that does not pass");
        }
        self.now = until;
    }

    pub(crate) fn rtcp(&mut self, from: u32, write: impl FnOnce(&mut Vec<u8>)) {
        let mut compound = Vec::new();
        write(&mut compound);
        self.router.handle_rtcp(self.now, TransportKey(from), &compound, &mut self.out);
    }

    pub(crate) fn nack(&mut self, from: u32, ssrc: u32, sequences: &[u64]) {
        let lost = sequences.iter().map(|sequence| SequenceNumber(*sequence as u16));
        self.rtcp(from, |out| rtcp::write_nack(Ssrc(9), Ssrc(ssrc), lost, out));
    }

    pub(crate) fn pli(&mut self, from: u32, ssrc: u32) {
        self.rtcp(from, |out| rtcp::write_pli(Ssrc(9), Ssrc(ssrc), out));
    }

    pub(crate) fn taken(&mut self) -> Vec<Rtp> {
        std::mem::take(&mut self.out.rtp)
    }

    /// What went to one slot of a member since the last look at RTP.
    pub(crate) fn slot(&self, who: u32, mid: &str) -> Vec<Rtp> {
        let ssrc = slot_ssrc(who, mid);
        self.out.rtp.iter().filter(|packet| packet.ssrc == ssrc).cloned().collect()
    }

    /// Keyframe requests a publisher got since the last look, by SSRC.
    pub(crate) fn keyframe_requests(&mut self, who: u32) -> Vec<u32> {
        let mut found = Vec::new();
        self.out.rtcp.retain(|(to, compound)| {
            let plis: Vec<u32> = rtcp::packets(compound)
                .filter_map(|packet| match packet {
                    Ok(RtcpPacket::Pli(pli)) if *to == TransportKey(who) => Some(pli.media.0),
                    _ => None,
                })
                .collect();
            found.extend(&plis);
            plis.is_empty()
        });
        found
    }

    /// The latest state of each slot that events told of, by transport and mid.
    pub(crate) fn states(&mut self) -> Vec<(u64, String, SlotState)> {
        let mut states = Vec::new();
        while let Some(event) = self.router.poll_event() {
            if let RouterEvent::SlotChanged { transport, mid, state } = event {
                states.push((transport.0, mid.to_string(), state));
            }
        }
        states
    }

    /// The one slot event there should be.
    pub(crate) fn state(&mut self) -> SlotState {
        let states = self.states();
        assert_eq!(states.len(), 1, "{states:?}");
        states[0].2
    }
}

impl Stream {
    pub(crate) fn audio(from: u32, level: Option<u8>) -> Self {
        Self { payload_type: OPUS, level, mid: "a", ..Self::video(from) }.with_ssrc(from * 1_000 + 1)
    }

    pub(crate) fn video(from: u32) -> Self {
        Self {
            from: TransportKey(from),
            ssrc: from * 1_000 + 2,
            payload_type: VP8,
            sequence: (from as u16).wrapping_mul(9_973),
            timestamp: from.wrapping_mul(0x1234_5677),
            picture: (from as u16).wrapping_mul(771) & 0x7fff,
            tl0: from as u8,
            level: None,
            mid: "v",
        }
    }

    pub(crate) fn with_ssrc(self, ssrc: u32) -> Self {
        Self { ssrc, ..self }
    }

    pub(crate) fn next_frame(&mut self) {
        self.timestamp = self.timestamp.wrapping_add(3_000);
        self.picture = (self.picture + 1) & 0x7fff;
        self.tl0 = self.tl0.wrapping_add(1);
    }

    pub(crate) fn packet(&self, marker: bool, payload: &[u8]) -> Vec<u8> {
        let fields = RtpFields {
            marker,
            payload_type: PayloadType(self.payload_type),
            sequence: SequenceNumber(self.sequence),
            timestamp: RtpTimestamp(self.timestamp),
            ssrc: Ssrc(self.ssrc),
            csrc: None,
        };
        let level = self.level.unwrap_or_default();
        let mut elements: Vec<(ExtensionId, &[u8])> = Vec::new();
        if !self.mid.is_empty() {
            elements.push((ExtensionId(1), self.mid.as_bytes()));
        }
        if self.level.is_some() {
            elements.push((ExtensionId(LEVEL_ID), std::slice::from_ref(&level)));
        }
        let mut packet = Vec::new();
        fields.write(&elements, &mut packet).unwrap();
        packet.extend_from_slice(payload);
        packet
    }

    /// A VP8 payload as libwebrtc sends it.
    pub(crate) fn vp8(&self, keyframe: bool, is_first: bool) -> Vec<u8> {
        let [high, low] = (self.picture | 0x8000).to_be_bytes();
        let mut payload = vec![0x80 | u8::from(is_first) << 4, 0xe0, high, low, self.tl0, 0x20];
        payload.push(u8::from(!keyframe));
        payload.extend_from_slice(&[self.from.0 as u8; 40]);
        payload
    }
}

pub(crate) fn slot_ssrc(who: u32, mid: &str) -> u32 {
    let index = mid.bytes().fold(0u32, |sum, byte| sum * 131 + u32::from(byte));
    0x4000_0000 | who << 20 | index & 0xffff
}

pub(crate) fn rtx_ssrc(who: u32, mid: &str) -> u32 {
    slot_ssrc(who, mid) | 0x2000_0000
}

/// The descriptor of a payload that was forwarded: picture id and TL0PICIDX.
pub(crate) fn picture(packet: &Rtp) -> (u16, u8) {
    (u16::from_be_bytes([packet.payload[2] & 0x7f, packet.payload[3]]), packet.payload[4])
}

pub(crate) fn negotiated(who: u32, sections: &[Section]) -> Vec<NegotiatedSection> {
    let offer = Offer::parse(&offer(sections), &Limits::default()).unwrap();
    let local = LocalDescription {
        session_id: 1,
        session_version: 1,
        ice: IceCredentials::new("abcd", "0123456789012345678901").unwrap(),
        ice_lite: true,
        fingerprint: Fingerprint::sha256([1; 32]),
        candidates: Vec::new(),
        end_of_candidates: true,
        cname: "patchbay".to_owned(),
        max_message_size: 1 << 16,
    };
    let choices: Vec<SectionChoice> = sections
        .iter()
        .map(|section| {
            if section.publishes {
                return SectionChoice::Publish;
            }
            SectionChoice::Slot(SlotStream {
                ssrc: patchbay_sdp::Ssrc(slot_ssrc(who, section.mid)),
                rtx_ssrc: Some(patchbay_sdp::Ssrc(rtx_ssrc(who, section.mid))),
                msid: Msid { stream: "s".to_owned(), track: section.mid.to_owned() },
            })
        })
        .collect();
    let policy = Policy {
        publish_codecs: vec![CodecKind::Opus, CodecKind::Vp8, CodecKind::H264],
        ..Policy::default()
    };
    let answer = Answer::build(&offer, &local, &choices, &policy).unwrap();
    assert!(answer.sections.iter().all(|section| section.refusal.is_none()), "{:?}", answer.sections);
    answer.sections
}

fn offer(sections: &[Section]) -> String {
    let mids: Vec<&str> = sections.iter().map(|section| section.mid).collect();
    let mut sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\n\
         a=ice-ufrag:wxyz\r\na=ice-pwd:9876543210987654321098\r\na=setup:actpass\r\n\
         a=fingerprint:sha-256 {}\r\n",
        mids.join(" "),
        ["AB"; 32].join(":"),
    );
    for section in sections {
        let media = if is_audio(section.source) { "audio" } else { "video" };
        let mut payload_types: Vec<String> = Vec::new();
        let mut lines = String::new();
        for codec in &section.codecs {
            payload_types.push(codec.to_string());
            match *codec {
                OPUS => lines.push_str("a=rtpmap:111 opus/48000/2\r\n"),
                VP8 => {
                    lines.push_str("a=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n")
                }
                H264 => lines.push_str(
                    "a=rtpmap:102 H264/90000\r\na=fmtp:102 packetization-mode=1;profile-level-id=42e01f\r\n\
                     a=rtpmap:103 rtx/90000\r\na=fmtp:103 apt=102\r\n",
                ),
                other => panic!("{other}"),
            }
            if *codec != OPUS {
                payload_types.push((codec + 1).to_string());
                for feedback in ["nack", "nack pli", "ccm fir"] {
                    write!(lines, "a=rtcp-fb:{codec} {feedback}\r\n").unwrap();
                }
            }
        }
        let direction = if section.publishes { "sendonly" } else { "recvonly" };
        write!(
            sdp,
            "m={media} 9 UDP/TLS/RTP/SAVPF {}\r\nc=IN IP4 0.0.0.0\r\na=mid:{}\r\na={direction}\r\n\
             a=rtcp-mux\r\na=rtcp-rsize\r\na=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\n",
            payload_types.join(" "),
            section.mid,
        )
        .unwrap();
        if is_audio(section.source) && section.has_level {
            write!(sdp, "a=extmap:{LEVEL_ID} urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n").unwrap();
        }
        sdp.push_str(&lines);
    }
    sdp
}
