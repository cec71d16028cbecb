//! Limits that are learnt from the past of operations.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::kernel::Page;
use crate::sor::performance::names::{OperationScope, OperationType};

/// A multiple of the 99th percentile: 1 to 999,999.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64")]
pub struct Multiplier(f64);

impl Multiplier {
    const MOST: f64 = 999_999.0;

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Multiplier {
    type Error = String;

    fn try_from(number: f64) -> Result<Self, String> {
        let in_range = (1.0..=Self::MOST).contains(&number);
        in_range.then_some(Self(number)).ok_or_else(|| format!("must be 1 to {}", Self::MOST))
    }
}

/// Days that a limit is learnt from: 1 to 35.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub struct LookbackDays(u8);

impl LookbackDays {
    /// How many.
    pub fn get(self) -> i32 {
        self.0.into()
    }
}

impl Default for LookbackDays {
    /// A week.
    fn default() -> Self {
        Self(7)
    }
}

impl TryFrom<i64> for LookbackDays {
    type Error = String;

    fn try_from(days: i64) -> Result<Self, String> {
        u8::try_from(days)
            .ok()
            .filter(|days| (1..=35).contains(days))
            .map(Self)
            .ok_or_else(|| "must be 1 to 35".to_owned())
    }
}

/// What a limit is to be learnt for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"operationType": "commit", "lookbackDays": 7, "alertThresholdMultiplier": 2.0}))]
pub struct NewLatencyBaseline {
    /// The type of operations: 1 to 128 bytes.
    #[schema(value_type = String, min_length = 1, max_length = 128)]
    pub operation_type: OperationType,
    /// The scope to learn it for: up to 512 bytes; every scope if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 512)]
    pub scope: Option<OperationScope>,
    /// Calendar days (UTC) to learn from, today included; 7 if absent.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 35)]
    pub lookback_days: LookbackDays,
    /// The limit in 99th percentiles; 2 if absent.
    #[serde(default = "two")]
    #[schema(value_type = Option<f64>, minimum = 1, maximum = 999_999)]
    pub alert_threshold_multiplier: Multiplier,
    /// From where on it is critical, in 99th percentiles; 5 if absent, or the limit where that is higher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>, minimum = 1, maximum = 999_999)]
    pub critical_multiplier: Option<Multiplier>,
    /// Whether hours count of which more than 5 % was over the limit: so a new normal is accepted. False if absent.
    #[serde(default)]
    pub include_incidents: bool,
}

fn two() -> Multiplier {
    Multiplier(2.0)
}

impl NewLatencyBaseline {
    /// From where on it is critical. `None`: it was said to be below the limit.
    pub fn critical(&self) -> Option<Multiplier> {
        let limit = self.alert_threshold_multiplier;
        match self.critical_multiplier {
            Some(critical) => Some(critical).filter(|critical| *critical >= limit),
            None => Some(if limit.0 > 5.0 { limit } else { Multiplier(5.0) }),
        }
    }
}

/// How long an operation usually takes, and the limits derived from that. Times are in microseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"id": 3, "operationType": "commit", "scope": null, "baselineDate": "2024-01-23",
    "calculatedAt": "2024-01-23T02:00:00.123456Z", "sampleCount": 100, "excludedFailed": 0, "excludedIncident": 0, "minUs": 1000,
    "maxUs": 100_000, "p50Us": 50_500, "p75Us": 75_250, "p90Us": 90_100, "p95Us": 95_050, "p99Us": 99_010, "meanUs": 50_500.0,
    "stddevUs": 29_011.49, "alertThresholdMultiplier": 2.0, "criticalMultiplier": 5.0, "limitUs": 198_020, "criticalUs": 495_050,
    "active": true, "lookbackDays": 7, "exact": true, "includeIncidents": false, "createdBy": "token:ci"}))]
pub struct LatencyBaseline {
    /// Its id.
    pub id: i64,
    /// The type of operations.
    pub operation_type: String,
    /// The scope that it is for; null: every scope without a limit of its own.
    pub scope: Option<String>,
    /// The day it was learnt.
    pub baseline_date: NaiveDate,
    /// When it was learnt.
    pub calculated_at: DateTime<Utc>,
    /// How many operations it was learnt from.
    pub sample_count: i64,
    /// How many were left out because they failed.
    pub excluded_failed: i64,
    /// How many were left out because more than 5 % of their hour was over the limit.
    pub excluded_incident: i64,
    /// The least.
    pub min_us: i64,
    /// The largest.
    pub max_us: i64,
    /// The median.
    pub p50_us: i64,
    /// The 75th percentile.
    pub p75_us: i64,
    /// The 90th percentile.
    pub p90_us: i64,
    /// The 95th percentile.
    pub p95_us: i64,
    /// The 99th percentile.
    pub p99_us: i64,
    /// The mean.
    pub mean_us: f64,
    /// The standard deviation of the sample; null of one.
    pub stddev_us: Option<f64>,
    /// The limit in 99th percentiles.
    pub alert_threshold_multiplier: f64,
    /// From where on it is critical, in 99th percentiles.
    pub critical_multiplier: f64,
    /// What takes longer is over the limit.
    pub limit_us: i64,
    /// What takes longer is critical.
    pub critical_us: i64,
    /// Whether it is in force: the newest of its type and scope is.
    pub active: bool,
    /// Calendar days it was learnt from.
    pub lookback_days: i32,
    /// Whether its percentiles are exact. If not, they are within 1 %.
    pub exact: bool,
    /// Whether hours count of which more than 5 % was over the limit.
    pub include_incidents: bool,
    /// Who had it learnt.
    pub created_by: String,
}

/// Which limits to list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LatencyBaselineQuery {
    /// Only those of this type.
    pub operation_type: Option<OperationType>,
    /// Only those for this scope.
    pub scope: Option<OperationScope>,
    /// Only those that are in force, or are not.
    pub active: Option<bool>,
    /// How many at most.
    pub limit: u16,
    /// Those below this id.
    pub after: Option<i64>,
}

/// One page of limits, newest first.
pub type LatencyBaselinePage = Page<LatencyBaseline, i64>;

/// How old a limit is, and how many alerts it has raised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"operationType": "commit", "scope": null, "baselineDate": "2024-01-23", "sampleCount": 100,
    "p99Ms": 99.01, "alertThresholdPercent": 200.0, "alertsGenerated": 1, "active": true, "daysSinceCalculation": 0}))]
pub struct LatencyBaselineHealth {
    /// The type of operations.
    pub operation_type: String,
    /// The scope that it is for; null: every scope without one of its own.
    pub scope: Option<String>,
    /// The day it was learnt.
    pub baseline_date: NaiveDate,
    /// How many operations it was learnt from.
    pub sample_count: i64,
    /// The 99th percentile, in milliseconds.
    pub p99_ms: f64,
    /// The limit in percent of that.
    pub alert_threshold_percent: f64,
    /// How many alerts came of it.
    pub alerts_generated: i64,
    /// Whether it is in force.
    pub active: bool,
    /// How many days ago it was learnt.
    pub days_since_calculation: i32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(body: Value) -> Result<NewLatencyBaseline, String> {
        serde_json::from_value(body).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_is_a_week_and_two_and_five_percentiles() {
        let new = read(json!({"operationType": "commit"})).unwrap();
        assert_eq!((new.lookback_days.get(), new.alert_threshold_multiplier.get()), (7, 2.0));
        assert_eq!((new.critical().map(Multiplier::get), new.include_incidents), (Some(5.0), false));
        let new = read(json!({"operationType": "commit", "alertThresholdMultiplier": 10})).unwrap();
        assert_eq!(new.critical().map(Multiplier::get), Some(10.0));
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        for (member, value) in [
            ("lookbackDays", json!(0)),
            ("lookbackDays", json!(36)),
            ("alertThresholdMultiplier", json!(0.99)),
            ("criticalMultiplier", json!(999_999.5)),
            ("operationType", json!(" ")),
            ("nope", json!(1)),
        ] {
            let mut body = json!({"operationType": "commit"});
            body[member] = value.clone();
            assert!(read(body).is_err(), "{member} {value}");
        }
        let below = json!({"operationType": "commit", "alertThresholdMultiplier": 3, "criticalMultiplier": 2.5});
        assert_eq!(read(below).unwrap().critical(), None);
    }
}
