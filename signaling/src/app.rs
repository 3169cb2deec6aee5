//! What every HTTP handler shares.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::{Semaphore, watch};

use crate::Config;
use crate::auth::{Authority, RevocationError, Revoked};
use crate::drain::Drain;
use crate::journal::Journal;
use crate::limit::{AddressRate, Crowd};
use crate::metric::{Gauges, Metrics};
use crate::node::{Memory, NodeHub};
use crate::room::{MemberId, RoomConfig};
use crate::rooms::Rooms;
use crate::session::{SessionConfig, SessionKey, Sessions};
use crate::store::{HistoryLimit, Store};
use crate::tls::Tls;
use crate::turn::IceServers;
use crate::whip::Resources;

/// Node links over WebSockets at a time. More nodes than this want a bus.
pub(crate) const MAX_LINKS: u32 = 256;
/// Streams of events at a time. Cost of raising: a socket each; what they tell is kept once.
const EVENT_STREAMS: usize = 256;

/// The server's state. Clones are the same server.
#[derive(Clone)]
pub(crate) struct App {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: Config,
    /// Says whose token holds.
    pub(crate) authority: Authority,
    /// Connections by the address of whom a proxy speaks for.
    pub(crate) proxied: Crowd,
    /// Joins by address.
    pub(crate) join_rate: AddressRate,
    pub(crate) ice_servers: Arc<IceServers>,
    /// With it, the server speaks HTTPS.
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) hub: NodeHub,
    pub(crate) rooms: Rooms,
    /// What happens, for the world outside.
    pub(crate) journal: Journal,
    /// Requests of the server's API by address.
    pub(crate) api_rate: AddressRate,
    /// One permit for each stream of events.
    pub(crate) event_streams: Arc<Semaphore>,
    pub(crate) began: Instant,
    pub(crate) sessions: Sessions,
    pub(crate) drain: Drain,
    pub(crate) resources: Resources,
    pub(crate) metrics: Arc<Metrics>,
    /// One permit for each client connection: a WebSocket, or a session over HTTP.
    pub(crate) connections: Arc<Semaphore>,
    /// One permit for each WHIP or WHEP resource: as many as there may be WebSocket connections.
    pub(crate) resource_places: Arc<Semaphore>,
    /// Becomes true when the server goes away.
    pub(crate) shutdown: watch::Receiver<bool>,
    /// One permit for each node link over a WebSocket.
    pub(crate) links: Arc<Semaphore>,
    /// Becomes true once everybody has left, so that node links may end.
    pub(crate) links_end: watch::Receiver<bool>,
    next_member: AtomicU64,
}

impl App {
    pub(crate) fn new(
        config: Config,
        authority: Authority,
        session_key: SessionKey,
        tls: Option<Arc<Tls>>,
        shutdown: watch::Receiver<bool>,
        links_end: watch::Receiver<bool>,
    ) -> Self {
        let metrics = Arc::new(Metrics::default());
        let hub = NodeHub::new(config.link, Memory::new(config.state_dir.clone()));
        let journal = Journal::new(hub.epoch());
        hub.report_to(journal.clone());
        let ice_servers =
            Arc::new(IceServers { fixed: config.ice_servers.clone(), turn: config.turn.clone() });
        let store = Store::open(config.state_dir.as_deref());
        let room_config = RoomConfig {
            ice_servers: ice_servers.clone(),
            linger: config.room_linger,
            capacity: config.room_capacity,
            resume_window: config.resume_window,
            bounds: config.bounds,
            is_kept: store.is_kept(),
            history: HistoryLimit::default(),
        };
        let rooms = Rooms::new(
            room_config,
            hub.clone(),
            store,
            authority.clone(),
            config.max_rooms,
            metrics.clone(),
            journal.clone(),
        );
        let session_config = SessionConfig {
            outbox: config.outbox,
            window: config.resume_window,
            silence: config.timing.silence,
            // As many as are connected, and as many as have lost their connections.
            most: config.max_connections.saturating_mul(2),
        };
        let sessions = Sessions::new(session_config, session_key, metrics.clone());
        let connections = Arc::new(Semaphore::new(config.max_connections));
        let resource_places = Arc::new(Semaphore::new(config.max_connections));
        let proxied = Crowd::new(config.http_connections(), config.connections_per_address);
        let api_rate = AddressRate::new(config.api_rate);
        let join_rate = AddressRate::new(config.joins);
        let inner = Inner {
            config,
            authority,
            proxied,
            join_rate,
            ice_servers,
            tls,
            hub,
            rooms,
            journal,
            api_rate,
            event_streams: Arc::new(Semaphore::new(EVENT_STREAMS)),
            began: Instant::now(),
            sessions,
            drain: Drain::default(),
            resources: Resources::default(),
            metrics,
            connections,
            resource_places,
            shutdown,
            links: Arc::new(Semaphore::new(MAX_LINKS as usize)),
            links_end,
            next_member: AtomicU64::new(1),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A member id that was never given before.
    pub(crate) fn mint_member(&self) -> MemberId {
        MemberId(self.next_member.fetch_add(1, Ordering::Relaxed))
    }

    /// Revokes a token, or what an identity was given so far: whoever is in a room by it is sent out at once, and nothing
    /// opens a room with it any more.
    ///
    /// # Errors
    /// The list is full, and nothing was done; or the disk refuses, and it holds until the server ends.
    pub(crate) async fn revoke(&self, what: Revoked) -> Result<(), RevocationError> {
        let (revocation, kept) = self.authority.revoke(what).await;
        if let Some(revocation) = revocation {
            self.rooms.revoke(&revocation).await;
        }
        kept
    }

    pub(crate) fn gauges(&self) -> Gauges {
        Gauges {
            connections: (self.config.max_connections - self.connections.available_permits()) as u64,
            rooms: self.rooms.len() as u64,
            by_kind: self.sessions.connections(),
            sessions: self.sessions.len() as u64,
            resources: self.resources.len() as u64,
            nodes: self.hub.gauges(),
            is_draining: self.drain.has_begun(),
        }
    }
}

impl Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}
