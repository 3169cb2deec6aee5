//! Plain mode, *relay*, and how frames share messages.

use super::*;

const LOSSY: Reliability = Reliability::MaxRetransmits(0);

#[test]
fn plain_payloads_are_passed_on_untouched_to_everybody_else() {
    let mut room = Room::new();
    for (member, channel) in [(1, 0), (2, 4), (3, 0)] {
        assert!(room.open_as(member, channel, "chat", "", Reliability::Reliable));
    }
    assert!(room.open_as(3, 1, "other", "", Reliability::Reliable));
    assert!(room.open_as(1, 7, "chat", "", LOSSY), "a member may have two channels of one label");
    assert!(room.open_as(3, 2, "chat", "patchbay", Reliability::Reliable), "framed is another topic");
    room.ends.heard.clear();
    assert_eq!(room.send_on(1, 0, MessageKind::Text, b"hello"), Intake::Taken);
    let hello = Bytes::from_static(b"hello");
    assert_eq!(room.ends.heard, [(2, 4, hello.clone()), (3, 0, hello)]);
    room.ends.heard.clear();
    assert_eq!(room.send_on(2, 4, MessageKind::Binary, b""), Intake::Taken);
    let heard: Vec<_> = room.ends.heard.iter().map(|(member, channel, _)| (*member, *channel)).collect();
    assert_eq!(heard, [(1, 0), (1, 7), (3, 0)]);
    assert_eq!(room.send_on(2, 9, MessageKind::Binary, b"no such channel"), Intake::Taken);
    assert_eq!((room.counters.data_received, room.counters.data_forwarded), (3, 5));
}

#[test]
fn a_full_plain_receiver_is_cut_off_and_nobody_else() {
    let mut room = Room::new();
    (1..=3).for_each(|member| room.open(member, ""));
    room.set_room(2, 0);
    assert_eq!(room.send(1, b"x"), Intake::Taken);
    assert_eq!(room.ends.heard.len(), 1);
    let cut = room.plane.poll_cut().unwrap();
    assert_eq!((cut.transport, cut.channel), (TransportKey(2), ChannelKey(0)));
    assert!(room.plane.poll_cut().is_none());
    assert_eq!(room.send(1, b"y"), Intake::Taken);
    assert_eq!((room.messages(2).len(), room.messages(3).len(), room.counters.data_cut), (0, 2, 1));
}

#[test]
fn who_opens_is_welcomed_with_its_number_the_time_and_the_settings() {
    let mut room = Room::new();
    room.now += ms(1_500);
    room.open(7, "patchbay?mode=latest&rate=30");
    let welcome = room.welcome(7);
    assert_eq!((welcome.participant, welcome.time), (7, 1_800_000_001_500_000));
    assert_eq!(welcome.settings.protocol(), "patchbay?mode=latest&rate=30");
    assert!(welcome.may_publish && welcome.may_subscribe);
    room.open(8, "patchbay");
    assert_eq!(room.welcome(8).settings, welcome.settings, "it takes what holds");
    room.open(9, "patchbay?mode=relay&colour=red");
    let told = room.told(9);
    assert_eq!(told[0], Told::Welcome);
    assert!(told.contains(&Told::Error(TopicError::TopicMismatch)));
    assert!(told.contains(&Told::Error(TopicError::BadSettings)));
}

#[test]
fn senders_are_named_and_their_messages_numbered() {
    let mut room = Room::new();
    (1..=2).for_each(|member| room.open(member, "patchbay"));
    room.messages(2);
    for payload in [b"a", b"b"] {
        room.pass(ms(10));
        let publish = Publish { payload, is_text: true, ..Publish::default() };
        room.frame(1, &ClientFrame::Publish(publish));
    }
    let messages = room.messages(2);
    for (at, message) in messages.iter().enumerate() {
        let Some(Ok(ServerFrame::Message(message))) = server_frames(message).next() else { panic!() };
        assert_eq!((message.sender, message.sequence, message.is_text), (1, at as u32 + 1, true));
        assert_eq!(message.time, 1_800_000_000_000_000 + 10_000 * (at as u64 + 1));
        assert_eq!(message.key, None);
    }
    assert_eq!(messages.len(), 2);
    assert!(
        room.messages(1).iter().all(|message| told(server_frames(message).next().unwrap()) == Told::Welcome)
    );
}

#[test]
fn frames_within_five_milliseconds_share_a_message_and_a_lone_one_does_not_wait() {
    let mut room = Room::new();
    (1..=3).for_each(|member| room.open(member, "patchbay"));
    room.pass(ms(100));
    room.ends.heard.clear();
    room.publish(1, "", b"first");
    assert_eq!((room.messages(2).len(), room.messages(3).len()), (1, 1), "at once");
    for payload in 0..4u8 {
        room.now += ms(1);
        room.publish(if payload < 2 { 1 } else { 3 }, "", &[payload; 100]);
    }
    assert!(room.messages(2).is_empty(), "they wait for each other");
    room.pass(ms(5));
    let messages = room.messages(2);
    assert_eq!(messages.len(), 1);
    assert_eq!(server_frames(&messages[0]).count(), 4);
    for _ in 0..20 {
        room.publish(1, "", &[7; 100]);
    }
    room.pass(ms(6));
    let messages = room.messages(2);
    assert!(messages.iter().all(|message| message.len() <= 1_100), "one packet");
    assert!(messages.len() <= 4, "{} messages", messages.len());
    room.publish(1, "", &[7; 5_000]);
    room.pass(ms(6));
    assert_eq!(room.messages(2).len(), 1, "a long one goes alone");
}

#[test]
fn a_fan_out_shares_its_bytes() {
    let mut room = Room::new();
    (1..=3).for_each(|member| room.open(member, "patchbay"));
    room.pass(ms(100));
    room.ends.heard.clear();
    room.publish(1, "", &[7; 300]);
    let (second, third) = (room.messages(2).remove(0), room.messages(3).remove(0));
    assert_eq!(second.as_ptr(), third.as_ptr());
}

#[test]
fn a_message_goes_to_its_targets_alone() {
    for mode in ["relay", "latest", "interest"] {
        let mut room = Room::new();
        (1..=5).for_each(|member| room.open(member, &format!("patchbay?mode={mode}")));
        room.pass(ms(100));
        room.ends.heard.clear();
        room.publish_to(1, &[3, 5, 3, 1, 99], b"psst");
        room.pass(ms(100));
        let heard: Vec<u32> = room.ends.heard.iter().map(|(member, ..)| *member).collect();
        assert_eq!(heard.iter().filter(|member| [3, 5].contains(member)).count(), 2, "{mode}");
        assert_eq!(heard.len(), 2, "{mode}");
        room.open(6, "patchbay");
        assert!(!room.told(6).iter().any(|told| matches!(told, Told::Value(..))), "{mode} keeps it");
    }
}

#[test]
fn an_unreliable_receiver_above_its_rate_misses_and_a_reliable_one_waits() {
    let mut room = Room::new();
    room.open(1, "patchbay?mode=relay&rate=10");
    room.open(2, "patchbay");
    assert!(room.open_as(3, 0, "game", "patchbay", LOSSY));
    room.ends.heard.clear();
    for payload in 0..40u8 {
        room.publish(1, "", &[payload]);
        room.pass(ms(25));
    }
    let lossy = room.told(3);
    assert!((10..=12).contains(&lossy.len()), "{} in a second", lossy.len());
    assert!((10..=12).contains(&room.told(2).len()));
    room.pass(ms(3_500));
    assert!((27..=30).contains(&room.told(2).len()), "the rest came later");
    assert!(room.told(3).is_empty());
}

#[test]
fn a_slow_reliable_receiver_is_told_and_cut_off() {
    let mut room = Room::new();
    (1..=3).for_each(|member| room.open(member, "patchbay"));
    room.ends.heard.clear();
    room.set_room(2, 0);
    room.pass(ms(10));
    room.publish(1, "", b"x");
    room.pass(ms(10));
    let cut = room.plane.poll_cut().unwrap();
    assert_eq!((cut.transport, cut.reason), (TransportKey(2), "this receiver did not keep up"));
    assert!(room.told(2).is_empty() && room.told(3) == [value(1, "", b"x")]);
    // The next one has room for the words at least.
    room.set_room(3, 1);
    for _ in 0..3 {
        room.publish(1, "", &[0; 2_000]);
    }
    room.pass(ms(10));
    assert_eq!(room.plane.poll_cut().unwrap().transport, TransportKey(3));
    assert!(room.plane.poll_cut().is_none() && room.plane.deadline().is_none());
}

#[test]
fn senders_wait_where_the_topic_says_so_and_nothing_is_lost() {
    let mut room = Room::new();
    room.open(1, "patchbay?mode=relay&slow=wait");
    (2..=3).for_each(|member| room.open(member, "patchbay"));
    room.ends.heard.clear();
    room.set_room(2, 3_000);
    let (mut sent, mut queue) = (0u32, Vec::new());
    let mut frame = Vec::new();
    let mut held = false;
    while sent < 100 {
        frame.clear();
        let payload = [&sent.to_be_bytes()[..], &[0; 500]].concat();
        ClientFrame::Publish(Publish { payload: &payload, ..Publish::default() }).write(&mut frame);
        if room.send(1, &frame) == Intake::Taken {
            sent += 1;
        } else {
            held = true;
            assert!(room.plane.poll_release().is_none());
            room.writable(2, 3_000);
            assert_eq!(room.plane.poll_release(), Some((TransportKey(1), ChannelKey(0))));
        }
        room.pass(ms(6));
        queue.extend(room.told(2));
    }
    room.writable(2, 100_000);
    room.pass(ms(10));
    queue.extend(room.told(2));
    assert!(held && room.counters.data_blocked > 5);
    let numbers = queue.iter().map(|told| match told {
        Told::Value(1, _, payload) => u32::from_be_bytes(payload[..4].try_into().unwrap()),
        other => panic!("{other:?}"),
    });
    assert!(numbers.eq(0..100), "in order and complete");
    assert_eq!((room.told(3).len(), room.counters.data_cut), (100, 0));
    // Whoever holds others up and leaves lets them go on.
    room.set_room(2, 0);
    room.publish(1, "", b"x");
    room.pass(ms(10));
    assert_eq!(room.send(1, &frame), Intake::Blocked);
    room.close(2);
    assert_eq!(room.plane.poll_release(), Some((TransportKey(1), ChannelKey(0))));
}

#[test]
fn a_ping_is_answered_at_once_with_the_time() {
    let mut room = Room::new();
    room.open(1, "patchbay");
    room.messages(1);
    room.now += ms(2);
    room.frame(1, &ClientFrame::Ping { token: 99 });
    let messages = room.messages(1);
    let Some(Ok(ServerFrame::Pong { token, time })) = server_frames(&messages[0]).next() else { panic!() };
    assert_eq!((token, time), (99, 1_800_000_000_002_000));
}

#[test]
fn what_nothing_newer_makes_up_for_is_repeated_on_any_channel() {
    let mut room = Room::new();
    room.open_as(1, 0, "game", "patchbay?mode=latest", LOSSY);
    room.pass(ms(10));
    room.publish(1, "hat", b"red");
    room.open_as(2, 0, "game", "patchbay?mode=latest", LOSSY);
    room.pass(ms(10));
    let is_repeated = |room: &mut Room| std::mem::take(&mut room.ends.repeated);
    assert_eq!(is_repeated(&mut room), [true; 4], "two welcomes and two snapshots");
    room.publish(1, "hat", b"blue");
    room.pass(ms(10));
    room.frame(2, &ClientFrame::Ping { token: 1 });
    assert_eq!(is_repeated(&mut room), [false, false], "a value, a time");
    room.bury(1, "hat");
    room.pass(ms(10));
    assert_eq!(is_repeated(&mut room), [true], "the end of a value");
}
