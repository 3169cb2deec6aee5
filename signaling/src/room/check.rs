//! Bounds on what members say, checked before anything is done with it.

use patchbay_protocol::{Description, ErrorCode, Grants, Mid, ProtocolError, SlotSource, limit};
use serde_json::Value;

/// Bytes of one candidate line. RFC 8839 lines are under 200 bytes; extensions may make them longer.
pub(super) const CANDIDATE_BYTES: usize = 1_024;
/// Bytes of a mid. Browsers use one or two digits; RFC 8843 asks for at most three.
const MID_BYTES: usize = 32;
/// Bytes of a slot's group.
const GROUP_BYTES: usize = 64;
pub(super) const SPEAKER_RANK_MESSAGE: &str = "a speaker's rank is 1 to 64";

pub(super) fn check_description(description: &Description, grants: &Grants) -> Result<(), ProtocolError> {
    if description.sdp.len() > limit::SDP_BYTES {
        return Err(ProtocolError::new(ErrorCode::InvalidSdp, "the SDP is over 256 KiB"));
    }
    if description.publications.len() > limit::PUBLICATIONS {
        return invalid("a participant has at most 16 publications");
    }
    if description.slots.len() > limit::SLOTS {
        return invalid("a participant has at most 128 slots");
    }
    let mut mids: Vec<&Mid> = Vec::new();
    for (index, publication) in description.publications.iter().enumerate() {
        if grants.hidden || !grants.publish.contains(&publication.source) {
            return Err(ProtocolError::new(
                ErrorCode::NotAllowed,
                "this participant may not publish this source",
            ));
        }
        if description.publications.iter().skip(index + 1).any(|other| other.source == publication.source) {
            return invalid("a participant has at most one track of each source");
        }
        mids.push(&publication.mid);
    }
    for slot in &description.slots {
        if !grants.subscribe {
            return Err(ProtocolError::new(ErrorCode::NotAllowed, "this participant may not receive media"));
        }
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
    Ok(())
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
pub(crate) fn check_metadata(metadata: &Value) -> Result<(), ProtocolError> {
    match serde_json::to_string(metadata) {
        Ok(text) if text.len() <= limit::METADATA_BYTES => Ok(()),
        _ => invalid("metadata is at most 4096 bytes of JSON"),
    }
}

pub(super) fn is_speaker_rank(rank: u8) -> bool {
    (1..=limit::SPEAKER_RANKS).contains(&rank)
}

fn invalid<T>(message: &str) -> Result<T, ProtocolError> {
    Err(ProtocolError::new(ErrorCode::InvalidArgument, message))
}
