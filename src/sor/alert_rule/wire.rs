//! Alert rules as JSON: the bodies of the routes. The remote adapter reads and writes them too.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

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
pub(super) struct NewRuleBody {
    /// The app: 1 to 512 bytes.
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
}

impl From<NewRuleBody> for NewRule {
    fn from(body: NewRuleBody) -> Self {
        Self {
            app_name: body.app_name,
            profile_type: body.profile_type,
            threshold_percent: body.threshold_percent,
            function_pattern: body.function_pattern,
            severity: body.severity.unwrap_or(LimitSeverity::Warning),
            notification_channel: body.notification_channel,
            enabled: body.enabled.unwrap_or(true),
            created_by: body.created_by,
        }
    }
}

impl From<NewRule> for NewRuleBody {
    fn from(new: NewRule) -> Self {
        Self {
            app_name: new.app_name,
            profile_type: new.profile_type,
            threshold_percent: new.threshold_percent,
            function_pattern: new.function_pattern,
            severity: Some(new.severity),
            notification_channel: new.notification_channel,
            enabled: Some(new.enabled),
            created_by: new.created_by,
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
}

impl From<RuleChangeBody> for RuleChange {
    fn from(body: RuleChangeBody) -> Self {
        Self {
            threshold_percent: body.threshold_percent,
            function_pattern: body.function_pattern,
            severity: body.severity,
            notification_channel: body.notification_channel,
            enabled: body.enabled,
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
        }
    }
}

/// An alert rule: from which share on to alert.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AlertRule, example = json!({"id": 1, "appName": "flamewarden", "profileType": "cpu",
    "thresholdPercent": 20.0, "functionPattern": "^runtime\\.(malloc|gc)", "severity": "critical",
    "notificationChannel": "#payments-oncall", "enabled": true, "createdBy": "ana",
    "createdAt": "2024-01-23T08:53:20.123456Z", "updatedAt": "2024-01-23T08:53:20.123456Z"}))]
pub(super) struct RuleBody {
    /// The row's id.
    #[schema(value_type = i32, minimum = 1)]
    id: RowId,
    /// The app.
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
            app_name: row.app_name,
            profile_type: row.profile_type,
            threshold_percent: row.threshold_percent,
            function_pattern: row.function_pattern,
            severity: row.severity,
            notification_channel: row.notification_channel,
            enabled: row.enabled,
            created_by: row.created_by,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

impl From<RuleBody> for AlertRule {
    fn from(body: RuleBody) -> Self {
        Self {
            id: body.id,
            app_name: body.app_name,
            profile_type: body.profile_type,
            threshold_percent: body.threshold_percent,
            function_pattern: body.function_pattern,
            severity: body.severity,
            notification_channel: body.notification_channel,
            enabled: body.enabled,
            created_by: body.created_by,
            created_at: body.created_at,
            updated_at: body.updated_at,
        }
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
