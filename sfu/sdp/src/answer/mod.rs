//! Answers: what was agreed on, and its text.

mod negotiate;
mod write;

use crate::candidate::Candidate;
use crate::codec::{Codec, CodecKind, FormatParameters};
use crate::error::{Refusal, SdpError};
use crate::extension::Extension;
use crate::id::{Mid, Msid, PayloadType, Ssrc};
use crate::offer::{Direction, MediaKind, Offer, OfferedRid, OfferedSource};
use crate::security::{DtlsRole, Fingerprint, IceCredentials};

/// What the answering side says about itself. All of it is injected, so that answers are deterministic.
#[derive(Debug, Clone)]
pub struct LocalDescription {
    /// Id of the session, the same in all answers of one transport.
    pub session_id: u64,
    /// Version, one higher with every answer of one transport.
    pub session_version: u64,
    /// Credentials of this side.
    pub ice: IceCredentials,
    /// Whether this side is ICE-lite.
    pub ice_lite: bool,
    /// Fingerprint of this side's certificate.
    pub fingerprint: Fingerprint,
    /// Candidates, written into the first accepted section.
    pub candidates: Vec<Candidate>,
    /// Whether no further candidates follow.
    pub end_of_candidates: bool,
    /// Canonical name of all streams sent (RFC 3550): streams with one name share a clock. A word without spaces.
    pub cname: String,
    /// Largest data message this side takes, in bytes.
    pub max_message_size: u64,
}

impl LocalDescription {
    /// Port of the SCTP association in answers (RFC 8841): a number inside DTLS, no port of the machine.
    pub const SCTP_PORT: u16 = 5000;
}

/// What to make of one offered section.
///
/// The answer's direction is what choice and offer have in common: a choice to publish on a section that the offer
/// holds `inactive` is answered `inactive`. Rejecting a section stops its transceiver in a browser for good, so a
/// section that is merely unused is better answered [`SectionChoice::Inactive`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SectionChoice {
    /// The client sends.
    Publish,
    /// The client receives this stream.
    Slot(SlotStream),
    /// Both.
    PublishAndSlot(SlotStream),
    /// Data channels.
    Data,
    /// Audio or video that flows neither way for now.
    Inactive,
    /// Refused: see [`NegotiatedSection::refusal`].
    Reject,
}

/// The stream a slot shows, fixed for the slot's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotStream {
    /// SSRC of the media.
    pub ssrc: Ssrc,
    /// SSRC of its retransmissions; unused when RTX was not negotiated, as for audio.
    pub rtx_ssrc: Option<Ssrc>,
    /// Stream and track id: tokens of at most 64 characters. Slots with one stream id are played in sync.
    pub msid: Msid,
}

/// What is agreed to, of what both sides can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Codecs of publications, best first: a browser sends the first one of the answer.
    pub publish_codecs: Vec<CodecKind>,
    /// Codecs of slots, in no order: every payload type is kept, so that a slot can carry any publisher.
    pub slot_codecs: Vec<CodecKind>,
    /// Whether TWCC feedback and its header extension are agreed to.
    pub transport_cc: bool,
    /// Whether REMB feedback and the send time extension are agreed to.
    pub remb: bool,
    /// Further header extensions that are agreed to, beside those for congestion control.
    pub extensions: Vec<Extension>,
}

impl Default for Policy {
    fn default() -> Self {
        let codecs = vec![CodecKind::Opus, CodecKind::Vp8, CodecKind::Vp9, CodecKind::H264, CodecKind::Av1];
        Self {
            publish_codecs: codecs.clone(),
            slot_codecs: codecs,
            transport_cc: false,
            remb: false,
            // Video orientation is not among them: Firefox does not take it, and a sender that may not use it turns the
            // picture itself, so everybody sees it upright.
            extensions: vec![Extension::Mid, Extension::Rid, Extension::Rrid, Extension::AudioLevel],
        }
    }
}

/// An answer and what it agrees to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The text.
    pub sdp: String,
    /// This side's part in the DTLS handshake.
    pub dtls_role: DtlsRole,
    /// One for each section of the offer, in order.
    pub sections: Vec<NegotiatedSection>,
}

impl Answer {
    /// Answers an offer, with one choice for each of its sections, in order.
    ///
    /// A section that can't be accepted is refused and says why in [`NegotiatedSection::refusal`]; that is
    /// no error.
    ///
    /// # Errors
    /// [`SdpError::HoldConnection`] if nobody would start DTLS; [`SdpError::Choice`] and [`SdpError::UnsafeText`] if the
    /// caller's part does not fit.
    pub fn build(
        offer: &Offer,
        local: &LocalDescription,
        choices: &[SectionChoice],
        policy: &Policy,
    ) -> Result<Self, SdpError> {
        let dtls_role = offer.dtls_role()?;
        let sections = negotiate::sections(offer, choices, policy)?;
        let sdp = write::answer(offer, local, dtls_role, &sections)?;
        Ok(Self { sdp, dtls_role, sections })
    }

    /// The negotiated section with this mid.
    pub fn section(&self, mid: &Mid) -> Option<&NegotiatedSection> {
        self.sections.iter().find(|section| section.mid.as_ref() == Some(mid))
    }
}

/// What was agreed on for one media section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NegotiatedSection {
    /// Its mid; only a section the offer had stopped may lack one.
    pub mid: Option<Mid>,
    /// What it carries.
    pub kind: MediaKind,
    /// Why it was refused, if it was. Everything below is empty then. The answer says port 0, or, for the section that
    /// the one transport is negotiated in, `inactive`.
    pub refusal: Option<Refusal>,
    /// Direction in the answer: from this side, so a slot is `sendonly`.
    pub direction: Direction,
    /// Whether the client sends on it.
    pub publish: bool,
    /// What this side sends on it; none while it does not send.
    pub slot: Option<SlotStream>,
    /// Codecs, in the answer's order; the client sends the first.
    pub codecs: Vec<NegotiatedCodec>,
    /// Header extensions.
    pub extensions: Vec<NegotiatedExtension>,
    /// Streams that the offer declares by SSRC.
    pub sources: Vec<OfferedSource>,
    /// Encodings the offer wanted to send. The answer takes a single one for now.
    pub rids: Vec<OfferedRid>,
    /// Stream and track id of the publication.
    pub msid: Option<Msid>,
    /// Whether reduced-size RTCP may be used (RFC 5506).
    pub rtcp_rsize: bool,
    /// The client's SCTP port; data only.
    pub sctp_port: Option<u16>,
    /// Largest data message the client takes, in bytes, 0 for any; data only.
    pub max_message_size: Option<u64>,
}

impl NegotiatedSection {
    /// The codec of this section that can carry a stream negotiated as `source` elsewhere; the most alike, if several
    /// can. None means that the source has to be paused for this slot.
    pub fn codec_for(&self, source: Codec) -> Option<&NegotiatedCodec> {
        let same = self.codecs.iter().find(|own| own.codec.is_same(source));
        same.or_else(|| self.codecs.iter().find(|own| own.codec.carries(source)))
    }

    /// The codec with this payload type.
    pub fn codec_by_payload_type(&self, payload_type: PayloadType) -> Option<&NegotiatedCodec> {
        self.codecs.iter().find(|codec| codec.payload_type == payload_type)
    }

    /// The codec that this payload type retransmits.
    pub fn codec_by_rtx_payload_type(&self, payload_type: PayloadType) -> Option<&NegotiatedCodec> {
        self.codecs.iter().find(|codec| codec.rtx_payload_type == Some(payload_type))
    }

    /// The id of a header extension.
    pub fn extension_id(&self, extension: Extension) -> Option<u8> {
        self.extensions.iter().find(|known| known.extension == extension).map(|known| known.id)
    }
}

/// A codec both sides agreed on. Its payload type is the offerer's, and used both ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NegotiatedCodec {
    /// RTP payload type.
    pub payload_type: PayloadType,
    /// What it is.
    pub codec: Codec,
    /// RTP clock rate in hertz.
    pub clock_rate: u32,
    /// Channels of an audio codec; 1 for video.
    pub channels: u8,
    /// Format parameters of the answer.
    pub format: FormatParameters,
    /// Payload type of its retransmissions (RFC 4588).
    pub rtx_payload_type: Option<PayloadType>,
    /// Whether missing packets are named by NACK.
    pub nack: bool,
    /// Whether keyframes are asked for by PLI.
    pub pli: bool,
    /// Whether keyframes are asked for by FIR.
    pub fir: bool,
    /// Whether arrival times are reported by TWCC.
    pub transport_cc: bool,
    /// Whether the receiver sends REMB.
    pub remb: bool,
}

/// A header extension both sides agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NegotiatedExtension {
    /// Id in the packets, 1 to 14.
    pub id: u8,
    /// What it is.
    pub extension: Extension,
    /// `/sendonly` and the like, as the answer writes it after the id.
    pub(crate) suffix: &'static str,
}
