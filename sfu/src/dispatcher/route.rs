//! Which worker has which room and transport.
//!
//! A room lives on one worker: the one with the fewest transports when the room's first transport came. Pure; it follows
//! what commands are sent and what workers say about them.

use std::collections::{BTreeSet, HashMap};

use patchbay_protocol::{ErrorCode, ProtocolError, RoomId, TransportId};

use crate::worker::WorkerIndex;

pub(super) struct RouteTable {
    rooms: HashMap<RoomId, RoomRoute>,
    transports: HashMap<TransportId, TransportRoute>,
    /// Transports of each worker.
    load: Vec<usize>,
}

struct RoomRoute {
    worker: WorkerIndex,
    transports: BTreeSet<TransportId>,
    /// Texts were stored with it: it stays without transports, until it is closed.
    is_kept: bool,
}

struct TransportRoute {
    room: RoomId,
    worker: WorkerIndex,
    /// Negotiations that the worker has not answered yet.
    pending: usize,
    /// Whether the worker has answered one.
    is_established: bool,
}

impl RouteTable {
    pub(super) fn new(workers: usize) -> Self {
        Self { rooms: HashMap::new(), transports: HashMap::new(), load: vec![0; workers] }
    }

    pub(super) fn room_count(&self) -> usize {
        self.rooms.len()
    }

    pub(super) fn transport_count(&self) -> usize {
        self.transports.len()
    }

    pub(super) fn room(&self, room: RoomId) -> Result<WorkerIndex, ProtocolError> {
        self.rooms
            .get(&room)
            .map(|route| route.worker)
            .ok_or_else(|| ProtocolError::new(ErrorCode::UnknownRoom, format!("no room {room} on this node")))
    }

    /// Texts are about to be stored with a room: places it if it is new.
    pub(super) fn keep_room(&mut self, room: RoomId) -> WorkerIndex {
        let worker = self.rooms.get(&room).map_or_else(|| self.least_loaded(), |route| route.worker);
        let new = || RoomRoute { worker, transports: BTreeSet::new(), is_kept: true };
        let route = self.rooms.entry(room).or_insert_with(new);
        route.is_kept = true;
        route.worker
    }

    pub(super) fn transport(&self, transport: TransportId) -> Result<WorkerIndex, ProtocolError> {
        self.transports.get(&transport).map(|route| route.worker).ok_or_else(|| {
            ProtocolError::new(ErrorCode::UnknownTransport, format!("no transport {transport} on this node"))
        })
    }

    /// A `negotiate` is about to be sent: places the room if it is new, and the transport with it.
    pub(super) fn begin_negotiation(
        &mut self,
        transport: TransportId,
        room: RoomId,
    ) -> Result<WorkerIndex, ProtocolError> {
        if let Some(route) = self.transports.get_mut(&transport) {
            if route.room != room {
                let message = format!("transport {transport} belongs to another room");
                return Err(ProtocolError::new(ErrorCode::InvalidArgument, message));
            }
            route.pending += 1;
            return Ok(route.worker);
        }
        let worker = self.rooms.get(&room).map_or_else(|| self.least_loaded(), |route| route.worker);
        self.insert(transport, room, worker).pending = 1;
        Ok(worker)
    }

    /// The worker has answered a `negotiate`. Returns whether the room was left without any transport, having had none
    /// but this one, which failed: then nobody knows of it.
    pub(super) fn end_negotiation(
        &mut self,
        transport: TransportId,
        room: RoomId,
        worker: WorkerIndex,
        is_answered: bool,
    ) -> bool {
        if is_answered {
            // It may have been forgotten meanwhile, if an earlier life of it ended.
            if !self.transports.contains_key(&transport) {
                self.insert(transport, room, worker);
            }
            if let Some(route) = self.transports.get_mut(&transport) {
                route.pending = route.pending.saturating_sub(1);
                route.is_established = true;
            }
            return false;
        }
        let Some(route) = self.transports.get_mut(&transport) else { return false };
        route.pending = route.pending.saturating_sub(1);
        if route.is_established || route.pending > 0 {
            return false;
        }
        self.remove_transport(transport);
        !self.rooms.contains_key(&room)
    }

    /// A transport has ended. Its room goes with its last transport, unless it is kept, here as on its worker. While a negotiation is under
    /// way, both stay: the worker will make them again.
    pub(super) fn remove_transport(&mut self, transport: TransportId) {
        let Some(route) = self.transports.get_mut(&transport) else { return };
        if route.pending > 0 {
            route.is_established = false;
            return;
        }
        let (room, worker) = (route.room, route.worker);
        self.transports.remove(&transport);
        self.load[worker.0] = self.load[worker.0].saturating_sub(1);
        if let Some(route) = self.rooms.get_mut(&room) {
            route.transports.remove(&transport);
            if route.transports.is_empty() && !route.is_kept {
                self.rooms.remove(&room);
            }
        }
    }

    /// A room was closed, with all its transports.
    pub(super) fn remove_room(&mut self, room: RoomId) {
        let Some(route) = self.rooms.get_mut(&room) else { return };
        route.is_kept = false;
        if route.transports.is_empty() {
            self.rooms.remove(&room);
            return;
        }
        for transport in route.transports.clone() {
            self.remove_transport(transport);
        }
    }

    /// A worker has lost everything. Returns the transports that are gone, in order of their ids.
    pub(super) fn remove_worker(&mut self, worker: WorkerIndex) -> Vec<TransportId> {
        let is_lost = |route: &TransportRoute| route.worker == worker && route.is_established;
        let mut lost: Vec<TransportId> =
            self.transports.iter().filter(|(_, route)| is_lost(route)).map(|(id, _)| *id).collect();
        lost.sort_unstable();
        self.rooms.retain(|_, route| {
            route.is_kept &= route.worker != worker;
            route.is_kept || !route.transports.is_empty()
        });
        for transport in &lost {
            self.remove_transport(*transport);
        }
        lost
    }

    fn insert(&mut self, transport: TransportId, room: RoomId, worker: WorkerIndex) -> &mut TransportRoute {
        self.load[worker.0] += 1;
        self.rooms
            .entry(room)
            .or_insert_with(|| RoomRoute { worker, transports: BTreeSet::new(), is_kept: false })
            .transports
            .insert(transport);
        self.transports.entry(transport).or_insert(TransportRoute {
            room,
            worker,
            pending: 0,
            is_established: false,
        })
    }

    fn least_loaded(&self) -> WorkerIndex {
        let rooms = |worker: usize| self.rooms.values().filter(|r| r.worker.0 == worker).count();
        let least = (0..self.load.len()).min_by_key(|worker| (self.load[*worker], rooms(*worker)));
        WorkerIndex(least.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomId = RoomId(1);

    fn join(table: &mut RouteTable, transport: u64, room: u64) -> WorkerIndex {
        let (transport, room) = (TransportId(transport), RoomId(room));
        let worker = table.begin_negotiation(transport, room).expect("placed");
        assert!(!table.end_negotiation(transport, room, worker, true));
        worker
    }

    #[test]
    fn a_room_stays_on_its_worker_and_new_ones_go_to_the_least_loaded() {
        let mut table = RouteTable::new(2);
        let first = join(&mut table, 1, 1);
        assert_eq!(join(&mut table, 2, 1), first);
        let second = join(&mut table, 3, 2);
        assert_ne!(second, first);
        assert_eq!(join(&mut table, 4, 3), second, "one transport against two");
        assert_eq!(table.room(ROOM), Ok(first));
        assert_eq!(table.transport(TransportId(4)), Ok(second));
    }

    #[test]
    fn unknown_ids_have_their_own_codes() {
        let table = RouteTable::new(1);
        assert_eq!(table.room(ROOM).expect_err("unknown").code, ErrorCode::UnknownRoom);
        assert_eq!(table.transport(TransportId(1)).expect_err("unknown").code, ErrorCode::UnknownTransport);
    }

    #[test]
    fn a_transport_cannot_change_rooms() {
        let mut table = RouteTable::new(1);
        join(&mut table, 1, 1);
        let error = table.begin_negotiation(TransportId(1), RoomId(2)).expect_err("moved");
        assert_eq!(error.code, ErrorCode::InvalidArgument);
    }

    #[test]
    fn a_first_offer_that_fails_leaves_nothing() {
        let mut table = RouteTable::new(1);
        let worker = table.begin_negotiation(TransportId(1), ROOM).expect("placed");
        assert!(table.end_negotiation(TransportId(1), ROOM, worker, false));
        assert_eq!((table.room_count(), table.transport_count()), (0, 0));
    }

    #[test]
    fn a_later_offer_that_fails_changes_nothing() {
        let mut table = RouteTable::new(1);
        let worker = join(&mut table, 1, 1);
        table.begin_negotiation(TransportId(1), ROOM).expect("known");
        assert!(!table.end_negotiation(TransportId(1), ROOM, worker, false));
        assert_eq!(table.transport(TransportId(1)), Ok(worker));
    }

    #[test]
    fn a_first_offer_that_fails_while_another_is_under_way_waits_for_that() {
        let mut table = RouteTable::new(1);
        let worker = table.begin_negotiation(TransportId(1), ROOM).expect("placed");
        table.begin_negotiation(TransportId(1), ROOM).expect("known");
        assert!(!table.end_negotiation(TransportId(1), ROOM, worker, false));
        assert!(!table.end_negotiation(TransportId(1), ROOM, worker, true));
        assert_eq!(table.transport(TransportId(1)), Ok(worker));
    }

    #[test]
    fn a_room_goes_with_its_last_transport_unless_another_is_on_its_way() {
        let mut table = RouteTable::new(2);
        let worker = join(&mut table, 1, 1);
        table.begin_negotiation(TransportId(2), ROOM).expect("known");
        table.remove_transport(TransportId(1));
        assert_eq!(table.room(ROOM), Ok(worker));
        table.end_negotiation(TransportId(2), ROOM, worker, true);
        table.remove_transport(TransportId(2));
        assert!(table.room(ROOM).is_err());
        assert_eq!((table.room_count(), table.transport_count()), (0, 0));
    }

    #[test]
    fn closing_a_room_ends_its_transports() {
        let mut table = RouteTable::new(2);
        join(&mut table, 1, 1);
        join(&mut table, 2, 1);
        join(&mut table, 3, 2);
        table.remove_room(ROOM);
        assert!(table.transport(TransportId(1)).is_err());
        assert!(table.transport(TransportId(3)).is_ok());
        assert_eq!(join(&mut table, 4, 5), WorkerIndex(0), "its load is gone too");
    }

    #[test]
    fn a_room_that_is_kept_outlives_its_transports_until_it_is_closed_or_its_worker_is_lost() {
        let mut table = RouteTable::new(2);
        let worker = join(&mut table, 1, 1);
        assert_eq!(table.keep_room(ROOM), worker);
        table.remove_transport(TransportId(1));
        assert_eq!(table.room(ROOM), Ok(worker));
        table.remove_room(ROOM);
        assert!(table.room(ROOM).is_err());
        let worker = table.keep_room(ROOM);
        table.remove_worker(worker);
        assert!(table.room(ROOM).is_err());
    }

    #[test]
    fn a_lost_worker_takes_its_rooms_along() {
        let mut table = RouteTable::new(2);
        let worker = join(&mut table, 7, 1);
        join(&mut table, 5, 1);
        let other = join(&mut table, 6, 2);
        assert_eq!(table.remove_worker(worker), [TransportId(5), TransportId(7)]);
        assert!(table.room(ROOM).is_err());
        assert_eq!(table.transport(TransportId(6)), Ok(other));
    }

    #[test]
    fn what_is_being_negotiated_keeps_its_worker_over_an_end() {
        let mut table = RouteTable::new(2);
        let worker = join(&mut table, 1, 1);
        // In the mailbox while the worker loses everything, or its room is closed.
        table.begin_negotiation(TransportId(1), ROOM).expect("known");
        table.begin_negotiation(TransportId(2), ROOM).expect("known");
        assert_eq!(table.remove_worker(worker), [TransportId(1)]);
        table.remove_room(ROOM);
        assert_eq!(table.room(ROOM), Ok(worker), "nobody else may be placed elsewhere meanwhile");
        assert!(!table.end_negotiation(TransportId(1), ROOM, worker, true));
        assert!(
            !table.end_negotiation(TransportId(2), ROOM, worker, false),
            "the room has another transport"
        );
        assert_eq!(table.transport(TransportId(1)), Ok(worker));
        assert!(table.transport(TransportId(2)).is_err());
    }
}
