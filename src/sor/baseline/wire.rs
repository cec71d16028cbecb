//! Baselines as JSON: the bodies of the routes. The remote adapter reads and writes them too.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::domain::{Baseline, BaselineChange, NewBaseline};
use crate::http::{ReadOnly, StoredBody, given};
use crate::kernel::{AppName, FunctionName, LimitSeverity, Percent, ProfileType, RowId, Text255};

/// A limit to set.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"appName": "flamewarden", "profileType": "cpu", "functionName": "com.example.Cart.total",
    "maxSelfPercent": 5.0, "severity": "warning", "createdBy": "ana"}))]
pub(super) struct NewBaselineBody {
    /// The app: 1 to 512 bytes.
    #[schema(value_type = String, min_length = 1, max_length = 512)]
    pub(super) app_name: AppName,
    /// The kind of profile: its name or an alias.
    #[schema(value_type = String, example = "cpu")]
    pub(super) profile_type: ProfileType,
    /// The function, as a profile or a person spells it: 1 to 2,000 bytes.
    #[schema(value_type = String, min_length = 1, max_length = 2000)]
    pub(super) function_name: FunctionName,
    /// The largest self share approved, in percent of all ticks.
    #[schema(value_type = f64, minimum = 0, maximum = 100)]
    pub(super) max_self_percent: Percent,
    /// How bad it is to pass it; `warning` if absent.
    pub(super) severity: Option<LimitSeverity>,
    /// Who sets it: 1 to 255 bytes.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    pub(super) created_by: Option<Text255>,
}

impl From<NewBaselineBody> for NewBaseline {
    fn from(body: NewBaselineBody) -> Self {
        Self {
            app_name: body.app_name,
            profile_type: body.profile_type,
            function_name: body.function_name,
            max_self_percent: body.max_self_percent,
            severity: body.severity.unwrap_or(LimitSeverity::Warning),
            created_by: body.created_by,
        }
    }
}

impl From<NewBaseline> for NewBaselineBody {
    fn from(new: NewBaseline) -> Self {
        Self {
            app_name: new.app_name,
            profile_type: new.profile_type,
            function_name: new.function_name,
            max_self_percent: new.max_self_percent,
            severity: Some(new.severity),
            created_by: new.created_by,
        }
    }
}

/// What to change of a limit: at least one member.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"maxSelfPercent": 7.5}))]
pub(super) struct BaselineChangeBody {
    /// A new share.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64, required = false, minimum = 0, maximum = 100)]
    pub(super) max_self_percent: Option<Percent>,
    /// A new severity.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = LimitSeverity, required = false)]
    pub(super) severity: Option<LimitSeverity>,
}

impl From<BaselineChangeBody> for BaselineChange {
    fn from(body: BaselineChangeBody) -> Self {
        Self { max_self_percent: body.max_self_percent, severity: body.severity, ..Self::default() }
    }
}

impl From<BaselineChange> for BaselineChangeBody {
    fn from(change: BaselineChange) -> Self {
        Self { max_self_percent: change.max_self_percent, severity: change.severity }
    }
}

impl ReadOnly for BaselineChangeBody {
    const MEMBERS: &'static [&'static str] =
        &["id", "appName", "profileType", "functionName", "createdBy", "createdAt", "updatedAt"];
}

/// A limit as it is kept.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Baseline, example = json!({"id": 1, "appName": "flamewarden", "profileType": "cpu",
    "functionName": "com.example.Cart.total", "maxSelfPercent": 5.0, "severity": "warning", "createdBy": "ana",
    "createdAt": "2024-01-23T08:53:20.123456Z", "updatedAt": "2024-01-23T08:53:20.123456Z"}))]
pub(super) struct BaselineBody {
    /// The row's id.
    #[schema(value_type = i32, minimum = 1)]
    id: RowId,
    /// The app.
    #[schema(value_type = String)]
    app_name: AppName,
    /// The kind of profile, canonical.
    #[schema(value_type = String)]
    profile_type: ProfileType,
    /// The function.
    #[schema(value_type = String)]
    function_name: FunctionName,
    /// The largest self share approved, in percent of all ticks.
    #[schema(value_type = f64)]
    max_self_percent: Percent,
    /// How severe it is to exceed it.
    severity: LimitSeverity,
    /// Who set it.
    #[schema(value_type = Option<String>)]
    created_by: Option<Text255>,
    /// When it was set first.
    created_at: DateTime<Utc>,
    /// When it was changed last.
    updated_at: DateTime<Utc>,
}

impl From<Baseline> for BaselineBody {
    fn from(row: Baseline) -> Self {
        Self {
            id: row.id,
            app_name: row.app_name,
            profile_type: row.profile_type,
            function_name: row.function_name,
            max_self_percent: row.max_self_percent,
            severity: row.severity,
            created_by: row.created_by,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

impl From<BaselineBody> for Baseline {
    fn from(body: BaselineBody) -> Self {
        Self {
            id: body.id,
            app_name: body.app_name,
            profile_type: body.profile_type,
            function_name: body.function_name,
            max_self_percent: body.max_self_percent,
            severity: body.severity,
            created_by: body.created_by,
            created_at: body.created_at,
            updated_at: body.updated_at,
        }
    }
}

/// A page of limits.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Baselines)]
pub(super) struct BaselinesBody {
    /// The app that was asked for; absent where all were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub(super) app_name: Option<AppName>,
    /// The kind that was asked for, canonical; absent where all were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub(super) profile_type: Option<ProfileType>,
    /// The limits, by app, type and function.
    #[schema(value_type = Vec<BaselineBody>)]
    pub(super) baselines: Vec<StoredBody<BaselineBody>>,
    /// Continues the list; absent on its last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub(super) next_cursor: Option<String>,
}
