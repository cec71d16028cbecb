use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::kernel::{AppName, ProfileType, RowId, Text255};

/// A severity as history keeps it: of findings (`high`, `medium`, `low`) or of limits (`critical`, `warning`, `info`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the values")]
pub enum AssessmentSeverity {
    High,
    Medium,
    Low,
    Critical,
    Warning,
    Info,
}

/// One assessment as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// The row's id.
    pub id: RowId,
    /// What was assessed.
    pub entry: NewAssessment,
    /// When it was assessed (or stored, where that was not said).
    pub created_at: DateTime<Utc>,
}

/// An assessment to be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAssessment {
    /// The app.
    pub app_name: AppName,
    /// The diagnosis, a category or a contract name: 1 to 255 bytes.
    pub diagnosis: Text255,
    /// How bad.
    pub severity: AssessmentSeverity,
    /// The kinds that were read.
    pub profile_types: Vec<ProfileType>,
    /// The heaviest functions: an object or an array.
    pub top_functions: Option<serde_json::Value>,
    /// What to do.
    pub recommendation: Option<String>,
    /// Who asked.
    pub requested_by: Option<Text255>,
    /// When it was assessed; absent means when it is stored.
    pub assessed_at: Option<DateTime<Utc>>,
    /// The same key again is the same assessment.
    pub idempotency_key: Option<Uuid>,
}

/// Which assessments of an app to list, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryQuery {
    /// The app.
    pub app_name: AppName,
    /// At most this many, 1 to 500.
    pub limit: u16,
    /// Only those of this window; either end may be open.
    pub from: Option<DateTime<Utc>>,
    /// See `from`.
    pub to: Option<DateTime<Utc>>,
    /// Continue after this place.
    pub after: Option<(DateTime<Utc>, RowId)>,
}

/// One page of assessments.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryPage {
    /// The assessments, newest first.
    pub entries: Vec<Assessment>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<(DateTime<Utc>, RowId)>,
}
