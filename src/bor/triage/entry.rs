//! What the audit trail keeps of a triage.

use super::domain::{Triage, TriageRequest};
use super::wire::top_functions;
use crate::kernel::{PortError, PortResult, Text255};
use crate::sor::history::{NewAssessment, Recommendation, TopFunctions};

/// The entry of the audit trail, without its time and key.
pub(super) fn history_entry(triage: &Triage, request: &TriageRequest) -> PortResult<NewAssessment> {
    let diagnosis = triage.summary.primary_issue.parse::<Text255>().map_err(|e| PortError::Internal(e.to_string()))?;
    let mut top = serde_json::Map::new();
    for (kind, judged) in triage.types.iter().filter_map(|t| Some((t.kind, t.result.as_ref().ok()?))) {
        top.insert(kind.to_string(), serde_json::json!(top_functions(&judged.assessment)));
    }
    Ok(NewAssessment {
        app_name: request.app.clone(),
        diagnosis,
        severity: triage.summary.severity.into(),
        profile_types: triage.types.iter().map(|t| t.kind).collect(),
        top_functions: Some(TopFunctions::fitting(top)),
        recommendation: Some(Recommendation::fitting(&triage.summary.recommendation)),
        requested_by: request.requested_by.clone(),
        assessed_at: None,
        idempotency_key: None,
    })
}
