//! Assessments that are older than they are kept for go, a few at a time.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::kernel::{Clock, PortResult};
use crate::storage::{Db, Repeat};

/// Rows of one statement: it holds its locks for some ten milliseconds.
const BATCH: u16 = 2_000;
/// The pause after each, in which others have the disk.
const PAUSE: Duration = Duration::from_millis(100);

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
        let (mut rows, mut from) = (0, String::new());
        loop {
            let (deleted, last_app) = self.delete(before, &from).await?;
            metrics::counter!("history_expired_total").increment(deleted);
            rows += deleted;
            if deleted < BATCH.into() {
                break;
            }
            // Deleted rows stay in the index for a while: the apps that are done are not walked through again.
            from = last_app.unwrap_or(from);
            tokio::time::sleep(PAUSE).await;
        }
        if rows > 0 {
            tracing::info!(rows, %before, "deleted assessments that were kept long enough");
        }
        Ok(rows)
    }

    /// Deletes a batch, of the apps from this one on: how many rows, and the last app of them.
    async fn delete(&self, before: DateTime<Utc>, from: &str) -> PortResult<(u64, Option<String>)> {
        // A batch that is sent twice deletes two, which is as well.
        let deleted = self.db.run(Repeat::Safe, move |connection| {
            let from = from.to_owned();
            Box::pin(async move {
                // From app to app, and in each from its oldest row on, by the index that lists an app's. One of ranges by
                // time (BRIN) would find old rows everywhere once new ones stand where others were deleted, and a tree by
                // time would be paid for by every new row, for whoever keeps all of them too.
                sqlx::query!(
                    r#"WITH RECURSIVE app (name) AS (
                           (SELECT h.app_name FROM public.triage_history AS h
                            WHERE h.app_name >= $1 ORDER BY h.app_name LIMIT 1)
                           UNION ALL
                           SELECT (SELECT h.app_name FROM public.triage_history AS h
                                   WHERE h.app_name > app.name ORDER BY h.app_name LIMIT 1)
                           FROM app WHERE app.name IS NOT NULL
                       ), old AS (
                           SELECT of_app.ctid FROM app CROSS JOIN LATERAL (
                               SELECT h.ctid FROM public.triage_history AS h
                               WHERE h.app_name = app.name AND h.created_at < $2
                               ORDER BY h.created_at LIMIT $3 FOR UPDATE SKIP LOCKED
                           ) AS of_app LIMIT $3
                       ), deleted AS (
                           DELETE FROM public.triage_history AS h WHERE h.ctid = ANY (ARRAY(SELECT old.ctid FROM old))
                           RETURNING h.app_name
                       )
                       SELECT count(*) AS "rows!", max(app_name) AS app FROM deleted"#,
                    from,
                    before,
                    i64::from(BATCH),
                )
                .fetch_one(connection)
                .await
            })
        });
        let row = deleted.await?;
        Ok((row.rows.unsigned_abs(), row.app))
    }
}

#[cfg(test)]
mod tests;
