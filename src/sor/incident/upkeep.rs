//! What time does to incidents.

use crate::kernel::{Call, PortResult};
use crate::storage::{Db, Repeat, acting_quietly, begin};

/// Ends and removes what is old.
#[derive(Debug, Clone)]
pub struct IncidentUpkeep {
    db: Db,
    retention_days: u16,
}

impl IncidentUpkeep {
    /// The upkeep of the incidents in this database. Those that were resolved so many days ago are removed.
    pub fn new(db: Db, retention_days: u16) -> Self {
        Self { db, retention_days }
    }

    /// Resolves observed problems that were not seen again in time, and ends flapping after 6 h without a change. Removes
    /// old incidents, silences that ended long ago, and the states of rules that nobody evaluates any more.
    pub async fn run(&self, call: &Call) -> PortResult<()> {
        let (days, acting) = (i32::from(self.retention_days), acting_quietly(call));
        let done = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let acting = acting.clone();
            Box::pin(async move {
                let mut transaction = begin(connection).await?;
                sqlx::query!("SELECT core.acting($1)", acting).fetch_one(&mut *transaction).await?;
                sqlx::query!("SELECT core.incident_settle()").fetch_one(&mut *transaction).await?;
                sqlx::query!("DELETE FROM core.incident WHERE state = 'resolved' AND resolved_at < now() - make_interval(days => $1)", days)
                    .execute(&mut *transaction)
                    .await?;
                sqlx::query!("DELETE FROM core.rule_state WHERE evaluated_at < now() - make_interval(days => $1)", days)
                    .execute(&mut *transaction)
                    .await?;
                sqlx::query!(
                    "WITH ended AS (
                         DELETE FROM core.silence WHERE ends_at < now() - make_interval(days => $1) RETURNING id
                     )
                     SELECT core.audit_append('silence.expire', 'silence', metadata => jsonb_build_object('rows', count(*)))
                     FROM ended HAVING count(*) > 0",
                    days,
                )
                .fetch_optional(&mut *transaction)
                .await?;
                transaction.commit().await
            })
        }));
        Ok(done.await?)
    }
}
