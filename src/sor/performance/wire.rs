//! Bodies of the routes. The remote adapter sends and reads the same.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::domain::{Ended, MetricBatch, Micros, NewMetric, OutOfRange, RejectedMetric, SpanIds, check_time};
use super::names::{OperationScope, OperationType};
use super::spans::TraceRoot;
use crate::http::{Code, Problem};
use crate::kernel::{JsonObject, Text255};

/// An operation that ended.
///
/// Values are checked one by one, so that a batch can say which of its metrics were not recorded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = NewMetric, example = json!({"operationType": "commit", "durationUs": 5120, "scope": "branch:7",
    "rowsAffected": 12}))]
pub(super) struct NewMetricBody {
    /// The type of operation: 1 to 128 bytes.
    #[schema(min_length = 1, max_length = 128)]
    operation_type: String,
    /// How long it took, in microseconds: up to 31 days.
    #[schema(minimum = 0, maximum = 2_678_400_000_000_i64)]
    duration_us: i64,
    /// What exactly was done, where the type does not say it: 1 to 255 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 255)]
    operation_name: Option<String>,
    /// The scope: an app, a service or `branch:7`; up to 512 bytes, none if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 512)]
    scope: Option<String>,
    /// Who did it: 1 to 255 bytes; the caller if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 255)]
    user_name: Option<String>,
    /// The session that it was part of: 1 to 255 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 255)]
    session_id: Option<String>,
    /// How many rows it changed or read.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows_affected: Option<i64>,
    /// The memory that it used, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes: Option<i64>,
    /// The CPU time that it used, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_us: Option<i64>,
    /// Further details: up to 64 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    /// What went wrong: up to 64 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    error_details: Option<Value>,
    /// Whether it failed; whether there are `errorDetails` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<bool>,
    /// When it began. Give this or `endedAt` or neither, for now. The end must be from 7 days ago to 10 minutes ahead.
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<DateTime<Utc>>,
    /// The trace that it is a span of: 32 hexadecimal digits, a UUID, or any text of 1 to 255 bytes. Give it with `spanId`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 255)]
    trace_id: Option<String>,
    /// The span that it is: 16 hexadecimal digits, or any text of 1 to 255 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 255)]
    span_id: Option<String>,
    /// The span that it is part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 255)]
    parent_span_id: Option<String>,
}

/// Why a metric is not recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unrecordable {
    code: Code,
    member: &'static str,
    why: String,
}

impl Unrecordable {
    fn of(member: &'static str, why: impl Into<String>) -> Self {
        Self { code: Code::BodyInvalid, member, why: why.into() }
    }

    /// As an item of a batch.
    fn at(self, index: usize) -> RejectedMetric {
        RejectedMetric { index, code: self.code.id().to_owned(), detail: format!("/{}: {}", self.member, self.why) }
    }
}

impl From<Unrecordable> for Problem {
    fn from(error: Unrecordable) -> Self {
        Self::field(error.code, format!("/{}", error.member), error.why)
    }
}

/// Reads a member that may be absent.
fn member<V, T>(name: &'static str, value: Option<V>) -> Result<Option<T>, Unrecordable>
where
    T: TryFrom<V>,
    T::Error: ToString,
{
    value.map(T::try_from).transpose().map_err(|why| Unrecordable::of(name, why.to_string()))
}

impl NewMetricBody {
    /// The metric.
    pub(super) fn checked(self, now: DateTime<Utc>) -> Result<NewMetric, Unrecordable> {
        let duration = Micros::try_from(self.duration_us).map_err(|why| Unrecordable::of("durationUs", why))?;
        let operation_type = self.operation_type.parse::<OperationType>();
        let operation_type = operation_type.map_err(|why| Unrecordable::of("operationType", why.to_string()))?;
        let scope = self.scope.as_deref().unwrap_or_default().parse::<OperationScope>();
        let ended = match (self.started_at, self.ended_at) {
            (None, None) => Ended::Now,
            (Some(start), None) => Ended::At(start.checked_add_signed(duration.delta()).unwrap_or(start)),
            (None, Some(end)) => Ended::At(end),
            (Some(_), Some(_)) => return Err(Unrecordable::of("endedAt", "give startedAt or endedAt, not both")),
        };
        if let Ended::At(end) = ended {
            let given = if self.started_at.is_some() { "startedAt" } else { "endedAt" };
            let out_of_range = |why: OutOfRange| Unrecordable {
                code: Code::TimeOutOfRange,
                member: given,
                why: format!("the end {why}"),
            };
            check_time(end, now).map_err(out_of_range)?;
        }
        let parent = member::<_, Text255>("parentSpanId", self.parent_span_id)?;
        let span = match (member("traceId", self.trace_id)?, member("spanId", self.span_id)?) {
            (Some(trace), Some(span)) => Some(SpanIds { trace, span, parent }),
            (None, None) if parent.is_none() => None,
            _ => return Err(Unrecordable::of("spanId", "give traceId and spanId, or no id")),
        };
        let error_details = member::<_, JsonObject>("errorDetails", self.error_details)?;
        Ok(NewMetric {
            operation_type,
            duration,
            operation_name: member("operationName", self.operation_name)?,
            scope: scope.map_err(|why| Unrecordable::of("scope", why.to_string()))?,
            user_name: member("userName", self.user_name)?,
            session_id: member("sessionId", self.session_id)?,
            rows_affected: self.rows_affected,
            memory_bytes: self.memory_bytes,
            cpu_us: self.cpu_us,
            metadata: member("metadata", self.metadata)?,
            failed: self.failed.unwrap_or(error_details.is_some()),
            error_details,
            ended,
            span,
        })
    }
}

fn text(text: Option<&Text255>) -> Option<String> {
    text.map(ToString::to_string)
}

fn object(object: Option<&JsonObject>) -> Option<Value> {
    object.map(|object| object.as_value().clone())
}

impl From<&NewMetric> for NewMetricBody {
    fn from(metric: &NewMetric) -> Self {
        let span = metric.span.as_ref();
        Self {
            operation_type: metric.operation_type.to_string(),
            duration_us: metric.duration.get(),
            operation_name: text(metric.operation_name.as_ref()),
            scope: Some(metric.scope.to_string()),
            user_name: text(metric.user_name.as_ref()),
            session_id: text(metric.session_id.as_ref()),
            rows_affected: metric.rows_affected,
            memory_bytes: metric.memory_bytes,
            cpu_us: metric.cpu_us,
            metadata: object(metric.metadata.as_ref()),
            error_details: object(metric.error_details.as_ref()),
            failed: Some(metric.failed),
            started_at: None,
            ended_at: match metric.ended {
                Ended::Now => None,
                Ended::At(end) => Some(end),
            },
            trace_id: span.map(|span| span.trace.to_string()),
            span_id: span.map(|span| span.span.to_string()),
            parent_span_id: span.and_then(|span| text(span.parent.as_ref())),
        }
    }
}

/// Operations that ended: up to 5,000.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewMetrics, example = json!({"metrics": [{"operationType": "commit", "durationUs": 5120},
    {"operationType": "conflict_detection", "durationUs": 4800, "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
        "spanId": "53995c3f42cd8ad8", "parentSpanId": "00f067aa0ba902b7"}]}))]
pub(super) struct NewMetricsBody {
    /// What is to be recorded: each as the body of `POST /performance/metrics`.
    #[schema(value_type = Vec<Object>, max_items = 5_000)]
    pub(super) metrics: Vec<NewMetricBody>,
}

impl NewMetricsBody {
    /// The metrics that are to be recorded, and those that are not.
    pub(super) fn checked(self, now: DateTime<Utc>) -> MetricBatch {
        let mut batch = MetricBatch::default();
        for (index, metric) in self.metrics.into_iter().enumerate() {
            match metric.checked(now) {
                Ok(metric) => batch.metrics.push((index, metric)),
                Err(error) => batch.rejected.push(error.at(index)),
            }
        }
        batch
    }
}

impl From<&MetricBatch> for NewMetricsBody {
    fn from(batch: &MetricBatch) -> Self {
        Self { metrics: batch.metrics.iter().map(|(_, metric)| metric.into()).collect() }
    }
}

/// Traces, by their roots.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OperationTraces)]
pub(super) struct TracesBody {
    /// How many this page holds.
    pub(super) count: usize,
    /// The roots, newest first.
    pub(super) traces: Vec<TraceRoot>,
    /// Continues the list; absent on its last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub(super) next_cursor: Option<String>,
}
