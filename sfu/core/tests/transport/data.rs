//! Data channels.

use std::time::Duration;

use bytes::Bytes;
use patchbay_sansio_peer::{PeerEvent, Reliability};
use patchbay_sfu_core::transport::{DropReason, MessageKind, TransportEvent};
use patchbay_sfu_core::{ChannelKey, DataMessage, Repetition, SendOutcome};

use crate::pair::{Condition, Options, Pair};

fn open(pair: &mut Pair, label: &str, is_ordered: bool, reliability: Reliability) -> ChannelKey {
    let now = pair.now;
    let key = pair.peer.open_channel(now, label, "", is_ordered, reliability);
    assert!(pair.run_until(Duration::from_secs(20), |it| {
        it.peer_events.iter().any(|event| matches!(event, PeerEvent::ChannelOpened(info) if info.key == key))
    }));
    key
}

fn received(pair: &Pair) -> Vec<(MessageKind, Vec<u8>)> {
    let messages = pair.events.iter().filter_map(|it| match it {
        TransportEvent::Message { kind, payload, .. } => Some((*kind, payload.to_vec())),
        _ => None,
    });
    messages.collect()
}

fn echoed(pair: &Pair) -> Vec<(MessageKind, Vec<u8>)> {
    let messages = pair.peer_events.iter().filter_map(|it| match it {
        PeerEvent::Message { kind, payload, .. } => Some((*kind, payload.to_vec())),
        _ => None,
    });
    messages.collect()
}

#[test]
fn what_is_sent_is_what_arrives() {
    let mut pair = Pair::connected();
    let key = open(&mut pair, "chat ✓", false, Reliability::MaxRetransmits(3));
    let opened = pair.events.iter().find_map(|it| match it {
        TransportEvent::ChannelOpened(info) => Some(info.clone()),
        _ => None,
    });
    let opened = opened.unwrap();
    assert_eq!((opened.label.as_str(), opened.is_ordered), ("chat ✓", false));
    assert_eq!(opened.reliability, Reliability::MaxRetransmits(3));

    let large = vec![0x5a; 200_000];
    let large = Bytes::from(large);
    let (text, binary) = (Bytes::from_static("grüß dich".as_bytes()), Bytes::from_static(&[0, 255]));
    let messages = [
        DataMessage::Text(&text),
        DataMessage::Binary(&binary),
        DataMessage::Text(&Bytes::new()),
        DataMessage::Binary(&Bytes::new()),
        DataMessage::Binary(&large),
    ];
    for message in messages {
        let now = pair.now;
        assert_eq!(pair.peer.send_message(now, key, message), SendOutcome::Queued);
        pair.run_for(Duration::from_secs(2));
        let (kind, payload) = received(&pair).pop().unwrap();
        let (expected_kind, expected) = match message {
            DataMessage::Text(payload) => (MessageKind::Text, payload),
            DataMessage::Binary(payload) => (MessageKind::Binary, payload),
        };
        assert!(kind == expected_kind && payload == *expected);
        let now = pair.now;
        assert_eq!(
            pair.transport.send_message(now, key, message, Repetition::OfChannel),
            SendOutcome::Queued
        );
        pair.run_for(Duration::from_secs(2));
        assert!(echoed(&pair).pop() == Some((expected_kind, expected.to_vec())));
    }
    assert_eq!(received(&pair).len(), 5);
}

#[test]
fn reliable_channels_survive_loss_in_order() {
    let condition = Condition { loss: 0.05, duplicate: 0.1, jitter: Duration::from_millis(20) };
    let mut pair = Pair::new(Options { seed: 5, condition, ..Options::default() });
    let key = open(&mut pair, "log", true, Reliability::Reliable);
    for number in 0..300u32 {
        let now = pair.now;
        let message = Bytes::copy_from_slice(&number.to_be_bytes());
        assert_eq!(pair.peer.send_message(now, key, DataMessage::Binary(&message)), SendOutcome::Queued);
        pair.run_for(Duration::from_millis(3));
    }
    assert!(pair.run_until(Duration::from_secs(60), |it| received(it).len() == 300));
    let numbers: Vec<_> = received(&pair).into_iter().map(|(_, it)| it).collect();
    assert_eq!(numbers, (0..300u32).map(|it| it.to_be_bytes().to_vec()).collect::<Vec<_>>());
}

#[test]
fn queues_have_an_end() {
    let mut pair = Pair::connected();
    let reliable = open(&mut pair, "reliable", true, Reliability::Reliable);
    let lossy = open(&mut pair, "lossy", false, Reliability::MaxRetransmits(0));
    pair.condition.loss = 1.0;
    let now = pair.now;
    let message = Bytes::from(vec![7; 10_000]);
    let send = |pair: &mut Pair, channel, message: &Bytes| {
        pair.transport.send_message(now, channel, DataMessage::Binary(message), Repetition::OfChannel)
    };
    let accepted = (0..1000).filter(|_| send(&mut pair, reliable, &message) == SendOutcome::Queued).count();
    assert!((100..150).contains(&accepted), "{accepted}");
    let before = pair.count(DropReason::ChannelFull);
    assert!((0..1000).all(|_| send(&mut pair, lossy, &message) == SendOutcome::Queued));
    assert!(pair.count(DropReason::ChannelFull) - before > 800);
    assert_eq!(send(&mut pair, ChannelKey(999), &message), SendOutcome::Gone);
    assert_eq!(send(&mut pair, lossy, &Bytes::from(vec![0; 262_145])), SendOutcome::Gone);
}

#[test]
fn closing_is_told() {
    let mut pair = Pair::connected();
    let key = open(&mut pair, "short", true, Reliability::Reliable);
    let now = pair.now;
    pair.peer.close_channel(now, key);
    pair.run_for(Duration::from_secs(5));
    assert!(pair.events.contains(&TransportEvent::ChannelClosed(key)), "{:?}", pair.events);
    let again = open(&mut pair, "other", true, Reliability::Reliable);
    let now = pair.now;
    let message = Bytes::from_static(b"still there");
    assert_eq!(pair.peer.send_message(now, again, DataMessage::Text(&message)), SendOutcome::Queued);
    pair.run_for(Duration::from_secs(1));
    assert_eq!(received(&pair).len(), 1);
}

#[test]
fn data_that_was_not_negotiated_is_dropped() {
    let mut pair = Pair::new(Options { has_data: false, ..Options::default() });
    // The client was told that data is there; it is not.
    assert!(pair.run_until(Duration::from_secs(5), Pair::is_connected));
    pair.run_for(Duration::from_secs(10));
    assert!(pair.count(DropReason::UnexpectedData) > 0);
    assert!(pair.transport.is_connected());
    // And when it is added later, it works at once.
    let now = pair.now;
    pair.transport.enable_data(now, Default::default());
    let key = open(&mut pair, "late", true, Reliability::Reliable);
    let now = pair.now;
    let message = Bytes::from_static(b"hello");
    assert_eq!(pair.peer.send_message(now, key, DataMessage::Text(&message)), SendOutcome::Queued);
    pair.run_for(Duration::from_secs(1));
    assert_eq!(received(&pair), [(MessageKind::Text, b"hello".to_vec())]);
}
