//! A client's offer, understood.

mod parse;
mod section;

use crate::candidate::Candidate;
use crate::codec::OfferedCodec;
use crate::error::{Limits, Refusal, SdpError};
use crate::extension::OfferedExtension;
use crate::id::{Mid, Msid, Rid, Ssrc};
use crate::security::{DtlsRole, Fingerprint, IceCredentials, Setup};

/// A parsed offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Credentials of the one transport: those of the section that the BUNDLE group names first, else the session's.
    pub ice: IceCredentials,
    /// Whether the offerer is ICE-lite (`a=ice-lite`). Two lite agents can't connect.
    pub ice_lite: bool,
    /// Whether the offerer sends further candidates later (`a=ice-options:trickle`).
    pub ice_trickle: bool,
    /// Fingerprints of the offerer's certificate, at least one.
    pub fingerprints: Vec<Fingerprint>,
    /// Who may start DTLS.
    pub setup: Setup,
    /// Mids of the BUNDLE group in its order; empty if there is none.
    pub bundle: Vec<Mid>,
    /// Whether one- and two-byte header extensions may be mixed (RFC 8285, section 6).
    pub extmap_allow_mixed: bool,
    /// The media sections in order.
    pub sections: Vec<OfferedSection>,
}

impl Offer {
    /// Reads an offer.
    ///
    /// What matters to the session as a whole must be well-formed; of the rest, lines that cannot be read are skipped,
    /// as are attributes that nobody here knows (RFC 8866, section 5.13).
    ///
    /// # Errors
    /// Any of [`SdpError`] but [`SdpError::Choice`] and [`SdpError::UnsafeText`]; they name the line.
    pub fn parse(text: &str, limits: &Limits) -> Result<Self, SdpError> {
        parse::offer(text, limits)
    }

    /// The answerer's part in DTLS: server, unless the offerer insists on being it.
    ///
    /// # Errors
    /// [`SdpError::HoldConnection`].
    pub fn dtls_role(&self) -> Result<DtlsRole, SdpError> {
        match self.setup {
            Setup::ActPass | Setup::Active => Ok(DtlsRole::Server),
            Setup::Passive => Ok(DtlsRole::Client),
            Setup::HoldConn => Err(SdpError::HoldConnection),
        }
    }

    /// The section with this mid, and its index.
    pub fn section(&self, mid: &Mid) -> Option<(usize, &OfferedSection)> {
        self.sections.iter().enumerate().find(|(_, section)| section.mid.as_ref() == Some(mid))
    }

    /// All candidates of the offer. Sections share one transport, so it does not matter where they stood.
    pub fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.sections.iter().flat_map(|section| &section.candidates)
    }
}

/// What a media section carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaKind {
    /// `m=audio`.
    Audio,
    /// `m=video`.
    Video,
    /// `m=application`, and anything else.
    Application,
}

/// Direction of a media section, from the side of whoever wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Both ways; also what a section without a direction means.
    SendRecv,
    /// The writer only sends.
    SendOnly,
    /// The writer only receives.
    RecvOnly,
    /// Nothing flows.
    Inactive,
}

impl Direction {
    /// From its two halves.
    pub fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Whether the writer sends.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the writer receives.
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// Name of the attribute.
    pub fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive]
            .into_iter()
            .find(|direction| direction.name() == name)
    }
}

/// One media section of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedSection {
    /// Its mid. Only a stopped section may lack one.
    pub mid: Option<Mid>,
    /// What it carries.
    pub kind: MediaKind,
    /// The first word of its `m=` line.
    pub media: String,
    /// The third word of its `m=` line, such as `UDP/TLS/RTP/SAVPF`.
    pub protocol: String,
    /// The first format of its `m=` line, repeated in a refusal.
    pub first_format: String,
    /// Direction, from the offerer's side.
    pub direction: Direction,
    /// Why it can only be answered with port 0, whatever the caller chooses.
    ///
    /// Port 0 alone is no reason: Firefox writes it into all sections of the BUNDLE group but the first.
    pub refusal: Option<Refusal>,
    /// Payload types in the order of preference.
    pub codecs: Vec<OfferedCodec>,
    /// Header extensions, those of the session included.
    pub extensions: Vec<OfferedExtension>,
    /// Streams that were declared by SSRC. A simulcast offer declares none.
    pub sources: Vec<OfferedSource>,
    /// Stream and track id.
    pub msid: Option<Msid>,
    /// Encodings the offerer wants to send, in the order of `a=simulcast`.
    pub rids: Vec<OfferedRid>,
    /// Whether RTCP shares the port (RFC 5761).
    pub rtcp_mux: bool,
    /// Whether reduced-size RTCP is understood (RFC 5506).
    pub rtcp_rsize: bool,
    /// Port of the SCTP association (RFC 8841); data only.
    pub sctp_port: Option<u16>,
    /// Largest data message the offerer takes, in bytes (RFC 8841): 64 KiB if not said, 0 for any; data only.
    pub max_message_size: Option<u64>,
    /// Candidates that stand in the offer, unknown transports left out.
    pub candidates: Vec<Candidate>,
    /// Whether no further candidates follow.
    pub end_of_candidates: bool,
}

impl OfferedSection {
    /// Whether the client sends audio or video on it.
    pub fn is_publication(&self) -> bool {
        self.refusal.is_none() && self.kind != MediaKind::Application && self.direction.sends()
    }

    /// Whether the client receives audio or video on it.
    pub fn is_slot(&self) -> bool {
        self.refusal.is_none() && self.kind != MediaKind::Application && self.direction.receives()
    }

    /// Whether it is for data channels.
    pub fn is_data(&self) -> bool {
        self.refusal.is_none() && self.kind == MediaKind::Application
    }
}

/// A declared RTP stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedSource {
    /// SSRC of the media.
    pub ssrc: Ssrc,
    /// SSRC of its retransmissions (`a=ssrc-group:FID`).
    pub rtx_ssrc: Option<Ssrc>,
    /// Canonical name.
    pub cname: Option<String>,
}

/// A simulcast encoding on offer (RFC 8851, RFC 8853).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedRid {
    /// Its name.
    pub rid: Rid,
    /// Whether the offerer starts with it paused (`~`).
    pub is_paused: bool,
}
