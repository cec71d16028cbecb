//! What kind of work it is, and the rows that are recorded of it.

use std::borrow::Cow;

use chrono::TimeDelta;

use crate::kernel::{JsonObject, Text255};
use crate::sor::performance::{Ended, MetricBatch, Micros, NewMetric, OperationScope, OperationType, SpanIds};
use crate::telemetry::{FinishedTrace, TracedSpan, Work};

/// The type of an operation, by the beginning of the path of its request. Others are not recorded: receivers, health, metrics,
/// pages, what is recorded itself, and what the server is run by.
const REQUESTS: &[(&str, &str, &str)] = &[
    ("/triage/", "triage", "triage"),
    ("/diff/", "diff", "diff"),
    ("/search", "search", "search"),
    ("/fleet/hotspots", "hotspots", "hotspots"),
    ("/profiles/apps", "profile.discover", "profile.discover"),
    ("/profiles/", "profile.fetch", "profile.fetch"),
    ("/baselines", "baseline.read", "baseline.write"),
    ("/history", "history.read", "history.write"),
    ("/services", "registry.read", "registry.write"),
    ("/rules/test", "rule.evaluate", "rule.evaluate"),
    ("/rules", "rule.read", "rule.write"),
];

/// The type of an operation; `None` where it is not recorded.
pub(super) fn kind_of(work: Work<'_>) -> Option<Cow<'static, str>> {
    match work {
        Work::Job(name) => Some(format!("job.{name}").into()),
        Work::Delivery => Some(Cow::Borrowed("history.deliver")),
        Work::Request(method, path) => {
            let (_, read, write) = REQUESTS.iter().find(|(start, ..)| path.starts_with(start))?;
            Some(Cow::Borrowed(if method == "GET" { read } else { write }))
        }
    }
}

/// The rows of traces.
pub(super) fn batch(traces: &[FinishedTrace]) -> MetricBatch {
    let rows = traces.iter().flat_map(|trace| trace.spans.iter().filter_map(|span| row(trace, span)));
    MetricBatch { metrics: rows.enumerate().collect(), rejected: Vec::new() }
}

/// The row of a span; `None` where a name is longer than is kept.
fn row(trace: &FinishedTrace, span: &TracedSpan) -> Option<NewMetric> {
    let micros = i64::try_from(span.took.as_micros()).ok().and_then(Micros::new)?;
    let hex = |id: u64| format!("{id:016x}").parse::<Text255>().ok();
    let error = span.error.map(|code| serde_json::json!({"code": code}));
    Some(NewMetric {
        scope: span.app.parse::<OperationScope>().unwrap_or_default(),
        user_name: trace.user.parse().ok(),
        failed: error.is_some(),
        error_details: error.and_then(|error| JsonObject::try_from(error).ok()),
        ended: Ended::At(span.started_at + TimeDelta::from_std(span.took).ok()?),
        span: Some(SpanIds {
            trace: format!("{:032x}", trace.trace_id).parse().ok()?,
            span: hex(span.id)?,
            parent: span.parent.and_then(hex),
        }),
        ..NewMetric::new(span.kind.parse::<OperationType>().ok()?, micros)
    })
}
