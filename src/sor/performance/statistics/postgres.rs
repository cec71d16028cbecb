//! Statistics in PostgreSQL. What was rolled up, and what is read as it is, is decided by functions of the schema.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::postgres::types::PgInterval;

use super::port::StatisticsSor;
use super::{
    Figures, LimitStatus, Operation, OperationTotals, PerformanceOverview, ScopeFigures, SeriesAnswer, SeriesPoint,
    SeriesQuery, SlowOperation, SlowestQuery, StatisticsQuery, Trend, TrendPoint, TrendQuery, UserFigures,
};
use crate::kernel::{Call, PortError, PortResult};
use crate::sor::performance::names::{OperationScope, OperationType};
use crate::storage::{Db, Repeat};

pub(super) struct PostgresStatistics {
    db: Db,
}

impl PostgresStatistics {
    pub(super) fn new(db: Db) -> Self {
        Self { db }
    }
}

/// The figures of a row that has them all.
macro_rules! figures {
    ($row:expr) => {
        Figures {
            count: $row.count,
            failed: $row.failed,
            over: $row.over,
            avg_ms: $row.avg_ms,
            min_ms: $row.min_ms,
            max_ms: $row.max_ms,
            p50_ms: $row.p50_ms,
            p75_ms: $row.p75_ms,
            p90_ms: $row.p90_ms,
            p95_ms: $row.p95_ms,
            p99_ms: $row.p99_ms,
            last_at: $row.last_at,
            exact: $row.exact,
        }
    };
}

fn interval(length: chrono::TimeDelta) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: length.num_microseconds().unwrap_or(i64::MAX) }
}

fn status(name: &str) -> PortResult<LimitStatus> {
    match name {
        "OK" => Ok(LimitStatus::Ok),
        "VIOLATION" => Ok(LimitStatus::Violation),
        "NO_BASELINE" => Ok(LimitStatus::NoBaseline),
        other => Err(PortError::Internal(format!("an operation stands {other} to its limit"))),
    }
}

#[async_trait]
impl StatisticsSor for PostgresStatistics {
    async fn operations(&self, call: &Call, query: &StatisticsQuery) -> PortResult<Vec<Operation>> {
        let query = query.clone();
        let rows = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let query = query.clone();
            Box::pin(async move {
                sqlx::query!(
                    r#"SELECT s.operation_type AS "operation_type!", lower(t.category) AS category, coalesce(t.is_tracked, false) AS "is_tracked!",
                              s.samples + s.failed AS "count!", s.failed AS "failed!", s.over AS "over!",
                              perf.millis(s.mean_us)::float8 AS avg_ms, perf.millis(s.min_us)::float8 AS min_ms,
                              perf.millis(s.max_us)::float8 AS max_ms, perf.millis(s.p50_us)::float8 AS p50_ms,
                              perf.millis(s.p75_us)::float8 AS p75_ms, perf.millis(s.p90_us)::float8 AS p90_ms,
                              perf.millis(s.p95_us)::float8 AS p95_ms, perf.millis(s.p99_us)::float8 AS p99_ms,
                              s.last_at AS "last_at!", s.is_exact AS "exact!", perf.millis(s.limit_us)::float8 AS limit_ms,
                              s.status AS "status!"
                       FROM perf.summary($1, coalesce($2::timestamptz, 'infinity'), $3) AS s
                       LEFT JOIN perf.performance_operation_types AS t ON t.operation_type = s.operation_type
                       ORDER BY s.samples + s.failed DESC, s.operation_type LIMIT $4"#,
                    query.from,
                    query.to,
                    query.scope.as_ref().map(OperationScope::as_str),
                    i64::from(query.limit),
                )
                .fetch_all(connection)
                .await
            })
        }));
        let operations = rows.await?.into_iter().map(|row| {
            Ok(Operation {
                figures: figures!(row),
                operation_type: row.operation_type,
                category: row.category,
                is_tracked: row.is_tracked,
                limit_ms: row.limit_ms,
                status: status(&row.status)?,
            })
        });
        operations.collect()
    }

    async fn totals(
        &self,
        call: &Call,
        operation_type: &OperationType,
        scope: Option<OperationScope>,
    ) -> PortResult<Option<OperationTotals>> {
        let operation_type = operation_type.clone();
        let row = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let (operation_type, scope) = (operation_type.clone(), scope.clone());
            Box::pin(async move {
                sqlx::query_as!(
                    OperationTotals,
                    r#"SELECT operation_type AS "operation_type!", total_executions AS "total_executions!",
                              total_time_hours::float8 AS "total_time_hours!", avg_duration_ms::float8,
                              min_duration_ms::float8, max_duration_ms::float8, p50_ms::float8, p95_ms::float8, p99_ms::float8,
                              last_execution AS "last_execution!", last_baseline_date
                       FROM perf.get_operation_statistics($1, p_scope => $2)"#,
                    operation_type.as_str(),
                    scope.as_ref().map(OperationScope::as_str),
                )
                .fetch_optional(connection)
                .await
            })
        }));
        Ok(row.await?)
    }

    async fn trend(&self, call: &Call, query: &TrendQuery) -> PortResult<Option<Trend>> {
        let (operation_type, bucket) = (query.operation_type.to_string(), query.bucket);
        let query = query.clone();
        let rows = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let query = query.clone();
            Box::pin(async move {
                let points = sqlx::query!(
                    r#"SELECT start_at AS "start!", sample_count + failed_count AS "count!", failed_count AS "failed!",
                              over_count AS "over!", perf.millis(mean_us)::float8 AS avg_ms,
                              perf.millis(min_us)::float8 AS min_ms, perf.millis(max_us)::float8 AS max_ms,
                              perf.millis(p50_us)::float8 AS p50_ms, perf.millis(p75_us)::float8 AS p75_ms,
                              perf.millis(p90_us)::float8 AS p90_ms, perf.millis(p95_us)::float8 AS p95_ms,
                              perf.millis(p99_us)::float8 AS p99_ms, last_at AS "last_at!", is_exact AS "exact!"
                       FROM perf.statistics(perf.days_back($1), 'infinity', $2, $3, $4) ORDER BY start_at DESC"#,
                    i32::from(query.days),
                    query.operation_type.as_str(),
                    query.scope.as_ref().map(OperationScope::as_str),
                    interval(query.bucket.length()),
                )
                .fetch_all(&mut *connection)
                .await?;
                let known = !points.is_empty()
                    || sqlx::query_scalar!(
                        r#"SELECT EXISTS (SELECT FROM perf.performance_operation_types WHERE operation_type = $1)
                               OR EXISTS (SELECT FROM perf.get_operation_statistics($1)) AS "known!""#,
                        query.operation_type.as_str(),
                    )
                    .fetch_one(connection)
                    .await?;
                Ok(known.then_some(points))
            })
        }));
        Ok(rows.await?.map(|rows| {
            let trend = rows.into_iter().map(|row| TrendPoint { start: row.start, figures: figures!(row) }).collect();
            Trend { operation_type, bucket, trend }
        }))
    }

    async fn series(&self, call: &Call, query: &SeriesQuery) -> PortResult<SeriesAnswer> {
        struct Row {
            operation_type: Option<String>,
            scope: Option<String>,
            limit_ms: Option<f64>,
            start: DateTime<Utc>,
            count: i64,
            failed: i64,
            over: i64,
            avg_ms: Option<f64>,
            p50_ms: Option<f64>,
            p95_ms: Option<f64>,
            p99_ms: Option<f64>,
        }
        let (step, (by_type, by_scope)) = (query.step, query.group_by.keys());
        let query = query.clone();
        let rows = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let query = query.clone();
            Box::pin(async move {
                sqlx::query_as!(
                    Row,
                    r#"SELECT s.operation_type, s.scope, perf.millis(b.limit_us)::float8 AS limit_ms, s.start_at AS "start!",
                              s.sample_count + s.failed_count AS "count!", s.failed_count AS "failed!", s.over_count AS "over!",
                              perf.millis(s.mean_us)::float8 AS avg_ms, perf.millis(s.p50_us)::float8 AS p50_ms,
                              perf.millis(s.p95_us)::float8 AS p95_ms, perf.millis(s.p99_us)::float8 AS p99_ms
                       FROM perf.statistics($1, $2, $3, $4, $5, $6, $7) AS s
                       LEFT JOIN LATERAL (SELECT b.limit_us FROM perf.performance_baselines AS b
                                          WHERE b.is_active AND b.operation_type = s.operation_type
                                            AND (b.scope IS NULL OR b.scope = s.scope)
                                          ORDER BY b.scope NULLS LAST LIMIT 1) AS b ON true
                       ORDER BY s.operation_type COLLATE "C", s.scope COLLATE "C", s.start_at"#,
                    query.from,
                    query.to,
                    query.operation_type.as_ref().map(OperationType::as_str),
                    query.scope.as_ref().map(OperationScope::as_str),
                    interval(query.step.length()),
                    by_type,
                    by_scope,
                )
                .fetch_all(connection)
                .await
            })
        }));
        let rows = rows.await?.into_iter().map(|row| {
            let Row { operation_type, scope, limit_ms, start, count, failed, over, avg_ms, p50_ms, p95_ms, p99_ms } =
                row;
            (
                operation_type,
                scope,
                limit_ms,
                SeriesPoint { start, count, failed, over, avg_ms, p50_ms, p95_ms, p99_ms },
            )
        });
        Ok(SeriesAnswer::of_rows(step, rows))
    }

    async fn slowest(&self, call: &Call, query: &SlowestQuery) -> PortResult<Vec<SlowOperation>> {
        let query = query.clone();
        let rows = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let query = query.clone();
            Box::pin(async move {
                sqlx::query_as!(
                    SlowOperation,
                    r#"SELECT metric_id AS "id!", operation_type AS "operation_type!", operation_name, scope AS "scope!",
                              duration_ms::float8 AS "duration_ms!", user_name AS "user_name!", recorded_at AS "ended_at!",
                              replace(trace_id::text, '-', '') AS trace_id
                       FROM perf.get_slowest_operations($1, NULL, $2, $3, $4)"#,
                    query.operation_type.as_ref().map(OperationType::as_str),
                    i32::from(query.days),
                    i32::from(query.limit),
                    query.scope.as_ref().map(OperationScope::as_str),
                )
                .fetch_all(connection)
                .await
            })
        }));
        Ok(rows.await?)
    }

    async fn overview(&self, call: &Call) -> PortResult<PerformanceOverview> {
        let row = call.bound(self.db.run(Repeat::Safe, |connection| {
            Box::pin(async move {
                sqlx::query_as!(
                    PerformanceOverview,
                    r#"SELECT total_metrics_recorded AS "total_metrics_recorded!", total_traces AS "total_traces!",
                              active_baselines AS "active_baselines!", unacknowledged_alerts AS "unacknowledged_alerts!",
                              critical_alerts AS "critical_alerts!",
                              (SELECT rolled_through FROM perf.rollup_state) AS rolled_through,
                              statement_timestamp() AS "updated_at!"
                       FROM perf.dashboard()"#,
                )
                .fetch_one(connection)
                .await
            })
        }));
        Ok(row.await?)
    }

    async fn scopes(&self, call: &Call, limit: u16) -> PortResult<Vec<ScopeFigures>> {
        let rows = call.bound(self.db.run(Repeat::Safe, move |connection| {
            Box::pin(async move {
                sqlx::query_as!(
                    ScopeFigures,
                    r#"SELECT branch_name AS "scope!", branch_id, operation_count AS "operation_count!",
                              operation_types AS "operation_types!", avg_duration_ms::float8, p99_ms::float8,
                              last_operation AS "last_operation!"
                       FROM perf.v_branch_performance_summary LIMIT $1"#,
                    i64::from(limit),
                )
                .fetch_all(connection)
                .await
            })
        }));
        Ok(rows.await?)
    }

    async fn users(&self, call: &Call, limit: u16) -> PortResult<Vec<UserFigures>> {
        let rows = call.bound(self.db.run(Repeat::Safe, move |connection| {
            Box::pin(async move {
                sqlx::query_as!(
                    UserFigures,
                    r#"SELECT user_name AS "user_name!", operations_performed AS "operations_performed!",
                              operation_types AS "operation_types!", avg_operation_ms::float8 AS "avg_operation_ms!",
                              total_time_seconds::float8 AS "total_time_seconds!", alerts_triggered AS "alerts_triggered!",
                              last_operation AS "last_operation!"
                       FROM perf.v_user_performance_activity LIMIT $1"#,
                    i64::from(limit),
                )
                .fetch_all(connection)
                .await
            })
        }));
        Ok(rows.await?)
    }
}
