//! In the steady state a packet allocates nothing: not on its way in, not on its way to any slot, not in reports, speaker
//! ranking, NACKs and retransmissions.

#![allow(clippy::disallowed_methods, reason = "a test has to begin somewhere in time")]
// A counting allocator has to implement an unsafe trait; it does nothing but count.
#![allow(unsafe_code)]

#[path = "router/fixture.rs"]
#[allow(dead_code)]
mod fixture;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use fixture::{Harness, Stream, negotiated, publish, slot, slot_ssrc};
use patchbay_protocol::node::Slot;
use patchbay_protocol::{ParticipantNumber, SlotSource, Source, TransportId};
use patchbay_sfu_core::router::Router;
use patchbay_sfu_core::{
    ChannelKey, DataMessage, Egress, OutgoingRtp, Repetition, SendOutcome, TransportKey,
};
use patchbay_wire::rtcp;
use patchbay_wire::rtp::{SequenceNumber, Ssrc};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Counts what is sent, and remembers the last number of each stream in a fixed place.
#[derive(Default)]
struct Counter {
    rtp: u64,
    rtcp: u64,
    last_video: u64,
}

impl Egress for Counter {
    fn send_rtp(&mut self, to: TransportKey, packet: &OutgoingRtp<'_>) {
        self.rtp += 1;
        if to == TransportKey(3) && packet.ssrc.0 == slot_ssrc(3, "f") {
            self.last_video = packet.extended_sequence;
        }
    }

    fn send_rtcp(&mut self, _: TransportKey, _: &[u8]) {
        self.rtcp += 1;
    }

    fn send_message(
        &mut self,
        _: TransportKey,
        _: ChannelKey,
        _: DataMessage<'_>,
        _: Repetition,
    ) -> SendOutcome {
        SendOutcome::Queued
    }

    fn channel_room(&self, _: TransportKey, _: ChannelKey) -> usize {
        usize::MAX
    }
}

#[test]
fn packets_allocate_nothing() {
    let mut now = Harness::new().now;
    let mut router = Router::new(now, 0, 7);
    let mut out = Counter::default();
    let sections = [
        publish("a", Source::Microphone),
        publish("v", Source::Camera),
        slot("h", Source::Microphone),
        slot("f", Source::Camera),
    ];
    let mut names = Harness::new();
    for who in 1..=4 {
        let key = TransportKey(who);
        router.attach(now, key, TransportId(who.into()), ParticipantNumber(who));
        let publications = names.publications(&sections);
        let speaker = |mid: &str| Slot {
            mid: mid.into(),
            source: Some(SlotSource::Speaker { speaker: 1 }),
            group: None,
        };
        let negotiated = negotiated(who, &sections);
        router.apply(now, key, &negotiated, &publications, &[speaker("h"), speaker("f")], &mut out);
        router.handle_connected(now, key, &mut out);
    }
    // All packets are made before counting; their headers are rewritten in place.
    let mut audio: Vec<(Stream, Vec<u8>)> = (1..=4)
        .map(|who| {
            let stream = Stream::audio(who, Some(30 + who as u8 * 8));
            let packet = stream.packet(false, &[1; 80]);
            (stream, packet)
        })
        .collect();
    let mut video: Vec<(Stream, Vec<u8>, Vec<u8>)> = (1..=4)
        .map(|who| {
            let stream = Stream::video(who);
            let payload = |keyframe| [stream.vp8(keyframe, true), vec![0; 1_000]].concat();
            let packets = [true, false].map(|keyframe| stream.packet(true, &payload(keyframe)));
            let [keyframe, delta] = packets;
            (stream, keyframe, delta)
        })
        .collect();
    let mut nack = Vec::with_capacity(64);
    let mut before = (0, 0);
    const WARM_UP: u64 = 4_000;
    for step in 0..6_000u64 {
        if step == WARM_UP {
            before = (ALLOCATIONS.with(Cell::get), out.rtp);
        }
        for (stream, packet) in &mut audio {
            advance(packet, stream, 480);
            router.handle_rtp(now, stream.from, packet, &mut out);
        }
        for (stream, keyframe, delta) in &mut video {
            let packet = if step % 100 == 0 { keyframe } else { delta };
            advance(packet, stream, 900);
            // Some are lost on their way, which makes NACKs.
            if step % 37 != 0 {
                router.handle_rtp(now, stream.from, packet, &mut out);
            }
        }
        if step % 20 == 0 {
            nack.clear();
            let lost = [out.last_video.saturating_sub(3)].map(|sequence| SequenceNumber(sequence as u16));
            rtcp::write_nack(Ssrc(1), Ssrc(slot_ssrc(3, "f")), lost, &mut nack);
            rtcp::write_pli(Ssrc(1), Ssrc(slot_ssrc(3, "f")), &mut nack);
            router.handle_rtcp(now, TransportKey(3), &nack, &mut out);
        }
        now += Duration::from_millis(10);
        while router.deadline().is_some_and(|due| due <= now) {
            router.handle_timeout(now, &mut out);
        }
        while router.poll_event().is_some() {}
    }
    let allocations = ALLOCATIONS.with(Cell::get) - before.0;
    let forwarded = out.rtp - before.1;
    assert!(forwarded > 10_000, "{forwarded}");
    assert!(out.rtcp > 100 && router.counters().rtx_sent > 10 && router.counters().nack_sent > 10);
    assert_eq!(allocations, 0, "for {forwarded} packets");
}

/// Moves a packet on in its stream.
fn advance(packet: &mut [u8], stream: &mut Stream, ticks: u32) {
    stream.sequence = stream.sequence.wrapping_add(1);
    stream.timestamp = stream.timestamp.wrapping_add(ticks);
    packet[2..4].copy_from_slice(&stream.sequence.to_be_bytes());
    packet[4..8].copy_from_slice(&stream.timestamp.to_be_bytes());
}
