//! Deletes old assessments, a few at a time.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::kernel::{Call, Clock, PortResult};
use crate::storage::{Db, MaintenanceRound, Repeat, acting, acting_quietly};

/// Rows of one statement at most.
const BATCH: u16 = 2_000;
/// The pause after each batch, so that others can use the disk.
const PAUSE: Duration = Duration::from_millis(100);
/// The time that is first looked at in one: what became old since the last round.
const FIRST_SPAN: TimeDelta = TimeDelta::hours(1);
/// The shortest pause.
const LEAST_SPAN: TimeDelta = TimeDelta::seconds(1);

/// Keeps assessments for so long and no longer.
#[derive(Clone)]
pub struct Retention {
    db: Db,
    clock: Arc<dyn Clock>,
    kept: TimeDelta,
}

impl Retention {
    /// A retention of so many days in this database, whose schema must be there.
    pub fn new(db: Db, clock: Arc<dyn Clock>, days: u32) -> Self {
        metrics::describe_counter!("history_expired_total", "Assessments deleted, as they were kept long enough");
        Self { db, clock, kept: TimeDelta::days(days.into()) }
    }

    /// Deletes the assessments that are older, and answers how many they were. Several servers may do so at once: none
    /// waits for rows that another is deleting.
    ///
    /// # Errors
    /// The database's. What was not deleted is by the next call.
    pub async fn expire(&self) -> PortResult<u64> {
        let before = self.clock.now() - self.kept;
        let mut rows = 0;
        let done = self.delete_before(before, &mut rows).await;
        if rows > 0 {
            tracing::info!(rows, %before, "deleted assessments that were kept long enough");
            self.append_to_audit_log(rows, before).await?;
        }
        done.map(|()| rows)
    }

    /// Deletes what is older, and counts it.
    async fn delete_before(&self, before: DateTime<Utc>, rows: &mut u64) -> PortResult<()> {
        let (apps, oldest): (Vec<_>, Vec<_>) = self.oldest(before).await?.into_iter().unzip();
        let Some(mut from) = oldest.into_iter().min() else { return Ok(()) };
        let (apps, mut span) = (Arc::from(apps), FIRST_SPAN);
        // In order of time, as rows of one time share pages: each page is written once, and not once for each app.
        while from < before {
            let to = before.min(from + span);
            let deleted = self.delete(&apps, from, to).await?;
            metrics::counter!("history_expired_total").increment(deleted);
            *rows += deleted;
            if deleted < BATCH.into() {
                (from, span) = (to, span * 2);
            } else {
                span = LEAST_SPAN.max(span / 2);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// One row for all that was deleted, which has none each.
    async fn append_to_audit_log(&self, rows: u64, before: DateTime<Utc>) -> PortResult<()> {
        let (metadata, acting) = (json!({"rows": rows, "before": before}), acting(&Call::system("history")));
        let append = self.db.run(Repeat::Unsafe, move |connection| {
            let (metadata, acting) = (metadata.clone(), acting.clone());
            Box::pin(async move {
                let append = "SELECT core.audit_append('history.expire', 'history', metadata => $1, acting => $2)";
                sqlx::query(append).bind(metadata).bind(acting).execute(connection).await
            })
        });
        append.await?;
        Ok(())
    }

    /// [`Retention::expire`], to be run every hour.
    pub fn maintenance_round(self) -> MaintenanceRound {
        MaintenanceRound::new("history", move || {
            let retention = self.clone();
            async move { retention.expire().await.map(drop) }
        })
    }

    /// The apps that have older assessments, each with the time of its oldest.
    async fn oldest(&self, before: DateTime<Utc>) -> PortResult<Vec<(String, DateTime<Utc>)>> {
        let rows = self.db.run(Repeat::Safe, move |connection| {
            Box::pin(async move {
                // Goes from app to app by the index that lists an app's entries. A BRIN index by time would find old
                // rows everywhere once new ones were written where others were deleted. A B-tree by time would cost
                // each new row, also for those who keep all rows.
                sqlx::query!(
                    r#"WITH RECURSIVE app (name) AS (
                           (SELECT h.app_name FROM public.triage_history AS h ORDER BY h.app_name LIMIT 1)
                           UNION ALL
                           SELECT (SELECT h.app_name FROM public.triage_history AS h
                                   WHERE h.app_name > app.name ORDER BY h.app_name LIMIT 1)
                           FROM app WHERE app.name IS NOT NULL
                       )
                       SELECT app.name AS "app!", oldest.created_at FROM app CROSS JOIN LATERAL (
                           SELECT h.created_at FROM public.triage_history AS h
                           WHERE h.app_name = app.name AND h.created_at < $1 AND h.created_at > '-infinity'
                           ORDER BY h.created_at LIMIT 1
                       ) AS oldest"#,
                    before,
                )
                .fetch_all(connection)
                .await
            })
        });
        Ok(rows.await?.into_iter().map(|row| (row.app, row.created_at)).collect())
    }

    /// Deletes a batch of what these apps have of a time, and answers how many rows.
    async fn delete(&self, apps: &Arc<[String]>, from: DateTime<Utc>, to: DateTime<Utc>) -> PortResult<u64> {
        let acting = acting_quietly(&Call::system("history"));
        // A batch that is sent twice deletes two, which is as well.
        let done = self.db.run(Repeat::Safe, move |connection| {
            let (apps, acting) = (Arc::clone(apps), acting.clone());
            Box::pin(async move {
                sqlx::query!(
                    "DELETE FROM public.triage_history USING core.acting($5) WHERE ctid = ANY (ARRAY(
                         SELECT old.ctid FROM unnest($1::text[]) AS app (name) CROSS JOIN LATERAL (
                             SELECT h.ctid FROM public.triage_history AS h
                             WHERE h.app_name = app.name AND h.created_at >= $2 AND h.created_at < $3
                             ORDER BY h.created_at LIMIT $4 FOR UPDATE SKIP LOCKED
                         ) AS old LIMIT $4))",
                    &*apps,
                    from,
                    to,
                    i64::from(BATCH),
                    acting,
                )
                .execute(connection)
                .await
            })
        });
        Ok(done.await?.rows_affected())
    }
}

#[cfg(test)]
mod tests;
