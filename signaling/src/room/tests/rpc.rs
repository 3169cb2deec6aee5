use super::*;

fn call(to: u32, payload: &str, timeout_ms: Option<u32>) -> ClientRequest {
    ClientRequest::Rpc {
        to: ParticipantNumber(to),
        method: "roll".into(),
        payload: payload.into(),
        timeout_ms,
    }
}

fn asked(outputs: &[Output], member: u64) -> u64 {
    let call = told(outputs, member).into_iter().find_map(|event| match event {
        ServerEvent::RpcRequest { call, .. } => Some(*call),
        _ => None,
    });
    call.unwrap_or_else(|| panic!("no call: {outputs:?}"))
}

fn answer(call: u64, payload: Option<&str>, error: Option<&str>) -> ClientRequest {
    ClientRequest::RpcReply { call, payload: payload.map(Into::into), error: error.map(Into::into) }
}

fn two() -> World {
    let mut world = World::new();
    world.join(1, "ada", |_| {});
    world.join(2, "ben", |_| {});
    world
}

#[test]
fn a_call_is_answered_by_whom_it_was_for_and_by_nobody_else() {
    let mut world = two();
    world.join(3, "eve", |_| {});
    let outputs = world.ask(1, call(2, "6", None));
    assert!(replies(&outputs).is_empty());
    let [ServerEvent::RpcRequest { call: number, from, method, payload, timeout_ms }] = told(&outputs, 2)[..]
    else {
        panic!("{outputs:?}")
    };
    assert_eq!((from.map(|from| from.0), method.as_str(), payload.as_str()), (Some(1), "roll", "6"));
    assert_eq!(*timeout_ms, 10_000);
    assert_eq!(refusal(&world.ask(3, answer(*number, Some("1"), None))), Some(ErrorCode::UnknownCall));
    let done = world.ask(2, answer(*number, Some("4"), None));
    assert_eq!(replies(&done), [Ok(&Reply::Done {}), Ok(&Reply::RpcDone { payload: "4".into() })]);
    assert_eq!(refusal(&world.ask(2, answer(*number, Some("4"), None))), Some(ErrorCode::UnknownCall));

    let number = asked(&world.ask(1, call(2, "6", None)), 2);
    let failed = world.ask(2, answer(number, None, Some("no dice")));
    let error = failed.iter().find_map(|output| match output {
        Output::Reply { member: MemberId(1), result: Err(error), .. } => Some(error.clone()),
        _ => None,
    });
    assert_eq!(error, Some(ProtocolError::new(ErrorCode::RpcFailed, "no dice")));
    assert_eq!(world.room.deadline(), None, "nothing is left of them");
}

#[test]
fn a_call_ends_in_time_and_a_late_answer_is_told_so() {
    let mut world = two();
    let number = asked(&world.ask(1, call(2, "", Some(200))), 2);
    assert!(world.pass(Duration::from_millis(199)).is_empty());
    assert_eq!(replies(&world.pass(Duration::from_millis(1))), [Err(ErrorCode::RpcTimeout)]);
    assert_eq!(refusal(&world.ask(2, answer(number, Some(""), None))), Some(ErrorCode::UnknownCall));
}

#[test]
fn either_end_may_leave() {
    let mut world = two();
    asked(&world.ask(1, call(2, "", None)), 2);
    let number = asked(&world.ask(2, call(1, "", None)), 1);
    let left = world.ask(2, ClientRequest::Leave {});
    let codes = replies(&left);
    assert!(codes.contains(&Err(ErrorCode::RpcFailed)), "whoever called it is told: {left:?}");
    assert!(codes.contains(&Err(ErrorCode::NotJoined)), "and its own call has its reply: {left:?}");
    assert_eq!(refusal(&world.ask(1, answer(number, Some(""), None))), Some(ErrorCode::UnknownCall));
    assert_eq!(world.room.deadline(), None);
}

#[test]
fn calls_are_bounded() {
    let mut world = two();
    world.join(3, "ghost", |join| join.grants.hidden = true);
    for (request, code) in [
        (call(99, "", None), ErrorCode::UnknownParticipant),
        (call(3, "", None), ErrorCode::UnknownParticipant),
        (call(2, &"x".repeat(15 * 1_024 + 1), None), ErrorCode::InvalidArgument),
        (call(2, "", Some(0)), ErrorCode::InvalidArgument),
        (call(2, "", Some(60_001)), ErrorCode::InvalidArgument),
    ] {
        assert_eq!(refusal(&world.ask(1, request)), Some(code));
    }
    assert_eq!(refusal(&world.ask(3, call(1, "", None))), Some(ErrorCode::NotAllowed));
    let number = asked(&world.ask(1, call(2, &"x".repeat(15 * 1_024), None)), 2);
    for wrong in [
        answer(number, None, None),
        answer(number, Some(""), Some("")),
        answer(number, Some(&"x".repeat(15 * 1_024 + 1)), None),
        answer(number, None, Some(&"x".repeat(513))),
    ] {
        assert_eq!(refusal(&world.ask(2, wrong)), Some(ErrorCode::InvalidArgument));
    }
    let sent = (0..50).filter(|_| replies(&world.ask(1, call(2, "", None))).is_empty()).count();
    assert_eq!(sent, 31, "32 with the one before");
    assert_eq!(refusal(&world.ask(1, call(2, "", None))), Some(ErrorCode::TooMany));
    assert!(replies(&world.ask(2, call(1, "", None))).is_empty(), "others may go on");
}

#[test]
fn the_server_calls_too() {
    let mut world = two();
    let from_server = |to: &str, call| Input::Server {
        call: ServerCall(call),
        request: Box::new(ServerRequest::Call {
            identity: to.into(),
            method: "ping".into(),
            payload: "p".into(),
            timeout_ms: None,
        }),
    };
    let outputs = world.handle(from_server("ben", 1));
    assert!(matches!(told(&outputs, 2)[..], [ServerEvent::RpcRequest { from: None, .. }]));
    let number = asked(&outputs, 2);
    let done = world.ask(2, answer(number, Some("pong"), None));
    assert!(done.contains(&Output::Answer {
        call: ServerCall(1),
        result: Ok(ServerReply::Said(Reply::RpcDone { payload: "pong".into() })),
    }));
    let refused = world.handle(from_server("nobody", 2));
    let [Output::Answer { call: ServerCall(2), result: Err(error) }] = &refused[..] else {
        panic!("{refused:?}")
    };
    assert_eq!(error.code, ErrorCode::UnknownParticipant);
    world.handle(from_server("ben", 3));
    let late = world.pass(Duration::from_secs(10));
    let [Output::Answer { call: ServerCall(3), result: Err(error) }] = &late[..] else { panic!("{late:?}") };
    assert_eq!(error.code, ErrorCode::RpcTimeout);
}
