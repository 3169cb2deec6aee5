//! Transmission sequence numbers that do not wrap around.

/// A TSN as it is counted here: the 32 bits of the wire, and how often they wrapped above them. Never 0.
pub(crate) type Tsn = u64;

/// The first TSN of a peer or of ours.
pub(crate) fn first(tsn: u32) -> Tsn {
    (1 << 32) + u64::from(tsn)
}

/// What a number on the wire stands for: the closest to a known one (RFC 1982).
pub(crate) fn extend(tsn: u32, near: Tsn) -> Tsn {
    near.wrapping_add_signed(i64::from(tsn.wrapping_sub(near as u32) as i32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_is_meant() {
        let start = first(u32::MAX - 1);
        assert_eq!(extend(1, start), start + 3);
        assert_eq!(extend(u32::MAX - 10, start), start - 9);
        assert_eq!(extend(0, first(0)), first(0));
        assert_eq!(extend(u32::MAX, first(0)), first(0) - 1);
    }
}
