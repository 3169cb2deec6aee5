//! All rooms of this server: one task each, found by name.
//!
//! The directory hands joins to a room's task and makes the task when there is none. Everything else a member says goes
//! straight to its room through the [`Mailbox`] it got when it joined.

mod adoption;
mod driver;
mod port;
mod record;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use patchbay_protocol::node::TransportSnapshot;
use patchbay_protocol::{ErrorCode, Joined, ProtocolError, RequestId, RoomName};
use tokio::sync::{mpsc, oneshot};

pub(crate) use adoption::Orphan;
use adoption::{Adopted, JOINS_WAIT, Waiting};
pub(crate) use port::Port;

use crate::auth::{Authority, Revocation};
use crate::journal::Journal;
use crate::metric::Metrics;
use crate::node::NodeHub;
use crate::refusal::spread_retry;
use crate::room::{Input, Join, MemberId, Moment, RoomConfig, ServerReply, ServerRequest};
use crate::store::Store;

/// Inputs that may wait for one room. Cost of raising: memory, and a longer wait before somebody hears "overloaded".
const MAILBOX: usize = 4_096;

/// What a room's task is sent.
#[derive(Debug)]
pub(crate) enum Mail {
    /// Somebody wants in; its port gets the reply.
    Join { member: MemberId, id: RequestId, join: Box<Join>, port: Port },
    /// Somebody takes a session up that was found on a node; its port gets what comes from here on.
    Reclaim { member: MemberId, port: Port, reply: oneshot::Sender<Option<Box<Joined>>> },
    /// What the room's node holds of it, after its link was down.
    Synced { blobs: BTreeMap<String, String>, transports: Vec<TransportSnapshot> },
    /// The server's API asks for something.
    Ask { request: Box<ServerRequest>, reply: oneshot::Sender<Answer> },
    /// Anything else.
    Input(Input),
}

impl From<Input> for Mail {
    fn from(input: Input) -> Self {
        Self::Input(input)
    }
}

/// What the server's API is told.
pub(crate) type Answer = Result<ServerReply, ProtocolError>;

/// The way into one room's task.
pub(crate) type Mailbox = mpsc::Sender<Mail>;

/// Rooms by name.
#[derive(Clone)]
pub(crate) struct Rooms {
    shared: Arc<Shared>,
}

/// The same, without keeping them.
#[derive(Clone)]
pub(crate) struct WeakRooms {
    shared: Weak<Shared>,
}

/// One room in the directory.
struct Entry {
    mailbox: Mailbox,
    /// Its task waits for what a node may still bring of this room.
    cradle: Option<oneshot::Sender<Box<Adopted>>>,
}

/// Ids of members that come with rebuilt rooms begin here; those of members that join begin at 1.
const FIRST_ADOPTED: u64 = 1 << 63;

struct Shared {
    open: Mutex<HashMap<RoomName, Entry>>,
    waiting: Waiting,
    /// For members that come with rebuilt rooms.
    next_member: AtomicU64,
    config: RoomConfig,
    hub: NodeHub,
    store: Store,
    authority: Authority,
    max_rooms: usize,
    metrics: Arc<Metrics>,
    journal: Journal,
}

impl Rooms {
    pub(crate) fn new(
        config: RoomConfig,
        hub: NodeHub,
        store: Store,
        authority: Authority,
        max_rooms: usize,
        metrics: Arc<Metrics>,
        journal: Journal,
    ) -> Self {
        let shared = Arc::new(Shared {
            open: Mutex::default(),
            waiting: Waiting::default(),
            next_member: AtomicU64::new(FIRST_ADOPTED),
            config,
            hub,
            store,
            authority,
            max_rooms,
            metrics,
            journal,
        });
        let weak = WeakRooms { shared: Arc::downgrade(&shared) };
        shared.hub.restore_into(weak);
        Self { shared }
    }

    /// Sends a join to a room, which is opened if need be, and returns the way to its task.
    pub(crate) fn join(
        &self,
        name: &RoomName,
        member: MemberId,
        id: RequestId,
        join: Join,
        port: Port,
    ) -> Result<Mailbox, ProtocolError> {
        let mut open = self.open();
        // Under the lock, so that whoever is revoked now is either seen here or sent out by its room.
        self.shared.authority.recheck(name, &join.identity, join.credential.as_ref())?;
        let (mailbox, _) = self.find_or_open(&mut open, name)?;
        // Under the lock, so that a room that ends can be sure that nobody is on the way in.
        let mail = Mail::Join { member, id, join: Box::new(join), port };
        mailbox.try_send(mail).map_err(|_| busy())?;
        Ok(mailbox)
    }

    /// The way to a room's task, which is started if there is none, and whether it was.
    fn find_or_open(
        &self,
        open: &mut HashMap<RoomName, Entry>,
        name: &RoomName,
    ) -> Result<(Mailbox, bool), ProtocolError> {
        if let Some(entry) = open.get(name) {
            return Ok((entry.mailbox.clone(), false));
        }
        if open.len() >= self.shared.max_rooms {
            let error = ProtocolError::new(ErrorCode::Overloaded, "the server has as many rooms as it may");
            return Err(error.retry_after(spread_retry()));
        }
        let (mailbox, inbox) = mpsc::channel(MAILBOX);
        let (cradle, adopted) = if self.shared.hub.is_expecting(JOINS_WAIT) {
            let (cradle, adopted) = oneshot::channel();
            (Some(cradle), Some(adopted))
        } else {
            (None, None)
        };
        tokio::spawn(driver::run(name.clone(), adopted, mailbox.clone(), inbox, self.clone()));
        open.insert(name.clone(), Entry { mailbox: mailbox.clone(), cradle });
        Ok((mailbox, true))
    }

    /// Asks a room that is open.
    ///
    /// # Errors
    /// `unknown_room`, `overloaded`, and whatever the room refuses with.
    pub(crate) async fn ask(&self, name: &RoomName, request: ServerRequest) -> Answer {
        let answer = {
            let open = self.open();
            let entry = open.get(name).ok_or_else(no_room)?;
            post(&entry.mailbox, request)?
        };
        answer.await.unwrap_or_else(|_| Err(no_room()))
    }

    /// Asks a room, which is opened if need be. Says whether it was.
    ///
    /// # Errors
    /// `overloaded`, and whatever the room refuses with.
    pub(crate) async fn ask_or_open(
        &self,
        name: &RoomName,
        request: ServerRequest,
    ) -> Result<(ServerReply, bool), ProtocolError> {
        let (answer, is_new) = {
            let mut open = self.open();
            let (mailbox, is_new) = self.find_or_open(&mut open, name)?;
            (post(&mailbox, request)?, is_new)
        };
        Ok((answer.await.unwrap_or_else(|_| Err(no_room()))?, is_new))
    }

    /// Names of open rooms behind one, in order: so many, and whether there are more.
    pub(crate) fn names(&self, after: Option<&str>, limit: usize) -> (Vec<RoomName>, bool) {
        let mut names: Vec<RoomName> = {
            let open = self.open();
            open.keys().filter(|name| after.is_none_or(|after| name.as_str() > after)).cloned().collect()
        };
        names.sort_unstable();
        let has_more = names.len() > limit;
        names.truncate(limit);
        (names, has_more)
    }

    /// Sends out whoever is in a room by what was revoked.
    pub(crate) async fn revoke(&self, revocation: &Revocation) {
        for mailbox in self.mailboxes() {
            let _ = mailbox.send(Mail::Input(Input::Revoke(revocation.clone()))).await;
        }
    }

    /// How many rooms are open.
    pub(crate) fn len(&self) -> usize {
        self.open().len()
    }

    /// Sends everybody home.
    pub(crate) async fn shutdown(&self) {
        for mailbox in self.mailboxes() {
            let _ = mailbox.send(Mail::Input(Input::Shutdown)).await;
        }
    }

    fn mailboxes(&self) -> Vec<Mailbox> {
        self.open().values().map(|entry| entry.mailbox.clone()).collect()
    }

    /// A room's task waits no longer for what a node may bring: what came is taken, else the room is a new one.
    fn end_wait(
        &self,
        name: &RoomName,
        adopted: &mut oneshot::Receiver<Box<Adopted>>,
    ) -> Option<Box<Adopted>> {
        let mut open = self.open();
        if let Some(entry) = open.get_mut(name) {
            entry.cradle = None;
        }
        adopted.try_recv().ok()
    }

    fn open(&self) -> MutexGuard<'_, HashMap<RoomName, Entry>> {
        self.shared.open.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Takes a room out of the directory if nobody is on the way in.
    fn close(&self, name: &RoomName, inbox: &mpsc::Receiver<Mail>) -> bool {
        let mut open = self.open();
        if inbox.is_empty() {
            open.remove(name);
            return true;
        }
        false
    }
}

impl WeakRooms {
    pub(crate) fn upgrade(&self) -> Option<Rooms> {
        self.shared.upgrade().map(|shared| Rooms { shared })
    }
}

fn post(mailbox: &Mailbox, request: ServerRequest) -> Result<oneshot::Receiver<Answer>, ProtocolError> {
    let (reply, answer) = oneshot::channel();
    mailbox.try_send(Mail::Ask { request: Box::new(request), reply }).map_err(|_| busy())?;
    Ok(answer)
}

fn busy() -> ProtocolError {
    ProtocolError::new(ErrorCode::Overloaded, "the room is busy; try again")
        .retry_after(Duration::from_secs(1))
}

fn no_room() -> ProtocolError {
    ProtocolError::new(ErrorCode::UnknownRoom, "no such room is open")
}

/// The time, for the state machines.
pub(crate) fn now() -> Moment {
    let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    Moment { at: Instant::now(), unix_ms }
}

/// An id that JavaScript keeps whole.
pub(crate) fn random_53_bits() -> u64 {
    rand::random::<u64>() >> 11
}
