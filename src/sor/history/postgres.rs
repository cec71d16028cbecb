//! History in PostgreSQL.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::domain::{
    Assessment, HistoryPage, HistoryPosition, HistoryQuery, NewAssessment, Recommendation, TopFunctions,
    check_assessed_at, join_types, split_types,
};
use super::port::HistorySor;
use crate::kernel::{AppName, Clock, PortError, PortResult, RowId, Text255};
use crate::storage::{Db, DbError, Repeat};

pub(super) struct PostgresHistory {
    db: Db,
    clock: Arc<dyn Clock>,
}

impl PostgresHistory {
    pub(super) fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        Self { db, clock }
    }
}

#[derive(Debug)]
struct Row {
    id: i32,
    app_name: String,
    profile_types: String,
    diagnosis: String,
    severity: String,
    top_functions: Option<serde_json::Value>,
    recommendation: Option<String>,
    requested_by: Option<String>,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for Assessment {
    type Error = PortError;

    fn try_from(row: Row) -> PortResult<Self> {
        let broken = |column: &str, why: &dyn std::fmt::Display| {
            PortError::Internal(format!("triage_history row {}: {column} {why}", row.id))
        };
        let top_functions = row.top_functions.map(TopFunctions::try_from).transpose();
        Ok(Self {
            id: RowId::new(row.id.into()).ok_or_else(|| broken("id", &"is below 1"))?,
            app_name: row.app_name.try_into().map_err(|e| broken("app_name", &e))?,
            profile_types: split_types(&row.profile_types).map_err(|e| broken("profile_types", &e))?,
            diagnosis: row.diagnosis.try_into().map_err(|e| broken("diagnosis", &e))?,
            severity: row.severity.parse().map_err(|e| broken("severity", &e))?,
            top_functions: top_functions.map_err(|e| broken("top_functions", &e))?,
            recommendation: row
                .recommendation
                .map(TryInto::try_into)
                .transpose()
                .map_err(|e| broken("recommendation", &e))?,
            requested_by: row
                .requested_by
                .map(TryInto::try_into)
                .transpose()
                .map_err(|e| broken("requested_by", &e))?,
            created_at: row.created_at,
        })
    }
}

/// What a refused row means to the caller; types let no such row in, so this names a rule that they do not know.
fn refused(error: DbError) -> PortError {
    match error {
        DbError::Constraint(name) => {
            let column = name.trim_start_matches("triage_history_").trim_end_matches("_check");
            PortError::Invalid(format!("{column} is not what history keeps"))
        }
        DbError::Port(error) => error,
    }
}

/// A row of an adopted table that no assessment can be made of must not take the others from their readers.
fn readable(row: Row) -> Option<Assessment> {
    match Assessment::try_from(row) {
        Ok(assessment) => Some(assessment),
        Err(error) => {
            tracing::warn!(%error, "a stored assessment is left out, since it is not valid");
            None
        }
    }
}

#[async_trait]
impl HistorySor for PostgresHistory {
    async fn create(&self, entry: NewAssessment) -> PortResult<Assessment> {
        check_assessed_at(entry.assessed_at, self.clock.now())
            .map_err(|error| PortError::Invalid(format!("assessedAt {error}")))?;
        let repeat = if entry.idempotency_key.is_some() { Repeat::Safe } else { Repeat::Unsafe };
        let row = self.db.run(repeat, move |connection| {
            let new = entry.clone();
            Box::pin(async move {
                // The key again changes nothing, and this way the row that exists comes back from the same statement.
                sqlx::query_as!(
                    Row,
                    "INSERT INTO public.triage_history AS h
                         (app_name, profile_types, diagnosis, severity, top_functions, recommendation, requested_by,
                          created_at, idempotency_key)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, coalesce($8, now()), $9)
                     ON CONFLICT (idempotency_key) DO UPDATE SET idempotency_key = excluded.idempotency_key
                     RETURNING h.id, h.app_name, h.profile_types, h.diagnosis, h.severity, h.top_functions,
                               h.recommendation, h.requested_by, h.created_at",
                    new.app_name.as_str(),
                    join_types(&new.profile_types),
                    new.diagnosis.as_str(),
                    new.severity.as_str(),
                    new.top_functions.as_ref().map(TopFunctions::as_value),
                    new.recommendation.as_ref().map(Recommendation::as_str),
                    new.requested_by.as_ref().map(Text255::as_str),
                    new.assessed_at,
                    new.idempotency_key,
                )
                .fetch_one(connection)
                .await
            })
        });
        row.await.map_err(refused)?.try_into()
    }

    async fn list(&self, query: &HistoryQuery) -> PortResult<HistoryPage> {
        let limit = usize::from(query.limit.clamp(1, HistoryQuery::MAX_LIMIT));
        let query = query.clone();
        let rows = self.db.run(Repeat::Safe, move |connection| {
            let query = query.clone();
            Box::pin(async move {
                sqlx::query_as!(
                    Row,
                    "SELECT id, app_name, profile_types, diagnosis, severity, top_functions, recommendation,
                            requested_by, created_at
                     FROM public.triage_history
                     WHERE app_name = $1
                       AND created_at >= coalesce($2, '-infinity'::timestamptz)
                       AND created_at < coalesce($3, 'infinity'::timestamptz)
                       AND (created_at, id) < (coalesce($4, 'infinity'::timestamptz), coalesce($5, 0))
                     ORDER BY created_at DESC, id DESC
                     LIMIT $6",
                    query.app_name.as_str(),
                    query.from,
                    query.to,
                    query.after.map(|after| after.0),
                    query.after.map(|after| after.1),
                    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1),
                )
                .fetch_all(connection)
                .await
            })
        });
        let mut rows = rows.await.map_err(PortError::from)?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|row| HistoryPosition(row.created_at, row.id));
        Ok(HistoryPage { entries: rows.into_iter().filter_map(readable).collect(), next })
    }

    async fn latest(&self, app: &AppName) -> PortResult<Option<Assessment>> {
        let page = self.list(&HistoryQuery::newest(app.clone(), 1)).await?;
        Ok(page.entries.into_iter().next())
    }

    async fn remove(&self, id: RowId) -> PortResult<bool> {
        let done = self.db.run(Repeat::Unsafe, move |connection| {
            Box::pin(async move {
                sqlx::query!("DELETE FROM public.triage_history WHERE id = $1", id.get()).execute(connection).await
            })
        });
        Ok(done.await?.rows_affected() > 0)
    }
}
