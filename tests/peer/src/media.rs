//! Encoded media to publish: what comes with the crate, and IVF and Ogg files.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::PeerError;

/// A video codec that a clip can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    /// RFC 6386.
    Vp8,
    /// VP9.
    Vp9,
    /// AV1.
    Av1,
    /// ITU-T H.264.
    H264,
}

impl VideoCodec {
    /// The name as it stands in SDP.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Av1 => "AV1",
            Self::H264 => "H264",
        }
    }

    /// The codec of a MIME type such as `video/VP8`.
    pub fn from_mime(mime: &str) -> Option<Self> {
        [Self::Vp8, Self::Vp9, Self::Av1, Self::H264]
            .into_iter()
            .find(|codec| mime.rsplit('/').next().is_some_and(|name| name.eq_ignore_ascii_case(codec.name())))
    }
}

/// One encoded picture.
#[derive(Debug, Clone)]
pub struct VideoFrame {
    /// The bitstream.
    pub data: Bytes,
    /// Whether decoding can start here.
    pub is_keyframe: bool,
}

/// A video that is played in a loop.
#[derive(Debug, Clone)]
pub struct VideoClip {
    /// How it is encoded.
    pub codec: VideoCodec,
    /// The time from one frame to the next.
    pub frame_interval: Duration,
    /// The frames; the first is a keyframe.
    pub frames: Arc<[VideoFrame]>,
}

impl VideoClip {
    /// Reads an IVF file: a header of 32 bytes, and 12 bytes before each frame.
    pub fn from_ivf(name: &str, file: &[u8]) -> Result<Self, PeerError> {
        let broken = |reason: &str| PeerError::Media { path: name.to_owned(), reason: reason.to_owned() };
        let header = file.get(..32).ok_or_else(|| broken("shorter than a header"))?;
        if &header[..4] != b"DKIF" {
            return Err(broken("not an IVF file"));
        }
        let codec = match &header[8..12] {
            b"VP80" => VideoCodec::Vp8,
            b"VP90" => VideoCodec::Vp9,
            b"AV01" => VideoCodec::Av1,
            _ => return Err(broken("neither VP8 nor VP9 nor AV1")),
        };
        let (rate, scale) = (little_endian(&header[16..20]), little_endian(&header[20..24]));
        if rate == 0 || scale == 0 {
            return Err(broken("no frame rate"));
        }
        let mut frames = Vec::new();
        let mut rest = &file[32..];
        while rest.len() > 12 {
            let size = little_endian(&rest[..4]) as usize;
            let data = rest.get(12..12 + size).ok_or_else(|| broken("cut off"))?;
            let is_keyframe = is_keyframe(codec, data);
            if !frames.is_empty() || is_keyframe {
                frames.push(VideoFrame { data: Bytes::copy_from_slice(data), is_keyframe });
            }
            rest = &rest[12 + size..];
        }
        if frames.is_empty() {
            return Err(broken("no keyframe"));
        }
        let frame_interval = Duration::from_secs_f64(f64::from(scale) / f64::from(rate));
        Ok(Self { codec, frame_interval, frames: frames.into() })
    }

    /// The index of the first keyframe at or after `index`, going round.
    pub(crate) fn keyframe_from(&self, index: usize) -> usize {
        let count = self.frames.len();
        (index..index + count).map(|at| at % count).find(|at| self.frames[*at].is_keyframe).unwrap_or(0)
    }
}

/// Opus packets of 20 ms each, played in a loop.
#[derive(Debug, Clone)]
pub struct AudioClip {
    /// The packets.
    pub packets: Arc<[Bytes]>,
}

impl AudioClip {
    /// Reads an Ogg Opus file (RFC 7845) whose packets are 20 ms long.
    pub fn from_ogg(name: &str, file: &[u8]) -> Result<Self, PeerError> {
        let broken = |reason: &str| PeerError::Media { path: name.to_owned(), reason: reason.to_owned() };
        let mut packets: Vec<Bytes> = Vec::new();
        let mut packet = Vec::new();
        let mut rest = file;
        while !rest.is_empty() {
            if rest.len() < 27 || &rest[..4] != b"OggS" {
                return Err(broken("not an Ogg file"));
            }
            let segments = usize::from(rest[26]);
            let table = rest.get(27..27 + segments).ok_or_else(|| broken("cut off"))?;
            let mut at = 27 + segments;
            for size in table.iter().map(|size| usize::from(*size)) {
                packet.extend_from_slice(rest.get(at..at + size).ok_or_else(|| broken("cut off"))?);
                at += size;
                if size < 255 {
                    packets.push(Bytes::from(std::mem::take(&mut packet)));
                }
            }
            rest = &rest[at..];
        }
        // The first two packets are headers.
        if !packets.first().is_some_and(|head| head.starts_with(b"OpusHead")) || packets.len() < 3 {
            return Err(broken("no Opus in it"));
        }
        Ok(Self { packets: packets.split_off(2).into() })
    }

    /// A second of a 440 Hz tone.
    pub fn tone() -> Result<Self, PeerError> {
        Self::from_ogg("tone.ogg", include_bytes!("../media/tone.ogg"))
    }
}

fn little_endian(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |value, byte| (value << 8) | u32::from(*byte))
}

/// Whether an encoded frame is a keyframe, by its own header.
fn is_keyframe(codec: VideoCodec, frame: &[u8]) -> bool {
    let Some(first) = frame.first().copied() else { return false };
    match codec {
        VideoCodec::Vp8 => first & 0x01 == 0,
        // Frame marker 10, profile below 3, show_existing_frame 0, frame_type 0.
        VideoCodec::Vp9 => first & 0x0c == 0,
        // A sequence header travels with every keyframe; a temporal delimiter comes first.
        VideoCodec::Av1 => frame.get(2).is_some_and(|header| header >> 3 == 1),
        VideoCodec::H264 => first & 0x1f == 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Picture;

    #[test]
    fn the_clips_that_come_with_the_crate_can_be_read() {
        for picture in Picture::ALL {
            let clip = picture.clip().unwrap();
            assert!(clip.frames[0].is_keyframe);
            assert_eq!(clip.keyframe_from(1), if *picture == Picture::Ball { 15 } else { 0 });
            assert_eq!(clip.frame_interval.as_millis(), 33);
        }
        assert!((45..=55).contains(&AudioClip::tone().unwrap().packets.len()));
    }

    #[test]
    fn broken_files_are_refused() {
        let tone = include_bytes!("../media/tone.ogg");
        assert!(AudioClip::from_ogg("cut", &tone[..1000]).is_err());
        assert!(AudioClip::from_ogg("other", b"RIFF").is_err());
        assert!(VideoClip::from_ivf("other", b"RIFF").is_err());
        assert!(VideoClip::from_ivf("cut", &include_bytes!("../media/ball.ivf")[..100]).is_err());
    }
}
