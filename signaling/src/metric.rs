//! Counters, and `/metrics` in the Prometheus text format (version 0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use patchbay_protocol::{ErrorCode, NodeName};

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What signaling counts.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) connections: Counter,
    pub(crate) connections_refused: Counter,
    pub(crate) joins: Counter,
    pub(crate) slow_consumers: Counter,
    pub(crate) heartbeat_timeouts: Counter,
    pub(crate) origin_refused: Counter,
    pub(crate) whip_resources: Counter,
    messages: Mutex<BTreeMap<&'static str, u64>>,
    errors: Mutex<BTreeMap<String, u64>>,
}

/// Numbers that go up and down, read when they are asked for.
pub(crate) struct Gauges {
    pub(crate) connections: u64,
    pub(crate) rooms: u64,
    pub(crate) resources: u64,
    pub(crate) nodes: Vec<NodeGauges>,
}

/// What is known of one node.
pub(crate) struct NodeGauges {
    pub(crate) node: NodeName,
    pub(crate) attached: bool,
    pub(crate) rooms: u64,
    pub(crate) pending_commands: u64,
    /// The node's last report.
    pub(crate) counters: Vec<(String, u64)>,
}

impl Metrics {
    /// One client message of a type that this server knows.
    pub(crate) fn message(&self, kind: &'static str) {
        *lock(&self.messages).entry(kind).or_default() += 1;
    }

    /// One refusal.
    pub(crate) fn error(&self, code: ErrorCode) {
        *lock(&self.errors).entry(code_name(code)).or_default() += 1;
    }

    /// Everything, as text.
    pub(crate) fn render(&self, gauges: &Gauges) -> String {
        let mut text = String::new();
        let single = [
            (
                "patchbay_connections_total",
                "counter",
                "WebSocket connections accepted.",
                self.connections.value(),
            ),
            (
                "patchbay_connections_refused_total",
                "counter",
                "Refused at the cap.",
                self.connections_refused.value(),
            ),
            ("patchbay_connections", "gauge", "WebSocket connections open now.", gauges.connections),
            (
                "patchbay_origin_refused_total",
                "counter",
                "Requests from a foreign Origin.",
                self.origin_refused.value(),
            ),
            (
                "patchbay_slow_consumers_total",
                "counter",
                "Clients cut off with a full outbox.",
                self.slow_consumers.value(),
            ),
            (
                "patchbay_heartbeat_timeouts_total",
                "counter",
                "Half-open connections found.",
                self.heartbeat_timeouts.value(),
            ),
            ("patchbay_joins_total", "counter", "Joins sent to rooms.", self.joins.value()),
            ("patchbay_rooms", "gauge", "Rooms open now.", gauges.rooms),
            (
                "patchbay_whip_resources_total",
                "counter",
                "WHIP and WHEP resources made.",
                self.whip_resources.value(),
            ),
            ("patchbay_whip_resources", "gauge", "WHIP and WHEP resources now.", gauges.resources),
        ];
        for (name, kind, help, value) in single {
            head(&mut text, name, kind, help);
            let _ = writeln!(text, "{name} {value}");
        }
        head(&mut text, "patchbay_messages_total", "counter", "Client messages by type.");
        for (kind, count) in lock(&self.messages).iter() {
            let _ = writeln!(text, "patchbay_messages_total{{type=\"{kind}\"}} {count}");
        }
        head(&mut text, "patchbay_errors_total", "counter", "Refused requests by code.");
        for (code, count) in lock(&self.errors).iter() {
            let _ = writeln!(text, "patchbay_errors_total{{code=\"{code}\"}} {count}");
        }
        render_nodes(&mut text, &gauges.nodes);
        text
    }
}

fn render_nodes(text: &mut String, nodes: &[NodeGauges]) {
    head(text, "patchbay_node_attached", "gauge", "Whether the node's link is up.");
    for node in nodes {
        let _ = writeln!(
            text,
            "patchbay_node_attached{{node=\"{}\"}} {}",
            escape(&node.node),
            u8::from(node.attached)
        );
    }
    head(text, "patchbay_node_rooms", "gauge", "Rooms placed on the node.");
    for node in nodes {
        let _ = writeln!(text, "patchbay_node_rooms{{node=\"{}\"}} {}", escape(&node.node), node.rooms);
    }
    head(text, "patchbay_node_pending_commands", "gauge", "Commands without an answer.");
    for node in nodes {
        let _ = writeln!(
            text,
            "patchbay_node_pending_commands{{node=\"{}\"}} {}",
            escape(&node.node),
            node.pending_commands
        );
    }
    let mut by_name: BTreeMap<String, Vec<(&NodeName, u64)>> = BTreeMap::new();
    for node in nodes {
        for (name, value) in &node.counters {
            by_name.entry(metric_name(name)).or_default().push((&node.node, *value));
        }
    }
    for (name, values) in by_name {
        let _ = writeln!(text, "# TYPE patchbay_sfu_{name} untyped");
        for (node, value) in values {
            let _ = writeln!(text, "patchbay_sfu_{name}{{node=\"{}\"}} {value}", escape(node));
        }
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// The code as it stands on the wire.
fn code_name(code: ErrorCode) -> String {
    serde_json::to_value(code).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Letters, digits and `_` only: a node's report can't break the format.
fn metric_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn escape(node: &NodeName) -> String {
    node.as_str().replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_holds_what_was_counted_and_nothing_can_break_its_lines() {
        let metrics = Metrics::default();
        metrics.message("join");
        metrics.error(ErrorCode::TokenExpired);
        let node = NodeGauges {
            node: NodeName::new("a\"b\nc"),
            attached: true,
            rooms: 2,
            pending_commands: 0,
            counters: vec![("udp bytes\n".into(), 7)],
        };
        let text = metrics.render(&Gauges { connections: 1, rooms: 2, resources: 0, nodes: vec![node] });
        assert!(text.contains("patchbay_messages_total{type=\"join\"} 1\n"));
        assert!(text.contains("patchbay_errors_total{code=\"token_expired\"} 1\n"));
        assert!(text.contains("patchbay_sfu_udp_bytes_{node=\"a\\\"b\\nc\"} 7\n"));
        assert!(text.lines().all(|line| line.starts_with('#') || line.starts_with("patchbay_")));
    }
}
