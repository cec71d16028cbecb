//! The History SOR: every assessment, the audit trail. It owns the table `triage_history`.

mod domain;
mod port;

pub use domain::{
    Assessment, AssessmentSeverity, HistoryPage, HistoryPosition, HistoryQuery, InvalidRecommendation,
    InvalidTopFunctions, NewAssessment, Recommendation, TooFarAhead, TopFunctions,
};
pub use port::HistorySor;
#[cfg(test)]
pub use port::MockHistorySor;
