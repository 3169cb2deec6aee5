//! Frames of datagrams on a stream (RFC 4571 §2): a length of two bytes, then so many bytes.
//!
//! Pure: bytes in, ranges out. Nothing here trusts a length before it was compared with its limit.

use std::ops::Range;

/// Length of the length, in network byte order.
pub(crate) const PREFIX_BYTES: usize = 2;

/// What the bytes of a stream begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A datagram, all of it. Where it ends, the next frame begins. It may be empty, which means nothing (RFC 4571 §2).
    Whole(Range<usize>),
    /// Not all of it is there yet.
    Partial,
    /// It claims to be longer than is allowed.
    TooLong,
}

/// Looks at the frame at the start of `bytes`, whose datagram may have `limit` bytes.
pub(crate) fn first_frame(bytes: &[u8], limit: usize) -> Frame {
    let Some(&[high, low]) = bytes.first_chunk() else { return Frame::Partial };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > limit {
        return Frame::TooLong;
    }
    let end = PREFIX_BYTES + length;
    if bytes.len() < end { Frame::Partial } else { Frame::Whole(PREFIX_BYTES..end) }
}

/// Appends a datagram as a frame. Says whether it fits into one.
pub(crate) fn push_frame(out: &mut Vec<u8>, datagram: &[u8]) -> bool {
    let Ok(length) = u16::try_from(datagram.len()) else { return false };
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(datagram);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(mut bytes: &[u8], limit: usize) -> (Vec<Vec<u8>>, Frame) {
        let mut whole = Vec::new();
        loop {
            match first_frame(bytes, limit) {
                Frame::Whole(range) => {
                    whole.push(bytes[range.clone()].to_vec());
                    bytes = &bytes[range.end..];
                }
                end => return (whole, end),
            }
        }
    }

    #[test]
    fn what_is_framed_comes_out_again() {
        let datagrams = [vec![1; 1], vec![], vec![2; 1_200], vec![3; 65_535]];
        let mut stream = Vec::new();
        for datagram in &datagrams {
            assert!(push_frame(&mut stream, datagram));
        }
        assert_eq!(frames(&stream, 65_535), (datagrams.to_vec(), Frame::Partial));
        assert!(!push_frame(&mut stream, &vec![0; 65_536]));
    }

    #[test]
    fn wherever_a_stream_is_cut_only_whole_frames_come_out() {
        let mut stream = Vec::new();
        for length in [20, 0, 300, 7] {
            push_frame(&mut stream, &vec![9; length]);
        }
        for cut in 0..stream.len() {
            let (whole, end) = frames(&stream[..cut], 2_048);
            assert_eq!(end, Frame::Partial);
            assert_eq!(whole.len(), [22, 24, 326, 335].iter().filter(|&&it| cut >= it).count(), "{cut}");
        }
    }

    #[test]
    fn a_giant_is_refused_by_its_first_two_bytes() {
        assert_eq!(first_frame(&[0x08, 0x01], 2_048), Frame::TooLong);
        assert_eq!(first_frame(&[0x08, 0x00], 2_048), Frame::Partial);
        assert_eq!(first_frame(b"GET / HTTP/1.1\r\n", 2_048), Frame::TooLong);
        assert_eq!(first_frame(&[0x16, 0x03, 0x01], 2_048), Frame::TooLong, "TLS");
        assert_eq!(first_frame(&[0x08], 2_048), Frame::Partial);
    }
}
