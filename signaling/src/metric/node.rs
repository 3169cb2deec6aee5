//! What is known of nodes: gauges of the hub, and the counters of each node's last report under its own names.

use std::collections::BTreeMap;

use patchbay_protocol::NodeName;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

/// What goes up and down in reports. All else is counted from the node's start.
const GAUGES: [&str; 12] = [
    "patchbay_sfu_node_rooms",
    "patchbay_sfu_node_transports",
    "patchbay_sfu_paths",
    "patchbay_sfu_rooms",
    "patchbay_sfu_signaled_ways",
    "patchbay_sfu_tcp_connections",
    "patchbay_sfu_transports",
    "patchbay_sfu_transports_on_tcp",
    "patchbay_sfu_udp_gso",
    "patchbay_sfu_udp_receive_buffer_bytes",
    "patchbay_sfu_udp_send_buffer_bytes",
    "patchbay_sfu_workers",
];

/// What is known of one node.
#[derive(Debug)]
pub(crate) struct NodeGauges {
    pub(crate) node: NodeName,
    pub(crate) attached: bool,
    pub(crate) draining: bool,
    pub(crate) rooms: u64,
    pub(crate) pending_commands: u64,
    /// When that came, Unix time in milliseconds; 0 before the first.
    pub(crate) reported_at_ms: u64,
    /// The node's last report.
    pub(crate) counters: Vec<(String, u64)>,
}

/// All of it. Nothing at all without nodes.
pub(super) fn families(nodes: &[NodeGauges]) -> Vec<MetricFamily> {
    let gauge = |name: &str, help: &str, value: &dyn Fn(&NodeGauges) -> u64| {
        family(name, help, nodes.iter().map(|node| (&node.node, value(node))).collect())
    };
    let mut families = vec![
        gauge("patchbay_node_attached", "Whether the node's link is up.", &|node| u64::from(node.attached)),
        gauge("patchbay_node_draining", "Whether nothing new is placed on the node.", &|node| {
            u64::from(node.draining)
        }),
        gauge("patchbay_node_rooms", "Rooms placed on the node.", &|node| node.rooms),
        gauge("patchbay_node_pending_commands", "Commands without an answer.", &|node| node.pending_commands),
    ];
    let mut by_name: BTreeMap<String, Vec<(&NodeName, u64)>> = BTreeMap::default();
    for node in nodes {
        for (name, value) in &node.counters {
            by_name.entry(metric_name(name)).or_default().push((&node.node, *value));
        }
    }
    families.extend(by_name.into_iter().map(|(name, values)| {
        let words = name.trim_end_matches("_total").replace('_', " ");
        let help = format!("As the node itself reports: {words}.");
        family(&format!("patchbay_sfu_{name}"), &help, values)
    }));
    families.retain(|family| !family.get_metric().is_empty());
    families
}

/// A counter or a gauge if its name says so.
fn family(name: &str, help: &str, values: Vec<(&NodeName, u64)>) -> MetricFamily {
    let is_gauge = name.starts_with("patchbay_node_") || GAUGES.contains(&name);
    let metric = |(node, value): (&NodeName, u64)| {
        let mut label = LabelPair::default();
        label.set_name("node".to_owned());
        label.set_value(node.as_str().to_owned());
        let mut metric = Metric::from_label(vec![label]);
        // Past 2^53 a number loses its last digits, as it does in Prometheus.
        let value = value as f64;
        if is_gauge {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        } else {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        }
        metric
    };
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(if is_gauge { MetricType::GAUGE } else { MetricType::COUNTER });
    family.set_metric(values.into_iter().map(metric).collect());
    family
}

/// Letters, digits and `_` only: a node's report can't break the format.
fn metric_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}
