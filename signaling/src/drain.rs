//! Going away without dropping anything.
//!
//! From the moment the server is told to end it takes nobody new: `/readyz` says 503, and new sessions, joins and WHIP or
//! WHEP resources are refused as `draining`. Every session is told when to move (`going_away`), at random within the
//! spread, so that whoever takes them over doesn't get them all at once. Until its time a session goes on as before and
//! may be resumed. After it, it is ended as soon as its requests have their replies. The server ends when nobody is
//! left, or when it has waited long enough.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use patchbay_protocol::{CloseCode, ErrorCode, LeaveReason, ProtocolError, ServerEvent, SessionId};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::info;

use crate::app::App;
use crate::refusal::spread_retry;
use crate::session::Body;

/// How often is looked at who is gone.
const LOOK: Duration = Duration::from_millis(100);
/// How much later than it was told a session is ended: its client's clock starts when it hears.
const GRACE: Duration = Duration::from_secs(2);

/// Whether the server goes away, and who moves when.
#[derive(Debug)]
pub(crate) struct Drain {
    has_begun: watch::Sender<bool>,
    times: Mutex<HashMap<SessionId, Instant>>,
}

impl Default for Drain {
    fn default() -> Self {
        Self { has_begun: watch::Sender::new(false), times: Mutex::default() }
    }
}

impl Drain {
    /// Whether nobody new is taken.
    pub(crate) fn has_begun(&self) -> bool {
        *self.has_begun.borrow()
    }

    /// Refuses whoever is new once the server goes away.
    pub(crate) fn check_new(&self) -> Result<(), ProtocolError> {
        if self.has_begun() { Err(draining()) } else { Ok(()) }
    }

    /// Refuses to resume a session whose time to move has come.
    pub(crate) fn check_resume(&self, session: &SessionId) -> Result<(), ProtocolError> {
        let is_over = || self.times().get(session).is_some_and(|time| *time <= Instant::now());
        if self.has_begun() && is_over() { Err(draining()) } else { Ok(()) }
    }

    /// Sends everybody away, and returns once nobody is left or the time is over.
    pub(crate) async fn run(&self, app: &App) {
        let terms = app.config.drain;
        let begun = Instant::now();
        let late = begun + terms.timeout;
        self.has_begun.send_replace(true);
        info!(
            sessions = app.sessions.len(),
            spread_s = terms.spread.as_secs(),
            timeout_s = terms.timeout.as_secs(),
            "draining"
        );
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let now = Instant::now();
            // Also those who were on the way in when it began.
            for session in app.sessions.all() {
                let time = self.times().get(session.id()).copied();
                match time {
                    None => {
                        let reconnect_in = terms.spread.min(late - now).mul_f64(rand::random::<f64>());
                        self.times().insert(session.id().clone(), now + reconnect_in);
                        let reconnect_in_ms = u64::try_from(reconnect_in.as_millis()).unwrap_or(u64::MAX);
                        session.push(&Body::event(&ServerEvent::GoingAway { reconnect_in_ms }));
                    }
                    Some(time) if now < time => {}
                    // It won't be back here.
                    Some(_) if !session.is_connected() => {
                        app.sessions.finish(&session, LeaveReason::Shutdown)
                    }
                    Some(time) if now >= time + GRACE && !session.owes_replies() => {
                        session.close(CloseCode::GoingAway);
                    }
                    Some(_) => {}
                }
            }
            let left = app.sessions.len() + app.resources.len();
            if left == 0 || now >= late {
                let after_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                info!(left, after_ms, "drained");
                return;
            }
        }
    }

    fn times(&self) -> MutexGuard<'_, HashMap<SessionId, Instant>> {
        self.times.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn draining() -> ProtocolError {
    ProtocolError::new(ErrorCode::Draining, "this server goes away; come back in a moment")
        .retry_after(spread_retry())
}
