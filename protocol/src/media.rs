//! What is published, and where a slot takes its media from.

use serde::{Deserialize, Serialize};

use crate::{ParticipantNumber, TrackId};

/// Audio or video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// Audio.
    Audio,
    /// Video.
    Video,
}

/// What a track shows or carries. A participant has at most one track of each source at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A person's voice. Only microphones take part in active-speaker ranking.
    Microphone,
    /// A person's picture.
    Camera,
    /// A shared screen or window.
    Screen,
    /// The sound that belongs to a shared screen.
    ScreenAudio,
}

impl Source {
    /// The kind of media a source consists of.
    pub fn kind(self) -> MediaKind {
        match self {
            Self::Microphone | Self::ScreenAudio => MediaKind::Audio,
            Self::Camera | Self::Screen => MediaKind::Video,
        }
    }
}

/// Where a slot takes its media from. A JSON object with one of three shapes; `null` in its place empties the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SlotSource {
    /// `{"track": 7}`: that track and nothing else.
    Track {
        /// The track.
        track: TrackId,
    },
    /// `{"participant": 3, "source": "camera"}`: whatever that participant publishes as this source, now or later.
    Participant {
        /// The participant.
        participant: ParticipantNumber,
        /// Which of its sources.
        source: Source,
    },
    /// `{"speaker": 1}`: the n-th most recent speaker, 1 first, never the subscriber itself. In an audio slot these
    /// are the loudest voices now; in a video slot the cameras of recent speakers, which keep their slots.
    Speaker {
        /// Rank, from 1.
        speaker: u8,
    },
}
