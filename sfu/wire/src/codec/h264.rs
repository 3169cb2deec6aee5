//! H.264 payloads (RFC 6184 §5.2): only the types of the NAL units in them.

const NAL_SPS: u8 = 7;
const NAL_STAP_A: u8 = 24;
const NAL_FU_A: u8 = 28;

/// The first packet of a keyframe: it has, or begins, a sequence parameter set (SPS). Browsers and encoders for RTP
/// send one before every IDR picture; an IDR picture alone starts nothing for a decoder that never saw its SPS.
#[inline]
pub(super) fn is_keyframe_start(payload: &[u8]) -> bool {
    let Some((&first, rest)) = payload.split_first() else { return false };
    match first & 0x1f {
        NAL_SPS => true,
        NAL_STAP_A => aggregated_types(rest).any(|kind| kind == NAL_SPS),
        NAL_FU_A => rest.first().is_some_and(|header| header & 0x80 != 0 && header & 0x1f == NAL_SPS),
        _ => false,
    }
}

/// The types of the units in a STAP-A, each preceded by its 16-bit size; ends at the first that does not fit.
fn aggregated_types(mut units: &[u8]) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let (size, rest) = units.split_first_chunk()?;
        let (unit, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*size)))?;
        units = rest;
        unit.first().map(|first| first & 0x1f)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyframes_start_with_their_parameter_set() {
        assert!(is_keyframe_start(&[0x67, 0x42]), "SPS");
        assert!(!is_keyframe_start(&[0x68, 0xce]), "PPS");
        assert!(!is_keyframe_start(&[0x65, 0x88]), "IDR without SPS");
        assert!(!is_keyframe_start(&[0x41, 0x9a]), "inter picture");
        assert!(is_keyframe_start(&[0x78, 0, 2, 0x67, 0x42, 0, 1, 0x68]), "STAP-A with SPS first");
        assert!(is_keyframe_start(&[0x78, 0, 1, 0x09, 0, 1, 0x67]), "STAP-A with a delimiter first");
        assert!(!is_keyframe_start(&[0x78, 0, 1, 0x68, 0, 1, 0x65]), "STAP-A without SPS");
        assert!(!is_keyframe_start(&[0x78, 0, 9, 0x67]), "the size reaches past the packet");
        assert!(!is_keyframe_start(&[0x78, 0, 0, 0, 1, 0x67]), "an empty unit");
        assert!(is_keyframe_start(&[0x7c, 0x87]), "FU-A, start of an SPS");
        assert!(!is_keyframe_start(&[0x7c, 0x85]), "FU-A, start of an IDR picture");
        assert!(!is_keyframe_start(&[0x7c]));
        assert!(!is_keyframe_start(&[]));
    }
}
