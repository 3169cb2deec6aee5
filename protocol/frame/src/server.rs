//! Frames from the server to a client.

use crate::client::{HAS_CELL, HAS_KEY, HAS_TARGETS, TEXT, TOMBSTONE};
use crate::reader::{Frames, Reader, flag, key_len, write_head, write_key};
use crate::{Cell, Departure, FRAME_VERSION, FrameError, Mode, Settings, SlowReceiver, TopicError};

const WELCOME: u8 = 0x81;
const MESSAGE: u8 = 0x82;
const SNAPSHOT_BEGIN: u8 = 0x83;
const SNAPSHOT_END: u8 = 0x84;
const ERROR: u8 = 0x85;
const PONG: u8 = 0x86;

const LEFT: u8 = 0x20;

const MAY_PUBLISH: u8 = 0x01;
const MAY_SUBSCRIBE: u8 = 0x02;
const WAITS: u8 = 0x04;
const KEEPS: u8 = 0x08;

/// What the server says on a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerFrame<'a> {
    /// First on every channel.
    Welcome(Welcome),
    /// Something that somebody published.
    Message(Message<'a>),
    /// The values that are kept follow, each as a message; others may come between them.
    SnapshotBegin {
        /// How many there are.
        count: u32,
    },
    /// All of the snapshot was sent.
    SnapshotEnd,
    /// Something went wrong. The channel goes on, but after `too_slow`.
    Error {
        /// What: see [`TopicError`]. Codes may be added.
        code: u8,
        /// In words, for a person.
        text: &'a str,
    },
    /// Answers `ping`, at once.
    Pong {
        /// As it came.
        token: u64,
        /// Server time in µs since the Unix epoch.
        time: u64,
    },
}

/// What a channel begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Welcome {
    /// Version of the frames.
    pub version: u8,
    /// The receiver's own number.
    pub participant: u32,
    /// Server time in µs since the Unix epoch.
    pub time: u64,
    /// Whether the receiver may publish here.
    pub may_publish: bool,
    /// Whether it may subscribe.
    pub may_subscribe: bool,
    /// The settings that the topic lives with.
    pub settings: Settings,
}

/// Something that somebody published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Message<'a> {
    /// Whether the payload is text.
    pub is_text: bool,
    /// Whether the value with this key has ended.
    pub is_tombstone: bool,
    /// Whether it was addressed to some, of whom the receiver is one.
    pub is_targeted: bool,
    /// Whether the value with this key went out of what the receiver wants. It has no payload.
    pub is_left: bool,
    /// Who published it; 0 is the server itself.
    pub sender: u32,
    /// Counts what this sender published on this topic, from 1, wrapping.
    pub sequence: u32,
    /// When the server took it, in µs since the Unix epoch.
    pub time: u64,
    /// What it is about.
    pub key: Option<&'a str>,
    /// Where it is.
    pub cell: Option<Cell>,
    /// The application's own.
    pub payload: &'a [u8],
}

impl<'a> ServerFrame<'a> {
    /// Appends the frame to a message.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Welcome(welcome) => welcome.write(out),
            Self::Message(message) => message.write(out),
            Self::SnapshotBegin { count } => {
                write_head(SNAPSHOT_BEGIN, 4, out);
                out.extend_from_slice(&count.to_be_bytes());
            }
            Self::SnapshotEnd => write_head(SNAPSHOT_END, 0, out),
            Self::Error { code, text } => {
                write_head(ERROR, 1 + text.len(), out);
                out.push(*code);
                out.extend_from_slice(text.as_bytes());
            }
            Self::Pong { token, time } => {
                write_head(PONG, 16, out);
                out.extend_from_slice(&token.to_be_bytes());
                out.extend_from_slice(&time.to_be_bytes());
            }
        }
    }

    fn read(kind: u8, mut body: Reader<'a>) -> Option<Result<Self, FrameError>> {
        Some(match kind {
            WELCOME => Welcome::read(body).map(Self::Welcome),
            MESSAGE => Message::read(body).map(Self::Message),
            SNAPSHOT_BEGIN => body.u32().map(|count| Self::SnapshotBegin { count }),
            SNAPSHOT_END => Ok(Self::SnapshotEnd),
            ERROR => body.u8().and_then(|code| {
                let text = std::str::from_utf8(body.0).map_err(|_| FrameError::BadValue)?;
                Ok(Self::Error { code, text })
            }),
            PONG => body.u64().and_then(|token| Ok(Self::Pong { token, time: body.u64()? })),
            _ => return None,
        })
    }
}

impl Welcome {
    /// A welcome of this version.
    pub fn new(participant: u32, time: u64, settings: Settings) -> Self {
        let version = FRAME_VERSION;
        Self { version, participant, time, may_publish: true, may_subscribe: true, settings }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let Settings { mode, rate, ttl_ms, slow, departure } = self.settings;
        write_head(WELCOME, 23, out);
        out.push(self.version);
        out.extend_from_slice(&self.participant.to_be_bytes());
        out.extend_from_slice(&self.time.to_be_bytes());
        out.push(mode.code());
        out.push(
            flag(self.may_publish, MAY_PUBLISH)
                | flag(self.may_subscribe, MAY_SUBSCRIBE)
                | flag(slow == SlowReceiver::Wait, WAITS)
                | flag(departure == Departure::Keep, KEEPS),
        );
        out.extend_from_slice(&rate.to_be_bytes());
        out.extend_from_slice(&ttl_ms.to_be_bytes());
    }

    fn read(mut body: Reader<'_>) -> Result<Self, FrameError> {
        let (version, participant, time) = (body.u8()?, body.u32()?, body.u64()?);
        let mode = Mode::from_code(body.u8()?).ok_or(FrameError::BadValue)?;
        let flags = body.u8()?;
        let has = |flag| flags & flag != 0;
        let settings = Settings {
            mode,
            rate: body.u32()?,
            ttl_ms: body.u32()?,
            slow: if has(WAITS) { SlowReceiver::Wait } else { SlowReceiver::Cut },
            departure: if has(KEEPS) { Departure::Keep } else { Departure::Drop },
        };
        let (may_publish, may_subscribe) = (has(MAY_PUBLISH), has(MAY_SUBSCRIBE));
        Ok(Self { version, participant, time, may_publish, may_subscribe, settings })
    }
}

impl<'a> Message<'a> {
    /// Bytes that [`ServerFrame::write`] appends for this.
    pub fn encoded_len(&self) -> usize {
        let body = self.body_len();
        body + match body {
            0..0x40 => 2,
            0x40..0x4000 => 3,
            _ => 5,
        }
    }

    fn body_len(&self) -> usize {
        17 + self.key.map_or(0, key_len) + self.cell.map_or(0, |_| 4) + self.payload.len()
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_head(MESSAGE, self.body_len(), out);
        out.push(
            flag(self.is_text, TEXT)
                | flag(self.is_tombstone, TOMBSTONE)
                | flag(self.key.is_some(), HAS_KEY)
                | flag(self.cell.is_some(), HAS_CELL)
                | flag(self.is_targeted, HAS_TARGETS)
                | flag(self.is_left, LEFT),
        );
        out.extend_from_slice(&self.sender.to_be_bytes());
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.time.to_be_bytes());
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
        let (sender, sequence, time) = (body.u32()?, body.u32()?, body.u64()?);
        let key = if has(HAS_KEY) { Some(body.key()?) } else { None };
        let cell = if has(HAS_CELL) { Some(Cell { x: body.i16()?, y: body.i16()? }) } else { None };
        Ok(Self {
            is_text: has(TEXT),
            is_tombstone: has(TOMBSTONE),
            is_targeted: has(HAS_TARGETS),
            is_left: has(LEFT),
            sender,
            sequence,
            time,
            key,
            cell,
            payload: body.0,
        })
    }
}

impl TopicError {
    /// The frame that says so.
    pub fn frame(self, text: &str) -> ServerFrame<'_> {
        ServerFrame::Error { code: self.code(), text }
    }
}

/// The frames of one message from the server. Ends with the first error; frames of unknown types are passed over.
pub fn server_frames(message: &[u8]) -> impl Iterator<Item = Result<ServerFrame<'_>, FrameError>> {
    Frames { reader: Reader(message), read: ServerFrame::read }
}
