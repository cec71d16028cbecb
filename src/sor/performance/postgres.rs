//! Operations in PostgreSQL. They are recorded by functions of the schema, as those of SQL callers are.

mod traces;

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use super::domain::{Ended, Metric, MetricBatch, NewMetric, RecordedBatch, RecordedMetric, SpanIds};
use super::names::{OperationScope, OperationType};
use super::otlp::{ExportOutcome, ExportedSpan, KnownTypes, SpanEvent, TraceExport};
use super::port::OperationSor;
use super::spans::{BegunSpan, EndedSpan, NewSpan, SpanEnd, SpanOutcome, TracePage, TraceQuery};
use super::tree::Trace;
use crate::kernel::{Call, JsonObject, PortError, PortResult, Text255};
use crate::storage::{Db, DbError, Repeat, begin};

pub(super) struct PostgresOperations {
    db: Db,
    types: KnownTypes,
}

/// A row to insert.
struct Row {
    operation: NewMetric,
    is_metric: bool,
    kind: Option<i16>,
    error: Option<Value>,
    events: Option<Value>,
}

impl From<NewMetric> for Row {
    fn from(operation: NewMetric) -> Self {
        let error = operation.error_details.as_ref().map(|details| json!({"details": details.as_value()}));
        Self { operation, is_metric: true, kind: None, error, events: None }
    }
}

impl From<ExportedSpan> for Row {
    fn from(span: ExportedSpan) -> Self {
        let events = span.events.iter().map(SpanEvent::to_json).collect::<Vec<_>>();
        Self {
            operation: span.operation,
            is_metric: span.is_metric,
            kind: Some(span.kind.get()),
            error: span.error.map(|message| json!({"message": message})),
            events: (!events.is_empty()).then_some(Value::Array(events)),
        }
    }
}

impl PostgresOperations {
    pub(super) fn new(db: Db) -> Self {
        Self { db, types: KnownTypes::default() }
    }

    /// Inserts rows and answers with what `answer` makes of that; or, for a key that is known, with what was answered the
    /// first time.
    async fn insert<T: DeserializeOwned>(
        &self,
        call: &Call,
        rows: impl IntoIterator<Item = impl Into<Row>>,
        key: Option<Uuid>,
        answer: impl Fn(&[RecordedMetric]) -> Value + Send + Sync + 'static,
    ) -> PortResult<T> {
        let rows: Arc<[Row]> = rows.into_iter().map(Into::into).collect();
        let (answer, caller) = (Arc::new(answer), caller(call));
        let repeat = if key.is_some() { Repeat::Safe } else { Repeat::Unsafe };
        let done = call.bound(self.db.run(repeat, move |connection| {
            let (rows, answer, caller) = (Arc::clone(&rows), Arc::clone(&answer), caller.clone());
            Box::pin(async move {
                let Some(key) = key else { return Ok(answer(&insert(connection, &rows, &caller).await?)) };
                let mut transaction = begin(connection).await?;
                if let Some(known) = known(&mut transaction, key).await? {
                    return Ok(known);
                }
                let new = answer(&insert(&mut transaction, &rows, &caller).await?);
                if keep(&mut transaction, key, &new).await? {
                    transaction.commit().await?;
                    return Ok(new);
                }
                // The same request was recorded meanwhile.
                transaction.rollback().await?;
                Ok(known(connection, key).await?.unwrap_or(new))
            })
        }));
        let other_kind =
            |_| PortError::Conflict("this Idempotency-Key was used for a request of another kind".to_owned());
        serde_json::from_value(done.await.map_err(refused)?).map_err(other_kind)
    }
}

impl PostgresOperations {
    /// The types that scopes have, by what was rolled up.
    async fn types_of(
        &self,
        call: &Call,
        scopes: &HashSet<OperationScope>,
    ) -> PortResult<Vec<(OperationScope, OperationType)>> {
        let scopes: Arc<[String]> = scopes.iter().map(ToString::to_string).collect();
        let types = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let scopes = Arc::clone(&scopes);
            Box::pin(async move {
                sqlx::query!(
                    r#"SELECT scope AS "scope!", operation_type AS "operation_type!" FROM perf.rollup_day WHERE scope = ANY ($1)
                       UNION
                       SELECT scope, operation_type FROM perf.rollup_hour
                       WHERE scope = ANY ($1) AND start_at >= statement_timestamp() - interval '25 hours'"#,
                    &*scopes,
                )
                .fetch_all(connection)
                .await
            })
        }));
        let types = types.await?.into_iter();
        Ok(types.filter_map(|row| Some((row.scope.parse().ok()?, row.operation_type.parse().ok()?))).collect())
    }
}

/// The name of the caller, for operations that name no user.
pub(super) fn caller(call: &Call) -> String {
    let name = call.caller().map_or_else(|| "system:unknown".to_owned(), |caller| caller.actor.to_string());
    name.get(..name.floor_char_boundary(Text255::MAX_BYTES)).unwrap_or_default().to_owned()
}

/// Turns a broken constraint into an internal error, because the types already refuse such values.
fn refused(error: DbError) -> PortError {
    match error {
        DbError::Constraint(name) => PortError::Internal(format!("constraint {name} refused an operation")),
        DbError::Port(error) => error,
    }
}

async fn known(connection: &mut PgConnection, key: Uuid) -> Result<Option<Value>, sqlx::Error> {
    sqlx::query_scalar!("SELECT result FROM perf.ingest_key WHERE key = $1", key).fetch_optional(connection).await
}

/// Keeps an answer; false where the key is known.
async fn keep(connection: &mut PgConnection, key: Uuid, answer: &Value) -> Result<bool, sqlx::Error> {
    let kept = sqlx::query!(
        "INSERT INTO perf.ingest_key (key, result) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING",
        key,
        answer
    );
    Ok(kept.execute(connection).await?.rows_affected() > 0)
}

/// The number of a trace that is spelled as 32 hexadecimal digits or as a UUID, as `perf.trace_ref` reads it.
fn trace_number(id: &str) -> Option<Uuid> {
    matches!(id.len(), 32 | 36).then(|| Uuid::try_parse(id).ok()).flatten()
}

/// The number of a span that is spelled as 16 hexadecimal digits, as `perf.span_ref` reads it.
fn span_number(id: &str) -> Option<i64> {
    let is_spelled_so = id.len() == 16 && id.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_spelled_so.then(|| u64::from_str_radix(id, 16).ok().map(u64::cast_signed)).flatten()
}

/// An id of each row: its number, or the text that it is where that is spelled as no number.
fn ids<T>(
    rows: &[Row],
    of: fn(&SpanIds) -> Option<&Text255>,
    number: fn(&str) -> Option<T>,
) -> (Vec<Option<T>>, Vec<Option<String>>) {
    let both = rows.iter().map(|row| {
        let id = row.operation.span.as_ref().and_then(of).map(Text255::as_str);
        let known = id.and_then(number);
        let text = id.filter(|_| known.is_none()).map(str::to_owned);
        (known, text)
    });
    both.unzip()
}

/// Inserts rows and answers what became of each, in order.
async fn insert(connection: &mut PgConnection, rows: &[Row], caller: &str) -> Result<Vec<RecordedMetric>, sqlx::Error> {
    fn column<T>(rows: &[Row], of: impl Fn(&NewMetric) -> T) -> Vec<T> {
        rows.iter().map(|row| of(&row.operation)).collect()
    }
    fn texts(rows: &[Row], of: impl Fn(&NewMetric) -> Option<&str>) -> Vec<Option<String>> {
        rows.iter().map(|row| of(&row.operation).map(str::to_owned)).collect()
    }
    let ended_at = column(rows, |operation| match operation.ended {
        Ended::Now => None,
        Ended::At(end) => Some(end),
    });
    let user = |operation: &NewMetric| operation.user_name.as_ref().map_or(caller, Text255::as_str).to_owned();
    let (traces, trace_texts) = ids(rows, |span| Some(&span.trace), trace_number);
    let (spans, span_texts) = ids(rows, |span| Some(&span.span), span_number);
    let (parents, parent_texts) = ids(rows, |span| span.parent.as_ref(), span_number);
    sqlx::query_as!(
        RecordedMetric,
        r#"SELECT id AS "id!", severity, ratio::float8, baseline_id, alert_id
           FROM perf.record_operations(
               $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)"#,
        &ended_at as &[Option<DateTime<Utc>>],
        &column(rows, |operation| operation.duration.get()),
        &column(rows, |operation| operation.operation_type.as_str().to_owned()),
        &column(rows, |operation| operation.scope.as_str().to_owned()),
        &column(rows, user),
        &texts(rows, |operation| operation.operation_name.as_ref().map(Text255::as_str)) as &[Option<String>],
        &texts(rows, |operation| operation.session_id.as_ref().map(Text255::as_str)) as &[Option<String>],
        &traces as &[Option<Uuid>],
        &trace_texts as &[Option<String>],
        &spans as &[Option<i64>],
        &span_texts as &[Option<String>],
        &parents as &[Option<i64>],
        &parent_texts as &[Option<String>],
        &column(rows, |operation| operation.rows_affected) as &[Option<i64>],
        &column(rows, |operation| operation.memory_bytes) as &[Option<i64>],
        &column(rows, |operation| operation.cpu_us) as &[Option<i64>],
        &rows.iter().map(|row| row.kind).collect::<Vec<_>>() as &[Option<i16>],
        &column(rows, |operation| operation.failed),
        &rows.iter().map(|row| row.is_metric).collect::<Vec<_>>(),
        &column(rows, |operation| operation.metadata.as_ref().map(JsonObject::as_value).cloned()) as &[Option<Value>],
        &rows.iter().map(|row| row.error.clone()).collect::<Vec<_>>() as &[Option<Value>],
        &rows.iter().map(|row| row.events.clone()).collect::<Vec<_>>() as &[Option<Value>],
    )
    .fetch_all(connection)
    .await
}

#[async_trait]
impl OperationSor for PostgresOperations {
    async fn record(&self, call: &Call, metric: NewMetric, key: Option<Uuid>) -> PortResult<RecordedMetric> {
        let answer = |recorded: &[RecordedMetric]| json!(recorded.first());
        self.insert(call, vec![metric], key, answer).await
    }

    async fn record_all(&self, call: &Call, batch: MetricBatch, key: Option<Uuid>) -> PortResult<RecordedBatch> {
        let MetricBatch { metrics, rejected } = batch;
        let metrics = metrics.into_iter().map(|(_, metric)| metric);
        let answer = move |recorded: &[RecordedMetric]| {
            let over = recorded.iter().filter(|metric| metric.baseline_id.is_some()).count();
            json!({"accepted": recorded.len(), "over": over, "rejected": &rejected})
        };
        self.insert(call, metrics, key, answer).await
    }

    async fn record_export(&self, call: &Call, export: TraceExport) -> PortResult<ExportOutcome> {
        let TraceExport { mut spans, outcome, key, .. } = export;
        if spans.is_empty() {
            return Ok(outcome);
        }
        let unread = self.types.unread(&spans);
        if !unread.is_empty() {
            let types = self.types_of(call, &unread).await?;
            self.types.read(unread, types);
        }
        self.types.limit(&mut spans);
        let answer = |recorded: &[RecordedMetric]| json!({"accepted": recorded.len()});
        self.insert::<Value>(call, spans, Some(key), answer).await?;
        Ok(outcome)
    }

    async fn metric(&self, call: &Call, id: i64) -> PortResult<Option<Metric>> {
        let row = call.bound(self.db.run(Repeat::Safe, move |connection| {
            Box::pin(async move {
                sqlx::query_as!(
                    Metric,
                    r#"SELECT metric_id AS "id!", operation_type::text AS "operation_type!", duration_us::bigint AS "duration_us!",
                              operation_name::text, scope::text AS "scope!", user_name::text AS "user_name!", session_id::text,
                              rows_affected, memory_bytes, cpu_us, attributes AS metadata,
                              error -> 'details' AS error_details, failed AS "failed!",
                              ended_at - duration_us * interval '1 microsecond' AS "started_at!", ended_at AS "ended_at!",
                              replace(trace_id::text, '-', '') AS trace_id, perf.span_text(span_id) AS span_id,
                              perf.span_text(parent_span_id) AS parent_span_id, over_baseline_id
                       FROM perf.operation WHERE metric_id = $1 AND is_metric"#,
                    id,
                )
                .fetch_optional(connection)
                .await
            })
        }));
        Ok(row.await?)
    }

    async fn begin_span(&self, call: &Call, span: NewSpan) -> PortResult<BegunSpan> {
        let caller = caller(call);
        let done = call.bound(self.db.run(Repeat::Unsafe, move |connection| {
            let (span, caller) = (span.clone(), caller.clone());
            Box::pin(async move {
                sqlx::query_as!(
                    BegunSpan,
                    r#"SELECT trace AS "trace_id!", span AS "span_id!", started_at AS "started_at!"
                       FROM perf.begin_span($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"#,
                    span.span_id.as_ref().map(Text255::as_str),
                    span.trace_id.as_ref().map(Text255::as_str),
                    span.parent_span_id.as_ref().map(Text255::as_str),
                    span.operation_type.as_str(),
                    span.span_name.as_str(),
                    span.scope.as_ref().map(OperationScope::as_str),
                    span.user_name.as_ref().map_or(caller.as_str(), Text255::as_str),
                    span.session_id.as_ref().map(Text255::as_str),
                    span.attributes.as_ref().map(JsonObject::as_value),
                    span.started_at,
                )
                .fetch_one(connection)
                .await
            })
        }));
        done.await.map_err(|error| match error {
            DbError::Constraint(name) if name == "perf_open_span_pkey" => {
                PortError::Conflict("a span of this id runs, or has ended within the last hour".to_owned())
            }
            DbError::Constraint(name) if name == "time_out_of_range" => {
                PortError::Invalid("/startedAt: must be from 7 days ago to 10 minutes ahead".to_owned())
            }
            error => refused(error),
        })
    }

    async fn end_span(&self, call: &Call, id: &Text255, end: SpanEnd) -> PortResult<Option<EndedSpan>> {
        struct Row {
            trace_id: String,
            duration_us: i64,
        }
        let (span, status) = (id.clone(), end.status);
        let done = call.bound(self.db.run(Repeat::Unsafe, move |connection| {
            let (span, end) = (span.clone(), end.clone());
            Box::pin(async move {
                sqlx::query_as!(
                    Row,
                    r#"SELECT replace(s.trace_id::text, '-', '') AS "trace_id!", took AS "duration_us!"
                       FROM perf.end_performance_trace($1, $2, $3, $4, $5, $6, $7, $8, $9) AS took
                       JOIN perf.open_span AS s ON s.span_id = perf.span_ref($1)"#,
                    span.as_str(),
                    match end.status {
                        SpanOutcome::Success => "SUCCESS",
                        SpanOutcome::Failed => "FAILED",
                    },
                    end.error_message.as_ref().map(Text255::as_str),
                    end.error_code.as_ref().map(Text255::as_str),
                    end.error_details.as_ref().map(JsonObject::as_value),
                    end.memory_peak_bytes,
                    end.cpu_us,
                    end.attributes.as_ref().map(JsonObject::as_value),
                    end.ended_at,
                )
                .fetch_one(connection)
                .await
            })
        }));
        match done.await {
            Ok(Row { trace_id, duration_us }) => {
                Ok(Some(EndedSpan { trace_id, span_id: id.to_string(), status, duration_us }))
            }
            Err(DbError::Constraint(name)) => match &*name {
                "span_unknown" => Ok(None),
                "span_ended" => Err(PortError::Conflict("the span has ended".to_owned())),
                "time_out_of_range" => {
                    Err(PortError::Invalid("/endedAt: lies before the start of the span".to_owned()))
                }
                "perf_micros_check" => Err(PortError::Invalid("/endedAt: is over 31 days after the start".to_owned())),
                _ => Err(refused(DbError::Constraint(name))),
            },
            Err(error) => Err(refused(error)),
        }
    }

    async fn traces(&self, call: &Call, query: &TraceQuery) -> PortResult<TracePage> {
        traces::page(&self.db, call, query).await
    }

    async fn trace(&self, call: &Call, id: &Text255) -> PortResult<Option<Trace>> {
        Ok(Trace::of(traces::spans(&self.db, call, id).await?))
    }
}
