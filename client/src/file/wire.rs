//! The messages of a transfer: a kind, the transfer's id, and a body. `docs/protocol.md` specifies them.

use serde::{Deserialize, Serialize};

/// The topic of all transfers of a room.
pub(crate) const TOPIC: &str = "patchbay.files";
/// Bytes of one chunk: with its frame it stays below 16 KiB.
pub(super) const CHUNK_BYTES: usize = 16_000;
/// Bytes that may be on their way before the receiver asks for more.
pub(super) const WINDOW_BYTES: u64 = 256 * 1024;
/// Bytes of a name.
const NAME_CHARS: usize = 255;

const OFFER: u8 = 1;
const ACCEPT: u8 = 2;
const CHUNK: u8 = 3;
const ACK: u8 = 4;
const CANCEL: u8 = 5;

/// What an offer says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Description {
    pub(super) name: String,
    pub(super) size: u64,
    #[serde(default, rename = "type")]
    pub(super) media_type: String,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// From the sender: there is something.
    Offer(Description),
    /// From the receiver: it is wanted, from this byte on. Said again when something is missing.
    Accept(u64),
    /// From the sender: a piece, and where it begins.
    Chunk(u64, Vec<u8>),
    /// From the receiver: bytes received so far.
    Ack(u64),
    /// From either: it ends here, in words.
    Cancel(String),
}

impl Part {
    pub(super) fn write(&self, id: u32) -> Vec<u8> {
        let (kind, body) = match self {
            Self::Offer(description) => (OFFER, serde_json::to_vec(description).unwrap_or_default()),
            Self::Accept(received) => (ACCEPT, received.to_be_bytes().to_vec()),
            Self::Chunk(at, chunk) => (CHUNK, [&at.to_be_bytes()[..], chunk].concat()),
            Self::Ack(received) => (ACK, received.to_be_bytes().to_vec()),
            Self::Cancel(reason) => (CANCEL, reason.clone().into_bytes()),
        };
        let mut message = Vec::with_capacity(5 + body.len());
        message.push(kind);
        message.extend_from_slice(&id.to_be_bytes());
        message.extend_from_slice(&body);
        message
    }

    pub(super) fn read(message: &[u8]) -> Option<(u32, Self)> {
        let (kind, rest) = message.split_first()?;
        let (id, body) = rest.split_first_chunk::<4>()?;
        let number = || body.try_into().map(u64::from_be_bytes).ok();
        let part = match *kind {
            OFFER => {
                let mut description: Description = serde_json::from_slice(body).ok()?;
                description.name = description.name.chars().take(NAME_CHARS).collect();
                Self::Offer(description)
            }
            ACCEPT => Self::Accept(number()?),
            CHUNK => {
                let (at, chunk) = body.split_first_chunk::<8>()?;
                Self::Chunk(u64::from_be_bytes(*at), chunk.to_vec())
            }
            ACK => Self::Ack(number()?),
            CANCEL => Self::Cancel(String::from_utf8_lossy(body).into_owned()),
            _ => return None,
        };
        Some((u32::from_be_bytes(*id), part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_as_they_were_written() {
        let description =
            Description { name: "a.bin".into(), size: 1 << 40, media_type: "text/plain".into() };
        for part in [
            Part::Offer(description),
            Part::Accept(0),
            Part::Chunk(1 << 33, vec![1, 2, 3]),
            Part::Ack(u64::MAX),
            Part::Cancel("no".into()),
        ] {
            assert_eq!(Part::read(&part.write(7)), Some((7, part)));
        }
        for broken in [
            &[][..],
            &[1, 0, 0, 0],
            &[1, 0, 0, 0, 1, b'{'],
            &[2, 0, 0, 0, 1, 0],
            &[3, 0, 0, 0, 1, 0],
            &[9, 0, 0, 0, 1],
        ] {
            assert_eq!(Part::read(broken), None);
        }
    }
}
