use async_trait::async_trait;
use uuid::Uuid;

use super::domain::{Metric, MetricBatch, NewMetric, RecordedBatch, RecordedMetric};
use super::otlp::{ExportOutcome, TraceExport};
use super::spans::{BegunSpan, EndedSpan, NewSpan, SpanEnd, TracePage, TraceQuery};
use super::tree::Trace;
use crate::kernel::{Call, PortResult, Text255};

/// Keeps operations: what was done, when, and how long it took. Adapters: PostgreSQL, another Flamewarden.
///
/// Metrics and spans are rows of one table: a metric with ids is a span too, and a span that was begun and ended here is no
/// metric.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait OperationSor: Send + Sync {
    /// Records an operation. For a key that is known it answers what it answered the first time.
    async fn record(&self, call: &Call, metric: NewMetric, key: Option<Uuid>) -> PortResult<RecordedMetric>;

    /// Records operations in one transaction. For a key that is known it answers what it answered the first time.
    async fn record_all(&self, call: &Call, batch: MetricBatch, key: Option<Uuid>) -> PortResult<RecordedBatch>;

    /// Records spans that an exporter sent, in one transaction. A message that was recorded before is not recorded again.
    /// Answers what was rejected, here included.
    async fn record_export(&self, call: &Call, export: TraceExport) -> PortResult<ExportOutcome>;

    /// The metric of an id.
    async fn metric(&self, call: &Call, id: i64) -> PortResult<Option<Metric>>;

    /// Begins a span. `Conflict`: a span of that id runs, or ended within the last hour.
    async fn begin_span(&self, call: &Call, span: NewSpan) -> PortResult<BegunSpan>;

    /// Ends a span. `None`: no span of that id was begun. `Conflict`: it has ended; `Invalid`: it began later.
    async fn end_span(&self, call: &Call, id: &Text255, end: SpanEnd) -> PortResult<Option<EndedSpan>>;

    /// A page of traces, by their roots, newest first.
    async fn traces(&self, call: &Call, query: &TraceQuery) -> PortResult<TracePage>;

    /// The trace of an id.
    async fn trace(&self, call: &Call, id: &Text255) -> PortResult<Option<Trace>>;
}
