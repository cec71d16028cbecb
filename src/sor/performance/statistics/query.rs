//! What is asked of statistics.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::kernel::parse_duration;
use crate::sor::performance::names::{OperationScope, OperationType};

/// Whether an operation is shown by days or by hours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Bucket {
    /// By calendar days (UTC).
    #[default]
    Day,
    /// By hours.
    Hour,
}

impl Bucket {
    /// The most days that are shown so: days are kept for longer than hours.
    pub fn most_days(self) -> u16 {
        match self {
            Self::Day => TrendQuery::MOST_DAYS,
            Self::Hour => 35,
        }
    }

    /// How long one takes.
    pub fn length(self) -> TimeDelta {
        match self {
            Self::Day => TimeDelta::days(1),
            Self::Hour => TimeDelta::hours(1),
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Hour => "hour",
        }
    }
}

/// Which operations of which window to show.
#[derive(Debug, Clone, PartialEq)]
pub struct StatisticsQuery {
    /// From when on, on the hour.
    pub from: DateTime<Utc>,
    /// Until when, on the hour; until now and later if absent.
    pub to: Option<DateTime<Utc>>,
    /// What they belong to; to anything if absent.
    pub scope: Option<OperationScope>,
    /// How many at most.
    pub limit: u16,
}

impl StatisticsQuery {
    /// The most rows of an answer.
    pub const MAX_LIMIT: u16 = 1_000;
    /// How many rows an answer has if the request names no limit.
    pub const DEFAULT_LIMIT: u16 = 100;
    /// How long the window is if the request names no start.
    pub const DEFAULT_WINDOW: TimeDelta = TimeDelta::hours(24);
}

/// Which operation to show by days or hours.
#[derive(Debug, Clone, PartialEq)]
pub struct TrendQuery {
    /// The type of operation.
    pub operation_type: OperationType,
    /// Only operations of this scope.
    pub scope: Option<OperationScope>,
    /// How many calendar days (UTC), today included.
    pub days: u16,
    /// Whether by days or by hours.
    pub bucket: Bucket,
}

impl TrendQuery {
    /// The most days.
    pub const MOST_DAYS: u16 = 395;
    /// How many days if the request names none.
    pub const DEFAULT_DAYS: u16 = 7;
}

/// How long a step of a series takes: 15 seconds to 24 hours, in whole seconds; from an hour on in whole hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step(Duration);

impl Default for Step {
    /// A minute.
    fn default() -> Self {
        Self(Duration::from_mins(1))
    }
}

impl Step {
    const HOUR: Duration = Duration::from_hours(1);
    const LEAST: Duration = Duration::from_secs(15);
    const MOST: Duration = Duration::from_hours(24);

    /// How long it takes.
    pub fn length(self) -> TimeDelta {
        TimeDelta::from_std(self.0).unwrap_or(TimeDelta::MAX)
    }

    /// Whether rows that were rolled up by the hour cannot answer it.
    pub fn reads_rows(self) -> bool {
        self.0 < Self::HOUR
    }

    /// It as text, in seconds.
    pub fn as_text(self) -> String {
        format!("{}s", self.0.as_secs())
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let whole = |step: &Duration| {
            let unit = if *step < Self::HOUR { 1 } else { Self::HOUR.as_secs() };
            (Self::LEAST..=Self::MOST).contains(step) && step.subsec_nanos() == 0 && step.as_secs().is_multiple_of(unit)
        };
        let step = parse_duration(&text).filter(whole);
        step.map(Self)
            .ok_or_else(|| de::Error::custom("must be 15s to 24h in whole seconds, and in whole hours from an hour on"))
    }
}

/// Whether each line of a dashboard is a type, a scope, or both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum GroupBy {
    /// Types of operations.
    #[default]
    Operation,
    /// Scopes.
    Scope,
    /// Types within each scope.
    Both,
}

impl GroupBy {
    /// Whether by types and by scopes.
    pub fn keys(self) -> (bool, bool) {
        match self {
            Self::Operation => (true, false),
            Self::Scope => (false, true),
            Self::Both => (true, true),
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operation => "operation",
            Self::Scope => "scope",
            Self::Both => "both",
        }
    }
}

/// Which operations to show over time.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesQuery {
    /// From when on.
    pub from: DateTime<Utc>,
    /// Until when.
    pub to: DateTime<Utc>,
    /// How long a step takes.
    pub step: Step,
    /// Only operations of this type.
    pub operation_type: Option<OperationType>,
    /// Only operations of this scope.
    pub scope: Option<OperationScope>,
    /// Whether each line is a type, a scope, or both.
    pub group_by: GroupBy,
}

impl SeriesQuery {
    /// The most series that are answered: the most frequent ones.
    pub const MOST_SERIES: usize = 500;
    /// The most steps.
    pub const MOST_STEPS: i64 = 2_000;
    /// The longest window of steps below an hour.
    pub const LONGEST_OF_ROWS: TimeDelta = TimeDelta::hours(24);
}

/// Which of the slowest operations to show.
#[derive(Debug, Clone, PartialEq)]
pub struct SlowestQuery {
    /// Only operations of this type.
    pub operation_type: Option<OperationType>,
    /// Only operations of this scope.
    pub scope: Option<OperationScope>,
    /// How many calendar days (UTC) to look at, today included.
    pub days: u16,
    /// How many at most.
    pub limit: u16,
}

impl SlowestQuery {
    /// The most rows of an answer.
    pub const MAX_LIMIT: u16 = 500;
    /// How many rows an answer has if the request names no limit.
    pub const DEFAULT_LIMIT: u16 = 20;
    /// The most days: older rows are gone.
    pub const MOST_DAYS: u16 = 366;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(text: &str) -> Result<String, String> {
        let text: de::value::StrDeserializer<'_, de::value::Error> = de::IntoDeserializer::into_deserializer(text);
        Step::deserialize(text).map(Step::as_text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_step_is_of_seconds_below_an_hour_and_of_hours_above() {
        for (text, expected) in
            [("15s", "15s"), ("1m30s", "90s"), ("59m59s", "3599s"), ("1h", "3600s"), ("24h", "86400s")]
        {
            assert_eq!(step(text), Ok(expected.to_owned()), "{text}");
        }
        for text in ["14s", "15s500ms", "90m", "25h", "1", "", "x"] {
            assert!(step(text).unwrap_err().contains("whole hours"), "{text}");
        }
    }
}
