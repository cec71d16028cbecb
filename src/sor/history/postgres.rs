//! History in PostgreSQL.

mod batch;

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::batch::{Batch, Recorded};
use super::bounded::{Recommendation, TopFunctions};
use super::domain::{
    Assessment, HistoryPage, HistoryPosition, HistoryQuery, NewAssessment, ProfileTypes, check_assessed_at,
};
use super::port::HistorySor;
use crate::kernel::{AppName, Call, Clock, Page, PortError, PortResult, RowId, Text255};
use crate::storage::{Broken, Columns, Db, DbError, Repeat, readable};

const TABLE: &str = "triage_history";

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
    type Error = Broken;

    fn try_from(row: Row) -> Result<Self, Broken> {
        let columns = Columns::of(TABLE, row.id);
        Ok(Self {
            id: columns.id()?,
            app_name: columns.read("app_name", row.app_name)?,
            profile_types: columns.parse::<ProfileTypes>("profile_types", &row.profile_types)?.0,
            diagnosis: columns.read("diagnosis", row.diagnosis)?,
            severity: columns.parse("severity", &row.severity)?,
            top_functions: columns.read_some("top_functions", row.top_functions)?,
            recommendation: columns.read_some("recommendation", row.recommendation)?,
            requested_by: columns.read_some("requested_by", row.requested_by)?,
            created_at: row.created_at,
        })
    }
}

/// What a refused row means to the caller; types let no such row in, so this names a rule that they do not know.
fn refused(error: DbError) -> PortError {
    match error {
        DbError::Constraint(name) => {
            let column = name.trim_start_matches(TABLE).trim_start_matches('_').trim_end_matches("_check");
            PortError::Invalid(format!("{column} is not what history keeps"))
        }
        DbError::Port(error) => error,
    }
}

fn check_time(entry: &NewAssessment, now: DateTime<Utc>) -> PortResult<()> {
    check_assessed_at(entry.assessed_at, now).map_err(|error| PortError::Invalid(format!("assessedAt {error}")))
}

async fn insert(connection: &mut PgConnection, new: NewAssessment) -> Result<Row, sqlx::Error> {
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
        ProfileTypes(new.profile_types).to_string(),
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
}

#[async_trait]
impl HistorySor for PostgresHistory {
    async fn create(&self, call: &Call, entry: NewAssessment) -> PortResult<Assessment> {
        check_time(&entry, self.clock.now())?;
        let repeat = if entry.idempotency_key.is_some() { Repeat::Safe } else { Repeat::Unsafe };
        let row = call.bound(self.db.run(repeat, move |connection| {
            let new = entry.clone();
            Box::pin(async move { insert(connection, new).await })
        }));
        Ok(row.await.map_err(refused)?.try_into()?)
    }

    async fn create_all(&self, call: &Call, batch: Batch<Recorded>) -> PortResult<Vec<PortResult<RowId>>> {
        let now = self.clock.now();
        let (mut results, mut new, mut wanted) = (Vec::new(), Vec::new(), HashSet::new());
        for recorded in batch.into_inner() {
            let valid = check_time(&recorded.entry, now);
            results.push(valid.as_ref().map(|()| recorded.key).map_err(Clone::clone));
            // One statement cannot write a row twice.
            if valid.is_ok() && wanted.insert(recorded.key) {
                new.push(recorded);
            }
        }
        let kept = batch::insert_all(&self.db, call, new.into()).await?;
        let unanswered = || PortError::Internal("the database answered no row for an entry".to_owned());
        let result = |key: Uuid| kept.get(&key).cloned().unwrap_or_else(|| Err(unanswered()));
        Ok(results.into_iter().map(|key| key.and_then(result)).collect())
    }

    async fn list(&self, call: &Call, query: &HistoryQuery) -> PortResult<HistoryPage> {
        let limit = query.limit.clamp(1, HistoryQuery::MAX_LIMIT);
        let query = query.clone();
        let rows = call.bound(self.db.run(Repeat::Safe, move |connection| {
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
                    i64::from(limit) + 1,
                )
                .fetch_all(connection)
                .await
            })
        }));
        let page = Page::cut(rows.await?, limit.into(), |row| HistoryPosition(row.created_at, row.id));
        Ok(readable(page))
    }

    async fn latest(&self, call: &Call, app: &AppName) -> PortResult<Option<Assessment>> {
        let mut query = HistoryQuery::newest(app.clone(), 1);
        loop {
            let page = self.list(call, &query).await?;
            query = HistoryQuery { limit: HistoryQuery::MAX_LIMIT, after: page.next, ..query };
            let newest = page.entries.into_iter().next();
            // The newest row may be one that cannot be read.
            if newest.is_some() || query.after.is_none() {
                return Ok(newest);
            }
        }
    }

    async fn remove(&self, call: &Call, id: RowId) -> PortResult<bool> {
        let done = call.bound(self.db.run(Repeat::Unsafe, move |connection| {
            Box::pin(async move {
                sqlx::query!("DELETE FROM public.triage_history WHERE id = $1", id.get()).execute(connection).await
            })
        }));
        Ok(done.await?.rows_affected() > 0)
    }
}
