use chrono::{DateTime, Utc};

use crate::kernel::{
    AppName, FunctionName, LimitSeverity, Page, Percent, ProfileType, Repeated, RowId, Stored, Text255,
};

/// The approved limit of one function of one app: its self share must not pass `max_self_percent`.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    /// The row's id.
    pub id: RowId,
    /// The app.
    pub app_name: AppName,
    /// The kind of profile the share is of.
    pub profile_type: ProfileType,
    /// The function, as it was typed in.
    pub function_name: FunctionName,
    /// The largest share approved.
    pub max_self_percent: Percent,
    /// How severe it is to exceed it.
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
    /// How severe it is to exceed it.
    pub severity: LimitSeverity,
    /// Who sets it.
    pub created_by: Option<Text255>,
}

/// What to change of a limit; at least one field is given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BaselineChange {
    /// A new share.
    pub max_self_percent: Option<Percent>,
    /// A new severity.
    pub severity: Option<LimitSeverity>,
    /// Read-only members that the caller repeated; they must be as they are stored.
    pub repeated: Repeated,
}

impl BaselineChange {
    /// Whether nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        self.max_self_percent.is_none() && self.severity.is_none()
    }
}

/// Which limits to list, by app, type and function.
#[derive(Debug, Clone, PartialEq)]
pub struct BaselineQuery {
    /// Only limits of this app.
    pub app_name: Option<AppName>,
    /// Only limits of this kind.
    pub profile_type: Option<ProfileType>,
    /// At most this many, 1 to 10,000.
    pub limit: u16,
    /// Continue after this place.
    pub after: Option<BaselinePosition>,
}

impl BaselineQuery {
    /// The largest page, and the default one.
    pub const MAX_LIMIT: u16 = 10_000;

    /// The first page of the limits of an app or all, and of a kind or all.
    pub fn of(app_name: Option<AppName>, profile_type: Option<ProfileType>) -> Self {
        Self { app_name, profile_type, limit: Self::MAX_LIMIT, after: None }
    }
}

/// A place among the limits, an app, a type and a function: pages continue after it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BaselinePosition(pub(super) String, pub(super) String, pub(super) String);

/// One page of limits, by app, type and function.
pub type BaselinePage = Page<Stored<Baseline>, BaselinePosition>;
