//! What a worker counts instead of logging.

use crate::router;
use crate::transport::TransportStats;

/// Counters since the worker's start, of everything that is gone. What lives still counts for itself.
#[derive(Debug, Default, Clone)]
pub(super) struct Counters {
    /// Datagrams that came in on the worker's sockets.
    pub(super) datagrams_in: u64,
    /// Datagrams from addresses that belong to no transport and that are no STUN request for one.
    pub(super) unknown_source: u64,
    /// Events that found too many others waiting.
    pub(super) events_dropped: u64,
    /// Authenticated paths that found the table full.
    pub(super) paths_refused: u64,
    transports: TransportStats,
    routers: router::Counters,
}

impl Counters {
    pub(super) fn retire_transport(&mut self, stats: &TransportStats) {
        self.transports.absorb(stats);
    }

    pub(super) fn retire_router(&mut self, counters: &router::Counters) {
        self.routers.add(counters);
    }

    /// All of it with the gauges, sorted by name.
    pub(super) fn list(
        &self,
        gauges: impl IntoIterator<Item = (&'static str, u64)>,
    ) -> Vec<(&'static str, u64)> {
        let transports = &self.transports;
        let mut all = vec![
            ("bytes_in", transports.bytes_in),
            ("bytes_out", transports.bytes_out),
            ("checks_in", transports.checks_in),
            ("datagrams_in", self.datagrams_in),
            ("datagrams_out", transports.datagrams_out),
            ("dropped_unknown_source", self.unknown_source),
            ("events_dropped", self.events_dropped),
            ("paths_refused", self.paths_refused),
            ("rtcp_in", transports.rtcp_in),
            ("rtcp_out", transports.rtcp_out),
            ("rtp_in", transports.rtp_in),
            ("rtp_out", transports.rtp_out),
            ("transmits_out", transports.transmits_out),
        ];
        all.extend(transports.dropped.iter().map(|(reason, count)| (reason.name(), count)));
        all.extend(self.routers.entries());
        all.extend(gauges);
        all.sort_unstable_by_key(|&(name, _)| name);
        all
    }
}
