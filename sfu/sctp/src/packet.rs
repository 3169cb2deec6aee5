//! Packets and chunks on the wire (RFC 9260 §3).

use bytes::{BufMut, Bytes, BytesMut};

/// Longest packet that is sent: 1,228 bytes with DTLS, 1,276 with UDP and IPv6, which any path carries (RFC 8200 §5).
pub(crate) const MAX_PACKET_BYTES: usize = 1191;
/// Longest packet that is taken. What comes through DTLS keeps to the MTU.
const MAX_INCOMING_BYTES: usize = 2 * 1024;
const HEADER_BYTES: usize = 12;
pub(crate) const CHUNK_HEADER_BYTES: usize = 4;
/// Type, flags, length, TSN, stream, number in the stream, kind of payload.
pub(crate) const DATA_HEADER_BYTES: usize = 16;

pub(crate) const DATA: u8 = 0;
pub(crate) const INIT: u8 = 1;
pub(crate) const INIT_ACK: u8 = 2;
pub(crate) const SACK: u8 = 3;
pub(crate) const HEARTBEAT: u8 = 4;
pub(crate) const HEARTBEAT_ACK: u8 = 5;
pub(crate) const ABORT: u8 = 6;
pub(crate) const SHUTDOWN: u8 = 7;
pub(crate) const SHUTDOWN_ACK: u8 = 8;
pub(crate) const ERROR: u8 = 9;
pub(crate) const COOKIE_ECHO: u8 = 10;
pub(crate) const COOKIE_ACK: u8 = 11;
pub(crate) const SHUTDOWN_COMPLETE: u8 = 14;
pub(crate) const RE_CONFIG: u8 = 130;
pub(crate) const FORWARD_TSN: u8 = 192;

/// Flags of DATA.
pub(crate) const ENDS: u8 = 1;
pub(crate) const BEGINS: u8 = 2;
pub(crate) const UNORDERED: u8 = 4;
/// The SACK should not wait (RFC 7053).
pub(crate) const IMMEDIATE: u8 = 8;

/// Who a packet is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    pub(crate) tag: u32,
}

/// A chunk: type, flags, and what follows the length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk<'a> {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) value: &'a [u8],
}

impl Chunk<'_> {
    /// Whether the chunks behind one of an unknown type are to be looked at (RFC 9260 §3.2).
    pub(crate) fn is_skipped_if_unknown(&self) -> bool {
        self.kind & 0x80 != 0
    }
}

/// Reads a packet; `None` if it is too long or too short, its checksum is wrong or the length of a chunk is not true.
pub(crate) fn parse(packet: &[u8]) -> Option<(Header, impl Iterator<Item = Chunk<'_>>)> {
    if packet.len() > MAX_INCOMING_BYTES {
        return None;
    }
    let (&[s0, s1, d0, d1, t0, t1, t2, t3, c0, c1, c2, c3], chunks) = packet.split_first_chunk()?;
    let sum = crc32c::crc32c_append(crc32c::crc32c(packet.get(..8)?), &[0; 4]);
    if crc32c::crc32c_append(sum, chunks) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return None;
    }
    let header = Header {
        source_port: u16::from_be_bytes([s0, s1]),
        destination_port: u16::from_be_bytes([d0, d1]),
        tag: u32::from_be_bytes([t0, t1, t2, t3]),
    };
    let (mut rest, mut is_sound) = (chunks, !chunks.is_empty());
    while is_sound && !rest.is_empty() {
        is_sound = next_chunk(&mut rest).is_some();
    }
    let mut rest = chunks;
    is_sound.then(|| (header, std::iter::from_fn(move || next_chunk(&mut rest))))
}

fn next_chunk<'a>(rest: &mut &'a [u8]) -> Option<Chunk<'a>> {
    let &[kind, flags, l0, l1] = rest.first_chunk()?;
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let value = rest.get(CHUNK_HEADER_BYTES..length)?;
    // The last chunk may lack its padding.
    *rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some(Chunk { kind, flags, value })
}

/// Parameters of a chunk and what they carry (RFC 9260 §3.2.1). Ends at one whose length is not true.
pub(crate) fn parameters(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let &[t0, t1, l0, l1] = rest.first_chunk()?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_be_bytes([t0, t1]), value))
    })
}

/// A number of 32 bits at a place.
pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|it| u32::from_be_bytes(*it))
}

/// A number of 16 bits at a place.
pub(crate) fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|it| u16::from_be_bytes(*it))
}

/// A packet that is being written.
#[derive(Debug)]
pub(crate) struct Builder {
    bytes: BytesMut,
}

impl Builder {
    pub(crate) fn new(header: Header) -> Self {
        let mut bytes = BytesMut::with_capacity(MAX_PACKET_BYTES + 3);
        bytes.put_u16(header.source_port);
        bytes.put_u16(header.destination_port);
        bytes.put_u32(header.tag);
        bytes.put_u32(0);
        Self { bytes }
    }

    /// Bytes that a chunk may still have, its header included.
    pub(crate) fn room(&self) -> usize {
        MAX_PACKET_BYTES.saturating_sub(self.bytes.len())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.len() <= HEADER_BYTES
    }

    /// Appends a chunk whose value is written by `write`.
    pub(crate) fn chunk(&mut self, kind: u8, flags: u8, write: impl FnOnce(&mut BytesMut)) {
        let start = self.bytes.len();
        self.bytes.put_u8(kind);
        self.bytes.put_u8(flags);
        self.bytes.put_u16(0);
        write(&mut self.bytes);
        pad_length(&mut self.bytes, start);
    }

    /// The packet with its checksum (RFC 9260 §6.8).
    pub(crate) fn finish(mut self) -> Bytes {
        let sum = crc32c::crc32c(&self.bytes);
        if let Some(place) = self.bytes.get_mut(8..HEADER_BYTES) {
            place.copy_from_slice(&sum.to_le_bytes());
        }
        self.bytes.freeze()
    }
}

/// Appends a parameter whose value is written by `write`.
pub(crate) fn put_parameter(bytes: &mut BytesMut, kind: u16, write: impl FnOnce(&mut BytesMut)) {
    let start = bytes.len();
    bytes.put_u16(kind);
    bytes.put_u16(0);
    write(bytes);
    pad_length(bytes, start);
}

/// Writes the length of what began at `start` into its third and fourth byte, and fills it up to a multiple of four.
fn pad_length(bytes: &mut BytesMut, start: usize) {
    let length = bytes.len() - start;
    if let Some(place) = bytes.get_mut(start + 2..start + 4) {
        place.copy_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    }
    bytes.put_bytes(0, length.next_multiple_of(4) - length);
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header { source_port: 5000, destination_port: 5001, tag: 7 };

    #[test]
    fn what_is_written_is_read() {
        let mut builder = Builder::new(HEADER);
        builder.chunk(COOKIE_ACK, 0, |_| {});
        builder.chunk(DATA, BEGINS | ENDS, |bytes| bytes.put_slice(b"12345"));
        let room = builder.room();
        let packet = builder.finish();
        assert_eq!(room, MAX_PACKET_BYTES - packet.len());
        assert_eq!(packet.len(), 12 + 4 + 12);
        let (header, chunks) = parse(&packet).unwrap();
        assert_eq!(header, HEADER);
        let chunks: Vec<_> = chunks.map(|it| (it.kind, it.flags, it.value)).collect();
        assert_eq!(chunks, [(COOKIE_ACK, 0, &b""[..]), (DATA, 3, b"12345")]);
    }

    #[test]
    fn what_is_not_sound_is_refused() {
        let mut builder = Builder::new(HEADER);
        builder.chunk(DATA, 3, |bytes| bytes.put_slice(b"12345"));
        let packet = builder.finish();
        for at in 0..packet.len() {
            let mut changed = packet.to_vec();
            changed[at] ^= 4;
            assert!(parse(&changed).is_none(), "byte {at}");
            assert!(parse(&packet[..at]).is_none(), "{at} bytes");
        }
        assert!(parse(&Builder::new(HEADER).finish()).is_none(), "no chunk");
        let mut builder = Builder::new(HEADER);
        builder.bytes.put_slice(&[0, 0, 0, 3]);
        assert!(parse(&builder.finish()).is_none(), "a length below that of its header");
        assert!(parse(&[0; MAX_INCOMING_BYTES + 1]).is_none());
    }

    #[test]
    fn parameters_end_where_they_are_not_sound() {
        let mut bytes = BytesMut::new();
        put_parameter(&mut bytes, 7, |it| it.put_slice(b"123"));
        put_parameter(&mut bytes, 8, |_| {});
        bytes.put_slice(&[0, 9, 0, 200, 1]);
        assert_eq!(parameters(&bytes).collect::<Vec<_>>(), [(7, &b"123"[..]), (8, b"")]);
    }
}
