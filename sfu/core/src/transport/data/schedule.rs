//! Whose message goes next: deficit round robin over the channels of one transport, the smallest message first.
//!
//! SCTP without message interleaving (RFC 8260, which browsers don't negotiate) sends a message whole before it begins another, so
//! what is handed over cannot be overtaken. Fairness therefore comes before that: a channel may hand over as many bytes
//! as others, and among those whose turn it is the smallest message goes first. So a small message waits for
//! at most one large one, however many channels are full of them.

/// Bytes that a channel may hand over when its turn comes, added up until they suffice for its next message.
const QUANTUM_BYTES: usize = 16 * 1024;

/// The channels that have something to send.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    turns: Vec<Turn>,
}

#[derive(Debug)]
struct Turn {
    id: u16,
    deficit: usize,
}

impl Schedule {
    /// A channel has something to send. Called once, until it is taken out.
    pub(super) fn add(&mut self, id: u16) {
        self.turns.push(Turn { id, deficit: QUANTUM_BYTES });
    }

    /// Takes a channel out.
    pub(super) fn remove(&mut self, id: u16) {
        self.turns.retain(|turn| turn.id != id);
    }

    /// Whether nobody has anything to send.
    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Those that have something to send.
    pub(super) fn ids(&self) -> impl Iterator<Item = u16> + '_ {
        self.turns.iter().map(|turn| turn.id)
    }

    /// Chooses a channel, whose next message is then taken. `next_len` says how long that is; `None` takes the channel out.
    pub(super) fn choose(&mut self, mut next_len: impl FnMut(u16) -> Option<usize>) -> Option<u16> {
        loop {
            let mut best: Option<(usize, usize)> = None;
            self.turns.retain(|turn| next_len(turn.id).is_some());
            for (at, turn) in self.turns.iter().enumerate() {
                let Some(len) = next_len(turn.id) else { continue };
                if len <= turn.deficit && best.is_none_or(|(_, shortest)| len < shortest) {
                    best = Some((at, len));
                }
            }
            if let Some((at, len)) = best {
                // Behind the others, so that equals take turns.
                let mut turn = self.turns.remove(at);
                turn.deficit -= len;
                let id = turn.id;
                self.turns.push(turn);
                return Some(id);
            }
            if self.turns.is_empty() {
                return None;
            }
            self.turns.iter_mut().for_each(|turn| turn.deficit += QUANTUM_BYTES);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, VecDeque};

    use super::*;

    fn drain(queues: &mut BTreeMap<u16, VecDeque<usize>>, schedule: &mut Schedule, count: usize) -> Vec<u16> {
        let mut order = Vec::new();
        while order.len() < count
            && let Some(id) = schedule.choose(|id| queues[&id].front().copied())
        {
            queues.get_mut(&id).unwrap().pop_front();
            order.push(id);
        }
        order
    }

    #[test]
    fn a_small_message_waits_for_nobodys_turn() {
        let mut schedule = Schedule::default();
        let mut queues =
            BTreeMap::from([(1, VecDeque::from([262_144; 5])), (2, VecDeque::from([262_144; 5]))]);
        (1..3).for_each(|id| schedule.add(id));
        assert_eq!(drain(&mut queues, &mut schedule, 1), [1]);
        queues.insert(3, VecDeque::from([100, 100]));
        schedule.add(3);
        assert_eq!(drain(&mut queues, &mut schedule, 4), [3, 3, 2, 1]);
    }

    #[test]
    fn bytes_are_shared() {
        let mut schedule = Schedule::default();
        let mut queues = BTreeMap::from([
            (1, VecDeque::from([262_144; 100])),
            (2, VecDeque::from(vec![1_000; 100_000])),
            (3, VecDeque::from(vec![16_000; 10_000])),
        ]);
        (1..4).for_each(|id| schedule.add(id));
        let mut bytes = BTreeMap::new();
        for _ in 0..5_000 {
            let id = schedule.choose(|id| queues[&id].front().copied()).unwrap();
            *bytes.entry(id).or_insert(0) += queues.get_mut(&id).unwrap().pop_front().unwrap();
        }
        let (least, most) = (bytes.values().min().unwrap(), bytes.values().max().unwrap());
        assert!(most - least <= 2 * 262_144, "{bytes:?}");
    }

    #[test]
    fn who_has_nothing_left_is_taken_out() {
        let mut schedule = Schedule::default();
        schedule.add(4);
        assert_eq!(schedule.choose(|_| None), None);
        assert!(schedule.is_empty());
    }
}
