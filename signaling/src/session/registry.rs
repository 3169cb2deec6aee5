//! All sessions of this server, by id.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use patchbay_protocol::{CloseCode, LeaveReason, SessionId};
use tokio::sync::mpsc::error::TrySendError;

use super::due::Timers;
use super::{Departure, OutboxLimit, Session, SessionKey, Terms};
use crate::connection::Requests;
use crate::metric::Metrics;
use crate::room::Input;
use crate::rooms::Mail;

/// Locks for those who come back after a restart. Two connections of one session share one.
const RETURNS: usize = 64;

/// What sessions are told at the server's start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionConfig {
    pub(crate) outbox: OutboxLimit,
    pub(crate) window: Duration,
    pub(crate) silence: Duration,
    /// How many there may be.
    pub(crate) most: usize,
}

/// Sessions by id.
#[derive(Debug)]
pub(crate) struct Sessions {
    by_id: Mutex<HashMap<SessionId, Arc<Session>>>,
    key: SessionKey,
    terms: Arc<Terms>,
    most: usize,
    returns: [tokio::sync::Mutex<()>; RETURNS],
    hasher: RandomState,
}

impl Sessions {
    pub(crate) fn new(config: SessionConfig, key: SessionKey, metrics: Arc<Metrics>) -> Self {
        let SessionConfig { outbox: limit, window, silence, most } = config;
        let terms = Terms { limit, window, silence, metrics, timers: Timers::default() };
        Self {
            by_id: Mutex::default(),
            key,
            terms: Arc::new(terms),
            most,
            returns: std::array::from_fn(|_| tokio::sync::Mutex::default()),
            hasher: RandomState::new(),
        }
    }

    /// The secret of a session.
    pub(crate) fn secret(&self, session: &SessionId) -> String {
        self.key.secret(session)
    }

    /// Whether somebody knows the secret of a session, which need not be there any more.
    pub(crate) fn is_secret_of(&self, session: &SessionId, secret: &str) -> bool {
        self.key.is_secret_of(session, secret)
    }

    /// How long a session waits for a connection.
    pub(crate) fn window(&self) -> Duration {
        self.terms.window
    }

    /// A session that nobody finds yet.
    pub(crate) fn make(&self, id: SessionId, requests: Requests) -> Arc<Session> {
        Arc::new(Session::new(id, self.terms.clone(), requests, Instant::now()))
    }

    /// A new session; none when there are too many.
    pub(crate) fn begin(&self, requests: Requests) -> Option<Arc<Session>> {
        let session = self.make(SessionId::new(uuid::Uuid::new_v4().to_string()), requests);
        let mut by_id = self.by_id();
        if by_id.len() >= self.most {
            return None;
        }
        by_id.insert(session.id().clone(), session.clone());
        Some(session)
    }

    /// A session whose secret somebody knows.
    pub(crate) fn find(&self, id: &SessionId) -> Option<Arc<Session>> {
        self.by_id().get(id).cloned()
    }

    /// Lets a session be found instead of the one that had its id. That one's member is the new one's.
    pub(crate) fn replace(&self, session: Arc<Session>) {
        let before = self.by_id().insert(session.id().clone(), session);
        if let Some(before) = before {
            before.finish(LeaveReason::ConnectionLost, CloseCode::Superseded);
        }
    }

    /// Held by whoever brings back a session of an earlier life of the server.
    pub(crate) async fn returning(&self, id: &SessionId) -> tokio::sync::MutexGuard<'_, ()> {
        let index = usize::try_from(self.hasher.hash_one(id) % RETURNS as u64).unwrap_or_default();
        match self.returns.get(index) {
            Some(lock) => lock.lock().await,
            None => unreachable!("an index below the number of locks"),
        }
    }

    /// Ends a session at once, and takes its member out of the room.
    pub(crate) fn finish(&self, session: &Arc<Session>, reason: LeaveReason) {
        let departure = session.finish(reason, CloseCode::Normal);
        self.forget(session);
        departure.into_iter().for_each(Departure::announce);
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        self.by_id().values().cloned().collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_id().len()
    }

    /// How many connections there are, by what carries them.
    pub(crate) fn connections(&self) -> Vec<(&'static str, u64)> {
        let all: Vec<Arc<Session>> = self.by_id().values().cloned().collect();
        let mut counts = [("websocket", 0), ("sse", 0), ("poll", 0)];
        for kind in all.iter().filter_map(|session| session.connection_kind()) {
            counts.iter_mut().filter(|(name, _)| *name == kind).for_each(|(_, count)| *count += 1);
        }
        counts.into()
    }

    /// Closes what no room would close.
    pub(super) fn close_idle(&self, code: CloseCode) {
        let all: Vec<Arc<Session>> = self.by_id().values().cloned().collect();
        for session in all.iter().filter(|session| session.membership().is_none()) {
            session.close(code);
        }
    }

    /// Takes a session that is over out of the directory.
    pub(super) fn forget(&self, session: &Arc<Session>) {
        let mut by_id = self.by_id();
        if by_id.get(session.id()).is_some_and(|known| Arc::ptr_eq(known, session)) {
            by_id.remove(session.id());
        }
        if by_id.capacity() > 1_024 && by_id.len() < by_id.capacity() / 8 {
            by_id.shrink_to_fit();
        }
    }

    pub(super) fn terms(&self) -> &Terms {
        &self.terms
    }

    fn by_id(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<Session>>> {
        self.by_id.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Departure {
    /// Tells the room. One that is busy is waited for beside everything else.
    pub(super) fn announce(self) {
        let Self { membership, reason } = self;
        let gone = Mail::Input(Input::Gone { member: membership.member, reason });
        if let Err(TrySendError::Full(gone)) = membership.mailbox.try_send(gone) {
            tokio::spawn(async move {
                let _ = membership.mailbox.send(gone).await;
            });
        }
    }
}
