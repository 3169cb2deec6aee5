//! What is known of nodes: gauges of the hub, and the counters of each node's last report under its own names.

use std::collections::BTreeMap;

use patchbay_protocol::NodeName;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

/// What is known of one node.
#[derive(Debug)]
pub(crate) struct NodeGauges {
    pub(crate) node: NodeName,
    pub(crate) attached: bool,
    pub(crate) draining: bool,
    pub(crate) rooms: u64,
    pub(crate) pending_commands: u64,
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

/// A counter if its name says so.
fn family(name: &str, help: &str, values: Vec<(&NodeName, u64)>) -> MetricFamily {
    let is_counter = name.ends_with("_total");
    let metric = |(node, value): (&NodeName, u64)| {
        let mut label = LabelPair::default();
        label.set_name("node".to_owned());
        label.set_value(node.as_str().to_owned());
        let mut metric = Metric::from_label(vec![label]);
        // Past 2^53 a number loses its last digits, as it does in Prometheus.
        if is_counter {
            let mut counter = Counter::default();
            counter.set_value(value as f64);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value as f64);
            metric.set_gauge(gauge);
        }
        metric
    };
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(if is_counter { MetricType::COUNTER } else { MetricType::GAUGE });
    family.set_metric(values.into_iter().map(metric).collect());
    family
}

/// Letters, digits and `_` only: a node's report can't break the format.
fn metric_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}
