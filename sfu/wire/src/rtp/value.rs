//! Typed values of the header extensions the SFU reads or writes itself. Others are passed on as bytes.
use std::time::Duration;

/// Audio level of the packet's sound (RFC 6464), `urn:ietf:params:rtp-hdrext:ssrc-audio-level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioLevel {
    /// Loudness in −dBov: 0 is the loudest there is, 127 is silence.
    pub level: u8,
    /// True when the sender believes there is voice in it.
    pub voice: bool,
}

impl AudioLevel {
    /// Reads the element's first byte; `None` if it is empty.
    #[inline]
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let first = *value.first()?;
        Some(Self { level: first & 0x7f, voice: first & 0x80 != 0 })
    }

    /// The element's value. Levels above 127 are written as 127.
    #[inline]
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 1] {
        let level = if self.level > 127 { 127 } else { self.level };
        [level | (self.voice as u8) << 7]
    }
}

/// When the packet left the sender: 24 bits, seconds as 6.18 fixed point, wrapping every 64 s
/// (`http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbsSendTime(pub u32);

impl AbsSendTime {
    /// Reads the three bytes; `None` if the length is another.
    #[inline]
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let &[a, b, c] = value else { return None };
        Some(Self(u32::from_be_bytes([0, a, b, c])))
    }

    /// The element's value; the upper eight bits are dropped.
    #[inline]
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 3] {
        let [_, a, b, c] = self.0.to_be_bytes();
        [a, b, c]
    }

    /// The time that stands for `elapsed` on the sender's clock.
    #[inline]
    #[must_use]
    pub const fn from_duration(elapsed: Duration) -> Self {
        let fraction = ((elapsed.subsec_nanos() as u64) << 18) / 1_000_000_000;
        let fixed = (elapsed.as_secs() % 64) << 18 | fraction;
        Self(fixed as u32 & 0x00ff_ffff)
    }
}

/// Transport-wide sequence number, one series for all packets of a transport
/// (draft-holmer-rmcat-transport-wide-cc-extensions-01 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransportSequence(pub u16);

impl TransportSequence {
    /// Reads the first two bytes (version 2 of the extension appends a feedback request); `None` if shorter.
    #[inline]
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        value.first_chunk().map(|bytes| Self(u16::from_be_bytes(*bytes)))
    }

    /// The element's value.
    #[inline]
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }
}

/// Coordination of video orientation (3GPP TS 26.114 §7.4.5): camera, flip and rotation bits, passed through as they
/// are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoOrientation(pub u8);

impl VideoOrientation {
    /// Reads the one byte; `None` if the length is another.
    #[inline]
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let &[bits] = value else { return None };
        Some(Self(bits))
    }

    /// The element's value.
    #[inline]
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 1] {
        [self.0]
    }
}

/// Limits on the receiver's playout delay (`http://www.webrtc.org/experiments/rtp-hdrext/playout-delay`): two 12-bit
/// numbers in units of 10 ms, passed through as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayoutDelay(pub [u8; 3]);

impl PlayoutDelay {
    /// Reads the three bytes; `None` if the length is another.
    #[inline]
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        value.try_into().ok().map(Self)
    }

    /// The element's value.
    #[inline]
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 3] {
        self.0
    }
}

/// Reads a media section's id (RFC 9143 §15, `urn:ietf:params:rtp-hdrext:sdes:mid`): one or more characters of an SDP
/// token; `None` for anything else.
#[inline]
#[must_use]
pub fn parse_mid(value: &[u8]) -> Option<&str> {
    let is_token = |byte: &u8| {
        byte.is_ascii_graphic()
            && !matches!(byte, b'"' | b'(' | b')' | b',' | b'/' | b':'..=b'@' | b'['..=b']')
    };
    non_empty_ascii(value, is_token)
}

/// Reads an encoding's id, for both the `rtp-stream-id` and the `repaired-rtp-stream-id` element (RFC 8852 §3): one or
/// more letters, digits, `-` or `_`; `None` for anything else.
#[inline]
#[must_use]
pub fn parse_rid(value: &[u8]) -> Option<&str> {
    non_empty_ascii(value, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[inline]
fn non_empty_ascii(value: &[u8], is_allowed: impl Fn(&u8) -> bool) -> Option<&str> {
    if value.is_empty() || !value.iter().all(is_allowed) {
        return None;
    }
    std::str::from_utf8(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_level() {
        assert_eq!(AudioLevel::parse(&[0x80 | 30]), Some(AudioLevel { level: 30, voice: true }));
        assert_eq!(AudioLevel::parse(&[127, 0]), Some(AudioLevel { level: 127, voice: false }));
        assert_eq!(AudioLevel::parse(&[]), None);
        assert_eq!(AudioLevel { level: 200, voice: true }.to_bytes(), [0xff]);
        for byte in 0..=255u8 {
            assert_eq!(AudioLevel::parse(&[byte]).unwrap().to_bytes(), [byte]);
        }
    }

    #[test]
    fn abs_send_time() {
        assert_eq!(AbsSendTime::from_duration(Duration::from_millis(500)).0, 1 << 17);
        assert_eq!(AbsSendTime::from_duration(Duration::from_millis(64_250)).0, 1 << 16);
        assert_eq!(AbsSendTime::parse(&[1, 2, 3]), Some(AbsSendTime(0x01_0203)));
        assert_eq!(AbsSendTime(0xff01_0203).to_bytes(), [1, 2, 3]);
        assert_eq!(AbsSendTime::parse(&[1, 2]), None);
    }

    #[test]
    fn short_values() {
        assert_eq!(TransportSequence::parse(&[1]), None);
        assert_eq!(TransportSequence::parse(&[1, 2, 0, 0]), Some(TransportSequence(0x0102)));
        assert_eq!(TransportSequence(0x0102).to_bytes(), [1, 2]);
        assert_eq!(VideoOrientation::parse(&[3]).unwrap().to_bytes(), [3]);
        assert_eq!(VideoOrientation::parse(&[]), None);
        assert_eq!(PlayoutDelay::parse(&[1, 2, 3]).unwrap().to_bytes(), [1, 2, 3]);
        assert_eq!(PlayoutDelay::parse(&[1, 2, 3, 4]), None);
    }

    #[test]
    fn ids_are_strict() {
        assert_eq!(parse_mid(b"0"), Some("0"));
        assert_eq!(parse_mid(b"audio.1{x}"), Some("audio.1{x}"));
        for bad in [&b""[..], b"a b", b"a\"", b"a:b", b"a@", b"a[b", b"\xc3\xa4", b"a\0"] {
            assert_eq!(parse_mid(bad), None, "{bad:?}");
        }
        assert_eq!(parse_rid(b"hi_1-x"), Some("hi_1-x"));
        for bad in [&b""[..], b"h.", b"\xff"] {
            assert_eq!(parse_rid(bad), None, "{bad:?}");
        }
    }
}
