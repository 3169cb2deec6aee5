//! How loud one microphone is, from RFC 6464 levels or, without them, from what is sent at all.

use std::time::{Duration, Instant};

use patchbay_wire::rtp::AudioLevel;

/// Loudness above silence in decibels: 127 is the loudest there is (RFC 6464 counts the other way round).
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub(crate) struct Loudness(pub(crate) f32);

/// Speech begins at −50 dBov. Voices are recorded at −15 to −40, a quiet room at −60 and less.
const SPEECH: Loudness = Loudness(77.0);
/// Speech goes on down to −56 dBov.
const SILENCE: Loudness = Loudness(71.0);
/// A pause up to this long, as between sentences, does not end speech.
const HOLD: Duration = Duration::from_millis(600);
/// Speech shorter than this is a cough: heard, but no reason to change the picture.
const COUGH: Duration = Duration::from_millis(300);
/// What a packet is worth that has no level: −45 dBov, below most voices that say how loud they are.
const UNMEASURED: f32 = 82.0;
/// An Opus packet up to this many bytes is silence or comfort noise (DTX sends 1 to 3, libopus's quiet 20 ms take 6 to 10).
const SILENT_BYTES: usize = 12;
/// Without a packet for this long, a microphone is silent: DTX and mute send nothing.
const STALE: Duration = Duration::from_millis(200);
/// Share of a louder packet in the mean: speech is heard after two.
const ATTACK: f32 = 0.6;
/// Share of a quieter packet in the mean: a word's end takes a few.
const RELEASE: f32 = 0.15;

/// Follows one microphone.
#[derive(Debug, Default)]
pub(crate) struct LevelMeter {
    mean: Loudness,
    last: Option<Instant>,
    /// When speech began and when it was last loud enough, while it lasts.
    speech: Option<(Instant, Instant)>,
    spoke_at: Option<Instant>,
}

impl LevelMeter {
    /// Takes note of a packet. Returns whether speech began with it.
    pub(crate) fn handle_packet(
        &mut self,
        now: Instant,
        level: Option<AudioLevel>,
        payload_bytes: usize,
    ) -> bool {
        let loudness = match level {
            Some(level) => 127.0 - f32::from(level.level),
            None if payload_bytes > SILENT_BYTES => UNMEASURED,
            None => 0.0,
        };
        let share = if loudness > self.mean.0 { ATTACK } else { RELEASE };
        self.mean.0 += (loudness - self.mean.0) * share;
        self.last = Some(now);
        self.judge(now)
    }

    /// Takes note of time passing.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.last.is_none_or(|last| now.saturating_duration_since(last) > STALE) {
            self.mean = Loudness::default();
        }
        self.judge(now);
    }

    /// The microphone was muted, or its track is gone from view.
    pub(crate) fn silence(&mut self) {
        self.mean = Loudness::default();
        self.speech = None;
    }

    /// The smoothed loudness.
    pub(crate) fn loudness(&self) -> Loudness {
        self.mean
    }

    /// When the present speech began, if there is any; short pauses don't end it.
    pub(crate) fn speaking_since(&self) -> Option<Instant> {
        self.speech.map(|(since, _)| since)
    }

    /// When there was last more than a cough.
    pub(crate) fn spoke_at(&self) -> Option<Instant> {
        self.spoke_at
    }

    fn judge(&mut self, now: Instant) -> bool {
        match &mut self.speech {
            None if self.mean >= SPEECH => {
                self.speech = Some((now, now));
                return true;
            }
            None => {}
            Some((since, loud)) => {
                if self.mean >= SILENCE {
                    *loud = now;
                    if now.saturating_duration_since(*since) >= COUGH {
                        self.spoke_at = Some(now);
                    }
                } else if now.saturating_duration_since(*loud) > HOLD {
                    self.speech = None;
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Microphone {
        meter: LevelMeter,
        now: Instant,
    }

    impl Microphone {
        fn new() -> Self {
            Self { meter: LevelMeter::default(), now: Instant::now() }
        }

        fn play(&mut self, ms: u64, level: Option<u8>, bytes: usize) {
            for _ in 0..ms / 20 {
                self.now += Duration::from_millis(20);
                let level = level.map(|level| AudioLevel { level, voice: false });
                self.meter.handle_packet(self.now, level, bytes);
            }
        }

        fn is_speaking(&self) -> bool {
            self.meter.speaking_since().is_some()
        }

        fn wait(&mut self, ms: u64) {
            for _ in 0..ms / 50 {
                self.now += Duration::from_millis(50);
                self.meter.handle_timeout(self.now);
            }
        }
    }

    #[test]
    fn a_voice_is_noticed_within_three_packets_and_survives_pauses() {
        let mut microphone = Microphone::new();
        microphone.play(1_000, Some(70), 60);
        assert!(!microphone.is_speaking(), "a room's noise");
        microphone.play(60, Some(30), 60);
        assert!(microphone.is_speaking());
        microphone.play(500, Some(90), 60);
        assert!(microphone.is_speaking(), "a pause");
        microphone.play(1_000, Some(90), 60);
        assert!(!microphone.is_speaking());
    }

    #[test]
    fn a_cough_is_heard_but_does_not_count_as_having_spoken() {
        let mut microphone = Microphone::new();
        microphone.play(100, Some(20), 60);
        assert!(microphone.is_speaking());
        microphone.play(1_500, Some(127), 60);
        assert_eq!(microphone.meter.spoke_at(), None);
        microphone.play(600, Some(20), 60);
        assert!(microphone.meter.spoke_at().is_some());
    }

    #[test]
    fn without_levels_activity_counts() {
        let mut microphone = Microphone::new();
        microphone.play(100, None, 80);
        assert!(microphone.is_speaking());
        microphone.wait(1_000);
        assert!(!microphone.is_speaking(), "nothing comes any more");
        microphone.play(1_000, None, 3);
        assert!(!microphone.is_speaking(), "DTX");
    }
}
