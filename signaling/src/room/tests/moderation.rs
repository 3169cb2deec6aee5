use super::*;

fn muted(outputs: &[Output], member: u64) -> Vec<(u32, bool, Option<u32>)> {
    let muted = |event: &ServerEvent| match event {
        ServerEvent::TrackMuted { track, muted, by, .. } => Some((track.0, *muted, by.map(|by| by.0))),
        _ => None,
    };
    told(outputs, member).into_iter().filter_map(muted).collect()
}

fn every_action() -> Vec<Moderation> {
    let participant = ParticipantNumber(1);
    vec![
        Moderation::Mute { track: TrackId(1) },
        Moderation::StopVideo { participant },
        Moderation::Remove { participant },
        Moderation::Ban { participant },
        Moderation::Unban { identity: "ada".into() },
        Moderation::Admit { participant },
        Moderation::Deny { participant },
        Moderation::Promote { participant, grants: Grants::default() },
        Moderation::LowerHand { participant },
        Moderation::UpdateRoom { changes: RoomChanges::default() },
        Moderation::CloseRoom {},
    ]
}

#[test]
fn every_action_needs_the_grant() {
    let mut world = World::new();
    world.join_publishing(1, "ada", &[("0", Source::Microphone)]);
    world.join(2, "ben", |_| {});
    for action in every_action() {
        let outputs = world.moderate(2, action.clone());
        assert_eq!(refusal(&outputs), Some(ErrorCode::NotAllowed), "{action:?}");
        assert_eq!(outputs.len(), 1, "{action:?} did something");
    }
}

#[test]
fn what_is_not_there_can_not_be_acted_on() {
    let mut world = World::new();
    world.join_moderator(1, "mod");
    world.join(2, "ghost", |join| join.grants.hidden = true);
    for participant in [ParticipantNumber(2), ParticipantNumber(99)] {
        for action in [
            Moderation::StopVideo { participant },
            Moderation::Remove { participant },
            Moderation::Ban { participant },
            Moderation::Admit { participant },
            Moderation::Deny { participant },
            Moderation::Promote { participant, grants: Grants::default() },
            Moderation::LowerHand { participant },
        ] {
            let outputs = world.moderate(1, action);
            assert_eq!(refusal(&outputs), Some(ErrorCode::UnknownParticipant), "{outputs:?}");
        }
    }
    assert_eq!(
        refusal(&world.moderate(1, Moderation::Mute { track: TrackId(9) })),
        Some(ErrorCode::UnknownTrack)
    );
    let own = ParticipantNumber(1);
    assert_eq!(
        refusal(&world.moderate(1, Moderation::Remove { participant: own })),
        Some(ErrorCode::InvalidArgument)
    );
    assert_eq!(
        refusal(&world.moderate(1, Moderation::Ban { participant: own })),
        Some(ErrorCode::UnknownParticipant)
    );
}

#[test]
fn a_muted_microphone_is_its_owners_to_open_again_and_everybody_hears_who_did_it() {
    let mut world = World::new();
    world.join_moderator(1, "mod");
    world.join_publishing(2, "ada", &[("0", Source::Microphone)]);
    let outputs = world.moderate(1, Moderation::Mute { track: TrackId(1) });
    assert_eq!(refusal(&outputs), None);
    let command = NodeCommand::SetMuted { room: RoomId(7), track: TrackId(1), muted: true };
    assert_eq!(commands(&outputs), [&command]);
    for member in [1, 2] {
        assert_eq!(muted(&outputs, member), [(1, true, Some(1))]);
    }
    let again = world.moderate(1, Moderation::Mute { track: TrackId(1) });
    assert!(events(&again).is_empty());
    let opened = world.ask(2, ClientRequest::Mute { track: TrackId(1), muted: false });
    assert_eq!(muted(&opened, 1), [(1, false, None)]);
}

#[test]
fn stopped_video_stays_stopped_through_offers_until_the_participant_is_promoted() {
    let mut world = World::new();
    world.join_moderator(1, "mod");
    world.join_publishing(2, "ada", &[("0", Source::Microphone), ("1", Source::Camera)]);
    // One offer is with the node while the moderator acts, and one waits.
    let sources = [("0", Source::Microphone), ("1", Source::Camera), ("2", Source::Screen)];
    let first = world.ask(2, ClientRequest::Offer { offer: offer(&sources) });
    world.ask(2, ClientRequest::Offer { offer: offer(&sources) });
    let participant = ParticipantNumber(2);
    let stopped = world.moderate(1, Moderation::StopVideo { participant });
    assert_eq!(muted(&stopped, 2), [(2, true, Some(1))], "the camera, and not the microphone");

    let second = world.answer(&first);
    let screen = NodeCommand::SetMuted { room: RoomId(7), track: TrackId(3), muted: true };
    assert!(commands(&second).contains(&&screen), "{second:?}");
    let published = told(&second, 1).into_iter().find_map(|event| match event {
        ServerEvent::TrackPublished { track, .. } => Some(track.muted),
        _ => None,
    });
    assert_eq!(published, Some(true));
    let third = world.answer(&second);
    assert!(muted(&third, 1).is_empty() && commands(&third).is_empty(), "{third:?}");

    for track in [2, 3] {
        let outputs = world.ask(2, ClientRequest::Mute { track: TrackId(track), muted: false });
        assert_eq!(refusal(&outputs), Some(ErrorCode::NotAllowed));
    }
    assert_eq!(refusal(&world.ask(2, ClientRequest::Mute { track: TrackId(1), muted: true })), None);
    world.moderate(1, Moderation::Promote { participant, grants: Grants::default() });
    assert_eq!(refusal(&world.ask(2, ClientRequest::Mute { track: TrackId(2), muted: false })), None);
}

#[test]
fn who_is_removed_may_come_back_and_who_is_banned_may_not() {
    let mut world = World::new();
    world.join_moderator(1, "mod");
    world.join(2, "ada", |_| {});
    let outputs = world.moderate(1, Moderation::Remove { participant: ParticipantNumber(2) });
    assert_eq!(told(&outputs, 2), [&ServerEvent::Left { reason: LeaveReason::Removed }]);
    let close = Some(CloseCode::Forbidden);
    assert!(outputs.contains(&Output::Detached { member: MemberId(2), close }));
    joined(&world.join(3, "ada", |_| {}));

    let outputs = world.moderate(1, Moderation::Ban { participant: ParticipantNumber(3) });
    assert_eq!(refusal(&outputs), None);
    assert_eq!(told(&outputs, 3), [&ServerEvent::Left { reason: LeaveReason::Banned }]);
    assert_eq!(refusal(&world.join(4, "ada", |_| {})), Some(ErrorCode::Banned));
    world.moderate(1, Moderation::Unban { identity: "ada".into() });
    joined(&world.join(5, "ada", |_| {}));
}

#[test]
fn with_a_store_a_ban_holds_at_once_and_is_answered_when_it_is_kept() {
    let mut world = World::new();
    world.room.config.is_kept = true;
    world.join_moderator(1, "mod");
    world.join(2, "ada", |_| {});
    let outputs = world.moderate(1, Moderation::Ban { participant: ParticipantNumber(2) });
    assert!(replies(&outputs).is_empty());
    assert_eq!(refusal(&world.join(3, "ada", |_| {})), Some(ErrorCode::Banned));
    let ticket = outputs.iter().find_map(|output| match output {
        Output::Store { ticket, write } if *write == StoreWrite::Ban("ada".into()) => Some(*ticket),
        _ => None,
    });
    let done = world.handle(Input::Stored { ticket: ticket.expect("a write"), result: Ok(0) });
    assert_eq!(refusal(&done), None);
}

#[test]
fn promotion_takes_effect_here_and_on_the_node() {
    let mut world = World::new();
    world.join_moderator(1, "mod");
    let asked = world.join(2, "ada", |join| {
        join.offer = Some(Description {
            slots: vec![SlotOffer { mid: Mid::new("2"), source: None, group: None }],
            ..offer(&[("0", Source::Microphone), ("1", Source::Camera)])
        });
    });
    world.answer(&asked);
    let grants = Grants {
        publish: vec![Source::Microphone],
        subscribe: false,
        data: false,
        moderate: true,
        ..Grants::default()
    };
    let participant = ParticipantNumber(2);
    let outputs = world.moderate(1, Moderation::Promote { participant, grants: grants.clone() });
    assert_eq!(refusal(&outputs), None);
    let (transport, room) = (TransportId(2), RoomId(7));
    assert_eq!(
        commands(&outputs),
        [
            &NodeCommand::SetMuted { room, track: TrackId(2), muted: true },
            &NodeCommand::SetSlot { transport, mid: Mid::new("2"), source: None },
            &NodeCommand::SetData { transport, data: false, topics: Vec::new() },
        ]
    );
    assert!(told(&outputs, 2).contains(&&ServerEvent::GrantsChanged { grants: grants.clone() }));
    let unpublished = ServerEvent::TrackUnpublished { participant, track: TrackId(2) };
    assert!(
        told(&outputs, 1).contains(&&unpublished)
            && !told(&outputs, 1).iter().any(|event| matches!(event, ServerEvent::GrantsChanged { .. }))
    );
    assert_eq!(refusal(&world.ask(2, chat("x", None))), Some(ErrorCode::NotAllowed));
    let camera = ClientRequest::Offer { offer: offer(&[("1", Source::Camera)]) };
    assert_eq!(refusal(&world.ask(2, camera)), Some(ErrorCode::NotAllowed));
    assert_eq!(refusal(&world.moderate(2, Moderation::LowerHand { participant })), None, "it may act now");

    let record = Grants { record: true, ..grants.clone() };
    let outputs = world.moderate(1, Moderation::Promote { participant, grants: record });
    assert_eq!(refusal(&outputs), Some(ErrorCode::NotAllowed));
    let hidden = Grants { hidden: true, ..grants };
    let outputs = world.moderate(1, Moderation::Promote { participant, grants: hidden });
    assert_eq!(refusal(&outputs), Some(ErrorCode::InvalidArgument));
}

#[test]
fn what_is_forbidden_while_an_offer_is_with_the_node_is_not_published() {
    let mut world = World::new();
    world.join_moderator(1, "mod");
    world.join(2, "ada", |_| {});
    let asked = world.ask(2, ClientRequest::Offer { offer: offer(&[("0", Source::Camera)]) });
    world.ask(2, ClientRequest::Offer { offer: offer(&[("0", Source::Camera)]) });
    let grants = Grants { publish: Vec::new(), ..Grants::default() };
    world.moderate(1, Moderation::Promote { participant: ParticipantNumber(2), grants });
    let answered = world.answer(&asked);
    let muted = NodeCommand::SetMuted { room: RoomId(7), track: TrackId(1), muted: true };
    assert_eq!(commands(&answered), [&muted], "and the offer that waited is not even sent");
    let [Ok(Reply::Answered(answer)), Err(ErrorCode::NotAllowed)] = replies(&answered)[..] else {
        panic!("{answered:?}")
    };
    assert!(answer.publications.is_empty() && events(&answered).is_empty());
}

#[test]
fn the_room_changes_as_a_whole_or_not_at_all() {
    let mut world = World::new();
    let first = world.join_moderator(1, "mod");
    assert_eq!(joined(&first).room_info.max_participants, 3);
    assert_eq!(joined(&first).room_info.created_at_ms, 1_000);
    world.join(2, "ada", |_| {});
    let update = |world: &mut World, changes| world.moderate(1, Moderation::UpdateRoom { changes });
    let attributes = [("color".to_owned(), Some("red".to_owned()))].into();
    let changed = update(
        &mut world,
        RoomChanges {
            metadata: Some(serde_json::json!({"topic": "plans"})),
            attributes: Some(attributes),
            locked: Some(true),
            ..RoomChanges::default()
        },
    );
    let [ServerEvent::RoomUpdated { room }] = told(&changed, 2)[..] else { panic!("{changed:?}") };
    assert!(room.locked && room.attributes["color"] == "red");
    assert_eq!(refusal(&world.join(3, "ben", |_| {})), Some(ErrorCode::RoomLocked));
    assert_eq!(joined(&world.join(4, "ada", |_| {})).room_info, *room, "who is in may rejoin");
    world.handle(Input::Gone { member: MemberId(4), reason: LeaveReason::TransportLost });
    joined(&world.join(5, "ada", |_| {}));
    world.ask(5, ClientRequest::Leave {});
    assert_eq!(refusal(&world.join(6, "ada", |_| {})), Some(ErrorCode::RoomLocked), "who left is out");

    let wrong = RoomChanges { locked: Some(false), max_participants: Some(4), ..RoomChanges::default() };
    assert_eq!(refusal(&update(&mut world, wrong)), Some(ErrorCode::InvalidArgument));
    assert_eq!(refusal(&world.join(7, "ben", |_| {})), Some(ErrorCode::RoomLocked));
    let long: BTreeMap<String, Option<String>> = [("k".into(), Some("x".repeat(9_000)))].into();
    let wrong = RoomChanges { attributes: Some(long), ..RoomChanges::default() };
    assert_eq!(refusal(&update(&mut world, wrong)), Some(ErrorCode::InvalidArgument));

    let open = RoomChanges { locked: Some(false), max_participants: Some(2), ..RoomChanges::default() };
    assert_eq!(refusal(&update(&mut world, open)), None);
    joined(&world.join(8, "ben", |_| {}));
    assert_eq!(refusal(&world.join(9, "eve", |_| {})), Some(ErrorCode::RoomFull));
    joined(&world.join(10, "player", |join| join.grants.hidden = true));
    assert_eq!(
        refusal(&world.join(11, "other", |join| join.grants.hidden = true)),
        Some(ErrorCode::RoomFull)
    );
}

#[test]
fn a_hand_is_lowered_and_a_room_closed_for_everybody() {
    let mut world = World::new();
    world.join_moderator(1, "mod");
    world.join(2, "ada", |_| {});
    let raise =
        ClientRequest::Update { name: None, metadata: None, attributes: None, hand_raised: Some(true) };
    world.ask(2, raise);
    let lowered = world.moderate(1, Moderation::LowerHand { participant: ParticipantNumber(2) });
    assert!(
        matches!(told(&lowered, 2)[..], [ServerEvent::ParticipantUpdated { participant }] if !participant.hand_raised)
    );
    let closed = world.moderate(1, Moderation::CloseRoom {});
    for member in [1, 2] {
        let left = ServerEvent::Left { reason: LeaveReason::RoomClosed };
        assert!(told(&closed, member).contains(&&left), "{closed:?}");
    }
    assert_eq!(closed.last(), Some(&Output::Over));
}
