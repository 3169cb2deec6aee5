//! A peer that is who it says and lies all the same: SCTP packets and handshakes changed with their checksums right.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use patchbay_sfu_core::transport::data::{ChannelInfo, DataChannels, MAX_CHANNELS, Reliability};
use patchbay_sfu_core::transport::{DropCounts, TransportEvent};
use patchbay_sfu_core::{ChannelKey, DataMessage, Repetition, SendOutcome};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// CRC-32C (RFC 9260, appendix A), bit by bit.
fn checksum(packet: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in packet {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

fn seal(packet: &mut [u8]) {
    if packet.len() >= 12 {
        packet[8..12].fill(0);
        let checksum = checksum(packet);
        packet[8..12].copy_from_slice(&checksum.to_le_bytes());
    }
}

struct Ends {
    now: Instant,
    server: DataChannels,
    client: DataChannels,
    events: VecDeque<TransportEvent>,
    client_events: VecDeque<TransportEvent>,
    dropped: DropCounts,
    captured: Vec<Bytes>,
}

impl Ends {
    fn new() -> Self {
        let now = Instant::now();
        let mut ends = Self {
            now,
            server: DataChannels::new(Some(0), 1),
            client: DataChannels::new(Some(0), u64::MAX),
            events: VecDeque::new(),
            client_events: VecDeque::new(),
            dropped: DropCounts::default(),
            captured: Vec::new(),
        };
        ends.client.connect();
        ends
    }

    fn exchange(&mut self) {
        for _ in 0..50 {
            let mut is_quiet = true;
            while let Some(packet) = self.client.poll_transmit(self.now, &mut self.dropped) {
                self.captured.push(packet.clone());
                self.server.handle(self.now, &packet, &mut self.events, &mut self.dropped);
                is_quiet = false;
            }
            while let Some(packet) = self.server.poll_transmit(self.now, &mut self.dropped) {
                self.client.handle(self.now, &packet, &mut self.client_events, &mut self.dropped);
                is_quiet = false;
            }
            if is_quiet {
                break;
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.server.handle_timeout(self.now, &mut self.events, &mut self.dropped);
        self.client.handle_timeout(self.now, &mut self.client_events, &mut self.dropped);
        self.exchange();
    }

    fn work(&mut self) {
        for (stream, reliability) in [(0, Reliability::Reliable), (2, Reliability::MaxRetransmits(0))] {
            let info = ChannelInfo {
                key: ChannelKey(stream),
                label: "label".to_owned(),
                protocol: String::new(),
                is_ordered: stream == 0,
                reliability,
            };
            self.client.open(info);
            self.exchange();
            for size in [0, 1, 1000, 5000, 70_000] {
                let payload = Bytes::from(vec![7; size]);
                self.client.send(
                    self.now,
                    ChannelKey(stream),
                    DataMessage::Binary(&payload),
                    Repetition::OfChannel,
                    &mut self.dropped,
                );
                self.server.send(
                    self.now,
                    ChannelKey(stream),
                    DataMessage::Binary(&payload),
                    Repetition::OfChannel,
                    &mut self.dropped,
                );
                self.exchange();
                self.pass(Duration::from_millis(300));
            }
        }
        self.client.close(ChannelKey(0));
        self.exchange();
        self.pass(Duration::from_secs(2));
    }
}

#[test]
fn two_ends_work() {
    let mut ends = Ends::new();
    ends.exchange();
    ends.work();
    let messages = ends.events.iter().filter(|it| matches!(it, TransportEvent::Message { .. })).count();
    assert_eq!(messages, 10);
    assert!(ends.events.contains(&TransportEvent::ChannelClosed(ChannelKey(0))));
}

#[test]
fn who_says_that_it_is_over_is_answered() {
    const SHUTDOWN: u8 = 7;
    const SHUTDOWN_ACK: u8 = 8;
    let mut ends = Ends::new();
    ends.exchange();
    let header = &ends.captured.last().unwrap()[..12];
    let mut packet = [header, &[SHUTDOWN, 0, 0, 8, 0, 0, 0, 0]].concat();
    seal(&mut packet);
    ends.server.handle(ends.now, &packet.into(), &mut ends.events, &mut ends.dropped);
    let answer = ends.server.poll_transmit(ends.now, &mut ends.dropped);
    assert_eq!(answer.map(|it| it[12]), Some(SHUTDOWN_ACK));
    assert!(!ends.server.is_up());
}

#[test]
fn who_opens_too_many_channels_is_told() {
    let mut ends = Ends::new();
    ends.exchange();
    let info = |id| ChannelInfo {
        key: ChannelKey(id),
        label: String::new(),
        protocol: String::new(),
        is_ordered: true,
        reliability: Reliability::Reliable,
    };
    // One that the client does not know of.
    ends.server.declare(info(1), &mut ends.events).unwrap();
    for at in 0..MAX_CHANNELS as u16 {
        assert!(ends.client.open(info(2 * at)));
        ends.exchange();
    }
    let last = 2 * (MAX_CHANNELS as u16 - 1);
    let payload = Bytes::from_static(b"there?");
    let mut send = |id| {
        let message = DataMessage::Binary(&payload);
        ends.client.send(ends.now, ChannelKey(id), message, Repetition::OfChannel, &mut ends.dropped)
    };
    assert_eq!(send(last - 2), SendOutcome::Queued);
    assert_eq!(send(last), SendOutcome::Gone);
}

#[test]
fn changed_sctp_is_survived() {
    let mut template = Ends::new();
    template.exchange();
    template.work();
    for round in 0..crate::pair::rounds(60) {
        let mut random = StdRng::seed_from_u64(round);
        let mut ends = Ends::new();
        if round % 3 > 0 {
            ends.exchange();
        }
        if round % 3 > 1 {
            ends.work();
        }
        for _ in 0..60 {
            let own = ends.captured.len();
            let source = if own > 0 && random.random_bool(0.8) {
                ends.captured[random.random_range(0..own)].clone()
            } else {
                template.captured[random.random_range(0..template.captured.len())].clone()
            };
            let mut packet = source.to_vec();
            // The verification tag is right, or nothing behind it is looked at.
            if let Some(last) = ends.captured.last().filter(|it| it.len() >= 8) {
                packet[4..8].copy_from_slice(&last[4..8]);
            }
            for _ in 0..random.random_range(1..5) {
                match random.random_range(0..5) {
                    0 => packet.truncate(random.random_range(12..=packet.len().max(12)).min(packet.len())),
                    1 => packet.extend((0..random.random_range(1..30)).map(|_| random.random::<u8>())),
                    // Chunk types, flags and lengths.
                    2 if packet.len() > 16 => {
                        packet[12 + random.random_range(0..4)] =
                            [random.random(), 0, 1, 3, 4, 6, 7, 0xc0, 0x82, 0xff][random.random_range(0..10)];
                    }
                    _ if packet.len() > 13 => {
                        let at = random.random_range(12..packet.len().min(80));
                        packet[at] = [random.random(), 0, 0xff, 0x80][random.random_range(0..4)];
                    }
                    _ => {}
                }
            }
            seal(&mut packet);
            ends.server.handle(ends.now, &packet.into(), &mut ends.events, &mut ends.dropped);
            if random.random_bool(0.2) {
                ends.pass(Duration::from_millis(random.random_range(0..3000)));
            }
        }
        ends.exchange();
        ends.pass(Duration::from_secs(5));
    }
}

/// DATA of one stream (RFC 9260 §3.3.1) with the tag of another packet.
fn data(template: &Bytes, tsn: u32, flags: u8, payload: &[u8]) -> Bytes {
    let mut packet = template[..12].to_vec();
    packet.extend([0, flags]);
    packet.extend((16 + payload.len() as u16).to_be_bytes());
    packet.extend(tsn.to_be_bytes());
    // Stream 0, its second message, binary.
    packet.extend([0, 0, 0, 1, 0, 0, 0, 53]);
    packet.extend(payload);
    packet.resize(packet.len().next_multiple_of(4), 0);
    seal(&mut packet);
    packet.into()
}

#[test]
fn a_message_without_end_costs_no_memory_and_ends_as_one_that_is_too_long() {
    const UNORDERED: u8 = 4;
    for flags in [0, UNORDERED] {
        let mut ends = Ends::new();
        ends.exchange();
        let info = ChannelInfo {
            key: ChannelKey(0),
            label: "label".to_owned(),
            protocol: String::new(),
            is_ordered: flags == 0,
            reliability: Reliability::Reliable,
        };
        ends.client.open(info);
        ends.exchange();
        ends.pass(Duration::from_secs(1));
        // DATA_CHANNEL_OPEN was the first DATA, so the next number follows it.
        let opening = ends.captured.iter().find(|it| it.len() > 28 && it[12] == 0).unwrap().clone();
        let first = u32::from_be_bytes(opening[16..20].try_into().unwrap()).wrapping_add(1);
        const CHUNKS: u32 = 10_000;
        for sent in 0..CHUNKS {
            let place = if sent == 0 { 2 } else { u8::from(sent == CHUNKS - 1) };
            let packet = data(&opening, first.wrapping_add(sent), flags | place, &[7; 1100]);
            ends.server.handle(ends.now, &packet, &mut ends.events, &mut ends.dropped);
            while let Some(packet) = ends.server.poll_transmit(ends.now, &mut ends.dropped) {
                // Its SACKs say what room there is: what was thrown away takes none.
                if packet[12] == 3 && sent > 400 {
                    let room = u32::from_be_bytes(packet[20..24].try_into().unwrap());
                    assert!(room > 1_000_000, "{room} after {sent}");
                }
            }
        }
        let told = TransportEvent::MessageTooLong { channel: ChannelKey(0), bytes: 1100 * CHUNKS as usize };
        assert!(ends.events.contains(&told));
        assert!(!ends.events.contains(&TransportEvent::ChannelClosed(ChannelKey(0))));
    }
}
