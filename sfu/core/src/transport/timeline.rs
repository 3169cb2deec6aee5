//! What happened on a transport's way to media, for people who ask why there is none.
//!
//! Steps go in as they happen, seldom; they come out in order, whenever the transport was handled. There is a bound on
//! how many one transport tells, so that nobody can make it tell stories.

use std::time::Instant;

use patchbay_protocol::{CheckRefusal, FailCode, Step, TimelineStep};

use super::event::FailReason;
use super::stats::DropReason;

/// Steps of one transport. A join takes seven; the rest is for restarts and changes of path.
const CAPACITY: usize = 46;
/// How it ended is told even then.
const FINAL: usize = 2;

/// The steps of one transport.
#[derive(Debug)]
pub(super) struct Timeline {
    began: Instant,
    unsent: Vec<TimelineStep>,
    told: usize,
    /// A bit for each refusal that was told.
    refusals: u8,
    pub(super) is_media_out: bool,
}

impl Timeline {
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, unsent: Vec::new(), told: 0, refusals: 0, is_media_out: false }
    }

    pub(super) fn note(&mut self, now: Instant, step: Step) {
        let is_final = matches!(step, Step::Failed { .. } | Step::Closed {});
        let bound = if is_final { CAPACITY + FINAL } else { CAPACITY };
        if self.told < bound {
            self.told += 1;
            let at_ms =
                u64::try_from(now.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX);
            self.unsent.push(TimelineStep { at_ms, step });
        }
    }

    /// A check was dropped.
    pub(super) fn note_refusal(&mut self, now: Instant, from: &dyn std::fmt::Display, reason: DropReason) {
        let (refusal, bit) = match reason {
            DropReason::WrongUsername => (CheckRefusal::WrongUsername, 1),
            DropReason::BadIntegrity => (CheckRefusal::BadPassword, 2),
            DropReason::MalformedStun => (CheckRefusal::Malformed, 4),
            _ => return,
        };
        if self.refusals & bit == 0 {
            self.refusals |= bit;
            self.note(now, Step::CheckRefused { from: from.to_string(), reason: refusal });
        }
    }

    pub(super) fn has_news(&self) -> bool {
        !self.unsent.is_empty()
    }

    pub(super) fn take(&mut self) -> Vec<TimelineStep> {
        std::mem::take(&mut self.unsent)
    }
}

impl FailReason {
    /// The same for machines.
    pub fn code(&self) -> FailCode {
        match self {
            Self::NoCheck => FailCode::NoCheck,
            Self::BadPassword => FailCode::BadPassword,
            Self::DtlsNeverBegan => FailCode::DtlsNeverBegan,
            Self::DtlsTimeout => FailCode::DtlsTimeout,
            Self::DtlsHandshake(_) => FailCode::DtlsHandshake,
            Self::FingerprintMismatch => FailCode::FingerprintMismatch,
            Self::Silent => FailCode::Silent,
            Self::Internal(_) => FailCode::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_is_told_once_and_the_end_always() {
        let now = Instant::now();
        let mut timeline = Timeline::new(now);
        for _ in 0..3 {
            timeline.note_refusal(now, &"a", DropReason::BadIntegrity);
            timeline.note_refusal(now, &"a", DropReason::WrongUsername);
            timeline.note_refusal(now, &"a", DropReason::BadTag);
        }
        assert_eq!(timeline.take().len(), 2);
        for _ in 0..1_000 {
            timeline.note(now, Step::IceRestart {});
        }
        timeline.note(now, Step::Closed {});
        let told = timeline.take();
        assert_eq!(told.len(), CAPACITY - 2 + 1);
        assert_eq!(told.last().map(|it| it.step.clone()), Some(Step::Closed {}));
        assert!(!timeline.has_news());
    }
}
