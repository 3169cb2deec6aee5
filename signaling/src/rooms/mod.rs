//! All rooms of this server: one task each, found by name.
//!
//! The directory hands joins to a room's task and makes the task when there is none. Everything else a member says goes
//! straight to its room through the [`Mailbox`] it got when it joined.

mod driver;
mod port;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use patchbay_protocol::{ErrorCode, ProtocolError, RequestId, RoomId, RoomName};
use tokio::sync::mpsc;

pub(crate) use port::Port;

use crate::node::NodeHub;
use crate::room::{Input, Join, MemberId, Moment, Room, RoomConfig};

/// Inputs that may wait for one room. Cost of raising: memory, and a longer wait before somebody hears "overloaded".
const MAILBOX: usize = 4_096;

/// What a room's task is sent.
#[derive(Debug)]
pub(crate) enum Mail {
    /// Somebody wants in; its port gets the reply.
    Join { member: MemberId, id: RequestId, join: Box<Join>, port: Port },
    /// Anything else.
    Input(Input),
}

/// The way into one room's task.
pub(crate) type Mailbox = mpsc::Sender<Mail>;

/// Rooms by name.
#[derive(Clone)]
pub(crate) struct Rooms {
    shared: Arc<Shared>,
}

struct Shared {
    open: Mutex<HashMap<RoomName, Mailbox>>,
    config: RoomConfig,
    hub: NodeHub,
}

impl Rooms {
    pub(crate) fn new(config: RoomConfig, hub: NodeHub) -> Self {
        Self { shared: Arc::new(Shared { open: Mutex::default(), config, hub }) }
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
        let mailbox = match open.get(name) {
            Some(mailbox) => mailbox.clone(),
            None => {
                let (mailbox, inbox) = mpsc::channel(MAILBOX);
                let room =
                    Room::new(now(), name.clone(), RoomId(random_53_bits()), self.shared.config.clone());
                tokio::spawn(driver::run(room, mailbox.clone(), inbox, self.clone()));
                open.insert(name.clone(), mailbox.clone());
                mailbox
            }
        };
        // Under the lock, so that a room that ends can be sure that nobody is on the way in.
        let mail = Mail::Join { member, id, join: Box::new(join), port };
        if mailbox.try_send(mail).is_err() {
            return Err(ProtocolError::new(ErrorCode::Overloaded, "the room is busy; try again")
                .retry_after(std::time::Duration::from_secs(1)));
        }
        Ok(mailbox)
    }

    /// How many rooms are open.
    pub(crate) fn len(&self) -> usize {
        self.open().len()
    }

    /// Sends everybody home.
    pub(crate) async fn shutdown(&self) {
        let mailboxes: Vec<Mailbox> = self.open().values().cloned().collect();
        for mailbox in mailboxes {
            let _ = mailbox.send(Mail::Input(Input::Shutdown)).await;
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<RoomName, Mailbox>> {
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

/// The time, for the state machines.
pub(crate) fn now() -> Moment {
    let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    Moment { at: Instant::now(), unix_ms }
}

/// An id that JavaScript keeps whole.
pub(crate) fn random_53_bits() -> u64 {
    rand::random::<u64>() >> 11
}
