//! Statistics of operations.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::query::{Bucket, SeriesQuery, Step};

/// How operations went. Times are in milliseconds, of those that succeeded; null where none did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// How many ended, failed ones too.
    pub count: i64,
    /// How many failed.
    pub failed: i64,
    /// How many were over a limit.
    pub over: i64,
    /// The mean.
    pub avg_ms: Option<f64>,
    /// The least.
    pub min_ms: Option<f64>,
    /// The largest.
    pub max_ms: Option<f64>,
    /// The median.
    pub p50_ms: Option<f64>,
    /// The 75th percentile.
    pub p75_ms: Option<f64>,
    /// The 90th percentile.
    pub p90_ms: Option<f64>,
    /// The 95th percentile.
    pub p95_ms: Option<f64>,
    /// The 99th percentile.
    pub p99_ms: Option<f64>,
    /// When the last one ended.
    pub last_at: DateTime<Utc>,
    /// Whether percentiles are exact. If not, they are within 1 %.
    pub exact: bool,
}

/// How an operation stands to its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitStatus {
    /// Within it for 24 hours.
    Ok,
    /// Over it within 24 hours.
    Violation,
    /// It has none.
    NoBaseline,
}

/// An operation of a window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"operationType": "triage", "category": "workflow", "isTracked": true, "count": 412, "failed": 3,
    "over": 0, "avgMs": 31.5, "minMs": 8.113, "maxMs": 402.9, "p50Ms": 24.1, "p75Ms": 33.0, "p90Ms": 61.2, "p95Ms": 80.4,
    "p99Ms": 207.7, "lastAt": "2024-01-23T08:53:20.123456Z", "exact": false, "limitMs": 415.4, "status": "ok"}))]
#[schema(as = OperationFigures)]
pub struct Operation {
    /// The type of operation.
    pub operation_type: String,
    /// What kind of work it is.
    pub category: Option<String>,
    /// Whether a limit is learnt for it.
    pub is_tracked: bool,
    /// How it went.
    #[serde(flatten)]
    pub figures: Figures,
    /// Its limit, in milliseconds.
    pub limit_ms: Option<f64>,
    /// How it stands to its limit.
    pub status: LimitStatus,
}

/// All that is kept of an operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"operationType": "commit", "totalExecutions": 100, "totalTimeHours": 0.0014, "avgDurationMs": 50.5,
    "minDurationMs": 1.0, "maxDurationMs": 100.0, "p50Ms": 50.5, "p95Ms": 95.05, "p99Ms": 99.01,
    "lastExecution": "2024-01-23T08:53:20.123456Z", "lastBaselineDate": "2024-01-23"}))]
pub struct OperationTotals {
    /// The type of operation.
    pub operation_type: String,
    /// How many ended, failed ones too.
    pub total_executions: i64,
    /// How long they took together, in hours.
    pub total_time_hours: f64,
    /// The mean, in milliseconds.
    pub avg_duration_ms: Option<f64>,
    /// The least, in milliseconds.
    pub min_duration_ms: Option<f64>,
    /// The largest, in milliseconds.
    pub max_duration_ms: Option<f64>,
    /// The median, in milliseconds.
    pub p50_ms: Option<f64>,
    /// The 95th percentile, in milliseconds.
    pub p95_ms: Option<f64>,
    /// The 99th percentile, in milliseconds.
    pub p99_ms: Option<f64>,
    /// When the last one ended.
    pub last_execution: DateTime<Utc>,
    /// When its limit was learnt.
    pub last_baseline_date: Option<chrono::NaiveDate>,
}

/// How an operation went in a day or an hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TrendPoint {
    /// When it began.
    pub start: DateTime<Utc>,
    /// How the operation went.
    #[serde(flatten)]
    pub figures: Figures,
}

/// How an operation went, by days or hours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OperationTrend)]
pub struct Trend {
    /// The type of operation.
    pub operation_type: String,
    /// Whether by days or hours.
    pub bucket: Bucket,
    /// Those in which the operation ended, newest first.
    pub trend: Vec<TrendPoint>,
}

/// How operations went in a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OperationPoint)]
pub struct SeriesPoint {
    /// When it began.
    pub start: DateTime<Utc>,
    /// How many ended, failed ones too.
    pub count: i64,
    /// How many failed.
    pub failed: i64,
    /// How many were over a limit.
    pub over: i64,
    /// The mean of those that succeeded, in milliseconds.
    pub avg_ms: Option<f64>,
    /// Their median.
    pub p50_ms: Option<f64>,
    /// Their 95th percentile.
    pub p95_ms: Option<f64>,
    /// Their 99th percentile.
    pub p99_ms: Option<f64>,
}

/// A line of a dashboard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OperationSeries)]
pub struct Series {
    /// The type of operations; null: all types.
    pub operation_type: Option<String>,
    /// The scope that it is for; null: every scope without one of its own.
    pub scope: Option<String>,
    /// Its limit, in milliseconds.
    pub limit_ms: Option<f64>,
    /// The steps in which something ended.
    pub points: Vec<SeriesPoint>,
}

/// Operations over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OperationSeriesAnswer)]
pub struct SeriesAnswer {
    /// How long a step takes, in seconds: `60s`.
    pub step: String,
    /// The most frequent series, at most 500, by their names.
    pub series: Vec<Series>,
}

impl SeriesAnswer {
    /// The lines of rows that are in the order of their keys and times.
    pub fn of_rows(
        step: Step,
        rows: impl IntoIterator<Item = (Option<String>, Option<String>, Option<f64>, SeriesPoint)>,
    ) -> Self {
        let mut series: Vec<Series> = Vec::new();
        for (operation_type, scope, limit_ms, point) in rows {
            match series.last_mut() {
                Some(last) if last.operation_type == operation_type && last.scope == scope => last.points.push(point),
                _ => series.push(Series { operation_type, scope, limit_ms, points: vec![point] }),
            }
        }
        if series.len() > SeriesQuery::MOST_SERIES {
            let total = |series: &Series| series.points.iter().map(|point| point.count).sum::<i64>();
            let key = |series: &Series| (series.operation_type.clone(), series.scope.clone());
            series.sort_by_cached_key(|series| std::cmp::Reverse(total(series)));
            series.truncate(SeriesQuery::MOST_SERIES);
            series.sort_by_cached_key(key);
        }
        Self { step: step.as_text(), series }
    }
}

/// An operation that was slow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"id": 7, "operationType": "triage", "operationName": null, "scope": "checkout", "durationMs": 402.9,
    "userName": "token:ci", "endedAt": "2024-01-23T08:53:20.123456Z", "traceId": "4bf92f3577b34da6a3ce929d0e0e4736"}))]
pub struct SlowOperation {
    /// The metric's id.
    pub id: i64,
    /// The type of operation.
    pub operation_type: String,
    /// What exactly was done, where the type does not say it.
    pub operation_name: Option<String>,
    /// The scope.
    pub scope: String,
    /// How long it took, in milliseconds.
    pub duration_ms: f64,
    /// Who did it.
    pub user_name: String,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
    /// Its trace, 32 hexadecimal digits.
    pub trace_id: Option<String>,
}

/// How much is recorded, and how many alerts want somebody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"totalMetricsRecorded": 10412, "totalTraces": 3120, "activeBaselines": 7, "unacknowledgedAlerts": 1,
    "criticalAlerts": 0, "rolledThrough": "2024-01-23T08:00:00Z", "updatedAt": "2024-01-23T08:53:20.123456Z"}))]
pub struct PerformanceOverview {
    /// How many metrics are kept.
    pub total_metrics_recorded: i64,
    /// How many spans are kept or run.
    pub total_traces: i64,
    /// How many limits are in force.
    pub active_baselines: i64,
    /// How many open alerts nobody has acknowledged.
    pub unacknowledged_alerts: i64,
    /// How many of these are critical.
    pub critical_alerts: i64,
    /// Until when hours are rolled up; null before the first time.
    pub rolled_through: Option<DateTime<Utc>>,
    /// When this was read.
    pub updated_at: DateTime<Utc>,
}

/// How the operations of a scope went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"scope": "branch:7", "branchId": 7, "operationCount": 120, "operationTypes": 3, "avgDurationMs": 5.2,
    "p99Ms": 40.1, "lastOperation": "2024-01-23T08:53:20.123456Z"}))]
pub struct ScopeFigures {
    /// The scope.
    pub scope: String,
    /// The branch, where the scope is `branch:` and a number.
    pub branch_id: Option<i32>,
    /// How many ended.
    pub operation_count: i64,
    /// How many types they are of.
    pub operation_types: i64,
    /// Their mean, in milliseconds.
    pub avg_duration_ms: Option<f64>,
    /// Their 99th percentile, in milliseconds.
    pub p99_ms: Option<f64>,
    /// When the last one ended.
    pub last_operation: DateTime<Utc>,
}

/// How many operations a user did, and how long they took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"userName": "token:ci", "operationsPerformed": 120, "operationTypes": 3, "avgOperationMs": 5.2,
    "totalTimeSeconds": 0.624, "alertsTriggered": 0, "lastOperation": "2024-01-23T08:53:20.123456Z"}))]
pub struct UserFigures {
    /// The user.
    pub user_name: String,
    /// How many operations.
    pub operations_performed: i64,
    /// How many types they are of.
    pub operation_types: i64,
    /// Their mean, in milliseconds.
    pub avg_operation_ms: f64,
    /// How long they took together, in seconds.
    pub total_time_seconds: f64,
    /// How many alerts one of them was the worst of.
    pub alerts_triggered: i64,
    /// When the last one ended.
    pub last_operation: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_series_are_kept_in_the_order_of_their_names() {
        let at = DateTime::UNIX_EPOCH;
        let point = |count| SeriesPoint {
            start: at,
            count,
            failed: 0,
            over: 0,
            avg_ms: None,
            p50_ms: None,
            p95_ms: None,
            p99_ms: None,
        };
        let rows = (0..501).map(|n| (Some(format!("{n:03}")), None, None, point(if n == 7 { 1 } else { 2 })));
        let answer = SeriesAnswer::of_rows(Step::default(), rows);
        let names: Vec<_> = answer.series.iter().filter_map(|series| series.operation_type.as_deref()).collect();
        assert_eq!((names.len(), &names[5..9]), (500, &["005", "006", "008", "009"][..]));
    }
}
