//! The peer connection: codecs, header extensions, interceptors, and its events.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rtc::interceptor::{Attribute, Interceptor, Packet, Slot, StreamInfo, TaggedPacket};
use rtc::peer_connection::configuration::media_engine::{
    MIME_TYPE_AV1, MIME_TYPE_H264, MIME_TYPE_OPUS, MIME_TYPE_VP8, MIME_TYPE_VP9,
};
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use rtc::sansio::Protocol;
use tokio::sync::watch;
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
    RTCPeerConnectionState, Registry, configure_nack, configure_rtcp_reports, configure_twcc,
};

use crate::PeerError;
use crate::receive;
use crate::stats::{ConnectionState, Ledger};

/// RFC 6464.
const AUDIO_LEVEL_URI: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
/// RFC 8843 §15.
const MID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";

/// The codecs a peer offers, the preferred first.
const VIDEO_CODECS: &[(&str, u8, &str)] = &[
    (MIME_TYPE_VP8, 96, ""),
    (MIME_TYPE_VP9, 98, "profile-id=0"),
    (MIME_TYPE_H264, 102, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
    (MIME_TYPE_AV1, 45, "profile=0;level-idx=5;tier=0"),
];

/// Makes a connection. Its transport state goes to `state`, what it receives to `ledger`.
pub(crate) async fn open(
    bind: IpAddr,
    over_tcp: bool,
    offers_levels: bool,
    state: watch::Sender<ConnectionState>,
    ledger: Arc<Mutex<Ledger>>,
) -> Result<Arc<dyn PeerConnection>, PeerError> {
    let mut engine = MediaEngine::default();
    engine.register_codec(
        codec(MIME_TYPE_OPUS, 111, 48_000, 2, "minptime=10;useinbandfec=1"),
        RtpCodecKind::Audio,
    )?;
    for (mime, payload_type, fmtp) in VIDEO_CODECS {
        let mut video = codec(mime, *payload_type, 90_000, 0, fmtp);
        video.rtp_codec.rtcp_feedback =
            vec![RTCPFeedback { typ: "ccm".to_owned(), parameter: "fir".to_owned() }];
        engine.register_codec(video, RtpCodecKind::Video)?;
    }
    if offers_levels {
        let uri = AUDIO_LEVEL_URI.to_owned();
        engine.register_header_extension(
            RTCRtpHeaderExtensionCapability { uri },
            RtpCodecKind::Audio,
            None,
        )?;
    }
    for kind in [RtpCodecKind::Audio, RtpCodecKind::Video] {
        let uri = MID_URI.to_owned();
        engine.register_header_extension(RTCRtpHeaderExtensionCapability { uri }, kind, None)?;
    }
    let registry = configure_nack(Registry::new(), &mut engine);
    let registry = configure_twcc(configure_rtcp_reports(registry), &mut engine)?;
    let registry = registry.with(Slot::from(14_000), FeedbackToApplication::default());

    let builder = PeerConnectionBuilder::new();
    let address = vec![(bind, 0)];
    let builder = if over_tcp { builder.with_tcp_addrs(address) } else { builder.with_udp_addrs(address) };
    let connection = builder
        .with_configuration(RTCConfigurationBuilder::new().build())
        .with_media_engine(engine)
        .with_interceptor_registry(registry)
        .with_handler(Arc::new(Handler { state, ledger }))
        .build()
        .await?;
    Ok(Arc::new(connection))
}

fn codec(mime: &str, payload_type: u8, clock_rate: u32, channels: u16, fmtp: &str) -> RTCRtpCodecParameters {
    RTCRtpCodecParameters {
        rtp_codec: RTCRtpCodec {
            mime_type: mime.to_owned(),
            clock_rate,
            channels,
            sdp_fmtp_line: fmtp.to_owned(),
            rtcp_feedback: Vec::new(),
        },
        payload_type,
    }
}

struct Handler {
    state: watch::Sender<ConnectionState>,
    ledger: Arc<Mutex<Ledger>>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let state = match state {
            RTCPeerConnectionState::Connecting => ConnectionState::Connecting,
            RTCPeerConnectionState::Connected => ConnectionState::Connected,
            RTCPeerConnectionState::Disconnected => ConnectionState::Disconnected,
            RTCPeerConnectionState::Failed => ConnectionState::Failed,
            RTCPeerConnectionState::Closed => ConnectionState::Closed,
            _ => ConnectionState::New,
        };
        self.state.send_replace(state);
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        tokio::spawn(receive::follow(track, Arc::clone(&self.ledger)));
    }
}

/// Lets RTCP through to the tracks, which the stack otherwise keeps to itself: the publisher must see keyframe requests.
#[derive(Default)]
struct FeedbackToApplication {
    incoming: VecDeque<TaggedPacket>,
    outgoing: VecDeque<TaggedPacket>,
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for FeedbackToApplication {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = webrtc::error::Error;
    type Time = Instant;

    fn handle_read(&mut self, mut message: TaggedPacket) -> Result<(), Self::Error> {
        if matches!(message.message.packet, Packet::Rtcp(_)) {
            message.message.add(Attribute::DeliverToApplication);
        }
        self.incoming.push_back(message);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<Self::Rout> {
        self.incoming.pop_front()
    }

    fn handle_write(&mut self, message: TaggedPacket) -> Result<(), Self::Error> {
        self.outgoing.push_back(message);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<Self::Wout> {
        self.outgoing.pop_front()
    }
}

impl Interceptor for FeedbackToApplication {
    fn bind_local_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _info: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}
