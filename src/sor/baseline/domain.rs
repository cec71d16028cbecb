use chrono::{DateTime, Utc};

use crate::kernel::{AppName, FunctionName, LimitSeverity, Percent, ProfileType, RowId, Text255};

/// The approved limit of one function of one app: its self share must not pass `max_self_percent`.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    /// The row's id.
    pub id: RowId,
    /// The app.
    pub app_name: AppName,
    /// The kind of profile the share is of.
    pub profile_type: ProfileType,
    /// The function, as somebody typed it.
    pub function_name: FunctionName,
    /// The largest share approved.
    pub max_self_percent: Percent,
    /// How bad it is to pass it.
    pub severity: LimitSeverity,
    /// Who set it.
    pub created_by: Option<Text255>,
    /// When it was set first.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
}

/// A limit to be set. The same app, type and function again updates threshold and severity.
#[derive(Debug, Clone, PartialEq)]
pub struct NewBaseline {
    /// The app.
    pub app_name: AppName,
    /// The kind of profile.
    pub profile_type: ProfileType,
    /// The function.
    pub function_name: FunctionName,
    /// The largest share approved.
    pub max_self_percent: Percent,
    /// How bad it is to pass it.
    pub severity: LimitSeverity,
    /// Who sets it.
    pub created_by: Option<Text255>,
}

/// What to change of a limit; at least one field is given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BaselineChange {
    /// A new share.
    pub max_self_percent: Option<Percent>,
    /// A new severity.
    pub severity: Option<LimitSeverity>,
}
