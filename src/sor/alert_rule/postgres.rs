//! Alert rules in PostgreSQL.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::domain::{AlertRule, NewRule, RuleChange, RulePage, RulePosition, RuleQuery, Which};
use super::pattern::FunctionPattern;
use super::port::AlertRuleSor;
use crate::kernel::{AppName, Call, LimitSeverity, Page, Percent, PortResult, RowId, Text255};
use crate::storage::{Broken, Columns, Db, Repeat, begin, keep, kept, readable};

const TABLE: &str = "alert_rule";
/// What a change may hold.
const CHANGEABLE: [&str; 5] = ["threshold_percent", "function_pattern", "severity", "notification_channel", "enabled"];

pub(super) struct PostgresRules {
    db: Db,
}

impl PostgresRules {
    pub(super) fn new(db: Db) -> Self {
        Self { db }
    }
}

#[derive(Debug)]
struct Row {
    id: i32,
    app_name: String,
    profile_type: String,
    threshold_percent: f64,
    function_pattern: Option<String>,
    severity: String,
    notification_channel: Option<String>,
    enabled: bool,
    created_by: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for AlertRule {
    type Error = Broken;

    fn try_from(row: Row) -> Result<Self, Broken> {
        let columns = Columns::of(TABLE, row.id);
        Ok(Self {
            id: columns.id()?,
            app_name: columns.read("app_name", row.app_name)?,
            profile_type: columns.parse("profile_type", &row.profile_type)?,
            threshold_percent: columns.read("threshold_percent", row.threshold_percent)?,
            function_pattern: columns.read_some("function_pattern", row.function_pattern)?,
            severity: columns.parse("severity", &row.severity)?,
            notification_channel: columns.read_some("notification_channel", row.notification_channel)?,
            enabled: row.enabled,
            created_by: columns.read_some("created_by", row.created_by)?,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

#[async_trait]
impl AlertRuleSor for PostgresRules {
    async fn create(&self, call: &Call, rule: NewRule) -> PortResult<AlertRule> {
        // The same again is another rule: what was sent may not be sent twice.
        let written = call.bound(self.db.run(Repeat::Unsafe, move |connection| {
            let new = rule.clone();
            Box::pin(async move {
                let row = sqlx::query_as!(
                    Row,
                    "INSERT INTO public.alert_rule
                         (app_name, profile_type, threshold_percent, function_pattern, severity, notification_channel,
                          enabled, created_by)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                     RETURNING id, app_name, profile_type, threshold_percent, function_pattern, severity,
                               notification_channel, enabled, created_by, created_at, updated_at",
                    new.app_name.as_str(),
                    new.profile_type.as_str(),
                    new.threshold_percent.get(),
                    new.function_pattern.as_ref().map(FunctionPattern::as_str),
                    new.severity.as_str(),
                    new.notification_channel.as_ref().map(Text255::as_str),
                    new.enabled,
                    new.created_by.as_ref().map(Text255::as_str),
                )
                .fetch_one(connection)
                .await?;
                Ok(row.try_into())
            })
        }));
        kept(written.await, TABLE, &CHANGEABLE)
    }

    async fn get(&self, call: &Call, id: RowId) -> PortResult<Option<AlertRule>> {
        let row = call.bound(self.db.run(Repeat::Safe, move |connection| {
            Box::pin(async move {
                sqlx::query_as!(
                    Row,
                    "SELECT id, app_name, profile_type, threshold_percent, function_pattern, severity,
                            notification_channel, enabled, created_by, created_at, updated_at
                     FROM public.alert_rule
                     WHERE id = $1",
                    id.get(),
                )
                .fetch_optional(connection)
                .await
            })
        }));
        Ok(row.await?.map(AlertRule::try_from).transpose()?)
    }

    async fn page(&self, call: &Call, query: &RuleQuery) -> PortResult<RulePage> {
        let limit = query.limit.clamp(1, RuleQuery::MAX_LIMIT);
        let query = query.clone();
        let rows = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let RuleQuery { which, after, .. } = query.clone();
            Box::pin(async move {
                sqlx::query_as!(
                    Row,
                    r#"SELECT id, app_name, profile_type, threshold_percent, function_pattern, severity,
                              notification_channel, enabled, created_by, created_at, updated_at
                       FROM public.alert_rule
                       WHERE ($1::varchar IS NULL OR app_name = $1) AND (enabled OR NOT $2::boolean)
                         AND ($3::varchar IS NULL OR app_name COLLATE "C" > $3
                              OR (app_name = $3 AND (created_at, id) < ($4::timestamptz, $5::integer)))
                       ORDER BY app_name COLLATE "C", created_at DESC, id DESC
                       LIMIT $6"#,
                    which.app().map(AppName::as_str),
                    matches!(which, Which::Active(_)),
                    after.as_ref().map(|after| after.0.as_str()),
                    after.as_ref().map(|after| after.1),
                    after.as_ref().map(|after| after.2),
                    i64::from(limit) + 1,
                )
                .fetch_all(connection)
                .await
            })
        }));
        let place = |row: &Row| RulePosition(row.app_name.clone(), row.created_at, row.id);
        Ok(readable(Page::cut(rows.await?, limit.into(), place)))
    }

    async fn change(&self, call: &Call, id: RowId, change: RuleChange) -> PortResult<Option<AlertRule>> {
        let written = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let change = change.clone();
            Box::pin(async move {
                let mut transaction = begin(connection).await?;
                let row = sqlx::query_as!(
                    Row,
                    "UPDATE public.alert_rule
                     SET threshold_percent = coalesce($2, threshold_percent),
                         function_pattern = CASE WHEN $3 THEN function_pattern ELSE $4 END,
                         severity = coalesce($5, severity),
                         notification_channel = CASE WHEN $6 THEN notification_channel ELSE $7 END,
                         enabled = coalesce($8, enabled), updated_at = now()
                     WHERE id = $1
                     RETURNING id, app_name, profile_type, threshold_percent, function_pattern, severity,
                               notification_channel, enabled, created_by, created_at, updated_at",
                    id.get(),
                    change.threshold_percent.map(Percent::get),
                    change.function_pattern.is_keep(),
                    change.function_pattern.value().map(FunctionPattern::as_str),
                    change.severity.map(LimitSeverity::as_str),
                    change.notification_channel.is_keep(),
                    change.notification_channel.value().map(Text255::as_str),
                    change.enabled,
                )
                .fetch_optional(&mut *transaction)
                .await?;
                keep(transaction, row).await
            })
        }));
        kept(written.await, TABLE, &CHANGEABLE)
    }

    async fn remove(&self, call: &Call, id: RowId) -> PortResult<bool> {
        let done = call.bound(self.db.run(Repeat::Unsafe, move |connection| {
            Box::pin(async move {
                sqlx::query!("DELETE FROM public.alert_rule WHERE id = $1", id.get()).execute(connection).await
            })
        }));
        Ok(done.await?.rows_affected() > 0)
    }
}
