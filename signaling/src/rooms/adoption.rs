//! Rooms of an earlier life, which nodes still hold: taken in, and their sessions taken up again.
//!
//! After a restart each node tells with its first `sync` what it holds. A room that nobody knows is rebuilt from it, with all
//! its members, and each waits for its session to be taken up. Whoever joins a room by name while nodes are still expected
//! waits for them, so that nobody opens anew what is on its way; if that happened all the same, the room that people are in
//! by now stands, and the older one ends: its sessions are gone, and their clients join again.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use patchbay_protocol::node::TransportSnapshot;
use patchbay_protocol::{Joined, NodeName, RoomId, SessionId, TransportId};
use tokio::sync::{mpsc, oneshot};
use tracing::info;

use super::record::Records;
use super::{Entry, MAILBOX, Mail, Mailbox, Port, Rooms, driver, now};
use crate::room::{MemberId, Room};
use crate::session::Membership;

/// How long after a start a join into a room that nobody knows waits for nodes that were attached before.
pub(super) const JOINS_WAIT: Duration = Duration::from_secs(3);
/// How long after a start a session that nobody knows may still come up.
const SESSIONS_WAIT: Duration = Duration::from_secs(5);

/// A room that a node holds and nobody knows.
#[derive(Debug)]
pub(crate) struct Orphan {
    pub(crate) room: RoomId,
    pub(crate) blobs: BTreeMap<String, String>,
    pub(crate) transports: Vec<TransportSnapshot>,
}

/// A room that was rebuilt, on its way to its task.
pub(super) struct Adopted {
    pub(super) room: Room,
    pub(super) node: NodeName,
    pub(super) records: Records,
}

/// Members of rebuilt rooms, by the sessions they had. Also those whose sessions were taken up: an answer to that may get lost.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    table: Mutex<WaitingTable>,
}

#[derive(Debug, Default)]
struct WaitingTable {
    by_session: HashMap<SessionId, (MemberId, Mailbox)>,
    sessions: HashMap<MemberId, SessionId>,
}

impl Waiting {
    fn insert(&self, session: SessionId, member: MemberId, mailbox: Mailbox) {
        let mut table = self.table();
        table.sessions.insert(member, session.clone());
        table.by_session.insert(session, (member, mailbox));
    }

    fn find(&self, session: &SessionId) -> Option<(MemberId, Mailbox)> {
        self.table().by_session.get(session).cloned()
    }

    /// The member is out.
    pub(super) fn forget(&self, member: MemberId) {
        let mut table = self.table();
        if let Some(session) = table.sessions.remove(&member) {
            table.by_session.remove(&session);
        }
    }

    fn table(&self) -> MutexGuard<'_, WaitingTable> {
        self.table.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Rooms {
    /// Takes a room in that a node holds, or says why it can't be.
    pub(crate) fn adopt(&self, node: &NodeName, orphan: Orphan) -> Result<(), &'static str> {
        let Orphan { room: id, blobs, transports } = orphan;
        let mint = || MemberId(self.shared.next_member.fetch_add(1, Ordering::Relaxed));
        let held: Vec<TransportId> = transports.iter().map(|snapshot| snapshot.transport).collect();
        let mut room = Room::rebuild(now(), id, &blobs, transports, self.shared.config.clone(), mint)?;
        let name = room.name().clone();
        // What was revoked is on disk, and may be newer than the room's records.
        room.recheck(|identity, credential| {
            self.shared.authority.recheck(&name, identity, credential).is_ok()
        });
        let waiting: Vec<(SessionId, MemberId)> = room.resumable().collect();

        let mut open = self.open();
        let (mailbox, inbox) = match open.get_mut(&name) {
            None => {
                let (mailbox, inbox) = mpsc::channel(MAILBOX);
                (mailbox, Some(inbox))
            }
            Some(Entry { mailbox, cradle: Some(_) }) => (mailbox.clone(), None),
            Some(Entry { cradle: None, .. }) => return Err("a room of this name was opened meanwhile"),
        };
        if !self.shared.hub.enlist(node, id, &mailbox, &held) {
            return Err("its node is gone");
        }
        info!(%node, room = %name, members = waiting.len(), transports = held.len(), "room rebuilt");
        for (session, member) in waiting {
            self.shared.waiting.insert(session, member, mailbox.clone());
        }
        let adopted = Adopted { room, node: node.clone(), records: Records::holding(&blobs) };
        match inbox {
            Some(inbox) => {
                tokio::spawn(driver::run_adopted(adopted, mailbox.clone(), inbox, self.clone()));
                open.insert(name, Entry { mailbox, cradle: None });
            }
            // Its task waits for this, and takes it also when the wait is over by now.
            None => {
                if let Some(cradle) = open.get_mut(&name).and_then(|entry| entry.cradle.take()) {
                    let _ = cradle.send(Box::new(adopted));
                }
            }
        }
        Ok(())
    }

    /// Takes up a session of an earlier life, whose secret has been checked: its port gets everything that happens from here
    /// on. Waits for nodes that are expected. Brings the room as it is now, in which `secret` is empty, as the room does
    /// not know it. `None`: there is no such session, or no longer.
    pub(crate) async fn reclaim(&self, session: &SessionId, port: Port) -> Option<(Membership, Box<Joined>)> {
        let mut found = self.shared.waiting.find(session);
        if found.is_none() && self.shared.hub.is_expecting(SESSIONS_WAIT) {
            self.shared
                .hub
                .expected_until(SESSIONS_WAIT, || {
                    found = self.shared.waiting.find(session);
                    found.is_some()
                })
                .await;
        }
        let (member, mailbox) = found?;
        let (reply, joined) = oneshot::channel();
        mailbox.send(Mail::Reclaim { member, port, reply }).await.ok()?;
        let joined = joined.await.ok().flatten()?;
        Some((Membership { member, mailbox }, joined))
    }
}
