//! The history entry of a report.

use super::domain::Diff;
use crate::kernel::{InvalidName, PortError, PortResult, Text255, round2};
use crate::sor::history::{AssessmentSeverity, NewAssessment, Recommendation, TopFunctions};
use crate::verdict::DiffVerdict;

/// The number of rows that a history entry keeps, the largest changes. Pipelines ask for all rows, which would fill the
/// history with noise.
const KEPT_ROWS: usize = 20;

/// The history entry, without its time and key.
pub(super) fn history_entry(diff: &Diff, requested_by: Option<Text255>) -> PortResult<NewAssessment> {
    let comparison = &diff.comparison;
    let diagnosis = match comparison.verdict {
        DiffVerdict::Regressions => "regressions_detected",
        DiffVerdict::NoRegressions => "no_regressions",
        DiffVerdict::Insufficient => "insufficient",
        DiffVerdict::NoData => "no_data",
    };
    let severity = match comparison.verdict {
        DiffVerdict::NoData | DiffVerdict::Insufficient => AssessmentSeverity::Low,
        _ if diff.threshold_breaches().is_some_and(|n| n > 0) => AssessmentSeverity::High,
        DiffVerdict::Regressions => AssessmentSeverity::Medium,
        DiffVerdict::NoRegressions => AssessmentSeverity::Low,
    };
    let mut top = serde_json::Map::new();
    let rows = diff.grown().take(diff.shown().min(KEPT_ROWS)).map(|row| {
        serde_json::json!({"name": row.function, "selfPercent": round2(row.percent[1]), "deltaPercent": round2(row.delta),
                           "verdict": row.verdict})
    });
    top.insert(diff.kind.to_string(), rows.collect());
    Ok(NewAssessment {
        app_name: diff.app.clone(),
        diagnosis: diagnosis.parse().map_err(|e: InvalidName| PortError::Internal(e.to_string()))?,
        severity,
        profile_types: vec![diff.kind],
        top_functions: Some(TopFunctions::fitting(top)),
        recommendation: Some(Recommendation::fitting(&comparison.headline)),
        requested_by,
        assessed_at: None,
        idempotency_key: None,
    })
}
