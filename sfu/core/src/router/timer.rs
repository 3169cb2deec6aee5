//! When the router wants to be called, and what it does then.

use std::time::{Duration, Instant};

use super::speaker::TICK;
use super::{Router, RouterEvent};
use crate::Egress;

/// Between looks at a room in which nothing moves.
const IDLE_TICK: Duration = Duration::from_millis(500);

/// The router's deadlines.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// The next look at levels, keyframe requests and reports.
    tick: Option<Instant>,
    /// The next NACK.
    nack: Option<Instant>,
    /// A voice began, and should be heard at once.
    voice: Option<Instant>,
    is_active: bool,
}

impl Timers {
    /// Something arrived or was asked for: there may be work at the next tick.
    #[inline]
    pub(super) fn touch(&mut self, now: Instant) {
        if !self.is_active {
            self.is_active = true;
            let tick = now + TICK;
            self.tick = Some(self.tick.map_or(tick, |due| due.min(tick)));
        }
    }

    /// A NACK is due at that time.
    #[inline]
    pub(super) fn nack_at(&mut self, due: Instant) {
        self.nack = Some(self.nack.map_or(due, |nack| nack.min(due)));
    }

    /// Somebody began to speak.
    pub(super) fn handle_voice(&mut self, now: Instant) {
        self.voice = Some(now);
    }
}

impl Router {
    /// When [`Router::handle_timeout`] wants to be called.
    pub fn deadline(&self) -> Option<Instant> {
        let timers = [self.timers.tick, self.timers.nack, self.timers.voice, self.data.deadline()];
        timers.into_iter().flatten().min()
    }

    /// Does what is due: data, NACKs, speakers, keyframe requests, reports.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut impl Egress) {
        if self.data.deadline().is_some_and(|due| due <= now) {
            self.data.handle_timeout(now, out, &mut self.counters);
            self.collect_data();
        }
        if self.timers.nack.take_if(|due| *due <= now).is_some() {
            self.poll_nacks(now, out);
        }
        if self.timers.voice.take_if(|due| *due <= now).is_some() {
            self.repatch_speakers(now, out);
        }
        if self.timers.tick.take_if(|due| *due <= now).is_none() {
            return;
        }
        self.hear(now);
        self.repatch_speakers(now, out);
        self.poll_keyframes(now, out);
        self.poll_reports(now, out);
        let is_active = std::mem::take(&mut self.timers.is_active);
        if !self.is_empty() {
            self.timers.tick = Some(now + if is_active { TICK } else { IDLE_TICK });
        }
    }

    /// Lets time pass for the microphones, and tells who speaks.
    fn hear(&mut self, now: Instant) {
        for (_, track) in self.tracks.iter_mut() {
            if let Some(meter) = track.meter.as_mut().filter(|_| !track.is_muted) {
                meter.handle_timeout(now);
            }
        }
        let speaking = self.scratch.voices.list().iter().filter(|voice| voice.speaking_since.is_some());
        if let Some(speakers) = self.notice.update(now, speaking.map(|voice| voice.participant)) {
            self.events.push_back(RouterEvent::Speakers(speakers));
        }
    }
}
