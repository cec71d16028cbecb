//! Silences in PostgreSQL.

use async_trait::async_trait;

use super::{PostgresIncidents, read, read_all, refused};
use crate::kernel::{AppName, Call, Page, PortResult, RowId};
use crate::sor::incident::domain::{
    IncidentPosition, IncidentQuery, IncidentSource, NewSilence, Silence, SilencePage, SilenceQuery,
};
use crate::sor::incident::port::SilenceSor;
use crate::storage::{Repeat, acting};

#[async_trait]
impl SilenceSor for PostgresIncidents {
    async fn create(&self, call: &Call, silence: NewSilence) -> PortResult<Silence> {
        let acting = acting(call);
        let row = self.db.run(Repeat::Unsafe, move |connection| {
            let (new, acting) = (silence.clone(), acting.clone());
            Box::pin(async move {
                sqlx::query_scalar!(
                    r#"INSERT INTO core.silence AS s (app_name, source, rule_id, starts_at, ends_at, reason, created_by)
                       SELECT $1, $2, $3, coalesce($4, now()), coalesce($4, now()) + make_interval(mins => $5), $6,
                              $7::jsonb ->> 'actor'
                       FROM core.acting($7)
                       RETURNING to_jsonb(s) AS "row!""#,
                    new.app.as_ref().map(AppName::as_str),
                    new.source.map(IncidentSource::as_str),
                    new.rule_id.map(RowId::get),
                    new.starts_at,
                    new.minutes.get(),
                    new.reason.as_str(),
                    acting,
                )
                .fetch_one(connection)
                .await
            })
        });
        read(call.bound(row).await.map_err(refused)?)
    }

    async fn page(&self, call: &Call, query: SilenceQuery) -> PortResult<SilencePage> {
        let limit = query.limit.clamp(1, IncidentQuery::MAX_LIMIT);
        let rows = call.bound(self.db.run(Repeat::Safe, move |connection| {
            Box::pin(async move {
                sqlx::query_scalar!(
                    r#"SELECT to_jsonb(s) AS "row!" FROM core.silence AS s
                       WHERE (NOT $1 OR s.ends_at > now()) AND ($2::integer IS NULL OR s.id < $2)
                       ORDER BY s.id DESC LIMIT $3"#,
                    query.active,
                    query.after.map(|after| after.0),
                    i64::from(limit) + 1,
                )
                .fetch_all(connection)
                .await
            })
        }));
        let silences: Vec<Silence> = read_all(rows.await?)?;
        Ok(Page::cut(silences, limit.into(), |silence| IncidentPosition(silence.id.get())))
    }

    async fn remove(&self, call: &Call, id: RowId) -> PortResult<bool> {
        let acting = acting(call);
        let done = call.bound(self.db.run(Repeat::Unsafe, move |connection| {
            let acting = acting.clone();
            Box::pin(async move {
                sqlx::query!("DELETE FROM core.silence USING core.acting($2) WHERE id = $1", id.get(), acting)
                    .execute(connection)
                    .await
            })
        }));
        Ok(done.await?.rows_affected() > 0)
    }
}
