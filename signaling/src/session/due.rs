//! What falls due: connections over HTTP that fell silent, and sessions that nobody came back to.
//!
//! One task looks after all of them. A session stands in the queue at most once for each time it was told to look
//! earlier; when its turn comes, its own state says what is due.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Instant;

use patchbay_protocol::{CloseCode, LeaveReason};
use tokio::sync::Notify;
use tokio::time::sleep_until;

use super::{Departure, Line, Session, State};
use crate::app::App;

/// When to look at which session.
#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: Mutex<Queue>,
    earlier: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    entries: BTreeMap<(Instant, u64), Weak<Session>>,
    next: u64,
}

/// What a look at a session brought.
pub(super) enum Look {
    /// It goes on.
    Fine,
    /// Its time is over.
    Over(Option<Departure>),
}

impl Timers {
    fn add(&self, at: Instant, session: Weak<Session>) {
        let mut queue = self.queue();
        let is_first = queue.entries.first_key_value().is_none_or(|((first, _), _)| at < *first);
        let key = (at, queue.next);
        queue.next += 1;
        queue.entries.insert(key, session);
        drop(queue);
        if is_first {
            self.earlier.notify_one();
        }
    }

    fn next(&self) -> Option<Instant> {
        self.queue().entries.first_key_value().map(|((at, _), _)| *at)
    }

    fn take_due(&self, now: Instant) -> Vec<Weak<Session>> {
        let mut queue = self.queue();
        let later = queue.entries.split_off(&(now, u64::MAX));
        std::mem::replace(&mut queue.entries, later).into_values().collect()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Session {
    /// Has the sweeper look at this session at that time, unless it will before.
    pub(super) fn arm(self: &Arc<Self>, state: &mut State, at: Instant) {
        if state.armed.is_none_or(|armed| at < armed) {
            state.armed = Some(at);
            self.terms.timers.add(at, Arc::downgrade(self));
        }
    }

    /// Does what is due.
    pub(super) fn handle_due(self: &Arc<Self>, now: Instant) -> Look {
        let mut state = self.state();
        if state.armed.is_some_and(|armed| armed <= now) {
            state.armed = None;
        }
        if state.is_over {
            return Look::Over(depart(&mut state, LeaveReason::ConnectionLost));
        }
        if let Some(dead) = self.silent_at(&state)
            && dead <= now
        {
            self.cut(&mut state, CloseCode::HeartbeatTimeout);
        }
        let due = match &state.line {
            Line::Away(_) if state.has_left => Some(now),
            Line::Away(since) => Some(*since + self.terms.window),
            Line::Http(_) => self.silent_at(&state),
            Line::Socket => None,
        };
        match due {
            Some(due) if due <= now => {
                state.is_over = true;
                Look::Over(depart(&mut state, LeaveReason::ConnectionLost))
            }
            Some(due) => {
                self.arm(&mut state, due);
                Look::Fine
            }
            None => Look::Fine,
        }
    }

    /// Ends it at once. The first time says who is out of a room by that.
    pub(super) fn finish(&self, reason: LeaveReason, code: CloseCode) -> Option<Departure> {
        let mut state = self.state();
        state.is_over = true;
        state.cut.get_or_insert(code);
        state.line = Line::Away(Instant::now());
        state.wake.notify_one();
        depart(&mut state, reason)
    }

    /// When a connection over HTTP counts as dead.
    fn silent_at(&self, state: &State) -> Option<Instant> {
        let Line::Http(line) = &state.line else { return None };
        let drained = (!line.is_down_open).then_some(line.drained.max(line.heard) + self.terms.silence);
        let heard = line.pings.then_some(line.heard + self.terms.silence);
        drained.into_iter().chain(heard).min()
    }
}

fn depart(state: &mut State, reason: LeaveReason) -> Option<Departure> {
    state.outbox.clear();
    state.membership.take().map(|membership| Departure { membership, reason })
}

/// Looks after all sessions for as long as the server lives.
pub(crate) async fn sweep(app: App) {
    let sessions = &app.sessions;
    let timers = &sessions.terms().timers;
    let mut shutdown = app.shutdown.clone();
    let mut is_down = false;
    loop {
        let next = timers.next();
        let due = async {
            match next {
                Some(at) => sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            () = timers.earlier.notified() => continue,
            _ = shutdown.wait_for(|down| *down), if !is_down => {
                is_down = true;
                sessions.close_idle(CloseCode::GoingAway);
            }
        }
        for session in timers.take_due(Instant::now()).iter().filter_map(Weak::upgrade) {
            if let Look::Over(departure) = session.handle_due(Instant::now()) {
                sessions.forget(&session);
                departure.into_iter().for_each(Departure::announce);
            }
        }
    }
}
