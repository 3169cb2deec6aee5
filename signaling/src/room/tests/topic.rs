use patchbay_protocol::{ChannelDeclaration, TopicGrant};

use super::*;

fn open(label: &str) -> ClientRequest {
    ClientRequest::TopicOpen { label: label.into(), protocol: "patchbay?mode=latest".into() }
}

/// Answers every command that wants an answer.
fn carry_out(world: &mut World, outputs: &[Output], result: &CommandResult) -> Vec<Output> {
    let mut after = Vec::new();
    for output in outputs {
        if let Output::Command { ticket: Some(ticket), .. } = output {
            after.extend(world.handle(Input::Done { ticket: *ticket, result: result.clone() }));
        }
    }
    after
}

fn opened(outputs: &[Output]) -> u16 {
    let [Ok(Reply::TopicOpened { channel })] = replies(outputs)[..] else { panic!("{outputs:?}") };
    *channel
}

fn open_one(world: &mut World, member: u64, label: &str) -> u16 {
    let asked = world.ask(member, open(label));
    opened(&carry_out(world, &asked, &CommandResult::Done {}))
}

#[test]
fn topics_are_opened_used_and_closed() {
    let mut world = World::new();
    world.join(1, "ada", |_| {});
    let asked = world.ask(1, open("game"));
    let transport = TransportId(1_001);
    let [NodeCommand::AttachData { participant, room: RoomId(7), .. }, NodeCommand::OpenTopic { label, .. }] =
        commands(&asked)[..]
    else {
        panic!("{asked:?}")
    };
    assert_eq!((participant.0, label.as_str()), (1, "game"));
    let channel = opened(&carry_out(&mut world, &asked, &CommandResult::Done {}));
    let second = world.ask(1, open("cursors"));
    assert_eq!(commands(&second).len(), 1, "the way is there already");
    let other = opened(&carry_out(&mut world, &second, &CommandResult::Done {}));
    assert_ne!(channel, other);

    let messages = vec!["AAEC".to_owned()];
    let sent = world.ask(1, ClientRequest::TopicSend { channel, messages: messages.clone() });
    assert_eq!(commands(&sent), [&NodeCommand::SendData { transport, channel, messages: messages.clone() }]);
    assert_eq!(refusal(&carry_out(&mut world, &sent, &CommandResult::Done {})), None);
    let heard = world.handle(Input::Node(NodeEvent::Data { transport, channel, messages: messages.clone() }));
    assert_eq!(told(&heard, 1), [&ServerEvent::Topic { channel, messages: messages.clone() }]);
    let stray = world.handle(Input::Node(NodeEvent::Data { transport, channel: 77, messages }));
    assert!(stray.is_empty());

    let closed = world.ask(1, ClientRequest::TopicClose { channel });
    assert_eq!(commands(&closed), [&NodeCommand::CloseTopic { transport, channel }]);
    let reason = "too slow".to_owned();
    let event = NodeEvent::TopicClosed { transport, channel: other, reason: reason.clone() };
    let closed = world.handle(Input::Node(event));
    assert_eq!(told(&closed, 1), [&ServerEvent::TopicClosed { channel: other, reason }]);
    assert_eq!(
        commands(&closed),
        [&NodeCommand::CloseTransport { transport }],
        "with the last, the way ends"
    );
    let late = world.ask(1, ClientRequest::TopicSend { channel, messages: vec!["AA==".into()] });
    assert_eq!(refusal(&late), Some(ErrorCode::UnknownTopic));
    open_one(&mut world, 1, "again");
    let gone = world.ask(1, ClientRequest::Leave {});
    assert!(commands(&gone).contains(&&NodeCommand::CloseTransport { transport }));
}

#[test]
fn grants_say_which_topics() {
    let mut world = World::new();
    let grant = |topic: &str, publish, subscribe| TopicGrant { topic: topic.into(), publish, subscribe };
    world.join(1, "ada", |join| {
        join.grants.topics = vec![grant("game/secret", false, false), grant("game/*", true, true)];
    });
    world.join(2, "mute", |join| join.grants.data = false);
    open_one(&mut world, 1, "game/moves");
    for (member, request) in [(1, open("game/secret")), (1, open("other")), (2, open("game/moves"))] {
        assert_eq!(refusal(&world.ask(member, request)), Some(ErrorCode::NotAllowed));
    }
    let grants = Grants { data: false, ..Grants::default() };
    let changed = world.handle(Input::Server {
        call: ServerCall(1),
        request: Box::new(ServerRequest::UpdateParticipant {
            identity: "ada".into(),
            changes: Box::new(ParticipantChanges { grants: Some(grants), ..ParticipantChanges::default() }),
        }),
    });
    let transport = TransportId(1_001);
    assert_eq!(
        commands(&changed),
        [&NodeCommand::SetData { transport, data: false, topics: Vec::new() }],
        "it has no transport of its own"
    );
}

#[test]
fn what_is_out_of_bounds_is_refused() {
    let mut world = World::new();
    world.join(1, "ada", |_| {});
    let wrong = |label: &str, protocol: &str| ClientRequest::TopicOpen {
        label: label.into(),
        protocol: protocol.into(),
    };
    for request in [
        wrong("", "patchbay"),
        wrong(&"x".repeat(257), "patchbay"),
        wrong("game", ""),
        wrong("game", "patchbays"),
        wrong("game", &format!("patchbay?{}", "x".repeat(300))),
    ] {
        assert_eq!(refusal(&world.ask(1, request)), Some(ErrorCode::InvalidArgument));
    }
    let channel = open_one(&mut world, 1, "game");
    for messages in [vec![], vec!["AA==".to_owned(); 65], vec!["A".repeat(349_530)]] {
        let outputs = world.ask(1, ClientRequest::TopicSend { channel, messages });
        assert_eq!(refusal(&outputs), Some(ErrorCode::InvalidArgument));
    }
    for index in 1..64 {
        open_one(&mut world, 1, &format!("topic {index}"));
    }
    assert_eq!(refusal(&world.ask(1, open("one more"))), Some(ErrorCode::TooMany));
}

#[test]
fn a_node_that_refuses_or_goes_leaves_nothing_open() {
    let mut world = World::new();
    world.join(1, "ada", |_| {});
    let asked = world.ask(1, open("game"));
    let no_node = CommandResult::failed(ErrorCode::NoNode, "no node");
    assert_eq!(refusal(&carry_out(&mut world, &asked, &no_node)), Some(ErrorCode::NoNode));
    let again = world.ask(1, open("game"));
    assert_eq!(commands(&again).len(), 2, "it begins anew");
    let channel = opened(&carry_out(&mut world, &again, &CommandResult::Done {}));
    let lost = world.handle(Input::NodeLost);
    assert!(
        matches!(told(&lost, 1)[..], [ServerEvent::TopicClosed { channel: closed, .. }] if *closed == channel)
    );
    assert!(commands(&lost).is_empty() && !world.room.members.is_empty(), "who has no media stays");
    open_one(&mut world, 1, "game");
    let gone = world.handle(Input::TransportGone(TransportId(1_001)));
    assert!(matches!(told(&gone, 1)[..], [ServerEvent::TopicClosed { .. }]));
    assert!(!world.room.members.is_empty());
}

#[test]
fn declared_channels_go_with_the_offer() {
    let mut world = World::new();
    let channel = |id| ChannelDeclaration {
        id,
        label: "game".into(),
        protocol: String::new(),
        ordered: true,
        max_retransmits: None,
        max_lifetime_ms: None,
    };
    let asked = world.join(1, "ada", |join| {
        join.offer = Some(Description { channels: vec![channel(5)], ..offer(&[]) });
    });
    let [NodeCommand::Negotiate { channels, data: true, .. }] = commands(&asked)[..] else {
        panic!("{asked:?}")
    };
    assert_eq!(*channels, [channel(5)]);
    world.answer(&asked);
    let ask = |world: &mut World, channels| {
        refusal(&world.ask(1, ClientRequest::Offer { offer: Description { channels, ..offer(&[]) } }))
    };
    assert_eq!(ask(&mut world, vec![channel(5), channel(5)]), Some(ErrorCode::InvalidArgument));
    let both = ChannelDeclaration { max_retransmits: Some(1), max_lifetime_ms: Some(1), ..channel(1) };
    assert_eq!(ask(&mut world, vec![both]), Some(ErrorCode::InvalidArgument));
    assert_eq!(ask(&mut world, (0..65).map(channel).collect()), Some(ErrorCode::InvalidArgument));
    let silent = world.join(2, "ben", |join| {
        join.grants.data = false;
        join.offer = Some(Description { channels: vec![channel(5)], ..offer(&[]) });
    });
    assert_eq!(refusal(&silent), Some(ErrorCode::NotAllowed));
}
