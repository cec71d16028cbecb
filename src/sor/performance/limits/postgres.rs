//! Limits and alerts in PostgreSQL. They are learnt and acknowledged by functions of the schema.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::detection::{self, Anomaly, Correlation, Degradation, Halves, HourOf};
use super::port::{LatencyAlertSor, LatencyBaselineSor};
use super::{
    Acknowledgement, CorrelationQuery, LatencyAlert, LatencyAlertPage, LatencyAlertQuery, LatencyAlertType,
    LatencyBaseline, LatencyBaselineHealth, LatencyBaselinePage, LatencyBaselineQuery, LookbackDays, MAX_LIMIT,
    NewLatencyBaseline, NewOperationType, OperationCategory, OperationTypeRow,
};
use crate::kernel::{Call, LimitSeverity, Note, Page, PortError, PortResult, Text255};
use crate::sor::performance::names::{OperationScope, OperationType};
use crate::storage::{Db, DbError, Repeat, acting, words_in_rows};

/// Operations that a limit is learnt from at least.
const LEAST_SAMPLES: i64 = 10;
/// Hours that an hour is compared with.
const COMPARED_WITH_HOURS: u16 = 7 * 24;

pub(super) struct PostgresLimits {
    db: Db,
}

impl PostgresLimits {
    pub(super) fn new(db: Db) -> Self {
        Self { db }
    }

    async fn baselines(
        &self,
        call: &Call,
        query: &LatencyBaselineQuery,
        id: Option<i64>,
    ) -> PortResult<Vec<LatencyBaseline>> {
        let query = query.clone();
        let rows = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let query = query.clone();
            Box::pin(async move {
                sqlx::query_as!(
                    LatencyBaseline,
                    r#"SELECT baseline_id AS id, operation_type::text AS "operation_type!", scope::text, baseline_date,
                              calculation_timestamp AS calculated_at, sample_count, excluded_failed, excluded_incident,
                              min_microseconds AS min_us, max_microseconds AS max_us, p50_microseconds AS p50_us,
                              p75_microseconds AS p75_us, p90_microseconds AS p90_us, p95_microseconds AS p95_us,
                              p99_microseconds AS p99_us, mean_microseconds::float8 AS "mean_us!",
                              stddev_microseconds::float8 AS stddev_us,
                              alert_threshold_multiplier::float8 AS "alert_threshold_multiplier!",
                              critical_multiplier::float8 AS "critical_multiplier!", limit_us AS "limit_us!",
                              critical_us AS "critical_us!", is_active AS active, calculated_from_days AS lookback_days,
                              is_exact AS exact, include_incidents, created_by
                       FROM perf.performance_baselines
                       WHERE ($1::bigint IS NULL OR baseline_id = $1) AND ($2::text IS NULL OR operation_type = $2)
                         AND ($3::text IS NULL OR scope = $3) AND ($4::boolean IS NULL OR is_active = $4)
                         AND ($5::bigint IS NULL OR baseline_id < $5)
                       ORDER BY baseline_id DESC LIMIT $6"#,
                    id,
                    query.operation_type.as_ref().map(OperationType::as_str),
                    query.scope.as_ref().map(OperationScope::as_str),
                    query.active,
                    query.after,
                    i64::from(query.limit) + 1,
                )
                .fetch_all(connection)
                .await
            })
        }));
        Ok(rows.await?)
    }

    /// The last `count` hours that were rolled up, until a time or now: of all scopes together, or of tracked types alone and of each
    /// scope too.
    async fn hours(
        &self,
        call: &Call,
        count: u16,
        until: Option<DateTime<Utc>>,
        tracked: bool,
    ) -> PortResult<Vec<HourOf>> {
        let rows = call.bound(self.db.run(Repeat::Safe, move |connection| {
            Box::pin(async move {
                sqlx::query_as!(
                    HourOf,
                    r#"SELECT r.operation_type, r.scope, t.category, r.start_at AS start, r.sample_count AS samples,
                              r.p50_us AS "p50_us!"
                       FROM perf.rollup_hour AS r
                       LEFT JOIN perf.performance_operation_types AS t ON t.operation_type = r.operation_type
                       WHERE r.start_at >= coalesce($3, statement_timestamp()) - $1 * interval '1 hour' AND r.p50_us IS NOT NULL
                         AND CASE WHEN $2 THEN t.is_tracked ELSE r.scope IS NULL END
                       ORDER BY r.operation_type COLLATE "C", r.scope COLLATE "C", r.start_at"#,
                    f64::from(count),
                    tracked,
                    until,
                )
                .fetch_all(connection)
                .await
            })
        }));
        Ok(rows.await?)
    }

    async fn alerts(&self, call: &Call, query: &LatencyAlertQuery, id: Option<i64>) -> PortResult<Vec<LatencyAlert>> {
        let query = query.clone();
        let rows = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let query = query.clone();
            Box::pin(async move {
                sqlx::query_as!(
                    LatencyAlert,
                    r#"SELECT alert_id AS id, to_jsonb(lower(alert_type)) AS "alert_type!: Json<LatencyAlertType>",
                              to_jsonb(lower(severity)) AS "severity!: Json<LimitSeverity>",
                              operation_type::text AS "operation_type!", scope::text, metric_id, baseline_id,
                              perf.millis(baseline_p99_microseconds)::float8 AS baseline_p99_ms,
                              perf.millis(actual_duration_microseconds)::float8 AS "actual_duration_ms!",
                              violation_multiplier::float8 AS violation_multiplier, user_name, occurrence_count AS occurrences,
                              first_seen, last_seen, created_at, sustained_at, resolved_at, is_acknowledged AS acknowledged,
                              acknowledged_at, acknowledged_by, resolution_notes, detail
                       FROM perf.performance_alerts
                       WHERE ($1::bigint IS NULL OR alert_id = $1) AND ($2::boolean IS NULL OR is_acknowledged = $2)
                         AND ($3::boolean IS NULL OR (resolved_at IS NOT NULL) = $3)
                         AND ($4::boolean IS NULL OR (sustained_at IS NOT NULL) = $4)
                         AND ($5::text IS NULL OR lower(severity) = $5) AND ($6::text IS NULL OR lower(alert_type) = $6)
                         AND ($7::text IS NULL OR operation_type = $7) AND ($8::text IS NULL OR scope = $8)
                         AND ($1::bigint IS NOT NULL OR created_at >= perf.days_back($9))
                         AND ($10::bigint IS NULL OR alert_id < $10)
                       ORDER BY alert_id DESC LIMIT $11"#,
                    id,
                    query.acknowledged,
                    query.resolved,
                    query.sustained,
                    query.severity.map(LimitSeverity::as_str),
                    query.alert_type.map(LatencyAlertType::as_str),
                    query.operation_type.as_ref().map(OperationType::as_str),
                    query.scope.as_ref().map(OperationScope::as_str),
                    i32::from(query.days.max(1)),
                    query.after,
                    i64::from(query.limit) + 1,
                )
                .fetch_all(connection)
                .await
            })
        }));
        Ok(rows.await?)
    }
}

words_in_rows!(LatencyAlertType, LimitSeverity);

struct TypeRow {
    operation_type: String,
    description: Option<String>,
    category: Option<String>,
    typical_duration_ms: Option<f64>,
    is_tracked: bool,
}

impl TypeRow {
    fn read(self) -> OperationTypeRow {
        let Self { operation_type, description, category, typical_duration_ms, is_tracked } = self;
        let category = category.as_deref().and_then(OperationCategory::of_name);
        OperationTypeRow { operation_type, description, category, typical_duration_ms, is_tracked }
    }
}

/// Turns a broken constraint into an internal error, because the types already refuse such values.
fn refused(error: DbError) -> PortError {
    match error {
        DbError::Constraint(name) => PortError::Internal(format!("constraint {name} refused a limit")),
        DbError::Port(error) => error,
    }
}

#[async_trait]
impl LatencyBaselineSor for PostgresLimits {
    async fn learn(&self, call: &Call, new: NewLatencyBaseline) -> PortResult<Option<LatencyBaseline>> {
        let critical = new.critical();
        let critical = critical.ok_or_else(|| {
            PortError::Invalid("/criticalMultiplier: must not be below alertThresholdMultiplier".to_owned())
        })?;
        let acting = acting(call);
        let learnt = call.bound(self.db.run(Repeat::Unsafe, move |connection| {
            let (new, acting) = (new.clone(), acting.clone());
            Box::pin(async move {
                sqlx::query_scalar!(
                    r#"SELECT (learnt).baseline FROM (
                           SELECT perf.learn_baseline($1, $2, $3, $4::float8::numeric, $5::float8::numeric, $6, $7) AS learnt
                           FROM core.acting($8) OFFSET 0) AS done"#,
                    new.operation_type.as_str(),
                    new.scope.as_ref().map(OperationScope::as_str),
                    new.lookback_days.get(),
                    new.alert_threshold_multiplier.get(),
                    critical.get(),
                    new.include_incidents,
                    LEAST_SAMPLES,
                    acting,
                )
                .fetch_one(connection)
                .await
            })
        }));
        match learnt.await.map_err(refused)? {
            Some(id) => LatencyBaselineSor::get(self, call, id).await,
            None => Ok(None),
        }
    }

    async fn page(&self, call: &Call, query: &LatencyBaselineQuery) -> PortResult<LatencyBaselinePage> {
        let limit = query.limit.clamp(1, MAX_LIMIT);
        let rows = self.baselines(call, &LatencyBaselineQuery { limit, ..query.clone() }, None).await?;
        Ok(Page::cut(rows, limit.into(), |row| row.id))
    }

    async fn get(&self, call: &Call, id: i64) -> PortResult<Option<LatencyBaseline>> {
        Ok(self.baselines(call, &LatencyBaselineQuery::default(), Some(id)).await?.into_iter().next())
    }

    async fn deactivate(&self, call: &Call, id: i64) -> PortResult<bool> {
        let acting = acting(call);
        let done = call.bound(self.db.run(Repeat::Unsafe, move |connection| {
            let acting = acting.clone();
            Box::pin(async move {
                let changed = sqlx::query!(
                    "UPDATE perf.performance_baselines AS b SET is_active = false FROM core.acting($2)
                     WHERE b.baseline_id = $1 AND b.is_active",
                    id,
                    acting,
                );
                Ok(changed.execute(connection).await?.rows_affected() > 0)
            })
        }));
        Ok(done.await?)
    }

    async fn health(&self, call: &Call, limit: u16) -> PortResult<Vec<LatencyBaselineHealth>> {
        let rows = call.bound(self.db.run(Repeat::Safe, move |connection| {
            Box::pin(async move {
                sqlx::query_as!(
                    LatencyBaselineHealth,
                    r#"SELECT operation_type AS "operation_type!", scope, baseline_date AS "baseline_date!",
                              sample_count AS "sample_count!", p99_ms::float8 AS "p99_ms!",
                              alert_threshold_percent::float8 AS "alert_threshold_percent!",
                              alerts_generated AS "alerts_generated!", is_active AS "active!",
                              days_since_calculation AS "days_since_calculation!"
                       FROM perf.v_baseline_health WHERE is_active LIMIT $1"#,
                    i64::from(limit),
                )
                .fetch_all(connection)
                .await
            })
        }));
        Ok(rows.await?)
    }

    async fn types(&self, call: &Call, limit: u16) -> PortResult<Vec<OperationTypeRow>> {
        let rows = call.bound(self.db.run(Repeat::Safe, move |connection| {
            Box::pin(async move {
                sqlx::query_as!(
                    TypeRow,
                    r#"SELECT operation_type::text AS "operation_type!", description, lower(category) AS category,
                              typical_duration_ms::float8 AS typical_duration_ms, is_tracked
                       FROM perf.performance_operation_types ORDER BY operation_type COLLATE "C" LIMIT $1"#,
                    i64::from(limit),
                )
                .fetch_all(connection)
                .await
            })
        }));
        Ok(rows.await?.into_iter().map(TypeRow::read).collect())
    }

    async fn set_type(&self, call: &Call, new: NewOperationType) -> PortResult<OperationTypeRow> {
        let acting = acting(call);
        let row = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let (new, acting) = (new.clone(), acting.clone());
            Box::pin(async move {
                sqlx::query_as!(
                    TypeRow,
                    r#"INSERT INTO perf.performance_operation_types AS t
                           (operation_type, description, category, typical_duration_ms, is_tracked)
                       SELECT $1::text, $2, upper($3), $4::float8::numeric, $5 FROM core.acting($6)
                       ON CONFLICT (operation_type) DO UPDATE
                       SET description = excluded.description, category = excluded.category,
                           typical_duration_ms = excluded.typical_duration_ms, is_tracked = excluded.is_tracked
                       RETURNING t.operation_type::text AS "operation_type!", t.description, lower(t.category) AS category,
                                 t.typical_duration_ms::float8 AS typical_duration_ms, t.is_tracked"#,
                    new.operation_type.as_str(),
                    new.description.as_ref().map(Text255::as_str),
                    new.category.map(OperationCategory::as_str),
                    new.typical_duration_ms.map(super::TypicalMs::get),
                    new.is_tracked,
                    acting,
                )
                .fetch_one(connection)
                .await
            })
        }));
        Ok(row.await.map_err(refused)?.read())
    }
}

#[async_trait]
impl LatencyAlertSor for PostgresLimits {
    async fn page(&self, call: &Call, query: &LatencyAlertQuery) -> PortResult<LatencyAlertPage> {
        let limit = query.limit.clamp(1, MAX_LIMIT);
        let rows = self.alerts(call, &LatencyAlertQuery { limit, ..query.clone() }, None).await?;
        Ok(Page::cut(rows, limit.into(), |row| row.id))
    }

    async fn get(&self, call: &Call, id: i64) -> PortResult<Option<LatencyAlert>> {
        Ok(self.alerts(call, &LatencyAlertQuery::default(), Some(id)).await?.into_iter().next())
    }

    async fn anomalies(&self, call: &Call) -> PortResult<Vec<Anomaly>> {
        let last = call.bound(self.db.run(Repeat::Safe, |connection| {
            Box::pin(async move {
                sqlx::query_scalar!(r#"SELECT rolled_through - interval '1 hour' AS "last!" FROM perf.rollup_state"#)
                    .fetch_optional(connection)
                    .await
            })
        }));
        let Some(last) = last.await? else { return Ok(Vec::new()) };
        let hours = self.hours(call, COMPARED_WITH_HOURS, Some(last), false).await?;
        Ok(detection::anomalies(&hours, last))
    }

    async fn degradations(&self, call: &Call, days: LookbackDays) -> PortResult<Vec<Degradation>> {
        let rows = call.bound(self.db.run(Repeat::Safe, move |connection| {
            Box::pin(async move {
                sqlx::query!(
                    r#"WITH bounds AS (
                           SELECT now - $1 * interval '24 hours' AS since, date_trunc('hour', now - $1 * interval '12 hours', 'UTC') AS mid
                           FROM (SELECT date_trunc('hour', statement_timestamp(), 'UTC') AS now) AS hour
                       )
                       SELECT b.operation_type AS "operation_type!", b.sample_count AS "before_count!",
                              b.p99_us::float8 AS "before_us!", a.sample_count AS "after_count!", a.p99_us::float8 AS "after_us!"
                       FROM bounds
                       CROSS JOIN LATERAL perf.statistics(bounds.since, bounds.mid) AS b
                       JOIN LATERAL perf.statistics(bounds.mid, 'infinity') AS a ON a.operation_type = b.operation_type
                       WHERE b.p99_us IS NOT NULL AND a.p99_us IS NOT NULL"#,
                    f64::from(days.get()),
                )
                .fetch_all(connection)
                .await
            })
        }));
        let halves = rows.await?.into_iter().map(|row| Halves {
            operation_type: row.operation_type,
            before: (row.before_count, row.before_us),
            after: (row.after_count, row.after_us),
        });
        Ok(detection::degradations(&halves.collect::<Vec<_>>()))
    }

    async fn correlations(&self, call: &Call, query: &CorrelationQuery) -> PortResult<Vec<Correlation>> {
        let hours = self.hours(call, query.hours, None, true).await?;
        Ok(detection::correlations(&hours, query.threshold.get()))
    }

    async fn acknowledge(&self, call: &Call, id: i64, who: Acknowledgement) -> PortResult<Option<LatencyAlert>> {
        let acting = acting(call);
        let done = call.bound(self.db.run(Repeat::Unsafe, move |connection| {
            let (who, acting) = (who.clone(), acting.clone());
            Box::pin(async move {
                sqlx::query_scalar!(
                    r#"SELECT perf.acknowledge_performance_alert($1, coalesce($2, ''), $3) AS "first!"
                       FROM core.acting($4)"#,
                    id,
                    who.acknowledged_by.as_ref().map(Text255::as_str),
                    who.resolution_notes.as_ref().map(Note::as_str),
                    acting,
                )
                .fetch_one(connection)
                .await
            })
        }));
        match done.await {
            Ok(true) => LatencyAlertSor::get(self, call, id).await,
            Ok(false) => Err(PortError::Conflict("somebody has acknowledged it before".to_owned())),
            Err(DbError::Constraint(name)) if name == "alert_unknown" => Ok(None),
            Err(error) => Err(refused(error)),
        }
    }
}
