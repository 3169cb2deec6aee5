//! Writes transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).
use super::packet::write_packet;
use super::twcc::{DELTA_UNIT_MICROS, Micros, REFERENCE_UNIT_MICROS, Symbol};
use super::{FORMAT_TWCC, TRANSPORT_FEEDBACK};
use crate::rtp::{Ssrc, TransportSequence};

/// Longest run a run-length chunk can hold.
const MAX_RUN: usize = 0x1fff;
/// Symbols in a vector chunk of one bit each, and of two bits each.
const ONE_BIT_LEN: usize = 14;
const TWO_BIT_LEN: usize = 7;
/// Most statuses written into one packet, so that it fits a datagram: at worst two bytes of delta and 16/7 bits of
/// chunk each.
const MAX_STATUSES: usize = 400;

/// Appends one feedback packet for the packets numbered `base`, `base + 1`, …, whose arrival times are `arrivals`
/// (`None`: not arrived), and returns how many of them it reports on; the caller goes on from there with the next
/// packet and the next `feedback_count`.
///
/// Fewer than all are reported when there are more than 400, or when two arrivals lie more than about 8 s apart and
/// a delta cannot say so. Statuses before the first arrival count as not arrived. If nothing arrived at all, nothing
/// is written and 0 is returned: there would be no reference time. Times are rounded down to 250 µs; negative ones
/// are not supported and count as 0.
pub fn write_twcc(
    sender: Ssrc,
    media: Ssrc,
    feedback_count: u8,
    base: TransportSequence,
    arrivals: &[Option<Micros>],
    out: &mut Vec<u8>,
) -> usize {
    let Some(first) = arrivals.iter().take(MAX_STATUSES).flatten().next() else { return 0 };
    let reference = first.0.max(0) / REFERENCE_UNIT_MICROS;
    let ticks_of = |arrival: &Micros| {
        (arrival.0.max(0) - reference * REFERENCE_UNIT_MICROS).div_euclid(DELTA_UNIT_MICROS)
    };

    // Each delta counts from the arrival before it, both rounded, so that errors do not add up.
    let deltas = || {
        arrivals.iter().take(MAX_STATUSES).scan(0i64, move |previous, arrival| {
            let Some(arrival) = arrival else { return Some((Symbol::NotReceived, 0)) };
            let ticks = ticks_of(arrival);
            let delta = i16::try_from(ticks - *previous).ok()?;
            *previous = ticks;
            let symbol = if (0..=255).contains(&delta) { Symbol::SmallDelta } else { Symbol::LargeDelta };
            Some((symbol, delta))
        })
    };
    let count = deltas().count();
    // `scan` would go on after a gap it has ended at, were it asked again.
    let deltas = || deltas().take(count);

    let start = out.len();
    write_packet(FORMAT_TWCC, TRANSPORT_FEEDBACK, out, |out| {
        out.extend_from_slice(&sender.0.to_be_bytes());
        out.extend_from_slice(&media.0.to_be_bytes());
        out.extend_from_slice(&base.0.to_be_bytes());
        out.extend_from_slice(&(count as u16).to_be_bytes());
        let [_, r0, r1, r2] = (reference as u32).to_be_bytes();
        out.extend_from_slice(&[r0, r1, r2, feedback_count]);
        write_chunks(deltas().map(|(symbol, _)| symbol), out);
        for (symbol, delta) in deltas() {
            match symbol {
                Symbol::NotReceived => {}
                Symbol::SmallDelta => out.push(delta as u8),
                Symbol::LargeDelta => out.extend_from_slice(&delta.to_be_bytes()),
            }
        }
        let padding = (out.len() - start).next_multiple_of(4) - (out.len() - start);
        if padding > 0 {
            // Marked as padding, not as deltas that nobody announced.
            out.resize(out.len() + padding - 1, 0);
            out.push(padding as u8);
            if let Some(flags) = out.get_mut(start) {
                *flags |= 0x20;
            }
        }
    });
    count
}

/// Writes the fewest chunks a greedy choice finds: a run where it is at least as long as the vector that would take
/// its place.
fn write_chunks(mut symbols: impl Iterator<Item = Symbol> + Clone, out: &mut Vec<u8>) {
    loop {
        let Some(first) = symbols.clone().next() else { return };
        let run = symbols.clone().take(MAX_RUN).take_while(|symbol| *symbol == first).count();
        let fits_one_bit = symbols.clone().take(ONE_BIT_LEN).all(|symbol| symbol != Symbol::LargeDelta);
        let vector_len = if fits_one_bit { ONE_BIT_LEN } else { TWO_BIT_LEN };
        let is_last_run = symbols.clone().nth(run).is_none();
        let (chunk, len) = if run >= vector_len || is_last_run {
            (first.bits() << 13 | run as u16, run)
        } else if fits_one_bit {
            let bits = pack(symbols.clone().take(ONE_BIT_LEN), ONE_BIT_LEN, 1);
            (0b10 << 14 | bits, ONE_BIT_LEN)
        } else {
            let bits = pack(symbols.clone().take(TWO_BIT_LEN), TWO_BIT_LEN, 2);
            (0b11 << 14 | bits, TWO_BIT_LEN)
        };
        out.extend_from_slice(&chunk.to_be_bytes());
        for _ in 0..len {
            symbols.next();
        }
    }
}

/// Packs up to `len` symbols of `width` bits each, the first in the highest bits.
fn pack(symbols: impl Iterator<Item = Symbol>, len: usize, width: usize) -> u16 {
    symbols
        .enumerate()
        .fold(0, |bits, (at, symbol)| bits | symbol.bits() << (width * (len - 1).saturating_sub(at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::{RtcpPacket, packets};
    use rand::{Rng, SeedableRng, rngs::StdRng};

    /// Writes as many packets as it takes and reads them all back.
    fn round_trip(base: u16, arrivals: &[Option<Micros>]) -> Vec<(u16, Option<Micros>)> {
        let (mut read, mut done, mut feedback_count) = (Vec::new(), 0, 250u8);
        while done < arrivals.len() {
            let mut out = Vec::new();
            let from = TransportSequence(base.wrapping_add(done as u16));
            let count = write_twcc(Ssrc(1), Ssrc(2), feedback_count, from, &arrivals[done..], &mut out);
            if count == 0 {
                assert!(
                    out.is_empty() && arrivals[done..].iter().take(MAX_STATUSES).flatten().next().is_none()
                );
                let skipped = arrivals.len().min(done + MAX_STATUSES) - done;
                read.extend((0..skipped).map(|at| (from.0.wrapping_add(at as u16), None)));
                done += skipped;
                continue;
            }
            assert!(out.len() <= 1_150 && out.len() % 4 == 0);
            let Some(Ok(RtcpPacket::Twcc(feedback))) = packets(&out).next() else { panic!("{out:?}") };
            assert_eq!((feedback.sender, feedback.media, feedback.base), (Ssrc(1), Ssrc(2), from));
            assert_eq!(
                (feedback.feedback_count, usize::from(feedback.status_count)),
                (feedback_count, count)
            );
            let statuses: Vec<_> = feedback.statuses().collect();
            assert_eq!(statuses.len(), count);
            read.extend(statuses.into_iter().map(|(sequence, arrival)| (sequence.0, arrival)));
            done += count;
            feedback_count = feedback_count.wrapping_add(1);
        }
        read
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let mut rng = StdRng::seed_from_u64(11);
        for _ in 0..1_000 {
            let base = rng.random();
            let mut time = rng.random_range(0..1_000_000_000i64);
            let (loss, jump) = (rng.random_range(0.0..0.9), rng.random_range(0.0..0.3));
            let arrivals: Vec<_> = (0..rng.random_range(1..600))
                .map(|_| {
                    time += match rng.random_bool(jump) {
                        true => rng.random_range(-200_000..9_000_000),
                        false => rng.random_range(0..5_000),
                    };
                    time = time.max(0);
                    rng.random_bool(1.0 - loss).then_some(Micros(time))
                })
                .collect();
            for (at, (sequence, arrival)) in round_trip(base, &arrivals).into_iter().enumerate() {
                assert_eq!(sequence, base.wrapping_add(at as u16));
                let expected = arrivals[at].map(|arrival| Micros(arrival.0 / 250 * 250));
                assert_eq!(arrival, expected, "{at}");
            }
        }
    }

    #[test]
    fn long_runs_take_one_chunk() {
        let mut out = Vec::new();
        let arrivals: Vec<_> = (0..300).map(|n| Some(Micros(64_000 + n * 1_000))).collect();
        assert_eq!(write_twcc(Ssrc(1), Ssrc(2), 0, TransportSequence(9), &arrivals, &mut out), 300);
        assert_eq!(out.len(), 20 + 2 + 300 + 2);
        assert_eq!(out[12..22], [0, 9, 0x01, 0x2c, 0, 0, 1, 0, 0x21, 0x2c]);
    }

    #[test]
    fn nothing_arrived_nothing_written() {
        let mut out = Vec::new();
        assert_eq!(write_twcc(Ssrc(1), Ssrc(2), 0, TransportSequence(9), &[None; 5], &mut out), 0);
        assert_eq!(write_twcc(Ssrc(1), Ssrc(2), 0, TransportSequence(9), &[], &mut out), 0);
        assert!(out.is_empty());
    }

    #[test]
    fn a_gap_too_long_for_a_delta_begins_a_new_packet() {
        let arrivals = [Some(Micros(0)), None, Some(Micros(9_000_000)), Some(Micros(9_000_250))];
        let mut out = Vec::new();
        assert_eq!(write_twcc(Ssrc(1), Ssrc(2), 0, TransportSequence(9), &arrivals, &mut out), 2);
        assert_eq!(write_twcc(Ssrc(1), Ssrc(2), 1, TransportSequence(11), &arrivals[2..], &mut out), 2);
    }
}
