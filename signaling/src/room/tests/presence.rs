use patchbay_protocol::PresenceState;

use super::*;

fn typing(typing: bool) -> ClientRequest {
    ClientRequest::Presence { state: None, typing: Some(typing) }
}

fn state(state: PresenceState) -> ClientRequest {
    ClientRequest::Presence { state: Some(state), typing: None }
}

/// What the other one was told: away, typing.
fn heard(outputs: &[Output]) -> Vec<(bool, bool)> {
    let presence = |event: &ServerEvent| match event {
        ServerEvent::Presence { state, typing, .. } => Some((*state == PresenceState::Away, *typing)),
        _ => None,
    };
    told(outputs, 2).into_iter().filter_map(presence).collect()
}

fn two() -> World {
    let mut world = World::new();
    world.join(1, "ada", |_| {});
    world.join(2, "ben", |_| {});
    world
}

#[test]
fn typing_ends_by_itself_or_with_the_line() {
    let mut world = two();
    assert_eq!(heard(&world.ask(1, typing(true))), [(false, true)]);
    assert!(world.pass(Duration::from_secs(5)).is_empty());
    assert!(heard(&world.ask(1, typing(true))).is_empty(), "said again, it is no news");
    assert!(world.pass(Duration::from_millis(5_900)).is_empty());
    assert_eq!(heard(&world.pass(Duration::from_millis(100))), [(false, false)]);
    world.pass(Duration::from_secs(1));
    world.ask(1, typing(true));
    world.pass(Duration::from_secs(1));
    assert_eq!(heard(&world.ask(1, chat("done", None))), [(false, false)]);
    assert_eq!(world.room.deadline(), None);
}

#[test]
fn quick_changes_are_told_together() {
    let mut world = two();
    assert_eq!(heard(&world.ask(1, state(PresenceState::Away))), [(true, false)]);
    for _ in 0..10 {
        assert!(heard(&world.ask(1, typing(true))).is_empty());
        assert!(heard(&world.ask(1, state(PresenceState::Active))).is_empty());
    }
    assert_eq!(heard(&world.pass(Duration::from_millis(500))), [(false, true)]);
    world.ask(1, state(PresenceState::Away));
    world.ask(1, ClientRequest::Leave {});
    assert_eq!(world.room.deadline(), None, "nothing is due for who left");
}

#[test]
fn late_joiners_see_who_is_away_and_nobody_sees_the_hidden() {
    let mut world = two();
    world.ask(1, state(PresenceState::Away));
    let late = world.join(3, "eve", |join| join.grants.hidden = true);
    assert_eq!(joined(&late).participants[0].presence, PresenceState::Away);
    assert_eq!(refusal(&world.ask(3, state(PresenceState::Away))), Some(ErrorCode::NotAllowed));
}

#[test]
fn attributes_are_set_deleted_and_bounded() {
    let mut world = two();
    let update = |world: &mut World, attributes: Vec<(String, Option<String>)>| {
        let attributes = Some(attributes.into_iter().collect());
        world.ask(1, ClientRequest::Update { name: None, metadata: None, attributes, hand_raised: None })
    };
    let seen = |outputs: &[Output]| match told(outputs, 2)[..] {
        [ServerEvent::ParticipantUpdated { participant }] => participant.attributes.clone(),
        _ => panic!("{outputs:?}"),
    };
    let both = update(&mut world, vec![("a".into(), Some("1".into())), ("b".into(), Some(String::new()))]);
    assert_eq!(seen(&both).len(), 2);
    let changed = update(&mut world, vec![("a".into(), None), ("none".into(), None)]);
    assert_eq!(seen(&changed).into_iter().collect::<Vec<_>>(), [("b".into(), String::new())]);
    for wrong in [
        vec![("big".into(), Some("x".repeat(8 * 1_024)))],
        (0..64).map(|index| (format!("k{index}"), Some(String::new()))).collect(),
        vec![(String::new(), Some("x".into()))],
        vec![("new\nline".into(), Some("x".into()))],
    ] {
        assert_eq!(refusal(&update(&mut world, wrong)), Some(ErrorCode::InvalidArgument));
    }
    let late = world.join(3, "eve", |_| {});
    assert_eq!(joined(&late).participants[0].attributes.len(), 1, "what was refused changed nothing");
}
