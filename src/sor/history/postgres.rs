//! History in PostgreSQL.

mod batch;

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::batch::{Batch, Recorded};
use super::bounded::{Recommendation, TopFunctions};
use super::domain::{
    Assessment, HistoryPage, HistoryPosition, HistoryQuery, NewAssessment, ProfileTypes, check_assessed_at,
};
use super::port::HistorySor;
use crate::kernel::{AppName, Call, Clock, Page, PortError, PortResult, RowId, Stored, Text255};
use crate::storage::{self, Columns, Db, DbError, Repeat, acting, or_empty, stored, unless_empty};

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

/// A row as the routes show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: i32,
    app_name: String,
    profile_types: String,
    diagnosis: String,
    severity: String,
    #[serde(serialize_with = "or_empty")]
    top_functions: Option<serde_json::Value>,
    recommendation: Option<String>,
    requested_by: Option<String>,
    created_at: DateTime<Utc>,
}

impl storage::Row for Row {
    type Value = Assessment;

    fn value(&self) -> Result<Assessment, Vec<String>> {
        let columns = Columns::default();
        let id = columns.id(self.id);
        let app_name = columns.read("app_name", &self.app_name);
        let profile_types = columns.parse::<ProfileTypes>("profile_types", &self.profile_types);
        let diagnosis = columns.read("diagnosis", &self.diagnosis);
        let severity = columns.parse("severity", &self.severity);
        let top_functions = columns.read_some("top_functions", unless_empty(self.top_functions.as_ref()));
        let recommendation = columns.read_some("recommendation", self.recommendation.as_ref());
        let requested_by = columns.read_some("requested_by", self.requested_by.as_ref());
        let value = || {
            Some(Assessment {
                id: id?,
                app_name: app_name?,
                profile_types: profile_types?.0,
                diagnosis: diagnosis?,
                severity: severity?,
                top_functions: top_functions?,
                recommendation: recommendation?,
                requested_by: requested_by?,
                created_at: self.created_at,
            })
        };
        columns.made(value())
    }
}

/// The error for a row that the table refuses. The types let no such row through, so it names a check that they do not
/// know.
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
    // A repeated key changes nothing, and this statement then returns the existing row.
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
        let row = row.await.map_err(refused)?;
        stored(&row)
            .valid()
            .ok_or_else(|| PortError::Internal(format!("{TABLE} row {} is not what was written", row.id)))
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
        Ok(page.read(|row| Some(stored(&row))))
    }

    async fn latest(&self, call: &Call, app: &AppName) -> PortResult<Option<Stored<Assessment>>> {
        let page = self.list(call, &HistoryQuery::newest(app.clone(), 1)).await?;
        Ok(page.entries.into_iter().next())
    }

    async fn remove(&self, call: &Call, id: RowId) -> PortResult<bool> {
        let acting = acting(call);
        let done = call.bound(self.db.run(Repeat::Unsafe, move |connection| {
            let acting = acting.clone();
            Box::pin(async move {
                sqlx::query!("DELETE FROM public.triage_history USING core.acting($2) WHERE id = $1", id.get(), acting)
                    .execute(connection)
                    .await
            })
        }));
        Ok(done.await?.rows_affected() > 0)
    }
}
