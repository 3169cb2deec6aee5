//! How loud a peer says it is (RFC 6464), now and over time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// The level of silence, in −dBov.
const SILENCE: u8 = 127;
/// The level up to which a packet counts as voice; quieter ones say that there is none.
const VOICE_UP_TO: u8 = 70;

/// A loudness that can be changed while the peer runs. Clones share it.
#[derive(Debug, Clone)]
pub struct Loudness {
    now: Arc<AtomicU8>,
    script: Arc<[(Duration, u8)]>,
}

impl Loudness {
    /// A constant level in −dBov: 0 is loudest, 127 silence.
    pub fn constant(level: u8) -> Self {
        Self { now: Arc::new(AtomicU8::new(level.min(SILENCE))), script: Arc::new([]) }
    }

    /// Silence, until [`Self::set`].
    pub fn silent() -> Self {
        Self::constant(SILENCE)
    }

    /// Reads a script such as `0:30,5:127,10:20`: from second 0 at −30 dBov, from second 5 silent, from 10 at −20.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut script = Vec::new();
        for step in text.split(',') {
            let (second, level) =
                step.split_once(':').ok_or_else(|| format!("{step}: expected SECOND:LEVEL"))?;
            let second: f64 =
                second.trim().parse().map_err(|_| format!("{second}: not a number of seconds"))?;
            let level: u8 =
                level.trim().parse().map_err(|_| format!("{level}: not a level from 0 to 127"))?;
            if !(0.0..=1e6).contains(&second) || level > SILENCE {
                return Err(format!("{step}: out of range"));
            }
            script.push((Duration::from_secs_f64(second), level));
        }
        script.sort_by_key(|(at, _)| *at);
        let first = script.first().map_or(SILENCE, |(_, level)| *level);
        Ok(Self { now: Arc::new(AtomicU8::new(first)), script: script.into() })
    }

    /// Changes the level. A script that is still running will change it again.
    pub fn set(&self, level: u8) {
        self.now.store(level.min(SILENCE), Ordering::Relaxed);
    }

    /// The level `elapsed` after the start, and whether it counts as voice.
    pub(crate) fn at(&self, elapsed: Duration) -> (u8, bool) {
        let level = match self.script.iter().rev().find(|(at, _)| *at <= elapsed) {
            Some((_, level)) => *level,
            None => self.now.load(Ordering::Relaxed),
        };
        (level, level <= VOICE_UP_TO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_followed_in_time() {
        let loudness = Loudness::parse("5:127,0:30,10:20").unwrap();
        assert_eq!(loudness.at(Duration::ZERO), (30, true));
        assert_eq!(loudness.at(Duration::from_secs(7)), (127, false));
        assert_eq!(loudness.at(Duration::from_secs(60)), (20, true));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "1", "a:b", "0:128", "-1:5"] {
            assert!(Loudness::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_constant_can_be_changed() {
        let loudness = Loudness::silent();
        loudness.set(12);
        assert_eq!(loudness.at(Duration::ZERO), (12, true));
    }
}
