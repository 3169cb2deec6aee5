//! RTP and RTCP through SRTP, both ways, and the shape of what goes out.

use std::time::Duration;

use patchbay_sfu_core::OutgoingRtp;
use patchbay_sfu_core::transport::DropReason;
use patchbay_wire::rtp::{RtpTimestamp, Ssrc};

use crate::pair::{Condition, Pair, SLOT_SSRC, client_address};

fn receiver_report() -> Vec<u8> {
    vec![0x80, 201, 0, 1, 0, 0, 0, 1]
}

#[test]
fn media_flows_both_ways() {
    let mut pair = Pair::connected();
    for number in 0..100u8 {
        assert!(pair.send_to_server(&[number; 1000]));
        pair.send_to_peer(&[number; 900]);
        pair.transport.send_rtcp(&receiver_report());
        pair.run_for(Duration::from_millis(20));
    }
    assert_eq!(pair.server_rtp, (0..100u8).map(|it| vec![it; 1000]).collect::<Vec<_>>());
    assert_eq!(pair.peer_rtp, (0..100u8).map(|it| vec![it; 900]).collect::<Vec<_>>());
    assert!(pair.peer_rtcp.iter().filter(|it| **it == receiver_report()).count() == 100);
    assert!(!pair.server_rtcp.is_empty(), "the client reports by itself");
    assert_eq!(pair.transport.stats().dropped.total(), 0);
}

#[test]
fn loss_and_order_are_left_to_others_but_nothing_comes_twice() {
    let mut pair = Pair::connected();
    pair.condition = Condition { loss: 0.1, duplicate: 0.5, jitter: Duration::from_millis(100) };
    for number in 0..400u16 {
        assert!(pair.send_to_server(&number.to_be_bytes()));
        pair.send_to_peer(&number.to_be_bytes());
        pair.run_for(Duration::from_millis(5));
    }
    pair.run_for(Duration::from_millis(200));
    for received in [&pair.server_rtp, &pair.peer_rtp] {
        let mut sorted = received.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), received.len());
        assert!(received.len() > 300, "{}", received.len());
    }
    assert!(pair.count(DropReason::Replayed) > 100);
    assert_eq!(pair.count(DropReason::BadTag), 0);
}

#[test]
fn replayed_packets_are_dropped() {
    let mut pair = Pair::connected();
    for number in 0..50u8 {
        pair.send_to_server(&[number; 100]);
    }
    pair.run_for(Duration::from_millis(1500));
    let before = pair.server_rtp.len() + pair.server_rtcp.len();
    let media: Vec<_> =
        pair.captured.iter().filter(|it| it.to_server && it.bytes[0] & 0xc0 == 0x80).cloned().collect();
    assert!(media.len() > 50);
    for datagram in &media {
        pair.inject(client_address(), &datagram.bytes);
    }
    assert_eq!(pair.server_rtp.len() + pair.server_rtcp.len(), before);
    assert_eq!(pair.count(DropReason::Replayed), media.len() as u64);
}

#[test]
fn one_number_is_never_sent_twice() {
    let mut pair = Pair::connected();
    let packet = |payload| OutgoingRtp {
        marker: false,
        payload_type: 96,
        extended_sequence: 5,
        timestamp: RtpTimestamp(0),
        ssrc: Ssrc(SLOT_SSRC),
        csrc: None,
        extensions: &[],
        prefix: &[],
        payload,
    };
    pair.transport.send_rtp(&packet(b"one"));
    pair.transport.send_rtp(&packet(b"two"));
    pair.run_for(Duration::from_millis(50));
    assert_eq!(pair.peer_rtp, [b"one".to_vec()]);
    assert_eq!(pair.count(DropReason::NonceReuse), 1);
}

#[test]
fn a_frame_is_one_run() {
    let mut pair = Pair::connected();
    let now = pair.now;
    for _ in 0..5 {
        pair.send_to_peer(&[7; 1100]);
    }
    pair.send_to_peer(&[7; 300]);
    let transmit = pair.transport.poll_transmit(now).unwrap();
    // 12 of header, 4 of CSRC, 8 of extension, 16 of tag.
    assert_eq!(transmit.segment_size, Some(1140));
    assert_eq!(transmit.contents.len(), 5 * 1140 + 340);
    assert!(pair.transport.poll_transmit(now).is_none());
}

#[test]
fn a_queue_that_nobody_drains_has_an_end() {
    let mut pair = Pair::connected();
    for _ in 0..2000 {
        pair.send_to_peer(&[7; 1100]);
    }
    assert_eq!(pair.count(DropReason::QueueFull), 2000 - 512);
    let stats = pair.transport.stats();
    pair.run_for(Duration::from_millis(50));
    assert_eq!(pair.peer_rtp.len(), 512);
    let runs = pair.transport.stats().transmits_out - stats.transmits_out;
    assert!((512 / 57..=20).contains(&runs), "{runs} runs");
}

#[test]
fn before_connecting_nothing_is_sent() {
    let mut pair = Pair::new(crate::pair::Options::default());
    pair.send_to_peer(b"early");
    assert!(!pair.send_to_server(b"early"));
    assert_eq!(pair.count(DropReason::NoPath), 1);
}
