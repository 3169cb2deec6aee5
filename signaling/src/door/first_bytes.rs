//! What somebody speaks, by the first bytes he says.
//!
//! TLS and HTTP begin with bytes that no frame of a connectivity check begins with, as a check is much shorter than the
//! length that these would mean. Pure, and safe on anything.

/// A TLS record that carries a handshake (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 22;
/// A binding request (RFC 8489 §5).
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// A STUN header.
const HEADER_BYTES: usize = 20;
/// No connectivity check is longer: its longest part is a user name of 513 bytes (RFC 8489 §14.3).
const MAX_CHECK_BYTES: usize = 2_048;

/// How many bytes are enough to tell.
pub(super) const ENOUGH: usize = 10;

/// What a connection begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FirstBytes {
    /// It may still become anything that fits.
    NeedMore,
    /// A TLS handshake.
    Tls,
    /// The method of an HTTP request.
    Http,
    /// A framed connectivity check (RFC 4571 §2, RFC 6544 §10.1).
    IceTcp,
    /// Nothing that is spoken here.
    Unknown,
}

/// Tells by the first bytes; more than [`ENOUGH`] make no difference.
pub(super) fn classify_first_bytes(bytes: &[u8]) -> FirstBytes {
    match bytes.first() {
        None => return FirstBytes::NeedMore,
        Some(&TLS_HANDSHAKE) => return FirstBytes::Tls,
        Some(byte) if byte.is_ascii_alphabetic() => return FirstBytes::Http,
        Some(_) => {}
    }
    let number = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let begins_with = |at: usize, wanted: &[u8]| bytes.iter().skip(at).zip(wanted).all(|(a, b)| a == b);
    let frame = number(0).map(usize::from);
    let body = number(4).map(usize::from);
    let fits = bytes.first().is_none_or(|&high| usize::from(high) <= MAX_CHECK_BYTES >> 8)
        && frame.is_none_or(|length| (HEADER_BYTES..=MAX_CHECK_BYTES).contains(&length))
        && begins_with(2, &BINDING_REQUEST)
        && body.zip(frame).is_none_or(|(body, frame)| body.is_multiple_of(4) && body + HEADER_BYTES == frame)
        && begins_with(6, &MAGIC_COOKIE);
    match fits {
        false => FirstBytes::Unknown,
        true if bytes.len() < ENOUGH => FirstBytes::NeedMore,
        true => FirstBytes::IceTcp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECK: [u8; 10] = [0, 100, 0, 1, 0, 80, 0x21, 0x12, 0xa4, 0x42];

    #[test]
    fn each_is_told_from_the_others() {
        assert_eq!(classify_first_bytes(b""), FirstBytes::NeedMore);
        assert_eq!(classify_first_bytes(&[0x16]), FirstBytes::Tls);
        assert_eq!(classify_first_bytes(&[0x16, 3, 1, 2, 0, 1, 0]), FirstBytes::Tls);
        for method in ["G", "GET / HTTP/1.1", "POST", "PATCH", "PRI * HTTP/2.0"] {
            assert_eq!(classify_first_bytes(method.as_bytes()), FirstBytes::Http, "{method}");
        }
        assert_eq!(classify_first_bytes(&CHECK), FirstBytes::IceTcp);
        let long: Vec<u8> = CHECK.iter().copied().chain([7; 100]).collect();
        assert_eq!(classify_first_bytes(&long), FirstBytes::IceTcp);
    }

    #[test]
    fn a_check_may_come_byte_by_byte() {
        for cut in 0..CHECK.len() {
            assert_eq!(classify_first_bytes(&CHECK[..cut]), FirstBytes::NeedMore, "{cut}");
        }
    }

    #[test]
    fn almost_a_check_is_none() {
        for at in 0..CHECK.len() {
            for flip in [1, 0x10, 0x80] {
                let mut other = CHECK;
                other[at] ^= flip;
                assert_ne!(classify_first_bytes(&other), FirstBytes::IceTcp, "{at} {flip}");
            }
        }
        assert_eq!(classify_first_bytes(&[0, 19]), FirstBytes::Unknown, "shorter than a header");
        assert_eq!(classify_first_bytes(&[9]), FirstBytes::Unknown, "longer than a check");
        assert_eq!(classify_first_bytes(&[0x80, 0x60]), FirstBytes::Unknown, "RTP without a frame");
        assert_eq!(
            classify_first_bytes(&[0, 1, 0, 0, 0x21, 0x12]),
            FirstBytes::Unknown,
            "STUN without a frame"
        );
    }
}
