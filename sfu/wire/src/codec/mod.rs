//! What the SFU must know about payloads: where a keyframe starts, and what to rewrite when a slot's source changes.
//!
//! Nothing here decodes media; only payload descriptors and the first bytes after them are read.
mod av1;
mod h264;
mod vp8;
mod vp9;

pub use av1::Av1Descriptor;
pub use vp8::{PictureId, Vp8Descriptor, Vp8Rewrite, Vp8TemporalLayer};
pub use vp9::{Vp9Descriptor, Vp9Layer};

/// How the payload of a track is packed into RTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PayloadFormat {
    /// Opus (RFC 7587).
    Opus,
    /// VP8 (RFC 7741).
    Vp8,
    /// VP9 (RFC 9628).
    Vp9,
    /// H.264 (RFC 6184).
    H264,
    /// AV1 (AOM's RTP payload format 1.0).
    Av1,
    /// Anything else, RED included: forwarded unread.
    Other,
}

impl PayloadFormat {
    /// The format with this encoding name in SDP's `a=rtpmap`, in any case (RFC 4855 §3).
    #[must_use]
    pub fn from_encoding_name(name: &str) -> Self {
        const NAMES: [(&str, PayloadFormat); 5] = [
            ("opus", PayloadFormat::Opus),
            ("VP8", PayloadFormat::Vp8),
            ("VP9", PayloadFormat::Vp9),
            ("H264", PayloadFormat::H264),
            ("AV1", PayloadFormat::Av1),
        ];
        NAMES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map_or(Self::Other, |(_, format)| *format)
    }

    /// True for formats whose packets depend on a keyframe before them.
    #[inline]
    #[must_use]
    pub const fn has_keyframes(self) -> bool {
        matches!(self, Self::Vp8 | Self::Vp9 | Self::H264 | Self::Av1)
    }

    /// True if a decoder can start at this packet: it is the first of a keyframe. Formats without keyframes can be
    /// started anywhere. False for a payload that cannot be parsed.
    #[inline]
    #[must_use]
    pub fn is_keyframe_start(self, payload: &[u8]) -> bool {
        match self {
            Self::Vp8 => Vp8Descriptor::parse(payload).is_some_and(|descriptor| descriptor.is_keyframe_start),
            Self::Vp9 => {
                Vp9Descriptor::parse(payload).is_some_and(|descriptor| descriptor.is_keyframe_start())
            }
            Self::H264 => h264::is_keyframe_start(payload),
            Self::Av1 => {
                Av1Descriptor::parse(payload).is_some_and(|descriptor| descriptor.is_keyframe_start())
            }
            Self::Opus | Self::Other => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_names_ignore_case() {
        assert_eq!(PayloadFormat::from_encoding_name("vp8"), PayloadFormat::Vp8);
        assert_eq!(PayloadFormat::from_encoding_name("OPUS"), PayloadFormat::Opus);
        assert_eq!(PayloadFormat::from_encoding_name("red"), PayloadFormat::Other);
    }

    #[test]
    fn empty_payloads_start_nothing_that_has_keyframes() {
        for format in [PayloadFormat::Vp8, PayloadFormat::Vp9, PayloadFormat::H264, PayloadFormat::Av1] {
            assert!(format.has_keyframes());
            assert!(!format.is_keyframe_start(&[]));
        }
        for format in [PayloadFormat::Opus, PayloadFormat::Other] {
            assert!(!format.has_keyframes());
            assert!(format.is_keyframe_start(&[]));
        }
    }
}
