//! Bounds and permissions.

use patchbay_frame::limit::PAYLOAD_BYTES;
use patchbay_protocol::TopicGrant;

use super::super::limit::{CHANNELS, PARTICIPANT_MESSAGES, TOPICS};
use super::*;

#[test]
fn topics_and_channels_are_bounded() {
    let mut room = Room::new();
    let reliable = Reliability::Reliable;
    let opened = (0..100).filter(|n| room.open_as(1, *n, "one", "", reliable)).count();
    assert_eq!(opened, CHANNELS);
    for n in 0..1_000u32 {
        room.open_as(10 + n / 60, (n % 60) as u16, &format!("topic {n}"), "", reliable);
    }
    assert_eq!(room.plane.topics.len(), TOPICS);
    assert!(!room.open_as(2, 0, &"x".repeat(257), "", reliable));
    room.plane.detach(room.now, TransportKey(1), &mut room.ends, &mut room.counters);
    assert!(room.open_as(1, 0, "again", "", reliable));
    assert!(!room.plane.is_empty());
    for member in 1..100 {
        room.plane.detach(room.now, TransportKey(member), &mut room.ends, &mut room.counters);
    }
    assert!(room.plane.is_empty() && room.plane.topics.is_empty() && room.plane.channels.is_empty());
    assert!(room.plane.people.is_empty());
}

#[test]
fn what_is_too_long_is_refused_and_the_channel_stays() {
    let mut room = Room::new();
    (1..=2).for_each(|member| room.open(member, "patchbay"));
    room.ends.heard.clear();
    room.publish(1, "", &vec![0; PAYLOAD_BYTES + 1]);
    assert_eq!(room.told(1), [Told::Error(TopicError::TooLarge)]);
    let (now, from, key) = (room.now, TransportKey(1), ChannelKey(0));
    room.pass(ms(1_000));
    room.plane.handle_too_long(now + ms(1_000), from, key, &mut room.ends, &mut room.counters);
    assert_eq!(room.told(1), [Told::Error(TopicError::TooLarge)]);
    assert!(room.told(2).is_empty());
    room.publish(1, "", &vec![7; PAYLOAD_BYTES]);
    room.pass(ms(10));
    assert!(matches!(&room.told(2)[..], [Told::Value(1, _, payload)] if payload.len() == PAYLOAD_BYTES));
    assert_eq!(room.counters.data_too_long, 2);
}

#[test]
fn what_is_no_frame_is_answered_once_in_a_while() {
    let mut room = Room::new();
    (1..=2).for_each(|member| room.open(member, "patchbay"));
    room.ends.heard.clear();
    for _ in 0..10 {
        assert_eq!(room.send_on(1, 0, MessageKind::Text, b"{}"), Intake::Taken);
        assert_eq!(room.send(1, &[0x01]), Intake::Taken);
    }
    assert_eq!(room.told(1), [Told::Error(TopicError::BadFrame)]);
    assert_eq!(room.counters.data_malformed, 20);
    let mut message = Vec::new();
    ClientFrame::Publish(Publish { payload: b"good", ..Publish::default() }).write(&mut message);
    message.extend_from_slice(&[0x01, 0xff]);
    assert_eq!(room.send(1, &message), Intake::Taken);
    room.pass(ms(1_001));
    assert_eq!(room.told(2), [value(1, "", b"good")], "what stands before it counts");
}

#[test]
fn a_participant_may_send_so_much_on_all_its_transports() {
    let mut room = Room::new();
    (1..=2).for_each(|member| room.open(member, "patchbay"));
    room.plane.attach(TransportKey(50), 1);
    let info = ChannelInfo {
        key: ChannelKey(0),
        label: "game".to_owned(),
        protocol: "patchbay".to_owned(),
        is_ordered: false,
        reliability: Reliability::Reliable,
    };
    assert!(room.plane.open(room.now, TransportKey(50), &info, &mut room.ends, &mut room.counters));
    room.ends.heard.clear();
    for _ in 0..PARTICIPANT_MESSAGES {
        room.publish(1, "", b"");
        room.publish(50, "", b"");
    }
    room.pass(ms(10));
    let heard = room.told(2);
    assert_eq!(heard.len() as u64, PARTICIPANT_MESSAGES);
    assert!(heard.iter().all(|told| *told == value(1, "", b"")), "one participant on both");
    assert_eq!(room.told(50), [Told::Error(TopicError::RateLimited)], "and it does not hear itself");
    assert_eq!(room.counters.data_rate_limited, PARTICIPANT_MESSAGES);
    // Many frames in one message are as many messages.
    room.pass(Duration::from_secs(10));
    let mut message = Vec::new();
    for _ in 0..10_000 {
        ClientFrame::Publish(Publish::default()).write(&mut message);
    }
    assert_eq!(room.send(1, &message), Intake::Taken);
    room.pass(ms(10));
    assert_eq!(room.told(2).len() as u64, PARTICIPANT_MESSAGES);
    // And bytes count, too.
    room.pass(Duration::from_secs(10));
    let refused = room.counters.data_rate_limited;
    for _ in 0..40 {
        room.publish(1, "", &[0; 200_000]);
    }
    assert!((15..25).contains(&(room.counters.data_rate_limited - refused)));
    room.publish(2, "", b"others may");
    room.pass(ms(10));
    assert!(room.told(1).contains(&value(2, "", b"others may")));
}

#[test]
fn grants_say_who_speaks_and_who_hears() {
    let mut room = Room::new();
    let grant = |topic: &str, publish, subscribe| TopicGrant { topic: topic.to_owned(), publish, subscribe };
    let set = |room: &mut Room, member, data, grants: &[TopicGrant]| {
        let (now, out) = (room.now, &mut room.ends);
        room.plane.set_rights(now, TransportKey(member), data, grants.to_vec(), out, &mut room.counters);
    };
    (1..=3).for_each(|member| room.join(member));
    set(&mut room, 1, true, &[grant("ga*", true, false)]);
    set(&mut room, 2, true, &[grant("game", false, true)]);
    set(&mut room, 3, false, &[]);
    assert!(!room.open_as(3, 0, "game", "patchbay", Reliability::Reliable));
    assert!(!room.open_as(2, 1, "other", "", Reliability::Reliable));
    room.open(1, "patchbay?mode=latest");
    room.open(2, "patchbay");
    let (first, second) = (room.welcome(1), room.welcome(2));
    assert!(first.may_publish && !first.may_subscribe && !second.may_publish && second.may_subscribe);
    room.publish(1, "a", b"1");
    room.publish(2, "b", b"2");
    room.pass(ms(10));
    assert_eq!(room.told(2), [Told::Error(TopicError::NotAllowed), value(1, "a", b"1")]);
    assert!(room.told(1).is_empty());
    // With the right to hear comes what there is.
    set(&mut room, 2, true, &[]);
    room.publish(2, "b", b"2");
    set(&mut room, 1, true, &[]);
    let told = room.told(1);
    assert_eq!(told, [Told::Welcome, Told::Begin(1), value(2, "b", b"2"), Told::End]);
    // And without any, the channel goes.
    set(&mut room, 1, false, &[]);
    assert_eq!(room.told(1), [Told::Error(TopicError::NotAllowed)]);
    assert_eq!(room.plane.poll_cut().unwrap().transport, TransportKey(1));
    assert_eq!(room.counters.data_not_allowed, 1);
}
