//! What the audit trail keeps of a report.

use super::wire::DiffBody;
use crate::kernel::{AppName, InvalidName, PortError, PortResult, ProfileType, Text255};
use crate::sor::history::{AssessmentSeverity, NewAssessment, Recommendation, TopFunctions};
use crate::verdict::DiffVerdict;

/// Rows of a report that the audit trail keeps, the largest changes: pipelines ask for every row there is, and would fill
/// the trail with noise.
const KEPT_ROWS: usize = 20;

/// The entry of the audit trail, without its time and key.
pub(super) fn history_entry(
    app: &AppName,
    kind: ProfileType,
    body: &DiffBody,
    by: Option<Text255>,
) -> PortResult<NewAssessment> {
    let summary = &body.summary;
    let diagnosis = match summary.verdict {
        DiffVerdict::Regressions => "regressions_detected",
        DiffVerdict::NoRegressions => "no_regressions",
        DiffVerdict::Inconclusive => "inconclusive",
        DiffVerdict::NoData => "no_data",
    };
    let severity = match summary.verdict {
        DiffVerdict::NoData | DiffVerdict::Inconclusive => AssessmentSeverity::Low,
        _ if summary.threshold_breaches.is_some_and(|n| n > 0) => AssessmentSeverity::High,
        DiffVerdict::Regressions => AssessmentSeverity::Medium,
        DiffVerdict::NoRegressions => AssessmentSeverity::Low,
    };
    let mut top = serde_json::Map::new();
    let rows = body.regressions.iter().take(KEPT_ROWS).map(|row| {
        serde_json::json!({"name": row.function, "selfPercent": row.current_percent, "deltaPercent": row.delta_percent,
                           "verdict": row.verdict})
    });
    top.insert(kind.to_string(), rows.collect());
    Ok(NewAssessment {
        app_name: app.clone(),
        diagnosis: diagnosis.parse().map_err(|e: InvalidName| PortError::Internal(e.to_string()))?,
        severity,
        profile_types: vec![kind],
        top_functions: Some(TopFunctions::fitting(top)),
        recommendation: Some(Recommendation::fitting(&summary.headline)),
        requested_by: by,
        assessed_at: None,
        idempotency_key: None,
    })
}
