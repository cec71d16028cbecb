//! Limits that are learnt from the past of operations, alerts of what is over them, and the types of operations.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kernel::{LimitSeverity, Note, Page, Text255, words};
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
    /// What is done: 1 to 128 bytes.
    #[schema(value_type = String, min_length = 1, max_length = 128)]
    pub operation_type: OperationType,
    /// What it belongs to: up to 512 bytes; to anything if absent.
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

/// What an operation usually takes, and the limits that follow. Times are in microseconds.
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
    /// What is done.
    pub operation_type: String,
    /// What it belongs to; null: to anything that has no limit of its own.
    pub scope: Option<String>,
    /// The day it was learnt.
    pub baseline_date: NaiveDate,
    /// When it was learnt.
    pub calculated_at: DateTime<Utc>,
    /// How many operations it was learnt from.
    pub sample_count: i64,
    /// How many were left out because they failed.
    pub excluded_failed: i64,
    /// How many were left out because of many in their hour were over the limit.
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
    /// Whether its percentiles are exact: else they are within 1 %.
    pub exact: bool,
    /// Whether hours count of which more than 5 % was over the limit.
    pub include_incidents: bool,
    /// Who had it learnt.
    pub created_by: String,
}

/// Which limits to list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LatencyBaselineQuery {
    /// Of this type.
    pub operation_type: Option<OperationType>,
    /// For what belongs to this.
    pub scope: Option<OperationScope>,
    /// Only those that are in force, or are not.
    pub active: Option<bool>,
    /// At most so many.
    pub limit: u16,
    /// Those below this id.
    pub after: Option<i64>,
}

/// One page of limits, newest first.
pub type LatencyBaselinePage = Page<LatencyBaseline, i64>;

/// The most rows of a page.
pub(super) const MAX_LIMIT: u16 = 1_000;
/// The rows of a page if nothing is said.
pub(super) const DEFAULT_LIMIT: u16 = 100;

/// How old a limit is, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"operationType": "commit", "scope": null, "baselineDate": "2024-01-23", "sampleCount": 100,
    "p99Ms": 99.01, "alertThresholdPercent": 200.0, "alertsGenerated": 1, "active": true, "daysSinceCalculation": 0}))]
pub struct LatencyBaselineHealth {
    /// What is done.
    pub operation_type: String,
    /// What it belongs to; null: to anything.
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

words! {
    /// What kind of work an operation is.
    OperationCategory:
    /// It reads.
    Read = "read",
    /// It writes.
    Write = "write",
    /// It keeps things in order.
    Admin = "admin",
    /// It is made of others.
    Workflow = "workflow",
}

/// A type of operations, to be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"operationType": "checkout", "description": "an order is placed", "category": "write",
    "typicalDurationMs": 120.0, "isTracked": true}))]
pub struct NewOperationType {
    /// The name: 1 to 128 bytes.
    #[schema(value_type = String, min_length = 1, max_length = 128)]
    pub operation_type: OperationType,
    /// What is done: 1 to 255 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    pub description: Option<Text255>,
    /// What kind of work it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<OperationCategory>,
    /// What it usually takes, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 2_678_400_000_i64)]
    pub typical_duration_ms: Option<TypicalMs>,
    /// Whether a limit is learnt for it by itself; true if absent.
    #[serde(default = "yes")]
    pub is_tracked: bool,
}

fn yes() -> bool {
    true
}

/// What an operation usually takes: 0 to 31 days, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64")]
pub struct TypicalMs(f64);

impl TypicalMs {
    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for TypicalMs {
    type Error = String;

    fn try_from(number: f64) -> Result<Self, String> {
        let in_range = (0.0..=2_678_400_000.0).contains(&number);
        in_range.then_some(Self(number)).ok_or_else(|| "must be 0 to 2678400000".to_owned())
    }
}

/// A type of operations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OperationTypeRow, example = json!({"operationType": "commit", "description": null, "category": "write",
    "typicalDurationMs": 5.0, "isTracked": true}))]
pub struct OperationTypeRow {
    /// The name.
    pub operation_type: String,
    /// What is done.
    pub description: Option<String>,
    /// What kind of work it is.
    pub category: Option<OperationCategory>,
    /// What it usually takes, in milliseconds.
    pub typical_duration_ms: Option<f64>,
    /// Whether a limit is learnt for it by itself.
    pub is_tracked: bool,
}

words! {
    /// What an alert is about.
    LatencyAlertType:
    /// Operations took longer than their limit.
    ThresholdExceeded = "threshold_exceeded",
    /// An hour was much slower than the hours before.
    Anomaly = "anomaly",
    /// An operation became slower over days.
    Degradation = "degradation",
}

/// What is over a limit, or became slower.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"id": 5, "type": "threshold_exceeded", "severity": "warning", "operationType": "commit", "scope": null,
    "metricId": 102, "baselineId": 3, "baselineP99Ms": 99.01, "actualDurationMs": 198.021, "violationMultiplier": 2.0,
    "userName": "ana", "occurrences": 4, "firstSeen": "2024-01-23T08:53:20.123456Z",
    "lastSeen": "2024-01-23T08:54:20.123456Z", "createdAt": "2024-01-23T08:53:20.123456Z", "sustainedAt": null,
    "resolvedAt": null, "acknowledged": false, "acknowledgedAt": null, "acknowledgedBy": null, "resolutionNotes": null,
    "detail": null}))]
pub struct LatencyAlert {
    /// Its id.
    pub id: i64,
    /// What it is about.
    #[serde(rename = "type")]
    pub alert_type: LatencyAlertType,
    /// How bad it is.
    pub severity: LimitSeverity,
    /// What was done.
    pub operation_type: String,
    /// What the limit is for; null: for anything that has none of its own.
    pub scope: Option<String>,
    /// The worst metric.
    pub metric_id: Option<i64>,
    /// The limit that this was over.
    pub baseline_id: Option<i64>,
    /// Its 99th percentile, in milliseconds.
    pub baseline_p99_ms: Option<f64>,
    /// How long the worst took, in milliseconds.
    pub actual_duration_ms: f64,
    /// That in 99th percentiles.
    pub violation_multiplier: Option<f64>,
    /// Who did the worst.
    pub user_name: Option<String>,
    /// How many were over the limit.
    pub occurrences: i64,
    /// When the first of them ended.
    pub first_seen: DateTime<Utc>,
    /// When the last of them ended.
    pub last_seen: DateTime<Utc>,
    /// When the alert was opened.
    pub created_at: DateTime<Utc>,
    /// Since when many are over it; null while only few are, of which nobody is told.
    pub sustained_at: Option<DateTime<Utc>>,
    /// When it was over; null: it is open.
    pub resolved_at: Option<DateTime<Utc>>,
    /// Whether somebody looks after it.
    pub acknowledged: bool,
    /// Since when.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// Who.
    pub acknowledged_by: Option<String>,
    /// What they say.
    pub resolution_notes: Option<String>,
    /// What was compared.
    #[schema(value_type = Option<Object>)]
    pub detail: Option<Value>,
}

/// Which alerts to list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LatencyAlertQuery {
    /// Whether somebody looks after them.
    pub acknowledged: Option<bool>,
    /// Whether they are over.
    pub resolved: Option<bool>,
    /// Whether they are sustained.
    pub sustained: Option<bool>,
    /// How bad they are.
    pub severity: Option<LimitSeverity>,
    /// What they are about.
    pub alert_type: Option<LatencyAlertType>,
    /// What was done.
    pub operation_type: Option<OperationType>,
    /// What the limit is for.
    pub scope: Option<OperationScope>,
    /// Opened within so many calendar days (UTC), today included.
    pub days: u16,
    /// At most so many.
    pub limit: u16,
    /// Those below this id.
    pub after: Option<i64>,
}

impl LatencyAlertQuery {
    /// The most days.
    pub const MOST_DAYS: u16 = 3_650;
    /// How many days if nothing is said.
    pub const DEFAULT_DAYS: u16 = 7;
}

/// One page of alerts, newest first.
pub type LatencyAlertPage = Page<LatencyAlert, i64>;

/// Which operations to compare with each other.
#[derive(Debug, Clone, PartialEq)]
pub struct CorrelationQuery {
    /// Of so many hours.
    pub hours: u16,
    /// From which coefficient on they are shown.
    pub threshold: Coefficient,
}

impl CorrelationQuery {
    /// The most hours: hours are kept for 35 days.
    pub const MOST_HOURS: u16 = 35 * 24;
    /// How many hours if nothing is said: a week.
    pub const DEFAULT_HOURS: u16 = 7 * 24;
}

/// A coefficient of correlation, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coefficient(f64);

impl Coefficient {
    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Default for Coefficient {
    /// Three quarters.
    fn default() -> Self {
        Self(0.75)
    }
}

impl<'de> Deserialize<'de> for Coefficient {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = text.parse().ok().filter(|number| (0.0..=1.0).contains(number));
        number.map(Self).ok_or_else(|| serde::de::Error::custom("must be 0 to 1"))
    }
}

/// That somebody looks after an alert.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = LatencyAcknowledgement, example = json!({"resolutionNotes": "rolling back"}))]
pub struct Acknowledgement {
    /// Who: 1 to 255 bytes; the caller if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    pub acknowledged_by: Option<Text255>,
    /// What they say: 1 to 2,000 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 2_000)]
    pub resolution_notes: Option<Note>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
