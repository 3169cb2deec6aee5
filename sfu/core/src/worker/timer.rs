//! Which transport or router is due next, without asking all of them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// What a deadline belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// The transport with this index.
    Transport(u32),
    /// The router with this index.
    Router(u32),
}

/// A heap of deadlines, kept lazily: an owner is entered again only when its deadline moved *forward*, which media
/// packets never do. An entry that fires too early is entered again with the owner's real deadline.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Due)>>,
    transports: Vec<Option<Instant>>,
    routers: Vec<Option<Instant>>,
}

impl Timers {
    /// Makes sure that `due` fires at `deadline` or before.
    pub(super) fn arm(&mut self, due: Due, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        let armed = self.armed(due);
        if armed.is_none_or(|at| deadline < at) {
            *armed = Some(deadline);
            self.heap.push(Reverse((deadline, due)));
        }
    }

    /// Forgets an owner. Entries it left in the heap fire into nothing.
    pub(super) fn disarm(&mut self, due: Due) {
        *self.armed(due) = None;
    }

    /// The next owner whose time has come.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Due> {
        while let Some(&Reverse((at, due))) = self.heap.peek() {
            if at > now {
                return None;
            }
            self.heap.pop();
            let armed = self.armed(due);
            if *armed == Some(at) {
                *armed = None;
                return Some(due);
            }
        }
        None
    }

    /// When `pop` has something next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    fn armed(&mut self, due: Due) -> &mut Option<Instant> {
        let (list, index) = match due {
            Due::Transport(index) => (&mut self.transports, index as usize),
            Due::Router(index) => (&mut self.routers, index as usize),
        };
        if list.len() <= index {
            list.resize(index + 1, None);
        }
        // The line above made room for it.
        #[expect(clippy::indexing_slicing)]
        &mut list[index]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn fires_in_order_and_once() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::default();
        timers.arm(Due::Transport(3), Some(at(30)));
        timers.arm(Due::Router(0), Some(at(10)));
        timers.arm(Due::Transport(3), Some(at(50)));
        timers.arm(Due::Transport(3), Some(at(20)));
        assert_eq!(timers.deadline(), Some(at(10)));
        assert_eq!(timers.pop(at(5)), None);
        assert_eq!(timers.pop(at(40)), Some(Due::Router(0)));
        assert_eq!(timers.pop(at(40)), Some(Due::Transport(3)));
        assert_eq!(timers.pop(at(40)), None, "the entry at 30 ms was replaced by the one at 20 ms");
    }

    #[test]
    fn a_disarmed_owner_is_silent() {
        let start = Instant::now();
        let mut timers = Timers::default();
        timers.arm(Due::Transport(0), Some(start));
        timers.disarm(Due::Transport(0));
        assert_eq!(timers.pop(start), None);
    }
}
