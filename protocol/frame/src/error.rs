//! What can be wrong with a frame, and what the server says of it.

/// Why bytes are no frame. Whoever sent them is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The message ends within a frame.
    #[error("the message ends within a frame")]
    Truncated,
    /// A frame ends within one of its fields.
    #[error("a frame ends within a field")]
    ShortBody,
    /// A length of the reserved form.
    #[error("a length is of the reserved form")]
    BadLength,
    /// A key is longer than 64 bytes or no UTF-8.
    #[error("a key is longer than 64 bytes or no UTF-8")]
    BadKey,
    /// No targets, or more than 128.
    #[error("a message names no targets, or more than 128")]
    BadTargets,
    /// A filter of an unknown kind, an empty rectangle, or more than 64 filters.
    #[error("a filter can't be read, or there are more than 64")]
    BadFilter,
    /// An enumerated value that this build does not know.
    #[error("a value is not one of those defined")]
    BadValue,
}

/// Code of an `error` frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum TopicError {
    /// A message held something that is no frame, or is text. What stood before it counts.
    BadFrame = 1,
    /// A message or payload is longer than allowed. It was dropped.
    TooLarge = 2,
    /// More messages or bytes than allowed. What came too fast was dropped; said once a second at most.
    RateLimited = 3,
    /// The topic lives with other settings than those asked for. It goes on with its own, see `welcome`.
    TopicMismatch = 4,
    /// Publishing, or subscribing, is not granted on this topic.
    NotAllowed = 5,
    /// The topic keeps as many values, or as many bytes, as it may. The message was relayed and not kept.
    TooManyValues = 6,
    /// This receiver did not keep up, and is cut off: the channel is closed next.
    TooSlow = 7,
    /// The settings can't be read. What could be read holds.
    BadSettings = 8,
    /// More filters than a channel may have. They were left out.
    TooManyFilters = 9,
}

impl TopicError {
    /// All of them, by code.
    pub const ALL: [Self; 9] = [
        Self::BadFrame,
        Self::TooLarge,
        Self::RateLimited,
        Self::TopicMismatch,
        Self::NotAllowed,
        Self::TooManyValues,
        Self::TooSlow,
        Self::BadSettings,
        Self::TooManyFilters,
    ];

    /// As it stands in a frame.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The error with this code.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|error| error.code() == code)
    }

    /// Its name in SDKs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadFrame => "bad_frame",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::TopicMismatch => "topic_mismatch",
            Self::NotAllowed => "not_allowed",
            Self::TooManyValues => "too_many_values",
            Self::TooSlow => "too_slow",
            Self::BadSettings => "bad_settings",
            Self::TooManyFilters => "too_many_filters",
        }
    }
}
