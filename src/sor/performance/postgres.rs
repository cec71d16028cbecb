//! Operations in PostgreSQL. They are recorded by functions of the schema, as those of SQL callers are.

mod traces;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use super::domain::{Ended, Metric, MetricBatch, NewMetric, RecordedBatch, RecordedMetric, SpanIds};
use super::names::OperationScope;
use super::port::OperationSor;
use super::spans::{BegunSpan, EndedSpan, NewSpan, SpanEnd, SpanOutcome, TracePage, TraceQuery};
use super::tree::Trace;
use crate::kernel::{Call, JsonObject, PortError, PortResult, Text255};
use crate::storage::{Db, DbError, Repeat, begin};

pub(super) struct PostgresOperations {
    db: Db,
}

impl PostgresOperations {
    pub(super) fn new(db: Db) -> Self {
        Self { db }
    }

    /// Records metrics and answers with what `answer` makes of that; or, for a key that is known, with what was answered
    /// the first time.
    async fn insert<T: DeserializeOwned>(
        &self,
        call: &Call,
        metrics: Vec<NewMetric>,
        key: Option<Uuid>,
        answer: impl Fn(&[RecordedMetric]) -> Value + Send + Sync + 'static,
    ) -> PortResult<T> {
        let (metrics, answer, caller): (Arc<[_]>, _, _) = (metrics.into(), Arc::new(answer), caller(call));
        let repeat = if key.is_some() { Repeat::Safe } else { Repeat::Unsafe };
        let done = call.bound(self.db.run(repeat, move |connection| {
            let (metrics, answer, caller) = (Arc::clone(&metrics), Arc::clone(&answer), caller.clone());
            Box::pin(async move {
                let Some(key) = key else { return Ok(answer(&insert(connection, &metrics, &caller).await?)) };
                let mut transaction = begin(connection).await?;
                if let Some(known) = known(&mut transaction, key).await? {
                    return Ok(known);
                }
                let new = answer(&insert(&mut transaction, &metrics, &caller).await?);
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

/// The name of the caller, for operations that name no user.
fn caller(call: &Call) -> String {
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

/// Inserts rows and answers what became of each, in order.
async fn insert(
    connection: &mut PgConnection,
    metrics: &[NewMetric],
    caller: &str,
) -> Result<Vec<RecordedMetric>, sqlx::Error> {
    fn column<T>(metrics: &[NewMetric], of: impl Fn(&NewMetric) -> T) -> Vec<T> {
        metrics.iter().map(of).collect()
    }
    fn texts(metrics: &[NewMetric], of: impl Fn(&NewMetric) -> Option<&str>) -> Vec<Option<String>> {
        metrics.iter().map(|metric| of(metric).map(str::to_owned)).collect()
    }
    let ended_at = column(metrics, |metric| match metric.ended {
        Ended::Now => None,
        Ended::At(end) => Some(end),
    });
    let error =
        |metric: &NewMetric| metric.error_details.as_ref().map(|details| json!({"details": details.as_value()}));
    let user = |metric: &NewMetric| metric.user_name.as_ref().map_or(caller, Text255::as_str).to_owned();
    let span = |of: fn(&SpanIds) -> Option<&Text255>| {
        texts(metrics, move |metric| metric.span.as_ref().and_then(of).map(Text255::as_str))
    };
    sqlx::query_as!(
        RecordedMetric,
        r#"SELECT id AS "id!", severity, ratio::float8, baseline_id, alert_id
           FROM perf.record_operations(
               $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)"#,
        &ended_at as &[Option<DateTime<Utc>>],
        &column(metrics, |metric| metric.duration.get()),
        &column(metrics, |metric| metric.operation_type.as_str().to_owned()),
        &column(metrics, |metric| metric.scope.as_str().to_owned()),
        &column(metrics, user),
        &texts(metrics, |metric| metric.operation_name.as_ref().map(Text255::as_str)) as &[Option<String>],
        &texts(metrics, |metric| metric.session_id.as_ref().map(Text255::as_str)) as &[Option<String>],
        &span(|span| Some(&span.trace)) as &[Option<String>],
        &span(|span| Some(&span.span)) as &[Option<String>],
        &span(|span| span.parent.as_ref()) as &[Option<String>],
        &column(metrics, |metric| metric.rows_affected) as &[Option<i64>],
        &column(metrics, |metric| metric.memory_bytes) as &[Option<i64>],
        &column(metrics, |metric| metric.cpu_us) as &[Option<i64>],
        &column(metrics, |_| None) as &[Option<i16>],
        &column(metrics, |metric| metric.failed),
        &column(metrics, |_| true),
        &column(metrics, |metric| metric.metadata.as_ref().map(JsonObject::as_value).cloned()) as &[Option<Value>],
        &column(metrics, error) as &[Option<Value>],
        &column(metrics, |_| None) as &[Option<Value>],
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
        let metrics = metrics.into_iter().map(|(_, metric)| metric).collect();
        let answer = move |recorded: &[RecordedMetric]| {
            let over = recorded.iter().filter(|metric| metric.baseline_id.is_some()).count();
            json!({"accepted": recorded.len(), "over": over, "rejected": &rejected})
        };
        self.insert(call, metrics, key, answer).await
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
