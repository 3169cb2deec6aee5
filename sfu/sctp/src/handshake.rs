//! How an association begins (RFC 9260 §5): INIT, INIT-ACK, COOKIE-ECHO, COOKIE-ACK.
//!
//! DTLS has authenticated the peer and nobody else can send, so a cookie protects nothing here: it carries what the peer said in
//! its INIT, and a number that shows that it is ours. Both ends may begin at once (§5.2.1): each answers with the tag
//! and the TSN of its own INIT, and whichever cookie comes back first, both arrive at the same.

use bytes::{BufMut, Bytes, BytesMut};

use crate::packet::{Builder, FORWARD_TSN, INIT, INIT_ACK, RE_CONFIG, half, parameters, put_parameter, word};

const STATE_COOKIE: u16 = 7;
const SUPPORTED_EXTENSIONS: u16 = 0x8008;
const FORWARD_TSN_SUPPORTED: u16 = 0xc000;
const FIXED_BYTES: usize = 16;

/// What one end says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Introduction {
    /// What it wants to see in every packet.
    pub(crate) tag: u32,
    /// What it has room for, in bytes.
    pub(crate) window: u32,
    /// Streams that it takes.
    pub(crate) streams: u16,
    /// Its first TSN.
    pub(crate) tsn: u32,
    /// Whether it can be told of what was given up (RFC 3758).
    pub(crate) takes_forward: bool,
}

impl Introduction {
    /// Reads INIT or INIT-ACK; `None` if it is too short or names no tag or no stream (RFC 9260 §3.3.2).
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let (tag, window, tsn) = (word(value, 0)?, word(value, 4)?, word(value, 12)?);
        let (outgoing, streams) = (half(value, 8)?, half(value, 10)?);
        let parameters = || parameters(value.get(FIXED_BYTES..).unwrap_or_default());
        let takes_forward = parameters().any(|(kind, extensions)| {
            kind == FORWARD_TSN_SUPPORTED || kind == SUPPORTED_EXTENSIONS && extensions.contains(&FORWARD_TSN)
        });
        (tag != 0 && outgoing != 0 && streams != 0).then_some(Self {
            tag,
            window,
            streams,
            tsn,
            takes_forward,
        })
    }

    /// Writes INIT.
    pub(crate) fn write_init(&self, packet: &mut Builder) {
        packet.chunk(INIT, 0, |bytes| self.write(bytes));
    }

    /// Writes INIT-ACK with a cookie for the peer that `other` is.
    pub(crate) fn write_init_ack(&self, packet: &mut Builder, secret: u64, other: &Self) {
        packet.chunk(INIT_ACK, 0, |bytes| {
            self.write(bytes);
            put_parameter(bytes, STATE_COOKIE, |bytes| {
                bytes.put_u64(secret);
                bytes.put_u32(other.tag);
                bytes.put_u32(other.window);
                bytes.put_u32(other.tsn);
                bytes.put_u16(other.streams);
                bytes.put_u16(u16::from(other.takes_forward));
            });
        });
    }

    /// Reads what a cookie of ours says of the peer.
    pub(crate) fn from_cookie(cookie: &[u8], secret: u64) -> Option<Self> {
        let &[s0, s1, s2, s3, s4, s5, s6, s7] = cookie.first_chunk()?;
        if u64::from_be_bytes([s0, s1, s2, s3, s4, s5, s6, s7]) != secret {
            return None;
        }
        Some(Self {
            tag: word(cookie, 8)?,
            window: word(cookie, 12)?,
            tsn: word(cookie, 16)?,
            streams: half(cookie, 20)?,
            takes_forward: half(cookie, 22)? != 0,
        })
    }

    fn write(&self, bytes: &mut BytesMut) {
        bytes.put_u32(self.tag);
        bytes.put_u32(self.window);
        bytes.put_u16(self.streams);
        bytes.put_u16(self.streams);
        bytes.put_u32(self.tsn);
        put_parameter(bytes, SUPPORTED_EXTENSIONS, |bytes| bytes.put_slice(&[RE_CONFIG, FORWARD_TSN]));
        put_parameter(bytes, FORWARD_TSN_SUPPORTED, |_| {});
    }
}

/// The cookie in an INIT-ACK.
pub(crate) fn cookie(value: &[u8]) -> Option<Bytes> {
    let mut parameters = parameters(value.get(FIXED_BYTES..)?);
    parameters.find(|(kind, _)| *kind == STATE_COOKIE).map(|(_, cookie)| Bytes::copy_from_slice(cookie))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Header, parse};

    #[test]
    fn what_was_said_comes_back_in_the_cookie() {
        let ours = Introduction { tag: 7, window: 1_000, streams: 12, tsn: 99, takes_forward: true };
        let theirs = Introduction { tag: 8, window: 2_000, streams: 13, tsn: u32::MAX, takes_forward: true };
        let mut packet = Builder::new(Header { source_port: 1, destination_port: 2, tag: 8 });
        ours.write_init_ack(&mut packet, 0x1234_5678_9abc, &theirs);
        let packet = packet.finish();
        let (_, mut chunks) = parse(&packet).unwrap();
        let chunk = chunks.next().unwrap();
        assert_eq!(Introduction::parse(chunk.value), Some(ours));
        let cookie = cookie(chunk.value).unwrap();
        assert_eq!(Introduction::from_cookie(&cookie, 0x1234_5678_9abc), Some(theirs));
        assert_eq!(Introduction::from_cookie(&cookie, 1), None, "not ours");
        for at in 0..chunk.value.len() {
            let _ = Introduction::parse(&chunk.value[..at]);
        }
        for at in 0..cookie.len() {
            assert_eq!(Introduction::from_cookie(&cookie[..at], 0x1234_5678_9abc), None);
        }
    }

    #[test]
    fn who_has_no_tag_is_nobody() {
        let mut value = [1; 16];
        assert!(Introduction::parse(&value).is_some_and(|it| !it.takes_forward));
        value[..4].fill(0);
        assert_eq!(Introduction::parse(&value), None);
    }
}
