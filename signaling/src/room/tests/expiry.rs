//! Tokens that run out, are refreshed, or are revoked while their bearers are in the room.

use patchbay_protocol::Claims;

use super::*;
use crate::auth::{Credential, Revocation, Revocations, Revoked};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Lets time pass on both clocks.
fn pass(world: &mut World, time: Duration) -> Vec<Output> {
    let end = world.now.at + time;
    let end_ms = world.now.unix_ms + time.as_millis() as u64;
    let mut outputs = Vec::new();
    while let Some(due) = world.room.deadline().filter(|due| *due <= end) {
        let unix_ms = end_ms - (end - due).as_millis() as u64;
        world.now = Moment { at: due, unix_ms };
        world.room.handle_deadline(world.now);
        outputs.extend(std::iter::from_fn(|| world.room.poll()));
        if outputs.last() == Some(&Output::Over) {
            break;
        }
    }
    world.now = Moment { at: end, unix_ms: end_ms };
    outputs
}

/// With a token that expires at a second of the virtual clock, which starts at 1.
fn with_token(exp: u64) -> impl FnOnce(&mut Join) {
    move |join| {
        join.credential =
            Some(Credential { jti: Some("t-1".into()), iat: Some(1), exp, grants: Grants::default() })
    }
}

fn claims(room: &str, identity: &str, exp: u64) -> Box<Claims> {
    Box::new(Claims {
        room: RoomName::new(room),
        identity: identity.into(),
        name: None,
        metadata: None,
        grants: Grants { moderate: true, ..Grants::default() },
        exp,
        nbf: None,
        iat: Some(100),
        jti: Some("t-2".into()),
    })
}

fn refresh(world: &mut World, member: u64, claims: Box<Claims>) -> Vec<Output> {
    let id = world.request_id();
    world.handle(Input::Refresh { member: MemberId(member), id, claims })
}

fn detached(outputs: &[Output]) -> Vec<(u64, Option<CloseCode>)> {
    let mut gone = Vec::new();
    for output in outputs {
        if let Output::Detached { member, close } = output {
            gone.push((member.0, *close));
        }
    }
    gone
}

#[test]
fn a_token_that_runs_out_is_told_a_minute_before_and_ends_the_stay() {
    let mut world = World::new();
    world.join(1, "ada", with_token(301));
    world.join(2, "ben", |_| {});
    assert_eq!(pass(&mut world, seconds(239)), []);
    let told_of = pass(&mut world, seconds(2));
    assert_eq!(told(&told_of, 1), [&ServerEvent::TokenExpiring { expires_at_ms: 301_000 }]);
    assert_eq!(told(&told_of, 2), Vec::<&ServerEvent>::new());
    assert_eq!(pass(&mut world, seconds(63)), [], "told once; a difference between clocks is forgiven");
    let gone = pass(&mut world, seconds(2));
    assert_eq!(detached(&gone), [(1, Some(CloseCode::Unauthorized))]);
    assert_eq!(told(&gone, 1), [&ServerEvent::Left { reason: LeaveReason::TokenExpired }]);
    let left = told(&gone, 2);
    assert!(
        matches!(left[..], [ServerEvent::ParticipantLeft { reason: LeaveReason::TokenExpired, .. }]),
        "{left:?}"
    );
    assert_eq!(world.room.deadline(), None, "who came without a token stays");
}

#[test]
fn a_token_that_is_short_from_the_start_is_told_within_a_second() {
    let mut world = World::new();
    world.join(1, "ada", with_token(31));
    let told_of = pass(&mut world, seconds(1));
    assert_eq!(told(&told_of, 1), [&ServerEvent::TokenExpiring { expires_at_ms: 31_000 }]);
    assert_eq!(detached(&pass(&mut world, seconds(35))), [(1, Some(CloseCode::Unauthorized))]);
}

#[test]
fn who_is_not_in_yet_expires_too() {
    let mut world = World::new();
    world.join(1, "ada", |join| {
        with_token(31)(join);
        join.offer = Some(offer(&[("0", Source::Camera)]));
    });
    let gone = pass(&mut world, seconds(40));
    assert_eq!(told(&gone, 1), Vec::<&ServerEvent>::new(), "no event before the join's reply");
    assert_eq!(detached(&gone), [(1, Some(CloseCode::Unauthorized))]);
    assert_eq!(replies(&gone), [Err(ErrorCode::NotJoined)], "the join gets its reply");
}

#[test]
fn a_refreshed_token_brings_time_and_grants() {
    let mut world = World::new();
    world.join(1, "ada", with_token(301));
    pass(&mut world, seconds(250));
    let outputs = refresh(&mut world, 1, claims("demo", "ada", 1_001));
    assert_eq!(replies(&outputs), [Ok(&Reply::Done {})]);
    let grants = told(&outputs, 1);
    assert!(
        matches!(grants[..], [ServerEvent::GrantsChanged { grants: Grants { moderate: true, .. } }]),
        "{grants:?}"
    );
    assert_eq!(pass(&mut world, seconds(600)), [], "the old expiry is forgotten");
    assert_eq!(told(&pass(&mut world, seconds(100)), 1).len(), 1);
    assert_eq!(detached(&pass(&mut world, seconds(60))), [(1, Some(CloseCode::Unauthorized))]);
}

#[test]
fn a_token_that_says_the_same_undoes_no_moderator() {
    let mut world = World::new();
    world.join(1, "ada", with_token(301));
    world.join_moderator(2, "mo");
    let participant = ParticipantNumber(1);
    let grants = Grants { data: false, ..Grants::default() };
    world.moderate(2, Moderation::Promote { participant, grants });
    let mut same = claims("demo", "ada", 1_001);
    same.grants = Grants::default();
    let outputs = refresh(&mut world, 1, same);
    assert_eq!((replies(&outputs), told(&outputs, 1)), (vec![Ok(&Reply::Done {})], vec![]));
    let outputs = refresh(&mut world, 1, claims("demo", "ada", 1_001));
    assert_eq!(told(&outputs, 1).len(), 1, "one that says otherwise counts");
}

#[test]
fn a_token_of_another_room_or_person_refreshes_nothing() {
    let mut world = World::new();
    world.join(1, "ada", with_token(301));
    let other_room = refresh(&mut world, 1, claims("other", "ada", 9_000));
    assert_eq!(refusal(&other_room), Some(ErrorCode::WrongRoom));
    let other_person = refresh(&mut world, 1, claims("demo", "eve", 9_000));
    assert_eq!(refusal(&other_person), Some(ErrorCode::NotAllowed));
    assert_eq!(refusal(&refresh(&mut world, 7, claims("demo", "eve", 9_000))), Some(ErrorCode::NotJoined));
    assert_eq!(detached(&pass(&mut world, seconds(310))).len(), 1, "the first token counts");
}

#[test]
fn revocation_sends_out_whom_it_speaks_of() {
    let list = Revocations::load(None, 86_400, 0).unwrap();
    let revoke = |world: &mut World, what: Revoked| {
        let entry: Revocation = list.add(what, 50).unwrap();
        world.handle(Input::Revoke(entry))
    };
    let mut world = World::new();
    world.join(1, "ada", with_token(9_000));
    world.join(2, "ben", |join| {
        join.credential = Some(Credential { jti: None, iat: Some(51), exp: 9_000, grants: Grants::default() })
    });
    world.join(3, "eve", |_| {});
    let identity = |room: Option<&str>, identity: &str| Revoked::Identity {
        room: room.map(RoomName::new),
        identity: identity.into(),
    };
    assert_eq!(revoke(&mut world, Revoked::Token { jti: "t-9".into() }), []);
    assert_eq!(revoke(&mut world, identity(Some("other"), "ada")), []);
    assert_eq!(revoke(&mut world, identity(Some("demo"), "ben")), [], "its token came later");
    let gone = revoke(&mut world, Revoked::Token { jti: "t-1".into() });
    assert_eq!(detached(&gone), [(1, Some(CloseCode::Forbidden))]);
    assert_eq!(told(&gone, 1), [&ServerEvent::Left { reason: LeaveReason::Revoked }]);
    let gone = revoke(&mut world, identity(None, "eve"));
    assert_eq!(detached(&gone), [(3, Some(CloseCode::Forbidden))], "without a token there is no later one");
}
