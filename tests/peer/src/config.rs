//! What a peer is told to do.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use patchbay_protocol::{SlotSource, Source};

use crate::{AudioClip, Loudness, PeerError, VideoClip};

/// The way into the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Way {
    /// The signaling WebSocket, `/v1/ws`.
    #[default]
    Signaling,
    /// WHIP (RFC 9725): only publishes.
    Whip,
    /// WHEP: only receives.
    Whep,
}

/// A picture that comes with the crate: 320×180, 30 frames a second, VP8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Picture {
    /// A ball that bounces, in grey.
    #[default]
    Ball,
    /// Colour bars.
    Bars,
    /// One red.
    Red,
    /// One green.
    Green,
    /// One blue.
    Blue,
    /// One amber.
    Amber,
    /// One violet.
    Violet,
    /// One teal.
    Teal,
}

impl Picture {
    /// All of them.
    pub const ALL: &[Self] =
        &[Self::Ball, Self::Bars, Self::Red, Self::Green, Self::Blue, Self::Amber, Self::Violet, Self::Teal];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ball => "ball",
            Self::Bars => "bars",
            Self::Red => "red",
            Self::Green => "green",
            Self::Blue => "blue",
            Self::Amber => "amber",
            Self::Violet => "violet",
            Self::Teal => "teal",
        }
    }

    /// The picture as a clip.
    pub fn clip(self) -> Result<VideoClip, PeerError> {
        let file: &[u8] = match self {
            Self::Ball => include_bytes!("../media/ball.ivf"),
            Self::Bars => include_bytes!("../media/bars.ivf"),
            Self::Red => include_bytes!("../media/red.ivf"),
            Self::Green => include_bytes!("../media/green.ivf"),
            Self::Blue => include_bytes!("../media/blue.ivf"),
            Self::Amber => include_bytes!("../media/amber.ivf"),
            Self::Violet => include_bytes!("../media/violet.ivf"),
            Self::Teal => include_bytes!("../media/teal.ivf"),
        };
        VideoClip::from_ivf(self.name(), file)
    }
}

/// A track to publish.
#[derive(Debug, Clone)]
pub enum Publication {
    /// Audio, with a level in every packet.
    Audio {
        /// What it is in the room.
        source: Source,
        /// The sound.
        clip: AudioClip,
        /// The level it claims (RFC 6464); `None` offers no level extension at all.
        loudness: Option<Loudness>,
    },
    /// Video.
    Video {
        /// What it is in the room.
        source: Source,
        /// The picture.
        clip: VideoClip,
    },
}

impl Publication {
    /// A microphone with a tone.
    pub fn microphone(loudness: Option<Loudness>) -> Result<Self, PeerError> {
        Ok(Self::Audio { source: Source::Microphone, clip: AudioClip::tone()?, loudness })
    }

    /// A camera with one of the pictures.
    pub fn camera(picture: Picture) -> Result<Self, PeerError> {
        Ok(Self::Video { source: Source::Camera, clip: picture.clip()? })
    }

    pub(crate) fn source(&self) -> Source {
        match self {
            Self::Audio { source, .. } | Self::Video { source, .. } => *source,
        }
    }
}

/// A data channel to open.
#[derive(Debug, Clone)]
pub struct Channel {
    /// Its label, which is its topic.
    pub label: String,
    /// Whether messages keep their order.
    pub ordered: bool,
    /// How often a message is sent again; `None` means until it arrives.
    pub max_retransmits: Option<u16>,
    /// Whether everything received is sent back (with `echo ` before it, and never a second time).
    pub echo: bool,
    /// Sends a numbered text this often.
    pub send_every: Option<Duration>,
}

impl Channel {
    /// A reliable, ordered channel that only listens.
    pub fn reliable(label: impl Into<String>) -> Self {
        Self { label: label.into(), ordered: true, max_retransmits: None, echo: false, send_every: None }
    }
}

/// A peer. [`PeerConfig::new`] gives one that only listens to the room.
#[derive(Debug, Clone)]
pub struct PeerConfig {
    /// The server, such as `http://127.0.0.1:8080`.
    pub server: String,
    /// The room.
    pub room: String,
    /// The way in.
    pub way: Way,
    /// Who the peer is; the server makes one up when absent.
    pub identity: Option<String>,
    /// The name to show.
    pub name: Option<String>,
    /// A token, when the server asks for one.
    pub token: Option<String>,
    /// What to publish.
    pub publications: Vec<Publication>,
    /// The first source of each audio slot.
    pub audio_slots: Vec<Option<SlotSource>>,
    /// The first source of each video slot.
    pub video_slots: Vec<Option<SlotSource>>,
    /// Data channels to open.
    pub channels: Vec<Channel>,
    /// WHEP: the `source` parameter, such as `speaker:1` or `participant:IDENTITY`.
    pub whep_source: Option<String>,
    /// The local address that media sockets are bound to. The unspecified address stands for every interface but loopback.
    pub bind: IpAddr,
    /// Sends media over TCP alone (RFC 6544), as behind a firewall that lets no UDP through.
    pub over_tcp: bool,
    /// Sends media through the server's TURN servers alone. The webrtc crate speaks TURN over UDP only.
    pub relay: bool,
    /// Sends media here instead of to the server's own candidates, such as to a relay that loses or records datagrams.
    pub through: Option<SocketAddr>,
    /// How long to wait for a reply or the transport.
    pub patience: Duration,
}

impl PeerConfig {
    /// A peer that publishes nothing and receives nothing yet, over loopback.
    pub fn new(server: impl Into<String>, room: impl Into<String>) -> Self {
        Self {
            server: server.into(),
            room: room.into(),
            way: Way::Signaling,
            identity: None,
            name: None,
            token: None,
            publications: Vec::new(),
            audio_slots: Vec::new(),
            video_slots: Vec::new(),
            channels: Vec::new(),
            whep_source: None,
            bind: IpAddr::from([127, 0, 0, 1]),
            over_tcp: false,
            relay: false,
            through: None,
            patience: Duration::from_secs(20),
        }
    }

    /// The same with an identity, which is its name too.
    pub fn identity(mut self, identity: impl Into<String>) -> Self {
        let identity = identity.into();
        self.name = Some(identity.clone());
        self.identity = Some(identity);
        self
    }

    /// The same with another publication.
    pub fn publish(mut self, publication: Publication) -> Self {
        self.publications.push(publication);
        self
    }

    /// The same with audio slots on `speaker:1` to `speaker:count`.
    pub fn hear(mut self, count: u8) -> Self {
        self.audio_slots.extend((1..=count).map(|speaker| Some(SlotSource::Speaker { speaker })));
        self
    }

    /// The same with video slots on `speaker:1` to `speaker:count`.
    pub fn see(mut self, count: u8) -> Self {
        self.video_slots.extend((1..=count).map(|speaker| Some(SlotSource::Speaker { speaker })));
        self
    }

    /// The same with a data channel.
    pub fn channel(mut self, channel: Channel) -> Self {
        self.channels.push(channel);
        self
    }

    /// The same with media sent to a relay.
    pub fn through(mut self, relay: SocketAddr) -> Self {
        self.through = Some(relay);
        self
    }

    /// The same by another way in.
    pub fn way(mut self, way: Way) -> Self {
        self.way = way;
        self
    }
}
