//! A slot: a receive media section of a member, and what it is told to show.

use std::time::Instant;

use patchbay_protocol::{MediaKind, Mid, SlotSource, SlotState};
use patchbay_sdp::NegotiatedSection;

use super::codec::{ExtensionIds, Payload, payloads};
use super::forwarder::Forwarder;
use super::key::{MemberKey, TrackKey};
use crate::TransportKey;

/// A slot of a member.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) owner: MemberKey,
    pub(crate) to: TransportKey,
    pub(crate) mid: Mid,
    pub(crate) kind: MediaKind,
    /// What was agreed on, for matching with sources.
    pub(crate) section: NegotiatedSection,
    /// The same, for packets.
    pub(crate) payloads: Vec<Payload>,
    pub(crate) extensions: ExtensionIds,
    /// What it was told to follow.
    pub(crate) source: Option<SlotSource>,
    /// The track it shows or will show. None while it is paused.
    pub(crate) target: Option<TrackKey>,
    /// What signaling was told last.
    pub(crate) reported: Option<SlotState>,
    /// Whether the member's transport takes packets yet.
    pub(crate) is_connected: bool,
    pub(crate) forwarder: Forwarder,
    /// When the next sender report is due.
    pub(crate) report_due: Option<Instant>,
}

impl Slot {
    /// Takes what was agreed on, and keeps what is flowing.
    pub(crate) fn renegotiate(&mut self, section: &NegotiatedSection) {
        if self.section != *section {
            self.section = section.clone();
            self.payloads = payloads(section);
            self.extensions = ExtensionIds::of(section);
        }
    }

    /// The rank it follows, if it follows speakers.
    pub(crate) fn rank(&self) -> Option<u8> {
        match self.source {
            Some(SlotSource::Speaker { speaker }) => Some(speaker.max(1)),
            _ => None,
        }
    }
}
