//! Traces that follow one join through the processes: from what the client asks, through its room and the link, to the node
//! that answers and the peer that is connected.
//!
//! Spans of traces are `tracing` spans of the target [`TARGET`], so that logs and traces don't mix. Without an
//! [`Exporter`] they are disabled and cost a comparison. Between processes a trace is carried as a `traceparent` (W3C
//! Trace Context, version 00).

mod export;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

pub use export::{ExportError, Exporter, layer};

/// The target of all spans that belong to traces. Filters of logs leave it out.
pub const TARGET: &str = "patchbay_trace";

/// Whether the current span belongs to a trace.
pub fn is_in_trace() -> bool {
    Span::current().metadata().is_some_and(|metadata| metadata.target() == TARGET)
}

/// A span's place in its trace, for another process. None without an exporter.
pub fn traceparent(span: &Span) -> Option<String> {
    let context = span.context();
    let context = context.span().span_context().clone();
    context.is_valid().then(|| {
        format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags().to_u8())
    })
}

/// Makes a span part of the trace that another process began. What is no `traceparent` is ignored.
pub fn continue_from(span: &Span, traceparent: &str) {
    if let Some(parent) = parse(traceparent) {
        // It fails for a span that nobody records.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
}

/// `00-TRACE-PARENT-FLAGS` in lower-case hexadecimal digits (W3C Trace Context §3.2).
fn parse(text: &str) -> Option<SpanContext> {
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |part: &str, length| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    if version != "00"
        || parts.next().is_some()
        || !is_hex(trace, 32)
        || !is_hex(span, 16)
        || !is_hex(flags, 2)
    {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        flags,
        true,
        TraceState::default(),
    );
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_traceparent_is_ignored() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(parse(good).is_some_and(|it| it.is_sampled() && it.is_remote()));
        for bad in [
            "",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333-01",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
