//! Continuous sequence numbers over sources that come, go and leave packets out (RFC 3550 §5.1).

/// How many left-out packets are remembered, for late packets from before them.
const SKIPS: usize = 64;

/// Maps extended sequence numbers of the current source to those of the outgoing stream.
///
/// No outgoing number is ever given to two incoming ones, which is what SRTP needs (RFC 3711 §9.1): within one source
/// the mapping is injective, and a new source begins above everything sent before.
#[derive(Debug)]
pub(crate) struct SequenceRewriter {
    /// The number after the highest one sent.
    next: u64,
    source: Option<Source>,
}

#[derive(Debug)]
struct Source {
    first_in: u64,
    first_out: u64,
    highest_in: u64,
    /// How many packets were left out since the first.
    skipped: u64,
    /// The latest of them, ascending.
    skips: [u64; SKIPS],
    /// How many entries of `skips` are in use.
    remembered: usize,
    /// Packets up to here may have moved by a number that is forgotten.
    forgotten: Option<u64>,
}

impl SequenceRewriter {
    /// A stream whose first packet will have this number, in the first roll-over.
    pub(crate) fn new(first: u16) -> Self {
        Self { next: u64::from(first), source: None }
    }

    /// Begins a source at the packet numbered `first_in`, to be rewritten next: it is sent right after everything before.
    pub(crate) fn switch(&mut self, first_in: u64) {
        self.source = Some(Source {
            first_in,
            first_out: self.next,
            highest_in: first_in,
            skipped: 0,
            skips: [0; SKIPS],
            remembered: 0,
            forgotten: None,
        });
    }

    /// The outgoing number of a packet. `None`: it lies before the source's first, or its place is no longer known.
    pub(crate) fn rewrite(&mut self, sequence_in: u64) -> Option<u64> {
        let source = self.source.as_mut()?;
        let out = source.place(sequence_in)?;
        source.highest_in = source.highest_in.max(sequence_in);
        self.next = self.next.max(out + 1);
        Some(out)
    }

    /// Leaves a packet out and closes its gap. Returns false if later ones were sent already: then the gap is there to
    /// be filled, and the packet must be sent, if only empty.
    pub(crate) fn skip(&mut self, sequence_in: u64) -> bool {
        let Some(source) = self.source.as_mut() else { return true };
        if sequence_in < source.first_in {
            return true;
        }
        if sequence_in <= source.highest_in {
            return false;
        }
        source.highest_in = sequence_in;
        source.skipped += 1;
        if let Some(free) = source.skips.get_mut(source.remembered) {
            *free = sequence_in;
            source.remembered += 1;
        } else {
            source.forgotten = source.skips.first().copied();
            source.skips.rotate_left(1);
            if let Some(last) = source.skips.last_mut() {
                *last = sequence_in;
            }
        }
        true
    }

    /// Forgets the source: nothing is forwarded until the next `switch`.
    pub(crate) fn stop(&mut self) {
        self.source = None;
    }
}

impl Source {
    fn place(&self, sequence_in: u64) -> Option<u64> {
        if sequence_in < self.first_in || self.forgotten.is_some_and(|forgotten| sequence_in <= forgotten) {
            return None;
        }
        let skips = self.skips.get(..self.remembered).unwrap_or_default();
        let after = skips.iter().rev().take_while(|skip| **skip > sequence_in).count();
        let is_skipped = skips.iter().rev().nth(after) == Some(&sequence_in);
        let moved = self.skipped.checked_sub(after as u64)?;
        if is_skipped { None } else { Some(self.first_out + (sequence_in - self.first_in) - moved) }
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn a_switch_continues_and_leftovers_have_no_place() {
        let mut rewriter = SequenceRewriter::new(100);
        rewriter.switch(70_000);
        assert_eq!(rewriter.rewrite(70_000), Some(100));
        assert_eq!(rewriter.rewrite(70_003), Some(103));
        assert_eq!(rewriter.rewrite(70_001), Some(101), "late, in its place");
        assert_eq!(rewriter.rewrite(69_999), None);
        rewriter.switch(5);
        assert_eq!(rewriter.rewrite(5), Some(104));
        assert_eq!(rewriter.rewrite(4), None);
        rewriter.stop();
        assert_eq!(rewriter.rewrite(6), None);
    }

    #[test]
    fn skipped_packets_leave_no_gap() {
        let mut rewriter = SequenceRewriter::new(0);
        rewriter.switch(10);
        assert_eq!(rewriter.rewrite(10), Some(0));
        assert!(rewriter.skip(12));
        assert!(rewriter.skip(13));
        assert_eq!(rewriter.rewrite(14), Some(2));
        assert_eq!(rewriter.rewrite(11), Some(1), "late, from before the skips");
        assert_eq!(rewriter.rewrite(12), None);
        assert_eq!(rewriter.rewrite(16), Some(4));
        assert!(!rewriter.skip(15), "its gap has been seen");
        assert_eq!(rewriter.rewrite(15), Some(3));
    }

    #[test]
    fn places_before_forgotten_skips_are_not_guessed() {
        let mut rewriter = SequenceRewriter::new(0);
        rewriter.switch(0);
        assert_eq!(rewriter.rewrite(0), Some(0));
        for skip in 0..SKIPS as u64 + 1 {
            assert!(rewriter.skip(10 + 2 * skip));
        }
        assert_eq!(rewriter.rewrite(9), None);
        assert_eq!(rewriter.rewrite(11), Some(10));
    }

    #[test]
    fn numbers_are_unique_and_continuous_whatever_happens() {
        for seed in 0..200 {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut rewriter = SequenceRewriter::new(rng.random_range(0..1 << 15));
            let mut seen = std::collections::BTreeSet::new();
            let mut left_out_of_order = 0u64;
            for _ in 0..rng.random_range(1..5) {
                // One source: a window of packets, shuffled locally, some lost, some skipped.
                let first = rng.random_range(0..1u64 << 20);
                rewriter.switch(first);
                let mut packets: Vec<u64> = (first..first + 400).filter(|_| rng.random_bool(0.97)).collect();
                let reach = rng.random_range(1..6);
                for at in 1..packets.len() {
                    let other = rng.random_range(at.saturating_sub(reach).max(1)..=at);
                    packets.swap(at, other);
                }
                if packets.first() != Some(&first) {
                    packets.insert(0, first);
                }
                for packet in packets {
                    if packet != first && rng.random_bool(0.05) && rewriter.skip(packet) {
                        continue;
                    }
                    match rewriter.rewrite(packet) {
                        Some(out) => assert!(seen.insert(out), "seed {seed}: {out} twice"),
                        None => left_out_of_order += 1,
                    }
                }
            }
            let (low, high) = (*seen.first().unwrap(), *seen.last().unwrap());
            let lost = (high - low + 1) - seen.len() as u64;
            assert!(lost <= 5 * 400 / 10, "seed {seed}: {lost} gaps");
            assert!(left_out_of_order <= 2, "seed {seed}");
        }
    }

    #[test]
    fn without_loss_the_output_has_no_gap() {
        let mut rng = StdRng::seed_from_u64(7);
        let mut rewriter = SequenceRewriter::new(65_000);
        let mut expected = 65_000;
        for source in 0..50u64 {
            let first = source * 1_000_000 + 17;
            rewriter.switch(first);
            for packet in first..first + rng.random_range(1..3_000) {
                if packet != first && rng.random_bool(0.1) {
                    assert!(rewriter.skip(packet));
                } else {
                    assert_eq!(rewriter.rewrite(packet), Some(expected));
                    expected += 1;
                }
            }
        }
    }
}
