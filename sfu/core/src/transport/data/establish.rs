//! Channels as the establishment protocol has them (RFC 8832), and as signaling has them.

use bytes::{BufMut, Bytes, BytesMut};
use patchbay_protocol::ChannelDeclaration;

use super::{ChannelInfo, MAX_CHANNELS, MAX_STREAMS, Reliability};
use crate::ChannelKey;

const ACK: u8 = 2;
const OPEN: u8 = 3;
/// Channel types (RFC 8832 §8.2.2); the highest bit stands for unordered.
const RELIABLE: u8 = 0;
const MAX_RETRANSMITS: u8 = 1;
const MAX_LIFETIME: u8 = 2;
const UNORDERED: u8 = 0x80;
/// Between low and high (RFC 8831 §6.4).
const PRIORITY_NORMAL: u16 = 256;

/// A message of the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Establishment {
    /// DATA_CHANNEL_OPEN.
    Open(ChannelInfo),
    /// DATA_CHANNEL_ACK.
    Ack,
}

/// Why a channel cannot be declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeclareError {
    /// Another channel has the id.
    #[error("channel id {0} is taken by another channel")]
    Taken(u16),
    /// SCTP has no such stream here.
    #[error("channel id {0} is not below {MAX_STREAMS}")]
    OutOfRange(u16),
    /// There are as many channels as there may be.
    #[error("a transport has at most {MAX_CHANNELS} channels")]
    TooMany,
    /// Repetitions and lifetime are limited both.
    #[error("channel {0} limits both retransmissions and lifetime")]
    Contradictory(u16),
}

impl TryFrom<ChannelDeclaration> for ChannelInfo {
    type Error = DeclareError;

    fn try_from(it: ChannelDeclaration) -> Result<Self, DeclareError> {
        let reliability = match (it.max_retransmits, it.max_lifetime_ms) {
            (None, None) => Reliability::Reliable,
            (Some(count), None) => Reliability::MaxRetransmits(u32::from(count)),
            (None, Some(ms)) => Reliability::MaxLifetimeMs(u32::from(ms)),
            (Some(_), Some(_)) => return Err(DeclareError::Contradictory(it.id)),
        };
        let ChannelDeclaration { id, label, protocol, ordered, .. } = it;
        Ok(Self { key: ChannelKey(id), label, protocol, is_ordered: ordered, reliability })
    }
}

impl Establishment {
    /// Reads a message that came on a stream; `None` if it is too short, of a type that there is not, or not UTF-8.
    pub(super) fn parse(id: u16, message: &[u8]) -> Option<Self> {
        let (&kind, rest) = message.split_first()?;
        if kind == ACK {
            return Some(Self::Ack);
        }
        let (&[channel_type, _, _, r0, r1, r2, r3, l0, l1, p0, p1], words) = rest.split_first_chunk()?;
        if kind != OPEN {
            return None;
        }
        let parameter = u32::from_be_bytes([r0, r1, r2, r3]);
        let reliability = match channel_type & !UNORDERED {
            RELIABLE => Reliability::Reliable,
            MAX_RETRANSMITS => Reliability::MaxRetransmits(parameter),
            MAX_LIFETIME => Reliability::MaxLifetimeMs(parameter),
            _ => return None,
        };
        let (label, rest) = words.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
        let protocol = rest.get(..usize::from(u16::from_be_bytes([p0, p1])))?;
        let text = |it: &[u8]| std::str::from_utf8(it).ok().map(str::to_owned);
        Some(Self::Open(ChannelInfo {
            key: ChannelKey(id),
            label: text(label)?,
            protocol: text(protocol)?,
            is_ordered: channel_type & UNORDERED == 0,
            reliability,
        }))
    }

    /// The message; `None` if a name is longer than 65,535 bytes.
    pub(super) fn write(&self) -> Option<Bytes> {
        let Self::Open(info) = self else { return Some(Bytes::from_static(&[ACK])) };
        let (channel_type, parameter) = match info.reliability {
            Reliability::Reliable => (RELIABLE, 0),
            Reliability::MaxRetransmits(count) => (MAX_RETRANSMITS, count),
            Reliability::MaxLifetimeMs(ms) => (MAX_LIFETIME, ms),
        };
        let mut bytes = BytesMut::with_capacity(12 + info.label.len() + info.protocol.len());
        bytes.put_u8(OPEN);
        bytes.put_u8(channel_type | if info.is_ordered { 0 } else { UNORDERED });
        bytes.put_u16(PRIORITY_NORMAL);
        bytes.put_u32(parameter);
        bytes.put_u16(u16::try_from(info.label.len()).ok()?);
        bytes.put_u16(u16::try_from(info.protocol.len()).ok()?);
        bytes.put_slice(info.label.as_bytes());
        bytes.put_slice(info.protocol.as_bytes());
        Some(bytes.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(is_ordered: bool, reliability: Reliability) -> ChannelInfo {
        ChannelInfo {
            key: ChannelKey(7),
            label: "größe".to_owned(),
            protocol: "p".to_owned(),
            is_ordered,
            reliability,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for reliability in
            [Reliability::Reliable, Reliability::MaxRetransmits(0), Reliability::MaxLifetimeMs(70_000)]
        {
            for is_ordered in [true, false] {
                let open = Establishment::Open(info(is_ordered, reliability));
                let bytes = open.write().unwrap();
                assert_eq!(Establishment::parse(7, &bytes), Some(open));
                for at in 0..bytes.len() {
                    assert_eq!(Establishment::parse(7, &bytes[..at]), None, "{at} bytes");
                }
            }
        }
        assert_eq!(Establishment::parse(7, &Establishment::Ack.write().unwrap()), Some(Establishment::Ack));
    }

    #[test]
    fn bytes_are_those_of_the_rfc() {
        let mut info = info(false, Reliability::MaxLifetimeMs(500));
        info.label = "ab".to_owned();
        let bytes = Establishment::Open(info).write().unwrap();
        assert_eq!(bytes[..], [3, 0x82, 1, 0, 0, 0, 1, 244, 0, 2, 0, 1, b'a', b'b', b'p']);
    }

    #[test]
    fn what_there_is_not_is_refused() {
        for message in [&[][..], &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
        {
            assert_eq!(Establishment::parse(7, message), None);
        }
        assert_eq!(Establishment::parse(7, &[3, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0xff]), None, "not UTF-8");
    }
}
