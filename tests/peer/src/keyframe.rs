//! Recognises the first packet of a keyframe from its RTP payload.

use crate::VideoCodec;

/// Whether a payload begins a keyframe: VP8 RFC 7741 §4.2, VP9 RFC 9628 §4.2, AV1's N bit (AV1 RTP §4.4), H.264 SPS or a
/// STAP-A that holds one (RFC 6184 §5.7.1).
pub(crate) fn begins_keyframe(codec: VideoCodec, payload: &[u8]) -> bool {
    match codec {
        VideoCodec::Vp8 => begins_vp8_keyframe(payload).unwrap_or(false),
        // P = 0 (not inter-predicted) and B = 1 (start of a frame).
        VideoCodec::Vp9 => payload.first().is_some_and(|descriptor| descriptor & 0x48 == 0x08),
        VideoCodec::Av1 => payload.first().is_some_and(|header| header & 0x08 != 0),
        VideoCodec::H264 => begins_h264_keyframe(payload).unwrap_or(false),
    }
}

fn begins_vp8_keyframe(payload: &[u8]) -> Option<bool> {
    let descriptor = *payload.first()?;
    let mut at = 1;
    if descriptor & 0x80 != 0 {
        let extended = *payload.get(1)?;
        at = 2;
        if extended & 0x80 != 0 {
            at += if payload.get(at)? & 0x80 != 0 { 2 } else { 1 };
        }
        if extended & 0x40 != 0 {
            at += 1;
        }
        if extended & 0x30 != 0 {
            at += 1;
        }
    }
    let starts_partition_zero = descriptor & 0x10 != 0 && descriptor & 0x07 == 0;
    Some(starts_partition_zero && payload.get(at)? & 0x01 == 0)
}

fn begins_h264_keyframe(payload: &[u8]) -> Option<bool> {
    const SPS: u8 = 7;
    const STAP_A: u8 = 24;
    match payload.first()? & 0x1f {
        SPS => Some(true),
        STAP_A => {
            let mut rest = payload.get(1..)?;
            while rest.len() > 2 {
                let size = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
                if rest[2] & 0x1f == SPS {
                    return Some(true);
                }
                rest = rest.get(2 + size..)?;
            }
            Some(false)
        }
        _ => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vp8_with_and_without_a_picture_id() {
        assert!(begins_keyframe(VideoCodec::Vp8, &[0x10, 0x00]));
        assert!(begins_keyframe(VideoCodec::Vp8, &[0x90, 0x80, 0x81, 0x02, 0x00]));
        assert!(!begins_keyframe(VideoCodec::Vp8, &[0x90, 0x80, 0x81, 0x02, 0x01]));
        assert!(!begins_keyframe(VideoCodec::Vp8, &[0x80, 0x80, 0x81, 0x02, 0x00]));
        assert!(!begins_keyframe(VideoCodec::Vp8, &[0x90]));
    }

    #[test]
    fn h264_parameter_sets_alone_or_aggregated() {
        assert!(begins_keyframe(VideoCodec::H264, &[0x67, 0x42]));
        assert!(begins_keyframe(VideoCodec::H264, &[0x78, 0, 2, 0x09, 0x10, 0, 2, 0x67, 0x42]));
        assert!(!begins_keyframe(VideoCodec::H264, &[0x78, 0, 2, 0x09, 0x10]));
        assert!(!begins_keyframe(VideoCodec::H264, &[0x61]));
    }
}
