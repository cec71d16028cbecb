//! Baselines in PostgreSQL.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;

use super::domain::{Baseline, BaselineChange, BaselinePage, BaselinePosition, BaselineQuery, NewBaseline};
use super::port::BaselineSor;
use crate::kernel::{AppName, Call, LimitSeverity, Page, Percent, PortResult, ProfileType, RowId, Stored, Text255};
use crate::storage::{self, Columns, Db, Repeat, acting, begin, changed, end_change, stored, written};

const TABLE: &str = "performance_baseline";
/// What a change may hold.
const CHANGEABLE: [&str; 2] = ["max_self_percent", "severity"];

pub(super) struct PostgresBaselines {
    db: Db,
}

impl PostgresBaselines {
    pub(super) fn new(db: Db) -> Self {
        Self { db }
    }
}

/// A row as the routes show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
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

impl storage::Row for Row {
    type Value = Baseline;

    fn value(&self) -> Result<Baseline, Vec<String>> {
        let columns = Columns::default();
        let id = columns.id(self.id);
        let app_name = columns.read("app_name", &self.app_name);
        let profile_type = columns.parse("profile_type", &self.profile_type);
        let function_name = columns.read("function_name", &self.function_name);
        let max_self_percent = columns.read("max_self_percent", &self.max_self_percent);
        let severity = columns.parse("severity", &self.severity);
        let created_by = columns.read_some("created_by", self.created_by.as_ref());
        let value = || {
            Some(Baseline {
                id: id?,
                app_name: app_name?,
                profile_type: profile_type?,
                function_name: function_name?,
                max_self_percent: max_self_percent?,
                severity: severity?,
                created_by: created_by?,
                created_at: self.created_at,
                updated_at: self.updated_at,
            })
        };
        columns.made(value())
    }
}

async fn insert(connection: &mut PgConnection, new: &NewBaseline, acting: Value) -> Result<Row, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "INSERT INTO public.performance_baseline AS b
             (app_name, profile_type, function_name, max_self_percent, severity, created_by)
         SELECT $1, $2, $3, $4, $5, $6 FROM core.acting($7)
         ON CONFLICT (app_name, profile_type, function_name) DO UPDATE
         SET max_self_percent = excluded.max_self_percent, severity = excluded.severity, updated_at = now()
         RETURNING b.id, b.app_name, b.profile_type, b.function_name, b.max_self_percent, b.severity, b.created_by,
                   b.created_at, b.updated_at",
        new.app_name.as_str(),
        new.profile_type.as_str(),
        new.function_name.as_str(),
        new.max_self_percent.get(),
        new.severity.as_str(),
        new.created_by.as_ref().map(Text255::as_str),
        acting,
    )
    .fetch_one(connection)
    .await
}

#[async_trait]
impl BaselineSor for PostgresBaselines {
    async fn set(&self, call: &Call, baseline: NewBaseline) -> PortResult<Stored<Baseline>> {
        let acting = acting(call);
        let done = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let (new, acting) = (baseline.clone(), acting.clone());
            Box::pin(async move { insert(connection, &new, acting).await })
        }));
        written(done.await, TABLE, &CHANGEABLE).map(|row| stored(&row))
    }

    async fn page(&self, call: &Call, query: &BaselineQuery) -> PortResult<BaselinePage> {
        let limit = query.limit.clamp(1, BaselineQuery::MAX_LIMIT);
        let query = query.clone();
        let rows = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let (app, kind) = (query.app_name.clone(), query.profile_type.map(ProfileType::as_str));
            let after = query.after.clone();
            Box::pin(async move {
                sqlx::query_as!(
                    Row,
                    r#"SELECT id, app_name, profile_type, function_name, max_self_percent, severity, created_by,
                              created_at, updated_at
                       FROM public.performance_baseline
                       WHERE ($1::varchar IS NULL OR app_name = $1) AND ($2::varchar IS NULL OR profile_type = $2)
                         AND ($3::varchar IS NULL
                              OR (app_name COLLATE "C", profile_type COLLATE "C", function_name COLLATE "C")
                                 > ($3, $4::varchar, $5::varchar))
                       ORDER BY app_name COLLATE "C", profile_type COLLATE "C", function_name COLLATE "C"
                       LIMIT $6"#,
                    app.as_ref().map(AppName::as_str),
                    kind,
                    after.as_ref().map(|at| at.0.as_str()),
                    after.as_ref().map(|at| at.1.as_str()),
                    after.as_ref().map(|at| at.2.as_str()),
                    i64::from(limit) + 1,
                )
                .fetch_all(connection)
                .await
            })
        }));
        let place =
            |row: &Row| BaselinePosition(row.app_name.clone(), row.profile_type.clone(), row.function_name.clone());
        Ok(Page::cut(rows.await?, limit.into(), place).read(|row| Some(stored(&row))))
    }

    async fn change(&self, call: &Call, id: RowId, change: BaselineChange) -> PortResult<Option<Stored<Baseline>>> {
        let acting = acting(call);
        let done = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let (change, acting) = (change.clone(), acting.clone());
            Box::pin(async move {
                let mut transaction = begin(connection).await?;
                let row = sqlx::query_as!(
                    Row,
                    "UPDATE public.performance_baseline
                     SET max_self_percent = coalesce($2, max_self_percent), severity = coalesce($3, severity),
                         updated_at = now()
                     FROM core.acting($4)
                     WHERE id = $1
                     RETURNING id, app_name, profile_type, function_name, max_self_percent, severity, created_by,
                               created_at, updated_at",
                    id.get(),
                    change.max_self_percent.map(Percent::get),
                    change.severity.map(LimitSeverity::as_str),
                    acting,
                )
                .fetch_optional(&mut *transaction)
                .await?;
                end_change(transaction, row, &change.repeated).await
            })
        }));
        changed(done.await, TABLE, &CHANGEABLE)
    }

    async fn remove(&self, call: &Call, id: RowId) -> PortResult<bool> {
        let acting = acting(call);
        let done = call.bound(self.db.run(Repeat::Unsafe, move |connection| {
            let acting = acting.clone();
            Box::pin(async move {
                sqlx::query!(
                    "DELETE FROM public.performance_baseline USING core.acting($2) WHERE id = $1",
                    id.get(),
                    acting
                )
                .execute(connection)
                .await
            })
        }));
        Ok(done.await?.rows_affected() > 0)
    }
}
