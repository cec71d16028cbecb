//! Which operations became slower, and which become slower together, by what was rolled up by the hour. Pure: rows in, findings
//! out.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::kernel::LimitSeverity;

/// Operations that an hour needs to say something.
const LEAST_SAMPLES: i64 = 30;
/// Hours that an hour is compared with at least.
const LEAST_HOURS: usize = 30;
/// Operations of each half that are compared at least.
const LEAST_OF_HALF: i64 = 100;
/// Hours that two operations have in common at least.
const LEAST_COMMON: usize = 24;

/// An operation in an hour.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HourOf {
    /// The type of operation.
    pub(super) operation_type: String,
    /// What it belongs to; `None`: to anything.
    pub(super) scope: Option<String>,
    /// What kind of work it is, as `performance_operation_types` has it.
    pub(super) category: Option<String>,
    /// When the hour began.
    pub(super) start: DateTime<Utc>,
    /// How many succeeded.
    pub(super) samples: i64,
    /// Their median, in microseconds.
    pub(super) p50_us: i64,
}

/// An operation in the two halves of some days.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Halves {
    /// The type of operation.
    pub(super) operation_type: String,
    /// How many succeeded in the first half, and their 99th percentile in microseconds.
    pub(super) before: (i64, f64),
    /// The same in the second half.
    pub(super) after: (i64, f64),
}

/// An hour in which an operation was much slower than in the hours of 7 days before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"operationType": "commit", "scope": null, "severity": "critical", "hour": "2024-01-23T08:00:00Z",
    "p50Ms": 1.0, "medianMs": 0.1, "z": 607.05}))]
pub struct Anomaly {
    /// The type of operation.
    pub operation_type: String,
    /// The scope that it is for; null: every scope without one of its own.
    pub scope: Option<String>,
    /// The severity.
    pub severity: LimitSeverity,
    /// When the hour began.
    pub hour: DateTime<Utc>,
    /// The median of the hour, in milliseconds.
    pub p50_ms: f64,
    /// The median of the medians of the hours before, in milliseconds.
    pub median_ms: f64,
    /// How far that is apart: a modified z-score.
    pub z: f64,
}

/// An operation that became slower over days.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"operationType": "commit", "scope": null, "severity": "warning", "beforeP99Ms": 100.0,
    "afterP99Ms": 130.0, "percent": 30.0}))]
pub struct Degradation {
    /// The type of operation.
    pub operation_type: String,
    /// The scope that it is for; null: every scope without one of its own.
    pub scope: Option<String>,
    /// The severity.
    pub severity: LimitSeverity,
    /// The 99th percentile of the first half of the days, in milliseconds.
    pub before_p99_ms: f64,
    /// That of the second half.
    pub after_p99_ms: f64,
    /// By how many percent it is more.
    pub percent: f64,
}

/// Two operations that become slower together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"operationA": "commit", "operationB": "merge", "scope": null, "r": 0.93, "hours": 120,
    "bottleneck": "object_storage_io"}))]
pub struct Correlation {
    /// One.
    pub operation_a: String,
    /// The other.
    pub operation_b: String,
    /// What both belong to; null: to anything.
    pub scope: Option<String>,
    /// How much their hourly medians go together: Pearson's r, to 1.
    pub r: f64,
    /// In how many hours both were done.
    pub hours: usize,
    /// What they may both wait for.
    pub bottleneck: String,
}

/// Microseconds as milliseconds, to the microsecond.
fn millis(us: f64) -> f64 {
    us.round() / 1_000.0
}

fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

/// The middle of values; between the two middle ones of an even number.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = if values.len().is_multiple_of(2) { *values.get(values.len() / 2 - 1)? } else { upper };
    Some(f64::midpoint(lower, upper))
}

#[expect(clippy::cast_precision_loss, reason = "a duration is below 2^53 µs, which is 285 years")]
fn micros(us: i64) -> f64 {
    us as f64
}

/// Of each operation the last hour against those before: the modified z-score of Iglewicz and Hoaglin (1993), where the hour is
/// also 1.5 times the median, and 3 times for the worst. A median absolute deviation below 1 % of the median counts as that.
pub(super) fn anomalies(hours: &[HourOf], last: DateTime<Utc>) -> Vec<Anomaly> {
    let mut of_type: BTreeMap<&str, (Option<&HourOf>, Vec<f64>)> = BTreeMap::new();
    for hour in hours.iter().filter(|hour| hour.scope.is_none() && hour.samples >= LEAST_SAMPLES) {
        let (current, before) = of_type.entry(&hour.operation_type).or_default();
        if hour.start == last {
            *current = Some(hour);
        } else if hour.start < last {
            before.push(micros(hour.p50_us));
        }
    }
    let found = of_type.into_values().filter_map(|(current, before)| anomaly(current?, before));
    let mut found: Vec<_> = found.collect();
    found.sort_by_key(|anomaly| Reverse(anomaly.severity));
    found
}

fn anomaly(current: &HourOf, before: Vec<f64>) -> Option<Anomaly> {
    if before.len() < LEAST_HOURS {
        return None;
    }
    let x = micros(current.p50_us);
    let middle = median(before.clone())?;
    let deviation = median(before.into_iter().map(|value| (value - middle).abs()).collect())?;
    let z = 0.6745 * (x - middle) / deviation.max(middle / 100.0).max(f64::MIN_POSITIVE);
    let severity = match (z, x) {
        (z, x) if z >= 7.0 && x >= 3.0 * middle => LimitSeverity::Critical,
        (z, x) if z >= 3.5 && x >= 1.5 * middle => LimitSeverity::Warning,
        _ => return None,
    };
    Some(Anomaly {
        operation_type: current.operation_type.clone(),
        scope: current.scope.clone(),
        severity,
        hour: current.start,
        p50_ms: millis(x),
        median_ms: millis(middle),
        z: rounded(z),
    })
}

/// The operations whose 99th percentile grew by 20 % or more from the first half of some days to the second.
pub(super) fn degradations(halves: &[Halves]) -> Vec<Degradation> {
    let found = halves.iter().filter_map(|halves| {
        let ((n_before, before), (n_after, after)) = (halves.before, halves.after);
        if n_before < LEAST_OF_HALF || n_after < LEAST_OF_HALF || before <= 0.0 {
            return None;
        }
        let percent = (after - before) / before * 100.0;
        let severity = match percent {
            percent if percent >= 50.0 => LimitSeverity::Critical,
            percent if percent >= 30.0 => LimitSeverity::Warning,
            percent if percent >= 20.0 => LimitSeverity::Info,
            _ => return None,
        };
        Some(Degradation {
            operation_type: halves.operation_type.clone(),
            scope: None,
            severity,
            before_p99_ms: millis(before),
            after_p99_ms: millis(after),
            percent: rounded(percent),
        })
    });
    let mut found: Vec<_> = found.collect();
    found.sort_by(|a, b| b.percent.total_cmp(&a.percent).then_with(|| a.operation_type.cmp(&b.operation_type)));
    found
}

/// A type of operations, and what kind of work it is.
type Kind<'a> = (&'a str, Option<&'a str>);
/// The medians of hours, by when these began.
type Medians = BTreeMap<DateTime<Utc>, f64>;

/// The pairs of operations of the same scope whose hourly medians go together at least so much, the closest first.
pub(super) fn correlations(hours: &[HourOf], threshold: f64) -> Vec<Correlation> {
    let mut of_scope: BTreeMap<Option<&str>, BTreeMap<Kind<'_>, Medians>> = BTreeMap::new();
    for hour in hours {
        let operations = of_scope.entry(hour.scope.as_deref()).or_default();
        let medians = operations.entry((&hour.operation_type, hour.category.as_deref())).or_default();
        medians.insert(hour.start, micros(hour.p50_us));
    }
    let mut found = Vec::new();
    for (scope, operations) in of_scope {
        let operations: Vec<_> = operations.into_iter().collect();
        for (at, (a, of_a)) in operations.iter().enumerate() {
            for (b, of_b) in operations.iter().skip(at + 1) {
                let common: Vec<_> = of_a.iter().filter_map(|(hour, x)| Some((*x, *of_b.get(hour)?))).collect();
                let Some(r) = pearson(&common).filter(|r| common.len() >= LEAST_COMMON && *r >= threshold) else {
                    continue;
                };
                found.push(Correlation {
                    operation_a: a.0.to_owned(),
                    operation_b: b.0.to_owned(),
                    scope: scope.map(str::to_owned),
                    r: rounded(r),
                    hours: common.len(),
                    bottleneck: bottleneck(*a, *b).to_owned(),
                });
            }
        }
    }
    found.sort_by(|a, b| b.r.total_cmp(&a.r));
    found
}

/// Pearson's coefficient of correlation; `None` where one of both never changes.
fn pearson(pairs: &[(f64, f64)]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "hours of at most 35 days")]
    let n = pairs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / n;
    let (mean_x, mean_y) = (mean(|pair| pair.0), mean(|pair| pair.1));
    let sum = |of: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|(x, y)| of(x - mean_x, y - mean_y)).sum::<f64>();
    let spread = sum(&|x, _| x * x) * sum(&|_, y| y * y);
    (spread > 0.0).then(|| sum(&|x, y| x * y) / spread.sqrt())
}

/// What two operations may both wait for, by their names and kinds of work.
fn bottleneck(a: Kind<'_>, b: Kind<'_>) -> &'static str {
    let (rollback_a, rollback_b) = (a.0.starts_with("rollback"), b.0.starts_with("rollback"));
    match (a.1, b.1) {
        _ if a.0.starts_with("merge") && b.0.starts_with("merge") => "merge_pipeline_saturation",
        (_, Some("WRITE")) if rollback_a => "transaction_log_saturation",
        (Some("WRITE"), _) if rollback_b => "transaction_log_saturation",
        (Some("WRITE"), Some("WRITE")) => "object_storage_io",
        (Some("READ"), Some("READ")) => "query_cache_pressure",
        _ => "shared_resource_contention",
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use rstest::rstest;

    use super::*;

    fn at(hour: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::hours(hour)
    }

    fn hour(kind: &str, start: i64, p50_us: i64) -> HourOf {
        let category = if kind.starts_with("get") { "READ" } else { "WRITE" };
        HourOf {
            operation_type: kind.to_owned(),
            scope: None,
            category: Some(category.to_owned()),
            start: at(start),
            samples: 30,
            p50_us,
        }
    }

    /// Hours of 100 µs, and a last one.
    fn hours(count: i64, last: i64) -> Vec<HourOf> {
        let before = (0..count).map(|start| hour("commit", start, 100));
        before.chain([hour("commit", count, last)]).collect()
    }

    #[test]
    fn an_hour_ten_times_as_slow_is_critical() {
        let found = anomalies(&hours(99, 1_000), at(99));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].z, found[0].severity, found[0].median_ms), (607.05, LimitSeverity::Critical, 0.1));
    }

    #[rstest]
    #[case::too_few_hours(hours(29, 1_000), 29, None)]
    #[case::enough_hours(hours(30, 1_000), 30, Some(LimitSeverity::Critical))]
    #[case::below_one_and_a_half_medians(hours(99, 149), 99, None)]
    #[case::one_and_a_half_medians(hours(99, 150), 99, Some(LimitSeverity::Warning))]
    #[case::three_medians(hours(99, 300), 99, Some(LimitSeverity::Critical))]
    #[case::faster(hours(99, 10), 99, None)]
    #[case::not_the_last_hour(hours(99, 1_000), 100, None)]
    fn an_hour_needs_a_past_and_a_distance(
        #[case] hours: Vec<HourOf>,
        #[case] last: i64,
        #[case] expected: Option<LimitSeverity>,
    ) {
        let found = anomalies(&hours, at(last));
        assert_eq!(found.first().map(|anomaly| anomaly.severity), expected);
    }

    #[test]
    fn hours_of_few_operations_and_of_scopes_say_nothing() {
        let mut few = hours(99, 1_000);
        few[99].samples = 29;
        assert_eq!(anomalies(&few, at(99)), []);
        let of_scope: Vec<_> =
            hours(99, 1_000).into_iter().map(|hour| HourOf { scope: Some("s".into()), ..hour }).collect();
        assert_eq!(anomalies(&of_scope, at(99)), []);
    }

    #[rstest]
    #[case(119.0, None)]
    #[case(120.0, Some(LimitSeverity::Info))]
    #[case(130.0, Some(LimitSeverity::Warning))]
    #[case(150.0, Some(LimitSeverity::Critical))]
    fn a_degradation_is_as_bad_as_it_is_large(#[case] after: f64, #[case] expected: Option<LimitSeverity>) {
        let halves = |n| Halves { operation_type: "commit".into(), before: (100, 100.0), after: (n, after) };
        assert_eq!(degradations(&[halves(100)]).first().map(|found| found.severity), expected);
        assert_eq!(degradations(&[halves(99)]), [], "too few");
    }

    #[rstest]
    #[case("merge", "merge_base", "merge_pipeline_saturation")]
    #[case("commit", "rollback", "transaction_log_saturation")]
    #[case("branch_create", "commit", "object_storage_io")]
    #[case("get_commits", "get_objects", "query_cache_pressure")]
    #[case("commit", "get_objects", "shared_resource_contention")]
    fn operations_that_go_together_wait_for_the_same(#[case] a: &str, #[case] b: &str, #[case] expected: &str) {
        let wave = |kind: &str, count: i64| -> Vec<_> {
            (0..count).map(|start| hour(kind, start, 100 + start % 7 * 10)).collect()
        };
        let found = correlations(&[wave(a, 24), wave(b, 30)].concat(), 0.75);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].r, found[0].hours, &*found[0].bottleneck), (1.0, 24, expected));
        assert_eq!(correlations(&[wave(a, 23), wave(b, 30)].concat(), 0.75), [], "too few hours in common");
        let flat = (0..24).map(|start| hour(b, start, 100));
        assert_eq!(correlations(&[wave(a, 24), flat.collect()].concat(), 0.75), [], "one never changes");
    }
}
