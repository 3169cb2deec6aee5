//! What a topic is opened with, and what is sent on it.

use patchbay_frame::{Area, Cell, Departure, Filter, Mode, Settings, SlowReceiver};

/// How a topic is opened. The settings of whoever opens it first stand while it lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicOptions {
    /// What the topic shall live with; `None` takes what stands.
    pub settings: Option<Settings>,
    /// Whether messages arrive in the order in which they were sent.
    pub ordered: bool,
    /// How often a message is sent again at most; `None`: until it arrives.
    pub max_retransmits: Option<u16>,
    /// After how many milliseconds a message is given up; `None`: never.
    pub max_packet_life_time: Option<u16>,
}

impl TopicOptions {
    /// Everything arrives, in order.
    pub fn reliable() -> Self {
        Self { settings: None, ordered: true, max_retransmits: None, max_packet_life_time: None }
    }

    /// Nothing is sent twice, and nothing waits for anything: for what is soon replaced by newer things.
    pub fn unreliable() -> Self {
        Self { settings: None, ordered: false, max_retransmits: Some(0), max_packet_life_time: None }
    }

    /// The same in a mode.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.settings.get_or_insert_default().mode = mode;
        self
    }

    /// The same with at most so many deliveries a second to one receiver.
    pub fn rate(mut self, per_second: u32) -> Self {
        self.settings.get_or_insert_default().rate = per_second;
        self
    }

    /// The same with values that end so many milliseconds after their last update.
    pub fn ttl_ms(mut self, ms: u32) -> Self {
        self.settings.get_or_insert_default().ttl_ms = ms;
        self
    }

    /// The same with a choice of what becomes of reliable receivers that don't keep up.
    pub fn slow(mut self, slow: SlowReceiver) -> Self {
        self.settings.get_or_insert_default().slow = slow;
        self
    }

    /// The same with a choice of what becomes of the values of somebody who leaves.
    pub fn departure(mut self, departure: Departure) -> Self {
        self.settings.get_or_insert_default().departure = departure;
        self
    }

    /// Whether nothing may get lost.
    pub fn is_reliable(&self) -> bool {
        self.max_retransmits.is_none() && self.max_packet_life_time.is_none()
    }

    /// The subprotocol of its channels.
    pub(crate) fn protocol(&self) -> String {
        self.settings.map_or_else(|| patchbay_frame::PROTOCOL.to_owned(), |settings| settings.protocol())
    }
}

/// Something to be published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outgoing {
    pub(crate) payload: Vec<u8>,
    pub(crate) is_text: bool,
    pub(crate) key: Option<String>,
    pub(crate) cell: Option<Cell>,
    pub(crate) targets: Option<Vec<u32>>,
}

impl Outgoing {
    /// Bytes.
    pub fn bytes(payload: impl Into<Vec<u8>>) -> Self {
        Self { payload: payload.into(), ..Self::default() }
    }

    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { payload: text.into().into_bytes(), is_text: true, ..Self::default() }
    }

    /// The same about something: topics that keep values keep the newest of each sender and key.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The same somewhere, by the application's own grid.
    pub fn cell(mut self, x: i16, y: i16) -> Self {
        self.cell = Some(Cell { x, y });
        self
    }

    /// The same for some participants alone: 1 to 128 numbers.
    pub fn to(mut self, targets: impl Into<Vec<u32>>) -> Self {
        self.targets = Some(targets.into());
        self
    }
}

/// What a receiver wants to hear, in *interest* mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// Messages with this key.
    Key(String),
    /// Messages whose key begins so.
    Prefix(String),
    /// Messages with a cell in this rectangle.
    Area(Area),
}

impl Want {
    pub(crate) fn filter(&self) -> Filter<'_> {
        match self {
            Self::Key(key) => Filter::Key(key),
            Self::Prefix(prefix) => Filter::Prefix(prefix),
            Self::Area(area) => Filter::Area(*area),
        }
    }

    pub(crate) fn matches(&self, key: &str, cell: Option<Cell>) -> bool {
        match self {
            Self::Key(wanted) => key == wanted,
            Self::Prefix(prefix) => key.starts_with(prefix.as_str()),
            Self::Area(area) => cell.is_some_and(|cell| area.contains(cell)),
        }
    }
}
