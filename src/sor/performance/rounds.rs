//! What one server at a time does to the operations in a database: rolls them up, learns limits anew, and counts what is over them.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::postgres::types::PgInterval;

use super::limits::{Anomaly, Degradation};
use crate::kernel::{Call, LimitSeverity, PortError, PortResult};
use crate::storage::{Db, Repeat, acting};

/// Hours that are rolled up at once. A call that did as many may have left some.
const HOURS_AT_ONCE: i32 = 48;

/// When an alert is over, and when people are told of one.
#[derive(Debug, Clone, Copy)]
pub struct AlertSettings {
    /// For how long nothing may be over a limit until the alert is over.
    pub quiet: std::time::Duration,
    /// Operations of the last 10 minutes that must be over the limit before people are told.
    pub least_count: u32,
    /// The same in percent of all of that type and scope.
    pub least_percent: u32,
}

/// What one server at a time does to the operations in this database.
#[derive(Debug, Clone)]
pub struct OperationRounds {
    db: Db,
    alerts: AlertSettings,
}

impl OperationRounds {
    /// The rounds of this database.
    pub fn new(db: Db, alerts: AlertSettings) -> Self {
        Self { db, alerts }
    }

    /// Rolls up the hours that are over, at most 48 in a transaction. Answers through when they are, unless another server does
    /// it.
    ///
    /// # Errors
    /// The database's. The next call does what is left.
    pub async fn roll_up(&self, call: &Call) -> PortResult<Option<DateTime<Utc>>> {
        loop {
            let done = call.bound(self.db.run(Repeat::Safe, |connection| {
                Box::pin(async move {
                    sqlx::query!("SELECT hours, through FROM perf.refresh_rollups()").fetch_one(connection).await
                })
            }));
            let done = done.await?;
            if done.hours.is_none_or(|hours| hours < HOURS_AT_ONCE) {
                return Ok(done.through);
            }
        }
    }

    /// Opens, counts and ends alerts. Answers how many are open, unless another server does it.
    ///
    /// # Errors
    /// The database's.
    pub async fn evaluate(&self, call: &Call) -> PortResult<Option<i64>> {
        let AlertSettings { quiet, least_count, least_percent } = self.alerts;
        let quiet = i64::try_from(quiet.as_micros()).unwrap_or(i64::MAX);
        let open = call.bound(self.db.run(Repeat::Safe, move |connection| {
            Box::pin(async move {
                let quiet = PgInterval { months: 0, days: 0, microseconds: quiet };
                let evaluate = sqlx::query_scalar!(
                    "SELECT perf.evaluate_alerts($1, $2, $3::bigint::numeric)",
                    quiet,
                    i64::from(least_count),
                    i64::from(least_percent),
                );
                evaluate.fetch_one(connection).await
            })
        }));
        Ok(open.await?)
    }

    /// How many alerts are open, by severity.
    ///
    /// # Errors
    /// The database's.
    pub async fn open_alerts(&self, call: &Call) -> PortResult<Vec<(LimitSeverity, i64)>> {
        let rows = call.bound(self.db.run(Repeat::Safe, |connection| {
            Box::pin(async move {
                sqlx::query!(
                    r#"SELECT lower(severity) AS "severity!", count(*) AS "count!"
                       FROM perf.performance_alerts WHERE resolved_at IS NULL GROUP BY severity"#
                )
                .fetch_all(connection)
                .await
            })
        }));
        Ok(rows.await?.into_iter().filter_map(|row| Some((row.severity.parse().ok()?, row.count))).collect())
    }

    /// Keeps what became slower as alerts: opens those that are new, and ends those that were not found again.
    ///
    /// # Errors
    /// The database's.
    pub async fn keep_detected(
        &self,
        call: &Call,
        anomalies: &[Anomaly],
        degradations: &[Degradation],
    ) -> PortResult<()> {
        let anomalies: Value = anomalies.iter().map(of_anomaly).collect();
        let degradations: Value = degradations.iter().map(of_degradation).collect();
        let kept = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let (anomalies, degradations) = (anomalies.clone(), degradations.clone());
            Box::pin(async move {
                let keep = sqlx::query!(
                    "SELECT perf.keep_detected('ANOMALY', $1), perf.keep_detected('DEGRADATION', $2)",
                    anomalies,
                    degradations,
                );
                keep.execute(connection).await
            })
        }));
        Ok(kept.await.map(drop)?)
    }

    /// Learns every limit in force anew, one by one, and a first one for each tracked type that has enough operations. Answers how
    /// many were learnt.
    ///
    /// # Errors
    /// The database's; where only some took too long, after all others. The next call begins with those that are left.
    pub async fn relearn(&self, call: &Call) -> PortResult<u64> {
        let keys = call.bound(self.db.run(Repeat::Safe, |connection| {
            Box::pin(async move {
                sqlx::query!(r#"SELECT of_type AS "of_type!", of_scope FROM perf.baselines_to_learn()"#)
                    .fetch_all(connection)
                    .await
            })
        }));
        let (mut learnt, mut too_slow) = (0, None);
        for key in keys.await? {
            match self.relearn_one(call, &key.of_type, key.of_scope.as_deref()).await {
                Ok(baseline) => learnt += u64::from(baseline.is_some()),
                Err(error @ PortError::Timeout(_)) => {
                    tracing::warn!(operation_type = key.of_type, scope = key.of_scope, %error, "a limit was not learnt");
                    too_slow = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        too_slow.map_or(Ok(learnt), Err)
    }

    async fn relearn_one(&self, call: &Call, of_type: &str, of_scope: Option<&str>) -> PortResult<Option<i64>> {
        let (acting, of_type, of_scope) = (acting(call), of_type.to_owned(), of_scope.map(str::to_owned));
        let learnt = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let (acting, of_type, of_scope) = (acting.clone(), of_type.clone(), of_scope.clone());
            Box::pin(async move {
                let relearn = sqlx::query_scalar!(
                    "SELECT perf.relearn_baseline($1, $2) FROM core.acting($3)",
                    of_type,
                    of_scope,
                    acting
                );
                relearn.fetch_one(connection).await
            })
        }));
        Ok(learnt.await?)
    }
}

/// Milliseconds as whole microseconds.
#[expect(clippy::cast_possible_truncation, reason = "a duration of at most 31 days")]
fn micros(ms: f64) -> i64 {
    (ms * 1_000.0).round() as i64
}

fn of_anomaly(found: &Anomaly) -> Value {
    json!({"operation_type": found.operation_type, "severity": found.severity.as_str().to_uppercase(),
        "now_us": micros(found.p50_ms), "before_us": micros(found.median_ms), "at": found.hour + TimeDelta::hours(1),
        "detail": found})
}

fn of_degradation(found: &Degradation) -> Value {
    json!({"operation_type": found.operation_type, "severity": found.severity.as_str().to_uppercase(),
        "now_us": micros(found.after_p99_ms), "before_us": micros(found.before_p99_ms), "detail": found})
}
