//! Which participants a subscriber's `speaker` slots show.

use std::cmp::Ordering;
use std::time::{Duration, Instant};

use patchbay_protocol::ParticipantNumber;

use super::Loudness;
use crate::router::key::TrackKey;

/// A voice takes the place of one that still speaks only if it is that much louder.
const MARGIN_DECIBELS: f32 = 6.0;
/// And only if the other has been heard that long.
const MIN_HELD: Duration = Duration::from_secs(1);

/// Somebody who could be heard or seen: a microphone or a camera that is not muted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    pub(crate) participant: ParticipantNumber,
    /// What would flow.
    pub(crate) track: TrackKey,
    /// How loud the participant's microphone is.
    pub(crate) loudness: Loudness,
    /// Since when the participant speaks, if it does.
    pub(crate) speaking_since: Option<Instant>,
    /// When the participant last spoke.
    pub(crate) spoke_at: Option<Instant>,
}

/// What puts one candidate before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Policy {
    /// For audio slots.
    #[default]
    LoudestNow,
    /// For video slots.
    MostRecent,
}

impl Policy {
    /// The better candidate first. Participants are numbered in the order in which they joined.
    pub(crate) fn compare(self, a: &Candidate, b: &Candidate) -> Ordering {
        let speaks = b.speaking_since.is_some().cmp(&a.speaking_since.is_some());
        let recent = b.spoke_at.cmp(&a.spoke_at);
        let order = match self {
            Self::LoudestNow if a.speaking_since.is_some() && b.speaking_since.is_some() => {
                speaks.then(b.loudness.0.total_cmp(&a.loudness.0))
            }
            Self::LoudestNow => speaks.then(recent),
            // Of those who speak at the same time, whoever began first: a newcomer waits for a pause.
            Self::MostRecent => match (
                a.speaking_since.filter(|_| a.spoke_at.is_some()),
                b.speaking_since.filter(|_| b.spoke_at.is_some()),
            ) {
                (Some(a), Some(b)) => a.cmp(&b),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => recent,
            },
        };
        order.then(a.participant.cmp(&b.participant))
    }

    /// Whether a candidate may take somebody's place, and not only an empty one.
    fn is_claimant(self, candidate: &Candidate) -> bool {
        match self {
            Self::LoudestNow => candidate.speaking_since.is_some(),
            Self::MostRecent => candidate.spoke_at.is_some(),
        }
    }
}

/// All who could be heard, or seen, in a room; the best first.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    policy: Policy,
    list: Vec<Candidate>,
    /// Place in the list by index of the track, from 1; 0 for tracks that are not in it.
    places: Vec<u32>,
}

impl Candidates {
    pub(crate) fn clear(&mut self) {
        self.list.clear();
    }

    pub(crate) fn push(&mut self, candidate: Candidate) {
        self.list.push(candidate);
    }

    /// Puts them in order, after all were pushed.
    pub(crate) fn sort(&mut self, policy: Policy) {
        self.policy = policy;
        self.list.sort_unstable_by(|a, b| policy.compare(a, b));
        self.places.fill(0);
        for (place, candidate) in self.list.iter().enumerate() {
            let index = candidate.track.index();
            if index >= self.places.len() {
                self.places.resize(index + 1, 0);
            }
            if let Some(entry) = self.places.get_mut(index) {
                *entry = place as u32 + 1;
            }
        }
    }

    /// The best first.
    pub(crate) fn list(&self) -> &[Candidate] {
        &self.list
    }

    /// Place in the list, from 0, and the candidate.
    fn find(&self, track: TrackKey) -> Option<(usize, &Candidate)> {
        let place = (*self.places.get(track.index())? as usize).checked_sub(1)?;
        self.list.get(place).filter(|candidate| candidate.track == track).map(|candidate| (place, candidate))
    }
}

/// The places of one subscriber: rank 1 is the first.
#[derive(Debug, Default)]
pub(crate) struct Assignment {
    places: Vec<Option<Place>>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    participant: ParticipantNumber,
    track: TrackKey,
    since: Instant,
}

impl Assignment {
    /// Has as many places as the highest rank that is asked for.
    pub(crate) fn resize(&mut self, places: u8) {
        self.places.resize(usize::from(places), None);
    }

    /// The track at a rank, from 1.
    pub(crate) fn at(&self, rank: u8) -> Option<TrackKey> {
        self.places.get(usize::from(rank).checked_sub(1)?)?.map(|place| place.track)
    }

    /// Takes the candidates into account. Returns whether anything changed.
    pub(crate) fn update(&mut self, now: Instant, me: ParticipantNumber, candidates: &Candidates) -> bool {
        if self.places.is_empty() {
            return false;
        }
        let mut has_changed = self.drop_gone(me, candidates);
        let count = self.places.len();
        let others =
            || candidates.list.iter().enumerate().filter(|(_, candidate)| candidate.participant != me);
        // Whoever comes before this place in the list is among the best.
        let limit = others().nth(count).map_or(usize::MAX, |(place, _)| place);
        for (_, newcomer) in others().take(count) {
            if !candidates.policy.is_claimant(newcomer) {
                break;
            }
            if !self.holds(newcomer)
                && let Some(index) = self.vacancy(now, newcomer, candidates, limit)
            {
                has_changed |= self.put(now, index, newcomer);
            }
        }
        // Empty places are better filled than not.
        for (_, candidate) in others() {
            let Some(index) = self.places.iter().position(Option::is_none) else { break };
            if !self.holds(candidate) {
                has_changed |= self.put(now, index, candidate);
            }
        }
        has_changed
    }

    /// Empties the places of those who left, were muted, or changed their track.
    fn drop_gone(&mut self, me: ParticipantNumber, candidates: &Candidates) -> bool {
        let mut has_changed = false;
        for place in &mut self.places {
            let is_gone = |held: &mut Place| held.participant == me || candidates.find(held.track).is_none();
            has_changed |= place.take_if(is_gone).is_some();
        }
        has_changed
    }

    fn holds(&self, candidate: &Candidate) -> bool {
        self.places.iter().flatten().any(|place| place.participant == candidate.participant)
    }

    /// The place a newcomer may have: an empty one, or that of the worst holder who is not among the best.
    fn vacancy(
        &self,
        now: Instant,
        newcomer: &Candidate,
        candidates: &Candidates,
        limit: usize,
    ) -> Option<usize> {
        if let Some(empty) = self.places.iter().position(Option::is_none) {
            return Some(empty);
        }
        let held = self.places.iter().enumerate().filter_map(|(index, place)| Some((index, place.as_ref()?)));
        let ranked = held.filter_map(|(index, place)| Some((index, place, candidates.find(place.track)?)));
        let (index, place, (_, worst)) =
            ranked.filter(|(_, _, (at, _))| *at >= limit).max_by_key(|(_, _, (at, _))| *at)?;
        let may_replace = match candidates.policy {
            Policy::MostRecent => true,
            Policy::LoudestNow => {
                worst.speaking_since.is_none()
                    || newcomer.loudness.0 >= worst.loudness.0 + MARGIN_DECIBELS
                        && now.saturating_duration_since(place.since) >= MIN_HELD
            }
        };
        may_replace.then_some(index)
    }

    fn put(&mut self, now: Instant, index: usize, candidate: &Candidate) -> bool {
        let Some(place) = self.places.get_mut(index) else { return false };
        *place = Some(Place { participant: candidate.participant, track: candidate.track, since: now });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::key::Table;

    struct Room {
        candidates: Vec<Candidate>,
        now: Instant,
    }

    impl Room {
        fn new(count: u32) -> Self {
            let mut table: Table<TrackKey, ()> = Table::new();
            let candidate = |participant| Candidate {
                participant: ParticipantNumber(participant),
                track: table.insert(()),
                loudness: Loudness(0.0),
                speaking_since: None,
                spoke_at: None,
            };
            Self { candidates: (1..=count).map(candidate).collect(), now: Instant::now() }
        }

        fn speak(&mut self, participant: u32, loudness: f32) {
            self.now += Duration::from_secs(1);
            for candidate in &mut self.candidates {
                if candidate.participant.0 == participant {
                    candidate.loudness = Loudness(loudness);
                    candidate.speaking_since = Some(self.now);
                    candidate.spoke_at = Some(self.now);
                }
            }
        }

        fn pause(&mut self, participant: u32) {
            for candidate in &mut self.candidates {
                if candidate.participant.0 == participant {
                    candidate.speaking_since = None;
                    candidate.loudness = Loudness(0.0);
                }
            }
        }

        fn update(&mut self, me: u32, policy: Policy, assignment: &mut Assignment) -> Vec<u32> {
            let mut candidates = Candidates::default();
            self.candidates.iter().for_each(|candidate| candidates.push(*candidate));
            candidates.sort(policy);
            assignment.update(self.now, ParticipantNumber(me), &candidates);
            assignment.places.iter().map(|place| place.map_or(0, |place| place.participant.0)).collect()
        }
    }

    fn places(count: u8) -> Assignment {
        let mut assignment = Assignment::default();
        assignment.resize(count);
        assignment
    }

    #[test]
    fn silent_rooms_are_filled_in_join_order_without_oneself() {
        let mut room = Room::new(5);
        let mut assignment = places(3);
        assert_eq!(room.update(1, Policy::MostRecent, &mut assignment), [2, 3, 4]);
        assert_eq!(room.update(1, Policy::LoudestNow, &mut places(6)), [2, 3, 4, 5, 0, 0]);
    }

    #[test]
    fn faces_keep_their_places_and_a_newcomer_takes_the_stalest() {
        let mut room = Room::new(6);
        let mut assignment = places(3);
        for speaker in [2, 3, 4] {
            room.speak(speaker, 90.0);
            room.pause(speaker);
        }
        assert_eq!(room.update(1, Policy::MostRecent, &mut assignment), [4, 3, 2]);
        room.speak(2, 90.0);
        assert_eq!(room.update(1, Policy::MostRecent, &mut assignment), [4, 3, 2], "no swap");
        room.speak(5, 90.0);
        assert_eq!(room.update(1, Policy::MostRecent, &mut assignment), [4, 5, 2], "3 was silent longest");
        room.pause(5);
        room.speak(1, 99.0);
        assert_eq!(room.update(1, Policy::MostRecent, &mut assignment), [4, 5, 2], "never oneself");
    }

    #[test]
    fn the_silent_give_way_before_those_who_spoke() {
        let mut room = Room::new(6);
        let mut assignment = places(3);
        assert_eq!(room.update(1, Policy::MostRecent, &mut assignment), [2, 3, 4]);
        room.speak(2, 90.0);
        room.pause(2);
        room.speak(6, 90.0);
        assert_eq!(room.update(1, Policy::MostRecent, &mut assignment), [2, 3, 6]);
    }

    #[test]
    fn voices_are_exchanged_only_for_much_louder_ones() {
        let mut room = Room::new(5);
        let mut assignment = places(2);
        room.speak(2, 85.0);
        room.speak(3, 90.0);
        room.update(1, Policy::LoudestNow, &mut assignment);
        room.speak(4, 88.0);
        let mut heard = room.update(1, Policy::LoudestNow, &mut assignment);
        heard.sort_unstable();
        assert_eq!(heard, [2, 3], "a little louder is not enough");
        room.speak(5, 100.0);
        room.now += MIN_HELD;
        let mut heard = room.update(1, Policy::LoudestNow, &mut assignment);
        heard.sort_unstable();
        assert_eq!(heard, [3, 5]);
        room.pause(5);
        let mut heard = room.update(1, Policy::LoudestNow, &mut assignment);
        heard.sort_unstable();
        assert_eq!(heard, [3, 4]);
    }

    #[test]
    fn whoever_leaves_frees_a_place() {
        let mut room = Room::new(4);
        let mut assignment = places(2);
        assert_eq!(room.update(4, Policy::MostRecent, &mut assignment), [1, 2]);
        room.candidates.retain(|candidate| candidate.participant.0 != 1);
        assert_eq!(room.update(4, Policy::MostRecent, &mut assignment), [3, 2]);
    }

    #[test]
    fn twenty_voices_and_three_places_never_flap() {
        let mut room = Room::new(20);
        let mut assignment = places(3);
        let mut changes = 0;
        let mut before = Vec::new();
        for round in 0..200u32 {
            // Everybody talks at once, within the margin of one another.
            for participant in 1..=20 {
                let since = room.now;
                let candidate = room.candidates.iter_mut().find(|c| c.participant.0 == participant).unwrap();
                candidate.speaking_since.get_or_insert(since);
                candidate.loudness = Loudness(90.0 + ((participant * 7 + round * 13) % 5) as f32);
            }
            room.now += Duration::from_millis(50);
            let now = room.update(1, Policy::LoudestNow, &mut assignment);
            assert!(!now.contains(&1) && !now.contains(&0));
            changes += usize::from(!before.is_empty() && before != now);
            before = now;
        }
        assert_eq!(changes, 0);
    }
}
