//! RTP header extensions that have a meaning here (RFC 8285).

/// A header extension this project knows by URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Extension {
    /// Media section of a packet (RFC 9143).
    Mid,
    /// Simulcast encoding of a packet (RFC 8852).
    Rid,
    /// Simulcast encoding that an RTX packet repairs (RFC 8852).
    Rrid,
    /// How loud this packet is (RFC 6464).
    AudioLevel,
    /// How the picture was held (3GPP TS 26.114).
    VideoOrientation,
    /// Send time, for REMB.
    AbsSendTime,
    /// Transport-wide sequence number, for TWCC feedback.
    TransportCc,
    /// How long a receiver should hold frames back.
    PlayoutDelay,
    /// AV1's dependency descriptor.
    DependencyDescriptor,
    /// Capture time in the capturer's clock.
    AbsCaptureTime,
}

impl Extension {
    const ALL: [Self; 10] = [
        Self::Mid,
        Self::Rid,
        Self::Rrid,
        Self::AudioLevel,
        Self::VideoOrientation,
        Self::AbsSendTime,
        Self::TransportCc,
        Self::PlayoutDelay,
        Self::DependencyDescriptor,
        Self::AbsCaptureTime,
    ];

    /// Its URI in `a=extmap`.
    pub fn uri(self) -> &'static str {
        match self {
            Self::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Self::Rid => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            Self::Rrid => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            Self::AudioLevel => "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            Self::VideoOrientation => "urn:3gpp:video-orientation",
            Self::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            Self::TransportCc => "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
            Self::PlayoutDelay => "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
            Self::DependencyDescriptor => {
                "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
            }
            Self::AbsCaptureTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
        }
    }

    /// The extension with this URI, if it is a known one.
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|extension| extension.uri() == uri)
    }
}

/// Which way an extension is used, from the offerer's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtensionDirection {
    /// Not said: as the media section.
    Inherited,
    /// `/sendrecv`.
    SendRecv,
    /// `/sendonly`: the offerer writes it.
    SendOnly,
    /// `/recvonly`: the offerer reads it.
    RecvOnly,
    /// `/inactive`.
    Inactive,
}

/// One `a=extmap` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedExtension {
    /// 1 to 255; 1 to 14 fit the one-byte header.
    pub id: u8,
    /// Direction, from the offerer's side.
    pub direction: ExtensionDirection,
    /// The URI.
    pub uri: String,
}

impl OfferedExtension {
    /// Reads what stands after `a=extmap:`.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let (id, uri) = (words.next()?, words.next()?);
        let (id, direction) = match id.split_once('/') {
            None => (id, ExtensionDirection::Inherited),
            Some((id, "sendrecv")) => (id, ExtensionDirection::SendRecv),
            Some((id, "sendonly")) => (id, ExtensionDirection::SendOnly),
            Some((id, "recvonly")) => (id, ExtensionDirection::RecvOnly),
            Some((id, "inactive")) => (id, ExtensionDirection::Inactive),
            Some(_) => return None,
        };
        let id = id.parse().ok().filter(|id| *id > 0)?;
        Some(Self { id, direction, uri: uri.to_owned() })
    }

    /// Suffix of the id in an answer: the mirror image of the offer's.
    pub(crate) fn answered_suffix(&self) -> &'static str {
        match self.direction {
            ExtensionDirection::Inherited => "",
            ExtensionDirection::SendRecv => "/sendrecv",
            ExtensionDirection::SendOnly => "/recvonly",
            ExtensionDirection::RecvOnly => "/sendonly",
            ExtensionDirection::Inactive => "/inactive",
        }
    }
}
