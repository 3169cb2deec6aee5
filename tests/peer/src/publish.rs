//! Publishing: a clip in a loop, in real time, as RTP.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use rtc::media_stream::MediaStreamTrack;
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use rtc::rtp;
use rtc::rtp::codec::av1::Av1Payloader;
use rtc::rtp::codec::h264::H264Payloader;
use rtc::rtp::codec::vp8::Vp8Payloader;
use rtc::rtp::codec::vp9::Vp9Payloader;
use rtc::rtp::packetizer::Payloader;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use tokio::time::{Duration, MissedTickBehavior};
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_local::{TrackLocal, TrackLocalEvent};
use webrtc::rtp_transceiver::RtpSender;

use crate::stats::{Ledger, PublicationStats};
use crate::{AudioClip, Loudness, PeerError, Publication, VideoClip, VideoCodec};

/// Payload bytes of one video packet: what fits into 1,200 bytes with header, extensions and the SRTP tag.
const VIDEO_PAYLOAD: usize = 1_100;
/// Length of one Opus packet.
const AUDIO_INTERVAL: Duration = Duration::from_millis(20);
/// Samples of one Opus packet.
const AUDIO_TICKS: u32 = 960;

/// A publication that has its track.
pub(crate) struct Outgoing {
    pub(crate) track: Arc<TrackLocalStaticRTP>,
    pub(crate) publication: Publication,
    pub(crate) ssrc: u32,
}

impl Outgoing {
    pub(crate) fn new(publication: Publication, stream: &str, number: usize) -> Self {
        let ssrc = rand::random::<u32>() | 1;
        let (kind, mime, clock_rate, channels) = match &publication {
            Publication::Audio { .. } => (RtpCodecKind::Audio, "audio/opus".to_owned(), 48_000, 2),
            Publication::Video { clip, .. } => {
                (RtpCodecKind::Video, format!("video/{}", clip.codec.name()), 90_000, 0)
            }
        };
        let track = MediaStreamTrack::new(
            stream.to_owned(),
            format!("{stream}-{number}"),
            format!("{:?}", publication.source()),
            kind,
            vec![RTCRtpEncodingParameters {
                rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() },
                codec: RTCRtpCodec { mime_type: mime, clock_rate, channels, ..Default::default() },
                active: true,
                ..Default::default()
            }],
        );
        Self { track: Arc::new(TrackLocalStaticRTP::new(track)), publication, ssrc }
    }

    pub(crate) fn stats(&self, mid: &str) -> PublicationStats {
        PublicationStats {
            mid: mid.to_owned(),
            track: None,
            source: self.publication.source(),
            codec: match &self.publication {
                Publication::Audio { .. } => "opus".to_owned(),
                Publication::Video { clip, .. } => clip.codec.name().to_owned(),
            },
            ssrc: self.ssrc,
            packets: 0,
            bytes: 0,
            frames: 0,
            keyframes: 0,
            keyframe_requests: 0,
            nacks: 0,
        }
    }

    /// Plays the clip until the connection is gone. To be called once it is connected: what is written earlier is lost.
    pub(crate) async fn play(
        self,
        sender: Arc<dyn RtpSender>,
        at: usize,
        ledger: Arc<Mutex<Ledger>>,
    ) -> Result<(), PeerError> {
        let parameters = sender.get_parameters().await?.rtp_parameters;
        let wanted = match &self.publication {
            Publication::Audio { .. } => "opus",
            Publication::Video { clip, .. } => clip.codec.name(),
        };
        let payload_type = parameters
            .codecs
            .iter()
            .find(|codec| {
                codec
                    .rtp_codec
                    .mime_type
                    .rsplit('/')
                    .next()
                    .is_some_and(|name| name.eq_ignore_ascii_case(wanted))
            })
            .map(|codec| codec.payload_type)
            .ok_or_else(|| PeerError::Unknown(format!("common codec {wanted}")))?;
        let level_id = parameters
            .header_extensions
            .iter()
            .find(|extension| extension.uri.ends_with(":ssrc-audio-level"))
            .and_then(|extension| u8::try_from(extension.id).ok());
        let wants_keyframe = Arc::new(AtomicBool::new(false));
        tokio::spawn(follow_feedback(
            Arc::clone(&self.track),
            at,
            Arc::clone(&wants_keyframe),
            Arc::clone(&ledger),
        ));
        let mut stream = Stream {
            track: self.track,
            at,
            ledger,
            header: rtp::Header {
                version: 2,
                payload_type,
                ssrc: self.ssrc,
                sequence_number: rand::random::<u16>() >> 1,
                timestamp: rand::random(),
                ..Default::default()
            },
        };
        match self.publication {
            Publication::Audio { clip, loudness, .. } => {
                stream.play_audio(&clip, loudness.zip(level_id)).await
            }
            Publication::Video { clip, .. } => stream.play_video(&clip, &wants_keyframe).await,
        }
    }
}

struct Stream {
    track: Arc<TrackLocalStaticRTP>,
    at: usize,
    ledger: Arc<Mutex<Ledger>>,
    header: rtp::Header,
}

impl Stream {
    async fn play_audio(&mut self, clip: &AudioClip, level: Option<(Loudness, u8)>) -> Result<(), PeerError> {
        let started = Instant::now();
        let mut ticks = ticker(AUDIO_INTERVAL);
        for packet in clip.packets.iter().cycle() {
            ticks.tick().await;
            if let Some((loudness, id)) = &level {
                let (level, is_voice) = loudness.at(started.elapsed());
                let value = level | if is_voice { 0x80 } else { 0 };
                self.header.set_extension(*id, Bytes::copy_from_slice(&[value]))?;
            }
            self.send(packet.clone(), false).await?;
            self.count(|stats| stats.frames += 1);
            self.header.timestamp = self.header.timestamp.wrapping_add(AUDIO_TICKS);
        }
        Ok(())
    }

    async fn play_video(&mut self, clip: &VideoClip, wants_keyframe: &AtomicBool) -> Result<(), PeerError> {
        let mut payloader: Box<dyn Payloader> = match clip.codec {
            VideoCodec::Vp8 => {
                let mut payloader = Vp8Payloader::default();
                payloader.enable_picture_id = true;
                Box::new(payloader)
            }
            VideoCodec::Vp9 => Box::new(Vp9Payloader::default()),
            VideoCodec::Av1 => Box::new(Av1Payloader::default()),
            VideoCodec::H264 => Box::new(H264Payloader::default()),
        };
        let step = (clip.frame_interval.as_secs_f64() * 90_000.0).round() as u32;
        let mut ticks = ticker(clip.frame_interval);
        let mut at = 0;
        loop {
            ticks.tick().await;
            if wants_keyframe.swap(false, Ordering::Relaxed) {
                at = clip.keyframe_from(at);
            }
            let Some(frame) = clip.frames.get(at) else { return Ok(()) };
            let payloads = payloader.payload(VIDEO_PAYLOAD, &frame.data)?;
            let last = payloads.len().saturating_sub(1);
            for (number, payload) in payloads.into_iter().enumerate() {
                self.send(payload, number == last).await?;
            }
            self.count(|stats| {
                stats.frames += 1;
                stats.keyframes += u64::from(frame.is_keyframe);
            });
            self.header.timestamp = self.header.timestamp.wrapping_add(step);
            at = (at + 1) % clip.frames.len();
        }
    }

    async fn send(&mut self, payload: Bytes, marker: bool) -> Result<(), PeerError> {
        let bytes = payload.len() as u64;
        let mut header = self.header.clone();
        header.marker = marker;
        self.track.write_rtp(rtp::Packet { header, payload }).await?;
        self.header.sequence_number = self.header.sequence_number.wrapping_add(1);
        self.count(|stats| {
            stats.packets += 1;
            stats.bytes += bytes;
        });
        Ok(())
    }

    fn count(&self, change: impl FnOnce(&mut PublicationStats)) {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stats) = ledger.stats.publications.get_mut(self.at) {
            change(stats);
        }
    }
}

fn ticker(interval: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    ticks
}

/// Counts RTCP about a track and passes keyframe requests on.
async fn follow_feedback(
    track: Arc<TrackLocalStaticRTP>,
    at: usize,
    wants_keyframe: Arc<AtomicBool>,
    ledger: Arc<Mutex<Ledger>>,
) {
    while let Some(event) = track.poll().await {
        let TrackLocalEvent::OnRtcpPacket(packets) = event else { continue };
        for packet in packets {
            let packet = packet.as_any();
            let is_keyframe_request = packet.is::<PictureLossIndication>() || packet.is::<FullIntraRequest>();
            if is_keyframe_request {
                wants_keyframe.store(true, Ordering::Relaxed);
            }
            let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(stats) = ledger.stats.publications.get_mut(at) {
                stats.keyframe_requests += u64::from(is_keyframe_request);
                stats.nacks += u64::from(packet.is::<TransportLayerNack>());
            }
        }
    }
}
