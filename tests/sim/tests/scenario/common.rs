//! What several scenarios share.

use std::time::Duration;

use patchbay_protocol::{ParticipantNumber, RoomId, SlotSource, Source};
use patchbay_sim::{Condition, Plan, VideoPlan, World};

/// The room of most scenarios.
pub(crate) const ROOM: RoomId = RoomId(7);
/// As loud as a voice.
pub(crate) const VOICE: u8 = 25;
/// As quiet as an empty room.
pub(crate) const QUIET: u8 = 100;

/// So many milliseconds.
pub(crate) const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// So many seconds.
pub(crate) const fn s(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A path that takes this long, and does nothing else.
pub(crate) fn delay(millis: u64) -> Condition {
    Condition { delay: ms(millis), ..Condition::default() }
}

/// Microphone and camera.
pub(crate) fn publisher() -> Plan {
    Plan { microphone: Some(VOICE), camera: Some(VideoPlan::default()), ..Plan::default() }
}

/// What a participant publishes as this source.
pub(crate) fn of(participant: ParticipantNumber, source: Source) -> Option<SlotSource> {
    Some(SlotSource::Participant { participant, source })
}

/// The n-th speaker.
pub(crate) fn speaker(rank: u8) -> Option<SlotSource> {
    Some(SlotSource::Speaker { speaker: rank })
}

/// `count` participants who publish sound and picture, and see and hear all others.
pub(crate) fn everyone_sees_everyone(world: &mut World, count: u32) -> Vec<ParticipantNumber> {
    let numbers: Vec<_> = (1..=count).map(ParticipantNumber).collect();
    for me in &numbers {
        let others = || numbers.iter().filter(|other| *other != me);
        let plan = Plan {
            audio_slots: others().map(|other| of(*other, Source::Microphone)).collect(),
            video_slots: others().map(|other| of(*other, Source::Camera)).collect(),
            ..publisher()
        };
        assert_eq!(world.join(ROOM, &plan), *me);
    }
    let is_up = world.run_until(s(5), |world| world.clients().all(|client| client.connected.is_some()));
    assert!(is_up, "not connected after 5 s");
    numbers
}
