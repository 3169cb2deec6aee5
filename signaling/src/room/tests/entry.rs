use super::*;

#[test]
fn a_join_with_an_offer_shows_nobody_anything_before_its_answer() {
    let mut world = World::new();
    world.join(1, "ada", |_| {});
    let asked = world.join(2, "grace", |join| join.offer = Some(offer(&[("0", Source::Camera)])));
    assert!(replies(&asked).is_empty() && events(&asked).is_empty());
    let answered = world.answer(&asked);
    let [Ok(Reply::Joined(joined))] = replies(&answered)[..] else { panic!("{answered:?}") };
    assert_eq!(joined.participants.len(), 1);
    assert_eq!(joined.participant.tracks.len(), 1);
    let [(to, ServerEvent::ParticipantJoined { participant })] = events(&answered)[..] else {
        panic!("{answered:?}")
    };
    assert_eq!((to, participant.tracks.len()), (&[MemberId(1)][..], 1));
}

#[test]
fn a_refused_join_leaves_nothing_behind() {
    let mut world = World::new();
    let asked = world.join(1, "ada", |join| join.offer = Some(offer(&[("0", Source::Camera)])));
    let result = CommandResult::failed(ErrorCode::InvalidSdp, "no");
    let refused = world.handle(Input::Done { ticket: Ticket(1), result });
    assert_eq!(commands(&asked).len(), 1);
    assert_eq!(replies(&refused), [Err(ErrorCode::InvalidSdp)]);
    assert!(matches!(commands(&refused)[..], [NodeCommand::CloseTransport { .. }]));
    assert!(refused.contains(&Output::Detached { member: MemberId(1), close: None }));
    assert!(world.room.deadline().is_some(), "the room is empty again");
}

#[test]
fn who_leaves_while_its_offer_is_under_way_gets_every_reply() {
    let mut world = World::new();
    let asked = world.join(1, "ada", |join| join.offer = Some(offer(&[])));
    let gone = world.ask(1, ClientRequest::Leave {});
    assert_eq!(replies(&gone).len(), 2, "the leave and the join");
    assert_eq!(replies(&gone)[1], Err(ErrorCode::NotJoined));
    assert!(matches!(commands(&gone)[..], [NodeCommand::CloseTransport { .. }]));
    assert!(world.answer(&asked).is_empty(), "a late answer concerns nobody");
}

#[test]
fn the_same_identity_replaces_once_it_is_in() {
    let mut world = World::new();
    world.join(1, "ada", |_| {});
    let asked = world.join(2, "ada", |join| join.offer = Some(offer(&[])));
    assert!(!asked.iter().any(|output| matches!(output, Output::Detached { .. })), "not before the answer");
    let answered = world.answer(&asked);
    let close = Some(CloseCode::Replaced);
    assert!(answered.contains(&Output::Detached { member: MemberId(1), close }));
    let hidden = world.join(3, "ada", |join| join.grants.hidden = true);
    assert!(
        !hidden.iter().any(|output| matches!(output, Output::Detached { .. })),
        "a player replaces nobody"
    );
}

#[test]
fn a_watch_finds_its_identity_again_after_a_rejoin() {
    let mut world = World::new();
    let asked = world.join(1, "player", |join| {
        join.grants.hidden = true;
        let mid = Mid::new("0");
        join.offer = Some(Description {
            sdp: String::new(),
            publications: Vec::new(),
            slots: vec![SlotOffer { mid: mid.clone(), source: None, group: None }],
            channels: Vec::new(),
        });
        join.watches = vec![Watch { mid, identity: "ada".into(), source: Source::Camera }];
    });
    world.answer(&asked);
    for number in [2, 3] {
        let joined = world.join(u64::from(number), "ada", |_| {});
        let participant = ParticipantNumber(number);
        let [NodeCommand::SetSlot { source, .. }] = commands(&joined)[..] else { panic!("{joined:?}") };
        assert_eq!(*source, Some(SlotSource::Participant { participant, source: Source::Camera }));
        world.ask(u64::from(number), ClientRequest::Leave {});
    }
}

#[test]
fn a_lost_node_takes_those_it_carried_and_nobody_else() {
    let mut world = World::new();
    world.join(1, "talks", |_| {});
    let asked = world.join(2, "plays", |join| join.offer = Some(offer(&[])));
    world.answer(&asked);
    let lost = world.handle(Input::NodeLost);
    let told: Vec<_> = events(&lost);
    assert_eq!(told[0], (&[MemberId(2)][..], &ServerEvent::Left { reason: LeaveReason::NodeLost }));
    assert!(matches!(told[1].1, ServerEvent::ParticipantLeft { reason: LeaveReason::NodeLost, .. }));
    assert!(commands(&lost).is_empty(), "there is nobody to command");
    assert!(world.room.deadline().is_none());
}

#[test]
fn a_failed_transport_takes_its_participant() {
    let mut world = World::new();
    world.join_publishing(1, "ada", &[("0", Source::Microphone)]);
    let state = TransportState::Failed { reason: "silence".into() };
    let out = world.handle(Input::Node(NodeEvent::Transport { transport: TransportId(1), state }));
    assert!(matches!(
        events(&out)[..],
        [(_, ServerEvent::Transport { .. }), (_, ServerEvent::Left { reason: LeaveReason::TransportLost })]
    ));
    assert!(commands(&out).is_empty(), "it is gone on the node already");
}

#[test]
fn who_has_no_media_stays_when_its_transport_fails_and_may_offer_anew() {
    let mut world = World::new();
    let asked = world.join(1, "ada", |join| join.offer = Some(offer(&[])));
    world.answer(&asked);
    for _ in 0..2 {
        let state = TransportState::Failed { reason: "silence".into() };
        let out = world.handle(Input::Node(NodeEvent::Transport { transport: TransportId(1), state }));
        assert!(matches!(events(&out)[..], [(_, ServerEvent::Transport { .. })]), "told, and that is all");
        let lost = world.handle(Input::TransportGone(TransportId(1)));
        assert!(events(&lost).is_empty(), "what the node does not hold is not missed: {lost:?}");
        let asked = world.ask(1, ClientRequest::Offer { offer: offer(&[]) });
        assert!(matches!(commands(&asked)[..], [NodeCommand::Negotiate { transport: TransportId(1), .. }]));
        let answered = world.answer(&asked);
        assert!(matches!(replies(&answered)[..], [Ok(Reply::Answered(_))]), "{answered:?}");
    }
    let left = world.ask(1, ClientRequest::Leave {});
    assert!(matches!(commands(&left)[..], [NodeCommand::CloseTransport { transport: TransportId(1) }]));
}

#[test]
fn hidden_participants_publish_and_write_nothing() {
    let mut world = World::new();
    let hide = |join: &mut Join| join.grants.hidden = true;
    let refused = world.join(1, "ghost", |join| {
        hide(join);
        join.offer = Some(offer(&[("0", Source::Camera)]));
    });
    assert_eq!(replies(&refused), [Err(ErrorCode::NotAllowed)]);
    world.join(2, "ghost", hide);
    assert_eq!(
        replies(&world.ask(2, ClientRequest::Chat { text: "boo".into(), message_id: None })),
        [Err(ErrorCode::NotAllowed)]
    );
}

#[test]
fn an_empty_room_is_over_after_a_while_and_not_before() {
    let mut world = World::new();
    world.join(1, "ada", |_| {});
    assert_eq!(world.room.deadline(), None);
    world.ask(1, ClientRequest::Leave {});
    let deadline = world.room.deadline().expect("a deadline");
    world.room.handle_deadline(world.now);
    assert_eq!(world.room.poll(), None);
    world.room.handle_deadline(Moment { at: deadline, unix_ms: 0 });
    assert_eq!(world.room.poll(), Some(Output::Over));
}

#[test]
fn whoever_stays_gets_fresh_credentials_before_the_first_expire() {
    let turn = crate::turn::Turn {
        urls: vec!["turn:turn.example.org".into()],
        secret: crate::auth::Secret::new("shared"),
        ttl: Duration::from_secs(400),
    };
    let mut world = World::new();
    world.room.config.ice_servers = Arc::new(IceServers { fixed: Vec::new(), turn: Some(turn) });
    let outputs = world.join(1, "ada", |_| {});
    let username = |servers: &[patchbay_protocol::IceServer]| servers[0].username.clone().unwrap();
    let Some(Output::Reply { result: Ok(Reply::Joined(joined)), .. }) = outputs.first() else {
        panic!("{outputs:?}")
    };
    assert_eq!(username(&joined.ice_servers), "401:s1");
    world.join(2, "ben", |_| {});
    world.handle(Input::Gone { member: MemberId(2), reason: LeaveReason::Left });

    let due = world.room.deadline().unwrap();
    assert_eq!(due, world.now.at + Duration::from_secs(300));
    world.now = Moment { at: due, unix_ms: 301_000 };
    world.room.handle_deadline(world.now);
    let outputs: Vec<Output> = std::iter::from_fn(|| world.room.poll()).collect();
    let [Output::Event { to, event: ServerEvent::IceServers { ice_servers } }] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert_eq!((&to[..], username(ice_servers).as_str()), (&[MemberId(1)][..], "701:s1"));
    assert_eq!(world.room.deadline(), Some(due + Duration::from_secs(300)));
    world.handle(Input::Gone { member: MemberId(1), reason: LeaveReason::Left });
    assert_eq!(
        world.room.deadline(),
        Some(due + Duration::from_secs(5)),
        "nothing is left but the room's end"
    );
}
