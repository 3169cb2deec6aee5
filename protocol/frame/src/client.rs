//! Frames from a client to the server.

use crate::reader::{Frames, Reader, flag, key_len, write_head, write_key};
use crate::{Cell, Filters, FrameError, limit};

const PUBLISH: u8 = 0x01;
const SUBSCRIBE: u8 = 0x02;
const UNSUBSCRIBE: u8 = 0x03;
const PING: u8 = 0x04;

pub(crate) const TEXT: u8 = 0x01;
pub(crate) const TOMBSTONE: u8 = 0x02;
pub(crate) const HAS_KEY: u8 = 0x04;
pub(crate) const HAS_CELL: u8 = 0x08;
pub(crate) const HAS_TARGETS: u8 = 0x10;

const REPLACE: u8 = 0x01;

/// What a client says on a topic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ClientFrame<'a> {
    /// Something for others.
    Publish(Publish<'a>),
    /// Names what is wanted, in *interest* mode.
    Subscribe {
        /// Whether all that was wanted before is not any longer.
        replace: bool,
        /// What is wanted now.
        filters: Filters<'a>,
    },
    /// Names what is no longer wanted. No filters: nothing is.
    Unsubscribe {
        /// As they were subscribed to.
        filters: Filters<'a>,
    },
    /// Asks for the server's time.
    Ping {
        /// Comes back in `pong`.
        token: u64,
    },
}

/// Something for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Publish<'a> {
    /// Whether the payload is text, and is UTF-8. The server does not look.
    pub is_text: bool,
    /// Whether the value with this key ends, in modes that keep values.
    pub is_tombstone: bool,
    /// To whom. None: to everybody on the topic but the sender.
    pub targets: Option<Targets<'a>>,
    /// What it is about: the newest of each sender and key is kept, in modes that keep values.
    pub key: Option<&'a str>,
    /// Where it is.
    pub cell: Option<Cell>,
    /// The application's own.
    pub payload: &'a [u8],
}

/// The participants that a message is addressed to: 1 to 128 numbers.
#[derive(Debug, Clone, Copy)]
pub enum Targets<'a> {
    /// As they came: 4 bytes each.
    Read(&'a [u8]),
    /// To be written.
    List(&'a [u32]),
}

impl<'a> Targets<'a> {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = u32> + 'a {
        let (read, list) = match *self {
            Self::Read(bytes) => (bytes, &[][..]),
            Self::List(list) => (&[][..], list),
        };
        let (numbers, _) = read.as_chunks::<4>();
        numbers.iter().map(|number| u32::from_be_bytes(*number)).chain(list.iter().copied())
    }

    fn count(&self) -> usize {
        match self {
            Self::Read(bytes) => bytes.len() / 4,
            Self::List(list) => list.len(),
        }
        .min(limit::TARGETS)
    }
}

impl PartialEq for Targets<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Targets<'_> {}

impl<'a> ClientFrame<'a> {
    /// Appends the frame to a message.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Publish(publish) => publish.write(out),
            Self::Subscribe { replace, filters } => {
                write_head(SUBSCRIBE, 1 + filters.len(), out);
                out.push(flag(*replace, REPLACE));
                filters.write(out);
            }
            Self::Unsubscribe { filters } => {
                write_head(UNSUBSCRIBE, filters.len(), out);
                filters.write(out);
            }
            Self::Ping { token } => {
                write_head(PING, 8, out);
                out.extend_from_slice(&token.to_be_bytes());
            }
        }
    }

    fn read(kind: u8, mut body: Reader<'a>) -> Option<Result<Self, FrameError>> {
        Some(match kind {
            PUBLISH => Publish::read(body).map(Self::Publish),
            SUBSCRIBE => body.u8().and_then(|flags| {
                Ok(Self::Subscribe { replace: flags & REPLACE != 0, filters: Filters::read(body)? })
            }),
            UNSUBSCRIBE => Filters::read(body).map(|filters| Self::Unsubscribe { filters }),
            PING => body.u64().map(|token| Self::Ping { token }),
            _ => return None,
        })
    }
}

impl<'a> Publish<'a> {
    fn write(&self, out: &mut Vec<u8>) {
        let targets = self.targets.filter(|targets| targets.count() > 0);
        let flags = flag(self.is_text, TEXT)
            | flag(self.is_tombstone, TOMBSTONE)
            | flag(self.key.is_some(), HAS_KEY)
            | flag(self.cell.is_some(), HAS_CELL)
            | flag(targets.is_some(), HAS_TARGETS);
        let length = 1
            + targets.map_or(0, |targets| 1 + 4 * targets.count())
            + self.key.map_or(0, key_len)
            + self.cell.map_or(0, |_| 4)
            + self.payload.len();
        write_head(PUBLISH, length, out);
        out.push(flags);
        if let Some(targets) = targets {
            out.push(targets.count() as u8);
            targets.iter().take(limit::TARGETS).for_each(|it| out.extend_from_slice(&it.to_be_bytes()));
        }
        if let Some(key) = self.key {
            write_key(key, out);
        }
        if let Some(cell) = self.cell {
            out.extend_from_slice(&cell.x.to_be_bytes());
            out.extend_from_slice(&cell.y.to_be_bytes());
        }
        out.extend_from_slice(self.payload);
    }

    fn read(mut body: Reader<'a>) -> Result<Self, FrameError> {
        let flags = body.u8()?;
        let has = |flag| flags & flag != 0;
        let mut publish = Self { is_text: has(TEXT), is_tombstone: has(TOMBSTONE), ..Self::default() };
        if has(HAS_TARGETS) {
            let count = usize::from(body.u8()?);
            if !(1..=limit::TARGETS).contains(&count) {
                return Err(FrameError::BadTargets);
            }
            publish.targets = Some(Targets::Read(body.bytes(4 * count)?));
        }
        if has(HAS_KEY) {
            publish.key = Some(body.key()?);
        }
        if has(HAS_CELL) {
            publish.cell = Some(Cell { x: body.i16()?, y: body.i16()? });
        }
        publish.payload = body.0;
        Ok(publish)
    }
}

/// The frames of one message from a client. Ends with the first error; frames of unknown types are passed over.
pub fn client_frames(message: &[u8]) -> impl Iterator<Item = Result<ClientFrame<'_>, FrameError>> {
    Frames { reader: Reader(message), read: ClientFrame::read }
}
