//! The history entry of a triage.

use serde_json::{Value, json};

use super::domain::Triage;
use crate::kernel::{PortError, PortResult, Text255, round2};
use crate::sor::history::{NewAssessment, Recommendation, TopFunctions};
use crate::verdict::ProfileAssessment;

/// The history entry, without its time and key.
pub(super) fn history_entry(triage: &Triage, requested_by: Option<Text255>) -> PortResult<NewAssessment> {
    let diagnosis = triage.summary.primary_issue.parse::<Text255>().map_err(|e| PortError::Internal(e.to_string()))?;
    let mut top = serde_json::Map::new();
    for (kind, judged) in triage.types.iter().filter_map(|t| Some((t.kind, t.result.as_ref().ok()?))) {
        top.insert(kind.to_string(), top_functions(&judged.assessment));
    }
    Ok(NewAssessment {
        app_name: triage.app.clone(),
        diagnosis,
        severity: triage.summary.severity.into(),
        profile_types: triage.types.iter().map(|t| t.kind).collect(),
        top_functions: Some(TopFunctions::fitting(top)),
        recommendation: Some(Recommendation::fitting(&triage.summary.recommendation)),
        requested_by,
        assessed_at: None,
        idempotency_key: None,
    })
}

fn top_functions(assessment: &ProfileAssessment) -> Value {
    let rows = assessment.top_functions.iter();
    rows.map(|row| json!({"name": row.name, "selfPercent": round2(row.self_percent), "selfSamples": row.self_ticks}))
        .collect()
}
