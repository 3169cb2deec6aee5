//! The server itself: `/v1/status`.

use axum::Json;
use axum::extract::State;

use super::schema::{Connections, Node, Status};
use crate::app::App;
use crate::metric::NodeGauges;
use crate::rooms::now;

/// How the server is, with totals of which a page makes rates.
#[utoipa::path(get, path = "/v1/status", tag = "server", operation_id = "status", security(("bearer" = [])),
    responses((status = 200, body = Status)))]
pub(super) async fn status(State(app): State<App>) -> Json<Status> {
    let gauges = app.gauges();
    let totals = app.metrics.totals();
    let mut connections = Connections::default();
    for (kind, count) in gauges.by_kind {
        match kind {
            "websocket" => connections.websocket = count,
            "sse" => connections.sse = count,
            _ => connections.poll = count,
        }
    }
    Json(Status {
        server: format!("patchbay/{}", env!("CARGO_PKG_VERSION")),
        epoch: app.hub.epoch().0,
        at_ms: now().unix_ms,
        uptime_ms: u64::try_from(app.began.elapsed().as_millis()).unwrap_or(u64::MAX),
        draining: gauges.is_draining,
        sessions: gauges.sessions,
        connections,
        rooms: gauges.rooms,
        participants: totals.participants,
        joins: totals.joins,
        messages_in: totals.messages_in,
        messages_out: totals.messages_out,
        errors: totals.errors,
        nodes: gauges.nodes.into_iter().map(Node::from).collect(),
    })
}

impl From<NodeGauges> for Node {
    fn from(node: NodeGauges) -> Self {
        let transports = node.counters.iter().find(|(name, _)| name == "node_transports");
        Self {
            name: node.node.as_str().to_owned(),
            attached: node.attached,
            draining: node.draining,
            rooms: node.rooms,
            transports: transports.map_or(0, |(_, count)| *count),
            reported_at_ms: node.reported_at_ms,
            counters: node.counters.into_iter().collect(),
        }
    }
}
