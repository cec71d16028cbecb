//! What is done to the log beside appending: it is chained, and its months are made ahead and dropped when they are old.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, Utc};

use crate::kernel::{Call, Clock, PortResult};
use crate::storage::{Db, Expired, PartitionedTable, Period, Repeat, TableName};

/// Rows that one run chains at most.
const BATCH: i32 = 10_000;
/// Days that months are made ahead for, today among them: more than any three months have.
const DAYS_AHEAD: u64 = 93;

/// The chain of hashes over the log in this database, and its months.
#[derive(Clone)]
pub struct AuditChain {
    db: Db,
    clock: Arc<dyn Clock>,
    months: PartitionedTable,
}

/// Rows that are not in the chain yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unchained {
    /// How many they are.
    pub rows: u64,
    /// How long the oldest has been there.
    pub oldest_age: TimeDelta,
}

impl AuditChain {
    /// The chain in this database, whose schema must be there. Months are dropped once their last row is older than so many
    /// days; without them, never.
    pub fn new(db: Db, clock: Arc<dyn Clock>, retention_days: Option<u32>) -> Self {
        metrics::describe_gauge!("audit_unchained", "Rows of the audit log that are not in its chain yet");
        let months = PartitionedTable {
            name: const { TableName::new("core", "audit_log") },
            period: Period::Month,
            days_ahead: DAYS_AHEAD,
            retention: retention_days.map(|days| TimeDelta::days(days.into())),
            lock_timeout: Duration::from_millis(500),
        };
        Self { db, clock, months }
    }

    /// Adds new rows to the chain, at most 10,000, and answers how many. Rows of transactions that took longer than an hour
    /// are left to [`AuditChain::upkeep`].
    ///
    /// # Errors
    /// The database's.
    pub async fn extend(&self, call: &Call) -> PortResult<u32> {
        self.extend_by(call, Some("1 hour")).await
    }

    async fn extend_by(&self, call: &Call, late: Option<&'static str>) -> PortResult<u32> {
        let added = self.db.run(Repeat::Safe, move |connection| {
            Box::pin(async move {
                let extend = "SELECT core.audit_extend($1::text::interval, $2)";
                sqlx::query_scalar::<_, i32>(extend).bind(late).bind(BATCH).fetch_one(connection).await
            })
        });
        Ok(call.bound(added).await?.unsigned_abs())
    }

    /// Makes the months ahead, chains all rows, and drops the months that are old.
    ///
    /// # Errors
    /// The database's. The next call does what is left.
    pub async fn upkeep(&self, call: &Call) -> PortResult<Expired> {
        let now = self.clock.now();
        call.bound(self.months.make(&self.db, self.without_a_month().await?)).await?;
        call.bound(self.months.make_ahead(&self.db, now)).await?;
        self.run(call, "SELECT core.audit_seal()", None).await?;
        while self.extend_by(call, None).await? > 0 {}
        let Some(kept_from) = self.months.retention.and_then(|kept| month_of((now - kept).date_naive())) else {
            return Ok(Expired::default());
        };
        self.anchor(call, kept_from).await?;
        let expired = call.bound(self.months.drop_expired(&self.db, now)).await?;
        if !expired.dropped.is_empty() {
            tracing::info!(
                months = expired.dropped.join(", "),
                "dropped months of the audit log that were kept long enough"
            );
        }
        Ok(expired)
    }

    /// The months of rows that came before there was a partition for them.
    async fn without_a_month(&self) -> PortResult<Vec<NaiveDate>> {
        let months = self.db.run(Repeat::Safe, |connection| {
            Box::pin(async move {
                sqlx::query_scalar!(
                    r#"SELECT DISTINCT date_trunc('month', at AT TIME ZONE 'UTC')::date AS "month!"
                       FROM core.audit_log WHERE tableoid = 'core.audit_log_default'::regclass"#
                )
                .fetch_all(connection)
                .await
            })
        });
        Ok(months.await?)
    }

    /// Lets the chain begin where rows from this time on do. What came late from before may have links after that.
    async fn anchor(&self, call: &Call, kept_from: DateTime<Utc>) -> PortResult<()> {
        let sql = "WITH first AS (SELECT min(seq) AS seq FROM core.audit_chain WHERE at >= $1),
                        link AS (SELECT seq, hash FROM core.audit_chain
                                 UNION ALL SELECT seq, hash FROM core.audit_anchor UNION ALL SELECT 0, ''::bytea),
                        anchored AS (INSERT INTO core.audit_anchor (seq, hash, kept_from)
                                     SELECT link.seq, link.hash, $1 FROM link
                                     WHERE link.seq < coalesce((SELECT seq FROM first), 9223372036854775807)
                                     ORDER BY link.seq DESC LIMIT 1
                                     ON CONFLICT (seq) DO UPDATE SET kept_from = excluded.kept_from RETURNING seq)
                   DELETE FROM core.audit_chain AS c USING anchored WHERE c.seq <= anchored.seq";
        self.run(call, sql, Some(kept_from)).await
    }

    async fn run(&self, call: &Call, sql: &'static str, argument: Option<DateTime<Utc>>) -> PortResult<()> {
        let done = self.db.run(Repeat::Safe, move |connection| {
            Box::pin(async move {
                let query = sqlx::query(sql);
                argument.into_iter().fold(query, sqlx::query::Query::bind).execute(connection).await
            })
        });
        call.bound(done).await?;
        Ok(())
    }

    /// The rows that are not in the chain yet; sets the gauge `audit_unchained`.
    ///
    /// # Errors
    /// The database's.
    pub async fn unchained(&self, call: &Call) -> PortResult<Unchained> {
        let found = self.db.run(Repeat::Safe, |connection| {
            Box::pin(async move {
                sqlx::query!(
                    r#"SELECT count(*) AS "rows!", coalesce(extract(epoch FROM now() - min(at)), 0)::bigint AS "age_s!"
                       FROM core.audit_unchained('1 hour')"#
                )
                .fetch_one(connection)
                .await
            })
        });
        let found = call.bound(found).await?;
        let unchained = Unchained { rows: found.rows.unsigned_abs(), oldest_age: TimeDelta::seconds(found.age_s) };
        #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
        metrics::gauge!("audit_unchained").set(unchained.rows as f64);
        Ok(unchained)
    }
}

/// The beginning of the month of a day.
fn month_of(day: NaiveDate) -> Option<DateTime<Utc>> {
    Some(day.with_day(1)?.and_time(NaiveTime::MIN).and_utc())
}
