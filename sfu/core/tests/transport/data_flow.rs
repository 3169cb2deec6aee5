//! What queues of data channels do when there is more than passes, and what they promise.

use std::time::Duration;

use bytes::Bytes;
use patchbay_sansio_peer::{PeerEvent, Reliability};
use patchbay_sfu_core::transport::data::{MAX_MESSAGE_BYTES, MAX_STREAMS};
use patchbay_sfu_core::transport::{ChannelInfo, DeclareError, DropReason, MessageKind, TransportEvent};
use patchbay_sfu_core::{ChannelKey, DataMessage, Repetition, SendOutcome};

use crate::pair::{Condition, Options, Pair};

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn info(id: u16, is_ordered: bool, reliability: Reliability) -> ChannelInfo {
    ChannelInfo {
        key: ChannelKey(id),
        label: format!("channel {id}"),
        protocol: String::new(),
        is_ordered,
        reliability,
    }
}

fn open(pair: &mut Pair, label: &str, is_ordered: bool, reliability: Reliability) -> ChannelKey {
    let now = pair.now;
    let key = pair.peer.open_channel(now, label, "", is_ordered, reliability);
    assert!(pair.run_until(Duration::from_secs(20), |it| {
        it.peer_events.iter().any(|event| matches!(event, PeerEvent::ChannelOpened(info) if info.key == key))
    }));
    key
}

fn numbered(number: u32, bytes: usize) -> Bytes {
    let mut message = number.to_be_bytes().to_vec();
    message.resize(bytes.max(4), number as u8);
    Bytes::from(message)
}

fn number(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload[..4].try_into().unwrap())
}

/// Numbers of the messages that the server received on a channel.
fn at_server(pair: &Pair, key: ChannelKey) -> Vec<u32> {
    let messages = pair.events.iter().filter_map(|it| match it {
        TransportEvent::Message { channel, payload, .. } if *channel == key => Some(number(payload)),
        _ => None,
    });
    messages.collect()
}

/// Numbers of the messages that the peer received on a channel.
fn at_peer(pair: &Pair, key: ChannelKey) -> Vec<u32> {
    let messages = pair.peer_events.iter().filter_map(|it| match it {
        PeerEvent::Message { channel, payload, .. } if *channel == key => Some(number(payload)),
        _ => None,
    });
    messages.collect()
}

fn send_to_server(pair: &mut Pair, key: ChannelKey, message: &Bytes) -> SendOutcome {
    let now = pair.now;
    pair.peer.send_message(now, key, DataMessage::Binary(message))
}

fn send_to_peer(pair: &mut Pair, key: ChannelKey, message: &Bytes) -> SendOutcome {
    let now = pair.now;
    pair.transport.send_message(now, key, DataMessage::Binary(message), Repetition::OfChannel)
}

#[test]
fn channels_that_were_declared_work_without_a_word() {
    let mut pair = Pair::new(Options::default());
    let (early, late) =
        (info(8, false, Reliability::MaxRetransmits(0)), info(5, true, Reliability::Reliable));
    pair.transport.declare_channel(early.clone()).unwrap();
    let now = pair.now;
    pair.peer.declare_channel(now, early.clone()).unwrap();
    assert!(pair.run_until(Duration::from_secs(5), Pair::is_connected));
    pair.run_for(ms(100));
    let now = pair.now;
    // What comes on a stream before it is declared belongs to nothing, and does no harm.
    pair.peer.declare_channel(now, late.clone()).unwrap();
    assert_eq!(send_to_server(&mut pair, late.key, &numbered(9, 10)), SendOutcome::Queued);
    pair.run_for(ms(100));
    assert!(pair.count(DropReason::UnexpectedData) > 0);
    pair.transport.declare_channel(late.clone()).unwrap();
    pair.run_for(ms(100));
    for (channel, at) in [(&early, 1), (&late, 2)] {
        let opened = |it: &&TransportEvent| matches!(it, TransportEvent::ChannelOpened(it) if it == channel);
        assert_eq!(pair.events.iter().filter(opened).count(), 1);
        for number in 0..5 {
            assert_eq!(send_to_server(&mut pair, channel.key, &numbered(number, 50)), SendOutcome::Queued);
            assert_eq!(send_to_peer(&mut pair, channel.key, &numbered(number + at, 50)), SendOutcome::Queued);
        }
        pair.run_for(ms(200));
        assert_eq!(at_server(&pair, channel.key), [0, 1, 2, 3, 4]);
        assert_eq!(at_peer(&pair, channel.key), [at, at + 1, at + 2, at + 3, at + 4]);
    }
    // Said again, as with every offer, it changes nothing.
    assert_eq!(pair.transport.declare_channel(early), Ok(()));
}

#[test]
fn channels_that_cannot_be_declared_are_refused_in_words() {
    let mut pair = Pair::connected();
    let in_band = open(&mut pair, "in band", true, Reliability::Reliable);
    let refused = pair.transport.declare_channel(info(in_band.0, true, Reliability::Reliable));
    assert_eq!(refused, Err(DeclareError::Taken(in_band.0)));
    let refused = pair.transport.declare_channel(info(MAX_STREAMS, true, Reliability::Reliable));
    assert_eq!(refused, Err(DeclareError::OutOfRange(MAX_STREAMS)));
    let declared = (10..1000)
        .take_while(|id| pair.transport.declare_channel(info(*id, true, Reliability::Reliable)).is_ok());
    assert_eq!(declared.count(), 255);
    let refused = pair.transport.declare_channel(info(999, true, Reliability::Reliable));
    assert_eq!(refused, Err(DeclareError::TooMany));
    // One that is closed makes room.
    let now = pair.now;
    pair.transport.close_channel(now, ChannelKey(10));
    assert_eq!(pair.transport.declare_channel(info(999, true, Reliability::Reliable)), Ok(()));
}

#[test]
fn every_reliability_works_both_ways() {
    let kinds = [
        (true, Reliability::Reliable),
        (false, Reliability::Reliable),
        (true, Reliability::MaxRetransmits(1)),
        (false, Reliability::MaxRetransmits(0)),
        (true, Reliability::MaxLifetimeMs(60)),
        (false, Reliability::MaxLifetimeMs(60)),
    ];
    for (seed, (is_ordered, reliability)) in (1..).zip(kinds) {
        let condition = Condition { loss: 0.05, duplicate: 0.02, jitter: ms(4) };
        let mut pair = Pair::new(Options { seed, condition, ..Options::default() });
        let key = open(&mut pair, "all", is_ordered, reliability);
        pair.run_for(Duration::from_secs(1));
        for number in 0..300 {
            send_to_server(&mut pair, key, &numbered(number, 80));
            send_to_peer(&mut pair, key, &numbered(number, 80));
            pair.run_for(ms(20));
        }
        pair.run_for(Duration::from_secs(20));
        for received in [at_server(&pair, key), at_peer(&pair, key)] {
            let what = format!("{} of 300, ordered: {is_ordered}, {reliability:?}", received.len());
            let mut sorted = received.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), received.len(), "messages came twice: {what}");
            assert!(!is_ordered || sorted == received, "out of order: {what}");
            match reliability {
                Reliability::Reliable => assert_eq!(received.len(), 300, "{what}"),
                // A second one is lost with it in one case of twenty.
                Reliability::MaxRetransmits(1) => assert!(received.len() >= 285, "{what}"),
                _ => assert!((250..300).contains(&received.len()), "{what}"),
            }
        }
    }
}

#[test]
fn a_lifetime_counts_from_when_the_message_was_sent() {
    let mut pair = Pair::connected();
    let short = open(&mut pair, "short", true, Reliability::MaxLifetimeMs(300));
    let long = open(&mut pair, "long", true, Reliability::MaxLifetimeMs(5_000));
    pair.condition.loss = 1.0;
    for number in 0..100 {
        send_to_peer(&mut pair, short, &numbered(number, 1_000));
        send_to_peer(&mut pair, long, &numbered(number, 1_000));
    }
    pair.run_for(ms(2_000));
    pair.condition.loss = 0.0;
    pair.run_for(ms(2_500));
    send_to_peer(&mut pair, short, &numbered(100, 1_000));
    send_to_peer(&mut pair, long, &numbered(100, 1_000));
    pair.run_for(ms(1_000));
    // What SCTP had already and had not sent yet is sent once all the same: a few packets.
    let received = at_peer(&pair, short);
    assert!(
        received.len() < 6 && received.last() == Some(&100),
        "what was 2 s old is given up: {received:?}"
    );
    assert_eq!(at_peer(&pair, long), (0..=100).collect::<Vec<_>>());
}

#[test]
fn what_is_soon_replaced_does_not_wait_long() {
    let mut pair = Pair::connected();
    let moves = open(&mut pair, "moves", false, Reliability::MaxRetransmits(0));
    pair.condition.loss = 1.0;
    for number in 0..300 {
        assert_eq!(send_to_peer(&mut pair, moves, &numbered(number, 1_000)), SendOutcome::Queued);
        pair.run_for(ms(10));
    }
    pair.condition.loss = 0.0;
    for number in 300..900 {
        send_to_peer(&mut pair, moves, &numbered(number, 1_000));
        pair.run_for(ms(10));
    }
    // What SCTP had already and had not sent yet is sent once all the same: a few packets.
    let received = at_peer(&pair, moves);
    assert!(received.len() > 250 && received.contains(&899), "{received:?}");
    assert!(received.iter().filter(|number| **number < 200).count() < 6, "{received:?}");
}

#[test]
fn a_full_channel_says_so_and_says_when_it_no_longer_is() {
    let mut pair = Pair::connected();
    let key = open(&mut pair, "log", true, Reliability::Reliable);
    assert!(pair.transport.channel_room(key) > 0);
    assert_eq!(pair.transport.channel_room(ChannelKey(77)), 0);
    let message = numbered(1, 16_000);
    let mut sent = 0;
    while send_to_peer(&mut pair, key, &message) == SendOutcome::Queued {
        sent += 1;
    }
    assert!((64..80).contains(&sent), "{sent} messages of 16 kB fit");
    assert_eq!(pair.transport.channel_room(key), 0);
    let writable = TransportEvent::Writable { channel: key };
    assert!(!pair.events.contains(&writable));
    assert!(pair.run_until(Duration::from_secs(10), |it| it.events.contains(&writable)));
    assert!(pair.transport.channel_room(key) > 0);
    assert!(at_peer(&pair, key).len() < sent, "told only when nothing was left");
    pair.run_for(Duration::from_secs(5));
    assert_eq!(at_peer(&pair, key).len(), sent);
    assert_eq!(pair.events.iter().filter(|it| **it == writable).count(), 1, "told once");
}

#[test]
fn all_channels_together_have_a_bound() {
    let mut pair = Pair::connected();
    let keys: Vec<_> =
        (0..8).map(|it| open(&mut pair, &format!("log {it}"), true, Reliability::Reliable)).collect();
    pair.condition.loss = 1.0;
    let message = numbered(1, 50_000);
    let mut bytes = 0;
    for key in &keys {
        while send_to_peer(&mut pair, *key, &message) == SendOutcome::Queued {
            bytes += message.len();
        }
    }
    assert!((4_000_000..4_400_000).contains(&bytes), "{bytes} bytes");
    assert!(keys.iter().all(|key| pair.transport.channel_room(*key) == 0));
    pair.condition.loss = 0.0;
    assert!(pair.run_until(Duration::from_secs(60), |it| {
        keys.iter().all(|key| it.events.contains(&TransportEvent::Writable { channel: *key }))
    }));
}

#[test]
fn a_sender_is_slowed_down_by_one_who_holds_and_goes_on_at_once() {
    let mut pair = Pair::connected();
    let log = open(&mut pair, "log", true, Reliability::Reliable);
    let moves = open(&mut pair, "moves", true, Reliability::Reliable);
    pair.blocked = Some(log);
    let mut sent = 0;
    for round in 0..200u32 {
        while sent < 400 && send_to_server(&mut pair, log, &numbered(sent, 16_000)) == SendOutcome::Queued {
            sent += 1;
        }
        if round < 20 {
            // Others go on for as long as the window is open.
            send_to_server(&mut pair, moves, &numbered(round, 100));
        }
        pair.run_for(ms(20));
        if round == 4 {
            assert!(!at_server(&pair, moves).is_empty());
        }
    }
    assert!(sent < 200, "{sent} messages of 16 kB were taken, though nobody reads them");
    assert!(at_server(&pair, log).is_empty());
    let peer_waits = Duration::from_secs(30);
    pair.run_for(peer_waits);
    // Released: everything comes, in order, and the sender learns of the open window without probing for it.
    pair.blocked = None;
    pair.transport.release_channel(log);
    assert!(pair.run_until(ms(2_000), |it| at_server(it, log).len() == sent as usize));
    assert_eq!(at_server(&pair, log), (0..sent).collect::<Vec<_>>());
    assert_eq!(at_server(&pair, moves), (0..20).collect::<Vec<_>>());
    let more = numbered(sent, 16_000);
    send_to_server(&mut pair, log, &more);
    pair.run_for(ms(500));
    assert_eq!(at_server(&pair, log).len(), sent as usize + 1);
}

#[test]
fn a_message_that_is_too_long_ends_nothing() {
    for (is_ordered, bytes) in
        [(true, 300 * 1024), (false, 300 * 1024), (true, 1_000 * 1024), (true, MAX_MESSAGE_BYTES + 1)]
    {
        let mut pair = Pair::connected();
        let key = open(&mut pair, "file", is_ordered, Reliability::Reliable);
        pair.peer.lift_message_limit();
        assert_eq!(send_to_server(&mut pair, key, &numbered(1, MAX_MESSAGE_BYTES)), SendOutcome::Queued);
        pair.run_for(Duration::from_secs(3));
        assert_eq!(send_to_server(&mut pair, key, &numbered(2, bytes)), SendOutcome::Queued);
        pair.run_for(Duration::from_secs(3));
        assert!(pair.events.contains(&TransportEvent::MessageTooLong { channel: key, bytes }), "{bytes}");
        assert_eq!(pair.count(DropReason::BadMessage), 1);
        assert_eq!(send_to_server(&mut pair, key, &numbered(3, MAX_MESSAGE_BYTES)), SendOutcome::Queued);
        pair.run_for(Duration::from_secs(3));
        assert_eq!(at_server(&pair, key), [1, 3]);
        let text = Bytes::from_static(b"still there");
        let now = pair.now;
        pair.transport.send_message(now, key, DataMessage::Text(&text), Repetition::OfChannel);
        pair.run_for(Duration::from_secs(1));
        let last = pair.peer_events.last();
        let is_there = |it: &PeerEvent| matches!(it, PeerEvent::Message { kind: MessageKind::Text, payload, .. } if *payload == text);
        assert!(last.is_some_and(is_there));
    }
}
