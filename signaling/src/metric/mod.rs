//! What signaling counts and measures, and `/metrics` in the Prometheus text format (version 0.0.4).
//!
//! Names end in their unit, counters in `_total`. Labels have few values, none of which a client chooses: message types,
//! codes, kinds of connections, outcomes, nodes. Every name is described in `docs/operation.md`, which a test compares.

mod node;

use std::time::Duration;

use patchbay_protocol::ErrorCode;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder, core::Collector,
};

pub(crate) use node::NodeGauges;

/// Bounds of latency buckets in seconds: from an answer out of memory to a node that hardly answers.
const LATENCY_SECONDS: [f64; 12] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// A number that only grows.
#[derive(Debug)]
pub(crate) struct Counter(IntCounter);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.inc_by(count);
    }
}

/// One part's share of a number that many parts make up; it goes with the part.
#[derive(Debug)]
pub(crate) struct Share {
    sum: IntGauge,
    own: i64,
}

impl Share {
    /// Makes the share this large.
    pub(crate) fn set(&mut self, own: usize) {
        let own = i64::try_from(own).unwrap_or(i64::MAX);
        if own != self.own {
            self.sum.add(own - self.own);
            self.own = own;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.sum.sub(self.own);
    }
}

/// What signaling counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) connections: Counter,
    pub(crate) connections_refused: Counter,
    pub(crate) sse_connections: Counter,
    pub(crate) poll_connections: Counter,
    pub(crate) superseded: Counter,
    pub(crate) joins: Counter,
    pub(crate) slow_consumers: Counter,
    pub(crate) heartbeat_timeouts: Counter,
    pub(crate) origin_refused: Counter,
    pub(crate) whip_resources: Counter,
    pub(crate) replayed_messages: Counter,
    /// Sessions whose outbox was full: what they missed can't be made up for.
    pub(crate) sessions_lost: Counter,
    pub(crate) chat_lines: Counter,
    resumes: IntCounterVec,
    webhooks: IntCounterVec,
    api_requests: IntCounterVec,
    /// Targets of webhooks that are left alone for a while.
    pub(crate) webhook_breaks: IntGauge,
    messages: IntCounterVec,
    messages_out: IntCounterVec,
    errors: IntCounterVec,
    request_seconds: HistogramVec,
    join_seconds: Histogram,
    participants: IntGauge,
    now: NowGauges,
}

/// Gauges that are set when they are asked for.
#[derive(Debug)]
struct NowGauges {
    connections: IntGauge,
    connections_by_kind: IntGaugeVec,
    sessions: IntGauge,
    rooms: IntGauge,
    resources: IntGauge,
    draining: IntGauge,
}

/// What came of a client's attempt to resume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResumeOutcome {
    /// It goes on where it was.
    Resumed,
    /// It is back after a restart of the server, with a snapshot.
    Rebuilt,
    /// Its session is over or unknown.
    Gone,
}

/// What came of a call of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WebhookOutcome {
    /// Its target took it.
    Delivered,
    /// It will be tried again.
    Retried,
    /// It was given up, or its queue was full.
    Dropped,
}

/// Sums over all types and codes, since the start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Totals {
    /// Not a total: how many there are.
    pub(crate) participants: u64,
    pub(crate) joins: u64,
    pub(crate) messages_in: u64,
    pub(crate) messages_out: u64,
    pub(crate) errors: u64,
}

/// Numbers that go up and down, read when they are asked for.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    pub(crate) connections: u64,
    pub(crate) by_kind: Vec<(&'static str, u64)>,
    pub(crate) sessions: u64,
    pub(crate) rooms: u64,
    pub(crate) resources: u64,
    pub(crate) is_draining: bool,
    pub(crate) nodes: Vec<NodeGauges>,
}

impl Default for Metrics {
    fn default() -> Self {
        let registry = Registry::new();
        let make = Maker(&registry);
        let webhooks = make.counters("patchbay_webhooks_total", "Calls of webhooks by outcome.", "outcome");
        let resumes =
            make.counters("patchbay_resumes_total", "Attempts to resume a session by outcome.", "outcome");
        for outcome in [WebhookOutcome::Delivered, WebhookOutcome::Retried, WebhookOutcome::Dropped] {
            webhooks.with_label_values(&[outcome.name()]);
        }
        for outcome in [ResumeOutcome::Resumed, ResumeOutcome::Rebuilt, ResumeOutcome::Gone] {
            resumes.with_label_values(&[outcome.name()]);
        }
        let now = NowGauges {
            connections: make.gauge("patchbay_connections", "Connections of clients open now."),
            connections_by_kind: make.gauges(
                "patchbay_connections_by_kind",
                "The same by what carries them.",
                "kind",
            ),
            sessions: make
                .gauge("patchbay_sessions", "Sessions now, those that wait to be resumed included."),
            rooms: make.gauge("patchbay_rooms", "Rooms open now."),
            resources: make.gauge("patchbay_whip_resources", "WHIP and WHEP resources now."),
            draining: make.gauge("patchbay_draining", "1 while the server goes away."),
        };
        Self {
            connections: make.counter("patchbay_connections_total", "WebSocket connections accepted."),
            connections_refused: make
                .counter("patchbay_connections_refused_total", "Connections refused at a cap."),
            sse_connections: make
                .counter("patchbay_sse_connections_total", "Connections over SSE that began."),
            poll_connections: make
                .counter("patchbay_poll_connections_total", "Connections over long polling that began."),
            superseded: make
                .counter("patchbay_superseded_total", "Connections whose session a newer one took over."),
            joins: make.counter("patchbay_joins_total", "Joins sent to rooms."),
            slow_consumers: make
                .counter("patchbay_slow_consumers_total", "Clients cut off with a full outbox."),
            heartbeat_timeouts: make
                .counter("patchbay_heartbeat_timeouts_total", "Half-open connections found."),
            origin_refused: make.counter("patchbay_origin_refused_total", "Requests from a foreign Origin."),
            whip_resources: make.counter("patchbay_whip_resources_total", "WHIP and WHEP resources made."),
            replayed_messages: make
                .counter("patchbay_replayed_messages_total", "Messages sent again after a resume."),
            sessions_lost: make.counter(
                "patchbay_sessions_lost_total",
                "Sessions that missed messages for good: their outbox was full.",
            ),
            chat_lines: make.counter("patchbay_chat_lines_total", "Chat lines taken in."),
            resumes,
            webhooks,
            api_requests: make.counters(
                "patchbay_api_requests_total",
                "Requests of the server's API by outcome.",
                "outcome",
            ),
            webhook_breaks: make
                .gauge("patchbay_webhook_breaks", "Targets of webhooks left alone for a while."),
            messages: make.counters("patchbay_messages_total", "Client messages by type.", "type"),
            messages_out: make.counters(
                "patchbay_messages_out_total",
                "Server messages by type, once for each who is told.",
                "type",
            ),
            errors: make.counters("patchbay_errors_total", "Refused requests by code.", "code"),
            request_seconds: make.histograms(
                "patchbay_request_duration_seconds",
                "From a request to its reply, by type.",
                "type",
            ),
            join_seconds: make.histogram("patchbay_join_duration_seconds", "From a join to its reply."),
            participants: make.gauge("patchbay_participants", "Participants in rooms now."),
            now,
            registry,
        }
    }
}

impl Metrics {
    /// One client message of a type that this server knows.
    pub(crate) fn message(&self, kind: &'static str) {
        self.messages.with_label_values(&[kind]).inc();
    }

    /// One server message on its way to one client, by its type.
    pub(crate) fn sent(&self, kind: &str) {
        self.messages_out.with_label_values(&[kind]).inc();
    }

    /// One refusal.
    pub(crate) fn error(&self, code: ErrorCode) {
        self.errors.with_label_values(&[&code_name(code)]).inc();
    }

    /// A request of a type had its reply after this time.
    pub(crate) fn replied(&self, kind: &'static str, after: Duration) {
        let seconds = after.as_secs_f64();
        self.request_seconds.with_label_values(&[kind]).observe(seconds);
        if kind == "join" {
            self.join_seconds.observe(seconds);
        }
    }

    /// One attempt to resume.
    pub(crate) fn resumed(&self, outcome: ResumeOutcome) {
        self.resumes.with_label_values(&[outcome.name()]).inc();
    }

    /// A room's share of all participants.
    pub(crate) fn participants(&self) -> Share {
        Share { sum: self.participants.clone(), own: 0 }
    }

    /// One call of a webhook.
    pub(crate) fn webhook(&self, outcome: WebhookOutcome) {
        self.webhooks.with_label_values(&[outcome.name()]).inc();
    }

    /// One answer of the server's API.
    pub(crate) fn api_request(&self, status: u16) {
        let class = match status {
            100..=399 => "ok",
            400..=499 => "refused",
            _ => "failed",
        };
        self.api_requests.with_label_values(&[class]).inc();
    }

    /// What the server's API tells as totals.
    pub(crate) fn totals(&self) -> Totals {
        let sum = |counters: &IntCounterVec| {
            let families = counters.collect();
            let all = families.iter().flat_map(|family| family.get_metric());
            all.map(|metric| metric.get_counter().get_value() as u64).sum()
        };
        Totals {
            participants: u64::try_from(self.participants.get()).unwrap_or_default(),
            joins: self.joins.0.get(),
            messages_in: sum(&self.messages),
            messages_out: sum(&self.messages_out),
            errors: sum(&self.errors),
        }
    }

    /// Everything, as text.
    pub(crate) fn render(&self, gauges: &Gauges) -> String {
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.now.connections.set(count(gauges.connections));
        self.now.sessions.set(count(gauges.sessions));
        self.now.rooms.set(count(gauges.rooms));
        self.now.resources.set(count(gauges.resources));
        self.now.draining.set(i64::from(gauges.is_draining));
        for (kind, number) in &gauges.by_kind {
            self.now.connections_by_kind.with_label_values(&[*kind]).set(count(*number));
        }
        let mut families = self.registry.gather();
        families.extend(node::families(&gauges.nodes));
        let mut text = Vec::new();
        // It fails on families without a name or a number, of which there are none.
        let _ = TextEncoder::new().encode(&families, &mut text);
        String::from_utf8(text).unwrap_or_default()
    }
}

impl ResumeOutcome {
    fn name(self) -> &'static str {
        match self {
            Self::Resumed => "resumed",
            Self::Rebuilt => "rebuilt",
            Self::Gone => "gone",
        }
    }
}

impl WebhookOutcome {
    fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retried => "retried",
            Self::Dropped => "dropped",
        }
    }
}

/// Makes what is registered with one registry. Names are written in this file, so none is malformed or there twice; a test
/// looks at all of them.
struct Maker<'a>(&'a Registry);

impl Maker<'_> {
    fn register<T: Collector + Clone + 'static>(&self, made: Result<T, prometheus::Error>) -> T {
        let made = made.unwrap_or_else(|error| unreachable!("a metric's name is a literal: {error}"));
        if let Err(error) = self.0.register(Box::new(made.clone())) {
            unreachable!("a metric is registered once: {error}");
        }
        made
    }

    fn counter(&self, name: &str, help: &str) -> Counter {
        Counter(self.register(IntCounter::new(name, help)))
    }

    fn counters(&self, name: &str, help: &str, label: &str) -> IntCounterVec {
        self.register(IntCounterVec::new(Opts::new(name, help), &[label]))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.register(IntGauge::new(name, help))
    }

    fn gauges(&self, name: &str, help: &str, label: &str) -> IntGaugeVec {
        self.register(IntGaugeVec::new(Opts::new(name, help), &[label]))
    }

    fn histogram(&self, name: &str, help: &str) -> Histogram {
        self.register(Histogram::with_opts(HistogramOpts::new(name, help).buckets(LATENCY_SECONDS.to_vec())))
    }

    fn histograms(&self, name: &str, help: &str, label: &str) -> HistogramVec {
        let options = HistogramOpts::new(name, help).buckets(LATENCY_SECONDS.to_vec());
        self.register(HistogramVec::new(options, &[label]))
    }
}

/// The code as it stands on the wire.
fn code_name(code: ErrorCode) -> String {
    serde_json::to_value(code).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use patchbay_protocol::NodeName;

    use super::*;

    fn everything() -> String {
        let metrics = Metrics::default();
        metrics.message("join");
        metrics.sent("chat");
        metrics.error(ErrorCode::TokenExpired);
        metrics.resumed(ResumeOutcome::Gone);
        metrics.webhook(WebhookOutcome::Dropped);
        metrics.api_request(200);
        metrics.replied("join", Duration::from_millis(3));
        let node = NodeGauges {
            node: NodeName::new("a\"b\nc"),
            attached: true,
            draining: false,
            rooms: 2,
            pending_commands: 0,
            reported_at_ms: 0,
            counters: vec![("udp bytes\n".into(), 7), ("paths".into(), 1), ("udp_sent_total".into(), 3)],
        };
        let gauges =
            Gauges { rooms: 2, by_kind: vec![("websocket", 1)], nodes: vec![node], ..Gauges::default() };
        metrics.render(&gauges)
    }

    #[test]
    fn text_holds_what_was_counted_and_nothing_can_break_its_lines() {
        let text = everything();
        for line in [
            "patchbay_rooms 2",
            "patchbay_connections_by_kind{kind=\"websocket\"} 1",
            "patchbay_messages_total{type=\"join\"} 1",
            "patchbay_messages_out_total{type=\"chat\"} 1",
            "patchbay_errors_total{code=\"token_expired\"} 1",
            "patchbay_resumes_total{outcome=\"gone\"} 1",
            "patchbay_resumes_total{outcome=\"resumed\"} 0",
            "patchbay_join_duration_seconds_bucket{le=\"0.0025\"} 0",
            "patchbay_join_duration_seconds_bucket{le=\"0.005\"} 1",
            "patchbay_sfu_udp_bytes_{node=\"a\\\"b\\nc\"} 7",
            "# TYPE patchbay_sfu_udp_sent_total counter",
            "# TYPE patchbay_sfu_paths gauge",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is missing in\n{text}");
        }
        assert!(text.lines().all(|line| line.starts_with('#') || line.starts_with("patchbay_")));
    }

    #[test]
    fn every_name_is_described() {
        let described = include_str!("../../../docs/operation.md");
        for name in everything().lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
            let is_there =
                [format!("`{name}`"), format!("`{name}{{")].iter().any(|it| described.contains(it));
            assert!(is_there || name.starts_with("patchbay_sfu_"), "{name} is not in docs/operation.md");
        }
    }

    #[test]
    fn every_name_has_help_and_a_type_and_counters_say_so() {
        let text = everything();
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        for sample in samples {
            let name = sample.split(['{', ' ']).next().unwrap_or_default();
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end).filter(|it| it.ends_with("_seconds")))
                .unwrap_or(name);
            let kind = text.lines().find_map(|line| line.strip_prefix(&format!("# TYPE {family} ")));
            assert!(
                text.lines().any(|line| line.starts_with(&format!("# HELP {family} "))),
                "{family}: no help"
            );
            assert!(kind.is_some(), "{family}: no type");
            // Nodes have names of their own.
            let is_own = !family.starts_with("patchbay_sfu_");
            assert_eq!(is_own && kind == Some("counter"), is_own && family.ends_with("_total"), "{family}");
        }
    }
}
