//! From an offer and its meaning to an answer: what one transport has agreed to so far.

use std::collections::BTreeMap;

use patchbay_protocol::node::{AcceptedPublication, Publication, Slot};
use patchbay_protocol::{AnsweredSlot, ChannelDeclaration, ErrorCode, MediaKind, Mid, ProtocolError, limit};
use patchbay_sdp::{
    Answer, Candidate, Fingerprint, IceCredentials, Limits, LocalDescription, Msid, NegotiatedSection, Offer,
    OfferedSection, Policy, SectionChoice, SlotStream, Ssrc,
};

use crate::random::Random;
use crate::transport::{ChannelInfo, DataSetup};

/// All streams of the SFU are in one clock, its own, so one canonical name (RFC 3550 §6.5.1) holds for all of them.
const CNAME: &str = "patchbay";
/// Largest data message taken, in bytes: what browsers send without being asked to split.
const MAX_MESSAGE_BYTES: u64 = 256 * 1024;

/// What a transport has agreed to.
pub(super) struct Negotiation {
    /// Ours.
    pub(super) local_ice: IceCredentials,
    /// The peer's. Others in a later offer mean an ICE restart (RFC 8839 §4.4.1.1.1).
    pub(super) remote_ice: IceCredentials,
    /// The certificates of the first offer.
    fingerprints: Vec<Fingerprint>,
    /// The complete list of the last offer.
    pub(super) publications: Vec<Publication>,
    /// Sections of the last answer.
    pub(super) sections: Vec<NegotiatedSection>,
    session_id: u64,
    session_version: u64,
    /// By section and kind: a mid may come back with another kind, and its numbers go on in one payload format only.
    streams: BTreeMap<(patchbay_sdp::Mid, bool), SlotStream>,
}

/// An offer that was read and found to fit its description.
pub(super) struct Proposal {
    pub(super) offer: Offer,
    publications: Vec<Publication>,
    slots: Vec<Slot>,
    is_data_allowed: bool,
    /// Data channels that are negotiated out of band.
    pub(super) channels: Vec<ChannelInfo>,
}

/// What of an answer goes back to signaling.
pub(super) struct Agreed {
    pub(super) sdp: String,
    pub(super) publications: Vec<AcceptedPublication>,
    pub(super) slots: Vec<AnsweredSlot>,
}

impl Proposal {
    /// Reads an offer and checks that every publication and slot stands in it.
    ///
    /// # Errors
    /// `invalid_sdp` for an offer that can't be read or a section that does not fit its meaning; `invalid_argument` for
    /// more publications or slots than a participant may have.
    pub(super) fn new(
        sdp: &str,
        publications: Vec<Publication>,
        slots: Vec<Slot>,
        is_data_allowed: bool,
    ) -> Result<Self, ProtocolError> {
        let offer = Offer::parse(sdp, &Limits::default()).map_err(|error| invalid_sdp(error.to_string()))?;
        if publications.len() > limit::PUBLICATIONS {
            return Err(too_many("publications", limit::PUBLICATIONS));
        }
        if offer.sections.iter().filter(|section| section.is_slot()).count() > limit::SLOTS {
            return Err(too_many("slots", limit::SLOTS));
        }
        for publication in &publications {
            let section = section_of(&offer, &publication.mid)?;
            if kind_of(section) != Some(publication.source.kind()) {
                return Err(invalid_sdp(format!(
                    "media section {} is of another kind than its source",
                    publication.mid
                )));
            }
        }
        for slot in &slots {
            let section = section_of(&offer, &slot.mid)?;
            if !section.is_slot() {
                return Err(invalid_sdp(format!(
                    "media section {} is not received on, so it is no slot",
                    slot.mid
                )));
            }
        }
        Ok(Self { offer, publications, slots, is_data_allowed, channels: Vec::new() })
    }

    /// The same with data channels that are negotiated out of band.
    ///
    /// # Errors
    /// `invalid_argument` for one that can't be.
    pub(super) fn with_channels(mut self, channels: Vec<ChannelDeclaration>) -> Result<Self, ProtocolError> {
        let channels: Result<_, _> = channels.into_iter().map(ChannelInfo::try_from).collect();
        self.channels =
            channels.map_err(|error| ProtocolError::new(ErrorCode::InvalidArgument, error.to_string()))?;
        Ok(self)
    }

    /// How data channels are wanted, if they are, and may be: whoever may not have them gets no association, whatever it
    /// makes of the refused section in its answer.
    pub(super) fn data_setup(&self) -> Option<DataSetup> {
        let mut sections = self.offer.sections.iter().filter(|_| self.is_data_allowed);
        let section = sections.find(|section| section.is_data() && section.refusal.is_none())?;
        Some(DataSetup { max_message_bytes: section.max_message_size })
    }
}

impl Negotiation {
    /// Nothing agreed to yet. `session_id` is the number in the answers' origin line.
    pub(super) fn new(local_ice: IceCredentials, offer: &Offer, session_id: u64) -> Self {
        Self {
            local_ice,
            remote_ice: offer.ice.clone(),
            fingerprints: offer.fingerprints.clone(),
            publications: Vec::new(),
            sections: Vec::new(),
            session_id,
            session_version: 0,
            streams: BTreeMap::new(),
        }
    }

    /// A transport is one DTLS association for life: another certificate is another client.
    ///
    /// # Errors
    /// `invalid_sdp` if no fingerprint of the offer is one of the first offer's.
    pub(super) fn check_certificate(&self, offer: &Offer) -> Result<(), ProtocolError> {
        if offer.fingerprints.iter().any(|fingerprint| self.fingerprints.contains(fingerprint)) {
            return Ok(());
        }
        Err(invalid_sdp("the certificate is not that of the first offer; join again to connect anew"))
    }

    /// Answers a proposal. Slots known from before keep their SSRCs and msid.
    pub(super) fn answer(
        &mut self,
        proposal: Proposal,
        fingerprint: Fingerprint,
        candidates: Vec<Candidate>,
        random: &Random,
    ) -> Result<Agreed, ProtocolError> {
        let choices = self.choices(&proposal, random)?;
        self.session_version += 1;
        let local = LocalDescription {
            session_id: self.session_id,
            session_version: self.session_version,
            ice: self.local_ice.clone(),
            ice_lite: true,
            fingerprint,
            candidates,
            end_of_candidates: true,
            cname: CNAME.to_owned(),
            max_message_size: MAX_MESSAGE_BYTES,
        };
        let answer = Answer::build(&proposal.offer, &local, &choices, &Policy::default())
            .map_err(|error| invalid_sdp(error.to_string()))?;
        let publications = accepted_publications(&answer, &proposal.publications);
        self.publications = proposal
            .publications
            .into_iter()
            .filter(|publication| publications.iter().any(|accepted| accepted.track == publication.track))
            .collect();
        let slots = answered_slots(&answer);
        self.sections = answer.sections;
        Ok(Agreed { sdp: answer.sdp, publications, slots })
    }

    fn choices(&mut self, proposal: &Proposal, random: &Random) -> Result<Vec<SectionChoice>, ProtocolError> {
        proposal.offer.sections.iter().map(|section| self.choice(section, proposal, random)).collect()
    }

    fn choice(
        &mut self,
        section: &OfferedSection,
        proposal: &Proposal,
        random: &Random,
    ) -> Result<SectionChoice, ProtocolError> {
        let Some(mid) = &section.mid else { return Ok(SectionChoice::Reject) };
        if section.refusal.is_some() {
            return Ok(SectionChoice::Reject);
        }
        if section.is_data() {
            return Ok(if proposal.is_data_allowed { SectionChoice::Data } else { SectionChoice::Reject });
        }
        let is_published = section.is_publication()
            && proposal.publications.iter().any(|one| one.mid.as_str() == mid.as_str());
        if !section.is_slot() {
            // A section that is offered but means nothing stays open, as rejecting would stop its transceiver for good.
            return Ok(if is_published { SectionChoice::Publish } else { SectionChoice::Inactive });
        }
        let group = proposal
            .slots
            .iter()
            .find(|slot| slot.mid.as_str() == mid.as_str())
            .and_then(|slot| slot.group.as_deref());
        let is_video = section.kind == patchbay_sdp::MediaKind::Video;
        let stream = self.stream((mid.clone(), is_video), group, random)?;
        Ok(if is_published { SectionChoice::PublishAndSlot(stream) } else { SectionChoice::Slot(stream) })
    }

    /// The stream of a slot, minted when its section is first seen.
    fn stream(
        &mut self,
        section: (patchbay_sdp::Mid, bool),
        group: Option<&str>,
        random: &Random,
    ) -> Result<SlotStream, ProtocolError> {
        if let Some(stream) = self.streams.get(&section) {
            return Ok(stream.clone());
        }
        let draw = || random.ssrc().map(|ssrc| Ssrc(ssrc.0)).map_err(|error| internal(error.to_string()));
        let (ssrc, rtx_ssrc) = (draw()?, draw()?);
        let msid = Msid {
            stream: group.map_or_else(|| format!("slot-{ssrc}"), |group| format!("group-{group}")),
            track: format!("track-{ssrc}"),
        };
        let stream = SlotStream { ssrc, rtx_ssrc: Some(rtx_ssrc), msid };
        self.streams.insert(section, stream.clone());
        Ok(stream)
    }
}

fn section_of<'a>(offer: &'a Offer, mid: &Mid) -> Result<&'a OfferedSection, ProtocolError> {
    patchbay_sdp::Mid::new(mid.as_str())
        .and_then(|mid| offer.section(&mid))
        .map(|(_, section)| section)
        .ok_or_else(|| invalid_sdp(format!("the offer has no media section {mid}")))
}

fn kind_of(section: &OfferedSection) -> Option<MediaKind> {
    match section.kind {
        patchbay_sdp::MediaKind::Audio => Some(MediaKind::Audio),
        patchbay_sdp::MediaKind::Video => Some(MediaKind::Video),
        _ => None,
    }
}

fn accepted_publications(answer: &Answer, publications: &[Publication]) -> Vec<AcceptedPublication> {
    let is_accepted = |publication: &&Publication| {
        patchbay_sdp::Mid::new(publication.mid.as_str())
            .and_then(|mid| answer.section(&mid))
            .is_some_and(|section| section.refusal.is_none() && section.publish)
    };
    publications
        .iter()
        .filter(is_accepted)
        .map(|publication| AcceptedPublication {
            mid: publication.mid.clone(),
            track: publication.track,
            kind: publication.source.kind(),
        })
        .collect()
}

fn answered_slots(answer: &Answer) -> Vec<AnsweredSlot> {
    let answered = |section: &NegotiatedSection| {
        let (mid, stream) = (section.mid.as_ref()?, section.slot.as_ref()?);
        let has_rtx = section.codecs.iter().any(|codec| codec.rtx_payload_type.is_some());
        Some(AnsweredSlot {
            mid: Mid::from(mid.as_str()),
            ssrc: stream.ssrc.0,
            rtx_ssrc: stream.rtx_ssrc.filter(|_| has_rtx).map(|ssrc| ssrc.0),
        })
    };
    answer.sections.iter().filter_map(answered).collect()
}

fn invalid_sdp(message: impl Into<String>) -> ProtocolError {
    ProtocolError::new(ErrorCode::InvalidSdp, message)
}

fn too_many(what: &str, limit: usize) -> ProtocolError {
    ProtocolError::new(ErrorCode::InvalidArgument, format!("more than {limit} {what}"))
}

fn internal(message: impl Into<String>) -> ProtocolError {
    ProtocolError::new(ErrorCode::Internal, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: &str = include_str!("../../../sdp/tests/golden/chromium-data.offer.sdp");
    const OTHER: &str = include_str!("../../../sdp/tests/golden/chromium-slots.offer.sdp");

    fn proposal(sdp: &str, is_data_allowed: bool) -> Proposal {
        Proposal::new(sdp, Vec::new(), Vec::new(), is_data_allowed).unwrap()
    }

    #[test]
    fn data_channels_are_for_those_who_may_have_them() {
        assert!(proposal(DATA, true).data_setup().is_some());
        assert_eq!(proposal(DATA, false).data_setup(), None);
    }

    #[test]
    fn another_certificate_is_another_client() {
        let (first, other) = (proposal(DATA, true).offer, proposal(OTHER, true).offer);
        let ours = IceCredentials { ufrag: "aaaa".into(), pwd: "0123456789012345678901".into() };
        let negotiation = Negotiation::new(ours, &first, 1);
        assert_eq!(negotiation.check_certificate(&first), Ok(()));
        assert_eq!(negotiation.check_certificate(&other).unwrap_err().code, ErrorCode::InvalidSdp);
    }
}
