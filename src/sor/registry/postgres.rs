//! The registry in PostgreSQL.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use super::domain::{NewService, Service, ServiceChange, ServicePage, ServicePosition, ServiceQuery};
use super::labels::PyroscopeLabels;
use super::metadata::Metadata;
use super::port::RegistrySor;
use crate::kernel::{AppName, Call, Page, PortError, PortResult, Text255, Tier};
use crate::storage::{Broken, Columns, Db, Repeat, begin, keep, kept, readable};

const TABLE: &str = "service_registry";
/// What a change may hold.
const CHANGEABLE: [&str; 6] =
    ["team_owner", "tier", "environment", "notification_channel", "pyroscope_labels", "metadata"];

pub(super) struct PostgresRegistry {
    db: Db,
}

impl PostgresRegistry {
    pub(super) fn new(db: Db) -> Self {
        Self { db }
    }
}

#[derive(Debug)]
struct Row {
    id: i32,
    app_name: String,
    team_owner: Option<String>,
    tier: String,
    environment: Option<String>,
    notification_channel: Option<String>,
    pyroscope_labels: Option<Value>,
    metadata: Option<Value>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for Service {
    type Error = Broken;

    fn try_from(row: Row) -> Result<Self, Broken> {
        let columns = Columns::of(TABLE, row.id);
        Ok(Self {
            id: columns.id()?,
            app_name: columns.read("app_name", row.app_name)?,
            team_owner: columns.read_some("team_owner", row.team_owner)?,
            tier: columns.read("tier", row.tier)?,
            environment: columns.read_some("environment", row.environment)?,
            notification_channel: columns.read_some("notification_channel", row.notification_channel)?,
            pyroscope_labels: columns.read_some("pyroscope_labels", row.pyroscope_labels)?,
            metadata: columns.read_some("metadata", row.metadata)?,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// Registers a service. A row that would hold more than what is given, all of which is checked, is `None` and stays as it
/// is, unless `any` row is to be written: that is for [`keep`] to end, and costs two exchanges with the server more.
async fn insert(connection: &mut PgConnection, new: &NewService, any: bool) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "INSERT INTO public.service_registry AS s
             (app_name, team_owner, tier, environment, notification_channel, pyroscope_labels, metadata)
         VALUES ($1, $2, coalesce($3, 'standard'), $4, $5, $6, $7)
         ON CONFLICT (app_name) DO UPDATE
         SET team_owner = coalesce(excluded.team_owner, s.team_owner), tier = coalesce($3, s.tier),
             environment = coalesce(excluded.environment, s.environment),
             notification_channel = coalesce(excluded.notification_channel, s.notification_channel),
             pyroscope_labels = coalesce(excluded.pyroscope_labels, s.pyroscope_labels),
             metadata = coalesce(excluded.metadata, s.metadata), updated_at = now()
         WHERE $8 OR (s.id > 0 AND coalesce($3, s.tier) = excluded.tier
             AND (s.team_owner IS NULL OR excluded.team_owner IS NOT NULL)
             AND (s.environment IS NULL OR excluded.environment IS NOT NULL)
             AND (s.notification_channel IS NULL OR excluded.notification_channel IS NOT NULL)
             AND (s.pyroscope_labels IS NULL OR excluded.pyroscope_labels IS NOT NULL)
             AND (s.metadata IS NULL OR excluded.metadata IS NOT NULL))
         RETURNING s.id, s.app_name, s.team_owner, s.tier, s.environment, s.notification_channel, s.pyroscope_labels,
                   s.metadata, s.created_at, s.updated_at",
        new.app_name.as_str(),
        new.team_owner.as_ref().map(Text255::as_str),
        new.tier.as_ref().map(Tier::as_str),
        new.environment.as_ref().map(Text255::as_str),
        new.notification_channel.as_ref().map(Text255::as_str),
        new.pyroscope_labels.as_ref().map(PyroscopeLabels::to_value),
        new.metadata.as_ref().map(Metadata::as_value),
        any,
    )
    .fetch_optional(connection)
    .await
}

#[async_trait]
impl RegistrySor for PostgresRegistry {
    async fn register(&self, call: &Call, service: NewService) -> PortResult<Service> {
        let written = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let new = service.clone();
            Box::pin(async move {
                if let Some(row) = insert(connection, &new, false).await? {
                    return Ok(row.try_into().map(Some));
                }
                let mut transaction = begin(connection).await?;
                let row = insert(&mut transaction, &new, true).await?;
                keep(transaction, row).await
            })
        }));
        let row: Option<Service> = kept(written.await, TABLE, &CHANGEABLE)?;
        row.ok_or_else(|| PortError::Internal(format!("{TABLE}: a write without a row")))
    }

    async fn get(&self, call: &Call, app: &AppName) -> PortResult<Option<Service>> {
        let app = app.clone();
        let row = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let app = app.clone();
            Box::pin(async move {
                sqlx::query_as!(
                    Row,
                    "SELECT id, app_name, team_owner, tier, environment, notification_channel, pyroscope_labels,
                            metadata, created_at, updated_at
                     FROM public.service_registry
                     WHERE app_name = $1",
                    app.as_str(),
                )
                .fetch_optional(connection)
                .await
            })
        }));
        Ok(row.await?.map(Service::try_from).transpose()?)
    }

    async fn page(&self, call: &Call, query: &ServiceQuery) -> PortResult<ServicePage> {
        let limit = query.limit.clamp(1, ServiceQuery::MAX_LIMIT);
        let query = query.clone();
        let rows = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let (tier, after) = (query.tier.clone(), query.after.clone().map(|after| after.0));
            Box::pin(async move {
                sqlx::query_as!(
                    Row,
                    r#"SELECT id, app_name, team_owner, tier, environment, notification_channel, pyroscope_labels,
                              metadata, created_at, updated_at
                       FROM public.service_registry
                       WHERE ($1::varchar IS NULL OR tier = $1) AND ($2::varchar IS NULL OR app_name COLLATE "C" > $2)
                       ORDER BY app_name COLLATE "C"
                       LIMIT $3"#,
                    tier.as_ref().map(Tier::as_str),
                    after,
                    i64::from(limit) + 1,
                )
                .fetch_all(connection)
                .await
            })
        }));
        let page = Page::cut(rows.await?, limit.into(), |row| ServicePosition(row.app_name.clone()));
        Ok(readable(page))
    }

    async fn change(&self, call: &Call, app: &AppName, change: ServiceChange) -> PortResult<Option<Service>> {
        let app = app.clone();
        let written = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let (app, change) = (app.clone(), change.clone());
            Box::pin(async move {
                let mut transaction = begin(connection).await?;
                let row = sqlx::query_as!(
                    Row,
                    "UPDATE public.service_registry
                     SET team_owner = CASE WHEN $2 THEN team_owner ELSE $3 END, tier = coalesce($4, tier),
                         environment = CASE WHEN $5 THEN environment ELSE $6 END,
                         notification_channel = CASE WHEN $7 THEN notification_channel ELSE $8 END,
                         pyroscope_labels = CASE WHEN $9 THEN pyroscope_labels ELSE $10 END,
                         metadata = CASE WHEN $11 THEN metadata ELSE $12 END, updated_at = now()
                     WHERE app_name = $1
                     RETURNING id, app_name, team_owner, tier, environment, notification_channel, pyroscope_labels,
                               metadata, created_at, updated_at",
                    app.as_str(),
                    change.team_owner.is_keep(),
                    change.team_owner.value().map(Text255::as_str),
                    change.tier.as_ref().map(Tier::as_str),
                    change.environment.is_keep(),
                    change.environment.value().map(Text255::as_str),
                    change.notification_channel.is_keep(),
                    change.notification_channel.value().map(Text255::as_str),
                    change.pyroscope_labels.is_keep(),
                    change.pyroscope_labels.value().map(PyroscopeLabels::to_value),
                    change.metadata.is_keep(),
                    change.metadata.value().map(Metadata::as_value),
                )
                .fetch_optional(&mut *transaction)
                .await?;
                keep(transaction, row).await
            })
        }));
        kept(written.await, TABLE, &CHANGEABLE)
    }

    async fn remove(&self, call: &Call, app: &AppName) -> PortResult<bool> {
        let app = app.clone();
        let done = call.bound(self.db.run(Repeat::Unsafe, move |connection| {
            let app = app.clone();
            Box::pin(async move {
                sqlx::query!("DELETE FROM public.service_registry WHERE app_name = $1", app.as_str())
                    .execute(connection)
                    .await
            })
        }));
        Ok(done.await?.rows_affected() > 0)
    }
}
