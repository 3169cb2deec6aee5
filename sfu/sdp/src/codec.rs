//! Codecs: what is offered, what it means, and which negotiated codec can carry which.

use crate::id::PayloadType;

/// One payload type of an offer, with what its `rtpmap`, `fmtp` and `rtcp-fb` lines say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedCodec {
    /// RTP payload type.
    pub payload_type: PayloadType,
    /// Encoding name as offered; compare without case.
    pub name: String,
    /// RTP clock rate in hertz.
    pub clock_rate: u32,
    /// Channels of an audio codec; 1 if not said.
    pub channels: u8,
    /// Format parameters; empty if there are none.
    pub format: FormatParameters,
    /// Feedback the offerer can give and take, `*` lines included.
    pub feedback: Vec<Feedback>,
}

impl OfferedCodec {
    /// What the codec is, if it is one that is forwarded here.
    pub fn codec(&self) -> Option<Codec> {
        let kind = CodecKind::from_name(&self.name)?;
        if self.clock_rate != kind.clock_rate() {
            return None;
        }
        match kind {
            CodecKind::Opus if self.channels != 2 => None,
            CodecKind::Opus => Some(Codec::Opus),
            CodecKind::Red => Some(Codec::Red),
            CodecKind::Vp8 => Some(Codec::Vp8),
            CodecKind::Vp9 => Some(Codec::Vp9 { profile: self.format.number("profile-id")?.unwrap_or(0) }),
            CodecKind::Av1 => Some(Codec::Av1 { profile: self.format.number("profile")?.unwrap_or(0) }),
            CodecKind::H264 => {
                let profile_level_id = match self.format.value("profile-level-id") {
                    // RFC 6184, section 8.1: Baseline at level 1 if absent.
                    None => 0x42_00_0a,
                    Some(text) if text.len() == 6 => u32::from_str_radix(text, 16).ok()?,
                    Some(_) => return None,
                };
                Some(Codec::H264 {
                    profile: H264Profile::from_profile_level_id(profile_level_id)?,
                    profile_level_id,
                    packetization_mode: self.format.number("packetization-mode")?.unwrap_or(0),
                })
            }
        }
    }

    /// The payload type an RTX codec repairs.
    pub(crate) fn apt(&self) -> Option<PayloadType> {
        let is_rtx = self.name.eq_ignore_ascii_case("rtx");
        is_rtx.then(|| self.format.value("apt").and_then(PayloadType::parse)).flatten()
    }
}

/// What stands after the payload type in `a=fmtp`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FormatParameters(pub(crate) String);

impl FormatParameters {
    /// The parameters as they were written, such as `minptime=10;useinbandfec=1`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a parameter; names are compared without case.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.pairs().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// A small number; `None` if it is there and is not one.
    fn number(&self, name: &str) -> Option<Option<u8>> {
        match self.value(name) {
            None => Some(None),
            Some(text) => text.parse().ok().map(Some),
        }
    }

    /// The parameters an answer repeats: all but those that describe the offerer alone, the limits of its decoder
    /// (RFC 7741, section 6.1) and what its encoder sends (`sprop-…`).
    pub(crate) fn answered(&self) -> Self {
        let is_own = |part: &&str| {
            let name = part.split('=').next().map_or("", str::trim);
            !matches!(name, "max-fs" | "max-fr") && !name.starts_with("sprop-")
        };
        let parts = self.0.split(';').map(str::trim).filter(|part| !part.is_empty());
        Self(parts.filter(is_own).collect::<Vec<_>>().join(";"))
    }

    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.split(';').map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            (key.trim(), value.trim())
        })
    }
}

/// A kind of RTCP feedback (RFC 4585, RFC 5104) that this project knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feedback {
    /// `nack`: missing packets are named.
    Nack,
    /// `nack pli`: a keyframe can be asked for.
    Pli,
    /// `ccm fir`: the same, older.
    Fir,
    /// `goog-remb`: the receiver estimates bandwidth.
    Remb,
    /// `transport-cc`: the receiver reports every packet's arrival.
    TransportCc,
}

impl Feedback {
    /// Its text after the payload type in `a=rtcp-fb`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nack => "nack",
            Self::Pli => "nack pli",
            Self::Fir => "ccm fir",
            Self::Remb => "goog-remb",
            Self::TransportCc => "transport-cc",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Nack, Self::Pli, Self::Fir, Self::Remb, Self::TransportCc]
            .into_iter()
            .find(|feedback| feedback.as_str() == text.trim())
    }
}

/// A codec by name, as policies speak of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CodecKind {
    /// Opus (RFC 7587).
    Opus,
    /// Redundant audio, around Opus (RFC 2198).
    Red,
    /// VP8 (RFC 7741).
    Vp8,
    /// VP9 (RFC 9628).
    Vp9,
    /// H.264 (RFC 6184).
    H264,
    /// AV1.
    Av1,
}

impl CodecKind {
    const ALL: [Self; 6] = [Self::Opus, Self::Red, Self::Vp8, Self::Vp9, Self::H264, Self::Av1];

    /// Encoding name in `a=rtpmap`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::Red => "red",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::H264 => "H264",
            Self::Av1 => "AV1",
        }
    }

    /// The codec with this encoding name, without case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }

    /// Whether it carries sound.
    pub fn is_audio(self) -> bool {
        matches!(self, Self::Opus | Self::Red)
    }

    /// RTP clock rate in hertz. Redundancy around video is not forwarded, so RED has Opus's.
    pub fn clock_rate(self) -> u32 {
        if self.is_audio() { 48_000 } else { 90_000 }
    }
}

/// A codec with the parameters that decide whether a decoder can take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Opus at 48 kHz.
    Opus,
    /// Redundant audio around Opus.
    Red,
    /// VP8.
    Vp8,
    /// VP9.
    Vp9 {
        /// 0 to 3; 0 if the description does not say.
        profile: u8,
    },
    /// H.264.
    H264 {
        /// The profile that `profile_level_id` stands for.
        profile: H264Profile,
        /// The three bytes as offered, level included.
        profile_level_id: u32,
        /// 0, single NAL units, or 1, with aggregation and fragmentation.
        packetization_mode: u8,
    },
    /// AV1.
    Av1 {
        /// 0 to 2; 0 if the description does not say.
        profile: u8,
    },
}

impl Codec {
    /// The codec's name without its parameters.
    pub fn kind(self) -> CodecKind {
        match self {
            Self::Opus => CodecKind::Opus,
            Self::Red => CodecKind::Red,
            Self::Vp8 => CodecKind::Vp8,
            Self::Vp9 { .. } => CodecKind::Vp9,
            Self::H264 { .. } => CodecKind::H264,
            Self::Av1 { .. } => CodecKind::Av1,
        }
    }

    /// Whether a decoder negotiated as `self` takes a stream negotiated as `source`.
    ///
    /// VP9 and AV1 profiles must be equal; an H.264 profile must contain the source's, with the same packetization
    /// mode. Levels are not compared: browsers name 3.1 and decode far beyond it.
    pub fn carries(self, source: Self) -> bool {
        match (self, source) {
            (
                Self::H264 { profile, packetization_mode, .. },
                Self::H264 { profile: source_profile, packetization_mode: source_mode, .. },
            ) => packetization_mode == source_mode && profile.contains(source_profile),
            _ => self == source,
        }
    }

    /// Whether both are the same, H.264 levels aside.
    pub(crate) fn is_same(self, other: Self) -> bool {
        match (self, other) {
            (Self::H264 { profile: a, .. }, Self::H264 { profile: b, .. }) => a == b && self.carries(other),
            _ => self == other,
        }
    }
}

/// An H.264 profile as WebRTC uses it (RFC 6184, table 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum H264Profile {
    /// Every decoder has it.
    ConstrainedBaseline,
    /// With slice groups and redundant slices.
    Baseline,
    /// With B frames and CABAC.
    Main,
    /// High without interlacing and B frames.
    ConstrainedHigh,
    /// With 8×8 transforms.
    High,
    /// High with 4:4:4.
    PredictiveHigh444,
}

impl H264Profile {
    /// The profile of a `profile-level-id`; `None` for those that WebRTC has no use for.
    pub fn from_profile_level_id(profile_level_id: u32) -> Option<Self> {
        let [_, profile_idc, constraints, _] = profile_level_id.to_be_bytes();
        let set = |bit: u8| constraints & (0x80 >> bit) != 0;
        if constraints & 0x0f != 0 && !(profile_idc == 0x64 && constraints == 0x0c) {
            return None;
        }
        match profile_idc {
            0x42 if set(1) => Some(Self::ConstrainedBaseline),
            0x4d if set(0) => Some(Self::ConstrainedBaseline),
            0x58 if set(0) && set(1) => Some(Self::ConstrainedBaseline),
            0x42 => Some(Self::Baseline),
            0x58 if set(0) => Some(Self::Baseline),
            0x4d => Some(Self::Main),
            0x64 if constraints == 0x0c => Some(Self::ConstrainedHigh),
            0x64 => Some(Self::High),
            0xf4 => Some(Self::PredictiveHigh444),
            _ => None,
        }
    }

    /// Whether a decoder of this profile takes streams of `other`.
    pub fn contains(self, other: Self) -> bool {
        use H264Profile::{Baseline, ConstrainedBaseline, ConstrainedHigh, High, Main};
        self == other
            || matches!(
                (self, other),
                (Baseline | Main | ConstrainedHigh | High, ConstrainedBaseline)
                    | (High, ConstrainedHigh | Main)
            )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn h264(profile_level_id: u32, packetization_mode: u8) -> Codec {
        let profile = H264Profile::from_profile_level_id(profile_level_id).unwrap();
        Codec::H264 { profile, profile_level_id, packetization_mode }
    }

    #[test]
    fn h264_profiles_of_browsers() {
        for (id, profile) in [
            (0x42001f, H264Profile::Baseline),
            (0x42e01f, H264Profile::ConstrainedBaseline),
            (0x42c02a, H264Profile::ConstrainedBaseline),
            (0x4d001f, H264Profile::Main),
            (0x64001f, H264Profile::High),
            (0x640c1f, H264Profile::ConstrainedHigh),
            (0xf4001f, H264Profile::PredictiveHigh444),
        ] {
            assert_eq!(H264Profile::from_profile_level_id(id), Some(profile), "{id:06x}");
        }
        assert_eq!(H264Profile::from_profile_level_id(0x000000), None);
    }

    #[test]
    fn decoders_and_sources() {
        assert!(h264(0x64001f, 1).carries(h264(0x42e034, 1)));
        assert!(!h264(0x42e01f, 1).carries(h264(0x64001f, 1)));
        assert!(!h264(0x42e01f, 0).carries(h264(0x42e01f, 1)));
        assert!(Codec::Vp9 { profile: 0 }.carries(Codec::Vp9 { profile: 0 }));
        assert!(!Codec::Vp9 { profile: 0 }.carries(Codec::Vp9 { profile: 2 }));
        assert!(!Codec::Vp8.carries(Codec::Vp9 { profile: 0 }));
    }

    #[test]
    fn parameters() {
        let format = FormatParameters("max-fs=12288; Profile-ID=2;max-fr=60".into());
        assert_eq!(format.value("profile-id"), Some("2"));
        assert_eq!(format.answered().as_str(), "Profile-ID=2");
        assert_eq!(FormatParameters("111/111".into()).answered().as_str(), "111/111");
    }
}
