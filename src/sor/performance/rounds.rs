//! What one server at a time does to the operations in a database: rolls them up, learns limits anew, and counts what is over them.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::postgres::types::PgInterval;

use super::limits::{Anomaly, Degradation};
use crate::kernel::{Call, PortResult};
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

    /// Learns every limit in force anew, and a first one for each tracked type that has enough operations. Answers how many were
    /// learnt.
    ///
    /// # Errors
    /// The database's.
    pub async fn relearn(&self, call: &Call) -> PortResult<i64> {
        let acting = acting(call);
        let learnt = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let acting = acting.clone();
            Box::pin(async move {
                let relearn =
                    sqlx::query_scalar!(r#"SELECT perf.relearn_baselines() AS "learnt!" FROM core.acting($1)"#, acting);
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
