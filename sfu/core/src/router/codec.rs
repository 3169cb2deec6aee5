//! What was negotiated for a media section, in the form that packets need it.

use patchbay_sdp::{Codec, CodecKind, Extension, NegotiatedSection};
use patchbay_wire::codec::PayloadFormat;
use patchbay_wire::rtp::{ExtensionId, PayloadType};

/// One payload type of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Payload {
    /// The payload type.
    pub(crate) payload_type: PayloadType,
    /// That of its retransmissions.
    pub(crate) rtx: Option<PayloadType>,
    /// What it is.
    pub(crate) codec: Codec,
    /// How it is packed.
    pub(crate) format: PayloadFormat,
    /// RTP clock rate in hertz.
    pub(crate) clock_rate: u32,
    /// Missing packets may be asked for.
    pub(crate) nack: bool,
    /// Keyframes may be asked for by PLI.
    pub(crate) pli: bool,
    /// Keyframes may be asked for by FIR.
    pub(crate) fir: bool,
}

/// The payload types of a section, in the answer's order.
pub(crate) fn payloads(section: &NegotiatedSection) -> Vec<Payload> {
    let payload = |codec: &patchbay_sdp::NegotiatedCodec| Payload {
        payload_type: PayloadType(codec.payload_type.0),
        rtx: codec.rtx_payload_type.map(|rtx| PayloadType(rtx.0)),
        codec: codec.codec,
        format: format(codec.codec.kind()),
        clock_rate: codec.clock_rate.max(1),
        nack: codec.nack,
        pli: codec.pli,
        fir: codec.fir,
    };
    section.codecs.iter().map(payload).collect()
}

/// For each payload type of a publication, the slot's that carries it.
pub(crate) fn match_payloads(
    publication: &[Payload],
    slot: &NegotiatedSection,
) -> Vec<(PayloadType, Payload)> {
    let own = payloads(slot);
    let matched = |source: &Payload| {
        let carrier = slot.codec_for(source.codec)?;
        let carrier = own.iter().find(|payload| payload.payload_type.0 == carrier.payload_type.0)?;
        Some((source.payload_type, *carrier))
    };
    publication.iter().filter_map(matched).collect()
}

fn format(kind: CodecKind) -> PayloadFormat {
    match kind {
        CodecKind::Opus => PayloadFormat::Opus,
        CodecKind::Vp8 => PayloadFormat::Vp8,
        CodecKind::Vp9 => PayloadFormat::Vp9,
        CodecKind::H264 => PayloadFormat::H264,
        CodecKind::Av1 => PayloadFormat::Av1,
        CodecKind::Red => PayloadFormat::Other,
    }
}

/// Ids of the header extensions that are read, or passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ExtensionIds {
    /// RFC 9143.
    pub(crate) mid: Option<ExtensionId>,
    /// RFC 8852.
    pub(crate) rid: Option<ExtensionId>,
    /// RFC 6464.
    pub(crate) audio_level: Option<ExtensionId>,
    /// 3GPP TS 26.114.
    pub(crate) orientation: Option<ExtensionId>,
    /// How long frames should be held back.
    pub(crate) playout_delay: Option<ExtensionId>,
}

impl ExtensionIds {
    /// Those of a section.
    pub(crate) fn of(section: &NegotiatedSection) -> Self {
        let id = |extension| section.extension_id(extension).map(ExtensionId);
        Self {
            mid: id(Extension::Mid),
            rid: id(Extension::Rid),
            audio_level: id(Extension::AudioLevel),
            orientation: id(Extension::VideoOrientation),
            playout_delay: id(Extension::PlayoutDelay),
        }
    }
}
