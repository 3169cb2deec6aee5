//! STUN binding requests read, binding responses written (RFC 8489, RFC 8445 §7), without allocation.
//!
//! Parsing only says what a message claims. [`BindingRequest::is_authentic`] is what makes it count.

use std::net::SocketAddr;

use rtc_crypto::{CryptoError, Mac};
use rtc_stun::fingerprint::fingerprint_value;

const HEADER_BYTES: usize = 20;
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const INTEGRITY_BYTES: usize = 20;
/// Length of the MESSAGE-INTEGRITY attribute with its header.
const INTEGRITY_ATTRIBUTE_BYTES: usize = 24;
const FINGERPRINT_ATTRIBUTE_BYTES: usize = 8;

const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const BINDING_SUCCESS: [u8; 2] = [0x01, 0x01];
const BINDING_ERROR: [u8; 2] = [0x01, 0x11];

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;
/// Attributes below this must be understood or the request refused (RFC 8489 §14).
const FIRST_OPTIONAL: u16 = 0x8000;

/// Why a datagram is no binding request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotARequest {
    /// Not STUN, or not well-formed.
    Malformed,
    /// STUN, but a response, an indication or another method: a lite agent expects none of them.
    Unexpected,
}

/// A binding request as it came, believed in nothing until [`is_authentic`](Self::is_authentic).
pub(super) struct BindingRequest<'a> {
    message: &'a [u8],
    transaction: [u8; 12],
    username: &'a [u8],
    /// Offset of the MESSAGE-INTEGRITY attribute, and its value.
    integrity: Option<(usize, [u8; INTEGRITY_BYTES])>,
    /// The controlling agent nominates this pair (RFC 8445 §8.1.1).
    pub(super) is_nominating: bool,
    /// The peer takes itself for the controlled agent, which is our role.
    pub(super) is_controlled: bool,
    /// The first attribute that had to be understood and was not.
    pub(super) unknown_attribute: Option<u16>,
}

impl<'a> BindingRequest<'a> {
    /// The number by which a response is matched, drawn anew for each check.
    pub(super) fn transaction(&self) -> [u8; 12] {
        self.transaction
    }

    /// Reads a datagram. Checks its form, its length and, where there is one, its FINGERPRINT.
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, NotARequest> {
        let header: &[u8; HEADER_BYTES] = message.first_chunk().ok_or(NotARequest::Malformed)?;
        let &[t0, t1, l0, l1, c0, c1, c2, c3, ref transaction @ ..] = header;
        let body = message.get(HEADER_BYTES..).ok_or(NotARequest::Malformed)?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if t0 & 0xc0 != 0
            || [c0, c1, c2, c3] != MAGIC_COOKIE
            || length != body.len()
            || !length.is_multiple_of(4)
        {
            return Err(NotARequest::Malformed);
        }
        if [t0, t1] != BINDING_REQUEST {
            return Err(NotARequest::Unexpected);
        }

        let mut request = Self {
            message,
            transaction: *transaction,
            username: &[],
            integrity: None,
            is_nominating: false,
            is_controlled: false,
            unknown_attribute: None,
        };
        let mut offset = HEADER_BYTES;
        while offset < message.len() {
            let (kind, value) = attribute_at(message, offset).ok_or(NotARequest::Malformed)?;
            if kind == FINGERPRINT {
                let claimed = <[u8; 4]>::try_from(value).map_err(|_| NotARequest::Malformed)?;
                let is_last = offset + FINGERPRINT_ATTRIBUTE_BYTES == message.len();
                let covered = message.get(..offset).ok_or(NotARequest::Malformed)?;
                if !is_last || u32::from_be_bytes(claimed) != fingerprint_value(covered) {
                    return Err(NotARequest::Malformed);
                }
            } else if request.integrity.is_none() {
                // Whatever follows the integrity is not covered by it and is not read (RFC 8489 §14.5).
                request.take(kind, value, offset)?;
            }
            offset += 4 + value.len().next_multiple_of(4);
        }
        Ok(request)
    }

    fn take(&mut self, kind: u16, value: &'a [u8], offset: usize) -> Result<(), NotARequest> {
        match kind {
            USERNAME => self.username = value,
            MESSAGE_INTEGRITY => {
                self.integrity = Some((offset, value.try_into().map_err(|_| NotARequest::Malformed)?));
            }
            USE_CANDIDATE => self.is_nominating = true,
            ICE_CONTROLLED => self.is_controlled = true,
            PRIORITY | MESSAGE_INTEGRITY_SHA256 => {}
            other if other < FIRST_OPTIONAL && self.unknown_attribute.is_none() => {
                self.unknown_attribute = Some(other)
            }
            _ => {}
        }
        Ok(())
    }

    /// The two halves of USERNAME: our fragment and the peer's (RFC 8445 §7.2.2).
    pub(super) fn fragments(&self) -> Option<(&'a [u8], &'a [u8])> {
        split_username(self.username)
    }

    /// Whether MESSAGE-INTEGRITY is there and was made with the key of `mac`.
    pub(super) fn is_authentic(&self, mac: &mut dyn Mac) -> bool {
        let Some((offset, expected)) = self.integrity else { return false };
        let covered_length = (offset - HEADER_BYTES + INTEGRITY_ATTRIBUTE_BYTES) as u16;
        let (Some(kind), Some(rest)) = (self.message.get(..2), self.message.get(4..offset)) else {
            return false;
        };
        mac.verify(&[kind, &covered_length.to_be_bytes(), rest], &expected).is_ok()
    }

    /// Appends the success response: where the request came from, authenticated like the request.
    pub(super) fn write_success(
        &self,
        source: SocketAddr,
        mac: &mut dyn Mac,
        out: &mut Vec<u8>,
    ) -> Result<(), CryptoError> {
        self.write_response(BINDING_SUCCESS, mac, out, |transaction, out| {
            let [c0, c1, c2, c3] = MAGIC_COOKIE;
            let port = source.port() ^ u16::from_be_bytes([c0, c1]);
            match source.ip().to_canonical() {
                std::net::IpAddr::V4(ip) => {
                    push_attribute_header(out, XOR_MAPPED_ADDRESS, 8);
                    out.extend_from_slice(&[0, 1]);
                    out.extend_from_slice(&port.to_be_bytes());
                    let mask = u32::from_be_bytes([c0, c1, c2, c3]);
                    out.extend_from_slice(&(u32::from(ip) ^ mask).to_be_bytes());
                }
                std::net::IpAddr::V6(ip) => {
                    push_attribute_header(out, XOR_MAPPED_ADDRESS, 20);
                    out.extend_from_slice(&[0, 2]);
                    out.extend_from_slice(&port.to_be_bytes());
                    let mask = MAGIC_COOKIE.iter().chain(transaction);
                    out.extend(ip.octets().iter().zip(mask).map(|(byte, mask)| byte ^ mask));
                }
            }
        })
    }

    /// Appends a 487 response: both of us think that they are controlled (RFC 8445 §7.3.1.1).
    pub(super) fn write_role_conflict(
        &self,
        mac: &mut dyn Mac,
        out: &mut Vec<u8>,
    ) -> Result<(), CryptoError> {
        self.write_response(BINDING_ERROR, mac, out, |_, out| push_error(out, 4, 87))
    }

    /// Appends a 420 response that names an attribute we do not know (RFC 8489 §6.3.1).
    pub(super) fn write_unknown_attribute(
        &self,
        attribute: u16,
        mac: &mut dyn Mac,
        out: &mut Vec<u8>,
    ) -> Result<(), CryptoError> {
        self.write_response(BINDING_ERROR, mac, out, |_, out| {
            push_error(out, 4, 20);
            push_attribute_header(out, UNKNOWN_ATTRIBUTES, 2);
            out.extend_from_slice(&attribute.to_be_bytes());
            out.extend_from_slice(&[0, 0]);
        })
    }

    fn write_response(
        &self,
        kind: [u8; 2],
        mac: &mut dyn Mac,
        out: &mut Vec<u8>,
        write_body: impl FnOnce(&[u8; 12], &mut Vec<u8>),
    ) -> Result<(), CryptoError> {
        let start = out.len();
        out.extend_from_slice(&kind);
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&MAGIC_COOKIE);
        out.extend_from_slice(&self.transaction);
        write_body(&self.transaction, out);

        let mut tag = [0; INTEGRITY_BYTES];
        set_length(out, start, INTEGRITY_ATTRIBUTE_BYTES);
        mac.sign(&[out.get(start..).unwrap_or_default()], &mut tag)?;
        push_attribute_header(out, MESSAGE_INTEGRITY, INTEGRITY_BYTES as u16);
        out.extend_from_slice(&tag);

        set_length(out, start, FINGERPRINT_ATTRIBUTE_BYTES);
        let fingerprint = fingerprint_value(out.get(start..).unwrap_or_default());
        push_attribute_header(out, FINGERPRINT, 4);
        out.extend_from_slice(&fingerprint.to_be_bytes());
        Ok(())
    }
}

/// Our user name fragment in a binding request that nobody has checked yet: for finding the transport whose password
/// can check it. `None` for anything else.
pub(crate) fn claimed_ufrag(datagram: &[u8]) -> Option<&[u8]> {
    let &[t0, t1, _, _, c0, c1, c2, c3] = datagram.first_chunk()?;
    if [t0, t1] != BINDING_REQUEST || [c0, c1, c2, c3] != MAGIC_COOKIE {
        return None;
    }
    let mut offset = HEADER_BYTES;
    while offset < datagram.len() {
        let (kind, value) = attribute_at(datagram, offset)?;
        if kind == USERNAME {
            return split_username(value).map(|(ours, _)| ours);
        }
        offset += 4 + value.len().next_multiple_of(4);
    }
    None
}

fn split_username(username: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = username.iter().position(|&byte| byte == b':')?;
    Some((username.get(..colon)?, username.get(colon + 1..)?))
}

/// Type and value of the attribute at `offset`, if all of it and its padding is there.
fn attribute_at(message: &[u8], offset: usize) -> Option<(u16, &[u8])> {
    let rest = message.get(offset..)?;
    let &[k0, k1, l0, l1] = rest.first_chunk()?;
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let value = rest.get(4..4 + length)?;
    (rest.len() >= 4 + length.next_multiple_of(4)).then_some((u16::from_be_bytes([k0, k1]), value))
}

fn push_attribute_header(out: &mut Vec<u8>, kind: u16, length: u16) {
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
}

fn push_error(out: &mut Vec<u8>, class: u8, number: u8) {
    push_attribute_header(out, ERROR_CODE, 4);
    out.extend_from_slice(&[0, 0, class, number]);
}

/// Writes the header's length as it will be once `further` more bytes are appended.
fn set_length(out: &mut [u8], start: usize, further: usize) {
    let length = (out.len() - start - HEADER_BYTES + further) as u16;
    if let Some(field) = out.get_mut(start + 2..start + 4) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtc_crypto::HmacAlgorithm;
    use rtc_stun::attributes::{ATTR_USE_CANDIDATE, ATTR_USERNAME};
    use rtc_stun::fingerprint::FINGERPRINT as ADD_FINGERPRINT;
    use rtc_stun::integrity::MessageIntegrity;
    use rtc_stun::message::{BINDING_REQUEST as REQUEST, Getter, Message, Setter, TransactionId};
    use rtc_stun::textattrs::TextAttribute;
    use rtc_stun::xoraddr::XorMappedAddress;

    const PASSWORD: &str = "a-password-of-22-chars";

    fn mac(password: &str) -> Box<dyn Mac> {
        rtc_crypto::default_provider()
            .unwrap()
            .crypto()
            .new_hmac(HmacAlgorithm::Sha1, password.as_bytes())
            .unwrap()
    }

    fn request(username: &str) -> Vec<u8> {
        let provider = rtc_crypto::default_provider().unwrap();
        let mut message = Message::new();
        let setters: [Box<dyn Setter>; 5] = [
            Box::new(REQUEST),
            Box::new(TransactionId::new()),
            Box::new(TextAttribute::new(ATTR_USERNAME, username.to_owned())),
            Box::new(MessageIntegrity::new_short_term_integrity_with_provider(
                PASSWORD.to_owned(),
                provider.crypto(),
            )),
            Box::new(ADD_FINGERPRINT),
        ];
        message.build(&setters).unwrap();
        message.raw
    }

    #[test]
    fn a_request_by_another_hand_is_read_and_checked() {
        let bytes = request("ours:theirs");
        let request = BindingRequest::parse(&bytes).unwrap();
        assert_eq!(request.fragments(), Some((&b"ours"[..], &b"theirs"[..])));
        assert_eq!(claimed_ufrag(&bytes), Some(&b"ours"[..]));
        assert!(request.is_authentic(mac(PASSWORD).as_mut()));
        assert!(!request.is_authentic(mac("another-password-of-22").as_mut()));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let bytes = request("ours:theirs");
        // The FINGERPRINT comes after what the integrity covers; without it the request means the same.
        for at in 0..bytes.len() - FINGERPRINT_ATTRIBUTE_BYTES {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                let is_accepted = BindingRequest::parse(&changed)
                    .is_ok_and(|request| request.is_authentic(mac(PASSWORD).as_mut()));
                assert!(!is_accepted, "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn what_follows_the_integrity_is_not_believed() {
        let mut bytes = request("ours:theirs");
        bytes.truncate(bytes.len() - 8);
        bytes.extend_from_slice(&ATTR_USE_CANDIDATE.value().to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
        let length = (bytes.len() - 20) as u16;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        let request = BindingRequest::parse(&bytes).unwrap();
        assert!(request.is_authentic(mac(PASSWORD).as_mut()));
        assert!(!request.is_nominating);
    }

    #[test]
    fn a_response_is_read_by_another_hand() {
        let provider = rtc_crypto::default_provider().unwrap();
        for source in ["192.0.2.7:4242", "[2001:db8::7]:4242"] {
            let source: SocketAddr = source.parse().unwrap();
            let bytes = request("ours:theirs");
            let mut out = vec![0xee];
            let request = BindingRequest::parse(&bytes).unwrap();
            request.write_success(source, mac(PASSWORD).as_mut(), &mut out).unwrap();
            let mut response = Message::new();
            response.unmarshal_binary(&out[1..]).unwrap();
            MessageIntegrity::check(&mut response, PASSWORD.as_bytes(), provider.crypto()).unwrap();
            rtc_stun::fingerprint::FINGERPRINT.check(&response).unwrap();
            let mut mapped = XorMappedAddress::default();
            mapped.get_from(&response).unwrap();
            assert_eq!(SocketAddr::new(mapped.ip, mapped.port), source);
            assert_eq!(response.transaction_id.0, bytes[8..20]);
        }
    }

    #[test]
    fn truncated_requests_are_refused() {
        let bytes = request("ours:theirs");
        for length in 0..bytes.len() {
            assert!(BindingRequest::parse(&bytes[..length]).is_err());
            let _ = claimed_ufrag(&bytes[..length]);
        }
    }
}
