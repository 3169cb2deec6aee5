//! The server's API in a room, and what the world outside is told.

use super::*;

impl World {
    fn server(&mut self, request: ServerRequest) -> Vec<Output> {
        self.handle(Input::Server { call: ServerCall(1), request: Box::new(request) })
    }

    fn notices(&mut self) -> Vec<(&'static str, Option<String>)> {
        let name = |notice: Notice| {
            let kind = match notice.event {
                ServerEvent::ParticipantJoined { .. } => "joined",
                ServerEvent::ParticipantLeft { .. } => "left",
                ServerEvent::RoomUpdated { .. } => "updated",
                ServerEvent::Chat { .. } => "chat",
                ServerEvent::TrackMuted { .. } => "muted",
                other => panic!("{other:?}"),
            };
            (kind, notice.identity)
        };
        std::iter::from_fn(|| self.room.poll_notice()).map(name).collect()
    }
}

/// What came of the one request of the server.
fn answer(outputs: &[Output]) -> Result<&ServerReply, ErrorCode> {
    let mut answers = outputs.iter().filter_map(|output| match output {
        Output::Answer { result, .. } => Some(result.as_ref().map_err(|error| error.code)),
        _ => None,
    });
    let first = answers.next().unwrap_or_else(|| panic!("no answer: {outputs:?}"));
    assert!(answers.next().is_none(), "one answer: {outputs:?}");
    first
}

fn update(changes: RoomChanges, seconds: Option<u64>) -> ServerRequest {
    ServerRequest::Update { changes, empty_timeout: seconds.map(Duration::from_secs) }
}

fn data(topic: &str) -> ServerRequest {
    ServerRequest::Data(Box::new(ServerData {
        way: TransportId(77),
        topic: topic.into(),
        settings: None,
        payload: b"x".to_vec(),
        is_text: true,
        is_tombstone: false,
        key: None,
        to: Vec::new(),
    }))
}

#[test]
fn a_room_made_in_advance_is_kept_for_as_long_as_was_said_also_by_a_rebuilt_one() {
    let mut world = World::new();
    answer(&world.server(update(RoomChanges::default(), Some(60)))).unwrap();
    assert!(world.pass(Duration::from_secs(59)).is_empty());
    let records = world.room.records().into_iter().collect();
    let config = world.room.config.clone();
    let rebuilt = Room::rebuild(world.now, RoomId(7), &records, Vec::new(), config, || MemberId(1)).unwrap();
    assert_eq!(rebuilt.linger(), Duration::from_secs(60));
    assert_eq!(world.pass(Duration::from_secs(2)).last(), Some(&Output::Over));
    answer(&world.server(ServerRequest::Close)).unwrap();
    assert_eq!(world.room.linger(), Duration::from_secs(5), "closed, it is as if nobody had made it");
}

#[test]
fn bans_of_the_server_are_answered_when_they_are_kept() {
    let mut world = World::new();
    world.room.config.is_kept = true;
    world.join(1, "ada", |_| {});
    let remove = |identity: &str| ServerRequest::Remove { identity: identity.into(), ban: true };
    let outputs = world.server(remove("ada"));
    assert!(matches!(told(&outputs, 1)[..], [ServerEvent::Left { reason: LeaveReason::Banned }]));
    assert!(!outputs.iter().any(|output| matches!(output, Output::Answer { .. })));
    let ticket = outputs.iter().find_map(|output| match output {
        Output::Store { ticket, .. } => Some(*ticket),
        _ => None,
    });
    let stored = world.handle(Input::Stored { ticket: ticket.unwrap(), result: Ok(0) });
    assert_eq!(answer(&stored), Ok(&ServerReply::Said(Reply::Done {})));
    assert_eq!(answer(&world.server(remove("ada"))), Err(ErrorCode::UnknownParticipant));
}

#[test]
fn the_server_sees_and_removes_whom_nobody_sees() {
    let mut world = World::new();
    world.join(1, "ada", |_| {});
    world.join(2, "spy", |join| join.grants.hidden = true);
    let all = world.server(ServerRequest::Participants);
    let Ok(ServerReply::Participants(all)) = answer(&all) else { panic!("{all:?}") };
    assert_eq!(all.iter().map(|one| one.grants.hidden).collect::<Vec<_>>(), [false, true]);
    let gone = world.server(ServerRequest::Remove { identity: "spy".into(), ban: false });
    assert!(matches!(told(&gone, 2)[..], [ServerEvent::Left { reason: LeaveReason::Removed }]));
    assert_eq!(world.notices(), [("joined", Some("ada".into()))], "and nobody outside hears of it");
}

#[test]
fn the_world_outside_is_told_also_when_nobody_is_there() {
    let mut world = World::new();
    world.server(update(RoomChanges { locked: Some(true), ..RoomChanges::default() }, None));
    let line = |id: Option<&str>| ServerRequest::Chat {
        name: None,
        text: "hello".into(),
        message_id: id.map(str::to_owned),
    };
    assert_eq!(answer(&world.server(line(Some("a")))), answer(&world.server(line(Some("a")))), "said once");
    world.join_moderator(1, "ada");
    world.handle(Input::Gone { member: MemberId(1), reason: LeaveReason::Left });
    let ada = Some("ada".to_owned());
    let expected = [("updated", None), ("chat", Some(String::new())), ("joined", ada.clone()), ("left", ada)];
    assert_eq!(world.notices(), expected);
}

#[test]
fn topics_of_the_server_are_opened_once_and_anew_after_a_loss() {
    let mut world = World::new();
    let kinds = |outputs: &[Output]| -> String {
        let kind = |command: &NodeCommand| match command {
            NodeCommand::AttachData { .. } => 'a',
            NodeCommand::OpenTopic { .. } => 'o',
            NodeCommand::SendData { .. } => 's',
            NodeCommand::CloseTopic { .. } => 'c',
            _ => '?',
        };
        commands(outputs).into_iter().map(kind).collect()
    };
    let sent = |world: &mut World, topic: &str| kinds(&world.server(data(topic)));
    assert_eq!([sent(&mut world, "a"), sent(&mut world, "a"), sent(&mut world, "b")], ["aos", "s", "os"]);
    world.handle(Input::Node(NodeEvent::TopicClosed {
        transport: TransportId(77),
        channel: 1,
        reason: "gone".into(),
    }));
    assert_eq!([sent(&mut world, "a"), sent(&mut world, "b")], ["os", "s"]);
    world.handle(Input::NodeLost);
    assert_eq!(sent(&mut world, "a"), "aos");
    world.handle(Input::TransportGone(TransportId(77)));
    assert_eq!(sent(&mut world, "a"), "aos");
    for topic in 0..63 {
        assert_eq!(sent(&mut world, &topic.to_string()), "os");
    }
    assert_eq!(sent(&mut world, "one more"), "cos", "the one that was opened first goes");

    let outputs = world.server(data("b"));
    let ticket = outputs.iter().find_map(|output| match output {
        Output::Command { ticket, command: NodeCommand::SendData { .. } } => *ticket,
        _ => None,
    });
    let failed = CommandResult::failed(ErrorCode::NoNode, "no node");
    let failed = world.handle(Input::Done { ticket: ticket.unwrap(), result: failed });
    assert_eq!(answer(&failed), Err(ErrorCode::NoNode));
}
