//! Lines and words: the lexical layer of RFC 8866, section 9.

use crate::error::{Limits, SdpError};

/// One `<type>=<value>` line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    /// Line number, from 1.
    pub(crate) number: usize,
    pub(crate) kind: u8,
    pub(crate) value: &'a str,
}

impl<'a> Line<'a> {
    /// Splits `a=name:value` into name and value (empty for a property attribute).
    pub(crate) fn attribute(&self) -> (&'a str, &'a str) {
        self.value.split_once(':').unwrap_or((self.value, ""))
    }

    pub(crate) fn malformed(&self, what: &'static str) -> SdpError {
        SdpError::Malformed { line: self.number, what }
    }
}

/// The lines of a description; blank ones are skipped, `\r\n` and `\n` both end one.
pub(crate) fn lines<'a>(
    text: &'a str,
    limits: &Limits,
) -> Result<impl Iterator<Item = Result<Line<'a>, SdpError>> + use<'a>, SdpError> {
    if text.len() > limits.bytes {
        return Err(SdpError::TooLong { size: text.len(), limit: limits.bytes });
    }
    let limit = limits.line_bytes;
    Ok(text.split('\n').enumerate().filter_map(move |(index, raw)| {
        let raw = raw.strip_suffix('\r').unwrap_or(raw);
        let number = index + 1;
        if raw.is_empty() {
            return None;
        }
        if raw.len() > limit {
            return Some(Err(SdpError::LineTooLong { line: number, limit }));
        }
        let parsed = match raw.split_once('=') {
            Some((kind, value)) if kind.len() == 1 && !value.bytes().any(|b| b == b'\r' || b == 0) => {
                kind.bytes().next().map(|kind| Line { number, kind, value })
            }
            _ => None,
        };
        Some(parsed.ok_or(SdpError::MalformedLine { line: number }))
    }))
}

/// Whether `text` is a `token` of RFC 8866 (no space, no separators, printable ASCII) of at most `max` bytes.
pub(crate) fn is_token(text: &str, max: usize) -> bool {
    !text.is_empty()
        && text.len() <= max
        && text.bytes().all(|b| {
            matches!(b, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'^'..=b'~')
        })
}

/// Whether `text` is printable ASCII without spaces, of 1 to `max` bytes.
pub(crate) fn is_word(text: &str, max: usize) -> bool {
    !text.is_empty() && text.len() <= max && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Whether `text` is made of `ice-char`s (RFC 8839, section 5.4) and between `min` and `max` bytes long.
pub(crate) fn is_ice_text(text: &str, min: usize, max: usize) -> bool {
    (min..=max).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_' | b'=' | b'.'))
}
