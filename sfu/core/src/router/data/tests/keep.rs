//! What *latest* keeps, for how long, and for whom.

use super::*;

#[test]
fn who_comes_late_gets_the_newest_of_each_sender_and_key() {
    let mut room = Room::new();
    (1..=2).for_each(|member| room.open(member, "patchbay?mode=latest"));
    for number in 0..10 {
        room.publish(1, "a", &[number]);
        room.publish(1, "b", &[number]);
        room.publish(2, "a", &[100 + number]);
    }
    room.bury(1, "b");
    room.open(3, "patchbay");
    let told = room.told(3);
    let expected = [Told::Welcome, Told::Begin(2), value(1, "a", &[9]), value(2, "a", &[109]), Told::End];
    assert_eq!(told, expected, "at once");
    room.open(4, "patchbay");
    assert_eq!(room.messages(4).len(), 2, "the welcome, and the snapshot in one message");
    assert_eq!(room.counters.data_snapshots, 4);
}

#[test]
fn a_snapshot_comes_as_there_is_room() {
    let mut room = Room::new();
    room.open(1, "patchbay?mode=latest");
    for key in 0..200 {
        room.publish(1, &format!("key {key}"), &[7; 100]);
    }
    room.set_room(2, 3_000);
    room.open(2, "patchbay");
    let mut told = room.told(2);
    assert_eq!(told[1], Told::Begin(200));
    assert!((15..40).contains(&told.len()), "{}", told.len());
    assert!(room.plane.deadline().is_some(), "it is asked again");
    room.publish(1, "key 199", b"newer");
    let mut turns = 0;
    while *told.last().unwrap() != Told::End {
        room.writable(2, 3_000);
        told.extend(room.told(2));
        turns += 1;
    }
    assert!((7..12).contains(&turns));
    let newest = value(1, "key 199", b"newer");
    assert_eq!(told.iter().filter(|it| matches!(it, Told::Value(..))).count(), 200);
    assert!(told.contains(&newest));
}

#[test]
fn a_slow_receiver_gets_the_newest_and_is_never_cut_off() {
    let mut room = Room::new();
    (1..=3).for_each(|member| room.open(member, "patchbay?mode=latest"));
    room.ends.heard.clear();
    room.set_room(3, 0);
    for number in 0..500u32 {
        room.publish(1, "position", &number.to_be_bytes());
        room.pass(ms(10));
    }
    assert!(room.told(3).is_empty());
    assert_eq!(room.told(2).len(), 500);
    room.writable(3, 1_000);
    assert_eq!(room.told(3), [value(1, "position", &499u32.to_be_bytes())]);
    assert!(room.counters.data_conflated > 480, "{:?}", room.counters);
    assert_eq!(room.counters.data_cut, 0);
    // Nobody has to say that there is room.
    room.set_room(3, 0);
    room.publish(1, "position", b"x");
    room.pass(ms(100));
    room.set_room(3, 1_000);
    room.pass(ms(300));
    assert_eq!(room.told(3), [value(1, "position", b"x")]);
}

#[test]
fn a_tombstone_reaches_those_who_have_the_value() {
    let mut room = Room::new();
    (1..=3).for_each(|member| room.open(member, "patchbay?mode=latest"));
    room.set_room(3, 0);
    room.publish(1, "a", b"1");
    room.pass(ms(10));
    room.ends.heard.clear();
    room.bury(1, "a");
    room.pass(ms(10));
    assert_eq!(room.told(2), [Told::Tombstone(1, "a".to_owned())]);
    room.writable(3, 1_000);
    assert!(room.told(3).is_empty(), "it never had it");
    room.publish(1, "a", b"2");
    room.pass(ms(10));
    assert_eq!(room.told(3), [value(1, "a", b"2")]);
    room.set_room(3, 0);
    room.bury(1, "a");
    room.publish(1, "b", b"3");
    room.pass(ms(10));
    room.writable(3, 1_000);
    assert_eq!(room.told(3), [Told::Tombstone(1, "a".to_owned()), value(1, "b", b"3")]);
    // A tombstone of nothing is passed on as it is.
    room.ends.heard.clear();
    room.bury(1, "never");
    room.pass(ms(10));
    assert_eq!(room.told(2), [Told::Tombstone(1, "never".to_owned())]);
}

#[test]
fn values_expire() {
    let mut room = Room::new();
    (1..=2).for_each(|member| room.open(member, "patchbay?mode=latest&ttl=1000"));
    room.publish(1, "a", b"1");
    room.publish(1, "b", b"1");
    for _ in 0..20 {
        room.pass(ms(100));
        room.publish(1, "b", b"1");
    }
    let told = room.told(2);
    assert!(told.contains(&Told::Tombstone(1, "a".to_owned())));
    assert!(!told.contains(&Told::Tombstone(1, "b".to_owned())));
    room.pass(ms(1_300));
    assert!(room.told(2).contains(&Told::Tombstone(1, "b".to_owned())));
    assert_eq!((room.counters.data_expired, room.plane.deadline()), (2, None), "nothing is left to do");
}

#[test]
fn the_values_of_who_leaves_end_unless_they_are_to_stay() {
    for (protocol, stays) in [("patchbay?mode=latest", false), ("patchbay?mode=latest&leave=keep", true)] {
        let mut room = Room::new();
        (1..=2).for_each(|member| room.open(member, protocol));
        room.publish(1, "a", b"1");
        room.pass(ms(10));
        room.ends.heard.clear();
        room.close(1);
        room.pass(ms(10));
        let expected = if stays { vec![] } else { vec![Told::Tombstone(1, "a".to_owned())] };
        assert_eq!(room.told(2), expected);
        room.plane.detach(room.now, TransportKey(1), &mut room.ends, &mut room.counters);
        room.open(3, "patchbay");
        assert_eq!(room.told(3).contains(&value(1, "a", b"1")), stays);
        // With the last channel goes the topic.
        (2..=3).for_each(|member| room.close(member));
        room.open(2, "patchbay");
        assert_eq!(room.told(2), [Told::Welcome]);
    }
}

#[test]
fn a_full_topic_passes_on_what_it_cannot_keep() {
    let mut room = Room::new();
    (1..=2).for_each(|member| room.open(member, "patchbay?mode=latest"));
    for key in 0..4_097 {
        room.pass(ms(1));
        room.publish(1, &key.to_string(), &[1]);
    }
    room.pass(ms(10));
    let told = room.told(2);
    assert_eq!(told.iter().filter(|told| matches!(told, Told::Value(..))).count(), 4_097);
    assert!(room.told(1).contains(&Told::Error(TopicError::TooManyValues)));
    room.open(3, "patchbay");
    assert!(room.told(3).contains(&Told::Begin(4_096)));
    assert_eq!(room.counters.data_unkept, 1);
}

#[test]
fn who_never_hears_of_thousands_of_ends_is_cut_off() {
    let mut room = Room::new();
    (1..=3).for_each(|member| room.open(member, "patchbay?mode=latest"));
    for key in 0..4_000 {
        room.publish(1, &key.to_string(), &[1]);
        room.publish(2, &key.to_string(), &[1]);
        room.pass(ms(1));
    }
    room.pass(ms(10));
    room.set_room(3, 0);
    for key in 0..4_000 {
        room.bury(1, &key.to_string());
        room.bury(2, &key.to_string());
        room.pass(ms(1));
    }
    assert_eq!(room.plane.poll_cut().unwrap().transport, TransportKey(3));
    room.pass(ms(10));
    let (_, topic) = room.plane.topics.iter().next().unwrap();
    assert_eq!((topic.store.len(), topic.store.ended()), (0, 0));
}

#[test]
fn a_receiver_is_brought_up_to_date_so_often_at_most() {
    let mut room = Room::new();
    (1..=3).for_each(|member| room.open(member, "patchbay?mode=latest&rate=10"));
    room.pass(ms(1_000));
    room.ends.heard.clear();
    for number in 0..100u8 {
        room.publish(1, "a", &[number]);
        room.publish(2, "a", &[number]);
        room.pass(ms(10));
    }
    let messages = room.messages(3);
    assert!((10..=12).contains(&messages.len()), "{} in a second", messages.len());
    assert!(messages[1..].iter().all(|message| server_frames(message).count() == 2));
    room.pass(ms(200));
    assert_eq!(
        room.messages(1).last().map(|it| server_frames(it).map(told).collect()),
        Some(vec![value(2, "a", &[99])])
    );
}
