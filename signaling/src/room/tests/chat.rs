use super::*;
use crate::store::StoreError;

fn lines(outputs: &[Output]) -> Vec<&ChatLine> {
    let line = |output| match output {
        &Output::Event { event: ServerEvent::Chat { ref line }, .. } => Some(line),
        _ => None,
    };
    outputs.iter().filter_map(line).collect()
}

fn chatted(outputs: &[Output]) -> Vec<u64> {
    let number = |reply: Result<&Reply, ErrorCode>| match reply {
        Ok(Reply::Chatted { line }) => Some(line.number),
        _ => None,
    };
    replies(outputs).into_iter().filter_map(number).collect()
}

fn stored(outputs: &[Output]) -> Vec<(Ticket, &StoreWrite)> {
    let write = |output| match output {
        &Output::Store { ticket, ref write } => Some((ticket, write)),
        _ => None,
    };
    outputs.iter().filter_map(write).collect()
}

fn history(outputs: &[Output]) -> (Vec<u64>, bool) {
    let [Ok(Reply::History { lines, more })] = replies(outputs)[..] else { panic!("{outputs:?}") };
    (lines.iter().map(|line| line.number).collect(), *more)
}

#[test]
fn a_line_is_numbered_acknowledged_and_told_to_everybody() {
    let mut world = World::new();
    world.join(1, "ada", |_| {});
    world.join(2, "ben", |_| {});
    assert_eq!(chatted(&world.ask(1, chat("one", None))), [1]);
    let outputs = world.ask(2, chat("two", None));
    let [line] = lines(&outputs)[..] else { panic!("{outputs:?}") };
    assert_eq!((line.number, line.identity.as_str(), line.text.as_str()), (2, "ben", "two"));
    assert_eq!(events(&outputs)[0].0, [MemberId(1), MemberId(2)]);
    let late = world.join(3, "eve", |_| {});
    assert_eq!(joined(&late).chat.iter().map(|line| line.number).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_repeated_line_is_answered_with_the_first_also_after_a_rejoin() {
    let mut world = World::new();
    world.join(1, "ada", |_| {});
    world.join(2, "ben", |_| {});
    assert_eq!(chatted(&world.ask(1, chat("hello", Some("m1")))), [1]);
    world.handle(Input::Gone { member: MemberId(1), reason: LeaveReason::ConnectionLost });
    world.join(3, "ada", |_| {});
    let again = world.ask(3, chat("hello", Some("m1")));
    assert_eq!((chatted(&again), lines(&again).len()), (vec![1], 0));
    let other = world.ask(2, chat("hello", Some("m1")));
    assert_eq!(chatted(&other), [2], "a name is the writer's own");
    assert_eq!(refusal(&world.ask(2, chat("x", Some("")))), Some(ErrorCode::InvalidArgument));
    assert_eq!(refusal(&world.ask(2, chat("x", Some(&"x".repeat(65))))), Some(ErrorCode::InvalidArgument));
}

#[test]
fn with_a_store_nobody_hears_of_a_line_before_it_is_safe() {
    let mut world = World::new();
    world.room.config.is_kept = true;
    let line = ChatLine {
        number: 41,
        participant: ParticipantNumber(9),
        identity: "old".into(),
        name: "Old".into(),
        text: "before".into(),
        sent_at_ms: 5,
        message_id: None,
    };
    world.handle(Input::Restored(Kept { lines: vec![line], next_number: 42, bans: vec!["mallory".into()] }));
    assert_eq!(joined(&world.join(1, "ada", |_| {})).chat[0].number, 41);
    assert_eq!(refusal(&world.join(2, "mallory", |_| {})), Some(ErrorCode::Banned));

    let first = world.ask(1, chat("new", Some("m1")));
    assert!(replies(&first).is_empty() && events(&first).is_empty());
    let [(ticket, StoreWrite::Line(line))] = stored(&first)[..] else { panic!("{first:?}") };
    assert_eq!(line.number, 42);
    let again = world.ask(1, chat("new", Some("m1")));
    assert!(again.is_empty(), "it waits with the first");
    let second = world.ask(1, chat("newer", None));
    let done = world.handle(Input::Stored { ticket, result: Ok(50) });
    assert_eq!(chatted(&done), [50, 50], "the store knows the number");
    assert_eq!(lines(&done).len(), 1);

    let ticket = stored(&second)[0].0;
    let failed = world.handle(Input::Stored { ticket, result: Err(StoreError::Unavailable) });
    assert_eq!(replies(&failed), [Err(ErrorCode::Internal)]);
    assert!(events(&failed).is_empty());

    let third = world.ask(1, chat("last words", None));
    let gone = world.ask(1, ClientRequest::Leave {});
    assert_eq!(replies(&gone), [Ok(&Reply::Done {}), Err(ErrorCode::NotJoined)]);
    world.join(3, "ben", |_| {});
    let done = world.handle(Input::Stored { ticket: stored(&third)[0].0, result: Ok(51) });
    assert_eq!((replies(&done).len(), lines(&done).len()), (0, 1), "others hear it all the same");
}

#[test]
fn a_slow_disk_bounds_what_waits() {
    let mut world = World::new();
    world.room.config.is_kept = true;
    world.join(1, "ada", |_| {});
    let accepted = (0..100).filter(|_| replies(&world.ask(1, chat("x", None))).is_empty()).count();
    assert_eq!(accepted, 64);
    let refused = world.ask(1, chat("x", None));
    assert_eq!(refusal(&refused), Some(ErrorCode::Overloaded));
    let repeated = (0..20).filter(|_| replies(&world.ask(1, chat("y", Some("m")))).is_empty()).count();
    assert_eq!(repeated, 0);
}

#[test]
fn history_is_asked_for_in_pages_and_bounded() {
    let mut world = World::new();
    world.join(1, "ada", |_| {});
    for index in 0..8 {
        world.ask(1, chat(&format!("line {index}"), None));
    }
    let ask = |world: &mut World, before, limit| {
        history(&world.ask(1, ClientRequest::ChatHistory { before, limit }))
    };
    assert_eq!(ask(&mut world, None, None), (vec![4, 5, 6, 7, 8], false), "five lines are remembered");
    assert_eq!(ask(&mut world, None, Some(2)), (vec![7, 8], true));
    assert_eq!(ask(&mut world, Some(7), Some(2)), (vec![5, 6], true));
    assert_eq!(ask(&mut world, Some(5), Some(2)), (vec![4], false));
    assert_eq!(ask(&mut world, Some(0), None), (vec![], false));
    for limit in [0, 51] {
        let refused = world.ask(1, ClientRequest::ChatHistory { before: None, limit: Some(limit) });
        assert_eq!(refusal(&refused), Some(ErrorCode::InvalidArgument));
    }
    for _ in 0..4 {
        world.ask(1, chat(&"x".repeat(3_000), None));
    }
    assert_eq!(ask(&mut world, None, None), (vec![10, 11, 12], false), "ten thousand bytes are remembered");
}
