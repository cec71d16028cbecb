//! Alert rules in PostgreSQL.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::conditions::{
    InvalidRule, Lasting, Measure, Measured, RuleCategory, RuleWindow, RunbookUrl, Scope, ServiceFilter, Timing,
};
use super::domain::{AlertRule, NewRule, RuleChange, RulePage, RulePosition, RuleQuery, Which};
use super::pattern::FunctionPattern;
use super::port::AlertRuleSor;
use crate::kernel::{AppName, Call, LimitSeverity, Page, Percent, PortError, PortResult, RowId, Stored, Text255};
use crate::storage::{self, Columns, Db, DbError, Repeat, acting, begin, changed, end_change, stored, written};

const TABLE: &str = "alert_rule";
/// What a change may hold.
const CHANGEABLE: [&str; 12] = [
    "threshold_percent",
    "function_pattern",
    "severity",
    "notification_channel",
    "enabled",
    "services",
    "measure",
    "category",
    "window_seconds",
    "for_seconds",
    "keep_firing_seconds",
    "runbook_url",
];
/// Constraints on members together.
const TOGETHER: [(&str, InvalidRule); 3] = [
    ("alert_rule_services_of_every_app", InvalidRule::ServicesOfOneApp),
    ("alert_rule_measure_with_pattern", InvalidRule::MeasureWithoutPattern),
    ("alert_rule_category_alone", InvalidRule::CategoryOfFunctions),
];

/// A write that would break such a constraint is invalid, and any other result stays.
fn together<T>(done: Result<T, DbError>) -> Result<T, DbError> {
    done.map_err(|error| {
        let broken = TOGETHER.iter().find(|(name, _)| matches!(&error, DbError::Constraint(of) if of == name));
        let invalid = |why: &InvalidRule| PortError::Invalid(format!("/{}: {why}", why.member()));
        broken.map_or(error, |(_, why)| DbError::Port(invalid(why)))
    })
}

pub(super) struct PostgresRules {
    db: Db,
}

impl PostgresRules {
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
    threshold_percent: f64,
    function_pattern: Option<String>,
    severity: String,
    notification_channel: Option<String>,
    enabled: bool,
    services: Option<Value>,
    measure: Option<String>,
    category: Option<String>,
    window_seconds: Option<i32>,
    for_seconds: Option<i32>,
    keep_firing_seconds: Option<i32>,
    runbook_url: Option<String>,
    created_by: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl storage::Row for Row {
    type Value = AlertRule;

    fn value(&self) -> Result<AlertRule, Vec<String>> {
        let columns = Columns::default();
        let id = columns.id(self.id);
        let app_name = columns.read("app_name", &self.app_name);
        let profile_type = columns.parse("profile_type", &self.profile_type);
        let threshold_percent = columns.read("threshold_percent", &self.threshold_percent);
        let function_pattern = columns.read_some("function_pattern", self.function_pattern.as_ref());
        let severity = columns.parse("severity", &self.severity);
        let notification_channel = columns.read_some("notification_channel", self.notification_channel.as_ref());
        let created_by = columns.read_some("created_by", self.created_by.as_ref());
        let services = columns.read_some("services", self.services.as_ref());
        let measure = columns.parse_some("measure", self.measure.as_deref());
        let category = columns.parse_some("category", self.category.as_deref());
        let seconds = |seconds: Option<i32>| seconds.map(i64::from);
        let window = columns.read_some("window_seconds", seconds(self.window_seconds).as_ref());
        let hold = columns.read_some("for_seconds", seconds(self.for_seconds).as_ref());
        let keep_firing = columns.read_some("keep_firing_seconds", seconds(self.keep_firing_seconds).as_ref());
        let runbook_url = columns.read_some("runbook_url", self.runbook_url.as_ref());
        let scope = app_name.zip(services);
        let scope = scope.and_then(|(app, services)| columns.together(Scope::new(app, services), InvalidRule::member));
        let measured = function_pattern.zip(measure).zip(category);
        let measured = measured.and_then(|((pattern, measure), category)| {
            columns.together(Measured::new(pattern, measure, category), InvalidRule::member)
        });
        let value = || {
            Some(AlertRule {
                id: id?,
                scope: scope?,
                profile_type: profile_type?,
                threshold_percent: threshold_percent?,
                measured: measured?,
                timing: Timing { window: window?, hold: hold?, keep_firing: keep_firing? },
                severity: severity?,
                notification_channel: notification_channel?,
                runbook_url: runbook_url?,
                enabled: self.enabled,
                created_by: created_by?,
                created_at: self.created_at,
                updated_at: self.updated_at,
            })
        };
        columns.made(value())
    }
}

#[async_trait]
impl AlertRuleSor for PostgresRules {
    async fn create(&self, call: &Call, rule: NewRule) -> PortResult<AlertRule> {
        let acting = acting(call);
        // The same again is another rule: what was sent may not be sent twice.
        let done = call.bound(self.db.run(Repeat::Unsafe, move |connection| {
            let (new, acting) = (rule.clone(), acting.clone());
            Box::pin(async move {
                sqlx::query_as!(
                    Row,
                    "INSERT INTO public.alert_rule
                         (app_name, profile_type, threshold_percent, function_pattern, severity, notification_channel,
                          enabled, created_by, services, measure, category, window_seconds, for_seconds,
                          keep_firing_seconds, runbook_url)
                     SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15 FROM core.acting($16)
                     RETURNING id, app_name, profile_type, threshold_percent, function_pattern, severity,
                               notification_channel, enabled, services, measure, category, window_seconds, for_seconds,
                               keep_firing_seconds, runbook_url, created_by, created_at, updated_at",
                    new.scope.app_name().as_str(),
                    new.profile_type.as_str(),
                    new.threshold_percent.get(),
                    new.measured.pattern().map(FunctionPattern::as_str),
                    new.severity.as_str(),
                    new.notification_channel.as_ref().map(Text255::as_str),
                    new.enabled,
                    new.created_by.as_ref().map(Text255::as_str),
                    new.scope.services().map(ServiceFilter::to_value),
                    new.measured.measure().map(Measure::as_str),
                    new.measured.category().map(RuleCategory::as_str),
                    new.timing.window.map(RuleWindow::seconds),
                    new.timing.hold.map(Lasting::seconds),
                    new.timing.keep_firing.map(Lasting::seconds),
                    new.runbook_url.as_ref().map(RunbookUrl::as_str),
                    acting,
                )
                .fetch_one(connection)
                .await
            })
        }));
        let row = written(together(done.await), TABLE, &CHANGEABLE)?;
        stored(&row)
            .valid()
            .ok_or_else(|| PortError::Internal(format!("{TABLE} row {} is not what was written", row.id)))
    }

    async fn get(&self, call: &Call, id: RowId) -> PortResult<Option<Stored<AlertRule>>> {
        let row = call.bound(self.db.run(Repeat::Safe, move |connection| {
            Box::pin(async move {
                sqlx::query_as!(
                    Row,
                    "SELECT id, app_name, profile_type, threshold_percent, function_pattern, severity,
                            notification_channel, enabled, services, measure, category, window_seconds, for_seconds,
                            keep_firing_seconds, runbook_url, created_by, created_at, updated_at
                     FROM public.alert_rule
                     WHERE id = $1",
                    id.get(),
                )
                .fetch_optional(connection)
                .await
            })
        }));
        Ok(row.await?.as_ref().map(stored))
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
                              notification_channel, enabled, services, measure, category, window_seconds, for_seconds,
                              keep_firing_seconds, runbook_url, created_by, created_at, updated_at
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
        Ok(Page::cut(rows.await?, limit.into(), place).read(|row| Some(stored(&row))))
    }

    async fn change(&self, call: &Call, id: RowId, change: RuleChange) -> PortResult<Option<Stored<AlertRule>>> {
        let acting = acting(call);
        let done = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let (change, acting) = (change.clone(), acting.clone());
            Box::pin(async move {
                let mut transaction = begin(connection).await?;
                let row = sqlx::query_as!(
                    Row,
                    "UPDATE public.alert_rule
                     SET threshold_percent = coalesce($2, threshold_percent),
                         function_pattern = CASE WHEN $3 THEN function_pattern ELSE $4 END,
                         severity = coalesce($5, severity),
                         notification_channel = CASE WHEN $6 THEN notification_channel ELSE $7 END,
                         enabled = coalesce($8, enabled),
                         services = CASE WHEN $9 THEN services ELSE $10 END,
                         measure = CASE WHEN $11 THEN measure ELSE $12 END,
                         category = CASE WHEN $13 THEN category ELSE $14 END,
                         window_seconds = CASE WHEN $15 THEN window_seconds ELSE $16 END,
                         for_seconds = CASE WHEN $17 THEN for_seconds ELSE $18 END,
                         keep_firing_seconds = CASE WHEN $19 THEN keep_firing_seconds ELSE $20 END,
                         runbook_url = CASE WHEN $21 THEN runbook_url ELSE $22 END,
                         updated_at = now()
                     FROM core.acting($23)
                     WHERE id = $1
                     RETURNING id, app_name, profile_type, threshold_percent, function_pattern, severity,
                               notification_channel, enabled, services, measure, category, window_seconds, for_seconds,
                               keep_firing_seconds, runbook_url, created_by, created_at, updated_at",
                    id.get(),
                    change.threshold_percent.map(Percent::get),
                    change.function_pattern.is_keep(),
                    change.function_pattern.value().map(FunctionPattern::as_str),
                    change.severity.map(LimitSeverity::as_str),
                    change.notification_channel.is_keep(),
                    change.notification_channel.value().map(Text255::as_str),
                    change.enabled,
                    change.services.is_keep(),
                    change.services.value().map(ServiceFilter::to_value),
                    change.measure.is_keep(),
                    change.measure.value().map(|measure| measure.as_str()),
                    change.category.is_keep(),
                    change.category.value().map(|category| category.as_str()),
                    change.window.is_keep(),
                    change.window.value().map(|window| window.seconds()),
                    change.hold.is_keep(),
                    change.hold.value().map(|hold| hold.seconds()),
                    change.keep_firing.is_keep(),
                    change.keep_firing.value().map(|keep| keep.seconds()),
                    change.runbook_url.is_keep(),
                    change.runbook_url.value().map(RunbookUrl::as_str),
                    acting,
                )
                .fetch_optional(&mut *transaction)
                .await?;
                end_change(transaction, row, &change.repeated).await
            })
        }));
        changed(together(done.await), TABLE, &CHANGEABLE)
    }

    async fn remove(&self, call: &Call, id: RowId) -> PortResult<bool> {
        let acting = acting(call);
        let done = call.bound(self.db.run(Repeat::Unsafe, move |connection| {
            let acting = acting.clone();
            Box::pin(async move {
                sqlx::query!("DELETE FROM public.alert_rule USING core.acting($2) WHERE id = $1", id.get(), acting)
                    .execute(connection)
                    .await
            })
        }));
        Ok(done.await?.rows_affected() > 0)
    }
}
