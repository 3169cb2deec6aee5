//! Who speaks, and which slots that decides.
//!
//! Two policies, because hearing and seeing are different things. *Heard* are the loudest voices now: a voice that begins
//! must be audible at once. *Seen* are the most recent speakers: a face stays where it is for as long as it is among them,
//! and only a newcomer takes the place of the one who has been silent longest, so that pictures don't jump. Both are
//! assigned for each subscriber by itself, and never show a participant to itself. Places that no speaker has claimed
//! are filled in the order in which participants joined.

mod assignment;
mod level;

use std::time::{Duration, Instant};

use patchbay_protocol::ParticipantNumber;

pub(crate) use assignment::{Assignment, Candidate, Candidates, Policy};
pub(crate) use level::{LevelMeter, Loudness};

/// How often levels are looked at. A voice is heard at most this late; a packet of sound lasts 20 ms.
pub(crate) const TICK: Duration = Duration::from_millis(50);
/// Between two notices about who speaks: faster than this, an indicator flickers.
const NOTICE_INTERVAL: Duration = Duration::from_millis(300);

/// Who was last said to be speaking in a room.
#[derive(Debug, Default)]
pub(crate) struct SpeakerNotice {
    said: Vec<ParticipantNumber>,
    /// The same, sorted.
    said_set: Vec<ParticipantNumber>,
    at: Option<Instant>,
    scratch: Vec<ParticipantNumber>,
}

impl SpeakerNotice {
    /// Compares with who speaks now, loudest first. Returns them if that is news and the last news is old enough.
    pub(crate) fn update(
        &mut self,
        now: Instant,
        speaking: impl Iterator<Item = ParticipantNumber>,
    ) -> Option<Vec<ParticipantNumber>> {
        self.scratch.clear();
        self.scratch.extend(speaking);
        let is_early = self.at.is_some_and(|at| now.saturating_duration_since(at) < NOTICE_INTERVAL);
        if is_early {
            return None;
        }
        std::mem::swap(&mut self.said, &mut self.scratch);
        self.scratch.clear();
        self.scratch.extend_from_slice(&self.said);
        self.scratch.sort_unstable();
        self.scratch.dedup();
        if self.scratch == self.said_set {
            return None;
        }
        std::mem::swap(&mut self.said_set, &mut self.scratch);
        self.at = Some(now);
        Some(self.said.clone())
    }

    /// Who spoke when it was last said.
    pub(crate) fn said(&self) -> &[ParticipantNumber] {
        &self.said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_is_a_changed_set_and_not_too_often() {
        let start = Instant::now();
        let mut notice = SpeakerNotice::default();
        let mut say = |ms, who: &[u32]| {
            let now = start + Duration::from_millis(ms);
            notice.update(now, who.iter().copied().map(ParticipantNumber)).map(|who| who.len())
        };
        assert_eq!(say(0, &[]), None);
        assert_eq!(say(50, &[1, 2]), Some(2));
        assert_eq!(say(100, &[1]), None, "too soon");
        assert_eq!(say(400, &[2, 1]), None, "the same two");
        assert_eq!(say(450, &[]), Some(0));
    }
}
