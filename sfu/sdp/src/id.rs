//! The ids that stand in a description.

use std::fmt;

use crate::text::is_token;

/// Name of a media section, unique in one peer connection (RFC 5888). A token of 1 to 64 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mid(String);

impl Mid {
    /// Longest mid that is taken, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// A mid, if the text is a token of at most [`Mid::MAX_BYTES`].
    pub fn new(text: &str) -> Option<Self> {
        is_token(text, Self::MAX_BYTES).then(|| Self(text.to_owned()))
    }

    /// The text as it stands after `a=mid:`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Mid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Name of one simulcast encoding (RFC 8851). A token of 1 to 255 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rid(String);

impl Rid {
    /// A rid, if the text is one.
    pub fn new(text: &str) -> Option<Self> {
        is_token(text, 255).then(|| Self(text.to_owned()))
    }

    /// The text as it stands after `a=rid:` and in the header extension.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Rid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Synchronisation source of an RTP stream (RFC 3550).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ssrc(pub u32);

impl fmt::Display for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// RTP payload type, 0 to 127.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayloadType(pub u8);

impl PayloadType {
    /// Reads a decimal payload type of at most 127.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.parse::<u8>().ok().filter(|pt| *pt < 128).map(Self)
    }

    /// Whether packets with it can be told from RTCP on the same port (RFC 5761, section 4: not 64 to 95).
    pub fn is_multiplexable(self) -> bool {
        !(64..=95).contains(&self.0)
    }
}

impl fmt::Display for PayloadType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which stream and track a section's media belongs to (RFC 8830).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Msid {
    /// Stream id; sections with the same one are played in sync. `-` is no stream.
    pub stream: String,
    /// Track id.
    pub track: String,
}
