use super::*;

fn with_waiting_room() -> World {
    let mut world = World::new();
    world.join_moderator(1, "mod");
    let changes = RoomChanges { waiting_room: Some(true), ..RoomChanges::default() };
    world.moderate(1, Moderation::UpdateRoom { changes });
    world
}

#[test]
fn a_join_waits_is_seen_by_moderators_only_and_comes_in_when_admitted() {
    let mut world = with_waiting_room();
    world.join_moderator(2, "second");
    let camera = offer(&[("0", Source::Camera)]);
    let waits = world.join(3, "ada", |join| join.offer = Some(camera));
    assert!(replies(&waits).is_empty() && commands(&waits).is_empty());
    assert_eq!(told(&waits, 3), [&ServerEvent::Waiting { position: 1 }]);
    let [ServerEvent::ParticipantWaiting { waiting }] = told(&waits, 1)[..] else { panic!("{waits:?}") };
    assert_eq!((waiting.participant.0, waiting.identity.as_str()), (3, "ada"));
    let candidate = ClientRequest::Candidate { candidate: "candidate:1".into(), mid: None };
    assert_eq!(refusal(&world.ask(3, candidate)), None);
    assert_eq!(refusal(&world.ask(3, chat("let me in", None))), Some(ErrorCode::NotJoined));
    assert!(told(&world.ask(1, chat("secret", None)), 3).is_empty(), "who waits hears nothing");

    let second = world.join(4, "ben", |_| {});
    assert_eq!(told(&second, 4), [&ServerEvent::Waiting { position: 2 }]);
    world.ask(2, ClientRequest::Leave {});
    let late = world.join_moderator(5, "late");
    let waiting: Vec<&str> = joined(&late).waiting.iter().map(|waiting| waiting.identity.as_str()).collect();
    assert_eq!(waiting, ["ada", "ben"]);
    world.ask(5, ClientRequest::Leave {});

    let admitted = world.moderate(1, Moderation::Admit { participant: ParticipantNumber(3) });
    assert_eq!(told(&admitted, 4), [&ServerEvent::Waiting { position: 1 }]);
    let ended = ServerEvent::ParticipantWaitingEnded { participant: ParticipantNumber(3) };
    assert!(told(&admitted, 1).contains(&&ended));
    let inside = world.answer(&admitted);
    assert_eq!(joined(&inside).chat.len(), 1);
    assert!(matches!(told(&inside, 1)[..], [ServerEvent::ParticipantJoined { .. }]));

    let denied = world.moderate(1, Moderation::Deny { participant: ParticipantNumber(4) });
    assert!(replies(&denied).contains(&Err(ErrorCode::Denied)));
    assert!(denied.contains(&Output::Detached { member: MemberId(4), close: None }));
    let ended = ServerEvent::ParticipantWaitingEnded { participant: ParticipantNumber(4) };
    assert!(told(&denied, 1).contains(&&ended));
    assert!(!events(&denied).iter().any(|(_, event)| matches!(event, ServerEvent::ParticipantLeft { .. })));
}

#[test]
fn who_gives_up_or_falls_out_waits_no_longer() {
    let mut world = with_waiting_room();
    world.join(2, "ada", |_| {});
    world.join(3, "ben", |_| {});
    let left = world.ask(2, ClientRequest::Leave {});
    assert_eq!(replies(&left), [Ok(&Reply::Done {}), Err(ErrorCode::NotJoined)]);
    assert_eq!(told(&left, 3), [&ServerEvent::Waiting { position: 1 }]);
    let gone = world.handle(Input::Gone { member: MemberId(3), reason: LeaveReason::ConnectionLost });
    assert!(matches!(told(&gone, 1)[..], [ServerEvent::ParticipantWaitingEnded { .. }]));
    let again = world.join(4, "ben", |_| {});
    assert!(replies(&again).is_empty(), "it was never in, so it waits anew");
    let banned = world.moderate(1, Moderation::Ban { participant: ParticipantNumber(4) });
    assert!(replies(&banned).contains(&Err(ErrorCode::Banned)));
    assert_eq!(refusal(&world.join(5, "ben", |_| {})), Some(ErrorCode::Banned));
}

#[test]
fn a_player_can_not_slip_past_and_who_was_admitted_may_come_back() {
    let mut world = with_waiting_room();
    assert_eq!(refusal(&world.join(2, "player", |join| join.grants.hidden = true)), Some(ErrorCode::Denied));
    world.join(3, "ada", |_| {});
    world.moderate(1, Moderation::Admit { participant: ParticipantNumber(2) });
    joined(&world.join(4, "ada", |_| {}));
    world.handle(Input::Gone { member: MemberId(4), reason: LeaveReason::ConnectionLost });
    joined(&world.join(5, "ada", |_| {}));
    world.ask(5, ClientRequest::Leave {});
    assert!(replies(&world.join(6, "ada", |_| {})).is_empty());
}

#[test]
fn admission_minds_the_bound_and_the_end_of_the_waiting_room_admits_everybody() {
    let mut world = with_waiting_room();
    for (member, identity) in [(2, "a"), (3, "b"), (4, "c"), (5, "d")] {
        world.join(member, identity, |_| {});
    }
    for participant in [2, 3] {
        let admit = Moderation::Admit { participant: ParticipantNumber(participant) };
        assert_eq!(
            world.moderate(1, admit).iter().filter(|output| matches!(output, Output::Reply { .. })).count(),
            2
        );
    }
    let full = world.moderate(1, Moderation::Admit { participant: ParticipantNumber(4) });
    assert_eq!(refusal(&full), Some(ErrorCode::RoomFull), "it goes on waiting");
    world.ask(2, ClientRequest::Leave {});
    let changes = RoomChanges { waiting_room: Some(false), ..RoomChanges::default() };
    let opened = world.moderate(1, Moderation::UpdateRoom { changes });
    joined(&opened);
    assert!(replies(&opened).contains(&Err(ErrorCode::RoomFull)), "{opened:?}");
    assert!(world.room.queue.is_empty());
}

#[test]
fn a_new_moderator_learns_who_waits_and_a_closed_room_sends_them_away() {
    let mut world = with_waiting_room();
    world.join(2, "ada", |_| {});
    world.moderate(1, Moderation::Admit { participant: ParticipantNumber(2) });
    world.join(3, "ben", |_| {});
    let grants = Grants { moderate: true, ..Grants::default() };
    let promoted = world.moderate(1, Moderation::Promote { participant: ParticipantNumber(2), grants });
    assert!(told(&promoted, 2).iter().any(|event| matches!(event, ServerEvent::ParticipantWaiting { .. })));
    let closed = world.moderate(2, Moderation::CloseRoom {});
    assert!(replies(&closed).contains(&Err(ErrorCode::Denied)));
    assert!(world.room.members.is_empty() && !world.room.info.waiting_room);
}

#[test]
fn only_so_many_wait() {
    let mut world = with_waiting_room();
    for index in 0..100 {
        assert!(replies(&world.join(10 + index, &format!("p{index}"), |_| {})).is_empty());
    }
    assert_eq!(refusal(&world.join(500, "late", |_| {})), Some(ErrorCode::TooMany));
}
