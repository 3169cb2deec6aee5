use super::*;

#[test]
fn offers_wait_for_one_another_and_are_bounded() {
    let mut world = World::new();
    world.join(1, "ada", |_| {});
    let ask = |world: &mut World, sources: &[(&str, Source)]| {
        world.ask(1, ClientRequest::Offer { offer: offer(sources) })
    };
    let first = ask(&mut world, &[("0", Source::Camera)]);
    let second = ask(&mut world, &[("0", Source::Camera), ("1", Source::Screen)]);
    assert!(second.is_empty());
    for _ in 0..3 {
        assert!(ask(&mut world, &[]).is_empty());
    }
    assert_eq!(replies(&ask(&mut world, &[])), [Err(ErrorCode::RateLimited)]);
    let answered = world.answer(&first);
    assert!(matches!(replies(&answered)[..], [Ok(Reply::Answered(_))]));
    let [NodeCommand::Negotiate { publications, .. }] = commands(&answered)[..] else {
        panic!("{answered:?}")
    };
    let tracks: Vec<TrackId> = publications.iter().map(|publication| publication.track).collect();
    assert_eq!(tracks, [TrackId(1), TrackId(2)], "the camera keeps its track");
}

#[test]
fn tracks_that_the_node_refuses_are_not_published() {
    let mut world = World::new();
    world.join(1, "ada", |_| {});
    world.join(2, "grace", |_| {});
    world.ask(1, ClientRequest::Offer { offer: offer(&[("0", Source::Camera), ("1", Source::Microphone)]) });
    let publications = vec![AcceptedPublication {
        mid: Mid::new("1"),
        track: TrackId(2),
        kind: patchbay_protocol::MediaKind::Audio,
    }];
    let result = CommandResult::Answered { sdp: String::new(), publications, slots: Vec::new() };
    let answered = world.handle(Input::Done { ticket: Ticket(1), result });
    let [(to, ServerEvent::TrackPublished { track, .. })] = events(&answered)[..] else {
        panic!("{answered:?}")
    };
    assert_eq!((to, track.source), (&[MemberId(2)][..], Source::Microphone));
}

#[test]
fn muting_while_offers_are_under_way_is_not_undone_by_them() {
    let mut world = World::new();
    let joining = world.join(1, "ada", |join| join.offer = Some(offer(&[("0", Source::Microphone)])));
    world.answer(&joining);
    world.join(2, "ben", |_| {});
    let track = TrackId(1);
    let camera = [("0", Source::Microphone), ("1", Source::Camera)];
    let first = world.ask(1, ClientRequest::Offer { offer: offer(&camera) });
    world.ask(1, ClientRequest::Offer { offer: offer(&camera) });
    let muted = world.ask(1, ClientRequest::Mute { track, muted: true });
    assert_eq!(commands(&muted), [&NodeCommand::SetMuted { room: RoomId(7), track, muted: true }]);

    let tells_muted = |outputs: &[Output]| {
        events(outputs).iter().any(|(_, event)| matches!(event, ServerEvent::TrackMuted { .. }))
    };
    let second = world.answer(&first);
    assert!(!tells_muted(&second));
    let waiting = commands(&second).into_iter().find_map(|command| match command {
        NodeCommand::Negotiate { publications, .. } => publications.first().map(|one| one.muted),
        _ => None,
    });
    assert_eq!(waiting, Some(true), "the offer that waited says what holds by now");
    assert!(!tells_muted(&world.answer(&second)));
    let unmuted = world.ask(1, ClientRequest::Mute { track, muted: false });
    assert_eq!(commands(&unmuted), [&NodeCommand::SetMuted { room: RoomId(7), track, muted: false }]);
}
