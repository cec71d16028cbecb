//! The registry in PostgreSQL.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;

use super::domain::{NewService, Service, ServiceChange, ServicePage, ServicePosition, ServiceQuery};
use super::labels::PyroscopeLabels;
use super::metadata::Metadata;
use super::port::RegistrySor;
use crate::kernel::{AppName, Call, Page, PortResult, Stored, Text255, Tier};
use crate::storage::{
    self, Columns, Db, Repeat, acting, begin, changed, end_change, or_empty, stored, unless_empty, written,
};

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

/// A row as the routes show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: i32,
    app_name: String,
    team_owner: Option<String>,
    tier: String,
    environment: Option<String>,
    notification_channel: Option<String>,
    #[serde(serialize_with = "or_empty")]
    pyroscope_labels: Option<Value>,
    #[serde(serialize_with = "or_empty")]
    metadata: Option<Value>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl storage::Row for Row {
    type Value = Service;

    fn value(&self) -> Result<Service, Vec<String>> {
        let columns = Columns::default();
        let id = columns.id(self.id);
        let app_name = columns.read("app_name", &self.app_name);
        let team_owner = columns.read_some("team_owner", self.team_owner.as_ref());
        let tier = columns.read("tier", &self.tier);
        let environment = columns.read_some("environment", self.environment.as_ref());
        let notification_channel = columns.read_some("notification_channel", self.notification_channel.as_ref());
        let pyroscope_labels = columns.read_some("pyroscope_labels", unless_empty(self.pyroscope_labels.as_ref()));
        let metadata = columns.read_some("metadata", unless_empty(self.metadata.as_ref()));
        let value = || {
            Some(Service {
                id: id?,
                app_name: app_name?,
                team_owner: team_owner?,
                tier: tier?,
                environment: environment?,
                notification_channel: notification_channel?,
                pyroscope_labels: pyroscope_labels?,
                metadata: metadata?,
                created_at: self.created_at,
                updated_at: self.updated_at,
            })
        };
        columns.made(value())
    }
}

async fn insert(connection: &mut PgConnection, new: &NewService, acting: Value) -> Result<Row, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "INSERT INTO public.service_registry AS s
             (app_name, team_owner, tier, environment, notification_channel, pyroscope_labels, metadata)
         SELECT $1, $2, coalesce($3, 'standard'), $4, $5, $6, $7 FROM core.acting($8)
         ON CONFLICT (app_name) DO UPDATE
         SET team_owner = coalesce(excluded.team_owner, s.team_owner), tier = coalesce($3, s.tier),
             environment = coalesce(excluded.environment, s.environment),
             notification_channel = coalesce(excluded.notification_channel, s.notification_channel),
             pyroscope_labels = coalesce(excluded.pyroscope_labels, s.pyroscope_labels),
             metadata = coalesce(excluded.metadata, s.metadata), updated_at = now()
         RETURNING s.id, s.app_name, s.team_owner, s.tier, s.environment, s.notification_channel, s.pyroscope_labels,
                   s.metadata, s.created_at, s.updated_at",
        new.app_name.as_str(),
        new.team_owner.as_ref().map(Text255::as_str),
        new.tier.as_ref().map(Tier::as_str),
        new.environment.as_ref().map(Text255::as_str),
        new.notification_channel.as_ref().map(Text255::as_str),
        new.pyroscope_labels.as_ref().map(PyroscopeLabels::to_value),
        new.metadata.as_ref().map(Metadata::as_value),
        acting,
    )
    .fetch_one(connection)
    .await
}

#[async_trait]
impl RegistrySor for PostgresRegistry {
    async fn register(&self, call: &Call, service: NewService) -> PortResult<Stored<Service>> {
        let acting = acting(call);
        let done = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let (new, acting) = (service.clone(), acting.clone());
            Box::pin(async move { insert(connection, &new, acting).await })
        }));
        written(done.await, TABLE, &CHANGEABLE).map(|row| stored(&row))
    }

    async fn get(&self, call: &Call, app: &AppName) -> PortResult<Option<Stored<Service>>> {
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
        Ok(row.await?.as_ref().map(stored))
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
        Ok(page.read(|row| Some(stored(&row))))
    }

    async fn change(&self, call: &Call, app: &AppName, change: ServiceChange) -> PortResult<Option<Stored<Service>>> {
        let (app, acting) = (app.clone(), acting(call));
        let done = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let (app, change, acting) = (app.clone(), change.clone(), acting.clone());
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
                     FROM core.acting($13)
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
                    acting,
                )
                .fetch_optional(&mut *transaction)
                .await?;
                end_change(transaction, row, &change.repeated).await
            })
        }));
        changed(done.await, TABLE, &CHANGEABLE)
    }

    async fn remove(&self, call: &Call, app: &AppName) -> PortResult<bool> {
        let (app, acting) = (app.clone(), acting(call));
        let done = call.bound(self.db.run(Repeat::Unsafe, move |connection| {
            let (app, acting) = (app.clone(), acting.clone());
            Box::pin(async move {
                let app = app.as_str();
                sqlx::query!(
                    "DELETE FROM public.service_registry USING core.acting($2) WHERE app_name = $1",
                    app,
                    acting
                )
                .execute(connection)
                .await
            })
        }));
        Ok(done.await?.rows_affected() > 0)
    }
}
