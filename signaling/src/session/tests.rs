use std::sync::Arc;
use std::time::{Duration, Instant};

use patchbay_protocol::{CloseCode, LeaveReason, Reply, RequestId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::due::Look;
use super::{
    Attachment, Body, Carrier, DownKind, Entry, Gap, Membership, NoDown, OutboxLimit, Session, SessionConfig,
    SessionKey, Sessions, Stop,
};
use crate::Config;
use crate::connection::Requests;
use crate::metric::Metrics;
use crate::room::MemberId;
use crate::rooms::Mail;

const WINDOW: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(15);

fn sessions(messages: usize) -> Sessions {
    let outbox = OutboxLimit { messages, bytes: 1024 * 1024 };
    let config = SessionConfig { outbox, window: WINDOW, silence: SILENCE, most: 3 };
    Sessions::new(config, SessionKey::random(), Arc::new(Metrics::default()))
}

fn begin(sessions: &Sessions) -> Arc<Session> {
    let config = Config::new("127.0.0.1:0".parse().unwrap());
    sessions.begin(Requests::new(&config, None, config.listen.ip())).expect("there is room")
}

fn permit() -> OwnedSemaphorePermit {
    Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap()
}

fn say(session: &Arc<Session>, text: &str) {
    session.push(&Body::event(&serde_json::json!({"type": "chat", "text": text})));
}

/// The numbers of what comes now.
fn numbers(attachment: &Attachment) -> Vec<u64> {
    std::iter::from_fn(|| attachment.next_now()).map_while(Result::ok).map(|(seq, _)| seq).collect()
}

fn stop(attachment: &Attachment) -> Option<Stop> {
    attachment.next_now().and_then(Result::err)
}

fn join(session: &Session) -> mpsc::Receiver<Mail> {
    let (mailbox, inbox) = mpsc::channel(4);
    session.attach(MemberId(7), || Ok(mailbox)).unwrap();
    inbox
}

fn is_over(session: &Arc<Session>, at: Instant) -> Option<Option<LeaveReason>> {
    match session.handle_due(at) {
        Look::Fine => None,
        Look::Over(departure) => Some(departure.map(|departure| departure.reason)),
    }
}

#[test]
fn only_the_newest_connection_is_served_and_nothing_is_missed_between() {
    let sessions = sessions(100);
    let session = begin(&sessions);
    let first = session.connect(Carrier::Socket, Entry::First).unwrap();
    for text in ["a", "b", "c"] {
        say(&session, text);
    }
    assert_eq!(numbers(&first), [1, 2, 3]);
    let second = session.connect(Carrier::Http(permit()), Entry::Resume(1)).unwrap();
    assert_eq!(stop(&first), Some(Stop::Close(CloseCode::Superseded)));
    assert!(!first.is_current() && second.is_current());
    // The older one's end is nobody's.
    first.lose(CloseCode::Normal);
    say(&session, "d");
    let poll = session.open_down(DownKind::Poll, Some(2)).unwrap();
    assert_eq!(numbers(&poll), [3, 4]);
    let stream = session.open_down(DownKind::Sse, Some(4)).unwrap();
    assert_eq!(stop(&poll), Some(Stop::Displaced));
    poll.end_down();
    assert!(second.is_current(), "requests of one connection take turns");
    say(&session, "e");
    assert_eq!(numbers(&stream), [5]);
    let third = session.connect(Carrier::Socket, Entry::Resume(4)).unwrap();
    assert_eq!(numbers(&third), [5]);
    assert_eq!(session.http_connection().unwrap_err(), CloseCode::Superseded);
    assert_eq!(session.open_down(DownKind::Sse, Some(5)).unwrap_err(), NoDown::Over(CloseCode::Superseded));
    assert_eq!(session.connect(Carrier::Socket, Entry::Resume(3)).unwrap_err(), Gap::Stale);
    assert!(third.is_current(), "who speaks for an older state takes nothing over");
}

#[test]
fn a_session_waits_for_its_window_and_then_its_member_goes() {
    let sessions = sessions(100);
    let session = begin(&sessions);
    let _room = join(&session);
    let start = Instant::now();
    let connection = session.connect(Carrier::Socket, Entry::First).unwrap();
    assert_eq!(is_over(&session, start + 10 * WINDOW), None, "a WebSocket watches over itself");
    connection.lose(CloseCode::HeartbeatTimeout);
    assert_eq!(is_over(&session, start + WINDOW - Duration::from_secs(1)), None);
    let again = session.connect(Carrier::Socket, Entry::Resume(0)).unwrap();
    assert_eq!(is_over(&session, start + 10 * WINDOW), None, "it came back");
    again.lose(CloseCode::Normal);
    let over = is_over(&session, Instant::now() + WINDOW);
    assert_eq!(over, Some(Some(LeaveReason::ConnectionLost)));
    assert_eq!(session.connect(Carrier::Socket, Entry::Resume(0)).unwrap_err(), Gap::Forgotten);
    assert!(session.attach(MemberId(8), || unreachable!("it may not join")).is_err());
}

#[test]
fn who_has_left_is_not_waited_for() {
    let sessions = sessions(100);
    let session = begin(&sessions);
    let _room = join(&session);
    let connection = session.connect(Carrier::Socket, Entry::First).unwrap();
    session.leave();
    connection.lose(CloseCode::Normal);
    assert!(is_over(&session, Instant::now()).is_some());
}

#[test]
fn a_connection_over_http_lives_by_its_requests() {
    let sessions = sessions(100);
    let session = begin(&sessions);
    session.connect(Carrier::Http(permit()), Entry::First).unwrap();
    let poll = session.open_down(DownKind::Poll, None).unwrap();
    let start = Instant::now();
    assert_eq!(is_over(&session, start + 4 * SILENCE), None);
    assert!(poll.is_current(), "while a request is open, who never pings is not missed");
    poll.end_down();
    assert_eq!(is_over(&session, Instant::now() + SILENCE), None);
    assert_eq!(session.http_connection().unwrap_err(), CloseCode::HeartbeatTimeout);

    session.connect(Carrier::Http(permit()), Entry::Resume(0)).unwrap();
    let stream = session.open_down(DownKind::Sse, None).unwrap();
    session.heard_ping();
    assert_eq!(is_over(&session, Instant::now() + SILENCE), None);
    assert_eq!(stop(&stream), Some(Stop::Close(CloseCode::HeartbeatTimeout)), "a heart that stops is missed");
    stream.end_down();
    assert!(is_over(&session, Instant::now() + WINDOW + SILENCE).is_some());
}

#[test]
fn the_slow_are_cut_off_and_may_come_back_until_something_is_lost() {
    let sessions = sessions(8);
    let session = begin(&sessions);
    let _room = join(&session);
    let connection = session.connect(Carrier::Socket, Entry::First).unwrap();
    (0..5).for_each(|_| say(&session, "x"));
    assert_eq!(stop(&connection), Some(Stop::Close(CloseCode::SlowConsumer)));
    connection.lose(CloseCode::SlowConsumer);
    (0..3).for_each(|_| say(&session, "y"));
    let again = session.connect(Carrier::Http(permit()), Entry::Resume(0)).unwrap();
    let poll = session.open_down(DownKind::Poll, Some(0)).unwrap();
    assert_eq!(numbers(&poll), [1, 2, 3, 4, 5, 6, 7, 8]);
    poll.end_down();
    (0..5).for_each(|_| say(&session, "z"));
    assert_eq!(session.http_connection().unwrap_err(), CloseCode::SlowConsumer);
    drop(again);
    (0..10).for_each(|_| say(&session, "z"));
    assert_eq!(session.connect(Carrier::Socket, Entry::Resume(8)).unwrap_err(), Gap::Forgotten);
    assert_eq!(is_over(&session, Instant::now()), Some(Some(LeaveReason::ConnectionLost)));
}

#[test]
fn a_request_that_is_repeated_after_a_resume_gets_one_reply() {
    let sessions = sessions(100);
    let session = begin(&sessions);
    let first = session.connect(Carrier::Socket, Entry::First).unwrap();
    let id = RequestId(4);
    assert!(session.take_id(id, "chat"));
    session.reply(id, Ok(Reply::Done {}));
    assert_eq!(numbers(&first), [1]);
    let second = session.connect(Carrier::Socket, Entry::Resume(0)).unwrap();
    assert!(!session.take_id(id, "chat"));
    assert_eq!(numbers(&second), [1], "the first reply comes by itself");
    // The same holds for whoever asks again on a connection that holds, and for what comes late on an older one.
    let other = RequestId(5);
    assert!(session.take_id(other, "chat"));
    assert!(!session.take_id(other, "chat"));
    session.reply(other, Ok(Reply::Done {}));
    assert!(!session.take_id(other, "chat"));
    assert_eq!(numbers(&second), [2]);
}

#[test]
fn an_end_is_told_to_whoever_comes_back_for_it() {
    let sessions = sessions(100);
    let session = begin(&sessions);
    let connection = session.connect(Carrier::Socket, Entry::First).unwrap();
    connection.lose(CloseCode::Normal);
    say(&session, "left");
    session.close(CloseCode::Replaced);
    say(&session, "nobody hears this");
    let again = session.connect(Carrier::Socket, Entry::Resume(0)).unwrap();
    assert_eq!(numbers(&again), [1]);
    assert_eq!(stop(&again), Some(Stop::Close(CloseCode::Replaced)));
    assert!(is_over(&session, Instant::now() + 2 * WINDOW).is_none(), "the connection ends it");
    sessions.finish(&session, LeaveReason::ConnectionLost);
    assert_eq!(sessions.len(), 0);
}

#[test]
fn a_member_that_went_before_it_was_reclaimed_stays_out() {
    let sessions = sessions(100);
    let session = begin(&sessions);
    let (mailbox, _inbox) = mpsc::channel(1);
    session.release(MemberId(3));
    session.reclaim(Membership { member: MemberId(3), mailbox: mailbox.clone() });
    assert!(session.membership().is_none());
    session.reclaim(Membership { member: MemberId(4), mailbox });
    assert!(session.membership().is_some());
}

#[tokio::test]
async fn the_registry_holds_what_it_may_and_replaces_whole() {
    let sessions = sessions(100);
    let all: Vec<Arc<Session>> = (0..3).map(|_| begin(&sessions)).collect();
    let config = Config::new("127.0.0.1:0".parse().unwrap());
    let requests = || Requests::new(&config, None, config.listen.ip());
    assert!(sessions.begin(requests()).is_none());
    let old = all[0].connect(Carrier::Socket, Entry::First).unwrap();
    let mut room = join(&all[0]);
    sessions.replace(sessions.make(all[0].id().clone(), requests()));
    assert_eq!(old.next().await.unwrap_err(), Stop::Close(CloseCode::Superseded));
    assert!(room.try_recv().is_err(), "its member is the new one's");
    sessions.finish(&all[0], LeaveReason::Left);
    assert_eq!(sessions.len(), 3, "what replaced it stays");
    let _inbox = join(&all[1]);
    sessions.finish(&all[1], LeaveReason::Left);
    assert_eq!(sessions.len(), 2);
}
