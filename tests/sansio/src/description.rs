//! What a peer wants, and the offer that says so.

use std::fmt::Write;
use std::net::SocketAddr;

use patchbay_sdp::{Fingerprint, IceCredentials};
use patchbay_sfu_core::transport::Identity;
use patchbay_wire::srtp::SrtpProfile;

/// Payload types in our offers.
pub mod payload_type {
    /// Opus.
    pub const OPUS: u8 = 111;
    /// VP8, and its retransmissions.
    pub const VP8: u8 = 96;
    /// Retransmissions of VP8.
    pub const VP8_RTX: u8 = 97;
    /// VP9 profile 0.
    pub const VP9: u8 = 98;
    /// Retransmissions of VP9.
    pub const VP9_RTX: u8 = 99;
    /// H.264 constrained baseline, packetization mode 1.
    pub const H264: u8 = 102;
    /// Retransmissions of H.264.
    pub const H264_RTX: u8 = 103;
    /// AV1.
    pub const AV1: u8 = 45;
    /// Retransmissions of AV1.
    pub const AV1_RTX: u8 = 46;
}

/// Header extension ids in our offers.
pub(crate) mod extension_id {
    pub(crate) const MID: u8 = 1;
    pub(crate) const AUDIO_LEVEL: u8 = 2;
    pub(crate) const TRANSPORT_SEQUENCE: u8 = 3;
    pub(crate) const RID: u8 = 4;
    pub(crate) const REPAIRED_RID: u8 = 5;
}

/// What a peer is made from.
#[derive(Clone)]
pub struct PeerSetup {
    /// Where the peer sends from and receives.
    pub address: SocketAddr,
    /// Its media sections, in order.
    pub sections: Vec<Section>,
    /// Whether it offers data channels.
    pub has_data: bool,
    /// Video codecs, preferred first.
    pub video_codecs: Vec<VideoCodec>,
    /// Whether video is offered with RTX and missing packets are asked for.
    pub has_retransmission: bool,
    /// SRTP profiles in the order of the ClientHello. Chromium's is AES-CM, AES-256-GCM, AES-128-GCM.
    pub srtp_profiles: Vec<SrtpProfile>,
    /// Its certificate. Peers may share one, as making one costs a millisecond.
    pub identity: Identity,
}

/// One media section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its mid.
    pub mid: String,
    /// Audio or video.
    pub kind: MediaKind,
    /// Which way media flows.
    pub direction: Direction,
    /// Rids of simulcast encodings, best last; empty for a single encoding.
    pub rids: Vec<String>,
}

impl Section {
    /// A section that sends one encoding.
    pub fn send(mid: &str, kind: MediaKind) -> Self {
        Self { mid: mid.to_owned(), kind, direction: Direction::SendOnly, rids: Vec::new() }
    }

    /// A section that receives.
    pub fn receive(mid: &str, kind: MediaKind) -> Self {
        Self { mid: mid.to_owned(), kind, direction: Direction::RecvOnly, rids: Vec::new() }
    }
}

/// What a section carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaKind {
    /// Opus.
    Audio,
    /// One of [`PeerSetup::video_codecs`].
    Video,
}

/// Which way media flows, seen from the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the peer.
    SendOnly,
    /// To the peer.
    RecvOnly,
}

/// A video codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VideoCodec {
    /// VP8.
    Vp8,
    /// VP9, profile 0.
    Vp9,
    /// H.264, constrained baseline.
    H264,
    /// AV1.
    Av1,
}

impl VideoCodec {
    /// Its payload type and that of its retransmissions.
    pub const fn payload_types(self) -> (u8, u8) {
        match self {
            Self::Vp8 => (payload_type::VP8, payload_type::VP8_RTX),
            Self::Vp9 => (payload_type::VP9, payload_type::VP9_RTX),
            Self::H264 => (payload_type::H264, payload_type::H264_RTX),
            Self::Av1 => (payload_type::AV1, payload_type::AV1_RTX),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::H264 => "H264",
            Self::Av1 => "AV1",
        }
    }

    const fn format(self) -> Option<&'static str> {
        match self {
            Self::Vp8 => None,
            Self::Vp9 => Some("profile-id=0"),
            Self::H264 => Some("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
            Self::Av1 => Some("level-idx=5;profile=0;tier=0"),
        }
    }
}

/// SSRCs of a single encoding and its retransmissions, to be named in the offer.
pub(crate) struct NamedSource {
    pub(crate) ssrc: u32,
    pub(crate) rtx_ssrc: Option<u32>,
}

/// Writes the offer. `sources` are those of the sending sections without simulcast, by section.
pub(crate) fn write_offer(
    setup: &PeerSetup,
    version: u32,
    ice: &IceCredentials,
    fingerprint: &Fingerprint,
    sources: &[Option<NamedSource>],
) -> String {
    let mut sdp = String::with_capacity(1024 + 700 * setup.sections.len());
    let mut line = |text: std::fmt::Arguments<'_>| {
        // Writing to a string does not fail.
        let _ = sdp.write_fmt(text);
        sdp.push_str("\r\n");
    };
    line(format_args!("v=0\r\no=- 4611686018427387904 {version} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0"));
    let data_mid = setup.has_data.then_some("data");
    let mids: Vec<_> = setup.sections.iter().map(|it| it.mid.as_str()).chain(data_mid).collect();
    line(format_args!("a=group:BUNDLE {}", mids.join(" ")));
    line(format_args!("a=extmap-allow-mixed\r\na=msid-semantic: WMS"));
    let transport = |line: &mut dyn FnMut(std::fmt::Arguments<'_>)| {
        line(format_args!("c=IN IP4 0.0.0.0"));
        line(format_args!("a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=ice-options:trickle", ice.ufrag, ice.pwd));
        line(format_args!("a=fingerprint:{fingerprint}\r\na=setup:actpass"));
    };
    for (at, section) in setup.sections.iter().enumerate() {
        match section.kind {
            MediaKind::Audio => line(format_args!("m=audio 9 UDP/TLS/RTP/SAVPF {}", payload_type::OPUS)),
            MediaKind::Video => {
                let types: Vec<_> = setup
                    .video_codecs
                    .iter()
                    .flat_map(|codec| {
                        let (media, rtx) = codec.payload_types();
                        [Some(media), setup.has_retransmission.then_some(rtx)]
                    })
                    .flatten()
                    .map(|it| it.to_string())
                    .collect();
                line(format_args!("m=video 9 UDP/TLS/RTP/SAVPF {}", types.join(" ")));
            }
        }
        transport(&mut line);
        line(format_args!("a=mid:{}", section.mid));
        line(format_args!("a=extmap:{} urn:ietf:params:rtp-hdrext:sdes:mid", extension_id::MID));
        line(format_args!(
            "a=extmap:{} http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
            extension_id::TRANSPORT_SEQUENCE
        ));
        let direction = match section.direction {
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
        };
        line(format_args!("a={direction}\r\na=rtcp-mux\r\na=rtcp-rsize"));
        match section.kind {
            MediaKind::Audio => {
                line(format_args!(
                    "a=extmap:{} urn:ietf:params:rtp-hdrext:ssrc-audio-level",
                    extension_id::AUDIO_LEVEL
                ));
                let opus = payload_type::OPUS;
                line(format_args!(
                    "a=rtpmap:{opus} opus/48000/2\r\na=rtcp-fb:{opus} transport-cc\r\n\
                     a=fmtp:{opus} minptime=10;useinbandfec=1"
                ));
            }
            MediaKind::Video => {
                for codec in &setup.video_codecs {
                    let (media, rtx) = codec.payload_types();
                    line(format_args!("a=rtpmap:{media} {}/90000", codec.name()));
                    for feedback in ["goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"] {
                        line(format_args!("a=rtcp-fb:{media} {feedback}"));
                    }
                    if let Some(format) = codec.format() {
                        line(format_args!("a=fmtp:{media} {format}"));
                    }
                    if setup.has_retransmission {
                        line(format_args!("a=rtpmap:{rtx} rtx/90000\r\na=fmtp:{rtx} apt={media}"));
                    }
                }
            }
        }
        if section.direction == Direction::SendOnly {
            line(format_args!("a=msid:stream {}", section.mid));
            if !section.rids.is_empty() {
                line(format_args!(
                    "a=extmap:{} urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
                    extension_id::RID
                ));
                line(format_args!(
                    "a=extmap:{} urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
                    extension_id::REPAIRED_RID
                ));
                for rid in &section.rids {
                    line(format_args!("a=rid:{rid} send"));
                }
                line(format_args!("a=simulcast:send {}", section.rids.join(";")));
            } else if let Some(Some(source)) = sources.get(at) {
                if let Some(rtx) = source.rtx_ssrc {
                    line(format_args!("a=ssrc-group:FID {} {rtx}", source.ssrc));
                }
                for ssrc in [Some(source.ssrc), source.rtx_ssrc].into_iter().flatten() {
                    line(format_args!("a=ssrc:{ssrc} cname:peer"));
                }
            }
        }
    }
    if setup.has_data {
        line(format_args!("m=application 9 UDP/DTLS/SCTP webrtc-datachannel"));
        transport(&mut line);
        line(format_args!("a=mid:data\r\na=sctp-port:5000\r\na=max-message-size:262144"));
    }
    sdp
}
