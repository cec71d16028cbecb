//! Alert rules as JSON: the bodies of the routes. The remote adapter reads and writes them too.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::conditions::{
    InvalidRule, Lasting, Measure, Measured, RuleCategory, RuleWindow, RunbookUrl, Scope, ServiceFilter, Timing,
};
use super::domain::{AlertRule, NewRule, RuleChange};
use super::pattern::FunctionPattern;
use crate::http::{ReadOnly, StoredBody, given};
use crate::kernel::{AppName, Change, LimitSeverity, Percent, ProfileType, Repeated, RowId, Text255};

/// A rule to be made.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = NewRule, example = json!({"appName": "flamewarden", "profileType": "cpu", "thresholdPercent": 20.0,
    "functionPattern": "^runtime\\.(malloc|gc)", "severity": "critical", "notificationChannel": "#payments-oncall",
    "enabled": true, "createdBy": "ana"}))]
pub struct NewRuleBody {
    /// The app: 1 to 512 bytes; `*` for every app.
    #[schema(value_type = String, min_length = 1, max_length = 512)]
    app_name: AppName,
    /// The kind of profile: its name or an alias.
    #[schema(value_type = String, example = "cpu")]
    profile_type: ProfileType,
    /// The largest share without an alert, in percent.
    #[schema(value_type = f64, minimum = 0, maximum = 100)]
    threshold_percent: Percent,
    /// Which functions: an unanchored regular expression of 1 to 1,024 bytes, without look-around and backreferences;
    /// any if absent.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 1024)]
    function_pattern: Option<FunctionPattern>,
    /// How bad it is to pass the share; `warning` if absent.
    severity: Option<LimitSeverity>,
    /// Where to tell: 1 to 255 bytes; the service's own channel if absent.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    notification_channel: Option<Text255>,
    /// Whether the rule is enabled; `true` if absent.
    enabled: Option<bool>,
    /// Who makes it: 1 to 255 bytes.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    created_by: Option<Text255>,
    /// `appName` `*` only: for services that are registered with all of these; every app if absent.
    services: Option<ServiceFilter>,
    /// How the shares of functions make one; `self` if absent. `sum` and `total` need `functionPattern`.
    measure: Option<Measure>,
    /// For a category instead of functions: its share of the active ticks, as a finding of triage has it. Any category but
    /// idle, unresolved and profiler_overhead; excludes `functionPattern` and `measure`.
    #[schema(value_type = Option<String>, example = "gc_pressure")]
    category: Option<RuleCategory>,
    /// The window looked at, in seconds: 300, 900 or 3600; 300 if absent. It is evaluated every fifth of it.
    #[schema(value_type = Option<i32>, minimum = 300, maximum = 3600, example = 300)]
    window_seconds: Option<RuleWindow>,
    /// How long the share must be over before it is told, in seconds; as long as the window if absent.
    #[schema(value_type = Option<i32>, minimum = 0, maximum = 86400, example = 300)]
    for_seconds: Option<Lasting>,
    /// How long the share must be under before it is over, in seconds; 300 if absent.
    #[schema(value_type = Option<i32>, minimum = 0, maximum = 86400, example = 300)]
    keep_firing_seconds: Option<Lasting>,
    /// Where it is written what to do: an address of http or https, up to 255 bytes.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255, example = "https://wiki.example/gc")]
    runbook_url: Option<RunbookUrl>,
}

impl TryFrom<NewRuleBody> for NewRule {
    type Error = InvalidRule;

    fn try_from(body: NewRuleBody) -> Result<Self, InvalidRule> {
        Ok(Self {
            scope: Scope::new(body.app_name, body.services)?,
            profile_type: body.profile_type,
            threshold_percent: body.threshold_percent,
            measured: Measured::new(body.function_pattern, body.measure, body.category)?,
            timing: timing(body.window_seconds, body.for_seconds, body.keep_firing_seconds),
            severity: body.severity.unwrap_or(LimitSeverity::Warning),
            notification_channel: body.notification_channel,
            runbook_url: body.runbook_url,
            enabled: body.enabled.unwrap_or(true),
            created_by: body.created_by,
        })
    }
}

fn timing(window: Option<RuleWindow>, hold: Option<Lasting>, keep_firing: Option<Lasting>) -> Timing {
    Timing { window, hold, keep_firing }
}

impl From<NewRule> for NewRuleBody {
    fn from(new: NewRule) -> Self {
        Self {
            app_name: new.scope.app_name().clone(),
            profile_type: new.profile_type,
            threshold_percent: new.threshold_percent,
            function_pattern: new.measured.pattern().cloned(),
            severity: Some(new.severity),
            notification_channel: new.notification_channel,
            enabled: Some(new.enabled),
            created_by: new.created_by,
            services: new.scope.services().cloned(),
            measure: new.measured.measure(),
            category: new.measured.category(),
            window_seconds: new.timing.window,
            for_seconds: new.timing.hold,
            keep_firing_seconds: new.timing.keep_firing,
            runbook_url: new.runbook_url,
        }
    }
}

/// What to change of a rule: at least one member. What is absent stays; null clears.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = RuleChange, example = json!({"thresholdPercent": 25.0, "functionPattern": null}))]
pub(super) struct RuleChangeBody {
    /// A new share.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64, required = false, minimum = 0, maximum = 100)]
    threshold_percent: Option<Percent>,
    /// Other functions, or null for any.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 1024)]
    function_pattern: Change<FunctionPattern>,
    /// A new severity.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = LimitSeverity, required = false)]
    severity: Option<LimitSeverity>,
    /// Another channel, or null for the service's own.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    notification_channel: Change<Text255>,
    /// On or off.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = bool, required = false)]
    enabled: Option<bool>,
    /// Other services, or null for every app; only where `appName` is `*`.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schema(value_type = Option<ServiceFilter>)]
    services: Change<ServiceFilter>,
    /// How the shares of functions make one, or null for `self`.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schema(value_type = Option<Measure>)]
    measure: Change<Measure>,
    /// Another category, or null for functions.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schema(value_type = Option<String>)]
    category: Change<RuleCategory>,
    /// Another window: 300, 900 or 3600 s, or null for 300 s.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schema(value_type = Option<i32>, minimum = 300, maximum = 3600)]
    window_seconds: Change<RuleWindow>,
    /// How long the share must be over, in seconds, or null for the window.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schema(value_type = Option<i32>, minimum = 0, maximum = 86400)]
    for_seconds: Change<Lasting>,
    /// How long the share must be under, in seconds, or null for 300 s.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schema(value_type = Option<i32>, minimum = 0, maximum = 86400)]
    keep_firing_seconds: Change<Lasting>,
    /// Another runbook, or null for none.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    runbook_url: Change<RunbookUrl>,
}

impl From<RuleChangeBody> for RuleChange {
    fn from(body: RuleChangeBody) -> Self {
        Self {
            threshold_percent: body.threshold_percent,
            function_pattern: body.function_pattern,
            severity: body.severity,
            notification_channel: body.notification_channel,
            enabled: body.enabled,
            services: body.services,
            measure: body.measure,
            category: body.category,
            window: body.window_seconds,
            hold: body.for_seconds,
            keep_firing: body.keep_firing_seconds,
            runbook_url: body.runbook_url,
            repeated: Repeated::default(),
        }
    }
}

impl ReadOnly for RuleChangeBody {
    const MEMBERS: &'static [&'static str] = &["id", "appName", "profileType", "createdBy", "createdAt", "updatedAt"];
}

impl From<RuleChange> for RuleChangeBody {
    fn from(change: RuleChange) -> Self {
        Self {
            threshold_percent: change.threshold_percent,
            function_pattern: change.function_pattern,
            severity: change.severity,
            notification_channel: change.notification_channel,
            enabled: change.enabled,
            services: change.services,
            measure: change.measure,
            category: change.category,
            window_seconds: change.window,
            for_seconds: change.hold,
            keep_firing_seconds: change.keep_firing,
            runbook_url: change.runbook_url,
        }
    }
}

/// An alert rule: from which share on to alert.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AlertRule, example = json!({"id": 1, "appName": "flamewarden", "profileType": "cpu",
    "thresholdPercent": 20.0, "functionPattern": "^runtime\\.(malloc|gc)", "severity": "critical",
    "notificationChannel": "#payments-oncall", "enabled": true, "services": null, "measure": "sum", "category": null,
    "windowSeconds": 900, "forSeconds": null, "keepFiringSeconds": null, "runbookUrl": null, "createdBy": "ana",
    "createdAt": "2024-01-23T08:53:20.123456Z", "updatedAt": "2024-01-23T08:53:20.123456Z"}))]
pub(super) struct RuleBody {
    /// The row's id.
    #[schema(value_type = i32, minimum = 1)]
    id: RowId,
    /// The app; `*` for every app.
    #[schema(value_type = String)]
    app_name: AppName,
    /// The kind of profile, canonical.
    #[schema(value_type = String)]
    profile_type: ProfileType,
    /// The largest share without an alert, in percent.
    #[schema(value_type = f64)]
    threshold_percent: Percent,
    /// Which functions; null means any.
    #[schema(value_type = Option<String>)]
    function_pattern: Option<FunctionPattern>,
    /// How bad it is to pass the share.
    severity: LimitSeverity,
    /// Where to tell; null means the service's own channel.
    #[schema(value_type = Option<String>)]
    notification_channel: Option<Text255>,
    /// Whether the rule is enabled.
    enabled: bool,
    /// Which registered services, where `appName` is `*`; null means every app.
    services: Option<ServiceFilter>,
    /// How the shares of functions make one; null means `self`.
    measure: Option<Measure>,
    /// The category measured instead of functions; null means functions.
    #[schema(value_type = Option<String>)]
    category: Option<RuleCategory>,
    /// The window looked at, in seconds; null means 300.
    #[schema(value_type = Option<i32>)]
    window_seconds: Option<RuleWindow>,
    /// How long the share must be over before it is told, in seconds; null means as long as the window.
    #[schema(value_type = Option<i32>)]
    for_seconds: Option<Lasting>,
    /// How long the share must be under before it is over, in seconds; null means 300.
    #[schema(value_type = Option<i32>)]
    keep_firing_seconds: Option<Lasting>,
    /// Where it is written what to do.
    #[schema(value_type = Option<String>)]
    runbook_url: Option<RunbookUrl>,
    /// Who made it.
    #[schema(value_type = Option<String>)]
    created_by: Option<Text255>,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it was changed last.
    updated_at: DateTime<Utc>,
}

impl From<AlertRule> for RuleBody {
    fn from(row: AlertRule) -> Self {
        Self {
            id: row.id,
            app_name: row.scope.app_name().clone(),
            profile_type: row.profile_type,
            threshold_percent: row.threshold_percent,
            function_pattern: row.measured.pattern().cloned(),
            severity: row.severity,
            notification_channel: row.notification_channel,
            enabled: row.enabled,
            services: row.scope.services().cloned(),
            measure: row.measured.measure(),
            category: row.measured.category(),
            window_seconds: row.timing.window,
            for_seconds: row.timing.hold,
            keep_firing_seconds: row.timing.keep_firing,
            runbook_url: row.runbook_url,
            created_by: row.created_by,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

impl TryFrom<RuleBody> for AlertRule {
    type Error = InvalidRule;

    fn try_from(body: RuleBody) -> Result<Self, InvalidRule> {
        Ok(Self {
            id: body.id,
            scope: Scope::new(body.app_name, body.services)?,
            profile_type: body.profile_type,
            threshold_percent: body.threshold_percent,
            measured: Measured::new(body.function_pattern, body.measure, body.category)?,
            timing: timing(body.window_seconds, body.for_seconds, body.keep_firing_seconds),
            severity: body.severity,
            notification_channel: body.notification_channel,
            runbook_url: body.runbook_url,
            enabled: body.enabled,
            created_by: body.created_by,
            created_at: body.created_at,
            updated_at: body.updated_at,
        })
    }
}

/// Rules.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AlertRules)]
pub(super) struct RulesBody {
    /// The app, if the path names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub(super) app_name: Option<AppName>,
    /// How many this page holds.
    pub(super) count: usize,
    /// The rules, by app, newest first.
    #[schema(value_type = Vec<RuleBody>)]
    pub(super) rules: Vec<StoredBody<RuleBody>>,
    /// Continues the list; absent on its last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub(super) next_cursor: Option<String>,
}
