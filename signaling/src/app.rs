//! What every HTTP handler shares.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Semaphore, watch};

use crate::Config;
use crate::metric::{Gauges, Metrics};
use crate::node::NodeHub;
use crate::room::{MemberId, RoomConfig};
use crate::rooms::Rooms;
use crate::tls::Tls;
use crate::turn::IceServers;
use crate::whip::Resources;

/// Node links over WebSockets at a time. More nodes than this want a bus.
pub(crate) const MAX_LINKS: u32 = 256;

/// The server's state. Clones are the same server.
#[derive(Clone)]
pub(crate) struct App {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) ice_servers: Arc<IceServers>,
    /// With it, the server speaks HTTPS.
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) hub: NodeHub,
    pub(crate) rooms: Rooms,
    pub(crate) resources: Resources,
    pub(crate) metrics: Arc<Metrics>,
    /// One permit for each WebSocket connection.
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
        tls: Option<Arc<Tls>>,
        shutdown: watch::Receiver<bool>,
        links_end: watch::Receiver<bool>,
    ) -> Self {
        let metrics = Arc::new(Metrics::default());
        let hub = NodeHub::new(config.link);
        let ice_servers =
            Arc::new(IceServers { fixed: config.ice_servers.clone(), turn: config.turn.clone() });
        let room_config = RoomConfig {
            ice_servers: ice_servers.clone(),
            linger: config.room_linger,
            capacity: config.room_capacity,
        };
        let rooms = Rooms::new(room_config, hub.clone());
        let connections = Arc::new(Semaphore::new(config.max_connections));
        let resource_places = Arc::new(Semaphore::new(config.max_connections));
        let inner = Inner {
            config,
            ice_servers,
            tls,
            hub,
            rooms,
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

    pub(crate) fn gauges(&self) -> Gauges {
        Gauges {
            connections: (self.config.max_connections - self.connections.available_permits()) as u64,
            rooms: self.rooms.len() as u64,
            resources: self.resources.len() as u64,
            nodes: self.hub.gauges(),
            ..Gauges::default()
        }
    }
}

impl Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}
