//! Traces in PostgreSQL.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::kernel::{Call, Page, PortError, PortResult, Text255};
use crate::sor::performance::domain::Micros;
use crate::sor::performance::names::{OperationScope, OperationType};
use crate::sor::performance::spans::{Span, SpanStatus, StoredTrace, TracePage, TracePosition, TraceQuery, TraceRoot};
use crate::sor::performance::tree::span_text;
use crate::storage::{Db, Repeat};

fn status(name: &str) -> PortResult<SpanStatus> {
    SpanStatus::of_name(&name.to_ascii_lowercase()).ok_or_else(|| PortError::Internal(format!("a span is {name}")))
}

struct RootRow {
    trace_id: String,
    span_id: i64,
    operation_type: String,
    span_name: String,
    scope: String,
    status: String,
    started_at: DateTime<Utc>,
    duration_us: Option<i64>,
}

/// A page of the roots of traces. A root has no parent, or one that is not in its trace.
pub(super) async fn page(db: &Db, call: &Call, query: &TraceQuery) -> PortResult<TracePage> {
    let limit = query.limit.clamp(1, TraceQuery::MAX_LIMIT);
    let query = query.clone();
    let rows = call.bound(db.run(Repeat::Safe, move |connection| {
        let query = query.clone();
        Box::pin(async move {
            sqlx::query_as!(
                RootRow,
                r#"WITH span AS (
                       SELECT trace_id, span_id, parent_span_id, operation_type::text,
                              coalesce(operation_name::text, operation_type::text) AS span_name, scope::text,
                              CASE WHEN failed THEN 'FAILED' ELSE 'SUCCESS' END AS status,
                              ended_at - duration_us * interval '1 microsecond' AS started_at,
                              duration_us::bigint
                       FROM perf.operation
                       WHERE trace_id IS NOT NULL AND ended_at >= $1
                       UNION ALL
                       SELECT trace_id, span_id, parent_span_id, operation_type, span_name, scope, span_status, started_at,
                              NULL
                       FROM perf.open_span
                       WHERE ended_at IS NULL
                   )
                   SELECT replace(trace_id::text, '-', '') AS "trace_id!", span_id AS "span_id!",
                          operation_type AS "operation_type!", span_name AS "span_name!", scope AS "scope!",
                          status AS "status!", started_at AS "started_at!", duration_us
                   FROM span
                   WHERE ($2::timestamptz IS NULL OR started_at < $2)
                     AND ($3::text IS NULL OR operation_type = $3)
                     AND ($4::text IS NULL OR scope = $4)
                     AND ($5::text IS NULL OR status = $5)
                     AND ($6::bigint IS NULL OR duration_us >= $6)
                     AND ($7::timestamptz IS NULL OR (started_at, span_id) < ($7, $8::bigint))
                     AND (parent_span_id IS NULL OR parent_span_id = span_id
                          OR NOT EXISTS (SELECT FROM perf.operation AS p
                                         WHERE p.trace_id = span.trace_id AND p.span_id = span.parent_span_id)
                             AND NOT EXISTS (SELECT FROM perf.open_span AS p
                                             WHERE p.span_id = span.parent_span_id AND p.trace_id = span.trace_id))
                   ORDER BY started_at DESC, span_id DESC
                   LIMIT $9"#,
                query.from,
                query.to,
                query.operation_type.as_ref().map(OperationType::as_str),
                query.scope.as_ref().map(OperationScope::as_str),
                query.status.map(|status| status.as_str().to_ascii_uppercase()),
                query.min_duration.map(Micros::get),
                query.after.map(|after| after.0),
                query.after.map(|after| after.1),
                i64::from(limit) + 1,
            )
            .fetch_all(connection)
            .await
        })
    }));
    let page = Page::cut(rows.await?, limit.into(), |row| TracePosition(row.started_at, row.span_id));
    let roots = page.entries.into_iter().map(|row| {
        Ok(TraceRoot {
            status: status(&row.status)?,
            trace_id: row.trace_id,
            span_id: span_text(row.span_id),
            operation_type: row.operation_type,
            span_name: row.span_name,
            scope: row.scope,
            started_at: row.started_at,
            duration_us: row.duration_us,
        })
    });
    Ok(Page { entries: roots.collect::<PortResult<_>>()?, next: page.next })
}

struct SpanRow {
    trace_id: Uuid,
    span_id: i64,
    parent_span_id: Option<i64>,
    operation_type: String,
    span_name: String,
    scope: String,
    status: String,
    started_at: DateTime<Utc>,
    duration_us: Option<i64>,
    attributes: Option<Value>,
    error: Option<Value>,
    events: Option<Value>,
}

/// The spans of a trace, the earliest of them where there are too many.
pub(super) async fn spans(db: &Db, call: &Call, id: &Text255) -> PortResult<StoredTrace> {
    let id = id.clone();
    let rows = call.bound(db.run(Repeat::Safe, move |connection| {
        let id = id.clone();
        Box::pin(async move {
            sqlx::query_as!(
                SpanRow,
                r#"SELECT trace_id AS "trace_id!", span_id AS "span_id!", parent_span_id,
                          operation_type::text AS "operation_type!",
                          coalesce(operation_name::text, operation_type::text) AS "span_name!", scope::text AS "scope!",
                          CASE WHEN failed THEN 'FAILED' ELSE 'SUCCESS' END AS "status!",
                          ended_at - duration_us * interval '1 microsecond' AS "started_at!",
                          duration_us::bigint AS duration_us, attributes, error, events
                   FROM perf.operation WHERE trace_id = perf.trace_ref($1)
                   UNION ALL
                   SELECT trace_id, span_id, parent_span_id, operation_type, span_name, scope, span_status, started_at, NULL,
                          attributes, NULL, NULL
                   FROM perf.open_span WHERE trace_id = perf.trace_ref($1) AND ended_at IS NULL
                   ORDER BY 8, 2
                   LIMIT $2"#,
                id.as_str(),
                i64::try_from(Span::MOST).unwrap_or(i64::MAX) + 1,
            )
            .fetch_all(connection)
            .await
        })
    }));
    let mut rows = rows.await?;
    let truncated = rows.len() > Span::MOST;
    rows.truncate(Span::MOST);
    let trace = rows.first().map_or_else(Uuid::nil, |row| row.trace_id);
    let spans = rows.into_iter().map(|row| {
        Ok(Span {
            id: row.span_id,
            parent: row.parent_span_id,
            status: status(&row.status)?,
            operation_type: row.operation_type,
            name: row.span_name,
            scope: row.scope,
            started_at: row.started_at,
            duration_us: row.duration_us,
            attributes: row.attributes,
            error: row.error,
            events: row.events,
        })
    });
    Ok(StoredTrace { trace, spans: spans.collect::<PortResult<_>>()?, truncated })
}
