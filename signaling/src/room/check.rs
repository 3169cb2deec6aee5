//! Bounds on what members say, checked before anything is done with it.

use patchbay_protocol::{
    AttributeChanges, Attributes, ChannelDeclaration, Description, ErrorCode, Grants, Mid, ProtocolError,
    SlotSource, limit,
};
use serde_json::Value;

use crate::config::Bounds;
use crate::permission::{self, Act, Stage};

/// Bytes of one candidate line. RFC 8839 lines are under 200 bytes; extensions may make them longer.
pub(super) const CANDIDATE_BYTES: usize = 1_024;
/// Bytes of a mid. Browsers use one or two digits; RFC 8843 asks for at most three.
const MID_BYTES: usize = 32;
/// Bytes of an attribute's key.
const ATTRIBUTE_KEY_BYTES: usize = 64;
/// Data channels that may be declared. The SCTP association has 1,024 streams, and most channels say their label themselves.
const CHANNELS: usize = 64;
/// Bytes of a slot's group.
const GROUP_BYTES: usize = 64;
pub(super) const SPEAKER_RANK_MESSAGE: &str = "a speaker's rank is 1 to 64";

pub(super) fn check_description(
    description: &Description,
    grants: &Grants,
    bounds: &Bounds,
) -> Result<(), ProtocolError> {
    if description.sdp.len() > limit::SDP_BYTES {
        return Err(ProtocolError::new(ErrorCode::InvalidSdp, "the SDP is over 256 KiB"));
    }
    if description.publications.len() > bounds.tracks.min(limit::PUBLICATIONS) {
        return too_many(format!("a participant has at most {} tracks here", bounds.tracks));
    }
    if description.slots.len() > bounds.slots.min(limit::SLOTS) {
        return too_many(format!("a participant has at most {} slots here", bounds.slots));
    }
    let mut mids: Vec<&Mid> = Vec::new();
    for (index, publication) in description.publications.iter().enumerate() {
        permission::check(Act::Publish(publication.source), Stage::Joined, grants)?;
        if description.publications.iter().skip(index + 1).any(|other| other.source == publication.source) {
            return invalid("a participant has at most one track of each source");
        }
        mids.push(&publication.mid);
    }
    for slot in &description.slots {
        permission::check(Act::Receive, Stage::Joined, grants)?;
        if matches!(slot.source, Some(SlotSource::Speaker { speaker }) if !is_speaker_rank(speaker)) {
            return invalid(SPEAKER_RANK_MESSAGE);
        }
        if slot.group.as_ref().is_some_and(|group| !limit::is_plain_text(group, GROUP_BYTES)) {
            return invalid("a group is 1 to 64 bytes of text");
        }
        mids.push(&slot.mid);
    }
    for mid in &mids {
        let text = mid.as_str();
        if !(1..=MID_BYTES).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return invalid("a mid is 1 to 32 ASCII characters");
        }
    }
    mids.sort_unstable();
    if mids.windows(2).any(|pair| pair.first() == pair.last()) {
        return invalid("a media section is named twice");
    }
    check_channels(&description.channels, grants)
}

fn check_channels(channels: &[ChannelDeclaration], grants: &Grants) -> Result<(), ProtocolError> {
    if !channels.is_empty() {
        permission::check(Act::Declare, Stage::Joined, grants)?;
    }
    if channels.len() > CHANNELS {
        return invalid("at most 64 data channels are declared");
    }
    for (index, channel) in channels.iter().enumerate() {
        if channel.label.len() > limit::LABEL_BYTES || channel.protocol.len() > limit::LABEL_BYTES {
            return invalid("a channel's label and protocol are at most 256 bytes each");
        }
        if channel.max_retransmits.is_some() && channel.max_lifetime_ms.is_some() {
            return invalid("a channel has a bound on repetitions or on time, not both");
        }
        if channels.iter().skip(index + 1).any(|other| other.id == channel.id) {
            return invalid("a channel is declared twice");
        }
    }
    Ok(())
}

/// Attributes with changes made to them, if the result is within bounds.
pub(super) fn changed_attributes(
    before: &Attributes,
    changes: AttributeChanges,
    bounds: &Bounds,
) -> Result<Attributes, ProtocolError> {
    let mut attributes = before.clone();
    for (key, value) in changes {
        if !limit::is_plain_text(&key, ATTRIBUTE_KEY_BYTES) {
            return invalid("an attribute's key is 1 to 64 bytes of text without control characters");
        }
        match value {
            Some(value) => attributes.insert(key, value),
            None => attributes.remove(&key),
        };
    }
    let bytes: usize = attributes.iter().map(|(key, value)| key.len() + value.len()).sum();
    if attributes.len() > limit::ATTRIBUTES || bytes > bounds.attribute_bytes {
        let (most, bytes) = (limit::ATTRIBUTES, bounds.attribute_bytes);
        return invalid(format!("there are at most {most} attributes of {bytes} bytes in all here"));
    }
    Ok(attributes)
}

/// Whether a text may be somebody's identity.
pub(crate) fn check_identity(identity: &str) -> Result<(), ProtocolError> {
    if limit::is_plain_text(identity, limit::IDENTITY_BYTES) {
        return Ok(());
    }
    invalid("an identity is 1 to 128 bytes of text without control characters")
}

/// Whether a text may be a name to show.
pub(crate) fn check_name(name: &str) -> Result<(), ProtocolError> {
    if limit::is_plain_text(name, limit::NAME_BYTES) {
        return Ok(());
    }
    invalid("a name is 1 to 128 bytes of text without control characters")
}

/// Whether metadata is small enough to be sent to everybody.
pub(crate) fn check_metadata(metadata: &Value, bounds: &Bounds) -> Result<(), ProtocolError> {
    match serde_json::to_string(metadata) {
        Ok(text) if text.len() <= bounds.metadata_bytes => Ok(()),
        _ => invalid(format!("metadata is at most {} bytes of JSON here", bounds.metadata_bytes)),
    }
}

pub(super) fn is_speaker_rank(rank: u8) -> bool {
    (1..=limit::SPEAKER_RANKS).contains(&rank)
}

fn invalid<T>(message: impl Into<String>) -> Result<T, ProtocolError> {
    Err(ProtocolError::new(ErrorCode::InvalidArgument, message))
}

fn too_many<T>(message: String) -> Result<T, ProtocolError> {
    Err(ProtocolError::new(ErrorCode::TooMany, message))
}
