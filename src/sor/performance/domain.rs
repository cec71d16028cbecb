//! Operations and how long they took.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::names::{OperationScope, OperationType};
use crate::kernel::{JsonObject, Text255};

/// How long an operation took: whole microseconds, 0 to 31 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub struct Micros(i64);

impl Micros {
    /// 31 days.
    pub const MAX: i64 = 31 * 24 * 3600 * 1_000_000;

    /// A duration in microseconds; `None` where it is negative or over 31 days.
    pub fn new(micros: i64) -> Option<Self> {
        (0..=Self::MAX).contains(&micros).then_some(Self(micros))
    }

    /// The duration in microseconds.
    pub fn get(self) -> i64 {
        self.0
    }

    /// The duration.
    pub fn delta(self) -> TimeDelta {
        TimeDelta::microseconds(self.0)
    }
}

impl TryFrom<i64> for Micros {
    type Error = String;

    fn try_from(micros: i64) -> Result<Self, String> {
        Self::new(micros).ok_or_else(|| format!("must be 0 to {}", Self::MAX))
    }
}

/// From how long ago on an operation may have ended that is recorded.
pub(super) const OLDEST: TimeDelta = TimeDelta::days(7);
/// How far ahead of this server's clock an operation may end.
pub(super) const AHEAD: TimeDelta = TimeDelta::minutes(10);

/// A time is outside what is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be from 7 days ago to 10 minutes ahead")]
pub(super) struct OutOfRange;

/// Checks that a time is from 7 days ago to 10 minutes ahead.
pub(super) fn check_time(at: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), OutOfRange> {
    if (now - OLDEST..=now + AHEAD).contains(&at) { Ok(()) } else { Err(OutOfRange) }
}

/// When an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// When the database records it.
    Now,
    /// At this time.
    At(DateTime<Utc>),
}

/// Which span of which trace an operation is. Ids are in any spelling: 32 hexadecimal digits or a UUID for a trace, 16 for a
/// span; other texts stand for their MD5.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanIds {
    /// The trace.
    pub trace: Text255,
    /// The span.
    pub span: Text255,
    /// The span that it is part of.
    pub parent: Option<Text255>,
}

/// An operation that ended, to be recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMetric {
    /// The type of operation.
    pub operation_type: OperationType,
    /// How long it took.
    pub duration: Micros,
    /// What exactly was done, where the type does not say it.
    pub operation_name: Option<Text255>,
    /// The scope.
    pub scope: OperationScope,
    /// Who did it; the caller if absent.
    pub user_name: Option<Text255>,
    /// The session that it was part of.
    pub session_id: Option<Text255>,
    /// How many rows it changed or read.
    pub rows_affected: Option<i64>,
    /// The memory that it used, in bytes.
    pub memory_bytes: Option<i64>,
    /// The CPU time that it used, in microseconds.
    pub cpu_us: Option<i64>,
    /// Further details.
    pub metadata: Option<JsonObject>,
    /// What went wrong.
    pub error_details: Option<JsonObject>,
    /// Whether it failed.
    pub failed: bool,
    /// When it ended.
    pub ended: Ended,
    /// Which span it is, if it is one.
    pub span: Option<SpanIds>,
}

impl NewMetric {
    /// An operation that ended now and succeeded, of which nothing else is known.
    pub fn new(operation_type: OperationType, duration: Micros) -> Self {
        Self {
            operation_type,
            duration,
            operation_name: None,
            scope: OperationScope::default(),
            user_name: None,
            session_id: None,
            rows_affected: None,
            memory_bytes: None,
            cpu_us: None,
            metadata: None,
            error_details: None,
            failed: false,
            ended: Ended::Now,
            span: None,
        }
    }
}

/// How a row was recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"id": 7, "severity": null, "ratio": null, "baselineId": null, "alertId": null}))]
pub struct RecordedMetric {
    /// The row's id.
    #[schema(minimum = 1)]
    pub id: i64,
    /// How far it was over the limit; null within it, and where there is none.
    pub severity: Option<String>,
    /// The duration in 99th percentiles of the baseline; null within the limit.
    pub ratio: Option<f64>,
    /// The baseline whose limit it was over.
    pub baseline_id: Option<i64>,
    /// The alert that this opened.
    pub alert_id: Option<i64>,
}

/// An item of a batch that was not recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(example = json!({"index": 3, "code": "body_invalid", "detail": "/durationUs: must be 0 to 2678400000000"}))]
pub struct RejectedMetric {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// The code of the error.
    pub code: String,
    /// What is wrong.
    pub detail: String,
}

/// How many metrics of a batch were recorded, and why others were not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(example = json!({"accepted": 499, "over": 0,
    "rejected": [{"index": 3, "code": "body_invalid", "detail": "/durationUs: must be 0 to 2678400000000"}]}))]
pub struct RecordedBatch {
    /// How many were recorded.
    pub accepted: usize,
    /// How many of them were over a limit.
    pub over: usize,
    /// Those that were not.
    pub rejected: Vec<RejectedMetric>,
}

/// Metrics to record together, each with its place among what was sent; the others of them were rejected.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MetricBatch {
    /// What is to be recorded.
    pub metrics: Vec<(usize, NewMetric)>,
    /// What is not.
    pub rejected: Vec<RejectedMetric>,
}

impl MetricBatch {
    /// Most metrics of a batch.
    pub const MAX: usize = 5_000;
}

/// A row of an operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"id": 7, "operationType": "commit", "durationUs": 5120, "operationName": null, "scope": "branch:7",
    "userName": "token:ci", "sessionId": null, "rowsAffected": 12, "memoryBytes": null, "cpuUs": null, "metadata": null,
    "errorDetails": null, "failed": false, "startedAt": "2024-01-23T08:53:20.118336Z",
    "endedAt": "2024-01-23T08:53:20.123456Z", "traceId": null, "spanId": null, "parentSpanId": null,
    "overBaselineId": null}))]
pub struct Metric {
    /// The row's id.
    pub id: i64,
    /// The type of operation.
    pub operation_type: String,
    /// How long it took, in microseconds.
    pub duration_us: i64,
    /// What exactly was done, where the type does not say it.
    pub operation_name: Option<String>,
    /// The scope; empty: none.
    pub scope: String,
    /// Who did it.
    pub user_name: String,
    /// The session that it was part of.
    pub session_id: Option<String>,
    /// How many rows it changed or read.
    pub rows_affected: Option<i64>,
    /// The memory that it used, in bytes.
    pub memory_bytes: Option<i64>,
    /// The CPU time that it used, in microseconds.
    pub cpu_us: Option<i64>,
    /// Further details.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Value>,
    /// What went wrong.
    #[schema(value_type = Option<Object>)]
    pub error_details: Option<Value>,
    /// Whether it failed.
    pub failed: bool,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
    /// The trace, 32 hexadecimal digits.
    pub trace_id: Option<String>,
    /// The span, 16 hexadecimal digits.
    pub span_id: Option<String>,
    /// The span that it is part of.
    pub parent_span_id: Option<String>,
    /// The baseline whose limit it was over.
    pub over_baseline_id: Option<i64>,
}
