//! Baselines in PostgreSQL.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::Connection;

use super::domain::{Baseline, BaselineChange, BaselinePage, BaselinePosition, BaselineQuery, NewBaseline};
use super::port::BaselineSor;
use crate::kernel::{LimitSeverity, Percent, PortError, PortResult, ProfileType, RowId, Text255};
use crate::storage::{Db, DbError, Repeat};

pub(super) struct PostgresBaselines {
    db: Db,
}

impl PostgresBaselines {
    pub(super) fn new(db: Db) -> Self {
        Self { db }
    }
}

#[derive(Debug)]
struct Row {
    id: i32,
    app_name: String,
    profile_type: String,
    function_name: String,
    max_self_percent: f64,
    severity: String,
    created_by: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// A column of a row that no limit can be made of: somebody wrote it past the routes.
#[derive(Debug)]
struct Broken {
    id: i32,
    column: &'static str,
    why: String,
}

impl From<Broken> for PortError {
    fn from(Broken { id, column, why }: Broken) -> Self {
        Self::Internal(format!("performance_baseline row {id}: {column} {why}"))
    }
}

impl TryFrom<Row> for Baseline {
    type Error = Broken;

    fn try_from(row: Row) -> Result<Self, Broken> {
        let broken = |column, why: &dyn std::fmt::Display| Broken { id: row.id, column, why: why.to_string() };
        Ok(Self {
            id: RowId::new(row.id.into()).ok_or_else(|| broken("id", &"is below 1"))?,
            app_name: row.app_name.try_into().map_err(|e| broken("app_name", &e))?,
            profile_type: row.profile_type.parse().map_err(|e| broken("profile_type", &e))?,
            function_name: row.function_name.try_into().map_err(|e| broken("function_name", &e))?,
            max_self_percent: Percent::new(row.max_self_percent).map_err(|e| broken("max_self_percent", &e))?,
            severity: row.severity.parse().map_err(|e| broken("severity", &e))?,
            created_by: row.created_by.map(TryInto::try_into).transpose().map_err(|e| broken("created_by", &e))?,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// A write that would keep a column that is not valid, and what to do instead.
fn kept(column: &str) -> PortError {
    let way_out = match column {
        "max_self_percent" => "give maxSelfPercent too",
        "severity" => "give severity too",
        _ => "remove the baseline and set it anew",
    };
    PortError::Conflict(format!("the stored {column} is not valid: {way_out}"))
}

/// What a refused row means to the caller. Only rows of an adopted table get here: the routes let no bad value in.
fn refused(error: DbError) -> PortError {
    match error {
        DbError::Constraint(name) => kept(name.trim_start_matches("performance_baseline_").trim_end_matches("_check")),
        DbError::Port(error) => error,
    }
}

#[async_trait]
impl BaselineSor for PostgresBaselines {
    async fn set(&self, baseline: NewBaseline) -> PortResult<Baseline> {
        let row = self.db.run(Repeat::Safe, move |connection| {
            let new = baseline.clone();
            Box::pin(async move {
                sqlx::query_as!(
                    Row,
                    "INSERT INTO public.performance_baseline AS b
                         (app_name, profile_type, function_name, max_self_percent, severity, created_by)
                     VALUES ($1, $2, $3, $4, $5, $6)
                     ON CONFLICT (app_name, profile_type, function_name) DO UPDATE
                     SET max_self_percent = excluded.max_self_percent, severity = excluded.severity, updated_at = now()
                     RETURNING b.id, b.app_name, b.profile_type, b.function_name, b.max_self_percent, b.severity,
                               b.created_by, b.created_at, b.updated_at",
                    new.app_name.as_str(),
                    new.profile_type.as_str(),
                    new.function_name.as_str(),
                    new.max_self_percent.get(),
                    new.severity.as_str(),
                    new.created_by.as_ref().map(Text255::as_str),
                )
                .fetch_one(connection)
                .await
            })
        });
        Ok(row.await.map_err(refused)?.try_into()?)
    }

    async fn page(&self, query: &BaselineQuery) -> PortResult<BaselinePage> {
        let limit = usize::from(query.limit.clamp(1, BaselineQuery::MAX_LIMIT));
        let query = query.clone();
        let rows = self.db.run(Repeat::Safe, move |connection| {
            let (app, kind) = (query.app_name.clone(), query.profile_type.map(ProfileType::as_str));
            let (after_kind, after_name) = query.after.clone().map_or((None, None), |at| (Some(at.0), Some(at.1)));
            Box::pin(async move {
                sqlx::query_as!(
                    Row,
                    r#"SELECT id, app_name, profile_type, function_name, max_self_percent, severity, created_by,
                              created_at, updated_at
                       FROM public.performance_baseline
                       WHERE app_name = $1 AND ($2::varchar IS NULL OR profile_type = $2)
                         AND ($3::varchar IS NULL OR (profile_type COLLATE "C", function_name COLLATE "C") > ($3, $4::varchar))
                       ORDER BY profile_type COLLATE "C", function_name COLLATE "C"
                       LIMIT $5"#,
                    app.as_str(),
                    kind,
                    after_kind,
                    after_name,
                    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1),
                )
                .fetch_all(connection)
                .await
            })
        });
        let mut rows = rows.await.map_err(PortError::from)?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more);
        let next = last.map(|row| BaselinePosition(row.profile_type.clone(), row.function_name.clone()));
        // A row of an adopted table that no limit can be made of must not take the others from their readers.
        let readable = |row: Row| match Baseline::try_from(row) {
            Ok(baseline) => Some(baseline),
            Err(broken) => {
                tracing::warn!(error = %PortError::from(broken), "a stored baseline is left out, since it is not valid");
                None
            }
        };
        Ok(BaselinePage { entries: rows.into_iter().filter_map(readable).collect(), next })
    }

    async fn change(&self, id: RowId, change: BaselineChange) -> PortResult<Option<Baseline>> {
        let changed = self.db.run(Repeat::Safe, move |connection| {
            Box::pin(async move {
                let mut transaction = connection.begin().await?;
                let row = sqlx::query_as!(
                    Row,
                    "UPDATE public.performance_baseline
                     SET max_self_percent = coalesce($2, max_self_percent), severity = coalesce($3, severity),
                         updated_at = now()
                     WHERE id = $1
                     RETURNING id, app_name, profile_type, function_name, max_self_percent, severity, created_by,
                               created_at, updated_at",
                    id.get(),
                    change.max_self_percent.map(Percent::get),
                    change.severity.map(LimitSeverity::as_str),
                )
                .fetch_optional(&mut *transaction)
                .await?;
                let changed = row.map(Baseline::try_from).transpose();
                // What stays broken stays as it was, whether or not a check holds it.
                if changed.is_ok() {
                    transaction.commit().await?;
                } else {
                    transaction.rollback().await?;
                }
                Ok(changed)
            })
        });
        changed.await.map_err(refused)?.map_err(|broken| kept(broken.column))
    }

    async fn remove(&self, id: RowId) -> PortResult<bool> {
        let done = self.db.run(Repeat::Unsafe, move |connection| {
            Box::pin(async move {
                sqlx::query!("DELETE FROM public.performance_baseline WHERE id = $1", id.get())
                    .execute(connection)
                    .await
            })
        });
        Ok(done.await?.rows_affected() > 0)
    }
}
