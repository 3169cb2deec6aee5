//! What both sides have in common, section by section.

use super::{NegotiatedCodec, NegotiatedExtension, NegotiatedSection, Policy, SectionChoice, SlotStream};
use crate::codec::{CodecKind, Feedback, OfferedCodec};
use crate::error::{Refusal, SdpError};
use crate::extension::Extension;
use crate::offer::{Direction, MediaKind, Offer, OfferedSection};

/// RFC 8841, section 6.1: what a missing `a=max-message-size` means.
const DEFAULT_MAX_MESSAGE_SIZE: u64 = 65_536;

pub(super) fn sections(
    offer: &Offer,
    choices: &[SectionChoice],
    policy: &Policy,
) -> Result<Vec<NegotiatedSection>, SdpError> {
    if offer.sections.len() != choices.len() {
        let index = offer.sections.len().min(choices.len());
        return Err(SdpError::Choice { index, reason: "there must be one choice for each section" });
    }
    let pairs = offer.sections.iter().zip(choices).enumerate();
    pairs
        .map(|(index, (offered, choice))| {
            negotiate(offered, choice, policy).map_err(|reason| SdpError::Choice { index, reason })
        })
        .collect()
}

fn negotiate(
    offered: &OfferedSection,
    choice: &SectionChoice,
    policy: &Policy,
) -> Result<NegotiatedSection, &'static str> {
    if let Some(refusal) = offered.refusal {
        return Ok(refused(offered, refusal));
    }
    let is_data = offered.kind == MediaKind::Application;
    match choice {
        SectionChoice::Reject => Ok(refused(offered, Refusal::Chosen)),
        SectionChoice::Data if is_data => Ok(data(offered)),
        SectionChoice::Data => Err("audio or video can't be chosen as data"),
        _ if is_data => Err("data can only be chosen as data or rejected"),
        SectionChoice::Publish => Ok(media(offered, true, None, policy)),
        SectionChoice::Slot(stream) => Ok(media(offered, false, Some(stream), policy)),
        SectionChoice::PublishAndSlot(stream) => Ok(media(offered, true, Some(stream), policy)),
        SectionChoice::Inactive => Ok(media(offered, false, None, policy)),
    }
}

fn refused(offered: &OfferedSection, refusal: Refusal) -> NegotiatedSection {
    NegotiatedSection {
        mid: offered.mid.clone(),
        kind: offered.kind,
        refusal: Some(refusal),
        direction: Direction::Inactive,
        publish: false,
        slot: None,
        codecs: Vec::new(),
        extensions: Vec::new(),
        sources: Vec::new(),
        rids: Vec::new(),
        msid: None,
        rtcp_rsize: false,
        sctp_port: None,
        max_message_size: None,
    }
}

fn data(offered: &OfferedSection) -> NegotiatedSection {
    NegotiatedSection {
        refusal: None,
        sctp_port: Some(offered.sctp_port.unwrap_or(super::LocalDescription::SCTP_PORT)),
        max_message_size: Some(offered.max_message_size.unwrap_or(DEFAULT_MAX_MESSAGE_SIZE)),
        ..refused(offered, Refusal::Chosen)
    }
}

fn media(
    offered: &OfferedSection,
    publish: bool,
    slot: Option<&SlotStream>,
    policy: &Policy,
) -> NegotiatedSection {
    let codecs = match (publish, slot) {
        (true, None) => ordered_codecs(offered, policy, &policy.publish_codecs),
        (true, Some(_)) => {
            let mut kinds = policy.publish_codecs.clone();
            kinds.extend(policy.slot_codecs.iter().filter(|kind| !policy.publish_codecs.contains(kind)));
            ordered_codecs(offered, policy, &kinds)
        }
        (false, _) => offered_order_codecs(offered, policy, &policy.slot_codecs),
    };
    if codecs.is_empty() {
        return refused(offered, Refusal::NoCommonCodec);
    }
    let direction =
        Direction::new(slot.is_some() && offered.direction.receives(), publish && offered.direction.sends());
    let has_rtx = codecs.iter().any(|codec| codec.rtx_payload_type.is_some());
    let slot = slot
        .filter(|_| direction.sends())
        .map(|stream| SlotStream { rtx_ssrc: stream.rtx_ssrc.filter(|_| has_rtx), ..stream.clone() });
    NegotiatedSection {
        refusal: None,
        direction,
        publish: direction.receives(),
        slot,
        extensions: extensions(offered, direction, policy),
        sources: if direction.receives() { offered.sources.clone() } else { Vec::new() },
        rids: if direction.receives() { offered.rids.clone() } else { Vec::new() },
        msid: offered.msid.clone().filter(|_| direction.receives()),
        rtcp_rsize: offered.rtcp_rsize,
        codecs,
        ..refused(offered, Refusal::Chosen)
    }
}

/// Codecs by the policy's preference; within one kind as offered.
fn ordered_codecs(offered: &OfferedSection, policy: &Policy, kinds: &[CodecKind]) -> Vec<NegotiatedCodec> {
    kinds.iter().flat_map(|kind| offered_order_codecs(offered, policy, std::slice::from_ref(kind))).collect()
}

/// Codecs as offered, those of other kinds left out.
fn offered_order_codecs(
    offered: &OfferedSection,
    policy: &Policy,
    kinds: &[CodecKind],
) -> Vec<NegotiatedCodec> {
    offered.codecs.iter().filter_map(|codec| negotiated_codec(offered, codec, policy, kinds)).collect()
}

fn negotiated_codec(
    section: &OfferedSection,
    offered: &OfferedCodec,
    policy: &Policy,
    kinds: &[CodecKind],
) -> Option<NegotiatedCodec> {
    let codec = offered.codec()?;
    let kind = codec.kind();
    let is_video = section.kind == MediaKind::Video;
    if !kinds.contains(&kind) || kind.is_audio() == is_video || !offered.payload_type.is_multiplexable() {
        return None;
    }
    let has = |feedback| offered.feedback.contains(&feedback);
    let rtx = section.codecs.iter().find(|rtx| {
        rtx.apt() == Some(offered.payload_type)
            && rtx.clock_rate == offered.clock_rate
            && rtx.payload_type.is_multiplexable()
    });
    Some(NegotiatedCodec {
        payload_type: offered.payload_type,
        codec,
        clock_rate: offered.clock_rate,
        channels: offered.channels,
        format: offered.format.answered(),
        // Lost sound is concealed by the decoder before a retransmission could arrive.
        rtx_payload_type: rtx.filter(|_| is_video && has(Feedback::Nack)).map(|rtx| rtx.payload_type),
        nack: is_video && has(Feedback::Nack),
        pli: is_video && has(Feedback::Pli),
        fir: is_video && has(Feedback::Fir),
        transport_cc: policy.transport_cc && has(Feedback::TransportCc),
        remb: policy.remb && has(Feedback::Remb),
    })
}

fn extensions(offered: &OfferedSection, direction: Direction, policy: &Policy) -> Vec<NegotiatedExtension> {
    let mut agreed: Vec<NegotiatedExtension> = Vec::new();
    for candidate in &offered.extensions {
        let Some(extension) = Extension::from_uri(&candidate.uri) else { continue };
        let is_wanted = match extension {
            Extension::TransportCc => policy.transport_cc,
            Extension::AbsSendTime => policy.remb,
            // Encodings are named by whoever sends simulcast, and that is the client.
            Extension::Rid | Extension::Rrid => {
                direction.receives() && policy.extensions.contains(&extension)
            }
            Extension::AudioLevel => {
                offered.kind == MediaKind::Audio && policy.extensions.contains(&extension)
            }
            _ => policy.extensions.contains(&extension),
        };
        // Ids above 14 need the two-byte header, 15 is reserved (RFC 8285, section 4.2).
        let is_new = agreed.iter().all(|known| known.id != candidate.id && known.extension != extension);
        if is_wanted && is_new && (1..=14).contains(&candidate.id) {
            agreed.push(NegotiatedExtension {
                id: candidate.id,
                extension,
                suffix: candidate.answered_suffix(),
            });
        }
    }
    agreed
}
