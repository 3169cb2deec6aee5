//! Bytes taken from the front, and the frame around them.

use crate::{FrameError, limit};

/// Takes fields from the front of a body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], FrameError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(FrameError::ShortBody)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(FrameError::ShortBody)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, FrameError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn i16(&mut self) -> Result<i16, FrameError> {
        self.array().map(i16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, FrameError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, FrameError> {
        self.array().map(u64::from_be_bytes)
    }

    /// A length of one byte and a key.
    pub(crate) fn key(&mut self) -> Result<&'a str, FrameError> {
        let length = usize::from(self.u8()?);
        if length > limit::KEY_BYTES {
            return Err(FrameError::BadKey);
        }
        std::str::from_utf8(self.bytes(length)?).map_err(|_| FrameError::BadKey)
    }

    /// A number of 6, 14 or 30 bits (RFC 9000 §16); its form of 62 bits is reserved.
    pub(crate) fn length(&mut self) -> Result<usize, FrameError> {
        let first = *self.0.first().ok_or(FrameError::ShortBody)?;
        let number = match first >> 6 {
            0 => u32::from(self.u8()?),
            1 => u32::from(self.array().map(u16::from_be_bytes)? & 0x3fff),
            2 => self.u32()? & 0x3fff_ffff,
            _ => return Err(FrameError::BadLength),
        };
        Ok(number as usize)
    }

    /// The next frame of a message: its type and its body.
    pub(crate) fn frame(&mut self) -> Result<(u8, Reader<'a>), FrameError> {
        let truncated = |error| if error == FrameError::ShortBody { FrameError::Truncated } else { error };
        let kind = self.u8().map_err(truncated)?;
        let length = self.length().map_err(truncated)?;
        Ok((kind, Reader(self.bytes(length).map_err(truncated)?)))
    }
}

/// The frames of a message that `read` knows. Ends with the first error; frames of unknown types are passed over.
pub(crate) struct Frames<'a, F> {
    pub(crate) reader: Reader<'a>,
    pub(crate) read: F,
}

impl<'a, T, F: Fn(u8, Reader<'a>) -> Option<Result<T, FrameError>>> Iterator for Frames<'a, F> {
    type Item = Result<T, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.reader.0.is_empty() {
            let item = match self.reader.frame() {
                Ok((kind, body)) => (self.read)(kind, body),
                Err(error) => Some(Err(error)),
            };
            if matches!(item, Some(Err(_))) {
                self.reader = Reader(&[]);
            }
            if item.is_some() {
                return item;
            }
        }
        None
    }
}

/// Writes a frame's type and the length of its body. A longer body than can be written is the caller's fault, and becomes a
/// frame that no receiver takes.
pub(crate) fn write_head(kind: u8, body: usize, out: &mut Vec<u8>) {
    let body = body.min(limit::LENGTH) as u32;
    out.push(kind);
    match body {
        0..0x40 => out.push(body as u8),
        0x40..0x4000 => out.extend_from_slice(&(body as u16 | 0x4000).to_be_bytes()),
        _ => out.extend_from_slice(&(body | 0x8000_0000).to_be_bytes()),
    }
}

/// Writes a key behind its length. One that is too long is cut, at a character.
pub(crate) fn write_key(key: &str, out: &mut Vec<u8>) {
    let key = cut(key);
    out.push(key.len() as u8);
    out.extend_from_slice(key.as_bytes());
}

/// Bytes that [`write_key`] writes.
pub(crate) fn key_len(key: &str) -> usize {
    1 + cut(key).len()
}

fn cut(key: &str) -> &str {
    let end = (0..=key.len().min(limit::KEY_BYTES)).rev().find(|at| key.is_char_boundary(*at));
    end.and_then(|end| key.get(..end)).unwrap_or_default()
}

/// A flag that is set if the claim holds.
pub(crate) const fn flag(claim: bool, flag: u8) -> u8 {
    if claim { flag } else { 0 }
}
