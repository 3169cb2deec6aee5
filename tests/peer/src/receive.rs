//! Receiving: every packet of a track goes into the ledger.

use std::sync::{Arc, Mutex, PoisonError};

use patchbay_protocol::MediaKind;
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};

use crate::stats::{Ledger, Received};

/// The payload types that a peer offers, by its own numbers.
fn codec_of(payload_type: u8) -> Option<&'static str> {
    match payload_type {
        45 => Some("video/AV1"),
        96 => Some("video/VP8"),
        98 => Some("video/VP9"),
        102 => Some("video/H264"),
        111 => Some("audio/opus"),
        _ => None,
    }
}

/// Counts what a track brings, until it ends.
pub(crate) async fn follow(track: Arc<dyn TrackRemote>, ledger: Arc<Mutex<Ledger>>) {
    let kind = match track.kind().await {
        RtpCodecKind::Audio => MediaKind::Audio,
        _ => MediaKind::Video,
    };
    while let Some(event) = track.poll().await {
        let TrackRemoteEvent::OnRtpPacket(packet) = event else { continue };
        let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(slot) = ledger.slot_of_ssrc(packet.header.ssrc, kind) else { continue };
        ledger.receive(
            slot,
            &Received {
                sequence: packet.header.sequence_number,
                timestamp: packet.header.timestamp,
                marker: packet.header.marker,
                csrc: packet.header.csrc.first().copied(),
                codec: codec_of(packet.header.payload_type),
                payload: &packet.payload,
            },
        );
    }
}
