//! An association that is up, and a peer that sends any chunks it likes with the right tag and checksum.
#![no_main]

use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use patchbay_sctp::{Association, Config, Limit, Message, ppid};

fn end(tag: u32) -> Association {
    Association::new(Config {
        receive_window: 64 * 1024,
        max_streams: 16,
        max_message_bytes: 16 * 1024,
        tag,
        first_tsn: u32::MAX - 2,
        secret: 7,
    })
}

/// Chunks of type, flags, length in a byte, value, as long as there are bytes.
fn packet(header: &[u8], mut bytes: &[u8]) -> Bytes {
    let mut packet = BytesMut::from(header);
    packet.put_u32(0);
    while let [kind, flags, length, rest @ ..] = bytes {
        let (value, behind) = rest.split_at(rest.len().min(usize::from(*length)));
        packet.put_slice(&[*kind, *flags]);
        packet.put_u16(4 + value.len() as u16);
        packet.put_slice(value);
        packet.put_bytes(0, value.len().next_multiple_of(4) - value.len());
        bytes = behind;
    }
    let sum = crc32c::crc32c(&packet).to_le_bytes();
    packet[8..12].copy_from_slice(&sum);
    packet.freeze()
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut now = Instant::now();
    let mut ends = [end(1), end(2)];
    ends[0].connect();
    let mut header = Bytes::new();
    for _ in 0..4 {
        for (from, to) in [(0, 1), (1, 0)] {
            while let Some(packet) = ends[from].poll_transmit(now) {
                header = if to == 0 { packet.slice(..8) } else { header };
                ends[to].handle(now, &packet);
            }
        }
    }
    let [mut victim, _] = ends;
    for bytes in bytes.chunks(64) {
        let payload = Bytes::copy_from_slice(bytes);
        victim.send(Message {
            stream: 1,
            ppid: ppid::BINARY,
            payload,
            is_ordered: true,
            limit: Limit::default(),
        });
        victim.handle(now, &packet(&header, bytes));
        now += Duration::from_millis(20);
        victim.handle_timeout(now);
        while victim.poll_transmit(now).is_some() {}
        while victim.poll_event().is_some() {}
    }
});
