//! Reads which SRTP profiles a client offers, before the DTLS machine sees its ClientHello.
//!
//! `rtc-dtls`'s server takes the first profile in the *client's* order that it has itself, and Chromium puts AES-CM before
//! AES-GCM, which costs four times as much per packet. So the machine is given one profile only, and which one is
//! decided here. A ClientHello spans several datagrams (Chromium's: about 1,200 and 260 bytes, because of its post-quantum
//! key share), so it is put together first.

use patchbay_wire::srtp::SrtpProfile;

use super::guard::{
    FRAGMENT_HEADER_BYTES, Fragment, HANDSHAKE, RECORD_HEADER_BYTES, split_fragment, split_record,
};

const CLIENT_HELLO: u8 = 1;
const USE_SRTP: u16 = 14;
/// Longest ClientHello taken. Cost of raising: this much memory per transport in its handshake.
const MAX_CLIENT_HELLO_BYTES: usize = 8 * 1024;

/// Puts the first ClientHello together.
#[derive(Default)]
pub(super) struct ClientHelloAssembler {
    body: Vec<u8>,
    has: Vec<bool>,
    missing: usize,
    last_record: Option<[u8; RECORD_HEADER_BYTES]>,
}

/// A complete first ClientHello.
pub(super) struct ClientHello {
    /// As one datagram with one record, for the DTLS machine. The handshake's transcript does not depend on fragmentation
    /// (RFC 6347 §4.2.6).
    pub(super) datagram: Vec<u8>,
    /// What is to be negotiated; `None` if the client offers no SRTP at all.
    pub(super) profile: Result<Option<SrtpProfile>, NoCommonProfile>,
}

/// The client offers SRTP, but no profile that we have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoCommonProfile;

impl ClientHelloAssembler {
    /// Takes a datagram that the guard has let pass; gives the ClientHello once all of it is there.
    pub(super) fn push(&mut self, datagram: &[u8]) -> Option<ClientHello> {
        let mut rest = datagram;
        while let Some((record, further)) = split_record(rest) {
            rest = further;
            if record.kind != HANDSHAKE || record.epoch != 0 {
                continue;
            }
            self.last_record = Some(*record.header);
            let mut fragments = record.body;
            while let Some((fragment, further)) = split_fragment(fragments) {
                fragments = further;
                if fragment.kind == CLIENT_HELLO && fragment.number == 0 {
                    self.insert(&fragment);
                }
            }
        }
        self.finish()
    }

    fn insert(&mut self, fragment: &Fragment<'_>) {
        if fragment.message_length == 0 || fragment.message_length > MAX_CLIENT_HELLO_BYTES {
            return;
        }
        if self.body.len() != fragment.message_length {
            self.body = vec![0; fragment.message_length];
            self.has = vec![false; fragment.message_length];
            self.missing = fragment.message_length;
        }
        let range = fragment.offset..fragment.offset + fragment.body.len();
        let (Some(body), Some(has)) = (self.body.get_mut(range.clone()), self.has.get_mut(range)) else {
            return;
        };
        body.copy_from_slice(fragment.body);
        self.missing -= has.iter().filter(|&&has| !has).count();
        has.fill(true);
    }

    fn finish(&mut self) -> Option<ClientHello> {
        if self.body.is_empty() || self.missing > 0 {
            return None;
        }
        let body = std::mem::take(&mut self.body);
        let [kind, major, minor, e0, e1, s0, s1, s2, s3, s4, s5, _, _] = self.last_record?;
        let [l0, l1] = ((body.len() + FRAGMENT_HEADER_BYTES) as u16).to_be_bytes();
        let [_, m0, m1, m2] = (body.len() as u32).to_be_bytes();
        let mut datagram = vec![kind, major, minor, e0, e1, s0, s1, s2, s3, s4, s5, l0, l1];
        datagram.extend_from_slice(&[CLIENT_HELLO, m0, m1, m2, 0, 0, 0, 0, 0, m0, m1, m2]);
        datagram.extend_from_slice(&body);
        Some(ClientHello { datagram, profile: choose(&body) })
    }
}

/// AES-128-GCM if it is there at all, else AES-CM, which hardware does fast enough everywhere, else AES-256-GCM.
fn choose(body: &[u8]) -> Result<Option<SrtpProfile>, NoCommonProfile> {
    let Some(offered) = offered_profiles(body) else { return Ok(None) };
    let has = |profile: SrtpProfile| offered.chunks_exact(2).any(|id| id == profile.dtls_id().to_be_bytes());
    [SrtpProfile::AeadAes128Gcm, SrtpProfile::Aes128CmHmacSha1_80, SrtpProfile::AeadAes256Gcm]
        .into_iter()
        .find(|&profile| has(profile))
        .map(Some)
        .ok_or(NoCommonProfile)
}

/// The list of profile numbers in `use_srtp` (RFC 5764 §4.1.1), if the extension is there.
fn offered_profiles(body: &[u8]) -> Option<&[u8]> {
    const VERSION_AND_RANDOM_BYTES: usize = 34;
    let rest = body.get(VERSION_AND_RANDOM_BYTES..)?;
    let (_session_id, rest) = split_vector8(rest)?;
    let (_cookie, rest) = split_vector8(rest)?;
    let (_cipher_suites, rest) = split_vector16(rest)?;
    let (_compression_methods, rest) = split_vector8(rest)?;
    let (mut extensions, _) = split_vector16(rest)?;
    loop {
        let (&[k0, k1], rest) = extensions.split_first_chunk()?;
        let (value, rest) = split_vector16(rest)?;
        if u16::from_be_bytes([k0, k1]) == USE_SRTP {
            return Some(split_vector16(value)?.0);
        }
        extensions = rest;
    }
}

fn split_vector8(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(length))
}

fn split_vector16(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(profiles: Option<&[u16]>) -> Vec<u8> {
        let mut body = vec![0xfe, 0xfd];
        body.extend_from_slice(&[7; 32]);
        body.extend_from_slice(&[0, 0, 0, 2, 0xc0, 0x2b, 1, 0]);
        // An extension of 1,200 bytes before the one that matters.
        let mut extensions = vec![0, 51, 4, 0xb0];
        extensions.extend_from_slice(&[9; 1200]);
        if let Some(profiles) = profiles {
            let list_bytes = profiles.len() as u16 * 2;
            extensions.extend_from_slice(&[0, 14]);
            extensions.extend_from_slice(&(list_bytes + 3).to_be_bytes());
            extensions.extend_from_slice(&list_bytes.to_be_bytes());
            extensions.extend(profiles.iter().flat_map(|id| id.to_be_bytes()));
            extensions.push(0);
        }
        body.extend_from_slice(&(extensions.len() as u16).to_be_bytes());
        body.extend(extensions);
        body
    }

    fn datagrams(body: &[u8], size: usize) -> Vec<Vec<u8>> {
        let mut offset = 0;
        let pieces = body.chunks(size).enumerate().map(|(number, piece)| {
            let mut datagram = vec![HANDSHAKE, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, number as u8];
            datagram.extend_from_slice(&((piece.len() + 12) as u16).to_be_bytes());
            datagram.push(CLIENT_HELLO);
            datagram.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
            datagram.extend_from_slice(&[0, 0]);
            datagram.extend_from_slice(&(offset as u32).to_be_bytes()[1..]);
            datagram.extend_from_slice(&(piece.len() as u32).to_be_bytes()[1..]);
            datagram.extend_from_slice(piece);
            offset += piece.len();
            datagram
        });
        pieces.collect()
    }

    fn assemble(datagrams: &[Vec<u8>]) -> Option<ClientHello> {
        let mut assembler = ClientHelloAssembler::default();
        datagrams.iter().find_map(|datagram| assembler.push(datagram))
    }

    #[test]
    fn gcm_wins_wherever_it_stands() {
        let cases: [(&[u16], _); 5] = [
            (&[1, 8, 7], Ok(Some(SrtpProfile::AeadAes128Gcm))),
            (&[7, 8, 1, 2], Ok(Some(SrtpProfile::AeadAes128Gcm))),
            (&[2, 1], Ok(Some(SrtpProfile::Aes128CmHmacSha1_80))),
            (&[8], Ok(Some(SrtpProfile::AeadAes256Gcm))),
            (&[2, 5], Err(NoCommonProfile)),
        ];
        for (offered, expected) in cases {
            let hello = assemble(&datagrams(&hello(Some(offered)), 1187)).unwrap();
            assert_eq!(hello.profile, expected, "{offered:?}");
        }
        assert_eq!(assemble(&datagrams(&hello(None), 1187)).unwrap().profile, Ok(None));
    }

    #[test]
    fn fragments_come_in_any_order_and_number() {
        let body = hello(Some(&[1, 7]));
        for size in [48, 100, 700, 5000] {
            let mut pieces = datagrams(&body, size);
            pieces.reverse();
            let again = pieces.clone();
            let last = pieces.pop();
            assert!(assemble(&pieces).is_none() || size == 5000);
            pieces.extend(again);
            pieces.extend(last);
            let hello = assemble(&pieces).unwrap();
            assert_eq!(hello.profile, Ok(Some(SrtpProfile::AeadAes128Gcm)));
            assert_eq!(&hello.datagram[25..], body);
            assert!(assemble(&[hello.datagram]).is_some());
        }
    }

    #[test]
    fn truncated_hellos_offer_nothing() {
        let body = hello(Some(&[1, 7]));
        for length in 0..body.len() - 1 {
            assert!(
                !matches!(choose(&body[..length]), Ok(Some(SrtpProfile::AeadAes128Gcm)))
                    || length + 3 > body.len()
            );
        }
    }
}
