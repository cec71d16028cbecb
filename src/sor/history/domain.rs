use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::bounded::{Recommendation, TopFunctions};
use crate::kernel::{
    AppName, FindingSeverity, LimitSeverity, Page, ProfileType, RowId, Stored, Text255, UnknownProfileType, rfc3339,
};

/// How far `assessed_at` may be ahead of the clock: 60 s, since clocks differ a little.
const MAX_AHEAD: TimeDelta = TimeDelta::seconds(60);

/// A severity as history keeps it: of findings (`high`, `medium`, `low`) or of limits (`critical`, `warning`, `info`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the values")]
pub enum AssessmentSeverity {
    High,
    Medium,
    Low,
    Critical,
    Warning,
    Info,
}

impl AssessmentSeverity {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 6] = [Self::High, Self::Medium, Self::Low, Self::Critical, Self::Warning, Self::Info];

    /// The name in answers and rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

impl std::str::FromStr for AssessmentSeverity {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.as_str() == name)
            .ok_or_else(|| format!("unknown severity {name:?}: valid are high, medium, low, critical, warning, info"))
    }
}

impl From<FindingSeverity> for AssessmentSeverity {
    fn from(severity: FindingSeverity) -> Self {
        match severity {
            FindingSeverity::Low => Self::Low,
            FindingSeverity::Medium => Self::Medium,
            FindingSeverity::High => Self::High,
        }
    }
}

impl From<LimitSeverity> for AssessmentSeverity {
    fn from(severity: LimitSeverity) -> Self {
        match severity {
            LimitSeverity::Info => Self::Info,
            LimitSeverity::Warning => Self::Warning,
            LimitSeverity::Critical => Self::Critical,
        }
    }
}

/// One assessment as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// The row's id.
    pub id: RowId,
    /// The app.
    pub app_name: AppName,
    /// The diagnosis.
    pub diagnosis: Text255,
    /// How bad.
    pub severity: AssessmentSeverity,
    /// The kinds that were read.
    pub profile_types: Vec<ProfileType>,
    /// The heaviest functions.
    pub top_functions: Option<TopFunctions>,
    /// What to do.
    pub recommendation: Option<Recommendation>,
    /// Who asked.
    pub requested_by: Option<Text255>,
    /// When it was assessed (or stored, where that was not said).
    pub created_at: DateTime<Utc>,
}

/// An assessment to be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAssessment {
    /// The app.
    pub app_name: AppName,
    /// The diagnosis, a category or a contract name: 1 to 255 bytes.
    pub diagnosis: Text255,
    /// How bad.
    pub severity: AssessmentSeverity,
    /// The kinds that were read.
    pub profile_types: Vec<ProfileType>,
    /// The heaviest functions; BORs write `{"cpu": [row, …]}`, see [`TopFunctions::fitting`].
    pub top_functions: Option<TopFunctions>,
    /// What to do.
    pub recommendation: Option<Recommendation>,
    /// Who asked.
    pub requested_by: Option<Text255>,
    /// When it was assessed; absent means when it is stored.
    pub assessed_at: Option<DateTime<Utc>>,
    /// The same key again is the same assessment. Absent: the spool gives one, a direct write has none.
    pub idempotency_key: Option<Uuid>,
}

/// The time is further ahead than clocks may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("lies more than 60 seconds in the future")]
pub struct TooFarAhead;

/// Checks when something was assessed: at most 60 s in the future.
pub(super) fn check_assessed_at(assessed_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<(), TooFarAhead> {
    if assessed_at.is_some_and(|at| at - now > MAX_AHEAD) { Err(TooFarAhead) } else { Ok(()) }
}

/// Kinds of profile, as rows and bodies contain them: `cpu,alloc`, empty if there are none.
#[derive(Debug, Clone)]
pub(super) struct ProfileTypes(pub(super) Vec<ProfileType>);

impl std::fmt::Display for ProfileTypes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(","))
    }
}

impl std::str::FromStr for ProfileTypes {
    type Err = UnknownProfileType;

    /// Aliases and repeats collapse, the order is kept.
    fn from_str(text: &str) -> Result<Self, UnknownProfileType> {
        let mut types = Vec::new();
        for name in text.split(',').map(str::trim).filter(|_| !text.trim().is_empty()) {
            let kind: ProfileType = name.parse()?;
            if !types.contains(&kind) {
                types.push(kind);
            }
        }
        Ok(Self(types))
    }
}

/// Which assessments of an app to list, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryQuery {
    /// The app.
    pub app_name: AppName,
    /// At most this many, 1 to 500.
    pub limit: u16,
    /// Only assessments in this window. Either end may be open.
    pub from: Option<DateTime<Utc>>,
    /// See `from`.
    pub to: Option<DateTime<Utc>>,
    /// Continue after this place.
    pub after: Option<HistoryPosition>,
}

impl HistoryQuery {
    /// The largest page.
    pub const MAX_LIMIT: u16 = 500;

    /// The newest `limit` assessments of an app.
    pub fn newest(app_name: AppName, limit: u16) -> Self {
        Self { app_name, limit, from: None, to: None, after: None }
    }
}

/// A place in an app's history: pages continue after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HistoryPosition(#[serde(deserialize_with = "rfc3339")] pub(super) DateTime<Utc>, pub(super) i32);

/// One page of assessments, newest first.
pub type HistoryPage = Page<Stored<Assessment>, HistoryPosition>;

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("cpu, memory,allocation,mutex", "cpu,alloc,lock")]
    #[case("", "")]
    #[case("wall,cpu", "wall,cpu")]
    fn kinds_collapse_to_canonical_names_in_the_order_given(#[case] text: &str, #[case] joined: &str) {
        assert_eq!(text.parse::<ProfileTypes>().unwrap().to_string(), joined);
    }

    #[rstest]
    #[case("cpu,")]
    #[case("heap")]
    fn refuses_unknown_kinds(#[case] text: &str) {
        assert!(text.parse::<ProfileTypes>().is_err());
    }

    #[test]
    fn a_minute_ahead_is_the_most() {
        let now = DateTime::from_timestamp(1_706_000_000, 0).unwrap();
        assert_eq!(check_assessed_at(Some(now + TimeDelta::seconds(60)), now), Ok(()));
        assert_eq!(check_assessed_at(Some(now + TimeDelta::milliseconds(60_001)), now), Err(TooFarAhead));
        assert_eq!(check_assessed_at(None, now), Ok(()));
    }
}
