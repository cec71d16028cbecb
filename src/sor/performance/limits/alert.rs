//! Alerts of what is over a limit, or became slower.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kernel::{LimitSeverity, Note, Page, Text255, words};
use crate::sor::performance::names::{OperationScope, OperationType};

words! {
    /// The kinds of alerts of operations.
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
    /// What kind of alert it is.
    #[serde(rename = "type")]
    pub alert_type: LatencyAlertType,
    /// The severity.
    pub severity: LimitSeverity,
    /// The type of operation.
    pub operation_type: String,
    /// The scope that the limit is for; null: every scope without a limit of its own.
    pub scope: Option<String>,
    /// The worst metric.
    pub metric_id: Option<i64>,
    /// The limit that this was over.
    pub baseline_id: Option<i64>,
    /// Its 99th percentile, in milliseconds.
    pub baseline_p99_ms: Option<f64>,
    /// How long the worst took, in milliseconds.
    pub actual_duration_ms: f64,
    /// The same in 99th percentiles of the limit.
    pub violation_multiplier: Option<f64>,
    /// The user of the worst metric.
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
    /// When it was resolved; null: it is open.
    pub resolved_at: Option<DateTime<Utc>>,
    /// Whether it is acknowledged.
    pub acknowledged: bool,
    /// When somebody acknowledged it.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// The user.
    pub acknowledged_by: Option<String>,
    /// Their note.
    pub resolution_notes: Option<String>,
    /// The figures that were compared.
    #[schema(value_type = Option<Object>)]
    pub detail: Option<Value>,
}

/// Which alerts to list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LatencyAlertQuery {
    /// Whether they are acknowledged.
    pub acknowledged: Option<bool>,
    /// Whether they are resolved.
    pub resolved: Option<bool>,
    /// Whether they are sustained.
    pub sustained: Option<bool>,
    /// Only those of this severity.
    pub severity: Option<LimitSeverity>,
    /// Only those of this kind.
    pub alert_type: Option<LatencyAlertType>,
    /// The type of operation.
    pub operation_type: Option<OperationType>,
    /// The scope that the limit is for.
    pub scope: Option<OperationScope>,
    /// Within how many calendar days (UTC) they were opened, today included.
    pub days: u16,
    /// How many at most.
    pub limit: u16,
    /// Those below this id.
    pub after: Option<i64>,
}

impl LatencyAlertQuery {
    /// The most days.
    pub const MOST_DAYS: u16 = 3_650;
    /// How many days if the request names none.
    pub const DEFAULT_DAYS: u16 = 7;
}

/// One page of alerts, newest first.
pub type LatencyAlertPage = Page<LatencyAlert, i64>;

/// Which operations to compare with each other.
#[derive(Debug, Clone, PartialEq)]
pub struct CorrelationQuery {
    /// How many hours to compare.
    pub hours: u16,
    /// From which coefficient on they are shown.
    pub threshold: Coefficient,
}

impl CorrelationQuery {
    /// The most hours: hours are kept for 35 days.
    pub const MOST_HOURS: u16 = 35 * 24;
    /// How many hours if the request names none: a week.
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

/// An acknowledgement of an alert.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = LatencyAcknowledgement, example = json!({"resolutionNotes": "rolling back"}))]
pub struct Acknowledgement {
    /// Who: 1 to 255 bytes; the caller if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    pub acknowledged_by: Option<Text255>,
    /// A note: 1 to 2,000 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 2_000)]
    pub resolution_notes: Option<Note>,
}
