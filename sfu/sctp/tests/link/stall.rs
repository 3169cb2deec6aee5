//! States in which an association could stand still for ever, or for too long.

use std::time::Duration;

use bytes::Bytes;
use patchbay_sctp::{Association, Limit};

use crate::world::{CLEAN, MAX_MESSAGE_BYTES, World, message};

const WINDOW: u32 = 20_000;
const ONCE: Limit = Limit { max_retransmits: Some(0), expires: None };

/// The second end has a small window.
fn up() -> World {
    let mut world = World::new(1, CLEAN, [1024 * 1024, WINDOW]);
    world.connect(false);
    world.settle();
    world
}

/// What is sent now is lost.
fn lose(world: &mut World) {
    world.link.loss = 1.0;
    world.flush();
    world.link.loss = 0.0;
}

#[test]
fn what_is_lost_is_repeated_although_the_peer_has_no_room() {
    let mut world = up();
    world.ends[0].send(message(1, "first", true, Limit::default()));
    lose(&mut world);
    world.ends[1].set_held_bytes(WINDOW as usize);
    world.ends[0].send(message(1, "second", true, Limit::default()));
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.messages(1), [(1, Bytes::from("first")), (1, Bytes::from("second"))]);
}

#[test]
fn a_repetition_that_is_lost_is_repeated_although_the_peer_has_no_room() {
    let mut world = up();
    world.ends[0].send(message(1, "first", true, Limit::default()));
    lose(&mut world);
    world.ends[1].set_held_bytes(WINDOW as usize);
    world.ends[0].send(message(1, "second", true, Limit::default()));
    world.run_for(Duration::from_millis(15));
    // The SACK is on its way; what it leads to is lost.
    world.link.loss = 1.0;
    world.run_for(Duration::from_secs(20));
    world.link.loss = 0.0;
    world.run_for(Duration::from_secs(4));
    assert_eq!(world.messages(1).len(), 2);
}

#[test]
fn room_is_asked_for_although_nobody_says_that_he_waits() {
    let mut world = up();
    world.ends[1].set_held_bytes(WINDOW as usize);
    world.ends[0].send(message(1, "first", true, Limit::default()));
    world.settle();
    world.ends[0].send(message(1, vec![1; 5_000], true, Limit::default()));
    // There is room again, but the word of it is lost.
    world.ends[1].set_held_bytes(0);
    lose(&mut world);
    world.settle();
    assert_eq!(world.messages(1).len(), 2);
}

#[test]
fn who_has_no_room_at_first_is_asked() {
    let mut world = World::new(1, CLEAN, [1024 * 1024, 0]);
    world.connect(false);
    world.ends[0].send(message(1, "first", true, Limit::default()));
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.messages(1).len(), 1);
}

#[test]
fn what_is_given_up_far_ahead_stops_nobody() {
    let mut world = World::up(1, CLEAN, false);
    world.link.loss = 1.0;
    let mut sent = 0;
    for _ in 0..900 {
        while world.ends[0].has_room() {
            world.ends[0].send(message(1, "lost", true, ONCE));
            sent += 1;
        }
        world.run_for(Duration::from_secs(1));
    }
    assert!(sent > 8_000, "{sent}");
    world.link.loss = 0.0;
    world.ends[0].send(message(1, "end", true, Limit::default()));
    world.settle();
    assert_eq!(world.messages(1).last(), Some(&(1, Bytes::from("end"))));
}

#[test]
fn what_is_given_up_half_way_is_not_gone_on_with() {
    let mut world = up();
    // Only its first packets fit into the window; of those the first is lost.
    world.ends[0].send(message(1, vec![1; MAX_MESSAGE_BYTES], true, ONCE));
    let first = world.ends[0].poll_transmit(world.now);
    assert!(first.is_some_and(|it| it.len() > 1_000));
    // The peer has no more room when it says so.
    world.ends[1].set_held_bytes(WINDOW as usize);
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.ends[0].pending_bytes(), 0, "the peer was told that nothing comes");
    world.ends[1].set_held_bytes(0);
    world.ends[0].send(message(1, "next", true, Limit::default()));
    world.settle();
    assert_eq!(world.messages(1), [(1, Bytes::from("next"))]);
    assert_eq!(world.released_bytes(0), MAX_MESSAGE_BYTES + 4);
}

#[test]
fn a_probe_goes_out_although_it_does_not_fit_behind_a_sack() {
    let mut world = up();
    world.ends[0].send(message(1, vec![1; 1_160], true, Limit::default()));
    lose(&mut world);
    let due = world.ends[0].deadline().expect("a probe");
    world.run_for(due - world.now - Duration::from_millis(20));
    // Its SACK waits for a packet that it can go with: the probe.
    world.ends[1].send(message(1, "answer", true, ONCE));
    world.run_for(Duration::from_millis(31));
    assert_eq!(world.messages(1).len(), 1);
}

#[test]
fn a_peer_that_never_agrees_to_a_reset_is_left() {
    let mut world = up();
    world.link.loss = 1.0;
    for _ in 0..10_000 {
        world.ends[0].send(message(1, "anew", true, Limit::default()));
        world.ends[0].reset_stream(1);
        world.flush();
    }
    assert!(world.ends[0].is_closed());
    assert!(!world.ends[1].is_closed());
}

#[test]
fn after_an_outage_it_goes_on_within_seconds() {
    let mut world = up();
    world.link.loss = 1.0;
    for number in 0..300 {
        world.ends[0].send(message(number % 3, vec![1; 100], number % 3 == 0, Limit::default()));
        world.run_for(Duration::from_millis(100));
    }
    world.link.loss = 0.0;
    world.run_for(Duration::from_secs(4));
    assert_eq!(world.messages(1).len(), 300);
    assert!(world.ends.iter().all(Association::is_up));
}
