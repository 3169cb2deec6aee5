//! What can be wrong with a description, and how much of one is taken.

use crate::id::Mid;

/// Why a description was not understood or could not be answered.
///
/// All but the last two are the sender's fault; their text may be shown to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// The text is longer than [`Limits::bytes`].
    #[error("the description is {size} bytes long, at most {limit} are taken")]
    TooLong {
        /// Size of the text in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// One line is longer than [`Limits::line_bytes`].
    #[error("line {line} is longer than {limit} bytes")]
    LineTooLong {
        /// Line number, from 1.
        line: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// There are more of something than the limits allow.
    #[error("line {line}: more than {limit} {what}")]
    TooMany {
        /// Line number, from 1, of the first one too many.
        line: usize,
        /// What there are too many of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The text does not begin with `v=0`.
    #[error("not a session description: it does not begin with v=0")]
    NotSdp,
    /// A line is not of the form `<letter>=<value>`.
    #[error("line {line} is not of the form <type>=<value>")]
    MalformedLine {
        /// Line number, from 1.
        line: usize,
    },
    /// A line that matters has a value that cannot be read.
    #[error("line {line}: malformed {what}")]
    Malformed {
        /// Line number, from 1.
        line: usize,
        /// The attribute or line type, such as `a=rtpmap`.
        what: &'static str,
    },
    /// The description has no media section.
    #[error("the description has no media section")]
    NoSections,
    /// A media section that is not stopped has no `a=mid`.
    #[error("media section {index} has no a=mid")]
    MissingMid {
        /// Index of the section, from 0.
        index: usize,
    },
    /// Two media sections have the same mid.
    #[error("two media sections have the mid {0}")]
    DuplicateMid(Mid),
    /// Neither the session nor the bundled section has `a=ice-ufrag` and `a=ice-pwd`.
    #[error("no a=ice-ufrag and a=ice-pwd")]
    MissingIceCredentials,
    /// There is no `a=fingerprint` with a hash function this side knows.
    #[error("no a=fingerprint with a known hash function")]
    MissingFingerprint,
    /// `a=setup:holdconn` leaves nobody to start DTLS.
    #[error("a=setup:holdconn can't be answered")]
    HoldConnection,
    /// A candidate line that cannot be read.
    #[error("malformed candidate: {0}")]
    MalformedCandidate(&'static str),
    /// The caller's choices don't fit the offer.
    #[error("media section {index}: {reason}")]
    Choice {
        /// Index of the section, from 0.
        index: usize,
        /// What does not fit.
        reason: &'static str,
    },
    /// The caller injected text that can't stand in a description (a line break, a space, nothing at all).
    #[error("{0} can't stand in a description")]
    UnsafeText(&'static str),
}

/// Why a media section is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The offer has stopped it (port 0, outside the BUNDLE group).
    #[error("stopped by the offer")]
    Stopped,
    /// It wants a transport of its own.
    #[error("not in the BUNDLE group")]
    NotBundled,
    /// Its protocol is not DTLS-SRTP or SCTP over DTLS.
    #[error("unsupported transport protocol")]
    UnsupportedProtocol,
    /// It wants RTCP on a port of its own (RFC 5761).
    #[error("no a=rtcp-mux")]
    NoRtcpMux,
    /// Neither audio, video nor data channels.
    #[error("unsupported media type")]
    UnsupportedMedia,
    /// No codec that both sides know and the policy allows.
    #[error("no common codec")]
    NoCommonCodec,
    /// The caller chose [`crate::SectionChoice::Reject`].
    #[error("refused")]
    Chosen,
}

/// How much of a description is taken. Raising one costs memory per parsed offer in proportion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Size of the whole text in bytes.
    pub bytes: usize,
    /// Size of one line in bytes, without its line break.
    pub line_bytes: usize,
    /// Number of media sections.
    pub sections: usize,
    /// Candidates in one media section; further ones are ignored.
    pub candidates: usize,
    /// SSRCs declared in one media section; further ones are ignored.
    pub ssrcs: usize,
    /// Header extensions in one media section; further ones are ignored.
    pub extensions: usize,
    /// Rids in one media section; further ones are ignored.
    pub rids: usize,
}

impl Default for Limits {
    /// Chromium's offer with 13 receive sections is 49 KB; one with 600 sections is about 600 KB and has to be trimmed
    /// by `setCodecPreferences`.
    fn default() -> Self {
        Self {
            bytes: 256 * 1024,
            line_bytes: 4096,
            sections: 600,
            candidates: 64,
            ssrcs: 32,
            extensions: 64,
            rids: 16,
        }
    }
}
