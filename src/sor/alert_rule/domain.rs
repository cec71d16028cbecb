use chrono::{DateTime, Utc};

use super::pattern::FunctionPattern;
use crate::kernel::{
    AppName, Change, LimitSeverity, Page, Percent, ProfileType, Repeated, RowId, Stored, Text255, rfc3339,
};

/// An alert rule: from which share on to alert.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertRule {
    /// The row's id.
    pub id: RowId,
    /// The app.
    pub app_name: AppName,
    /// The kind of profile the share is of.
    pub profile_type: ProfileType,
    /// The largest share that raises no alert.
    pub threshold_percent: Percent,
    /// Which functions it is about; `None` means any.
    pub function_pattern: Option<FunctionPattern>,
    /// How bad it is to pass the share.
    pub severity: LimitSeverity,
    /// The channel to alert; `None` means the service's own channel.
    pub notification_channel: Option<Text255>,
    /// Whether the rule is enabled.
    pub enabled: bool,
    /// Who made it.
    pub created_by: Option<Text255>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
}

/// A new rule. The same again makes another rule.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRule {
    /// The app.
    pub app_name: AppName,
    /// The kind of profile.
    pub profile_type: ProfileType,
    /// The share that may be reached.
    pub threshold_percent: Percent,
    /// Which functions; `None` means any.
    pub function_pattern: Option<FunctionPattern>,
    /// How bad it is to pass the share.
    pub severity: LimitSeverity,
    /// Where to tell.
    pub notification_channel: Option<Text255>,
    /// Whether the rule is enabled.
    pub enabled: bool,
    /// Who makes it.
    pub created_by: Option<Text255>,
}

/// What to change of a rule; at least one field.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RuleChange {
    /// A new share.
    pub threshold_percent: Option<Percent>,
    /// Other functions; clearing means any.
    pub function_pattern: Change<FunctionPattern>,
    /// A new severity.
    pub severity: Option<LimitSeverity>,
    /// Another channel; clearing means the service's own.
    pub notification_channel: Change<Text255>,
    /// On or off.
    pub enabled: Option<bool>,
    /// Read-only members that the caller repeated; they must be as they are stored.
    pub repeated: Repeated,
}

impl RuleChange {
    /// Whether nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        *self == Self { repeated: self.repeated.clone(), ..Self::default() }
    }
}

/// Which rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// All of every app.
    All,
    /// All of an app.
    Of(AppName),
    /// The enabled rules of an app.
    Active(AppName),
}

impl Which {
    /// The app they are of, if of one.
    pub fn app(&self) -> Option<&AppName> {
        match self {
            Self::All => None,
            Self::Of(app) | Self::Active(app) => Some(app),
        }
    }
}

/// Which rules to list: by app, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleQuery {
    /// Which.
    pub which: Which,
    /// At most this many, 1 to 10,000.
    pub limit: u16,
    /// Continue after this place.
    pub after: Option<RulePosition>,
}

impl RuleQuery {
    /// The largest page, and the default one.
    pub const MAX_LIMIT: u16 = 10_000;
}

/// A place in a list of rules: pages continue after it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RulePosition(
    pub(super) String,
    #[serde(deserialize_with = "rfc3339")] pub(super) DateTime<Utc>,
    pub(super) i32,
);

/// One page of rules, by app, newest first.
pub type RulePage = Page<Stored<AlertRule>, RulePosition>;
