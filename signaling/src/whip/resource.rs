//! One WHIP or WHEP resource, and the table of them.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use patchbay_protocol::{
    ClientRequest, Description, ErrorCode, LeaveReason, ProtocolError, Reply, RequestId, RoomName, SessionId,
};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::timeout;

use super::Kind;
use crate::auth::{Secret, is_same_secret};
use crate::entrance::random_secret;
use crate::room::{Input, MemberId};
use crate::rooms::{Mail, Mailbox};

/// How long the room may take with one request, its node's own time included.
const REPLY_TIMEOUT: Duration = Duration::from_secs(15);

type Outcome = Result<Reply, ProtocolError>;

/// A member that came over HTTP.
pub(crate) struct Resource {
    pub(super) kind: Kind,
    pub(super) id: String,
    pub(super) room: RoomName,
    pub(super) member: MemberId,
    pub(super) session: SessionId,
    token: Option<Secret>,
    /// Its place among all that there may be; given back when the member is out.
    place: Mutex<Option<OwnedSemaphorePermit>>,
    mailbox: OnceLock<Mailbox>,
    waiting: Mutex<HashMap<RequestId, oneshot::Sender<Outcome>>>,
    next_request: AtomicU32,
    is_gone: AtomicBool,
    table: Resources,
    /// Held while a negotiation is under way.
    pub(super) ice: tokio::sync::Mutex<IceSession>,
}

/// What a `PATCH` is held against.
pub(super) struct IceSession {
    /// Changes with every ICE session.
    pub(super) etag: String,
    /// The last offer.
    pub(super) offer: Description,
}

impl Resource {
    pub(super) fn new(
        table: Resources,
        kind: Kind,
        room: RoomName,
        member: MemberId,
        session: SessionId,
        token: Option<Secret>,
        offer: Description,
    ) -> Self {
        Self {
            kind,
            id: random_secret(),
            room,
            member,
            session,
            token,
            place: Mutex::default(),
            mailbox: OnceLock::new(),
            waiting: Mutex::default(),
            next_request: AtomicU32::new(1),
            is_gone: AtomicBool::new(false),
            table,
            ice: tokio::sync::Mutex::new(IceSession { etag: new_etag(), offer }),
        }
    }

    /// With its place among all that there may be.
    pub(super) fn on(self, place: OwnedSemaphorePermit) -> Self {
        Self { place: Mutex::new(Some(place)), ..self }
    }

    /// Where the client finds it.
    pub(super) fn location(&self) -> String {
        format!("{}/{}/{}", self.kind.path(), self.room, self.id)
    }

    /// Whether a bearer token is the one that made the resource.
    pub(super) fn is_opened_by(&self, token: Option<&str>) -> bool {
        match (&self.token, token) {
            (Some(own), Some(given)) => is_same_secret(given, own.as_str()),
            (Some(_), None) => false,
            (None, _) => true,
        }
    }

    /// A new request id, and the way its reply will come.
    pub(super) fn expect_reply(&self) -> (RequestId, oneshot::Receiver<Outcome>) {
        let id = RequestId(self.next_request.fetch_add(1, Ordering::Relaxed));
        let (sender, receiver) = oneshot::channel();
        self.waiting().insert(id, sender);
        (id, receiver)
    }

    /// Waits for a reply.
    pub(super) async fn await_reply(&self, reply: oneshot::Receiver<Outcome>) -> Outcome {
        match timeout(REPLY_TIMEOUT, reply).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(ProtocolError::new(ErrorCode::NotJoined, "the resource is gone")),
            Err(_) => Err(ProtocolError::new(ErrorCode::Overloaded, "the room did not answer in time")
                .retry_after(Duration::from_secs(1))),
        }
    }

    /// Asks the room.
    pub(super) async fn ask(&self, request: ClientRequest) -> Outcome {
        let (id, reply) = self.expect_reply();
        let Some(mailbox) = self.mailbox.get() else {
            return Err(ProtocolError::new(ErrorCode::NotJoined, "the resource is gone"));
        };
        if mailbox.send(Mail::Input(Input::Request { member: self.member, id, request })).await.is_err() {
            return Err(ProtocolError::new(ErrorCode::NotJoined, "the resource is gone"));
        }
        self.await_reply(reply).await
    }

    pub(super) fn set_mailbox(&self, mailbox: Mailbox) {
        let _ = self.mailbox.set(mailbox);
    }

    /// Takes the member out of the room without waiting.
    pub(super) fn abandon(&self) {
        if let Some(mailbox) = self.mailbox.get().cloned() {
            let gone = Mail::Input(Input::Gone { member: self.member, reason: LeaveReason::ConnectionLost });
            tokio::spawn(async move {
                let _ = mailbox.send(gone).await;
            });
        }
    }

    /// A reply of the room.
    /// What carries it.
    pub(crate) fn protocol(&self) -> &'static str {
        self.kind.name()
    }

    pub(crate) fn reply(&self, id: RequestId, result: Outcome) {
        if let Some(waiting) = self.waiting().remove(&id) {
            let _ = waiting.send(result);
        }
    }

    /// The member is out of the room; it may not have been told yet.
    pub(crate) fn release(&self) {
        self.place.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
    }

    /// The member is no longer in the room, so the resource is gone.
    pub(crate) fn detach(&self) {
        self.is_gone.store(true, Ordering::SeqCst);
        self.waiting().clear();
        self.table.remove(&self.id);
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<RequestId, oneshot::Sender<Outcome>>> {
        self.waiting.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resource").field("kind", &self.kind).field("room", &self.room).finish_non_exhaustive()
    }
}

/// A strong entity tag that was never used before.
pub(super) fn new_etag() -> String {
    format!("\"{:016x}\"", rand::random::<u64>())
}

/// All resources, by id. Clones are the same table.
#[derive(Clone, Default)]
pub(crate) struct Resources {
    by_id: Arc<Mutex<HashMap<String, Arc<Resource>>>>,
}

impl Resources {
    /// Makes a resource known, unless it is gone already.
    pub(super) fn insert(&self, resource: Arc<Resource>) {
        let id = resource.id.clone();
        self.table().insert(id.clone(), resource.clone());
        if resource.is_gone.load(Ordering::SeqCst) {
            self.remove(&id);
        }
    }

    pub(super) fn find(&self, kind: Kind, room: &str, id: &str) -> Option<Arc<Resource>> {
        self.table()
            .get(id)
            .filter(|resource| resource.kind == kind && resource.room.as_str() == room)
            .cloned()
    }

    pub(crate) fn len(&self) -> usize {
        self.table().len()
    }

    fn remove(&self, id: &str) {
        self.table().remove(id);
    }

    fn table(&self) -> MutexGuard<'_, HashMap<String, Arc<Resource>>> {
        self.by_id.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
