//! Spans: operations that are told when they begin and when they end, and the traces that they make.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::domain::Micros;
use super::names::{OperationScope, OperationType};
use crate::kernel::{JsonObject, Page, Text255, words};

/// A span to begin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"operationType": "merge", "spanName": "merge feature", "scope": "branch:7",
    "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7"}))]
pub struct NewSpan {
    /// The type of operations: 1 to 128 bytes.
    #[schema(value_type = String, min_length = 1, max_length = 128)]
    pub operation_type: OperationType,
    /// What exactly is done: 1 to 255 bytes.
    #[schema(value_type = String, min_length = 1, max_length = 255)]
    pub span_name: Text255,
    /// The trace: 32 hexadecimal digits, a UUID, or any text of 1 to 255 bytes; that of the parent, or a new one, if absent.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    pub trace_id: Option<Text255>,
    /// The span: 16 hexadecimal digits, or any text of 1 to 255 bytes; a new id if absent.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    pub span_id: Option<Text255>,
    /// The span that it is part of.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    pub parent_span_id: Option<Text255>,
    /// What it belongs to: up to 512 bytes; nothing if absent.
    #[schema(value_type = Option<String>, max_length = 512)]
    pub scope: Option<OperationScope>,
    /// Who does it: 1 to 255 bytes; the caller if absent.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    pub user_name: Option<Text255>,
    /// The session that it was part of: 1 to 255 bytes.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    pub session_id: Option<Text255>,
    /// Further details: up to 64 KiB.
    #[schema(value_type = Option<Object>)]
    pub attributes: Option<JsonObject>,
    /// When it began: from 7 days ago to 10 minutes ahead; now if absent.
    pub started_at: Option<DateTime<Utc>>,
}

/// A span that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7",
    "startedAt": "2024-01-23T08:53:20.123456Z"}))]
pub struct BegunSpan {
    /// The trace, 32 hexadecimal digits.
    pub trace_id: String,
    /// The span, as it was given, or 16 hexadecimal digits.
    pub span_id: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
}

words! {
    /// How a span ended.
    SpanOutcome:
    /// It did what it was to do.
    Success = "success",
    /// It did not.
    Failed = "failed",
}

/// How a span ended, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"status": "failed", "errorMessage": "conflict in schema.sql", "errorCode": "CONFLICT"}))]
pub struct SpanEnd {
    /// How it ended.
    pub status: SpanOutcome,
    /// When: from 7 days ago to 10 minutes ahead, and not before its start; now if absent.
    pub ended_at: Option<DateTime<Utc>>,
    /// What went wrong, for people: 1 to 255 bytes.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    pub error_message: Option<Text255>,
    /// What went wrong, for programs: 1 to 255 bytes.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    pub error_code: Option<Text255>,
    /// Details of the error: up to 64 KiB.
    #[schema(value_type = Option<Object>)]
    pub error_details: Option<JsonObject>,
    /// The most memory that it held, in bytes.
    pub memory_peak_bytes: Option<i64>,
    /// The CPU time that it used, in microseconds.
    pub cpu_us: Option<i64>,
    /// Details to add to those of its start: up to 64 KiB.
    #[schema(value_type = Option<Object>)]
    pub attributes: Option<JsonObject>,
}

/// A span that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7", "status": "success",
    "durationUs": 5120}))]
pub struct EndedSpan {
    /// The trace, 32 hexadecimal digits.
    pub trace_id: String,
    /// The span, as it was given.
    pub span_id: String,
    /// How it ended.
    pub status: SpanOutcome,
    /// How long it took, in microseconds.
    pub duration_us: i64,
}

words! {
    /// How a span stands.
    SpanStatus:
    /// It was announced.
    Pending = "pending",
    /// It runs.
    Running = "running",
    /// It did what it was to do.
    Success = "success",
    /// It did not.
    Failed = "failed",
}

/// Which traces to list, by their roots.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceQuery {
    /// Only roots of this type.
    pub operation_type: Option<OperationType>,
    /// Only roots of this scope.
    pub scope: Option<OperationScope>,
    /// Only roots that stand so.
    pub status: Option<SpanStatus>,
    /// Only roots that took at least so long.
    pub min_duration: Option<Micros>,
    /// Only roots that ended at or after this time, or that run.
    pub from: DateTime<Utc>,
    /// Only roots that began before this time.
    pub to: Option<DateTime<Utc>>,
    /// At most this many.
    pub limit: u16,
    /// Those after this one.
    pub after: Option<TracePosition>,
}

impl TraceQuery {
    /// The number of traces in an answer if no limit is given.
    pub const DEFAULT_LIMIT: u16 = 100;
    /// Most traces of an answer.
    pub const MAX_LIMIT: u16 = 1_000;
    /// How far back traces are looked for if no time is given.
    pub const DEFAULT_WINDOW: TimeDelta = TimeDelta::hours(1);
}

/// A position in the list of traces: when the root began, and its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracePosition(pub DateTime<Utc>, pub i64);

/// The first span of a trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7",
    "operationType": "merge", "spanName": "merge", "scope": "branch:7", "status": "success",
    "startedAt": "2024-01-23T08:53:20.123456Z", "durationUs": 100_000}))]
pub struct TraceRoot {
    /// The trace, 32 hexadecimal digits.
    pub trace_id: String,
    /// The span, 16 hexadecimal digits.
    pub span_id: String,
    /// The type of operation.
    pub operation_type: String,
    /// What exactly was done, where the type does not say it.
    pub span_name: String,
    /// The scope; empty: none.
    pub scope: String,
    /// How it stands.
    pub status: SpanStatus,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How long it took, in microseconds; null while it runs.
    pub duration_us: Option<i64>,
}

/// A page of traces, newest first.
pub type TracePage = Page<TraceRoot, TracePosition>;

/// A span of a trace, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    /// The span.
    pub id: i64,
    /// The span that it is part of.
    pub parent: Option<i64>,
    /// The type of operation.
    pub operation_type: String,
    /// What exactly was done, where the type does not say it.
    pub name: String,
    /// The scope.
    pub scope: String,
    /// How it stands.
    pub status: SpanStatus,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How long it took, in microseconds; none while it runs.
    pub duration_us: Option<i64>,
    /// Further details.
    pub attributes: Option<Value>,
    /// What went wrong.
    pub error: Option<Value>,
    /// What happened within it.
    pub events: Option<Value>,
}

impl Span {
    /// Most spans of a trace that are shown.
    pub(super) const MOST: usize = 10_000;
}

/// The spans of a trace, and whether there are more than are shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StoredTrace {
    /// The trace.
    pub trace: Uuid,
    /// The spans, by their start; at most [`Span::MOST`].
    pub spans: Vec<Span>,
    /// Whether there are more.
    pub truncated: bool,
}
