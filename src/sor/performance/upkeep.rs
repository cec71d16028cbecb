//! What is done to the tables each hour: days are made ahead and dropped when they are old, and spans that nobody ended are
//! ended.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::postgres::types::PgInterval;

use crate::kernel::{Clock, PortResult};
use crate::storage::{Db, MaintenanceRound, PartitionedTable, Period, Repeat, TableName};

/// Days that partitions are made for ahead, beside today.
const DAYS_AHEAD: u64 = 3;

/// How long a change of the days waits for those who record, who then wait behind it.
const LOCK_TIMEOUT: Duration = Duration::from_millis(50);

/// Rows that are deleted in one transaction.
const DELETED_AT_ONCE: i64 = 10_000;

/// For how long what is kept.
#[derive(Debug, Clone, Copy)]
pub struct KeptFor {
    /// Days that operations are kept.
    pub rows_days: u32,
    /// Days that rollups, merges, resolved alerts and former limits are kept.
    pub rollups_days: u32,
}

/// The upkeep of the operations in this database.
#[derive(Clone)]
pub struct OperationUpkeep {
    db: Db,
    clock: Arc<dyn Clock>,
    days: PartitionedTable,
    rollups_days: u32,
    span_timeout: Duration,
}

impl OperationUpkeep {
    /// The upkeep of this database, whose schema must be there. A span that nobody ended within the timeout has failed.
    pub fn new(db: Db, clock: Arc<dyn Clock>, kept: KeptFor, span_timeout: Duration) -> Self {
        let days = PartitionedTable {
            name: const { TableName::new("perf", "operation") },
            period: Period::Day,
            days_ahead: DAYS_AHEAD + 1,
            retention: Some(TimeDelta::days(kept.rows_days.into())),
            lock_timeout: LOCK_TIMEOUT,
        };
        Self { db, clock, days, rollups_days: kept.rollups_days, span_timeout }
    }

    /// Does it once. Several servers may do so at once.
    ///
    /// # Errors
    /// The database's. The next call does what is left.
    pub async fn run(&self) -> PortResult<()> {
        let now = self.clock.now();
        let made = self.days.make_ahead(&self.db, now).await;
        let expired = self.days.drop_expired(&self.db, now).await?;
        if !expired.dropped.is_empty() {
            tracing::info!(days = ?expired.dropped, "dropped operations that were kept long enough");
        }
        self.expire_unpartitioned(now).await?;
        let abandoned = self.end_abandoned_spans().await?;
        if abandoned > 0 {
            tracing::info!(abandoned, "ended spans that nobody ended");
        }
        self.expire().await?;
        made.map(drop)
    }

    /// Deletes rows that were kept long enough of days that have no partition: no server was there when they were recorded.
    async fn expire_unpartitioned(&self, now: DateTime<Utc>) -> PortResult<()> {
        let Some(before) = self.days.retention.map(|kept| now - kept) else { return Ok(()) };
        loop {
            let deleted = self.db.run(Repeat::Safe, move |connection| {
                Box::pin(async move {
                    let delete = sqlx::query!(
                        "DELETE FROM perf.operation_default
                         WHERE ctid = ANY (ARRAY(SELECT ctid FROM perf.operation_default WHERE ended_at < $1 LIMIT $2))",
                        before,
                        DELETED_AT_ONCE,
                    );
                    Ok(delete.execute(connection).await?.rows_affected())
                })
            });
            if deleted.await? < DELETED_AT_ONCE.unsigned_abs() {
                return Ok(());
            }
        }
    }

    async fn expire(&self) -> PortResult<()> {
        let days = i32::try_from(self.rollups_days).unwrap_or(i32::MAX);
        let expired = self.db.run(Repeat::Safe, move |connection| {
            Box::pin(async move {
                sqlx::query!(
                    "SELECT perf.expire(kept), perf.expire_merges(kept) FROM make_interval(days => $1) AS kept",
                    days
                )
                .execute(connection)
                .await
            })
        });
        Ok(expired.await.map(drop)?)
    }

    async fn end_abandoned_spans(&self) -> PortResult<i64> {
        let micros = i64::try_from(self.span_timeout.as_micros()).unwrap_or(i64::MAX);
        let ended = self.db.run(Repeat::Safe, move |connection| {
            Box::pin(async move {
                let timeout = PgInterval { months: 0, days: 0, microseconds: micros };
                sqlx::query_scalar!(r#"SELECT perf.reap_spans($1) AS "abandoned!""#, timeout)
                    .fetch_one(connection)
                    .await
            })
        });
        Ok(ended.await?)
    }

    /// A round of maintenance that does it.
    pub fn maintenance_round(self) -> MaintenanceRound {
        let upkeep = Arc::new(self);
        MaintenanceRound::new("performance", move || {
            let upkeep = Arc::clone(&upkeep);
            async move { upkeep.run().await }
        })
    }
}
