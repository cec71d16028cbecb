use chrono::{DateTime, Utc};

use super::conditions::{
    Lasting, Measure, Measured, RuleCategory, RuleWindow, RunbookUrl, Scope, ServiceFilter, Timing,
};
use super::pattern::FunctionPattern;
use crate::kernel::{
    AppName, Change, LimitSeverity, Page, Percent, ProfileType, Repeated, RowId, Stored, Text255, rfc3339,
};

/// An alert rule: from which share on to alert.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertRule {
    /// The row's id.
    pub id: RowId,
    /// Which apps it is for.
    pub scope: Scope,
    /// The kind of profile the share is of.
    pub profile_type: ProfileType,
    /// The largest share that raises no alert.
    pub threshold_percent: Percent,
    /// What is measured.
    pub measured: Measured,
    /// How long it looks and waits.
    pub timing: Timing,
    /// How bad it is to pass the share.
    pub severity: LimitSeverity,
    /// The channel to alert; `None` means the service's own channel.
    pub notification_channel: Option<Text255>,
    /// Where it is written what to do.
    pub runbook_url: Option<RunbookUrl>,
    /// Whether the rule is enabled.
    pub enabled: bool,
    /// Who made it.
    pub created_by: Option<Text255>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
}

/// A new rule. Creating it twice makes two rules.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRule {
    /// Which apps it is for.
    pub scope: Scope,
    /// The kind of profile.
    pub profile_type: ProfileType,
    /// The share that may be reached.
    pub threshold_percent: Percent,
    /// What is measured.
    pub measured: Measured,
    /// How long it looks and waits.
    pub timing: Timing,
    /// How bad it is to pass the share.
    pub severity: LimitSeverity,
    /// Where to tell.
    pub notification_channel: Option<Text255>,
    /// Where it is written what to do.
    pub runbook_url: Option<RunbookUrl>,
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
    /// Other services; clearing means every app.
    pub services: Change<ServiceFilter>,
    /// How shares make one; clearing means the largest.
    pub measure: Change<Measure>,
    /// Another category; clearing means functions.
    pub category: Change<RuleCategory>,
    /// Another window; clearing means 300 s.
    pub window: Change<RuleWindow>,
    /// How long it must be over; clearing means the window.
    pub hold: Change<Lasting>,
    /// How long it must be under; clearing means 300 s.
    pub keep_firing: Change<Lasting>,
    /// Another runbook; clearing means none.
    pub runbook_url: Change<RunbookUrl>,
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
