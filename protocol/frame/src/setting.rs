//! The settings of a topic, as they stand in a channel's protocol: `patchbay?mode=latest&rate=20`.

/// Protocol of channels in framed mode, without settings.
pub const PROTOCOL: &str = "patchbay";

/// How a topic passes messages on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Every message to every receiver.
    #[default]
    Relay,
    /// The newest value of each sender and key, to every receiver; kept for those that come late.
    Latest,
    /// The same, to those receivers that want the key or the cell.
    Interest,
}

/// What happens when a reliable receiver does not keep up with a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SlowReceiver {
    /// Its channel is closed.
    #[default]
    Cut,
    /// Who sends is slowed down.
    Wait,
}

/// What happens to the values of a participant that leaves the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Departure {
    /// They end, each with a tombstone.
    #[default]
    Drop,
    /// They are kept as long as the topic lives.
    Keep,
}

/// The settings of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// How messages are passed on.
    pub mode: Mode,
    /// Most deliveries a second to one receiver; 0: no limit.
    pub rate: u32,
    /// Milliseconds for which a value is kept after its last update; 0: no limit.
    pub ttl_ms: u32,
    /// What becomes of slow receivers.
    pub slow: SlowReceiver,
    /// What becomes of values whose sender leaves.
    pub departure: Departure,
}

/// Settings hold something that can't be read. It is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a setting of the topic can't be read")]
pub struct UnknownSetting;

impl Settings {
    /// Reads a channel's protocol. `None`: the channel is not in framed mode. The second part is `None` if the protocol
    /// names no settings, so that it takes those that stand.
    pub fn parse(protocol: &str) -> Option<(Option<Self>, Result<(), UnknownSetting>)> {
        let Some((name, list)) = protocol.split_once('?') else {
            return (protocol == PROTOCOL).then_some((None, Ok(())));
        };
        if name != PROTOCOL {
            return None;
        }
        let mut settings = Self::default();
        let mut outcome = Ok(());
        for entry in list.split('&').filter(|entry| !entry.is_empty()) {
            let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
            if settings.set(name, value).is_none() {
                outcome = Err(UnknownSetting);
            }
        }
        Some((Some(settings), outcome))
    }

    /// The protocol of a channel that opens a topic with these settings.
    pub fn protocol(&self) -> String {
        let mut protocol = format!("{PROTOCOL}?mode={}", self.mode.name());
        for (name, value) in [("rate", self.rate), ("ttl", self.ttl_ms)] {
            if value > 0 {
                protocol.push_str(&format!("&{name}={value}"));
            }
        }
        if self.slow == SlowReceiver::Wait {
            protocol.push_str("&slow=wait");
        }
        if self.departure == Departure::Keep {
            protocol.push_str("&leave=keep");
        }
        protocol
    }

    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match (name, value) {
            ("mode", "relay") => self.mode = Mode::Relay,
            ("mode", "latest") => self.mode = Mode::Latest,
            ("mode", "interest") => self.mode = Mode::Interest,
            ("rate", value) => self.rate = value.parse().ok()?,
            ("ttl", value) => self.ttl_ms = value.parse().ok()?,
            ("slow", "cut") => self.slow = SlowReceiver::Cut,
            ("slow", "wait") => self.slow = SlowReceiver::Wait,
            ("leave", "drop") => self.departure = Departure::Drop,
            ("leave", "keep") => self.departure = Departure::Keep,
            _ => return None,
        }
        Some(())
    }
}

impl Mode {
    /// As it stands in `welcome`.
    pub const fn code(self) -> u8 {
        match self {
            Self::Relay => 0,
            Self::Latest => 1,
            Self::Interest => 2,
        }
    }

    /// The mode with this code.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Relay),
            1 => Some(Self::Latest),
            2 => Some(Self::Interest),
            _ => None,
        }
    }

    /// As it stands in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Latest => "latest",
            Self::Interest => "interest",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_back_as_written() {
        assert_eq!(Settings::parse(""), None);
        assert_eq!(Settings::parse("patchbay2"), None);
        assert_eq!(Settings::parse("chat?mode=latest"), None);
        assert_eq!(Settings::parse("patchbay"), Some((None, Ok(()))));
        for text in [
            "patchbay?mode=relay",
            "patchbay?mode=latest&rate=20&ttl=30000",
            "patchbay?mode=interest&rate=4294967295&slow=wait&leave=keep",
        ] {
            let (settings, outcome) = Settings::parse(text).unwrap();
            assert_eq!((settings.unwrap().protocol().as_str(), outcome), (text, Ok(())));
        }
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        for text in
            ["patchbay?mode=latest&rate=-1", "patchbay?mode=latest&colour=red", "patchbay?mode=latest&ttl"]
        {
            let (settings, outcome) = Settings::parse(text).unwrap();
            assert_eq!(settings, Some(Settings { mode: Mode::Latest, ..Settings::default() }), "{text}");
            assert_eq!(outcome, Err(UnknownSetting), "{text}");
        }
        assert_eq!(Settings::parse("patchbay?"), Some((Some(Settings::default()), Ok(()))));
    }
}
